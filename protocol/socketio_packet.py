"""Socket.IO packets as values, and the rules that say what each type is made of (Socket.IO protocol, "Packet types")."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from trio_socketio.protocol import jsontext
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


class _Draft:
    """A packet whose fields can still be set."""

    __slots__ = ("data", "id", "namespace", "query", "type")


_change_class = vars(object)["__class__"].__set__


# One packet is made for every event in either direction. The `__init__` that dataclasses write for a frozen class looks
# `object.__setattr__` up for each field and has it find the slot. Here the packet is a draft until all fields are set,
# by plain assignments: a frozen class and its draft have the same layout, so that the one can become the other.
@dataclass(frozen=True, slots=True, init=False)
class Packet(_Draft):
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

    def __init__(
        self: Any,
        type: PacketType,  # noqa: A002 - the fields have the specification's names
        namespace: str = "/",
        data: JSON = None,
        id: int | None = None,  # noqa: A002
        query: str = "",
    ) -> None:
        _change_class(self, _Draft)
        self.type = type
        self.namespace = namespace
        self.data = data
        self.id = id
        self.query = query
        self.__class__ = Packet


def arrived(type: PacketType, namespace: str, data: JSON, id: int | None) -> Packet:  # noqa: A002
    """Make a packet without a query: what the constructor makes, in two thirds of its time."""
    packet: Any = _Draft()
    packet.type = type
    packet.namespace = namespace
    packet.data = data
    packet.id = id
    packet.query = ""
    packet.__class__ = Packet
    return packet  # type: ignore[no-any-return]  # it has just become one


class Ids(Enum):
    """Whether packets of a type have an ack id."""

    NEVER = "has no ack id"
    OPTIONAL = "may have an ack id"
    REQUIRED = "needs an ack id"


NEVER, OPTIONAL, REQUIRED = Ids  # looking a member up in its class takes several times as long as looking up a name


@dataclass(frozen=True, slots=True)
class Rule:
    """What the packets of one type are made of."""

    digit: str
    ids: Ids
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
RULES = {
    PacketType.CONNECT: Rule("0", NEVER, "must be an object", _is_object, _is_object),
    PacketType.DISCONNECT: Rule("1", NEVER, "must be missing", _is_nothing, _is_nothing),
    PacketType.EVENT: Rule("2", OPTIONAL, _AN_EVENT, _is_event, _is_named_event, PacketType.BINARY_EVENT),
    PacketType.ACK: Rule("3", REQUIRED, "must be an array", _is_array, _is_array, PacketType.BINARY_ACK),
    PacketType.CONNECT_ERROR: Rule("4", NEVER, "must be an object or a string", _is_refusal, _is_refusal),
    PacketType.BINARY_EVENT: Rule("5", OPTIONAL, _AN_EVENT, _is_event, _is_named_event, PacketType.BINARY_EVENT),
    PacketType.BINARY_ACK: Rule("6", REQUIRED, "must be an array", _is_array, _is_array, PacketType.BINARY_ACK),
}
BY_DIGIT = {rule.digit: (packet_type, rule) for packet_type, rule in RULES.items()}
"""What a packet is, by the character that it begins with."""


def has_unsendable(address: str) -> bool:
    """Whether there are characters that no transport can carry: the separator of polling packets, a lone surrogate."""
    return "\x1e" in address or not (address.isascii() or jsontext.LONE_SURROGATE.search(address) is None)
