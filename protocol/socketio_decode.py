"""Frames to Socket.IO packets: the `Decoder` of one session.

A text frame is read in one of three ways, each of which takes about half as long as the next: what begins with ``2[`` is
an event without anything between its type and its payload; regular expressions match the heads of nearly all
other events and acknowledgements; what is left is read from left to right, step by step. Only the last way knows all
packets and all errors; the other two leave to it what they do not know. Events can be had without a packet around them.
"""

import re

from trio_socketio.protocol import binary
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsoncodec import STANDARD, JSONCodec
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio_packet import (
    BY_DIGIT,
    MAX_ACK_ID,
    MAX_ID_DIGITS,
    NEVER,
    REQUIRED,
    RESERVED_EVENTS,
    Packet,
    PacketType,
    arrived,
    has_unsendable,
)

_EVENT, _ACK = PacketType.EVENT, PacketType.ACK
_BINARY = {"5": PacketType.BINARY_EVENT, "6": PacketType.BINARY_ACK}

# A namespace without a query in printable ASCII, an ack id that needs no look at its limit, and an array.
_REST = r"(?:(/[!-+\-->@-~]*+),)?+([0-9]{0,15}+)\["
_plain_head = re.compile("[23]" + _REST).match
_plain_binary_head = re.compile("([56])([0-9]{1,3})-" + _REST).match

_DIGITS = re.compile("[0-9]+")  # not \d nor str.isdigit, which know the digits of all scripts


_Incomplete = tuple[Packet, int, list[binary.Slot], list[bytes]]
"""A packet that waits for attachments, how many it has, where these go, and those that have come."""


class Decoder:
    """Turns the frames of one session into packets.

    After a `DecodeError` it is as new; what the error means for the session is for the caller to say.

    Args:
        max_attachments: How many attachments one packet may have.
        max_attachment_bytes: How many bytes these may have together.
        json: Reads the payloads.
    """

    __slots__ = ("_decode", "_incomplete", "_max_attachment_bytes", "_max_attachments", "_room")

    def __init__(
        self, max_attachments: int = 64, max_attachment_bytes: int = 1_000_000, json: JSONCodec = STANDARD
    ) -> None:
        self._decode = json.decode
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes
        self._incomplete: _Incomplete | None = None
        self._room = 0
        """Bytes that the missing attachments may have."""

    @property
    def pending(self) -> bool:
        """Whether attachments are missing, so that the next frame must be binary."""
        return self._incomplete is not None

    @property
    def incomplete(self) -> object:
        """What stands for the packet whose attachments are missing, the same as long as they are; None if none are."""
        return self._incomplete

    def feed(self, frame: str | bytes) -> Packet | None:
        """Take the next frame.

        Returns:
            The packet that it completes, or None while attachments are still missing. A packet that came with
            attachments keeps its type BINARY_EVENT or BINARY_ACK.

        Raises:
            DecodeError: The frame breaks the protocol; its position is one of this frame.
        """
        incomplete = self._incomplete
        if isinstance(frame, str):
            if incomplete is not None:
                self._incomplete = None
                missing = incomplete[1] - len(incomplete[3])
                raise DecodeError(f"A text frame came while attachments were awaited: {missing} missing", 0)
            if frame[:2] == "2[":  # `event` once more, in this frame
                data = self._decode(frame, 1)
                if data and type(data[0]) is str and data[0] not in RESERVED_EVENTS:
                    return arrived(_EVENT, "/", data, None)
                return self._text(frame)
            head = _plain_head(frame)
            if head is None:
                return self._binary(frame)
            namespace, number = head.groups()
            if frame[0] == "2":
                data = self._decode(frame, head.end() - 1)
                if data and type(data[0]) is str and data[0] not in RESERVED_EVENTS:
                    return arrived(_EVENT, namespace or "/", data, int(number) if number else None)
            elif number:
                return arrived(_ACK, namespace or "/", self._decode(frame, head.end() - 1), int(number))
            return self._text(frame)
        if incomplete is None:
            raise DecodeError("A binary frame came that no packet had announced", 0)
        packet, count, slots, attachments = incomplete
        attachments.append(frame)
        self._room -= len(frame)
        if self._room < 0:
            self._incomplete = None
            detail = f"The attachments of a packet have more than {self._max_attachment_bytes} bytes"
            raise DecodeError(detail, limit="max_payload")
        if len(attachments) < count:
            return None
        self._incomplete = None
        binary.fill(slots, attachments)
        return packet

    def event(self, frame: str | bytes) -> tuple[str, list[JSON], int | None] | None:
        """Take the next frame if it is an event without attachments, the commonest packet by far, and make no packet of it.

        Returns:
            The namespace, the name of the event with its arguments, and the ack id. None if it is anything else, or not easily
            told from that: then nothing has happened, and `feed` says what it is.

        Raises:
            DecodeError: As `feed`.
        """
        if self._incomplete is not None or not isinstance(frame, str):
            return None
        data: list[JSON]
        if frame[:2] == "2[":  # neither a namespace nor an ack id
            data = self._decode(frame, 1)
            if data and type(data[0]) is str and data[0] not in RESERVED_EVENTS:
                return "/", data, None
            return None
        head = _plain_head(frame) if frame[:1] == "2" else None
        if head is None:
            return None
        namespace, number = head.groups()
        data = self._decode(frame, head.end() - 1)
        if data and type(data[0]) is str and data[0] not in RESERVED_EVENTS:
            return namespace or "/", data, int(number) if number else None
        return None

    def _binary(self, frame: str) -> Packet | None:
        """Decode a binary event or acknowledgement with a plain head; `_text` sees to everything else."""
        head = _plain_binary_head(frame)
        if head is None:
            return self._text(frame)
        digit, announced, namespace, number = head.groups()
        count = int(announced)
        position = head.end() - 1
        if count > self._max_attachments or (digit == "6" and not number):
            return self._text(frame)
        data = self._decode(frame, position)
        if digit == "5" and not (data and type(data[0]) is str and data[0] not in RESERVED_EVENTS):
            return self._text(frame)
        packet = arrived(_BINARY[digit], namespace or "/", data, int(number) if number else None)
        return self._awaiting(packet, binary.find(data, count, position), count)

    def _text(self, frame: str) -> Packet | None:
        known = BY_DIGIT.get(frame[:1])
        if known is None:
            raise DecodeError(f"There is no packet type {frame[0]!r}" if frame else "The packet is empty", 0)
        packet_type, rule = known
        position = 1
        count = 0
        if packet_type is rule.binary:
            count, position = _number(frame, 1, self._max_attachments, "number of attachments", "max_attachments")
            if not frame.startswith("-", position):
                raise DecodeError("A hyphen must follow the number of attachments", position)
            position += 1

        namespace, query = "/", ""
        next_one = frame[position : position + 1]
        if next_one == "/":
            end = frame.find(",", position)
            if end < 0:
                end = len(frame)  # the comma may be missing when nothing follows
            namespace = frame[position:end]
            if has_unsendable(namespace):
                raise DecodeError("The namespace holds U+001E or a lone surrogate", position)
            position = min(end + 1, len(frame))
            next_one = frame[position : position + 1]
            if "?" in namespace:
                namespace, _, query = namespace.partition("?")

        ack_id = None
        if "0" <= next_one <= "9":
            if rule.ids is NEVER:
                raise DecodeError(f"A packet of type {packet_type.name} {rule.ids.value}", position)
            ack_id, position = _number(frame, position, MAX_ACK_ID, "ack id")
        elif rule.ids is REQUIRED:
            raise DecodeError(f"A packet of type {packet_type.name} {rule.ids.value}", position)

        data = None
        if position < len(frame) or rule.binary is not None:
            data = self._decode(frame, position)
            if not rule.accepts(data):
                raise DecodeError(f"The payload of a packet of type {packet_type.name} {rule.payload}", position)

        packet = Packet(packet_type, namespace, data, ack_id, query)
        if packet_type is rule.binary:
            return self._awaiting(packet, binary.find(data, count, position), count)
        return packet

    def _awaiting(self, packet: Packet, slots: list[binary.Slot], count: int) -> Packet | None:
        if count == 0:
            return packet
        self._incomplete = packet, count, slots, []
        self._room = self._max_attachment_bytes
        return None


def _number(frame: str, start: int, limit: int, what: str, bound: str | None = None) -> tuple[int, int]:
    """Read the ASCII digits at a position; return their value and where they end."""
    match = _DIGITS.match(frame, start)
    if match is None:
        raise DecodeError(f"The {what} is missing", start)
    digits = match[0]
    number = int(digits) if len(digits) <= MAX_ID_DIGITS else MAX_ACK_ID + 1
    if number > limit:
        raise DecodeError(f"The {what} is larger than {limit}", start, bound)
    return number, start + len(digits)
