"""A session that tells a trace what crosses the wire.

`Live` knows nothing of traces: only a server that was made with ``trace=`` has sessions of this kind, so an unset trace costs
nothing at all.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import Event
from trio_socketio.engine.outbound import Frame, Outbound
from trio_socketio.engine.session import Session
from trio_socketio.protocol import engineio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.trace import Sender, Trace, TracedFrame
from trio_socketio.server.net.live import Carrier, Live

if TYPE_CHECKING:
    from trio_socketio.server.service import Service

logger: Final = logging.getLogger("trio_socketio.trace")


class TracedLive(Live):
    """A `Live` whose frames a trace is told of: from the client before they have an effect, from the server as they leave.

    Args:
        session: The session.
        service: Who owns it.
        trace: Who is told.
    """

    __slots__ = ("_polled", "_trace")

    def __init__(self, session: Session, service: "Service", trace: Trace) -> None:
        super().__init__(session, service)
        self._trace = trace
        self._polled = ""  # the payload of the polling answer that is being written

    def receive(self, frame: str | bytes, transport: Transport) -> Sequence[Event]:
        """Take in a WebSocket frame or the body of a POST."""
        for packet in [frame] if transport is Transport.WEBSOCKET else _packets(frame):
            self._tell(Sender.CLIENT, transport, packet)
        return super().receive(frame, transport)

    def receive_from(self, carrier: Carrier, frame: str | bytes) -> None:
        """Take in a frame of a WebSocket, unless that has been told to go."""
        if carrier is self._carrier:
            self.receive(frame, Transport.WEBSOCKET)

    def pass_on(self, outbound: Outbound) -> bool:  # noqa: ARG002  # none may
        """Let nothing past the buffer, where it is seen when it leaves."""
        return False

    def _ping(self, now: float) -> bool:  # noqa: ARG002  # whatever is due
        """Leave pings to the session's tick: they go by way of the buffer, too."""
        return False

    def take(self, carrier: Carrier) -> Sequence[Outbound]:
        """Return what must leave through a WebSocket now."""
        taken = super().take(carrier)
        for outbound in taken:
            for frame in outbound.frames:
                self._tell(Sender.SERVER, Transport.WEBSOCKET, frame)
        return taken

    def take_payload(self) -> str | None:
        """Return the answer to the pending GET."""
        payload = super().take_payload()
        if payload is not None:  # otherwise another answer may be on its way
            self._polled = payload
        return payload

    def poll_done(self, *, written: bool) -> None:
        """Tell what became of the answer to a GET; what was not written will be taken again."""
        if written:
            for packet in _packets(self._polled):
                self._tell(Sender.SERVER, Transport.POLLING, packet)
        self._polled = ""
        super().poll_done(written=written)

    def _tell(self, sender: Sender, transport: Transport, frame: Frame) -> None:
        now = self.service.server.wall_clock()
        try:
            self._trace(TracedFrame(now, self.sid, str(transport), sender, frame))
        except Exception:
            logger.exception("the function given as trace failed; the session goes on")


def _packets(payload: str | bytes) -> Sequence[Frame]:
    """Return the packets of a polling payload as a WebSocket would carry them; the payload itself if it is none."""
    if isinstance(payload, bytes):
        try:
            payload = payload.decode()
        except UnicodeDecodeError:
            return [payload]
    try:
        return [engineio.encode_packet(packet) for packet in engineio.decode_payload(payload)]
    except DecodeError:
        return [payload]
