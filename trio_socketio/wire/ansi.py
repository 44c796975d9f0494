"""Colours on a terminal: the few ANSI escape sequences that every terminal has (ECMA-48, SGR)."""

import os
from enum import StrEnum
from typing import TextIO


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


def wants_color(choice: str, stream: TextIO) -> bool:
    """Whether to write colours to a stream: ``always``, ``never``, or with ``auto`` if it is a terminal that shows them."""
    if choice == "auto":  # https://no-color.org
        return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"


def paint(text: str, style: Style, *, color: bool) -> str:
    """Return text in a style, or as it is when there shall be no colour."""
    if not color or style is Style.PLAIN or not text.strip():
        return text
    return f"\x1b[{style}m{text}\x1b[0m"
