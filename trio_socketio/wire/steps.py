"""What a sequence diagram shows of lines: how each is called, in which lane it runs, and which one it answers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from trio_socketio.protocol.trace import Sender
from trio_socketio.wire import preview
from trio_socketio.wire.values import Kind, Line

POLLING, WEBSOCKET = "polling", "websocket"

HEARTBEATS = frozenset({Kind.PING, Kind.PONG})
"""Lines that tell little: drawn thin, and folded where there are many."""

_LABELS = {
    (Kind.CONNECT, Sender.SERVER): "connected",
    (Kind.CONNECT_ERROR, Sender.SERVER): "refused",
    (Kind.PROBE, Sender.CLIENT): "probe",
    (Kind.PROBE, Sender.SERVER): "probe works",
    (Kind.UPGRADE, Sender.CLIENT): "upgrade",
}

_CALLS = frozenset({Kind.EVENT, Kind.ACK})
"""Kinds whose payload is a list of arguments."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some steps in a row, by their indexes."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    """One line in a diagram."""

    line: Line
    session: int
    """Its session, by its index in `Steps.sessions`."""
    label: str
    """What it is called: the name of the event, or its kind."""
    contents: str
    """The beginning of what it carries."""
    partner: int | None = None
    """The index of the step that it answers."""


@dataclass(slots=True)
class Session:
    """One session in a diagram."""

    sid: str
    """Empty for everything whose session is not known."""
    steps: int = 0
    lanes: dict[str, Span] = field(default_factory=dict)
    """From where to where each transport is in use."""
    move: Span | None = None
    """From the probe to the upgrade, when the session has moved to WebSocket."""
    probe: int | None = None
    """The client's last probe."""

    def extend(self, index: int, line: Line) -> None:
        """Take in a line at an index."""
        self.steps += 1
        if line.transport:
            lane = self.lanes.get(line.transport)
            self.lanes[line.transport] = Span(index if lane is None else lane.first, index)
        if line.kind is Kind.PROBE and line.sender is Sender.CLIENT:
            self.probe = index
        elif line.kind is Kind.UPGRADE and self.probe is not None and self.move is None:
            self.move = Span(self.probe, index)


@dataclass(frozen=True, slots=True)
class Steps:
    """Lines, ready to be drawn."""

    steps: list[Step]
    sessions: list[Session]
    """In order of their first step."""

    @classmethod
    def of(cls, lines: Iterable[Line], width: int) -> "Steps":
        """Lay lines out.

        Args:
            lines: What is to be drawn, in order of time.
            width: Characters of the contents that are shown at most.
        """
        steps: list[Step] = []
        sessions: dict[str, tuple[int, Session]] = {}
        asked: dict[object, int] = {}
        for index, line in enumerate(lines):
            number, session = sessions.setdefault(line.sid, (len(sessions), Session(line.sid)))
            session.extend(index, line)
            partner = None
            if (key := _answer_to(line)) is not None:
                partner = asked.pop(key, None)
            if (key := _question(line)) is not None:
                asked[key] = index
            steps.append(Step(line, number, label(line), contents(line, width), partner))
        return cls(steps, [session for _, session in sessions.values()])


def label(line: Line) -> str:
    """Return what a line is called."""
    if line.kind in _CALLS and line.event is not None:
        name = preview.shorten(preview.printable(line.event), 60)
        return name if line.kind is Kind.EVENT else f"ack {name}"
    return _LABELS.get((line.kind, line.sender), line.kind.value) if line.sender else line.kind.value


def contents(line: Line, width: int) -> str:
    """Return the beginning of what a line carries, or of what there is to say about it."""
    if line.kind in (Kind.NOTE, Kind.FAULT):
        return preview.shorten(preview.printable(line.detail), width)
    if line.kind in _CALLS and isinstance(line.payload, list):
        return preview.arguments(line.payload, width)
    return "" if line.payload is None else preview.value(line.payload, width)


def _question(line: Line) -> object | None:
    """Return what the answer to a line will be found by, or None when there is none to come."""
    if line.kind is Kind.EVENT and line.asks:
        return (line.sid, Kind.ACK, line.namespace, line.ack_id, line.sender)
    if line.kind is Kind.CONNECT and line.sender is Sender.CLIENT:
        return (line.sid, Kind.CONNECT, line.namespace)
    return None


def _answer_to(line: Line) -> object | None:
    if line.kind is Kind.ACK:
        asker = Sender.SERVER if line.sender is Sender.CLIENT else Sender.CLIENT
        return (line.sid, Kind.ACK, line.namespace, line.ack_id, asker)
    if line.sender is Sender.SERVER and line.kind in (Kind.CONNECT, Kind.CONNECT_ERROR):
        return (line.sid, Kind.CONNECT, line.namespace)
    return None
