"""Draws the anatomy of a frame for a terminal.

The frame stands on a line, its parts are underlined, and below it each part has a line that says what it is; the parts
are named from the last to the first, so that no connector crosses another::

    42["hi"]
    ┬┬┬┬───
    │││╰─ JSON event name · "hi": says which handlers are called
    ││╰─ JSON payload · [: the name of the event, then its arguments
    │╰─ Socket.IO packet type · 2: EVENT, a name and its arguments
    ╰─ Engine.IO packet type · 4: a message, the payload of the layer above

A frame that is too long for the width goes on below; long parts are shortened in the middle, and of very many parts
those in the middle are left out. `draw` is a pure function from spans to text.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trio_socketio.protocol.explain import Layer, Span

MIN_WIDTH = 40
"""Cells below which nothing can be drawn; a smaller width is taken for this one."""

FIRST_PARTS, LAST_PARTS = 18, 6
"""Parts that are drawn of a frame with more than both together."""

_SEPARATOR = "separator"
_BETWEEN_PACKETS = ("\x1e", b"\x1e")
_PAINTS = {
    Layer.HTTP: "33",
    Layer.WEBSOCKET: "35",
    Layer.ENGINEIO: "36",
    Layer.SOCKETIO: "32",
    Layer.JSON: "94",
}
_FAULT = "1;31"
_DIM = "2"
_BOLD = "1"

_CONTROL_PICTURES = 0x2400
"""Where Unicode has a visible character for each of the first 32, in their order."""

_DELETE = "\x7f"
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f]")
"""They ask for another look of the character before, and terminals do not agree on how wide that is."""


@dataclass(frozen=True, slots=True)
class _Ink:
    """The characters and colours that a terminal can show."""

    color: bool
    ascii_only: bool

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text and code else text

    @property
    def down(self) -> str:
        return "|" if self.ascii_only else "│"

    @property
    def corner(self) -> str:
        return "`-" if self.ascii_only else "╰─"

    def line(self, cells: int) -> str:
        return ("+" + "-" * (cells - 1)) if self.ascii_only else ("┬" + "─" * (cells - 1))

    @property
    def dots(self) -> str:
        return "..." if self.ascii_only else "…"

    @property
    def dot(self) -> str:
        return "-" if self.ascii_only else "·"

    @property
    def cross(self) -> str:
        return "!" if self.ascii_only else "✗"

    def glyph(self, character: str) -> tuple[str, int]:
        """Return how a character is shown, and how many cells that takes."""
        if character < " " or character == _DELETE:
            if self.ascii_only:
                return f"\\x{ord(character):02x}", 4
            return chr(_CONTROL_PICTURES + (0x21 if character == _DELETE else ord(character))), 1
        if character.isascii():
            return character, 1
        if self.ascii_only or not character.isprintable() or _VARIATION_SELECTORS.match(character):
            escaped = character.encode("unicode_escape").decode()
            return escaped, len(escaped)
        if unicodedata.category(character) in ("Mn", "Me"):
            return character, 0
        return character, 2 if unicodedata.east_asian_width(character) in "WF" else 1

    def glyphs(self, content: str | bytes) -> list[tuple[str, int]]:
        if isinstance(content, bytes):
            return [(f"{byte:02x} ", 3) for byte in content]
        return [self.glyph(character) for character in content]


@dataclass(frozen=True, slots=True)
class _Tile:
    """A part as it stands in the drawing."""

    text: str
    cells: int
    span: Span
    labelled: bool
    gap: int
    """Cells that stay free behind it."""

    @property
    def paint(self) -> str:
        """The code of its colour."""
        if self.span.fault:
            return _FAULT
        return _PAINTS[self.span.layer] if self.labelled else _DIM


@dataclass(frozen=True, slots=True)
class _Mark:
    """A text at its place in a line."""

    column: int
    text: str
    cells: int
    paint: str


@dataclass(frozen=True, slots=True)
class _Placed:
    """A part and the cell where it begins."""

    tile: _Tile
    column: int


def draw(spans: Sequence[Span], *, width: int = 80, color: bool = False, ascii_only: bool = False) -> str:
    """Draw the parts of one frame.

    Args:
        spans: The parts, as the functions of `trio_socketio.protocol.explain` return them.
        width: Cells that a line may have; at least `MIN_WIDTH` are used.
        color: Whether to use ANSI colours, one for each layer.
        ascii_only: Whether to do without characters that are not ASCII.

    Returns:
        The lines, without an end of line behind the last.
    """
    width = max(width, MIN_WIDTH)
    ink = _Ink(color, ascii_only)
    lines: list[str] = []
    for row in _rows(list(_tiles(spans, width, ink)), width):
        lines += ["", *_row(row, width, ink)] if lines else _row(row, width, ink)
    if any(map(_is_told, spans)):
        lines.extend(ink.paint(line, _DIM) for line in _wrapped(_sources(spans, ink), width, ink))
    return "\n".join(lines)


# From parts to rows.


def _tiles(spans: Sequence[Span], width: int, ink: _Ink) -> Iterator[_Tile]:
    left_out = range(0)
    if len(spans) > 2 * (FIRST_PARTS + LAST_PARTS):  # about every second part is a separator
        left_out = range(2 * FIRST_PARTS, len(spans) - 2 * LAST_PARTS)
    between_packets_named = False
    omitted: list[Span] = []
    for index, span in enumerate(spans):
        if index in left_out and not span.fault:
            omitted.append(span)
            continue
        if omitted:
            yield _omission(omitted, ink)
            omitted = []
        labelled = _is_told(span)
        if span.content in _BETWEEN_PACKETS and not between_packets_named:
            labelled = between_packets_named = True
        text, cells = _fitted(span.content, width // 2 - 4, ink)
        yield _Tile(text, cells, span, labelled, gap=1 if isinstance(span.content, bytes) else 0)


def _is_told(span: Span) -> bool:
    """Whether a part has a line that says what it is; a fault always has."""
    return span.name != _SEPARATOR or span.fault


def _omission(spans: Sequence[Span], ink: _Ink) -> _Tile:
    parts = sum(span.name != _SEPARATOR for span in spans)
    text = f" {ink.dots} {parts:,} parts left out {ink.dots}"
    return _Tile(text, len(text), Span("", spans[0].layer, _SEPARATOR, "", ""), labelled=False, gap=1)


def _fitted(content: str | bytes, limit: int, ink: _Ink) -> tuple[str, int]:
    """Return a content as it is shown, shortened in the middle if it takes more than some cells, and its cells."""
    if not content:
        return "(empty)", len("(empty)")
    far = 4 * limit  # a longer content is too wide anyway, unless it is a heap of combining marks
    if len(content) <= far:
        glyphs = ink.glyphs(content)
        cells = sum(size for _, size in glyphs)
        if cells <= limit:
            return _joined(glyphs)
    start = _until(ink.glyphs(content[:far]), (limit - 16) * 2 // 3)
    end = _until(ink.glyphs(content[-far:])[::-1], (limit - 16) // 3)[::-1]
    while end and end[0][1] == 0:
        del end[0]
    left = len(content) - len(start) - len(end)
    what = " bytes" if isinstance(content, bytes) else " more"
    mark = f"{ink.dots}{left:,}{what}{ink.dots}"
    if isinstance(content, bytes):
        mark += " "
    return _joined([*start, (mark, len(mark)), *end])


def _until(glyphs: list[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    taken = 0
    for index, (_, cells) in enumerate(glyphs):
        taken += cells
        if taken > limit:
            return glyphs[:index]
    return glyphs


def _joined(glyphs: list[tuple[str, int]]) -> tuple[str, int]:
    text = "".join(shown for shown, _ in glyphs)
    cells = sum(size for _, size in glyphs)
    if glyphs[0][1] == 0:  # a combining mark would go to the part before
        return f"◌{text}", cells + 1
    if text.endswith(" ") and len(text) > 1 and glyphs[-1][1] > 1:  # the last of some bytes
        return text[:-1], cells - 1
    return text, cells


def _rows(tiles: list[_Tile], width: int) -> Iterator[list[_Placed]]:
    """Yield the parts that stand on each line; a part with a name begins in the left half, where its name has room."""
    row: list[_Placed] = []
    column = 0
    for tile in tiles:
        too_far = tile.labelled and column > width // 2
        if row and (too_far or column + tile.cells > width or tile.span.name == "opcode"):
            yield row
            row, column = [], 0
        row.append(_Placed(tile, column))
        column += tile.cells + tile.gap
        if tile.span.content in _BETWEEN_PACKETS:
            yield row
            row, column = [], 0
    if row:
        yield row


# From rows to lines.


def _row(row: list[_Placed], width: int, ink: _Ink) -> Iterator[str]:
    yield _line([_Mark(at.column, at.tile.text, at.tile.cells, at.tile.paint) for at in row], ink)
    named = [at for at in row if at.tile.labelled]
    if not named:
        return
    yield _line([_Mark(at.column, _underline(at.tile, ink), at.tile.cells, at.tile.paint) for at in named], ink)
    while named:
        last = named.pop()
        connectors = [_Mark(at.column, ink.down, 1, at.tile.paint) for at in named]
        indent = last.column + len(ink.corner) + 1
        title, meaning = _label(last.tile.span, ink)
        for index, text in enumerate(_wrapped(f"{title} {meaning}", width - indent, ink)):
            marks = connectors
            shown = text
            if index == 0:
                marks = [*connectors, _Mark(last.column, ink.corner, len(ink.corner), last.tile.paint)]
                shown = ink.paint(text[: len(title)], f"{_BOLD};{last.tile.paint}") + text[len(title) :]
            yield _line([*marks, _Mark(indent, shown, 0, "")], ink)


def _underline(tile: _Tile, ink: _Ink) -> str:
    return "^" * tile.cells if tile.span.fault else ink.line(tile.cells)


def _label(span: Span, ink: _Ink) -> tuple[str, str]:
    if span.fault:
        return f"{ink.cross} {span.layer} {span.name}", f"{ink.dot} {span.meaning}"
    return f"{span.layer} {span.name}", f"{ink.dot} {span.meaning}"


def _sources(spans: Sequence[Span], ink: _Ink) -> str:
    """Return where to read on: the documents, each with its sections."""
    documents: dict[str, dict[str, None]] = {}  # dictionaries, as sets have no order
    for span in spans:
        if _is_told(span):
            document, _, section = span.section.rpartition(", ")
            documents.setdefault(document, {})[section] = None
    return "See " + f" {ink.dot} ".join(f"{document} {', '.join(sections)}" for document, sections in documents.items())


def _line(marks: Sequence[_Mark], ink: _Ink) -> str:
    """Return a line with some texts at their columns, in order."""
    line: list[str] = []
    column = 0
    for mark in marks:
        line += [" " * (mark.column - column), ink.paint(mark.text, mark.paint)]
        column = mark.column + mark.cells
    return "".join(line).rstrip(" ")


def _wrapped(text: str, width: int, ink: _Ink) -> Iterator[str]:
    """Yield the lines of a text; a word that is too long for one is broken."""
    line: list[str] = []
    cells = 0
    for word in filter(None, text.split(" ")):
        glyphs = ink.glyphs(word)
        size = sum(cells for _, cells in glyphs)
        if line and cells + 1 + size > width:
            yield "".join(line)
            line, cells = [], 0
        if line:
            line.append(" ")
            cells += 1
        for shown, more in glyphs:
            if cells + more > width and line:
                yield "".join(line)
                line, cells = [], 0
            line.append(shown)
            cells += more
    yield "".join(line)
