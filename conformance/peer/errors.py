"""What a peer cannot go on from.

::

    PeerError
    ├── Silence    nothing came
    ├── Refused    the WebSocket was refused
    └── Closed     the WebSocket was closed
"""


class PeerError(Exception):
    """The server did something that a peer cannot go on from."""


class Silence(PeerError):  # noqa: N818  # reads as what it says
    """The server said nothing for as long as the peer was patient."""


class Refused(PeerError):  # noqa: N818  # reads as what it says
    """The server answered the opening handshake of a WebSocket with an HTTP response."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"the WebSocket was refused with status {status}: {body[:200]!r}")
        self.status = status
        self.body = body


class Closed(PeerError):  # noqa: N818  # reads as what it says
    """The server closed the WebSocket.

    Args:
        code: The code of its Close frame; None if the connection ended without one.
        reason: The reason in it.
    """

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"the WebSocket was closed with code {code}")
        self.code = code
        self.reason = reason
