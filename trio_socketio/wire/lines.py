"""One line of text per packet, in columns, for a terminal or a file."""

from dataclasses import dataclass
from datetime import UTC, datetime

from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.trace import Sender
from trio_socketio.wire import preview
from trio_socketio.wire.ansi import Style, paint
from trio_socketio.wire.summary_text import format_summary
from trio_socketio.wire.values import Kind, Line

__all__ = ["format_header", "format_line", "format_summary"]


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: what stands above it, and where its text stands in it."""

    title: str
    width: int
    right: bool = False

    def fit(self, text: str) -> str:
        text = preview.shorten(text, self.width)
        space = " " * (self.width - preview.columns(text))
        return space + text if self.right else text + space


_COLUMNS = (
    _Column("time", 8, right=True),
    _Column("since", 8, right=True),
    _Column("session", 7),
    _Column("via", 4),
    _Column("", 1),
    _Column("size", 6, right=True),
    _Column("packet", 10),
)
"""A sid is longer than its column; what is shown is enough to tell sessions apart, and not enough to take one over."""

_PLACE = sum(column.width + 1 for column in _COLUMNS)
"""Where the text of a line begins."""

_SMALLEST_TEXT = 16
"""Columns that the text of a line has at least; on a narrower terminal it runs over."""

_ARROWS = {Sender.CLIENT: ("→", Style.CYAN), Sender.SERVER: ("←", Style.MAGENTA), None: (" ", Style.PLAIN)}

_VIA = {"polling": "poll", "websocket": "ws"}

_LABELS: dict[tuple[Kind, Sender | None], str] = {
    (Kind.CONNECT, Sender.SERVER): "connected",
    (Kind.CONNECT_ERROR, Sender.SERVER): "refused",
}
"""What a line says instead of its kind, where that is clearer."""

_STYLES = {
    Kind.OPEN: Style.GREEN,
    Kind.CONNECT: Style.GREEN,
    Kind.EVENT: Style.BOLD,
    Kind.FAULT: Style.RED,
    Kind.CONNECT_ERROR: Style.RED,
    Kind.NOTE: Style.YELLOW,
}

_ROUTINE = frozenset({Kind.PING, Kind.PONG, Kind.NOOP})
"""What happens all the time and tells little: dim as a whole."""


def format_header(*, color: bool, width: int | None, start: float) -> str:
    """Return the two lines that stand above the first line and say what the columns mean, without their last end.

    Args:
        color: Whether to use ANSI escape sequences.
        width: The columns of the terminal; None for any.
        start: The moment that the times are counted from, in seconds since the epoch.
    """
    legend = f"→ to the server   ← to the client   time: seconds since {_moment(start)}"
    titles = " ".join(column.fit(column.title) for column in _COLUMNS).rstrip()
    return "\n".join(paint(preview.shorten(text, width), Style.DIM, color=color) for text in (legend, titles))


def format_line(line: Line, *, color: bool, width: int | None, start: float) -> str:
    """Return a line as text, without its end.

    Args:
        line: What to show.
        color: Whether to use ANSI escape sequences.
        width: The columns of the terminal, to which the text is cut; None for any.
        start: The moment that the time is counted from, in seconds since the epoch.
    """
    arrow, arrow_style = _ARROWS[line.sender]
    style = _STYLES.get(line.kind, Style.PLAIN)
    cells = (
        (f"{line.time - start:.3f}", Style.DIM),
        ("" if line.since is None else f"+{preview.duration(line.since)}", Style.DIM),
        (_short_sid(line.sid), Style.PLAIN),
        (preview.printable(_VIA.get(line.transport, line.transport)), Style.DIM),
        (arrow, arrow_style),
        (preview.size(line.size) if line.frames else "", Style.DIM),
        (_LABELS.get((line.kind, line.sender), line.kind.value), style),
    )
    room = None if width is None else max(width - _PLACE, _SMALLEST_TEXT)
    text = preview.shorten(_text(line, room), room)
    whole = Style.DIM if line.kind in _ROUTINE else style if line.kind in (Kind.FAULT, Kind.NOTE) else Style.PLAIN
    place = " ".join(
        paint(column.fit(cell), cell_style, color=color)
        for column, (cell, cell_style) in zip(_COLUMNS, cells, strict=True)
    )
    return f"{place} {paint(text, whole, color=color)}".rstrip()


def _moment(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        return f"{time} seconds"


def _short_sid(sid: str) -> str:
    return preview.printable(sid[: _COLUMNS[2].width]) if sid else "-"


# What is in a packet -------------------------------------------------------------------------------------------------


def _text(line: Line, room: int | None) -> str:
    """Return what stands behind the kind of a packet; it may be longer than there is room."""
    match line.kind:
        case Kind.OPEN:
            return _handshake(line.payload, room)
        case Kind.EVENT | Kind.ACK | Kind.CONNECT | Kind.CONNECT_ERROR | Kind.DISCONNECT:
            return _socketio(line, room)
        case Kind.PROBE if line.sender is Sender.CLIENT:
            return "tries the WebSocket"
        case Kind.PROBE:
            return _with_after("the WebSocket works", line)
        case Kind.UPGRADE:
            return "moves to the WebSocket"
        case Kind.PONG:
            return _with_after("", line)
        case Kind.NOTE:
            return preview.printable(line.detail)
        case Kind.FAULT:
            return _with_value(preview.printable(line.detail), line.frames[0] if line.frames else None, room)
        case Kind.MESSAGE:
            return preview.value(line.payload, room)
    return "" if line.payload is None else preview.value(line.payload, room)


def _handshake(payload: JSON, room: int | None) -> str:
    if not isinstance(payload, dict):
        return preview.value(payload, room)
    parts = []
    interval, timeout = payload.get("pingInterval"), payload.get("pingTimeout")
    if isinstance(interval, (int, float)) and isinstance(timeout, (int, float)):
        parts.append(f"ping every {interval / 1000:g} s, timeout {timeout / 1000:g} s")
    upgrades = payload.get("upgrades")
    if isinstance(upgrades, list) and upgrades:
        names = (preview.printable(upgrade) for upgrade in upgrades if isinstance(upgrade, str))
        parts.append("may upgrade to " + ", ".join(names))
    return "; ".join(parts) or preview.value(payload, room)


def _socketio(line: Line, room: int | None) -> str:
    head = preview.printable(line.namespace or "")
    if line.event is not None:
        head += f" {preview.printable(line.event)}"
    if line.asks:
        head += f", wants ack {line.ack_id}"
    elif line.ack_id is not None:
        head = _with_after(f"{head}, ack {line.ack_id}", line, comma="")
    elif line.answers is not None:
        head = _with_after(head, line)
    if line.detail:
        return f"{head}: {preview.printable(line.detail)}"
    if line.kind in (Kind.EVENT, Kind.ACK):
        if not line.payload:
            return head
        rest = None if room is None else room - len(head) - 2
        return f"{head}: {preview.arguments(line.payload, None if rest is None else max(rest, 1))}"
    return _with_value(head, line.payload, room)


def _with_after(text: str, line: Line, comma: str = ",") -> str:
    if line.answers is None:
        return text
    after = f"after {preview.duration(line.answers)}"
    return f"{text}{comma} {after}" if text else after


def _with_value(text: str, payload: JSON, room: int | None) -> str:
    if payload is None:
        return text
    rest = None if room is None else max(room - len(text) - 2, 1)
    return f"{text}: {preview.value(payload, rest)}"
