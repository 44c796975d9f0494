"""Values shortened for people: the beginning of a JSON text, with safe characters only.

What peers send may be long and may hold escape sequences that a terminal would obey. Nothing here looks at more of a
value than fits, and nothing unprintable comes out.
"""

import unicodedata
from collections.abc import Iterator

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.errors import EncodeError
from trio_socketio.protocol.jsontext import JSON

ELLIPSIS = "…"


def arguments(values: list[JSON], width: int | None) -> str:
    """Return values as they stand between the parentheses of a call, at most so many columns wide (None: any)."""
    return _joined(_separated(values), width)


def value(one: JSON, width: int | None) -> str:
    """Return a value as JSON text, with bytes as their size, at most so many columns wide (None: any)."""
    return _joined(_parts(one), width)


def printable(text: str) -> str:
    r"""Return text with escapes such as ``\x1b`` in place of what a terminal would obey or could not show."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal printable text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def shorten(text: str, width: int | None) -> str:
    """Return printable text that is cut off to so many columns, with an ellipsis at its end."""
    if width is None or len(text) * 2 <= width or columns(text) <= width:
        return text
    taken = 0
    for index, one in enumerate(text):
        taken += _columns_of(one)
        if taken > width - 1:
            return text[:index] + ELLIPSIS
    return text


def count_of_bytes(count: int) -> str:
    """Return a number of bytes as people say it: ``1 byte``, ``512 bytes``, ``1.5 kB``."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    return size(count)


def size(count: int) -> str:
    """Return a number of bytes in few characters: ``512 B``, ``1.5 kB``, ``20 MB``."""
    if count < 1000:
        return f"{count} B"
    amount: float = count
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5 or unit == "GB":
            return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
    raise AssertionError("the loop ends with the last unit")


def duration(seconds: float) -> str:
    """Return a time in few characters: ``0.4 ms``, ``12 ms``, ``1.2 s``, ``2.5 min``, ``1.0 h``."""
    milliseconds = seconds * 1000
    if milliseconds < 0.05:
        return "0 ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.1f} ms" if milliseconds < 0.95 else f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3597 else f"{seconds / 3600:.1f} h"


def _columns_of(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in "WF" else 1


def _joined(parts: Iterator[str], width: int | None) -> str:
    taken: list[str] = []
    length = 0
    for part in parts:
        taken.append(part)
        length += len(part)
        if width is not None and length > width:
            break
    return shorten(printable("".join(taken)), width)


def _parts(one: JSON) -> Iterator[str]:
    if isinstance(one, (bytes, bytearray, memoryview)):
        yield f"<{size(len(one))} binary>"
    elif isinstance(one, dict):
        yield "{"
        for index, (key, item) in enumerate(one.items()):
            yield ("," if index else "") + _atom(key) + ":"
            yield from _parts(item)
        yield "}"
    elif isinstance(one, (list, tuple)):
        yield "["
        for index, item in enumerate(one):
            if index:
                yield ","
            yield from _parts(item)
        yield "]"
    else:
        yield _atom(one)


def _separated(values: list[JSON]) -> Iterator[str]:
    for index, item in enumerate(values):
        if index:
            yield ", "
        yield from _parts(item)


def _atom(one: JSON) -> str:
    try:
        return jsontext.encode(one)
    except EncodeError:  # not what a decoder returns; shown all the same
        return repr(one)
