"""A conversation as one HTML file: a sequence diagram to look through, with every frame taken apart.

The file needs nothing else, neither a server nor a network. What was on the wire is in it as JSON that no parser of HTML
can leave, and its script puts it on the page as text only. A policy in its head lets nothing run or load but that script.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any

from trio_socketio.protocol import explain
from trio_socketio.wire import preview
from trio_socketio.wire.conversation import Line, Summary
from trio_socketio.wire.steps import Session, Steps

MAX_LINES = 3_000
"""Lines of a page; a browser draws them in the twinkling of an eye, and nobody reads more."""

MAX_BYTES = 32 * 1024 * 1024
"""Bytes of the frames of these lines together."""

MAX_FRAMES = 6_000_000
"""Characters of the explanations that a page holds; the lines behind them are drawn without their frames."""

MAX_FRAMES_SHOWN = 8
"""Frames of one packet that are explained: its text and some attachments."""

MAX_SPANS = 120
"""Parts of one frame that are explained."""

MAX_CONTENT = 1_000
"""Characters of one part that are shown."""

MAX_DUMPED = 96
"""Bytes of binary data that are shown."""

LABEL = 160
"""Characters of the contents beside an arrow."""


def render_page(lines: Iterable[Line], summary: Summary, title: str, *, omitted: int = 0) -> str:
    """Return a page as HTML. Encode it as UTF-8; it holds no lone surrogates.

    Args:
        lines: What happened, in order of time; the first `MAX_LINES` are drawn.
        summary: What it came to.
        title: Stands above it.
        omitted: How many lines followed that are not among these.
    """
    everything = iter(lines)
    drawn = list(islice(everything, MAX_LINES))
    omitted += sum(1 for _ in everything)
    template = _asset("page.html")
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    values = {
        "POLICY": policy,
        "TITLE": html.escape(preview.printable(title)),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": _data(drawn, summary, omitted),
    }
    parts = template.split("@@")  # every second one is a name: one pass, so that no value is taken for a template
    return "".join(values[part] if index % 2 else part for index, part in enumerate(parts))


def _asset(name: str) -> str:
    return files("trio_socketio.wire").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _data(lines: list[Line], summary: Summary, omitted: int) -> str:
    laid_out = Steps.of(lines, LABEL)
    start = lines[0].time if lines else 0.0
    budget = _Budget(MAX_FRAMES)
    values = {
        "start": start,
        "omitted": omitted,
        "total": _total(summary),
        "sessions": [_session(session, summary) for session in laid_out.sessions],
        "steps": [
            {
                "time": round(step.line.time - start, 6),
                "session": step.session,
                "transport": step.line.transport,
                "sender": step.line.sender,
                "kind": step.line.kind,
                "label": step.label,
                "contents": step.contents,
                "namespace": step.line.namespace,
                "id": step.line.ack_id,
                "asks": step.line.asks,
                "partner": step.partner,
                "answers": step.line.answers,
                "size": step.line.size,
                "detail": step.line.detail,
                "frames": _frames(step.line, budget),
            }
            for step in laid_out.steps
        ],
    }
    # Inside a script element only "<" can end or change it; JSON may write it otherwise. The rest is ASCII.
    return json.dumps(values, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


def _total(summary: Summary) -> dict[str, Any]:
    return {
        "sessions": summary.session_count,
        "toServer": {"count": summary.to_server.count, "size": summary.to_server.size},
        "toClient": {"count": summary.to_client.count, "size": summary.to_client.size},
        "seconds": 0 if summary.first is None or summary.last is None else summary.last - summary.first,
        "acks": {"asked": summary.acks.asked, "answered": summary.acks.answered, "median": summary.acks.median},
        "faults": summary.fault_count,
    }


def _session(session: Session, summary: Summary) -> dict[str, Any]:
    ended = next((known.ended for known in summary.sessions if session.sid and known.sid == session.sid), None)
    return {
        "sid": session.sid,
        "steps": session.steps,
        "lanes": {transport: [span.first, span.last] for transport, span in session.lanes.items()},
        "move": session.move and [session.move.first, session.move.last],
        "ended": ended,
    }


@dataclass(slots=True)
class _Budget:
    """What is left for the explanations."""

    left: int


def _frames(line: Line, budget: _Budget) -> list[dict[str, Any]] | None:
    """Return the frames of a line, taken apart, or None when there is no space for them any more."""
    if budget.left <= 0:
        return None
    talk = explain.Conversation()
    frames = []
    for frame in line.frames[:MAX_FRAMES_SHOWN]:
        spans = talk.explain(frame)
        shown = [_span(span) for index, span in enumerate(spans) if index < MAX_SPANS or span.fault]
        budget.left -= sum(len(str(value)) + 8 for span in shown for value in span)
        frames.append(
            {
                "binary": isinstance(frame, bytes),
                "size": len(frame if isinstance(frame, bytes) else frame.encode("utf-8", "surrogatepass")),
                "spans": shown,
                "more": len(spans) - len(shown),
            }
        )
    return frames


def _span(span: explain.Span) -> list[Any]:
    """Return a span as the script expects it: content, layer, name, meaning, section, whether it is a fault."""
    if isinstance(span.content, bytes):
        content = span.content[:MAX_DUMPED].hex(" ")
        more = len(span.content) - MAX_DUMPED
        if more > 0:
            content += f" … {more} more bytes"
    else:
        content = span.content[:MAX_CONTENT]
        more = len(span.content) - MAX_CONTENT
        if more > 0:
            content += f"… {more} more characters"
    meaning = preview.shorten(span.meaning, 400)
    return [content, span.layer, span.name, meaning, span.section, int(span.fault)]
