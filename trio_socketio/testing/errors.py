"""What goes wrong in a test.

::

    Exception
    ├── HandshakeRefused         the server answered the handshake with another HTTP status
    ├── ConnectError             the server refused the namespace (CONNECT_ERROR)
    ├── ConnectionGone           the client is used after its connection, or its namespace, is gone
    └── AssertionError
        ├── NotReceived          what the test waits for did not come in time
        └── StillRunning         handlers of a client go on long after it has left

The last two are failures of the test, the others may be what it is about.
"""

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON


class HandshakeRefused(Exception):  # noqa: N818  # reads as what it says
    """The server did not open a session.

    Args:
        status: The status of its answer.
        body: The body of it.
    """

    def __init__(self, status: int, body: bytes) -> None:
        text = body.decode("utf-8", "replace")
        super().__init__(f"the handshake was refused with status {status}: {text or 'without a body'}")
        self.status = status
        self.body = body
        self.message = _message(text)
        """What the body says in its ``message``, or the whole body if it has none."""


def _message(text: str) -> str:
    try:
        value = jsontext.decode(text)
    except DecodeError:
        return text
    return str(value["message"]) if isinstance(value, dict) and "message" in value else text


class ConnectError(Exception):
    """The server refused a namespace.

    Args:
        namespace: Which one.
        message: What the server says: that of `ConnectionRefused`.
        data: The data beside it; None if there is none.
    """

    def __init__(self, namespace: str, message: str, data: JSON = None) -> None:
        super().__init__(f"the server refused {namespace!r}: {message}" + ("" if data is None else f" ({data!r})"))
        self.namespace = namespace
        self.message = message
        self.data = data


class ConnectionGone(Exception):  # noqa: N818  # reads as what it says
    """There is no connection any more to do this over, or the client is not in the namespace."""


class NotReceived(AssertionError):  # noqa: N818  # reads as what it says
    """What was awaited did not come; the message lists what came instead."""


class StillRunning(AssertionError):  # noqa: N818  # reads as what it says
    """Handlers of a client run on although it left long ago, longer than ``disconnect_grace`` allows."""
