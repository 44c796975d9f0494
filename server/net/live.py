"""A session at work: the pure `Session`, the tasks that carry its frames, and the Socket.IO client above it."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import trio
from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import Closed, CloseReason, Event, Message, ProbeFailed
from trio_socketio.engine.outbound import Outbound
from trio_socketio.engine.session import Session
from trio_socketio.server.net.deadlines import Entry

if TYPE_CHECKING:
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.sessions")

NORMAL, GOING_AWAY, POLICY_VIOLATION = 1000, 1001, 1008  # RFC 6455, section 7.4.1

_CLOSE_CODES = {CloseReason.SERVER_SHUTTING_DOWN: GOING_AWAY, CloseReason.PARSE_ERROR: POLICY_VIOLATION}


class Carrier(Protocol):
    """A WebSocket that carries, or wants to carry, the frames of a session."""

    def wake(self) -> None:
        """There may be something to `Live.take`."""
        ...

    def write(self, outbound: Outbound) -> bool:
        """Write a message past the session's buffer, which is empty; return False if that is not possible now."""
        ...

    def finish(self, code: int) -> None:
        """Write what is left, then close with this code; again and again is the same as once."""
        ...


class Consumer(Protocol):
    """Who gets the messages of a session: the Socket.IO side, `Client`."""

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is due; None for never."""
        ...

    @property
    def full(self) -> bool:
        """Whether no more messages should be read for now."""
        ...

    def receive(self, frame: str | bytes) -> None:
        """Take in one message."""
        ...

    def closed(self, reason: CloseReason, detail: str, limit: str | None) -> bool:
        """The session has ended; return whether the log was told why, in a line for each namespace that the client leaves."""
        ...

    def tick(self, now: float) -> None:
        """Do what is due."""
        ...

    async def ready(self) -> None:
        """Wait until more messages may be read."""
        ...


class Live:
    """Binds a session to what happens around it: every input goes through here, and every consequence is seen to.

    Args:
        session: The session.
        service: Who owns it.
    """

    __slots__ = (
        "_carrier",
        "_close_code",
        "_entry",
        "_paused",
        "_space",
        "_tally",
        "_wake_poll",
        "client",
        "moved",
        "service",
        "session",
        "sid",
    )

    client: Consumer
    """Who gets its messages; set once, before anything happens."""

    def __init__(self, session: Session, service: "Service") -> None:
        self.session = session
        self.sid = session.sid
        self.service = service
        self._tally = service.server.tally
        self._paused = 0  # readers that leave input unread on purpose
        self._carrier: Carrier | None = None
        self._wake_poll: Callable[[], None] | None = None
        self._space: trio.Event | None = None
        self._entry: Entry | None = None
        self._close_code = NORMAL
        self.moved = 0
        """How often the network has taken something that waited."""

    @property
    def transport(self) -> Transport:
        """The transport in use."""
        return self.session.transport

    @property
    def closed(self) -> bool:
        """Whether the sid is unknown from now on."""
        return self.session.closed

    # What the transports say.

    def receive(self, frame: str | bytes, transport: Transport) -> Sequence[Event]:
        """Take in a WebSocket frame or the body of a POST."""
        return self._settle(self.session.receive(frame, transport, trio.current_time()))

    def receive_from(self, carrier: Carrier, frame: str | bytes) -> None:
        """Take in a frame of a WebSocket, unless that has been told to go."""
        if carrier is not self._carrier:
            return
        message = self.session.message(frame)
        if message is not None:
            self.client.receive(message)
        elif not self.session.pong(frame):
            self.receive(frame, Transport.WEBSOCKET)

    def attach(self, carrier: Carrier) -> bool:
        """Offer a WebSocket to a polling session; return whether it may probe."""
        if not self.session.attach(trio.current_time()):
            return False
        self._carrier = carrier
        self.schedule()
        return True

    def carry(self, carrier: Carrier) -> None:
        """Give a session that was opened by a WebSocket that WebSocket."""
        self._carrier = carrier

    def lost(self, carrier: Carrier, reason: CloseReason, detail: str, limit: str | None = None) -> None:
        """Tell that a WebSocket is gone, and which limit is the cause, if one is."""
        if carrier is self._carrier:
            self._carrier = None
            self._settle(self.session.lost(reason, detail), limit)

    def take(self, carrier: Carrier) -> Sequence[Outbound]:
        """Return what must leave through a WebSocket now; `written` confirms it."""
        return self.session.take() if carrier is self._carrier else ()

    def written(self, carrier: Carrier) -> None:
        """Confirm what `take` returned."""
        if carrier is self._carrier:
            self.session.written()
            self._after_writing()

    def unsent(self, carrier: Carrier, outbounds: Sequence[Outbound]) -> None:
        """Count messages that `Carrier.write` accepted and the network did not; `written` confirms them."""
        if carrier is self._carrier:
            self.session.unsent(outbounds)

    def flushes(self, carrier: Carrier) -> bool:
        """Whether the session has ended and still has something to write through a WebSocket."""
        return carrier is self._carrier and self.session.ended and not self.session.closed

    def poll(self) -> Sequence[Event]:
        """Begin a GET."""
        events = self.session.poll(trio.current_time())
        if events:
            self._settle(events)
        if self._carrier is not None:  # while a WebSocket probes, the GET is held for a moment only
            self.schedule()
        return events

    def post(self) -> Sequence[Event]:
        """Begin a POST."""
        events = self.session.post(trio.current_time())
        return self._settle(events) if events else events

    def take_payload(self) -> str | None:
        """Return the answer to the pending GET, or None while it must wait; `poll_done` confirms it."""
        return self.session.take_payload()

    def poll_done(self, *, written: bool) -> None:
        """Tell what became of the answer to a GET."""
        self.session.poll_done(written=written)
        self._after_writing()
        self.wake()

    def wait_poll(self, wake: Callable[[], None] | None) -> None:
        """Say how to wake the pending GET; None when it does not wait any more."""
        self._wake_poll = wake

    async def catch_up(self) -> None:
        """Leave input unread while too many events wait for their handlers: TCP pushes back on the client."""
        if not self.client.full:
            return
        self._paused += 1
        try:
            await self.client.ready()
        finally:
            self._paused -= 1

    # What the application and the clock say.

    def send(self, outbound: Outbound) -> bool:
        """Send a message, at once if nothing waits before it; return whether it was taken."""
        return self.pass_on(outbound) or self.queue(outbound)

    def pass_on(self, outbound: Outbound) -> bool:
        """Send a message past the buffer; return False if that is not possible now. This is done for every recipient."""
        if self._carrier is not None and self.session.clear and self._carrier.write(outbound):
            self._tally.packets_out += 1
            return True
        return False

    def send_volatile(self, outbound: Outbound) -> bool:
        """Send a message if it can leave at once, otherwise drop it; return whether it was sent."""
        if self.pass_on(outbound) or (self.session.prompt(outbound) and self.queue(outbound)):
            return True
        self._tally.events_dropped += 1
        return False

    def queue(self, outbound: Outbound) -> bool:
        """Queue a message; return whether it was taken."""
        if self.session.ended:
            return False
        events = self.session.send(outbound)
        if events:
            self._settle(events)
            return False
        self._tally.packets_out += 1
        self.wake()
        return True

    def close(self, reason: CloseReason, detail: str, limit: str | None = None) -> None:
        """End the session, because of a limit if one is named; what was sent before is delivered first."""
        self._settle(self.session.close(reason, detail, trio.current_time()), limit)
        self.schedule()

    def abort(self, reason: CloseReason, detail: str, limit: str | None = None) -> None:
        """End the session now, because of a limit if one is named; what waits is dropped."""
        self._settle(self.session.abort(reason, detail), limit)

    def violate(self, detail: str, limit: str | None = None) -> None:
        """End the session because of what the peer sent, which exceeds a limit if one is named."""
        self._settle(self.session.violate(detail), limit)

    def abandon(self) -> None:
        """Forget the session: its service has ended."""
        self.abort(CloseReason.SERVER_SHUTTING_DOWN, "the server has shut down")

    async def space(self) -> None:
        """Wait until the outbound buffer has space, or the session has ended.

        A client that takes nothing for ``write_timeout`` seconds meanwhile is disconnected: it would hold up who waits.
        """
        while self.session.crowded:
            if self._space is None:
                self._space = trio.Event()
            timeout, moved = self.service.server.options.limits.write_timeout, self.moved
            with trio.move_on_after(timeout) as patience:
                await self._space.wait()
            if patience.cancelled_caught and self.moved == moved:
                session = self.session
                detail = f"{session.buffered_bytes} bytes in {session.buffered_packets} packets wait for it"
                self.abort(
                    CloseReason.FORCED_CLOSE,
                    f"the client has taken nothing for {timeout:g} s: {detail}",
                    "write_timeout",
                )

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is due."""
        deadline = self.session.next_deadline
        connect_by = self.client.next_deadline
        return deadline if deadline is None or connect_by is None else min(deadline, connect_by)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._paused:
            self.session.heard()
        if not self._ping(now):
            self._settle(self.session.tick(now))
            self.client.tick(now)
            self.wake()
        self.schedule()

    def _ping(self, now: float) -> bool:
        """Send a ping past the session's buffer; return False if that is not possible, or not all that is due."""
        carrier = self._carrier
        ping = None if carrier is None else self.session.ping(now)
        if carrier is None or ping is None:
            return False
        if not carrier.write(ping):
            self._settle(self.session.send(ping))
        return True

    def schedule(self) -> None:
        """See to it that `tick` is called in time."""
        self._entry = self.service.deadlines.schedule(self, self._entry)

    # Consequences.

    def wake(self) -> None:
        """Wake whoever carries frames."""
        if self._carrier is not None:
            self._carrier.wake()
        if self._wake_poll is not None:
            self._wake_poll()

    def _settle(self, events: Sequence[Event], limit: str | None = None) -> Sequence[Event]:
        """See to the events of an input, and return them. If one ends the session, it is because of the limit."""
        for event in events:
            if isinstance(event, Message):
                self.client.receive(event.data)
            elif isinstance(event, Closed):
                self._tally.closes[event.reason] += 1
                self._close_code = _CLOSE_CODES.get(event.reason, NORMAL)
                self._close_logged(event, event.limit or limit)
            elif isinstance(event, ProbeFailed):
                if event.limit is not None:
                    self._tally.limits[event.limit] += 1
                logger.info("upgrade failed: %s", event.detail, extra={"limit": event.limit})
                carrier, self._carrier = self._carrier, None
                if carrier is not None:
                    carrier.finish(NORMAL)
        self._check_closed()
        if not events or not isinstance(events[-1], Message):  # no event may mean a probe, which is answered
            self.wake()
        return events

    def _close_logged(self, event: Closed, limit: str | None) -> None:
        """Tell the client and the log why the session has ended, and count the limit that is the cause."""
        if limit is not None:
            self._tally.limits[limit] += 1
        told = self.client.closed(event.reason, event.detail, limit)
        logger.log(
            logging.DEBUG if told else logging.INFO,
            "session closed: %s (%s)",
            event.reason,
            event.detail,
            extra={"reason": str(event.reason), "limit": None if told else limit},
        )

    def _after_writing(self) -> None:
        self.moved += 1
        if self._space is not None and not self.session.crowded:
            self._space.set()
            self._space = None
        self._check_closed()

    def _check_closed(self) -> None:
        session = self.session
        if not session.ended:
            return
        if self._carrier is not None:
            self._carrier.finish(self._close_code)
        if session.closed:
            if self._space is not None:
                self._space.set()
                self._space = None
            self.schedule()
            self.service.forget_session(self)
