"""Counts the lines of a conversation, within bounds, and sums them up."""

import hashlib
import statistics
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from trio_socketio.protocol.trace import Sender
from trio_socketio.wire.summary import (
    AckSummary,
    Broadcast,
    EventSummary,
    Fault,
    HeartbeatSummary,
    NamespaceSummary,
    SessionSummary,
    Summary,
    Traffic,
)
from trio_socketio.wire.values import Kind, Limits, Line, bounded_name

BROADCAST_WINDOW = 0.25
"""Seconds within which identical frames must reach several sessions to look like one broadcast. A server writes the
frames of a broadcast one right after the other; the rest is for links of different speed and long-polling."""


@dataclass(slots=True)
class _Count:
    """Packets in one direction, still counting."""

    count: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        self.count += 1
        self.size += size

    def traffic(self) -> Traffic:
        return Traffic(self.count, self.size)


def _both() -> dict[Sender, _Count]:
    return {sender: _Count() for sender in Sender}


@dataclass(slots=True)
class _Session:
    first: float
    last: float
    transports: list[str] = field(default_factory=list)
    opened: float | None = None
    closed: float | None = None
    ended: str | None = None
    traffic: dict[Sender, _Count] = field(default_factory=_both)
    joined: set[str] = field(default_factory=set)
    """The namespaces that the server granted and nobody left."""

    def end(self, time: float, why: str) -> None:
        if self.ended is None:  # what follows the end, such as the WebSocket's close, explains it less well
            self.closed, self.ended = time, why


@dataclass(slots=True)
class _Namespace:
    connections: int = 0
    refusals: int = 0
    sids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    events: dict[str, dict[Sender, _Count]] = field(default_factory=dict)


class _Times:
    """Answer times: how many, the largest, and the median of the latest."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.maximum: float | None = None
        self._latest: deque[float] = deque(maxlen=limit)

    def add(self, seconds: float) -> None:
        self.count += 1
        self.maximum = seconds if self.maximum is None else max(self.maximum, seconds)
        self._latest.append(seconds)

    @property
    def median(self) -> float | None:
        return statistics.median(self._latest) if self._latest else None


@dataclass(slots=True)
class _Round:
    """Identical frames of one moment, and whom they reached."""

    time: float
    namespace: str
    event: str
    sids: set[str]


class _Broadcasts:
    """Finds events that reached several sessions at nearly the same moment."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rounds: OrderedDict[bytes, _Round] = OrderedDict()
        self._recipients = 0
        self._found: dict[tuple[str, str], Broadcast] = {}

    def add(self, line: Line, namespace: str, event: str) -> None:
        key = _digest(line.frames)
        current = self._rounds.get(key)
        if current is not None and (line.sid in current.sids or line.time - current.time > BROADCAST_WINDOW):
            self._end(key)  # the same session has it again: the next one begins
            current = None
        if current is None:
            current = self._rounds[key] = _Round(line.time, namespace, event, set())
        current.sids.add(line.sid)
        self._recipients += 1
        while True:
            key, oldest = next(iter(self._rounds.items()))
            past = line.time - oldest.time > BROADCAST_WINDOW
            if not past and self._recipients <= self._limits.recent_recipients:
                break
            self._end(key)
            if not self._rounds:
                break

    def _end(self, key: bytes) -> None:
        current = self._rounds.pop(key)
        self._recipients -= len(current.sids)
        _count_round(self._found, current, self._limits.events)

    def found(self) -> tuple[Broadcast, ...]:
        found = dict(self._found)
        for current in self._rounds.values():  # they may still grow, so they are counted in a copy
            _count_round(found, current, self._limits.events)
        return tuple(sorted(found.values(), key=lambda one: (-one.recipients, -one.times, one.namespace, one.event)))


def _count_round(found: dict[tuple[str, str], Broadcast], current: _Round, limit: int) -> None:
    if len(current.sids) < 2:
        return
    key = current.namespace, current.event
    before = found.get(key)
    if before is not None:
        recipients = max(before.recipients, len(current.sids))
        found[key] = Broadcast(*key, before.times + 1, recipients)
    elif len(found) < limit:
        found[key] = Broadcast(*key, 1, len(current.sids))


def _digest(frames: tuple[str | bytes, ...]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for frame in frames:
        data = frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()


class Tally:
    """Counts the lines of a conversation.

    Args:
        limits: How much it keeps.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._first: float | None = None
        self._last: float | None = None
        self._traffic = _both()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._session_count = 0
        self._namespaces: dict[str, _Namespace] = {}
        self._event_names = 0
        self._asked = 0
        self._acks = _Times(limits.times)
        self._heartbeats = _Times(limits.times)
        self._broadcasts = _Broadcasts(limits)
        self._messages = 0
        self._faults: list[Fault] = []
        self._fault_count = 0
        self._omitted = 0

    def add(self, line: Line) -> None:
        """Count a line."""
        self._first = line.time if self._first is None else min(self._first, line.time)
        self._last = line.time if self._last is None else max(self._last, line.time)
        if line.sender is not None and line.frames:
            self._traffic[line.sender].add(line.size)
        if line.sid or line.kind is not Kind.NOTE:  # a note without a session is not about one
            self._count_session(line)
        if line.namespace is not None:
            self._count_namespace(line, bounded_name(line.namespace))
        match line.kind:
            case Kind.FAULT:
                self._fault_count += 1
                if len(self._faults) < self._limits.faults:
                    self._faults.append(Fault(line.time, line.sid, line.detail))
            case Kind.MESSAGE:
                self._messages += 1
            case Kind.EVENT if line.asks:
                self._asked += 1
            case Kind.ACK if line.answers is not None:
                self._acks.add(line.answers)
            case Kind.PONG if line.answers is not None:
                self._heartbeats.add(line.answers)

    def _count_session(self, line: Line) -> None:
        session = self._sessions.get(line.sid)
        if session is None:
            session = self._sessions[line.sid] = _Session(line.time, line.time)
            self._session_count += 1
            if len(self._sessions) > self._limits.sessions:
                self._sessions.popitem(last=False)
        else:
            self._sessions.move_to_end(line.sid)
        session.first = min(session.first, line.time)
        session.last = max(session.last, line.time)
        if line.sender is not None and line.frames:
            session.traffic[line.sender].add(line.size)
        if line.transport and line.transport not in session.transports:
            session.transports.append(line.transport)
        match line.kind:
            case Kind.NOTE:
                session.end(line.time, line.detail)
            case Kind.CLOSE:
                session.end(line.time, f"The {line.sender} closed the session")
            case Kind.NOOP:
                pass  # it may answer a request that was still waiting when the session ended
            case _:
                session.closed = session.ended = None  # what looked like the end was none
        namespace = None if line.namespace is None else bounded_name(line.namespace)
        if line.kind is Kind.OPEN:
            session.opened = line.time
        elif namespace is None:
            pass
        elif line.kind is Kind.CONNECT and line.sender is Sender.SERVER:
            if len(session.joined) < self._limits.namespaces:
                session.joined.add(namespace)
        elif line.kind is Kind.DISCONNECT:
            session.joined.discard(namespace)
            if not session.joined:
                session.end(line.time, f"The {line.sender} disconnected from {namespace}")

    def _count_namespace(self, line: Line, name: str) -> None:
        namespace = self._namespaces.get(name)
        if namespace is None:
            if len(self._namespaces) >= self._limits.namespaces:
                self._omitted += 1
                return
            namespace = self._namespaces[name] = _Namespace()
        match line.kind:
            case Kind.CONNECT if line.sender is Sender.SERVER:
                namespace.connections += 1
                sid = line.payload.get("sid") if isinstance(line.payload, dict) else None
                if isinstance(sid, str):
                    namespace.sids[bounded_name(sid)] = None
                    if len(namespace.sids) > self._limits.sids:
                        namespace.sids.popitem(last=False)
            case Kind.CONNECT_ERROR:
                namespace.refusals += 1
            case Kind.EVENT if line.event is not None and line.sender is not None:
                event = bounded_name(line.event)
                if line.sender is Sender.SERVER and not line.asks and len(self._sessions) > 1:
                    self._broadcasts.add(line, name, event)
                counts = namespace.events.get(event)
                if counts is None:
                    if self._event_names >= self._limits.events:
                        self._omitted += 1
                        return
                    self._event_names += 1
                    counts = namespace.events[event] = _both()
                counts[line.sender].add(line.size)

    def summary(self) -> Summary:
        """Return what was counted so far."""
        sessions = [
            SessionSummary(
                sid=sid,
                transports=tuple(session.transports),
                first=session.first,
                last=session.last,
                opened=session.opened,
                closed=session.closed,
                ended=session.ended,
                to_server=session.traffic[Sender.CLIENT].traffic(),
                to_client=session.traffic[Sender.SERVER].traffic(),
            )
            for sid, session in self._sessions.items()
        ]
        return Summary(
            first=self._first,
            last=self._last,
            to_server=self._traffic[Sender.CLIENT].traffic(),
            to_client=self._traffic[Sender.SERVER].traffic(),
            sessions=tuple(sorted(sessions, key=lambda session: session.first)),
            session_count=self._session_count,
            namespaces=tuple(_namespace(name, self._namespaces[name]) for name in sorted(self._namespaces)),
            acks=AckSummary(
                asked=self._asked,
                answered=self._acks.count,
                unanswered=self._asked - self._acks.count,
                median=self._acks.median,
                maximum=self._acks.maximum,
            ),
            heartbeats=HeartbeatSummary(self._heartbeats.count, self._heartbeats.median, self._heartbeats.maximum),
            broadcasts=self._broadcasts.found(),
            messages=self._messages,
            faults=tuple(self._faults),
            fault_count=self._fault_count,
            omitted=self._omitted,
        )


def _namespace(name: str, counted: _Namespace) -> NamespaceSummary:
    events = [
        EventSummary(event, counts[Sender.CLIENT].traffic(), counts[Sender.SERVER].traffic())
        for event, counts in counted.events.items()
    ]
    events.sort(key=lambda event: (-(event.to_server.count + event.to_client.count), event.name))
    return NamespaceSummary(name, counted.connections, counted.refusals, tuple(counted.sids), tuple(events))
