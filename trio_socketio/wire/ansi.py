"""Colours on a terminal: the few ANSI escape sequences that every terminal has (ECMA-48, SGR)."""

from enum import StrEnum


class Style(StrEnum):
    """How text looks; the value is the parameter of the escape sequence."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    MAGENTA = "35"
    CYAN = "36"


def paint(text: str, style: Style, *, color: bool) -> str:
    """Return text in a style, or as it is when there shall be no colour."""
    if not color or style is Style.PLAIN or not text.strip():
        return text
    return f"\x1b[{style}m{text}\x1b[0m"
