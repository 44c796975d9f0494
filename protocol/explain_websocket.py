"""The parts of WebSocket frames as they cross the wire (RFC 6455, section 5.2).

The bytes stay as they are: those of a masked payload are explained by what they say without the mask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from trio_socketio.protocol.explain_spans import (
    MAX_SPANS,
    Fault,
    Layer,
    Span,
    continue_with,
    counted,
    finish,
    laid_over,
    shown,
)

FRAMING = "RFC 6455, section 5.2"
_MASKING = "RFC 6455, section 5.3"
_FRAGMENTATION = "RFC 6455, section 5.4"
_CONTROL = "RFC 6455, section 5.5"
_CODES = "RFC 6455, section 7.4"

Inner = Callable[[str | bytes], list[Span]]
"""Explains what a message carries."""


class _Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES = {
    _Opcode.CONTINUATION: "the next fragment of a message",
    _Opcode.TEXT: "a text message",
    _Opcode.BINARY: "a binary message",
    _Opcode.CLOSE: "the end of the connection",
    _Opcode.PING: "a ping of the WebSocket itself, not one of Engine.IO",
    _Opcode.PONG: "a pong of the WebSocket itself, not one of Engine.IO",
}
_FIN, _RSV1, _RSV23, _OPCODE_BITS = 0x80, 0x40, 0x30, 0x0F
_MASKED, _LENGTH_BITS = 0x80, 0x7F
_MAX_CONTROL = 125
_EXTENDED = {126: 2, 127: 8}
"""Bytes of the length that follow, by the length that stands in the second byte."""

_CLOSE_CODES = {
    1000: "the connection has done what it was for",
    1001: "an end goes away, as a server that stops or a page that is left",
    1002: "the other end broke the WebSocket protocol",
    1003: "the other end sent a kind of data that cannot be taken",
    1007: "a text message was not UTF-8",
    1008: "the other end broke a rule of this one",
    1009: "a message was too large: Engine.IO limits it to maxPayload",
    1010: "the server lacks an extension that the client needs",
    1011: "the server met a condition that it did not expect",
    1012: "the server restarts",
    1013: "the server wants the client to come later",
    1014: "a gateway got no valid answer",
}


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a frame."""

    opcode: _Opcode
    final: bool
    compressed: bool
    mask: bytes
    start: int
    """Where the payload begins."""
    end: int


def spans(data: bytes, inner: Inner) -> list[Span]:
    """Return the spans of the frames in some bytes; a frame that is cut short is the fault.

    Args:
        data: The bytes, from the beginning of a frame.
        inner: Explains the payload of a message that is neither compressed nor in fragments.
    """
    found: list[Span] = []
    position = 0
    if not data:
        return finish(found, data, _fault(0, "opcode", "There is no frame"))
    while position < len(data):
        if len(found) >= MAX_SPANS:
            return finish(found, data, None)
        head = _head(data, position, found)
        if isinstance(head, Fault):
            return finish(found, data, head)
        if continue_with(found, _payload(data[head.start : head.end], head, inner), data):
            return found
        position = head.end
    return found


def _head(data: bytes, start: int, found: list[Span]) -> _Head | Fault:
    """Append the spans of a frame's head and return what it says, or what is wrong with the frame."""
    first = data[start]
    try:
        opcode = _Opcode(first & _OPCODE_BITS)
    except ValueError:
        return _fault(start, "opcode", f"{first:02x}: the opcode {first & _OPCODE_BITS} is reserved")
    final, compressed = bool(first & _FIN), bool(first & _RSV1)
    if first & _RSV23:
        return _fault(
            start, "opcode", f"{first:02x}: a reserved bit is set, and no extension that is in use gives it a meaning"
        )
    if opcode >= _Opcode.CLOSE and (compressed or not final):
        return _fault(start, "opcode", f"{first:02x}: a {opcode.name} frame is neither compressed nor in fragments")
    found.append(_span(data[start : start + 1], "opcode", _kind(first, opcode, final=final, compressed=compressed)))
    if start + 1 == len(data):
        return _cut_short(data, "length")

    second = data[start + 1]
    size = second & _LENGTH_BITS
    position = start + 2
    if size in _EXTENDED:
        position += _EXTENDED[size]
        if position > len(data):
            return _cut_short(data, "length", start + 1)
        if opcode >= _Opcode.CLOSE:
            return _fault(start + 1, "length", f"A {opcode.name} frame has at most {_MAX_CONTROL} bytes")
        short = size
        size = int.from_bytes(data[start + 2 : position])
        if size < (1 << 16 if short == max(_EXTENDED) else min(_EXTENDED)) or size >> 63:
            return _fault(
                start + 1, "length", f"{size} is not written in the fewest bytes that it takes, or is too large"
            )
    masked = bool(second & _MASKED)
    sender = "masked, so it comes from the client" if masked else "not masked, so it comes from the server"
    found.append(_span(data[start + 1 : position], "length", f"{counted(size, 'byte')} of payload, {sender}"))
    mask = b""
    if masked:
        mask = data[position : position + 4]
        if len(mask) < len(b"mask"):
            return _cut_short(data, "mask key", position)
        position += len(mask)
        what = f"{mask.hex(' ')}: each byte of the payload is combined with one of these by exclusive or"
        found.append(_span(mask, "mask key", what, _MASKING))
    if position + size > len(data):
        missing = counted(position + size - len(data), "byte")
        return _cut_short(data, "payload", position, f"{missing} of the payload missing")
    return _Head(opcode, final, compressed, mask, position, position + size)


def _kind(first: int, opcode: _Opcode, *, final: bool, compressed: bool) -> str:
    meaning = f"{first:02x}: {_OPCODES[opcode]}"
    if opcode < _Opcode.CLOSE:
        if not final:
            meaning += ", more fragments follow"
        elif opcode is _Opcode.CONTINUATION:
            meaning += ", the last one (FIN)"
        else:
            meaning += ", complete with this frame (FIN)"
    return f"{meaning}, compressed (RSV1)" if compressed else meaning


def _payload(data: bytes, head: _Head, inner: Inner) -> list[Span]:
    plain = _unmasked(data, head.mask)
    if head.opcode is _Opcode.CLOSE:
        return _close(data, plain)
    if head.opcode in (_Opcode.PING, _Opcode.PONG):
        return [_span(data, "data", f"{counted(len(data), 'byte')}, which the pong repeats", _CONTROL)]
    if head.compressed:
        what = f"{counted(len(data), 'byte')}, compressed with what the connection sent before (permessage-deflate)"
        return [_span(data, "payload", what, "RFC 7692, section 7")]
    if not head.final or head.opcode is _Opcode.CONTINUATION:
        what = f"{counted(len(data), 'byte')}: a fragment; the fragments together are the message"
        return [_span(data, "fragment", what, _FRAGMENTATION)]
    if head.opcode is _Opcode.BINARY:
        return laid_over(data, inner(plain))
    try:
        text = plain.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(data, error.start, "payload")
    return laid_over(data, inner(text))


def _close(data: bytes, plain: bytes) -> list[Span]:
    if not data:
        return []
    code = int.from_bytes(plain[:2])
    if len(plain) == 1 or not (code in _CLOSE_CODES or 3000 <= code < 5000):
        what = "1 byte is no code" if len(plain) == 1 else f"{code}: no end may send this code"
        return finish(
            [], data, Fault(0, Layer.WEBSOCKET, "close code", f"{what}; usual is 03e8, which is 1000", _CODES)
        )
    meaning = _CLOSE_CODES.get(code, "a code of the application or of a library")
    found = [_span(data[:2], "close code", f"{code}: {meaning}", _CODES)]
    if len(data) == len(b"\x03\xe8"):
        return found
    try:
        reason = plain[2:].decode()
    except UnicodeDecodeError as error:
        return [*found, *_not_utf8(data[2:], error.start, "reason")]
    return [*found, _span(data[2:], "reason", f"{shown(reason)}: why, in words", _CONTROL)]


def _not_utf8(data: bytes, position: int, name: str) -> list[Span]:
    found = []
    if position:
        found.append(_span(data[:position], name, f"{counted(position, 'byte')} of text before the fault"))
    why = f"Byte {position} of the {name} is not UTF-8: the other end closes with code 1007"
    return finish(found, data, Fault(position, Layer.WEBSOCKET, name, why, "RFC 6455, section 8.1"))


def _unmasked(data: bytes, mask: bytes) -> bytes:
    """Combine the bytes with the mask, as one large number: a loop over the bytes would take its time."""
    if not mask:
        return data
    key = (mask * (len(data) // len(mask) + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(len(data))


def _span(data: bytes, name: str, meaning: str, section: str = FRAMING) -> Span:
    return Span(data, Layer.WEBSOCKET, name, meaning, section)


def _fault(position: int, name: str, message: str) -> Fault:
    return Fault(position, Layer.WEBSOCKET, name, message, FRAMING)


def _cut_short(data: bytes, name: str, position: int | None = None, what: str = "") -> Fault:
    at = len(data) if position is None else position
    message = f"The frame is cut short: {what}" if what else f"The frame is cut short in the {name}"
    return _fault(at, name, message)
