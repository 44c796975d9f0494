"""A conversation as a static picture: a sequence diagram in SVG, for documents."""

import html
from collections.abc import Iterable
from dataclasses import dataclass

from trio_socketio.protocol.trace import Sender
from trio_socketio.wire import preview
from trio_socketio.wire.steps import HEARTBEATS, POLLING, WEBSOCKET, Session, Step, Steps
from trio_socketio.wire.values import Kind, Line

MIN_WIDTH = 320
"""Pixels; in less no label can be read."""

TIME, GUTTER, LANE, EDGE = 56, 26, 20, 6
"""Pixels: the column of times, the space for acknowledgements, from lane to lane, from the edge to the outer lane."""

HEAD, ROW, THIN, NOTE = 36, 38, 26, 26
"""Pixels: the height of the heading, of a packet, of one that tells little, and of a note."""

LEVELS = 3
"""How many acknowledgements are drawn beside each other."""

CHARACTER = 7.3
"""Pixels that a character of the labels is wide, at most."""

SOCKETIO = frozenset({Kind.CONNECT, Kind.CONNECT_ERROR, Kind.DISCONNECT, Kind.EVENT, Kind.ACK})

STYLE = """\
svg { color-scheme: light dark; --paper: #fbfdfc; --ink: #152220; --soft: #52625f; --edge: #8b9a96;
  --engineio: #3a4bb8; --socketio: #0a655f; --fault: #ae2545; --note: #84570a; }
@media (prefers-color-scheme: dark) { svg { --paper: #121a1b; --ink: #e4ebe8; --soft: #95a6a2; --edge: #5d6e6b;
  --engineio: #a3b0ff; --socketio: #63cbb9; --fault: #ff95a4; --note: #e2b65c; } }
text { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink); }
.paper { fill: var(--paper); } .small { font-size: 10.5px; fill: var(--soft); } .end { font-weight: 600; }
.engineio { --pigment: var(--engineio); } .socketio { --pigment: var(--socketio); }
.fault { --pigment: var(--fault); } .note { --pigment: var(--note); }
.label { fill: var(--pigment); font-weight: 600; } .note text { fill: var(--note); font-style: italic; }
.arrow { stroke: var(--pigment); stroke-width: 1.75; } .polling .arrow, .lane.polling { stroke-dasharray: 4 4; }
.thin { opacity: 0.6; } .thin .arrow { stroke-width: 1; }
.head { fill: var(--pigment); } .lane { stroke: var(--edge); stroke-width: 1.5; }
.hook { fill: none; stroke: var(--socketio); opacity: 0.7; }
.band { fill: var(--engineio); opacity: 0.1; } .moved { fill: var(--engineio); font-size: 10.5px; }"""


def render_svg(lines: Iterable[Line], width: int = 720) -> str:
    """Return lines as an SVG picture: the client on the left, the server on the right, time downwards.

    WebSocket runs between the outer lanes, polling, dashed, between the inner ones. The colours follow the reader's
    preference for light or dark.

    Args:
        lines: What happened, in order of time.
        width: The width of the picture in pixels, at least `MIN_WIDTH`.
    """
    steps = Steps.of(lines, max(width, MIN_WIDTH))
    return _Picture(max(width, MIN_WIDTH), steps).draw()


@dataclass(slots=True)
class _Picture:
    """A picture in the making."""

    width: int
    steps: Steps

    def draw(self) -> str:
        tops = [HEAD]
        for step in self.steps.steps:
            tops.append(tops[-1] + _height(step))
        height = tops[-1] + 12
        start = self.steps.steps[0].line.time if self.steps.steps else 0.0
        size = f'width="{self.width}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height}" {size} role="img">',
            f"<title>Sequence diagram of {len(self.steps.steps)} packets</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="paper" {size} rx="8"/>',
            self._text(self.left(WEBSOCKET), 22, "client", "end"),
            self._text(self.right(WEBSOCKET), 22, "server", "end", "end"),
        ]
        parts += self._legend()
        for session in self.steps.sessions:
            parts += self._band(session, tops)
        parts += self._lanes(tops)
        levels = self._levels()
        for index, step in enumerate(self.steps.steps):
            parts += self._step(step, tops[index + 1], step.line.time - start)
            if step.partner is not None and step.line.kind is Kind.ACK:
                event = self.steps.steps[step.partner]
                parts.append(self._hook(event, step, tops[step.partner + 1], tops[index + 1], levels[index]))
        return "\n".join([*parts, "</svg>"]) + "\n"

    def left(self, transport: str) -> int:
        """Return where the client's lane of a transport is."""
        return TIME + GUTTER + EDGE + (LANE if transport == POLLING else 0)

    def right(self, transport: str) -> int:
        """Return where the server's lane of a transport is."""
        return self.width - GUTTER - EDGE - (LANE if transport == POLLING else 0)

    def _lanes(self, tops: list[int]) -> list[str]:
        parts = []
        for transport in (POLLING, WEBSOCKET):
            spans = [session.lanes[transport] for session in self.steps.sessions if transport in session.lanes]
            if not spans:
                continue
            top, bottom = tops[min(span.first for span in spans)] + 8, tops[max(span.last for span in spans) + 1]
            edges = (self.left(transport), self.right(transport))
            parts += [f'<path class="lane {transport}" d="M{x},{top}V{bottom}"/>' for x in edges]
        return parts

    def _legend(self) -> list[str]:
        """Say which line is which, between the two ends, where there is space for it."""
        middle = self.width // 2
        if self.width < MIN_WIDTH * 3 // 2:
            return []
        return [
            f'<path class="lane" d="M{middle - 110},18h24"/>',
            self._text(middle - 80, 22, "WebSocket", "small"),
            f'<path class="lane {POLLING}" d="M{middle + 20},18h24"/>',
            self._text(middle + 50, 22, POLLING, "small"),
        ]

    def _levels(self) -> dict[int, int]:
        """Return how far out each acknowledgement is joined with its event, so that few lines cover each other."""
        levels: dict[int, int] = {}
        ends: dict[tuple[Sender | None, int], int] = {}
        for index, step in enumerate(self.steps.steps):
            if step.partner is None or step.line.kind is not Kind.ACK:
                continue
            side = step.line.sender
            free = (level for level in range(LEVELS) if ends.get((side, level), -1) < step.partner)
            levels[index] = next(free, LEVELS - 1)
            ends[side, levels[index]] = index
        return levels

    def _band(self, session: Session, tops: list[int]) -> list[str]:
        if session.move is None:
            return []
        top, bottom = tops[session.move.first], tops[session.move.last + 1] + 4
        x, width = TIME + GUTTER, self.width - TIME - 2 * GUTTER
        return [f'<rect class="band" x="{x}" y="{top}" width="{width}" height="{bottom - top}" rx="4"/>']

    def _step(self, step: Step, bottom: int, time: float) -> list[str]:
        line = step.line
        base = bottom - 8
        if line.sender is None or line.kind is Kind.NOTE:
            middle = (self.left(POLLING) + self.right(POLLING)) // 2
            text = self._fitting(step.contents, self.right(POLLING) - self.left(POLLING) - 12)
            return ['<g class="note">', self._text(middle, base, text, "", "middle"), "</g>"]
        left, right = self.left(line.transport), self.right(line.transport)
        start, end = (left, right) if line.sender is Sender.CLIENT else (right, left)
        head = -8 if end > start else 8
        inner = (self.left(POLLING) + 8, self.right(POLLING) - 8)
        anchor, x = ("start", inner[0]) if line.sender is Sender.CLIENT else ("end", inner[1])
        title = self._fitting(step.label, inner[1] - inner[0])
        rest = self._fitting(self._rest(step), inner[1] - inner[0] - (len(title) + 1) * CHARACTER)
        text = f'<tspan class="label">{_escape(title)}</tspan>'
        if len(rest) > 1:
            text += f" {_escape(rest)}"
        return [
            f'<g class="{_colour(line)} {_escape(line.transport)}{" thin" if _height(step) == THIN else ""}">',
            self._text(TIME, base + 4, f"{time:.3f}", "small", "end"),
            f'<text x="{x}" y="{base - 7}" text-anchor="{anchor}">{text}</text>',
            f'<path class="arrow" d="M{start},{base}H{end + head // 2}"/>',
            f'<path class="head" d="M{end},{base}l{head},-4.5v9z"/>',
            "</g>",
        ]

    def _rest(self, step: Step) -> str:
        line = step.line
        tags = [line.namespace] if line.namespace not in (None, "/") else []
        if line.asks:
            tags.append(f"wants ack {line.ack_id}")
        if line.kind is Kind.ACK:
            tags.append(f"#{line.ack_id}")
        return " ".join(filter(None, [step.contents, *tags]))

    def _hook(self, event: Step, ack: Step, top: int, bottom: int, level: int) -> str:
        client = event.line.sender is Sender.CLIENT
        edge = self.left if client else self.right
        out = TIME + 14 - level * 5 if client else self.width - 14 + level * 5
        bend = 5 if client else -5
        start, end = edge(event.line.transport), edge(ack.line.transport)
        return (
            f'<path class="hook" d="M{start},{top - 8}H{out + bend}Q{out},{top - 8} {out},{top - 3}'
            f'V{bottom - 13}Q{out},{bottom - 8} {out + bend},{bottom - 8}H{end}"/>'
        )

    def _fitting(self, text: str, pixels: float) -> str:
        return preview.shorten(text, max(int(pixels / CHARACTER), 1))

    def _text(self, x: int, y: int, text: str, style: str, anchor: str = "start") -> str:
        return f'<text class="{style}" x="{x}" y="{y}" text-anchor="{anchor}">{_escape(text)}</text>'


def _height(step: Step) -> int:
    if step.line.kind is Kind.NOTE:
        return NOTE
    return THIN if step.line.kind in HEARTBEATS or step.line.kind is Kind.NOOP else ROW


def _colour(line: Line) -> str:
    if line.kind in (Kind.FAULT, Kind.CONNECT_ERROR):
        return "fault"
    return "socketio" if line.kind in SOCKETIO else "engineio"


def _escape(text: str) -> str:
    """Return text for XML, which has no form at all for most control characters."""
    return html.escape(preview.printable(text))
