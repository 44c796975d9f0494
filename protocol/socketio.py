"""Socket.IO packets as frames (Socket.IO protocol, revision 5).

One packet is one text frame, ``<type>[<attachments>-][<namespace>,][<ack id>][<json>]``, and then one binary frame for
each attachment (Socket.IO protocol, "Packet encoding"). `encode` returns the frames of a packet. A `Decoder` is fed the
frames of one session in order and returns packets. A `Template` is a packet encoded once for many recipients.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from trio_socketio.protocol import binary, jsontext
from trio_socketio.protocol.errors import DecodeError, EncodeTypeError, EncodeValueError
from trio_socketio.protocol.jsontext import JSON

PROTOCOL = 5
"""The revision spoken here."""

MAX_ACK_ID = 2**53 - 1
"""The largest integer that a JavaScript peer can count to (``Number.MAX_SAFE_INTEGER``)."""

MAX_ID_DIGITS = len(str(MAX_ACK_ID))
"""Digits that an ack id or a number of attachments may have; more are refused before they are converted."""

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Events that a peer raises by itself; no packet may carry them (the reference parser has the same list)."""


class PacketType(IntEnum):
    """The digit that a packet begins with (Socket.IO protocol, "Packet types")."""

    CONNECT = 0
    """Asks for a namespace, or grants it."""
    DISCONNECT = 1
    """Leaves a namespace."""
    EVENT = 2
    """A name and its arguments."""
    ACK = 3
    """The answer to the event with the same id."""
    CONNECT_ERROR = 4
    """Refuses a namespace."""
    BINARY_EVENT = 5
    """An EVENT with attachments."""
    BINARY_ACK = 6
    """An ACK with attachments."""


@dataclass(frozen=True, slots=True, init=False)
class Packet:
    """One Socket.IO packet."""

    type: PacketType
    """When encoding, EVENT and ACK also stand for their binary forms, which are chosen if the data has bytes in it."""
    namespace: str = "/"
    """Begins with a slash."""
    data: JSON = None
    """The payload: for events and acks a list. None: there is none."""
    id: int | None = None
    """What joins an event with its acknowledgement."""
    query: str = ""
    """The query string that a client may append to the namespace, without the question mark; no part of its name."""

    # One packet is made for every event in either direction. The `__init__` that dataclasses write for a frozen class
    # looks `object.__setattr__` up for each field and has it find the slot; setting the slots takes half as long.
    def __init__(
        self,
        type: PacketType,  # noqa: A002 - the fields have the specification's names
        namespace: str = "/",
        data: JSON = None,
        id: int | None = None,  # noqa: A002
        query: str = "",
    ) -> None:
        _set_type(self, type)
        _set_namespace(self, namespace)
        _set_data(self, data)
        _set_id(self, id)
        _set_query(self, query)


_set_type, _set_namespace, _set_data, _set_id, _set_query = (vars(Packet)[name].__set__ for name in Packet.__slots__)


class _Ids(Enum):
    """Whether packets of a type have an ack id."""

    NEVER = "has no ack id"
    OPTIONAL = "may have an ack id"
    REQUIRED = "needs an ack id"


_NEVER, _OPTIONAL, _REQUIRED = _Ids
_EVENT = PacketType.EVENT


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the packets of one type are made of."""

    digit: str
    ids: _Ids
    payload: str
    """What the payload must be, as the second half of a sentence."""
    accepts: Callable[[JSON], bool]
    """Whether a payload that arrived is such a one."""
    sends: Callable[[JSON], bool]
    """Whether a payload that should leave is such a one."""
    binary: PacketType | None = None
    """The type that takes over when the payload has bytes in it. A packet without such a type may lack its payload."""


def _is_event(data: JSON) -> bool:
    if not isinstance(data, (list, tuple)) or not data:
        return False
    name = data[0]
    if isinstance(name, str):
        return name not in RESERVED_EVENTS
    return isinstance(name, (int, float)) and not isinstance(name, bool)


def _is_named_event(data: JSON) -> bool:
    # Peers may number their events; we do not, and an empty name is a mistake of the caller.
    return _is_event(data) and isinstance(data[0], str) and data[0] != ""


def _is_array(data: JSON) -> bool:
    return isinstance(data, (list, tuple))


def _is_object(data: JSON) -> bool:
    return isinstance(data, dict)


def _is_refusal(data: JSON) -> bool:
    return isinstance(data, (dict, str))


def _is_nothing(data: JSON) -> bool:  # noqa: ARG001 - a payload that is there is already one too many
    return False


_AN_EVENT = "must be an array that begins with the name of an event that is not reserved"
_RULES = {
    PacketType.CONNECT: _Rule("0", _NEVER, "must be an object", _is_object, _is_object),
    PacketType.DISCONNECT: _Rule("1", _NEVER, "must be missing", _is_nothing, _is_nothing),
    PacketType.EVENT: _Rule("2", _OPTIONAL, _AN_EVENT, _is_event, _is_named_event, PacketType.BINARY_EVENT),
    PacketType.ACK: _Rule("3", _REQUIRED, "must be an array", _is_array, _is_array, PacketType.BINARY_ACK),
    PacketType.CONNECT_ERROR: _Rule("4", _NEVER, "must be an object or a string", _is_refusal, _is_refusal),
    PacketType.BINARY_EVENT: _Rule("5", _OPTIONAL, _AN_EVENT, _is_event, _is_named_event, PacketType.BINARY_EVENT),
    PacketType.BINARY_ACK: _Rule("6", _REQUIRED, "must be an array", _is_array, _is_array, PacketType.BINARY_ACK),
}
_BY_DIGIT = {rule.digit: (packet_type, rule) for packet_type, rule in _RULES.items()}

_DIGITS = re.compile("[0-9]+")  # not \d nor str.isdigit, which know the digits of all scripts

# Encoding ------------------------------------------------------------------------------------------------------------


def encode(packet: Packet) -> list[str | bytes]:
    """Return the frames of a packet: the text, then its attachments.

    An EVENT or ACK with bytes, bytearrays or memoryviews at any depth becomes its binary form. The frames are
    independent of the packet: what changes later does not change them.

    Raises:
        EncodeValueError: The namespace, the ack id, the event name or a value inside the data cannot be sent.
        EncodeTypeError: The data is not of the kind that the packet type asks for, or holds an object that has no
            JSON form.
    """
    packet_type, prefix, body, attachments = _encode_once(packet)
    return _frames(packet_type, prefix, body, attachments, packet.id)


@dataclass(frozen=True, slots=True)
class Template:
    """A packet that was encoded once and can be sent many times, with another ack id each time. Made by `of`."""

    type: PacketType
    prefix: str
    """What stands before the ack id."""
    body: str
    """What stands after it: the JSON text."""
    attachments: tuple[bytes, ...]

    @classmethod
    def of(cls, packet: Packet) -> "Template":
        """Encode a packet that has no ack id yet.

        Raises:
            EncodeValueError: As `encode`; also when the packet has an ack id.
            EncodeTypeError: As `encode`.
        """
        if packet.id is not None:
            raise EncodeValueError("A packet that becomes a template has no ack id yet")
        return cls(*_encode_once(packet))

    def frames(self, id: int | None = None) -> list[str | bytes]:  # noqa: A002 - the name that it has in a packet
        """Return the frames of the packet with this ack id, in a list that is the caller's own.

        Raises:
            EncodeValueError: The id is out of range, or one is missing or too many for this type of packet.
        """
        return _frames(self.type, self.prefix, self.body, self.attachments, id)


def _encode_once(packet: Packet) -> tuple[PacketType, str, str, tuple[bytes, ...]]:
    packet_type = packet.type
    data = packet.data
    rule = _RULES[packet_type]
    attachments: tuple[bytes, ...] = ()
    if data is None and rule.binary is None:
        body = ""
    elif not rule.sends(data):
        error = EncodeValueError if isinstance(data, (list, tuple)) else EncodeTypeError
        raise error(f"The payload of a packet of type {packet_type.name} {rule.payload}, not {data!r:.100}")
    elif rule.binary is None:
        body = jsontext.encode(data)
    else:
        body, attachments = binary.encode(data)
        if attachments or packet_type is rule.binary:
            prefix = f"{_RULES[rule.binary].digit}{len(attachments)}-{_address(packet)}"
            return rule.binary, prefix, body, attachments
    return packet_type, rule.digit + _address(packet), body, attachments


def _frames(
    packet_type: PacketType, prefix: str, body: str, attachments: tuple[bytes, ...], ack_id: int | None
) -> list[str | bytes]:
    ids = _RULES[packet_type].ids
    if ack_id is None:
        if ids is _REQUIRED:
            raise EncodeValueError(f"A packet of type {packet_type.name} {ids.value}")
        return [prefix + body, *attachments]
    if ids is _NEVER:
        raise EncodeValueError(f"A packet of type {packet_type.name} {ids.value}")
    if type(ack_id) is not int or not 0 <= ack_id <= MAX_ACK_ID:
        raise EncodeValueError(f"An ack id is a whole number from 0 to {MAX_ACK_ID}, not {ack_id!r:.100}")
    return [f"{prefix}{ack_id:d}{body}", *attachments]


def _address(packet: Packet) -> str:
    """Return how the namespace stands in the frame; the root namespace is left out."""
    if packet.namespace == "/" and not packet.query:
        return ""
    address = f"{packet.namespace}?{packet.query}" if packet.query else packet.namespace
    if address[:1] != "/" or "," in address or "?" in packet.namespace or _has_unsendable(address):
        raise EncodeValueError(
            f"The namespace {address!r:.100} cannot be sent: it must begin with a slash, "
            "and hold no comma, question mark, U+001E or lone surrogate"
        )
    return address + ","


def _has_unsendable(address: str) -> bool:
    """Whether there are characters that no transport can carry: the separator of polling packets, a lone surrogate."""
    return "\x1e" in address or not (address.isascii() or jsontext.LONE_SURROGATE.search(address) is None)


# Decoding ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Incomplete:
    """A packet that waits for its attachments."""

    packet: Packet
    slots: list[binary.Slot]
    count: int
    attachments: list[bytes] = field(default_factory=list)
    size: int = 0


class Decoder:
    """Turns the frames of one session into packets.

    After a `DecodeError` it is as new; what the error means for the session is for the caller to say.

    Args:
        max_attachments: How many attachments one packet may have.
        max_attachment_bytes: How many bytes these may have together.
    """

    __slots__ = ("_incomplete", "_max_attachment_bytes", "_max_attachments")

    def __init__(self, max_attachments: int = 64, max_attachment_bytes: int = 1_000_000) -> None:
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes
        self._incomplete: _Incomplete | None = None

    @property
    def pending(self) -> bool:
        """Whether attachments are missing, so that the next frame must be binary."""
        return self._incomplete is not None

    def feed(self, frame: str | bytes) -> Packet | None:
        """Take the next frame.

        Returns:
            The packet that it completes, or None while attachments are still missing. A packet that came with
            attachments keeps its type BINARY_EVENT or BINARY_ACK.

        Raises:
            DecodeError: The frame breaks the protocol; its position is one of this frame.
        """
        if isinstance(frame, str):
            if self._incomplete is not None:
                missing = self._incomplete.count - len(self._incomplete.attachments)
                self._incomplete = None
                raise DecodeError(f"A text frame came while attachments were awaited: {missing} missing", 0)
            return self._event(frame) if frame.startswith('2["') else self._text(frame)
        if self._incomplete is None:
            raise DecodeError("A binary frame came that no packet had announced", 0)
        return self._attachment(self._incomplete, frame)

    def _event(self, frame: str) -> Packet:
        """Decode the commonest frame by far, an event in the root namespace without an ack id, in half the time."""
        data = jsontext.decode(frame, 1)
        if not _is_event(data):
            raise DecodeError(f"The payload of a packet of type EVENT {_AN_EVENT}", 1)
        return Packet(_EVENT, "/", data)

    def _text(self, frame: str) -> Packet | None:
        if frame[:1] not in _BY_DIGIT:
            raise DecodeError(f"There is no packet type {frame[0]!r}" if frame else "The packet is empty", 0)
        packet_type, rule = _BY_DIGIT[frame[0]]
        position = 1
        count = 0
        if packet_type is rule.binary:
            count, position = self._count(frame)

        namespace, query = "/", ""
        if frame.startswith("/", position):
            end = frame.find(",", position)
            if end < 0:
                end = len(frame)  # the comma may be missing when nothing follows
            namespace = frame[position:end]
            if _has_unsendable(namespace):
                raise DecodeError("The namespace holds U+001E or a lone surrogate", position)
            position = min(end + 1, len(frame))
            if "?" in namespace:
                namespace, _, query = namespace.partition("?")

        ack_id = None
        if "0" <= frame[position : position + 1] <= "9":
            if rule.ids is _NEVER:
                raise DecodeError(f"A packet of type {packet_type.name} {rule.ids.value}", position)
            ack_id, position = _number(frame, position, MAX_ACK_ID, "ack id")
        elif rule.ids is _REQUIRED:
            raise DecodeError(f"A packet of type {packet_type.name} {rule.ids.value}", position)

        data = None
        if position < len(frame) or rule.binary is not None:
            data = jsontext.decode(frame, position)
            if not rule.accepts(data):
                raise DecodeError(f"The payload of a packet of type {packet_type.name} {rule.payload}", position)

        packet = Packet(packet_type, namespace, data, ack_id, query)
        if packet_type is rule.binary:
            slots = binary.find(data, count, position)
            if count:
                self._incomplete = _Incomplete(packet, slots, count)
                return None
        return packet

    def _count(self, frame: str) -> tuple[int, int]:
        """Read how many attachments follow; return that and the position behind the hyphen."""
        count, end = _number(frame, 1, self._max_attachments, "number of attachments")
        if not frame.startswith("-", end):
            raise DecodeError("A hyphen must follow the number of attachments", end)
        return count, end + 1

    def _attachment(self, incomplete: _Incomplete, frame: bytes) -> Packet | None:
        incomplete.attachments.append(frame)
        incomplete.size += len(frame)
        if incomplete.size > self._max_attachment_bytes:
            self._incomplete = None
            raise DecodeError(f"The attachments of a packet have more than {self._max_attachment_bytes} bytes")
        if len(incomplete.attachments) < incomplete.count:
            return None
        self._incomplete = None
        binary.fill(incomplete.slots, incomplete.attachments)
        return incomplete.packet


def _number(frame: str, start: int, limit: int, what: str) -> tuple[int, int]:
    """Read the ASCII digits at a position; return their value and where they end."""
    match = _DIGITS.match(frame, start)
    if match is None:
        raise DecodeError(f"The {what} is missing", start)
    digits = match[0]
    number = int(digits) if len(digits) <= MAX_ID_DIGITS else MAX_ACK_ID + 1
    if number > limit:
        raise DecodeError(f"The {what} is larger than {limit}", start)
    return number, start + len(digits)
