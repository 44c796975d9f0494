"""The parts of a polling payload: where its packets lie (Engine.IO protocol, "HTTP long-polling").

Revision 4 has U+001E between packets. Revision 3 has the length of each packet before it, as text
(``<length>:<packet>``) or, where the client can take bytes, as bytes: 0 for text or 1 for binary, the digits of the
length as numbers, 255, then the packet (Engine.IO protocol, revision 3, "Payload").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trio_socketio.protocol import engineio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.explain_engineio import section
from trio_socketio.protocol.explain_spans import Fault, Layer, Piece, Span, shown

_LENGTH = re.compile("([0-9]{1,10}):")
_END_OF_LENGTH = 255
_MAX_DIGITS = 10
_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
POLLING = section("HTTP long-polling", 4)
PAYLOAD_OF_3 = section("Payload", 3)


@dataclass(frozen=True, slots=True)
class Part:
    """One packet of a payload."""

    head: tuple[Span, ...]
    """What stands before it."""
    start: int
    end: int
    binary: bool = False
    """Whether it is binary, in the byte form."""


def split(payload: str, revision: int) -> Iterator[Part | Fault]:
    """Yield where the packets of a payload lie; a fault is the last that comes."""
    return _split_at_separators(payload) if revision == 4 else _split_by_length(payload)


def _split_at_separators(payload: str) -> Iterator[Part]:
    separator = Span(
        engineio.SEPARATOR, Layer.ENGINEIO, "separator", "U+001E: another packet of the payload follows", POLLING
    )
    start = 0
    while True:
        end = payload.find(engineio.SEPARATOR, start)
        yield Part((separator,) if start else (), start, len(payload) if end < 0 else end)
        if end < 0:
            return
        start = end + 1


def _split_by_length(payload: str) -> Iterator[Part | Fault]:
    start = 0
    while start < len(payload) or not payload:
        length = _LENGTH.match(payload, start)
        if length is None:
            yield _fault(start, 'The length of a packet and a colon must stand here; usual is 7:42["a"]')
            return
        start = length.end()
        end = _end_in_utf16(payload, start, int(length[1]))
        if end is None or end == start:
            why = "is empty" if end == start else "is longer than what is left of the payload"
            yield _fault(length.start(), f"The packet of {shown(length[1])} characters {why}")
            return
        head = (
            Span(
                length[1],
                Layer.ENGINEIO,
                "length",
                f"{length[1]}: characters of the packet, as JavaScript counts",
                PAYLOAD_OF_3,
            ),
            Span(":", Layer.ENGINEIO, "separator", ":: the packet follows", PAYLOAD_OF_3),
        )
        yield Part(head, start, end)
        start = end


def _end_in_utf16(payload: str, start: int, length: int) -> int | None:
    """Return where a packet ends whose length JavaScript has counted: characters beyond U+FFFF count twice."""
    end = start + length
    pairs = len(_BEYOND_16_BITS.findall(payload, start, end))
    if pairs:
        left = length
        end = start
        while left > 0 and end < len(payload):
            left -= 2 if payload[end] > "\uffff" else 1
            end += 1
        return end if left == 0 else None
    return end if end <= len(payload) else None


def split_bytes(payload: bytes) -> Iterator[Part | Fault]:
    """Yield where the packets of a payload in the byte form of revision 3 lie; a fault is the last that comes."""
    start = 0
    while start < len(payload) or not payload:
        mark = payload.find(_END_OF_LENGTH, start + 2, start + 2 + _MAX_DIGITS)
        digits = payload[start + 1 : mark]
        if mark < 0 or payload[start] > 1 or max(digits) > 9:
            yield _fault(start, "0 or 1, the digits of a length as bytes and 255 must stand here")
            return
        length = int("".join(map(str, digits)))
        if not 0 < length < len(payload) - mark:
            yield _fault(start, f"The packet of {length} bytes is empty or longer than what is left of the payload")
            return
        binary = payload[start] == 1
        what = "1: the packet is binary" if binary else "0: the packet is text"
        head = (
            Span(payload[start : start + 1], Layer.ENGINEIO, "packet kind", what, PAYLOAD_OF_3),
            Span(digits, Layer.ENGINEIO, "length", f"{length}: bytes of the packet", PAYLOAD_OF_3),
            Span(payload[mark : mark + 1], Layer.ENGINEIO, "separator", "255: the packet follows", PAYLOAD_OF_3),
        )
        yield Part(head, mark + 1, mark + 1 + length, binary)
        start = mark + 1 + length


def _fault(position: int, message: str) -> Fault:
    return Fault(position, Layer.ENGINEIO, "length", message, PAYLOAD_OF_3)


def is_base64(packet: str) -> bool:
    """Whether a packet that is text stands for bytes."""
    return packet.startswith(engineio.BINARY_PREFIX)


def decode_base64(packet: str, revision: int) -> bytes | Fault:
    """Return the bytes of a binary message in base64, or what is wrong with it."""
    where = POLLING if revision == 4 else PAYLOAD_OF_3
    prefix = 1
    if revision == 3:
        prefix = 2
        if packet[1:2] != "4":
            return Fault(
                1, Layer.ENGINEIO, "packet type", "A binary packet is a message: usual is b4 and base64", where
            )
    try:
        data = engineio.decode_packet(engineio.BINARY_PREFIX + packet[prefix:]).data
    except DecodeError as error:
        return Fault(prefix, Layer.ENGINEIO, "base64", f"{error.message}; usual is {packet[:prefix]}AQIDBA==", where)
    return data if isinstance(data, bytes) else b""


def base64_pieces(packet: str, named: tuple[str, str], revision: int) -> Iterator[Piece]:
    """Yield the pieces of a binary message in base64.

    Args:
        packet: It, with its prefix.
        named: The name and the meaning of its bytes.
        revision: Of the protocol.
    """
    where = POLLING if revision == 4 else PAYLOAD_OF_3
    yield Piece(1, Layer.ENGINEIO, "packet type", "b: a message of bytes, in base64", where)
    if revision == 3:
        yield Piece(2, Layer.ENGINEIO, "packet type", "4: a message, the payload of the layer above", where)
    name, meaning = named
    yield Piece(len(packet), Layer.SOCKETIO, name, f"{shown(packet[2 if revision == 3 else 1 :])}: {meaning}", where)
