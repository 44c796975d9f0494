"""What arrives on a WebSocket: bytes in, messages out (RFC 6455, section 5), whatever the chunks are.

Theory of operation
===================

Nearly every frame that a client sends is of one kind: final, unfragmented, masked, text or binary, and small. These are read
here, in a few steps of C speed. Every other frame, and every frame of a fragmented message, is handed to wsproto, which
exists only as long as such a message lasts. Where a frame ends is always read here, so that it is known when wsproto has seen
all of it and the fast way can be taken again. What wsproto finds wrong is wrong; the fast way decides nothing that wsproto would
decide otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from trio_socketio.engine.outbound import size_in_bytes
from wsproto.frame_protocol import CloseReason as CloseCode
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

LARGE: Final = 64 * 1024
"""Bytes of a frame from which on wsproto takes it in piece by piece, so that what waits for its end is never copied again."""

MAX_PARTS: Final = 1024
"""Fragments of a message that are kept apart; a client that sends it byte by byte must not cost fifty times its size."""

# Of the first two bytes of a frame (RFC 6455, section 5.2).
_TEXT: Final = 0x81
_BINARY: Final = 0x82
_FAST: Final = (_TEXT, _BINARY)  # final, no reserved bit, text or binary
_NOT_FINAL: Final = 0x7F
_DATA: Final = (0, 1, 2)  # a continuation, text, binary; no reserved bit
_MASKED: Final = 0x80
_CONTROL: Final = 0x08  # of an opcode
_BROKEN: Final = frozenset(
    first for first in range(256) if first & 0x0F not in (0, 1, 2, 8, 9, 10) or (first & _CONTROL and first < 0x80)
)  # a reserved opcode, or a control frame that is no final one
_LONG: Final = 126  # the length is in the next two bytes, above in the next eight

# Numbers with which a mask unmasks a short payload, by the length of that.
_MASK: Final = (1 << 32) - 1
_REPEATED: Final = [sum(1 << 32 * word for word in range((length + 3) // 4)) for length in range(_LONG)]
_BITS: Final = [(1 << 8 * length) - 1 for length in range(_LONG)]


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping of the WebSocket layer."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PeerClose:
    """The peer's Close frame: nothing follows it."""

    code: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What came breaks RFC 6455, or is too large: nothing is read any more."""

    code: int
    """The code for the Close frame that answers it."""
    detail: str


Arrived = str | bytes | Ping | PeerClose | Fault
"""A message, or something that is none."""


class Incoming:
    """The receiving half of one WebSocket of a client.

    Args:
        max_payload: The largest message that is taken, in bytes.
    """

    __slots__ = ("_fragmented", "_max_payload", "_over", "_owed", "_parts", "_rest", "_size", "_slow")

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._rest = b""  # the beginning of a frame that is not here yet
        self._slow: FrameProtocol | None = None
        self._owed = 0  # bytes of the current frame that wsproto has not seen
        self._fragmented = False  # wsproto is between the fragments of a message, or inside of one
        self._parts: list[str | bytes] = []
        self._size = 0
        self._over = False

    def feed(self, data: bytes) -> list[Arrived]:
        """Take in bytes and return what they complete, in order. After a `PeerClose` or a `Fault` nothing more is returned."""
        arrived: list[Arrived] = []
        if self._rest:
            data = self._rest + data
        position, end = 0, len(data)
        if self._slow is None and not self._owed and not self._over:
            position = _take_short(data, end, self._max_payload, arrived)
        while position < end and not self._over:
            if self._owed:
                piece = data[position : position + self._owed]
                position += len(piece)
                self._owed -= len(piece)
                self._read_slowly(piece, arrived)
                continue
            if end - position < 2:  # the least that says how long the head is
                break
            second = data[position + 1]
            length = second & 0x7F
            head = position + 6
            legal = second >= _MASKED
            if data[position] in _BROKEN or (length >= _LONG and data[position] & _CONTROL):
                self._owed = end - position  # wsproto needs no more to see that this is wrong
                continue
            if length >= _LONG:
                size = 2 if length == _LONG else 8
                if end - position < 2 + size:
                    break
                least = _LONG if length == _LONG else 1 << 16  # a length must not take more bytes than it needs
                length = int.from_bytes(data[position + 2 : position + 2 + size], "big")
                legal = legal and least <= length < 1 << 63
                head += size
            if legal and length > self._max_payload and data[position] & _NOT_FINAL in _DATA:
                self._fail(
                    CloseCode.MESSAGE_TOO_BIG, f"a frame of {length} bytes, and {self._max_payload} are taken", arrived
                )
                break
            if (
                self._slow is not None
                or not legal
                or data[position] not in _FAST
                or (length > LARGE and head + length > end)
            ):
                self._owed = head - position + length - (0 if second >= _MASKED else 4)
                continue
            following = head + length
            if following > end:
                break
            payload = unmask(data[head:following], data[head - 4 : head])
            if data[position] == _BINARY:
                arrived.append(payload)
            else:
                try:
                    arrived.append(payload.decode())
                except UnicodeDecodeError as error:
                    self._fail(CloseCode.INVALID_FRAME_PAYLOAD_DATA, str(error), arrived)
                    break
            position = following
        self._rest = data[position:] if position < end and not self._over else b""
        return arrived

    def _read_slowly(self, piece: bytes, arrived: list[Arrived]) -> None:
        """Let wsproto read a piece of a frame, up to its end at most."""
        if self._slow is None:
            self._slow = FrameProtocol(client=False, extensions=[])
        self._slow.receive_bytes(piece)
        try:
            for frame in self._slow.received_frames():
                payload: Any = frame.payload  # of a kind that depends on the opcode
                if frame.opcode is Opcode.PING:
                    arrived.append(Ping(bytes(payload)))
                elif frame.opcode is Opcode.CLOSE:
                    self._over = True
                    arrived.append(PeerClose(payload[0]))
                elif frame.opcode is not Opcode.PONG:
                    self._take_part(payload, arrived, finished=frame.message_finished)
                if self._over:
                    return
        except ParseFailed as error:
            self._fail(error.code, str(error), arrived)
            return
        if not self._owed and not self._fragmented:
            self._slow = None

    def _take_part(self, payload: str | bytes | bytearray, arrived: list[Arrived], *, finished: bool) -> None:
        """Take in a part of a message; its size counts while it comes."""
        part = payload if isinstance(payload, str) else bytes(payload)
        self._size += size_in_bytes(part)
        if self._size > self._max_payload:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"a message of more than {self._max_payload} bytes", arrived)
            return
        self._fragmented = not finished
        if not finished:
            if part:  # empty fragments are legal, and a flood of them must not grow anything
                self._parts.append(part)
            if len(self._parts) > MAX_PARTS:
                self._parts = [join(self._parts)]
            return
        arrived.append(join([*self._parts, part]) if self._parts else part)
        self._parts.clear()
        self._size = 0

    def _fail(self, code: int, detail: str, arrived: list[Arrived]) -> None:
        self._over = True
        self._rest = b""
        self._parts.clear()
        arrived.append(Fault(code, detail))


def _take_short(data: bytes, end: int, most: int, arrived: list[Arrived]) -> int:
    """Take what is commonest of all from the beginning: whole text frames of less than 126 bytes; return where the rest begins.

    Whatever is the least bit different is left, errors included: the loop in `Incoming.feed` decides.
    """
    position = 0
    while end - position > 6 and data[position] == _TEXT and _MASKED <= data[position + 1] < _MASKED + _LONG:
        length = data[position + 1] - _MASKED
        following = position + 6 + length
        if following > end or length > most:
            break
        masked = int.from_bytes(data[position + 2 : following], "little")  # the mask, and behind it what it masks
        key = (masked & _MASK) * _REPEATED[length] & _BITS[length]
        try:
            text = (masked >> 32 ^ key).to_bytes(length, "little").decode()
        except UnicodeDecodeError:
            break
        arrived.append(text)
        position = following
    return position


def unmask(payload: bytes, mask: bytes) -> bytes:
    """Return a payload without its mask (RFC 6455, section 5.3): one exclusive or of two large integers."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def join(parts: Sequence[str | bytes]) -> str | bytes:
    """Join the parts of one message, which are all of one kind."""
    if isinstance(parts[-1], str):
        return "".join([part for part in parts if isinstance(part, str)])
    return b"".join([part for part in parts if isinstance(part, bytes)])
