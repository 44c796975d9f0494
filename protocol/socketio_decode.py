"""Frames to Socket.IO packets: the `Decoder` of one session.

A text frame is read in one of three ways, each of which takes about half as long as the next: what begins with ``2[`` is
an event without anything between its type and its payload; one regular expression matches the head of nearly every
other event and acknowledgement; what is left is read from left to right, step by step. Only the last way knows all
packets and all errors; the other two leave to it what they do not know.
"""

import re

from trio_socketio.protocol import binary
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsoncodec import STANDARD, JSONCodec
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

_EVENT = PacketType.EVENT
_EVENTS, _ACKS = ({digit: BY_DIGIT[digit][0] for digit in digits} for digits in ("25", "36"))

# A namespace without a query in printable ASCII, an ack id that needs no look at its limit, and an array.
_plain_head = re.compile(r"(?:([23])|([56])([0-9]{1,3})-)(?:(/[!-+\-->@-~]*),)?([0-9]{1,15})?\[").match

_DIGITS = re.compile("[0-9]+")  # not \d nor str.isdigit, which know the digits of all scripts


_Incomplete = tuple[Packet, list[binary.Slot], list[bytes]]
"""A packet that waits for attachments, where these go, and those that have come."""


class Decoder:
    """Turns the frames of one session into packets.

    After a `DecodeError` it is as new; what the error means for the session is for the caller to say.

    Args:
        max_attachments: How many attachments one packet may have.
        max_attachment_bytes: How many bytes these may have together.
        json: Reads the payloads.
    """

    __slots__ = ("_decode", "_incomplete", "_max_attachment_bytes", "_max_attachments", "_missing", "_room")

    def __init__(
        self, max_attachments: int = 64, max_attachment_bytes: int = 1_000_000, json: JSONCodec = STANDARD
    ) -> None:
        self._decode = json.decode
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes
        self._incomplete: _Incomplete | None = None
        self._missing = 0
        """Attachments that the incomplete packet waits for."""
        self._room = 0
        """Bytes that they may have."""

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
                raise DecodeError(f"A text frame came while attachments were awaited: {self._missing} missing", 0)
            if frame[:2] == "2[":  # the commonest frame by far: an event in the root namespace, without an ack id
                data = self._decode(frame, 1)
                if data and type(data[0]) is str and data[0] not in RESERVED_EVENTS:
                    return arrived(_EVENT, "/", data, None)
                return self._text(frame)
            head = _plain_head(frame)
            return self._text(frame) if head is None else self._event_or_ack(frame, head)
        if incomplete is None:
            raise DecodeError("A binary frame came that no packet had announced", 0)
        return self._attachment(incomplete, frame)

    def _event_or_ack(self, frame: str, head: re.Match[str]) -> Packet | None:
        """Decode a packet with a plain head in half the time of `_text`, which sees to everything else, errors included."""
        digit, binary_digit, announced, namespace, number = head.groups()
        count = 0
        if digit is None:
            digit = binary_digit
            count = int(announced)
            if count > self._max_attachments:
                return self._text(frame)
        position = head.end() - 1
        packet_type = _EVENTS.get(digit)
        if packet_type is not None:
            data = self._decode(frame, position)
            if not data or type(data[0]) is not str or data[0] in RESERVED_EVENTS:
                return self._text(frame)
        elif number is not None:
            packet_type = _ACKS[digit]
            data = self._decode(frame, position)
        else:
            return self._text(frame)
        packet = arrived(packet_type, namespace or "/", data, None if number is None else int(number))
        if binary_digit is not None:
            return self._awaiting(packet, binary.find(data, count, position), count)
        return packet

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
        self._incomplete = packet, slots, []
        self._missing = count
        self._room = self._max_attachment_bytes
        return None

    def _attachment(self, incomplete: _Incomplete, attachment: bytes) -> Packet | None:
        packet, slots, attachments = incomplete
        attachments.append(attachment)
        self._missing -= 1
        self._room -= len(attachment)
        if self._room < 0:
            self._incomplete = None
            detail = f"The attachments of a packet have more than {self._max_attachment_bytes} bytes"
            raise DecodeError(detail, limit="max_payload")
        if self._missing:
            return None
        self._incomplete = None
        binary.fill(slots, attachments)
        return packet


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
