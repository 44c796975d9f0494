"""The WebSocket messages of one direction of a connection, read by somebody who only listens (RFC 6455, RFC 7692).

A `MessageReader` is fed the bytes that one side sends behind the opening handshake and returns `Text`, `Binary` and
`Close`. It judges as little as it can: whether a mask was due is for the other end to say. Messages that permessage-deflate
has compressed are inflated. What a reader keeps is bounded: of a message over the bound only the size is told.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of a message that is kept; Socket.IO servers allow 1 MB unless they are told otherwise."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
"""The opcodes (RFC 6455, section 5.2)."""

MAX_CONTROL = 125
"""Bytes of a control frame (RFC 6455, section 5.5)."""

FIN, COMPRESSED, RESERVED, MASKED = 0x80, 0x40, 0x30, 0x80
WINDOW_BITS = 15
"""The largest window; it reads what any smaller one has written, so what was agreed about its size does not matter."""

TAIL = b"\x00\x00\xff\xff"
"""What a sender leaves away at the end of each compressed message (RFC 7692, section 7.2.1)."""


class UnreadableError(Exception):
    """The bytes are no WebSocket frames; the text is a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Text:
    """A complete text message."""

    data: str
    valid: bool = True
    """Whether it was UTF-8; what was not is replaced."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A complete binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message that was passed over."""

    size: int
    """Its bytes; of a compressed one those on the wire."""
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """A Close frame (RFC 6455, section 5.5.1)."""

    code: int | None
    reason: str = ""


Event = Text | Binary | TooLarge | Close


@dataclass(frozen=True, slots=True)
class Deflate:
    """What the handshake has agreed about the compression of one direction (RFC 7692, section 7.1)."""

    takeover: bool = True
    """Whether a message may refer to what was sent before it."""


@dataclass(slots=True)
class _Message:
    """The message that is being read, over all its fragments."""

    opcode: int
    compressed: bool
    data: bytearray
    """What is kept of it, inflated."""
    size: int = 0
    """Bytes on the wire."""
    lost: bool = False
    """Whether it is over the bound, so that only its size is counted."""


@dataclass(slots=True)
class _Frame:
    """The frame that is being read."""

    opcode: int
    final: bool
    mask: bytes
    left: int
    data: bytearray
    """Of a control frame."""
    offset: int = 0


class MessageReader:
    """Reads the messages of one direction: feed it with `receive`, then call `next_event` until it returns None.

    Args:
        deflate: What was agreed about compression, or None.
        max_message: Bytes of a message that is kept, compressed or not.
    """

    __slots__ = ("_buffer", "_deflate", "_frame", "_inflater", "_max_message", "_message")

    def __init__(self, deflate: Deflate | None = None, max_message: int = MAX_MESSAGE) -> None:
        self._deflate = deflate
        self._max_message = max_message
        self._buffer = bytearray()
        self._frame: _Frame | None = None
        self._message: _Message | None = None
        self._inflater = zlib.decompressobj(-WINDOW_BITS) if deflate else None

    def receive(self, data: bytes) -> None:
        """Take what the side has sent next."""
        self._buffer += data

    @property
    def inside(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._buffer) or self._frame is not None or self._message is not None

    def next_event(self) -> Event | None:
        """Return what comes next, or None when more bytes are needed.

        Raises:
            UnreadableError: The bytes are no WebSocket frames. Nothing can be read from this reader any more.
        """
        while True:
            frame = self._frame or self._begin_frame()
            if frame is None:
                return None
            self._frame = frame
            self._take(frame)
            if frame.left:
                return None
            self._frame = None
            if (event := self._end_frame(frame)) is not None:
                return event

    def _begin_frame(self) -> _Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, length = first & 0x0F, second & 0x7F
        extended = {126: 2, 127: 8}.get(length, 0)
        head = 2 + extended + (4 if second & MASKED else 0)
        if len(buffer) < head:
            return None
        if extended:
            (length,) = struct.unpack_from("!H" if extended == 2 else "!Q", buffer, 2)
        mask = bytes(buffer[head - 4 : head]) if second & MASKED else b""
        del buffer[:head]
        self._check(first, opcode, length)
        if opcode in (TEXT, BINARY):
            self._message = _Message(opcode, bool(first & COMPRESSED), bytearray())
        return _Frame(opcode, bool(first & FIN), mask, length, bytearray())

    def _check(self, first: int, opcode: int, length: int) -> None:
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise UnreadableError(f"A WebSocket frame has the opcode {opcode}, which means nothing")
        if first & RESERVED or (first & COMPRESSED and (self._deflate is None or opcode not in (TEXT, BINARY))):
            raise UnreadableError("A WebSocket frame has reserved bits that nobody has agreed on")
        if opcode >= CLOSE and (length > MAX_CONTROL or not first & FIN):
            raise UnreadableError(
                f"A WebSocket control frame is fragmented or has {length} bytes, more than {MAX_CONTROL}"
            )
        if opcode == CONTINUATION and self._message is None:
            raise UnreadableError("A WebSocket frame continues a message that has not begun")
        if opcode in (TEXT, BINARY) and self._message is not None:
            raise UnreadableError("A WebSocket message begins before the one before it has ended")
        if length >> 63:
            raise UnreadableError("A WebSocket frame has a length over 2^63")

    def _take(self, frame: _Frame) -> None:
        """Move what has come of a frame to where it belongs."""
        data = bytes(self._buffer[: frame.left])
        del self._buffer[: len(data)]
        if frame.mask:
            data = _unmasked(data, frame.mask, frame.offset)
        frame.offset += len(data)
        frame.left -= len(data)
        if frame.opcode >= CLOSE:
            frame.data += data
            return
        message = self._message
        if message is None:
            raise AssertionError("_check has refused a continuation without a message")
        message.size += len(data)
        if not message.lost:
            self._keep(message, data)

    def _keep(self, message: _Message, data: bytes) -> None:
        if message.compressed:
            if self._inflater is None:  # it was lost with an earlier message that this one may refer to
                message.lost = True
                return
            data = self._inflate(self._inflater, data, self._max_message + 1 - len(message.data))
        message.data += data
        if len(message.data) > self._max_message:
            message.lost = True
            message.data.clear()
            if message.compressed:
                self._inflater = None  # to go on with it would mean inflating without a bound

    def _inflate(self, inflater: "zlib._Decompress", data: bytes, most: int) -> bytes:
        try:
            return inflater.decompress(data, most)
        except zlib.error as error:
            raise UnreadableError(f"A compressed WebSocket message cannot be inflated: {error}") from error

    def _end_frame(self, frame: _Frame) -> Event | None:
        if frame.opcode == CLOSE:
            return _close(bytes(frame.data))
        if frame.opcode in (PING, PONG) or not frame.final:
            return None  # pings and pongs of WebSocket itself are no part of the conversation
        message = self._message
        if message is None:
            raise AssertionError("a frame that is no control frame belongs to a message")
        self._message = None
        if message.compressed and not message.lost:
            self._keep(message, TAIL)
        if message.compressed and self._deflate and (not self._deflate.takeover or _at_end(self._inflater)):
            self._inflater = zlib.decompressobj(-WINDOW_BITS)
        if message.lost:
            return TooLarge(message.size, message.compressed)
        if message.opcode == BINARY:
            return Binary(bytes(message.data))
        return _text(message.data)


def agreed_deflate(words: Sequence[str]) -> tuple[Deflate, Deflate] | None:
    """Return what the answer to an opening handshake says about compression: of the client's messages, of the server's.

    Args:
        words: The comma-separated words of its ``Sec-WebSocket-Extensions``, in lower case.
    """
    for word in words:
        name, *parameters = [part.strip() for part in word.split(";")]
        if name != "permessage-deflate":
            continue
        values = {
            key.strip(): value.strip().strip('"') for key, _, value in (part.partition("=") for part in parameters)
        }
        return _deflate(values, "client"), _deflate(values, "server")
    return None


def _deflate(values: dict[str, str], side: str) -> Deflate:
    return Deflate(takeover=f"{side}_no_context_takeover" not in values)


def _at_end(inflater: "zlib._Decompress | None") -> bool:
    """Whether the sender has ended the stream, as it may (RFC 7692, section 7.2.3.4)."""
    return inflater is not None and inflater.eof


def _unmasked(data: bytes, mask: bytes, offset: int) -> bytes:
    """Return the payload (RFC 6455, section 5.3); one large number is far quicker than a loop over bytes."""
    if not data:
        return b""
    turned = mask[offset % 4 :] + mask[: offset % 4]
    key = (turned * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(len(data))


def _text(data: bytearray) -> Text:
    try:
        return Text(data.decode())
    except UnicodeDecodeError:
        return Text(data.decode(errors="replace"), valid=False)


def _close(data: bytes) -> Close:
    if len(data) < 2:
        return Close(None)
    return Close(int.from_bytes(data[:2]), data[2:].decode(errors="replace"))
