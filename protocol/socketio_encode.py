"""Socket.IO packets to frames.

`encode` is for any packet; `encode_event` and `encode_ack` are for what a server sends all the time, and make none. A
`Template` is a packet encoded once for many recipients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trio_socketio.protocol import jsontext
from trio_socketio.protocol.errors import EncodeTypeError, EncodeValueError
from trio_socketio.protocol.jsoncodec import STANDARD, JSONCodec
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio_packet import (
    MAX_ACK_ID,
    NEVER,
    REQUIRED,
    RESERVED_EVENTS,
    RULES,
    Packet,
    PacketType,
    has_unsendable,
)

_EVENT = PacketType.EVENT
_ACK = PacketType.ACK


def encode(packet: Packet, json: JSONCodec = STANDARD) -> list[str | bytes]:
    """Return the frames of a packet: the text, then its attachments.

    An EVENT or ACK with bytes, bytearrays or memoryviews at any depth becomes its binary form. The frames are
    independent of the packet: what changes later does not change them.

    Raises:
        EncodeValueError: The namespace, the ack id, the event name or a value inside the data cannot be sent.
        EncodeTypeError: The data is not of the kind that the packet type asks for, or holds an object that has no
            JSON form.
    """
    data = packet.data
    if type(data) is list and not packet.query:
        if packet.type is _EVENT and data:
            return encode_event(packet.namespace, data[0], data[1:], packet.id, json)
        if packet.type is _ACK and packet.id is not None:
            return encode_ack(packet.namespace, packet.id, data, json)
    return _frames(*_encode_once(packet, json), packet.id)


def encode_event(
    namespace: str,
    event: str,
    arguments: Sequence[JSON],
    id: int | None = None,  # noqa: A002 - the name that it has in a packet
    json: JSONCodec = STANDARD,
) -> list[str | bytes]:
    """Return the frames of an event: what `encode` returns for ``Packet(EVENT, namespace, [event, *arguments], id)``.

    Raises:
        EncodeValueError: As `encode`.
        EncodeTypeError: As `encode`.
    """
    if type(event) is not str or event == "" or event in RESERVED_EVENTS:
        return _frames(*_encode_once(Packet(_EVENT, namespace, [event, *arguments], id), json), id)
    if len(arguments) == 1 and type(arguments[0]) is str and event.isascii():
        body = f"[{jsontext.quote_short(event)},{jsontext.quote(arguments[0])}]"
        if namespace == "/" and id is None:
            return ["2" + body]
        return _checked("2", namespace, id, body, ())
    return _checked("2", namespace, id, *json.encode([event, *arguments]))


def encode_ack(
    namespace: str,
    id: int,  # noqa: A002
    arguments: Sequence[JSON],
    json: JSONCodec = STANDARD,
) -> list[str | bytes]:
    """Return the frames of an acknowledgement: what `encode` returns for ``Packet(ACK, namespace, [*arguments], id)``.

    Raises:
        EncodeValueError: As `encode`.
        EncodeTypeError: As `encode`.
    """
    if len(arguments) == 1 and type(arguments[0]) is str:
        return _checked("3", namespace, id, f"[{jsontext.quote(arguments[0])}]", ())
    return _checked("3", namespace, id, *json.encode([*arguments]))


_BINARY_DIGITS = {rule.digit: RULES[rule.binary].digit for rule in RULES.values() if rule.binary is not None}


def _checked(
    digit: str, namespace: str, ack_id: int | None, body: str, attachments: tuple[bytes, ...]
) -> list[str | bytes]:
    """Return the frames of an event or acknowledgement without a query, of which only the address is not checked yet."""
    if attachments:
        digit = f"{_BINARY_DIGITS[digit]}{len(attachments)}-"
    address = "" if namespace == "/" else _address(namespace, "")
    if ack_id is None:
        return [digit + address + body, *attachments]
    if type(ack_id) is not int or not 0 <= ack_id <= MAX_ACK_ID:
        raise _bad_id(ack_id)
    return [f"{digit}{address}{ack_id}{body}", *attachments]


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
    def of(cls, packet: Packet, json: JSONCodec = STANDARD) -> "Template":
        """Encode a packet that has no ack id yet.

        Raises:
            EncodeValueError: As `encode`; also when the packet has an ack id.
            EncodeTypeError: As `encode`.
        """
        if packet.id is not None:
            raise EncodeValueError("A packet that becomes a template has no ack id yet")
        return cls(*_encode_once(packet, json))

    def frames(self, id: int | None = None) -> list[str | bytes]:  # noqa: A002 - the name that it has in a packet
        """Return the frames of the packet with this ack id, in a list that is the caller's own.

        Raises:
            EncodeValueError: The id is out of range, or one is missing or too many for this type of packet.
        """
        return _frames(self.type, self.prefix, self.body, self.attachments, id)


def _encode_once(packet: Packet, json: JSONCodec) -> tuple[PacketType, str, str, tuple[bytes, ...]]:
    packet_type = packet.type
    data = packet.data
    rule = RULES[packet_type]
    attachments: tuple[bytes, ...] = ()
    if data is None and rule.binary is None:
        body = ""
    elif not rule.sends(data):
        error = EncodeValueError if isinstance(data, (list, tuple)) else EncodeTypeError
        raise error(f"The payload of a packet of type {packet_type.name} {rule.payload}, not {data!r:.100}")
    elif rule.binary is None:
        body = jsontext.encode(data)
    else:
        body, attachments = json.encode(data)
        if attachments or packet_type is rule.binary:
            prefix = f"{RULES[rule.binary].digit}{len(attachments)}-{_address(packet.namespace, packet.query)}"
            return rule.binary, prefix, body, attachments
    return packet_type, rule.digit + _address(packet.namespace, packet.query), body, attachments


def _frames(
    packet_type: PacketType, prefix: str, body: str, attachments: tuple[bytes, ...], ack_id: int | None
) -> list[str | bytes]:
    ids = RULES[packet_type].ids
    if ack_id is None:
        if ids is REQUIRED:
            raise EncodeValueError(f"A packet of type {packet_type.name} {ids.value}")
        return [prefix + body, *attachments]
    if ids is NEVER:
        raise EncodeValueError(f"A packet of type {packet_type.name} {ids.value}")
    if type(ack_id) is not int or not 0 <= ack_id <= MAX_ACK_ID:
        raise _bad_id(ack_id)
    return [f"{prefix}{ack_id:d}{body}", *attachments]


def _bad_id(ack_id: JSON) -> EncodeValueError:
    # Python refuses to write down integers of thousands of digits.
    huge = isinstance(ack_id, int) and ack_id.bit_length() > 200
    shown = f"an integer of {ack_id.bit_length()} bits" if huge else f"{ack_id!r:.100}"
    return EncodeValueError(f"An ack id is a whole number from 0 to {MAX_ACK_ID}, not {shown}")


def _address(namespace: str, query: str) -> str:
    """Return how the namespace stands in the frame; the root namespace is left out."""
    if namespace == "/" and not query:
        return ""
    address = f"{namespace}?{query}" if query else namespace
    if address[:1] != "/" or "," in address or "?" in namespace or has_unsendable(address):
        raise EncodeValueError(
            f"The namespace {address!r:.100} cannot be sent: it must begin with a slash, "
            "and hold no comma, question mark, U+001E or lone surrogate"
        )
    return address + ","
