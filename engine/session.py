"""One Engine.IO session as values and time (Engine.IO protocol, revision 4).

Theory of operation
===================

A session does no I/O and has no clock. Its driver tells it what happened, and when: a frame arrived (`receive`), a GET or
a POST began (`poll`, `post`), a WebSocket was attached or lost (`attach`, `lost`), the application sends or closes
(`send`, `close`), time has passed (`tick`). Each of these *inputs* returns the `events` that the owner must see. What must
leave is fetched with `take` (for a WebSocket) or `take_payload` (for the pending GET), and confirmed with `written` or
`poll_done`; until then it belongs to the session, so neither an upgrade nor a broken connection loses or doubles a packet.
`poll`, `attach`, `close` and `tick` may make `next_deadline` earlier: after them the driver compares it with what it has
scheduled. All other inputs leave it, or make it later.

The rules are one table, `TABLE`: for each state the inputs that are legal, the state that follows, and what is done.
An input of the peer that is missing there breaks the protocol:

- on the transport in use, it closes the session (`parse error`);
- on a WebSocket that is still probing, it costs the peer that WebSocket only: the polling session goes on.

The states::

    POLLING ──attach──▶ ATTACHED ──2probe──▶ PROBED ──5──▶ WEBSOCKET
       ▲                   │                    │
       └── lost, late, or a wrong frame ────────┘
    any of them ──close──▶ CLOSING ──all written, or too late──▶ CLOSED
    any of them ──the peer closes, breaks a rule, or is silent──▶ CLOSED

A session that is opened by a WebSocket starts in WEBSOCKET. In CLOSING the `Closed` event is out already and nothing that the
peer sends counts any more, but that it closes, too; only what was sent before the close still leaves. Over polling the close
packet follows, alone in the answer to one more GET: clients act on it at once, and on messages a moment later.

The pending GET has a small life of its own, `Poll`, beside these states: it waits for packets, and while a WebSocket probes
it is held for a moment only, since the client wants it out of the way.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

from trio_socketio.engine.buffer import Buffer
from trio_socketio.engine.config import EngineConfig, Transport
from trio_socketio.engine.events import Closed, CloseReason, Conflict, Event, Message, ProbeFailed, Upgraded
from trio_socketio.engine.heartbeat import Heartbeat
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol import engineio
from trio_socketio.protocol.engineio import PacketType
from trio_socketio.protocol.errors import DecodeError

HOLD: Final = 0.1
"""Seconds a GET waits that arrives while a WebSocket probes; the Node server looks at the same interval."""

PING: Final = Outbound(("2",))
PONG: Final = "3"
NOOP: Final = "6"
CLOSE: Final = "1"
PROBE_ANSWER: Final = Outbound(("3probe",))


class State(Enum):
    """Where a session stands; the module's docstring has the picture."""

    POLLING = auto()
    """Long-polling is the transport."""
    ATTACHED = auto()
    """Long-polling is the transport; a WebSocket is open and has not probed yet."""
    PROBED = auto()
    """Long-polling is the transport; a WebSocket has probed and may take over."""
    WEBSOCKET = auto()
    """The WebSocket is the transport."""
    CLOSING = auto()
    """Closed for the application; what was sent before still leaves."""
    CLOSED = auto()
    """Over."""


# Looking a member up in its class takes as long as all that a session does with a message.
_WEBSOCKET: Final = State.WEBSOCKET


class Input(Enum):
    """What can happen to a session."""

    POLLED_MESSAGE = auto()
    POLLED_PONG = auto()
    POLLED_CLOSE = auto()
    POLLED_NOOP = auto()
    FRAMED_MESSAGE = auto()
    FRAMED_PONG = auto()
    FRAMED_CLOSE = auto()
    FRAMED_NOOP = auto()
    PROBE = auto()
    UPGRADE = auto()
    POLL = auto()
    POST = auto()
    ATTACH = auto()
    LOST = auto()
    CLOSE = auto()


class Poll(Enum):
    """The life of a pending GET."""

    NONE = auto()
    """No GET waits."""
    WAITING = auto()
    """It waits for packets."""
    HELD = auto()
    """It arrived while a WebSocket probes: it waits for `HOLD` seconds at most."""
    NOOP = auto()
    """It will be answered with a noop, so that the client can pause polling."""
    REFUSED = auto()
    """It will be answered with status 400: the WebSocket has taken over while it was held."""


_PACKET_INPUTS: Final = {
    (Transport.POLLING, PacketType.MESSAGE): Input.POLLED_MESSAGE,
    (Transport.POLLING, PacketType.PONG): Input.POLLED_PONG,
    (Transport.POLLING, PacketType.CLOSE): Input.POLLED_CLOSE,
    (Transport.POLLING, PacketType.NOOP): Input.POLLED_NOOP,
    (Transport.WEBSOCKET, PacketType.MESSAGE): Input.FRAMED_MESSAGE,
    (Transport.WEBSOCKET, PacketType.PONG): Input.FRAMED_PONG,
    (Transport.WEBSOCKET, PacketType.CLOSE): Input.FRAMED_CLOSE,
    (Transport.WEBSOCKET, PacketType.NOOP): Input.FRAMED_NOOP,
    (Transport.WEBSOCKET, PacketType.PING): Input.PROBE,
    (Transport.WEBSOCKET, PacketType.UPGRADE): Input.UPGRADE,
}
"""The packets that a client may send at all; which of them when, `TABLE` says."""

_NOTHING: Final[Sequence[Event]] = ()


class Session:
    """One Engine.IO session; the module's docstring says how to drive it.

    Args:
        sid: The session id, unique and not guessable.
        config: Intervals and limits.
        transport: The transport of the handshake.
        now: The time of the handshake, in seconds on the clock that every other method uses.
    """

    __slots__ = (
        "_buffer",
        "_closing_by",
        "_config",
        "_control",
        "_farewell",
        "_heartbeat",
        "_hold_until",
        "_in_flight",
        "_owes_close",
        "_poll",
        "_posting",
        "_transport",
        "_upgrade_by",
        "sid",
        "state",
    )

    def __init__(self, sid: str, config: EngineConfig, transport: Transport, now: float) -> None:
        self.sid = sid
        self.state = State.WEBSOCKET if transport is Transport.WEBSOCKET else State.POLLING
        self._config = config
        self._transport = transport
        self._heartbeat = Heartbeat.start(config.ping_interval, config.ping_timeout, now)
        self._upgrade_by: float | None = None
        self._hold_until: float | None = None
        self._closing_by: float | None = None
        self._poll = Poll.NONE
        self._posting = False
        self._farewell = CLOSE
        self._owes_close = False  # the close packet still has to leave, when all else is written
        self._control: tuple[Outbound, ...] = ()  # for a WebSocket, ahead of the queue
        self._buffer = Buffer(config.max_buffered_bytes, config.max_buffered_packets)
        self._in_flight = False  # a polling answer is being written, be it only a noop
        self._buffer.put(
            Outbound((engineio.encode_packet(engineio.Packet(PacketType.OPEN, self.handshake.to_json())),))
        )

    @property
    def handshake(self) -> engineio.Handshake:
        """What the open packet announces (Engine.IO protocol, "Handshake")."""
        config = self._config
        upgradable = (
            self._transport is Transport.POLLING and config.allow_upgrades and Transport.WEBSOCKET in config.transports
        )
        return engineio.Handshake(
            sid=self.sid,
            upgrades=("websocket",) if upgradable else (),
            ping_interval=config.ping_interval,
            ping_timeout=config.ping_timeout,
            max_payload=config.max_payload,
        )

    @property
    def transport(self) -> Transport:
        """The transport in use; polling while a WebSocket only probes."""
        return self._transport

    @property
    def closed(self) -> bool:
        """Whether the session is over: its sid is unknown from now on."""
        return self.state is State.CLOSED

    @property
    def ended(self) -> bool:
        """Whether the `Closed` event is out: nothing can be sent or received any more."""
        return self.state is State.CLOSED or self.state is State.CLOSING

    @property
    def poll_refused(self) -> bool:
        """Whether the pending GET must be answered with status 400, ``Bad request``."""
        return self._poll is Poll.REFUSED

    @property
    def buffered_bytes(self) -> int:
        """Bytes that were sent and are not yet written."""
        return self._buffer.bytes

    @property
    def buffered_packets(self) -> int:
        """Engine.IO packets that were sent and are not yet written."""
        return self._buffer.packets

    @property
    def crowded(self) -> bool:
        """Whether patient senders should wait for space before they go on."""
        return self._buffer.crowded

    @property
    def clear(self) -> bool:
        """Whether a message may leave through the WebSocket at once: it is the transport in use, and nothing waits before it."""
        return self.state is _WEBSOCKET and not self._buffer.packets and not self._control

    def prompt(self, outbound: Outbound) -> bool:
        """Whether a message would leave together with what is queued, with nothing unread before it.

        For a WebSocket that is when all that it has taken is written; for polling when a GET waits, and its answer has room.
        """
        buffer = self._buffer
        if not buffer.fits(outbound) or buffer.lent:
            return False
        if self.state is _WEBSOCKET:
            return not buffer.writing
        room = not buffer.packets or buffer.packets + len(outbound.frames) <= self._config.max_packets_per_poll
        return self._poll is Poll.WAITING and not self.ended and room

    @property
    def next_deadline(self) -> float | None:
        """When `tick` must be called at the latest; None once the session is closed."""
        if self.state is _WEBSOCKET:
            return self._heartbeat.deadline
        if self.state is State.CLOSED:
            return None
        if self.state is State.CLOSING:
            return self._closing_by
        deadline = self._heartbeat.deadline
        if self._upgrade_by is not None:
            deadline = min(deadline, self._upgrade_by)
        if self._hold_until is not None:
            deadline = min(deadline, self._hold_until)
        return deadline

    # Inputs: what the peer does.

    def receive(self, frame: str | bytes, transport: Transport, now: float) -> Sequence[Event]:
        """Take in one WebSocket frame, or the body of one POST, which may hold many packets.

        Returns:
            The events in order. When the input broke the protocol the last one is `Closed` with ``parse error`` or `ProbeFailed`.
        """
        if self.state is State.CLOSED:
            return _NOTHING
        try:
            packets = _decode(frame, transport)
        except DecodeError as error:
            return self._violation(transport, str(error))
        self._heard()
        if len(packets) == 1:
            return self._receive_packet(packets[0], transport, now)
        events: list[Event] = []
        for packet in packets:
            events.extend(self._receive_packet(packet, transport, now))
            if events and isinstance(events[-1], Closed):
                break
        return events

    def message(self, frame: str | bytes) -> str | bytes | None:
        """Take in one WebSocket frame that is a message, the commonest input by far, without an event.

        Returns:
            The message; None if it is none, or cannot be taken in now: then nothing has happened, and `receive` says what it is.
        """
        if self.state is not _WEBSOCKET:
            return None
        if isinstance(frame, str):
            if frame[:1] != "4":
                return None
            frame = frame[1:]
        if self._heartbeat.answer_by is not None:
            self._heard()
        return frame

    def pong(self, frame: str | bytes) -> bool:
        """Take in one WebSocket frame that is a pong, which is all that an idle peer sends, without an event.

        Returns:
            Whether it was one, and could be taken in now; if not nothing has happened, and `receive` says what it is.
        """
        if self.state is not _WEBSOCKET or frame != PONG:
            return False
        self._heard()
        return True

    def poll(self, now: float) -> Sequence[Event]:
        """Begin a GET; its answer is fetched with `take_payload` and confirmed with `poll_done`.

        Returns:
            `Conflict` first when another GET waits already (which ends the session) or polling is over; otherwise nothing.
        """
        return self._request(Input.POLL, now)

    def poll_aborted(self) -> None:
        """Forget the GET that waits: its connection is gone. What it would have carried stays in the queue."""
        self._poll = Poll.NONE
        self._hold_until = None

    def post(self, now: float) -> Sequence[Event]:
        """Begin to read a POST; `post_done` ends it, then `receive` takes its body.

        Returns:
            `Conflict` first when another POST is being read (which ends the session) or polling is over; otherwise nothing.
        """
        return self._request(Input.POST, now)

    def post_done(self) -> None:
        """The body of the POST has been read, or given up."""
        self._posting = False

    def attach(self, now: float) -> bool:
        """Offer a WebSocket for the upgrade.

        Returns:
            Whether it may probe. If not (another one probes, or the session is no longer polling) it must be closed at once.
        """
        step = TABLE[self.state].get(Input.ATTACH)
        if step is None:
            return False
        self.state = step.next
        step.action(self, "", now)
        return True

    def lost(self, reason: CloseReason, detail: str) -> Sequence[Event]:
        """Tell that the WebSocket in use, or the one that probes, is gone."""
        step = TABLE[self.state].get(Input.LOST)
        if step is None or (self.state is State.CLOSING and self._transport is Transport.POLLING):
            return _NOTHING  # no WebSocket belongs to the session, `ProbeFailed` has given up the one that probed
        if step.next is State.CLOSED:
            return self.abort(reason, detail)
        self._drop_candidate(detail)
        return _NOTHING

    def violate(self, detail: str) -> Sequence[Event]:
        """Tell that the peer broke the rules of the layer above: what it sent was no Socket.IO."""
        return self.abort(CloseReason.PARSE_ERROR, detail)

    def heard(self) -> None:
        """Tell that the peer is not to blame for its silence: its input has been left unread on purpose."""
        self._heard()

    # Inputs: what the application does, and time.

    def send(self, outbound: Outbound) -> Sequence[Event]:
        """Queue a message behind all others. After the end of the session it is dropped.

        Returns:
            A `Closed` event if the peer reads so slowly that the buffer overflows.
        """
        if self.ended:
            return _NOTHING
        if not self._buffer.fits(outbound):
            full = self.buffered_packets + len(outbound.frames) > self._config.max_buffered_packets
            return self._end(
                CloseReason.FORCED_CLOSE,
                f"the client reads too slowly: {self.buffered_bytes} bytes in {self.buffered_packets} packets wait for it",
                "max_buffered_packets" if full else "max_buffered_bytes",
            )
        self._buffer.put(outbound)
        return _NOTHING

    def unsent(self, outbounds: Sequence[Outbound]) -> None:
        """Count messages that left while the session was `clear` and were not written after all, as taken by the WebSocket."""
        if self.ended:
            return
        for outbound in outbounds:
            self._buffer.put(outbound)
        self._buffer.take()

    def close(self, reason: CloseReason, detail: str, now: float) -> Sequence[Event]:
        """End the session from this side; what was sent before still leaves, within ``ping_timeout`` seconds.

        Over polling the close packet leaves last, in an answer of its own. Only a server that shuts down does not wait for one
        more GET, since its connections end with their answers: whoever has been told something is not told that, too. And if a
        WebSocket has probed there may be no other GET, so it follows at once.
        """
        step = TABLE[self.state].get(Input.CLOSE)
        if step is None:
            if reason is CloseReason.SERVER_SHUTTING_DOWN:
                self._owes_close = False
                self._finish_closing()
            return _NOTHING
        events: list[Event] = [Closed(reason, detail)]
        polls_on = (
            self.state is not State.PROBED
        )  # clients that have probed pause polling: the GET that is pending is the last
        if self.state in (State.ATTACHED, State.PROBED):
            events.insert(0, ProbeFailed("the session closed while the WebSocket probed"))
            self._control = ()
        self._settle()
        self._closing_by = now + self._config.ping_timeout
        self.state = step.next
        if self._transport is Transport.POLLING:
            if polls_on:
                self._owes_close = self._buffer.empty or reason is not CloseReason.SERVER_SHUTTING_DOWN
            else:
                self._buffer.put(Outbound((CLOSE,)))
        self._finish_closing()
        return events

    def abort(self, reason: CloseReason, detail: str) -> Sequence[Event]:
        """End the session from this side at once; what waits to be written is dropped."""
        if self.ended:
            self._drop()
            return _NOTHING
        return self._end(reason, detail)

    def tick(self, now: float) -> Sequence[Event]:
        """Do what is due at ``now``: pings, and the end of whoever is too late."""
        if self.ended:
            if self.state is State.CLOSING and self._closing_by is not None and now >= self._closing_by:
                self._drop()
            return _NOTHING
        if self._heartbeat.overdue(now):
            detail = f"no answer to a ping within {self._config.ping_timeout:g} s"
            return self._end(CloseReason.PING_TIMEOUT, detail)
        if now >= self._heartbeat.ping_at:
            if self._heartbeat.ping_due(now):
                self._buffer.put(PING)
            self._heartbeat.beat(now)
        if self._hold_until is not None and now >= self._hold_until:
            self._hold_until = None
            self._poll = Poll.NOOP
        if self._upgrade_by is not None and now >= self._upgrade_by:
            return self._drop_candidate(f"no upgrade within {self._config.upgrade_timeout:g} s", "upgrade_timeout")
        return _NOTHING

    def ping(self, now: float) -> Outbound | None:
        """Do what `tick` does when all that is due is a ping, and that may leave through the WebSocket at once.

        Returns:
            The ping, which the driver sends as any message; None if something else is due: then nothing has happened.
        """
        if not self.clear or not self._heartbeat.ping_due(now):
            return None
        self._heartbeat.beat(now)
        return PING

    # Outputs.

    def take(self) -> Sequence[Outbound]:
        """Return everything that must leave through the WebSocket now, in order; `written` confirms it.

        Nothing comes while a polling answer with packets is still being written: they may have to come back into the
        queue.
        """
        control, self._control = self._control, ()
        if self._transport is not Transport.WEBSOCKET or self._buffer.lent or self.state is State.CLOSED:
            return control
        taken = self._buffer.take()
        return [*control, *taken] if control else taken

    def written(self) -> None:
        """Confirm that everything that `take` returned has been handed to the connection."""
        self._buffer.written()
        self._finish_closing()

    def take_payload(self) -> str | None:
        """Return the answer to the pending GET, or None while it must wait (or is refused, see `poll_refused`).

        At most ``max_packets_per_poll`` packets are in it; `poll_done` must follow, whatever becomes of it.
        """
        if self._poll is Poll.NONE or self._poll is Poll.REFUSED or self._in_flight:
            return None
        if self._poll is Poll.NOOP:
            return self._answer(NOOP)
        if self.state is State.CLOSED:
            return self._answer(self._farewell)
        if self._owes_close and not self._buffer.queued:
            self._owes_close = False
            self._buffer.put(Outbound((CLOSE,)))
        if not self._buffer.queued:
            return None
        return self._answer(engineio.SEPARATOR.join(self._buffer.take_frames(self._config.max_packets_per_poll)))

    def poll_done(self, *, written: bool) -> None:
        """Tell what became of the answer that `take_payload` returned; if it was not written its packets come back."""
        self._in_flight = False
        self._buffer.frames_done(written=written)
        self._finish_closing()

    # The steps of the table.

    def _request(self, which: Input, now: float) -> Sequence[Event]:
        step = TABLE[self.state].get(which)
        if step is None or self._transport is Transport.WEBSOCKET:  # also while the session closes
            return (Conflict(),)
        self.state = step.next
        return step.action(self, "", now)

    def _receive_packet(self, packet: engineio.Packet, transport: Transport, now: float) -> Sequence[Event]:
        which = _PACKET_INPUTS.get((transport, packet.type))
        step = None if which is None else TABLE[self.state].get(which)
        if step is None or (which is Input.PROBE and packet.data != "probe"):
            return self._violation(transport, f"a {packet.type.name} packet by {transport} is not allowed here")
        self.state = step.next
        return step.action(self, packet.data, now)

    def _nothing(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        return _NOTHING

    def _deliver(self, data: str | bytes, _now: float) -> Sequence[Event]:
        return (Message(data),)

    def _peer_closed(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        self._farewell = NOOP  # "6" frees the GET of a client that has closed (Engine.IO protocol, "HTTP long-polling")
        return self._end(CloseReason.TRANSPORT_CLOSE, "the client closed the session")

    def _peer_closed_too(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        self._farewell = NOOP
        self._drop()  # it asks for nothing any more
        return _NOTHING

    def _begin_upgrade(self, _data: str | bytes, now: float) -> Sequence[Event]:
        self._upgrade_by = now + self._config.upgrade_timeout
        return _NOTHING

    def _answer_probe(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        self._control = (PROBE_ANSWER,)
        if self._poll is Poll.WAITING and not self._buffer.queued:
            self._poll = Poll.NOOP
        return _NOTHING

    def _finish_upgrade(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        self._transport = Transport.WEBSOCKET
        self._upgrade_by = None
        self._hold_until = None
        if self._poll is Poll.HELD:
            self._poll = Poll.REFUSED
        elif self._poll is Poll.WAITING:
            self._poll = Poll.NOOP
        return (Upgraded(),)

    def _begin_poll(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        if self._poll is not Poll.NONE:
            return self._conflict("a second GET came while one was pending")
        self._poll = Poll.WAITING
        return _NOTHING

    def _hold_poll(self, data: str | bytes, now: float) -> Sequence[Event]:
        if self._poll is not Poll.NONE:
            return self._begin_poll(data, now)
        self._poll = Poll.HELD
        self._hold_until = now + HOLD
        return _NOTHING

    def _begin_post(self, _data: str | bytes, _now: float) -> Sequence[Event]:
        if self._posting:
            return self._conflict("a second POST came while one was being read")
        self._posting = True
        return _NOTHING

    # Endings.

    def _violation(self, transport: Transport, detail: str) -> Sequence[Event]:
        if self.ended:
            return _NOTHING
        if transport is not self._transport and self.state is not _WEBSOCKET:
            return self._drop_candidate(detail)
        return self._end(CloseReason.PARSE_ERROR, detail)

    def _conflict(self, detail: str) -> Sequence[Event]:
        return (Conflict(), *self.abort(CloseReason.PARSE_ERROR, detail))

    def _drop_candidate(self, detail: str, limit: str | None = None) -> Sequence[Event]:
        self.state = State.POLLING
        self._upgrade_by = None
        self._control = ()
        if self._poll is Poll.HELD:
            self._poll = Poll.WAITING
            self._hold_until = None
        return (ProbeFailed(detail, limit),)

    def _end(self, reason: CloseReason, detail: str, limit: str | None = None) -> Sequence[Event]:
        probing = self.state in (State.ATTACHED, State.PROBED)
        self._settle()
        self._drop()
        closed = Closed(reason, detail, limit)
        return (ProbeFailed("the session closed while the WebSocket probed"), closed) if probing else (closed,)

    def _settle(self) -> None:
        self._upgrade_by = None
        self._hold_until = None
        if self._poll is Poll.HELD:
            self._poll = Poll.WAITING

    def _drop(self) -> None:
        self.state = State.CLOSED
        self._control = ()
        self._buffer.clear()

    def _finish_closing(self) -> None:
        if self.state is State.CLOSING and self._buffer.empty and not self._owes_close:
            self._drop()

    def _heard(self) -> None:
        self._heartbeat.heard()

    def _answer(self, payload: str) -> str:
        self._poll = Poll.NONE
        self._hold_until = None
        self._in_flight = True
        return payload


def _decode(frame: str | bytes, transport: Transport) -> Sequence[engineio.Packet]:
    if transport is Transport.WEBSOCKET:
        return (engineio.decode_packet(frame),)
    if isinstance(frame, bytes):
        try:
            frame = frame.decode()
        except UnicodeDecodeError as error:
            raise DecodeError("the payload is not UTF-8", error.start) from error
    return engineio.decode_payload(frame)


Action = Callable[[Session, str | bytes, float], Sequence[Event]]


class Step(NamedTuple):
    """One legal step: the state that follows and what is done on the way. An action may end the session instead."""

    next: State
    action: Action


def _while_polling(state: State, poll: Action) -> dict[Input, Step]:
    """Return the steps that every state shares in which polling is the transport."""
    return {
        Input.POLLED_MESSAGE: Step(state, Session._deliver),
        Input.POLLED_PONG: Step(state, Session._nothing),
        Input.POLLED_CLOSE: Step(state, Session._peer_closed),
        Input.POLLED_NOOP: Step(state, Session._nothing),
        Input.POLL: Step(state, poll),
        Input.POST: Step(state, Session._begin_post),
        Input.CLOSE: Step(State.CLOSING, Session._nothing),
    }


TABLE: Final[dict[State, dict[Input, Step]]] = {
    State.POLLING: {
        **_while_polling(State.POLLING, Session._begin_poll),
        Input.ATTACH: Step(State.ATTACHED, Session._begin_upgrade),
    },
    State.ATTACHED: {
        **_while_polling(State.ATTACHED, Session._hold_poll),
        Input.PROBE: Step(State.PROBED, Session._answer_probe),
        Input.LOST: Step(State.POLLING, Session._nothing),
    },
    State.PROBED: {
        **_while_polling(State.PROBED, Session._hold_poll),
        Input.UPGRADE: Step(State.WEBSOCKET, Session._finish_upgrade),
        Input.LOST: Step(State.POLLING, Session._nothing),
    },
    State.WEBSOCKET: {
        Input.FRAMED_MESSAGE: Step(State.WEBSOCKET, Session._deliver),
        Input.FRAMED_PONG: Step(State.WEBSOCKET, Session._nothing),
        Input.FRAMED_CLOSE: Step(State.WEBSOCKET, Session._peer_closed),
        # The client for Swift sends it behind the upgrade, when a POST was on its way meanwhile.
        Input.FRAMED_NOOP: Step(State.WEBSOCKET, Session._nothing),
        # A POST that was being read when the upgrade came still counts: the client has sent it.
        Input.POLLED_MESSAGE: Step(State.WEBSOCKET, Session._deliver),
        Input.POLLED_PONG: Step(State.WEBSOCKET, Session._nothing),
        Input.POLLED_CLOSE: Step(State.WEBSOCKET, Session._peer_closed),
        Input.POLLED_NOOP: Step(State.WEBSOCKET, Session._nothing),
        Input.LOST: Step(State.CLOSED, Session._nothing),
        Input.CLOSE: Step(State.CLOSING, Session._nothing),
    },
    State.CLOSING: {
        Input.POLLED_CLOSE: Step(State.CLOSED, Session._peer_closed_too),
        Input.POLL: Step(State.CLOSING, Session._begin_poll),
        Input.POST: Step(State.CLOSING, Session._begin_post),
        Input.LOST: Step(State.CLOSED, Session._nothing),
    },
    State.CLOSED: {},
}
