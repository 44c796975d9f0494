"""One WebSocket of a session: RFC 6455 on the inside, the frames of a session on the outside.

What arrives is read by `trio_socketio.server.net.incoming`; what leaves is made here. How bytes get from and to the
network differs: `trio_socketio.server.net.direct` has a plain socket that the poller reads, and
`trio_socketio.server.net.streamed` has any stream, with two tasks.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.frames import close_frame, pong_frame
from trio_socketio.engine.outbound import Outbound
from trio_socketio.server.net.incoming import Arrived, Fault, Incoming, PeerClose, Ping
from wsproto.frame_protocol import CloseReason as CloseCode

if TYPE_CHECKING:
    from trio_socketio.server.net.live import Live

RECEIVE_SIZE: Final = 64 * 1024
"""Bytes read at once."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds for the last frames, and for the peer's half of the closing handshake; browsers wait longer than a round
trip, never this long."""


class WebSocket(ABC):
    """What both kinds have in common: what is done with what arrives, and how it is closed.

    Args:
        live: The session whose frames it carries.
        max_payload: The largest message that is taken, in bytes.
    """

    __slots__ = ("_close_code", "_closing", "_incoming", "_live", "_peer_closed", "_pong")

    def __init__(self, live: "Live", max_payload: int) -> None:
        self._live = live
        self._incoming = Incoming(max_payload)
        self._pong = b""  # the frame that answers the latest ping, which answers for all (RFC 6455, section 5.5.3)
        self._closing = b""  # the Close frame, once nothing else may follow
        self._peer_closed = False  # its Close frame has come: nothing more will
        self._close_code: int | None = None  # what the session wants it to be closed with, when everything is written

    @abstractmethod
    def wake(self) -> None:
        """There may be something to send."""

    @abstractmethod
    def write(self, outbound: Outbound) -> bool:
        """Write a message past the session's buffer, which is empty; return False if that is not possible now."""

    @abstractmethod
    def finish(self, code: int) -> None:
        """Write what is left, then close; in `CLOSE_TIMEOUT` seconds at most once the session is over."""

    def _wake_soon(self) -> None:
        """As `wake`, but it may wait until everything that has come is read."""
        self.wake()

    @abstractmethod
    def _hurry(self) -> None:
        """Give the peer `CLOSE_TIMEOUT` seconds from now, or less if that was said before."""

    def _take_in(self, data: bytes) -> bool:
        """Take in bytes; return False once nothing more may be read."""
        live = self._live
        for arrived in self._incoming.feed(data):
            if isinstance(arrived, (str, bytes)):
                live.receive_from(self, arrived)
            elif not self._control(arrived):
                return False
        return True

    def _control(self, arrived: Arrived) -> bool:
        if isinstance(arrived, Ping):
            self._pong = pong_frame(arrived.payload)
            self._wake_soon()
            return True
        if isinstance(arrived, PeerClose):
            self._peer_closed = True
            if not self._closing:
                self._close_with(arrived.code)
                self._live.lost(
                    self, CloseReason.TRANSPORT_CLOSE, f"the client closed the WebSocket with code {arrived.code}"
                )
        elif isinstance(arrived, Fault):
            self._close_with(arrived.code)
            limit = "max_payload" if arrived.code == CloseCode.MESSAGE_TOO_BIG else None
            self._live.lost(self, CloseReason.TRANSPORT_ERROR, f"no valid WebSocket: {arrived.detail}", limit)
        self._hurry()
        self.wake()
        return False

    def _close_with(self, code: int) -> None:
        """Answer with a Close frame, from which the peer learns no more than a code: that of what ended the session first."""
        if not self._closing:
            self._closing = close_frame(code if self._close_code is None else self._close_code)

    def _has_more(self) -> bool:
        """Whether the session, though it has ended, still has something to write through here."""
        return self._live.flushes(self)
