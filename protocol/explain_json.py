"""Where the values in a JSON text lie: the items of an array, the members of an object, the placeholders among them.

The walk goes over brackets, quotes and commas only, without recursion, so depth costs no stack and every text takes
linear time. It relies on the decoder: of a text that is not JSON, only what stands before the fault is looked at.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trio_socketio.protocol.binary import NUMBER, PLACEHOLDER
from trio_socketio.protocol.explain_spans import Layer, Piece, shown

_ARRAYS = "RFC 8259, section 5"
_OBJECTS = "RFC 8259, section 4"
PLACEHOLDERS = 'Socket.IO protocol, "Packet encoding"'

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_BRACKET = re.compile(_STRING + r"|[\[\]{}]", re.DOTALL)
_BRACKET_OR_COMMA = re.compile(_STRING + r"|[\[\]{},]", re.DOTALL)
_MEMBER = re.compile(r"[ \t\n\r]*:[ \t\n\r]*(?:(true)\b|(-?[0-9]+))?")

Names = Callable[[int, str], tuple[str, str]]
"""Says what the item with an index and a text is: its name, and its meaning."""
MemberMeanings = Callable[[str, str], str]
"""Says what the member with a key and the text of a value means."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A placeholder in the text."""

    start: int
    end: int
    number: str


@dataclass(slots=True)
class _Open:
    """An array or object whose end has not come."""

    start: int
    marked: bool = False
    """Whether the last member named ``_placeholder`` is true."""
    number: str = ""


def array(
    text: str, start: int, meaning: str, names: Names, section: str, *, placeholders: bool = False
) -> Iterator[Piece]:
    """Yield the pieces of the array that begins at a position and fills the rest of a text.

    Args:
        text: The text.
        start: Where the array or the whitespace before it begins.
        meaning: What the array is for.
        names: What its items are.
        section: Where the specification says so.
        placeholders: Whether placeholders, at any depth, are pieces of their own.
    """
    position = _after_space(text, _after_space(text, start) + 1)
    yield Piece(position, Layer.JSON, "payload", f"[: {meaning}", section)
    index = 0
    while position < len(text) and text[position] != "]":
        slots: list[_Slot] | None = [] if placeholders else None
        end = _item_end(text, position, slots)
        last = _trimmed(text, position, end)
        name, explained = names(index, text[position:last])
        for slot in slots or ():
            if slot.start > position:
                yield Piece(slot.start, Layer.JSON, name, explained, section)
            where = name if (slot.start, slot.end) == (position, last) else f"in {name}"
            yield Piece(slot.end, Layer.SOCKETIO, "placeholder", _stands_for(slot, where), PLACEHOLDERS)
            explained = f"{shown(text[slot.end : last])}: {name} goes on"
        yield Piece(last, Layer.JSON, name, explained, section)
        if text[end : end + 1] != ",":
            break
        index += 1
        position = _after_space(text, end + 1)
        yield Piece(position, Layer.JSON, "separator", ",: the next item of the array follows", _ARRAYS)
    yield Piece(len(text), Layer.JSON, "separator", "]: the end of the array", _ARRAYS)


def members(text: str, start: int, meaning: str, meanings: MemberMeanings, section: str) -> Iterator[Piece]:
    """Yield the pieces of the object that begins at a position and fills the rest of a text.

    Args:
        text: The text.
        start: Where the object or the whitespace before it begins.
        meaning: What the object is for.
        meanings: What its members mean. Their keys are the names of their pieces.
        section: Where the specification says so.
    """
    position = _after_space(text, _after_space(text, start) + 1)
    yield Piece(position, Layer.JSON, "payload", f"{{: {meaning}", section)
    while position < len(text) and text[position] != "}":
        end = _item_end(text, position, None)
        last = _trimmed(text, position, end)
        string = _BRACKET.match(text, position)
        key = _key(string[0]) if string else ""
        value = text[string.end() if string else last : last].lstrip(" \t\n\r:")
        yield Piece(last, Layer.JSON, shown(key) or "member", meanings(key, value), section)
        if text[end : end + 1] != ",":
            break
        position = _after_space(text, end + 1)
        yield Piece(position, Layer.JSON, "separator", ",: the next member of the object follows", _OBJECTS)
    yield Piece(len(text), Layer.JSON, "separator", "}: the end of the object", _OBJECTS)


def kind(text: str) -> str:
    """Return what a JSON value is, in words."""
    match text[:1]:
        case '"':
            return "a string"
        case "{":
            return "an object"
        case "[":
            return "an array"
        case "t" | "f":
            return "a boolean"
        case "n":
            return "nothing"
        case _:
            return "a number"


def _item_end(text: str, start: int, slots: list[_Slot] | None) -> int:
    """Return where the item ends that begins at a position; put the placeholders in it into a list."""
    stack: list[_Open] = []
    depth = 0
    position = start
    while found := (_BRACKET if depth else _BRACKET_OR_COMMA).search(text, position):
        position = found.end()
        match text[found.start()]:
            case '"':
                if slots is not None and stack:
                    _note_member(text, found, stack[-1])
            case "[" | "{":
                depth += 1
                if slots is not None:
                    stack.append(_Open(found.start()))
            case ",":
                return found.start()
            case _:
                if not depth:
                    return found.start()
                depth -= 1
                if slots is not None:
                    _close(stack.pop(), position, slots)
    return len(text)


def _note_member(text: str, string: re.Match[str], inside: _Open) -> None:
    """Remember the members that make the innermost object a placeholder; of several with one key the last counts."""
    after = _MEMBER.match(text, string.end())
    if after is None:  # the string is a value
        return
    key = _key(string[0])
    if key == PLACEHOLDER:
        inside.marked = after[1] is not None
    elif key == NUMBER:
        inside.number = after[2] or ""


def _close(closed: _Open, end: int, slots: list[_Slot]) -> None:
    if closed.marked:
        while slots and slots[-1].start > closed.start:  # what is inside a placeholder is replaced with it
            slots.pop()
        slots.append(_Slot(closed.start, end, closed.number))


def _key(string: str) -> str:
    if "\\" not in string:
        return string.strip('"')
    try:
        return str(json.loads(string, strict=False))
    except ValueError:  # it is cut short, or has a bad escape; then it is no key that anybody knows
        return string


def _stands_for(slot: _Slot, where: str) -> str:
    return f"{where}: attachment {shown(slot.number)} belongs here, a binary frame that follows"


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _trimmed(text: str, start: int, end: int) -> int:
    return start + len(text[start:end].rstrip(" \t\n\r"))
