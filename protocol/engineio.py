"""Engine.IO packets as frames and as polling payloads (Engine.IO protocol, revision 4).

Over WebSocket one packet is one frame: `encode_packet` and `decode_packet`. Over HTTP long-polling the packets of one
body are joined into one text: `encode_payload` and `decode_payload`. All functions are pure.
"""

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.errors import DecodeError, EncodeTypeError, EncodeValueError
from trio_socketio.protocol.jsontext import JSON

PROTOCOL = 4
"""The revision spoken here: the value of ``EIO`` in the query."""

SEPARATOR = "\x1e"
"""What stands between the packets of a payload."""

BINARY_PREFIX = "b"
"""What stands instead of a type digit when the packet is a binary message in base64."""


class PacketType(IntEnum):
    """The digit that a text packet begins with (Engine.IO protocol, "Protocol")."""

    OPEN = 0
    """The handshake, from the server, once."""
    CLOSE = 1
    """The transport can be closed."""
    PING = 2
    """From the server, to be answered; from the client only as ``2probe`` on a WebSocket that is to take over."""
    PONG = 3
    """The answer to a ping, with the same data."""
    MESSAGE = 4
    """The payload of the layer above."""
    UPGRADE = 5
    """From the client: the WebSocket takes over."""
    NOOP = 6
    """Answers a polling request that has nothing else to carry."""


_DIGITS = "0123456"
_WHITESPACE = b"\r\n\t "
_TYPE_OF_DIGIT = {_DIGITS[packet_type]: packet_type for packet_type in PacketType}


@dataclass(frozen=True, slots=True)
class Packet:
    """One Engine.IO packet."""

    type: PacketType
    data: str | bytes = ""
    """Only a MESSAGE has bytes. Text holds no lone surrogates: a WebSocket could not carry it."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the open packet tells the client (Engine.IO protocol, "Handshake"). The wire has milliseconds."""

    sid: str
    """Names the session in all later requests."""
    upgrades: tuple[str, ...]
    """The transports that the client may move to."""
    ping_interval: float
    """Seconds between the server's pings."""
    ping_timeout: float
    """Seconds that the client has for its answer."""
    max_payload: int
    """Bytes that a polling body or a WebSocket message may have."""

    def to_json(self) -> str:
        """Return the data of the open packet: exactly the five keys of the specification, in its order.

        Raises:
            EncodeValueError: A time is infinite or not a number.
        """
        return jsontext.encode(
            {
                "sid": self.sid,
                "upgrades": self.upgrades,
                "pingInterval": _milliseconds(self.ping_interval),
                "pingTimeout": _milliseconds(self.ping_timeout),
                "maxPayload": self.max_payload,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Handshake":
        """Read the data of an open packet. Keys that the specification does not know are ignored.

        Raises:
            DecodeError: It is not JSON, or a key is missing or has a value of the wrong kind.
        """
        values = jsontext.decode(text)
        if not isinstance(values, dict):
            raise DecodeError("The handshake is not an object", 0)
        sid = values.get("sid")
        if not isinstance(sid, str):
            raise DecodeError("The sid of the handshake is not a string")
        upgrades = values.get("upgrades")
        if not isinstance(upgrades, list) or not all(isinstance(upgrade, str) for upgrade in upgrades):
            raise DecodeError("The upgrades of the handshake are not an array of strings")
        return cls(
            sid=sid,
            upgrades=tuple(upgrades),
            ping_interval=_count(values, "pingInterval") / 1000,
            ping_timeout=_count(values, "pingTimeout") / 1000,
            max_payload=_count(values, "maxPayload"),
        )


def _milliseconds(seconds: float) -> int:
    if not math.isfinite(seconds):
        raise EncodeValueError(f"A handshake cannot announce {seconds} seconds")
    return round(seconds * 1000)  # rounded: 0.29 * 1000 is 289.99999999999994


def _count(values: dict[str, JSON], key: str) -> int:
    value = values.get(key)
    if type(value) is not int or not 0 <= value < 2**53:
        raise DecodeError(f"The {key} of the handshake is not a whole number from 0 to 2^53-1")
    return value


def encode_packet(packet: Packet) -> str | bytes:
    """Return the WebSocket frame of a packet: the bytes themselves for a binary message, text for everything else.

    Raises:
        EncodeTypeError: A packet that is no MESSAGE has bytes.
    """
    if isinstance(packet.data, str):
        return f"{_DIGITS[packet.type]}{packet.data}"
    _check_binary(packet)
    return packet.data


def decode_packet(frame: str | bytes) -> Packet:
    """Return the packet in a WebSocket frame.

    Text may be a binary message in base64, as in a payload: the JavaScript client sends it so with ``forceBase64``.

    Raises:
        DecodeError: The frame is empty text, does not begin with a type digit, or is binary with invalid base64.
    """
    if isinstance(frame, str):
        return _decode_text(frame, 0)
    return Packet(PacketType.MESSAGE, frame)


def encode_payload(packets: Iterable[Packet]) -> str:
    """Join packets into the body of a polling request or answer (Engine.IO protocol, "HTTP long-polling").

    Raises:
        EncodeValueError: There are no packets, or one contains the separator.
        EncodeTypeError: A packet that is no MESSAGE has bytes.
    """
    payload = SEPARATOR.join(map(encode_payload_packet, packets))
    if not payload:
        raise EncodeValueError("A payload has at least one packet")
    return payload


def encode_payload_packet(packet: Packet) -> str:
    """Return one packet as it stands in a payload, without separators.

    Raises:
        EncodeValueError: The packet contains the separator, which only a WebSocket can carry. Socket.IO never makes
            such a packet: JSON escapes control characters, and namespaces may not have this one.
        EncodeTypeError: A packet that is no MESSAGE has bytes.
    """
    if isinstance(packet.data, str):
        if SEPARATOR in packet.data:
            raise EncodeValueError("Text with U+001E cannot be sent over polling: it separates the packets there")
        return f"{_DIGITS[packet.type]}{packet.data}"
    _check_binary(packet)
    return BINARY_PREFIX + base64.b64encode(packet.data).decode("ascii")


def decode_payload(text: str) -> list[Packet]:
    """Take the body of a polling request or answer apart. Base64 may have line breaks in it, and need not be padded.

    Raises:
        DecodeError: A packet is empty, has no type digit, or is binary with invalid base64. An empty payload is an
            empty packet.
    """
    packets: list[Packet] = []
    position = 0
    for part in text.split(SEPARATOR):
        packets.append(_decode_text(part, position))
        position += len(part) + len(SEPARATOR)
    return packets


def _check_binary(packet: Packet) -> None:
    if packet.type is not PacketType.MESSAGE:
        raise EncodeTypeError(f"A packet of type {packet.type.name} cannot have binary data")


def _decode_text(text: str, position: int) -> Packet:
    if not text:
        raise DecodeError("The packet is empty", position)
    packet_type = _TYPE_OF_DIGIT.get(text[0])
    if packet_type is None:
        if text[0] == BINARY_PREFIX:
            return Packet(PacketType.MESSAGE, _decode_base64(text[1:], position + 1))
        raise DecodeError(f"There is no packet type {text[0]!r}", position)
    return Packet(packet_type, text[1:])


def _decode_base64(text: str, position: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error is one, and so is what it raises for text that is not ASCII
        # The client for Java breaks lines after 76 characters, and padding is missing in what some clients send.
        joined = text.encode("ascii", "replace").translate(None, _WHITESPACE)  # "?" is no letter of base64 either
    try:
        return base64.b64decode(joined + b"=" * (-len(joined) % 4), validate=True)
    except ValueError as error:
        raise DecodeError("A binary packet is not valid base64", position) from error
