"""The errors that an application meets.

::

    SocketIOError
    ├── ProtocolError            (trio_socketio.protocol)
    ├── ConnectionRefused        raised by the application to reject a client
    ├── NotConnected             also a LookupError: a sid that nobody has
    ├── Disconnected             the client left before it answered
    ├── AckTimeout               also a TimeoutError: the client did not answer in time
    ├── TooManyAcks              the client owes too many acknowledgements already
    └── TooManyRooms             the client is in too many rooms already
"""

from trio_socketio.protocol.errors import SocketIOError
from trio_socketio.protocol.jsontext import JSON


class ConnectionRefused(SocketIOError):  # noqa: N818  # the word that users of this field know
    """Raised in a connect handler, a middleware or ``allow_request`` to reject the client.

    Args:
        message: What the client reads (``connect_error`` of the official clients).
        data: Anything that JSON has a form for, sent beside the message; None sends nothing.
    """

    def __init__(self, message: str = "Connection rejected by server", data: JSON = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class NotConnected(SocketIOError, LookupError):  # noqa: N818  # reads as what it says
    """The sid that was named belongs to nobody in that namespace."""


class Disconnected(SocketIOError):  # noqa: N818  # reads as what it says
    """The client that was called is not connected, or left before it answered."""


class AckTimeout(SocketIOError, TimeoutError):  # noqa: N818  # the counterpart of TimeoutError
    """The client that was called did not acknowledge in time."""


class TooManyAcks(SocketIOError):  # noqa: N818  # reads as what it says
    """The client owes ``max_pending_acks`` acknowledgements already; nothing was sent."""


class TooManyRooms(SocketIOError):  # noqa: N818  # reads as what it says
    """The client would be in more rooms than `Limits.rooms`; none was joined."""
