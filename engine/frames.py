"""WebSocket frames as a server sends them: final, unfragmented, unmasked (RFC 6455, section 5.2)."""

import struct
from typing import Final

_TEXT, _BINARY, _CLOSE, _PONG = 0x81, 0x82, 0x88, 0x8A
_SHORT, _MEDIUM = 126, 1 << 16  # where the length needs two, then eight more bytes
_TEXT_HEADS: Final = [bytes((_TEXT, length)) for length in range(_SHORT)]
_NO_STATUS: Final = 1005  # stands for a Close frame without a code, and is never sent (RFC 6455, section 7.4.1)


def text_frame(payload: bytes) -> bytes:
    """Return a text frame with a payload in UTF-8."""
    length = len(payload)
    return _TEXT_HEADS[length] + payload if length < _SHORT else _frame(_TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return a binary frame."""
    return _frame(_BINARY, payload)


def close_frame(code: int) -> bytes:
    """Return a Close frame with a code and an empty reason."""
    return bytes((_CLOSE, 0)) if code == _NO_STATUS else struct.pack("!BBH", _CLOSE, 2, code)


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping of the WebSocket layer, which has 125 bytes at most."""
    return bytes((_PONG, len(payload))) + payload


def _frame(first: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < _SHORT:
        return bytes((first, length)) + payload
    if length < _MEDIUM:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload
