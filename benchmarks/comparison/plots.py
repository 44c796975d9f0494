"""Two kinds of plots as SVG: bars of one load, and lines of a growth curve. Colours come from the page's style sheet.

Every mark says its figure in words too, beside it or as a title that appears when it is pointed at, so no plot depends on colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from comparison.figures import Median
from comparison.tables import number

WIDTH: Final = 400
LABEL: Final = 132
"""Where bars begin."""
ROW: Final = 22
BAR: Final = 12
VALUE: Final = 62
"""What is left for the figure behind the longest bar."""

LINES_WIDTH: Final = 620
LINES_HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 12, 40


@dataclass(frozen=True, slots=True)
class Bar:
    """One server's figure for a load."""

    label: str
    series: int
    """The number of its colour."""
    median: Median | None
    instead: str = ""
    """What is said if there is no figure."""


@dataclass(frozen=True, slots=True)
class Line:
    """One server's figures along a growth curve."""

    label: str
    series: int
    points: Sequence[tuple[int, Median]]


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Return horizontal bars from zero, each with a whisker from its lowest to its highest round."""
    top = max((row.median.high for row in rows if row.median), default=0.0) or 1.0
    room = WIDTH - LABEL - VALUE
    height = len(rows) * ROW + 4
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for index, row in enumerate(rows):
        y = index * ROW + 2
        middle = y + ROW / 2
        parts.append(f'<text class="name" x="{LABEL - 8}" y="{middle + 4:.1f}">{escape(row.label)}</text>')
        if row.median is None:
            parts.append(f'<text class="none" x="{LABEL}" y="{middle + 4:.1f}">{escape(row.instead)}</text>')
            continue
        length, low, high = (each / top * room for each in (row.median.value, row.median.low, row.median.high))
        hint = f"{row.label}: {number(row.median.value)} {unit}, {number(row.median.low)} to {number(row.median.high)}"
        parts.append(
            f'<g><title>{escape(hint)}</title><path class="bar s{row.series}" d="{_bar(LABEL, middle - BAR / 2, length)}"/>'
            f'<path class="whisker" d="M{LABEL + low:.1f} {middle:.1f}H{LABEL + high:.1f}"/>'
            f'<text class="value" x="{LABEL + high + 6:.1f}" y="{middle + 4:.1f}">{number(row.median.value)}</text></g>'
        )
    parts.append(f'<path class="axis" d="M{LABEL} 0V{height}"/></svg>')
    return "".join(parts)


def _bar(x: float, y: float, length: float) -> str:
    """Return a bar whose far end is rounded."""
    radius = min(3.0, length / 2)
    return (
        f"M{x} {y:.1f}h{length - radius:.1f}q{radius:.1f} 0 {radius:.1f} {radius:.1f}v{BAR - 2 * radius:.1f}"
        f"q0 {radius:.1f} -{radius:.1f} {radius:.1f}H{x}z"
    )


def lines(title: str, unit: str, along: str, series: Sequence[Line]) -> str:
    """Return lines over a logarithmic scale of counts, from zero up."""
    at = sorted({x for line in series for x, _ in line.points})
    top = _nice(max((median.high for line in series for _, median in line.points), default=1.0))
    first, last = math.log10(at[0]), math.log10(at[-1])

    def place(x: int, y: float) -> tuple[float, float]:
        share = (math.log10(x) - first) / (last - first) if last > first else 0.5
        return (
            LEFT + share * (LINES_WIDTH - LEFT - RIGHT),
            LINES_HEIGHT - BOTTOM - y / top * (LINES_HEIGHT - TOP - BOTTOM),
        )

    parts = [f'<svg viewBox="0 0 {LINES_WIDTH} {LINES_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for step in range(5):
        value = top * step / 4
        _, y = place(at[0], value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{LINES_WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick end" x="{LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>')
    below = LINES_HEIGHT - BOTTOM + 18
    parts += [f'<text class="tick" x="{place(x, 0)[0]:.1f}" y="{below}">{x:,}</text>' for x in at]
    parts.append(f'<text class="tick" x="{(LEFT + LINES_WIDTH) / 2:.0f}" y="{LINES_HEIGHT - 4}">{escape(along)}</text>')
    for line in series:
        path = " ".join("{:.1f},{:.1f}".format(*place(x, median.value)) for x, median in line.points)
        parts.append(f'<polyline class="line s{line.series}" points="{path}"/>')
        for x, median in line.points:
            across, up = place(x, median.value)
            _, low = place(x, median.low)
            _, high = place(x, median.high)
            hint = f"{line.label}, {x:,} {along}: {number(median.value)} {unit}"
            parts.append(f'<path class="whisker" d="M{across:.1f} {low:.1f}V{high:.1f}"/>')
            parts.append(
                f'<circle class="dot s{line.series}" cx="{across:.1f}" cy="{up:.1f}" r="4"><title>{escape(hint)}</title></circle>'
            )
    parts.append("</svg>")
    return "".join(parts)


def _nice(value: float) -> float:
    """Return the next round number above, whose quarters are short numbers."""
    power: float = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)
