"""What a case and the server said to each other, in a form for people."""

import time
from dataclasses import dataclass
from typing import Final

MAX_ENTRIES: Final = 400
"""Entries that one transcript keeps. A flood is understood from its beginning and its end; half of each is kept."""

MAX_TEXT: Final = 300
"""Characters of one entry; a long payload is understood from its beginning and its length."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that crossed the wire, or happened to it."""

    at: float
    """Seconds since the case began."""
    connection: int
    """Which of the case's connections, counted from 1."""
    sent: bool
    """Whether the suite sent it; otherwise it came from the server."""
    what: str
    """``HTTP``, ``WebSocket`` or ``TCP``."""
    text: str
    """The request, response or frame; long ones are cut, and say how long they were."""

    def __str__(self) -> str:
        arrow = "→" if self.sent else "←"
        return f"{self.at:7.3f} s  #{self.connection} {arrow} {self.what:<9} {self.text}"


class Transcript:
    """Collects entries; bounded, whatever a case does."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first: list[Entry] = []
        self._last: list[Entry] = []
        self._left_out = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was kept, in order."""
        return (*self._first, *self._last)

    @property
    def left_out(self) -> int:
        """How many entries between the first and the last half were not kept."""
        return self._left_out

    @property
    def lines(self) -> list[str]:
        """The entries as text, with a line for those that were left out."""
        gap = [f"           … {self._left_out} more …"] if self._left_out else []
        return [*map(str, self._first), *gap, *map(str, self._last)]

    def add(self, connection: int, *, sent: bool, what: str, content: str | bytes) -> None:
        """Add what crossed the wire."""
        entry = Entry(time.perf_counter() - self._began, connection, sent, what, shown(content))
        if len(self._first) < MAX_ENTRIES // 2:
            self._first.append(entry)
            return
        self._last.append(entry)
        if len(self._last) > MAX_ENTRIES // 2:
            del self._last[0]
            self._left_out += 1


def shown(content: str | bytes) -> str:
    """Return text, or bytes as hexadecimal digits, on one line and not too long."""
    if isinstance(content, bytes):
        digits = content[: MAX_TEXT // 3].hex(" ")
        return f"<{digits}>" if len(content) <= MAX_TEXT // 3 else f"<{digits} …> ({len(content)} bytes)"
    line = "".join(char if char.isprintable() else _escaped(char) for char in content[:MAX_TEXT])
    return line if len(content) <= MAX_TEXT else f"{line}… ({len(content)} characters)"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
