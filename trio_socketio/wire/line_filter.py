"""Which lines to show: words that must match, and words that must not."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trio_socketio.wire.values import Line

NOT = "!"
"""What a word begins with that must not match."""


@dataclass(frozen=True, slots=True)
class LineFilter:
    """A choice of lines.

    A word matches a line if it is the line's event name, namespace or kind, or the beginning of its session's sid.
    Case does not count; ``*`` and ``?`` stand for any characters and any one.
    """

    wanted: tuple[str, ...] = ()
    """One of them must match, if there are any."""
    unwanted: tuple[str, ...] = ()
    """None of them may match."""

    @classmethod
    def of(cls, words: Iterable[str]) -> "LineFilter":
        """Return the filter that words ask for; those that begin with ``!`` exclude.

        Raises:
            ValueError: A word is empty.
        """
        folded = [word.strip().casefold() for word in words]
        if not all(word.removeprefix(NOT) for word in folded):
            raise ValueError("A filter is a word such as chat, or !ping for all but that, and not empty")
        return cls(
            tuple(word for word in folded if not word.startswith(NOT)),
            tuple(word.removeprefix(NOT) for word in folded if word.startswith(NOT)),
        )

    def accepts(self, line: Line) -> bool:
        """Whether to show a line."""
        if not self.wanted and not self.unwanted:
            return True
        names = [name.casefold() for name in (line.event, line.namespace, str(line.kind)) if name is not None]
        sid = line.sid.casefold()

        def matches(word: str) -> bool:
            return any(fnmatchcase(name, word) for name in names) or fnmatchcase(sid, f"{word}*")

        return (not self.wanted or any(map(matches, self.wanted))) and not any(map(matches, self.unwanted))
