"""What an explanation is made of: spans, and how the pieces that a layer finds become spans.

A layer walks over a text from left to right and yields a `Piece` for each part. It need not know whether the text is
sound: the decoder has been asked before, and `assemble` stops at the place that the decoder blames.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

MAX_SPANS = 2000
"""Parts that one packet is taken into; an event with a thousand arguments has as many. What follows is left whole."""

_SHOWN = 48
"""Characters of a part that its meaning repeats."""


class Layer(StrEnum):
    """Whose rules a part follows."""

    HTTP = "HTTP"
    WEBSOCKET = "WebSocket"
    ENGINEIO = "Engine.IO"
    SOCKETIO = "Socket.IO"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Span:
    """One part of a frame."""

    content: str | bytes
    """The characters or bytes themselves."""
    layer: Layer
    name: str
    """What kind of part it is, such as ``packet type`` or ``ack id``; ``separator`` for what only stands between parts."""
    meaning: str
    """What it says, in words and with its value."""
    section: str
    """Where the specification describes it."""
    fault: bool = False
    """Whether the frame breaks the protocol here; the meaning says how."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that begins where the piece before it has ended."""

    end: int
    layer: Layer
    name: str
    meaning: str
    section: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What a decoder has against a text."""

    position: int
    layer: Layer
    name: str
    """The part that is wrong."""
    message: str
    section: str


def assemble(text: str, pieces: Iterable[Piece], fault: Fault | None) -> list[Span]:
    """Return the spans of a text: its pieces, up to the fault if there is one.

    Args:
        text: The whole of it.
        pieces: Its parts from left to right. They are asked for only as far as they are needed.
        fault: What is wrong. Everything from there on is one span.
    """
    spans: list[Span] = []
    limit = len(text) if fault is None else fault.position
    position = 0
    for piece in pieces if limit else ():
        if len(spans) == MAX_SPANS:
            break
        if piece.end > limit:
            broken = f"{shown(text[position:limit])}: what stands before the fault"
            spans.append(Span(text[position:limit], piece.layer, piece.name, broken, piece.section))
            break
        if piece.end > position:
            spans.append(Span(text[position : piece.end], piece.layer, piece.name, piece.meaning, piece.section))
            position = piece.end
        if position == limit:
            break
    return finish(spans, text, fault)


def finish(spans: list[Span], whole: str | bytes, fault: Fault | None) -> list[Span]:
    """Return the spans that begin a whole, completed: what follows up to the fault is left whole, the rest is the fault."""
    position = sum(len(span.content) for span in spans)
    limit = len(whole) if fault is None else fault.position
    if position < limit:
        before = spans[-1]
        noun = "more byte" if isinstance(whole, bytes) else "more character"
        meaning = f"{counted(limit - position, noun)}, left whole"
        spans.append(Span(whole[position:limit], before.layer, "rest", meaning, before.section))
    return spans if fault is None else end_with_fault(spans, whole[limit:], fault)


def end_with_fault(spans: list[Span], rest: str | bytes, fault: Fault) -> list[Span]:
    """Return the spans before a fault and the fault: the rest, or the last span when the frame ends too early."""
    if rest or not spans:
        return [*spans, Span(rest, fault.layer, fault.name, fault.message, fault.section, fault=True)]
    last = spans[-1]
    return [*spans[:-1], replace(last, meaning=f"{last.meaning}. {fault.message}", fault=True)]


def continue_with(spans: list[Span], inner: list[Span], whole: str | bytes) -> bool:
    """Append the spans of the next part of a whole; if there is a fault in it, let that take in the rest of the whole.

    Returns:
        Whether there was one.
    """
    if not is_broken(inner):
        spans.extend(span for span in inner if span.content)
        return False
    *before, last = inner
    spans.extend(before)
    rest = whole[sum(len(span.content) for span in spans) :]
    spans[:] = end_with_fault(spans, rest, Fault(0, last.layer, last.name, last.meaning, last.section))
    return True


def is_broken(spans: Iterable[Span]) -> bool:
    """Whether there is a fault among the spans."""
    return any(span.fault for span in spans)


def laid_over(data: bytes, spans: Iterable[Span]) -> list[Span]:
    """Return spans with the bytes that carried them: UTF-8 where they are text, perhaps masked."""
    laid: list[Span] = []
    position = 0
    for span in spans:
        content = span.content
        size = len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "surrogatepass"))
        laid.append(replace(span, content=data[position : position + size]))
        position += size
    return laid


def shown(text: str) -> str:
    """Return a text as a meaning repeats it: shortened in the middle, and without characters that cannot be seen."""
    if len(text) > _SHOWN:
        text = f"{text[: _SHOWN - 16]}…{text[-15:]}"
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 byte``, ``1,024 bytes``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
