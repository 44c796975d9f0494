"""What a conversation came to, as text for a terminal or a file."""

from collections.abc import Iterator, Sequence

from trio_socketio.wire import preview
from trio_socketio.wire.ansi import Style, paint
from trio_socketio.wire.summary import EventSummary, NamespaceSummary, SessionSummary, Summary, Traffic

MAX_ROWS = 20
"""Rows that a part of the summary shows; it says how many more there are."""


def format_summary(summary: Summary, *, color: bool, width: int | None) -> str:
    """Return the summary as several lines, without the end of the last.

    Args:
        summary: What to show.
        color: Whether to use ANSI escape sequences.
        width: The columns of the terminal; None for any.
    """
    parts = [
        ("Summary", Style.BOLD, _totals(summary)),
        ("Sessions", Style.BOLD, _sessions(summary)),
        ("Namespaces", Style.BOLD, _namespaces(summary)),
        ("Acknowledgements", Style.BOLD, _acks(summary)),
        ("Heartbeats", Style.BOLD, _heartbeats(summary)),
        (
            "Likely broadcasts: identical packets that reached several sessions at once",
            Style.BOLD,
            _broadcasts(summary),
        ),
        ("Faults", Style.RED, _faults(summary)),
    ]
    lines: list[str] = []
    for title, style, rows in parts:
        shown = [preview.shorten("  " + row, width) for row in rows]
        if shown:
            lines += ["", paint(preview.shorten(title, width), style, color=color), *shown]
    return "\n".join(lines[1:])


def _totals(summary: Summary) -> Iterator[str]:
    if summary.first is None or summary.last is None:
        yield "There is no Socket.IO traffic."
        return
    sessions = _count(summary.session_count, "session")
    yield f"{sessions} in {preview.duration(summary.last - summary.first)}"
    yield f"→ {_traffic(summary.to_server)} to the server, ← {_traffic(summary.to_client)} to the client"
    if summary.messages:
        yield f"{_count(summary.messages, 'message')} that no Socket.IO parser reads"
    if not summary.fault_count:
        yield "No faults"


def _sessions(summary: Summary) -> Iterator[str]:
    shown = summary.sessions[:MAX_ROWS]
    start = summary.first or 0.0
    for session in shown:
        yield from _session(session, start)
    yield from _more(summary.session_count - len(shown))


def _session(session: SessionSummary, start: float) -> Iterator[str]:
    name = preview.printable(session.sid[:7]) if session.sid else "unknown"
    ways = ", then ".join(preview.printable(transport) for transport in session.transports)
    began = "opened" if session.opened is not None else "first seen"
    first = session.first if session.opened is None else session.opened
    yield (
        f"{name}  {ways}; {began} at {first - start:.3f}, lasted {preview.duration(session.duration)}; "
        f"→ {_cell(session.to_server)}, ← {_cell(session.to_client)}"
    )
    yield f"         {'Still open at the end' if session.ended is None else preview.printable(session.ended)}"


def _namespaces(summary: Summary) -> Iterator[str]:
    for namespace in summary.namespaces[:MAX_ROWS]:
        yield from _namespace(namespace)
    yield from _more(len(summary.namespaces) - MAX_ROWS)
    if summary.omitted:
        yield f"{_count(summary.omitted, 'packet')} with yet other names"


def _namespace(namespace: NamespaceSummary) -> Iterator[str]:
    connections = _count(namespace.connections, "connection")
    refusals = f", {_count(namespace.refusals, 'refusal')}" if namespace.refusals else ""
    yield f"{preview.printable(namespace.name)}  {connections}{refusals}"
    shown = namespace.events[:MAX_ROWS]
    width = min(max([len("event"), *(preview.columns(_name(event)) for event in shown)]), 32)
    if shown:
        yield f"  {'event':<{width}}  {'→ to server':>20}  {'← to client':>20}"
    for event in shown:
        name = preview.shorten(_name(event), width)
        space = " " * (width - preview.columns(name))
        yield f"  {name}{space}  {_cell(event.to_server):>20}  {_cell(event.to_client):>20}"
    yield from _more(len(namespace.events) - len(shown), "  ")


def _name(event: EventSummary) -> str:
    return preview.printable(event.name)


def _acks(summary: Summary) -> Iterator[str]:
    acks = summary.acks
    if acks.asked:
        answered = f"{acks.answered} of {_count(acks.asked, 'event')} that wanted an ack got one"
        yield answered + _times(acks.median, acks.maximum)


def _heartbeats(summary: Summary) -> Iterator[str]:
    heartbeats = summary.heartbeats
    if heartbeats.count:
        yield f"{_count(heartbeats.count, 'ping')} answered" + _times(heartbeats.median, heartbeats.maximum)


def _times(median: float | None, maximum: float | None) -> str:
    if median is None or maximum is None:
        return ""
    return f"; median {preview.duration(median)}, slowest {preview.duration(maximum)}"


def _broadcasts(summary: Summary) -> Iterator[str]:
    for broadcast in summary.broadcasts[:MAX_ROWS]:
        where = f"{preview.printable(broadcast.namespace)} {preview.printable(broadcast.event)}"
        often = "once, to" if broadcast.times == 1 else f"{broadcast.times} times, to at most"
        yield f"{where}  {often} {broadcast.recipients} sessions"
    yield from _more(len(summary.broadcasts) - MAX_ROWS)


def _faults(summary: Summary) -> Sequence[str]:
    start = summary.first or 0.0
    shown = summary.faults[:MAX_ROWS]
    rows = [
        f"{fault.time - start:.3f}  {preview.printable(fault.sid[:7]) or '-'}  {preview.printable(fault.detail)}"
        for fault in shown
    ]
    return [*rows, *_more(summary.fault_count - len(shown))]


def _more(count: int, indent: str = "") -> Iterator[str]:
    if count > 0:
        yield f"{indent}and {count} more"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _traffic(traffic: Traffic) -> str:
    return f"{_count(traffic.count, 'packet')} ({preview.size(traffic.size)})"


def _cell(traffic: Traffic) -> str:
    return f"{traffic.count} ({preview.size(traffic.size)})" if traffic.count else "-"
