"""A conversation: what crossed the wire, frame by frame, understood as packets that belong together.

`Conversation.observe` takes records and returns lines: attachments joined to their packet, acknowledgements paired with
their events, heartbeats and upgrades recognised, broken frames explained. It has no clock and does no I/O; all tools
that watch traffic are built on it.

A watcher knows less than the two sides. It may have come late, it may miss a session's other half, and it cannot see
whether a message is meant to be Socket.IO at all. So it never concludes from what it has not seen: an ack without its
event is an ack, and messages that are no Socket.IO packets are faults only once the session has spoken Socket.IO.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from trio_socketio.protocol import engineio, jsontext, socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.trace import Sender, TracedFrame
from trio_socketio.wire.assembly import Assembler, Lost, size_of
from trio_socketio.wire.summary import Summary
from trio_socketio.wire.tally import Tally
from trio_socketio.wire.values import Kind, Limits, Line, Note, Record, bounded_name

__all__ = ["Conversation", "Kind", "Limits", "Line", "Note", "Record", "Sender", "Summary", "TracedFrame"]

_K = TypeVar("_K")
_V = TypeVar("_V")

_PROBE = "probe"
"""The data of the ping and the pong that try a WebSocket (Engine.IO protocol, "Upgrade")."""

_ONLY_FROM = {
    engineio.PacketType.OPEN: Sender.SERVER,
    engineio.PacketType.UPGRADE: Sender.CLIENT,
}
"""Packets that one side alone may send (Engine.IO protocol, "Packet types"); the client for Swift sends noops, too."""

_SIMPLE = {
    engineio.PacketType.CLOSE: Kind.CLOSE,
    engineio.PacketType.UPGRADE: Kind.UPGRADE,
    engineio.PacketType.NOOP: Kind.NOOP,
}

_KINDS = {
    socketio.PacketType.CONNECT: Kind.CONNECT,
    socketio.PacketType.DISCONNECT: Kind.DISCONNECT,
    socketio.PacketType.EVENT: Kind.EVENT,
    socketio.PacketType.ACK: Kind.ACK,
    socketio.PacketType.CONNECT_ERROR: Kind.CONNECT_ERROR,
    socketio.PacketType.BINARY_EVENT: Kind.EVENT,
    socketio.PacketType.BINARY_ACK: Kind.ACK,
}


@dataclass(slots=True)
class _Session:
    """What must be remembered of a session to understand its next frame."""

    last: float | None = None
    """When its previous line crossed."""
    revision_4: bool = False
    """Whether its server was seen to ping, which it does in revision 4 only. The handshake does not tell: there are servers that
    speak both revisions and announce ``maxPayload`` to everyone."""
    socketio: bool = False
    """Whether a Socket.IO packet was seen in it."""
    pings: dict[Sender, float] = field(default_factory=dict)
    """When each side sent a ping that is not answered yet."""
    probed: float | None = None
    connecting: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """When the client asked for a namespace that is neither granted nor refused yet."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An event that wants an ack."""

    time: float
    event: str


_AckKey = tuple[str, Sender, str, int]
"""The session, who asked, the namespace, the ack id."""


class Conversation:
    """Understands the traffic of any number of sessions.

    Args:
        limits: How much it remembers; over a limit the oldest is forgotten first.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._asked: OrderedDict[_AckKey, _Asked] = OrderedDict()
        self._assembler = Assembler(self._limits)
        self._tally = Tally(self._limits)

    def observe(self, record: Record) -> list[Line]:
        """Take the next record; return the lines that it completes, in order.

        Usually that is one. It is none for a frame whose attachments are still to come, and several when a frame ends
        a packet that stayed incomplete. Whatever the frames are, nothing is raised.
        """
        lines: list[Line] = []
        session = self._session(record.sid, lines)
        if isinstance(record, Note):
            lines.append(self._note(session, record))
        else:
            self._frame(session, record, lines)
        for line in lines:
            self._tally.add(line)
        return lines

    def finish(self) -> list[Line]:
        """Say that no more records come; return a note for each packet whose attachments did not all come."""
        lines = self._lost(self._assembler.finish())
        for line in lines:
            self._tally.add(line)
        return lines

    def summary(self) -> Summary:
        """Return what the conversation came to so far."""
        return self._tally.summary()

    # Sessions --------------------------------------------------------------------------------------------------------

    def _session(self, sid: str, lines: list[Line]) -> _Session:
        session = self._sessions.get(sid)
        if session is None:
            session = self._sessions[sid] = _Session()
            if len(self._sessions) > self._limits.sessions:
                silent = next(iter(self._sessions))
                lines += self._lost(self._assembler.forget(silent))
                del self._sessions[silent]
        else:
            self._sessions.move_to_end(sid)
        return session

    def _since(self, session: _Session, time: float) -> float | None:
        since = None if session.last is None else _seconds(session.last, time)
        session.last = time
        return since

    def _note(self, session: _Session, note: Note) -> Line:
        since = self._since(session, note.time)
        return Line(note.time, since, note.sid, note.transport, note.sender, Kind.NOTE, detail=note.text)

    # Engine.IO -------------------------------------------------------------------------------------------------------

    def _frame(self, session: _Session, record: TracedFrame, lines: list[Line]) -> None:
        try:
            packet = engineio.decode_packet(record.frame)
        except DecodeError as error:
            lines.append(self._line(session, record, Kind.FAULT, detail=str(error)))
            return
        only = _ONLY_FROM.get(packet.type, record.sender)
        if only is not record.sender:
            detail = f"Only the {only} sends packets of type {packet.type.name}"
            lines.append(self._line(session, record, Kind.FAULT, payload=packet.data or None, detail=detail))
        elif packet.type is engineio.PacketType.MESSAGE:
            self._message(session, record, packet.data, lines)
        elif isinstance(packet.data, str):  # always: only messages have bytes
            lines.append(self._control(session, record, packet.type, packet.data))

    def _control(self, session: _Session, record: TracedFrame, packet_type: engineio.PacketType, data: str) -> Line:
        """Understand a packet of Engine.IO itself."""
        if packet_type is engineio.PacketType.OPEN:
            return self._open(session, record, data)
        if packet_type is engineio.PacketType.PING:
            if data == _PROBE and record.sender is Sender.CLIENT:
                session.probed = record.time
                return self._line(session, record, Kind.PROBE)
            if record.sender is Sender.CLIENT and session.revision_4:
                detail = "In revision 4 the server pings; a client may only probe"
                return self._line(session, record, Kind.FAULT, payload=data or None, detail=detail)
            session.revision_4 = session.revision_4 or record.sender is Sender.SERVER
            session.pings[record.sender] = record.time
            return self._line(session, record, Kind.PING, payload=data or None)
        if packet_type is engineio.PacketType.PONG:
            if data == _PROBE and record.sender is Sender.SERVER:
                probed, session.probed = session.probed, None
                return self._line(session, record, Kind.PROBE, answers=_seconds(probed, record.time))
            pinged = session.pings.pop(_other(record.sender), None)
            answers = _seconds(pinged, record.time)
            return self._line(session, record, Kind.PONG, payload=data or None, answers=answers)
        return self._line(session, record, _SIMPLE[packet_type], payload=data or None)

    def _open(self, session: _Session, record: TracedFrame, data: str) -> Line:
        try:
            handshake = jsontext.decode(data)
        except DecodeError as error:
            return self._line(session, record, Kind.FAULT, detail=f"The handshake is broken: {error}")
        if not isinstance(handshake, dict) or not isinstance(handshake.get("sid"), str):
            detail = "The handshake is not an object with a sid"
            return self._line(session, record, Kind.FAULT, payload=handshake, detail=detail)
        return self._line(session, record, Kind.OPEN, payload=handshake)

    # Socket.IO -------------------------------------------------------------------------------------------------------

    def _message(self, session: _Session, record: TracedFrame, data: str | bytes, lines: list[Line]) -> None:
        step = self._assembler.feed(record, data)
        lines += self._lost(step.lost)
        if step.error is None:
            session.socketio = True
        if step.packet is not None:
            lines.append(self._packet(session, record, step.packet, step.frames))
        elif step.error is not None and session.socketio:
            lines.append(self._line(session, record, Kind.FAULT, detail=str(step.error)))
        elif step.error is not None:
            detail = f"No Socket.IO packet: {step.error.message}"
            lines.append(self._line(session, record, Kind.MESSAGE, payload=data, detail=detail))

    def _lost(self, lost: Iterable[Lost]) -> list[Line]:
        return [
            self._line(
                self._sessions[one.record.sid],
                one.record,
                Kind.FAULT if one.fault else Kind.NOTE,
                frames=one.frames,
                detail=one.reason,
            )
            for one in lost
        ]

    def _packet(
        self, session: _Session, record: TracedFrame, packet: socketio.Packet, frames: tuple[str | bytes, ...]
    ) -> Line:
        kind = _KINDS[packet.type]
        event, answers, asks, detail = None, None, False, ""
        payload: JSON = packet.data
        namespace = bounded_name(packet.namespace)
        match kind:
            case Kind.EVENT:
                event, payload = str(packet.data[0]), packet.data[1:]
                if packet.id is not None:
                    asks = True
                    asked = _Asked(record.time, bounded_name(event))
                    key = (record.sid, record.sender, namespace, packet.id)
                    _remember(self._asked, key, asked, self._limits.pending_acks)
            case Kind.ACK if packet.id is not None:
                question = self._asked.pop((record.sid, _other(record.sender), namespace, packet.id), None)
                if question is not None:
                    event, answers = question.event, _seconds(question.time, record.time)
            case Kind.CONNECT_ERROR if record.sender is Sender.CLIENT:
                kind, detail = Kind.FAULT, "Only the server sends packets of type CONNECT_ERROR"
            case Kind.CONNECT if record.sender is Sender.CLIENT:
                _remember(session.connecting, namespace, record.time, self._limits.namespaces)
                detail = f"With the query {packet.query}" if packet.query else ""
            case Kind.CONNECT | Kind.CONNECT_ERROR:
                answers = _seconds(session.connecting.pop(namespace, None), record.time)
                detail = _refusal(payload) if kind is Kind.CONNECT_ERROR else ""
        return self._line(
            session,
            record,
            kind,
            frames=frames,
            namespace=packet.namespace,
            event=event,
            ack_id=packet.id,
            payload=payload,
            answers=answers,
            asks=asks,
            detail=detail,
        )

    def _line(
        self,
        session: _Session,
        record: TracedFrame,
        kind: Kind,
        *,
        frames: tuple[str | bytes, ...] | None = None,
        namespace: str | None = None,
        event: str | None = None,
        ack_id: int | None = None,
        payload: JSON = None,
        answers: float | None = None,
        asks: bool = False,
        detail: str = "",
    ) -> Line:
        frames = (record.frame,) if frames is None else frames
        return Line(
            time=record.time,
            since=self._since(session, record.time),
            sid=record.sid,
            transport=record.transport,
            sender=record.sender,
            kind=kind,
            namespace=namespace,
            event=event,
            ack_id=ack_id,
            payload=payload,
            answers=answers,
            asks=asks,
            size=size_of(frames),
            frames=frames,
            detail=detail,
        )


def _seconds(start: float | None, end: float) -> float | None:
    # The clocks of recordings are coarse and may run backwards; nothing is answered before it was asked.
    return None if start is None else max(0.0, end - start)


def _other(sender: Sender) -> Sender:
    return Sender.SERVER if sender is Sender.CLIENT else Sender.CLIENT


def _refusal(payload: JSON) -> str:
    message = payload.get("message") if isinstance(payload, dict) else payload
    return message if isinstance(message, str) else ""


def _remember(table: OrderedDict[_K, _V], key: _K, value: _V, limit: int) -> None:
    table.pop(key, None)
    table[key] = value
    if len(table) > limit:
        table.popitem(last=False)
