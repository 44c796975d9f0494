"""The parts of an Engine.IO packet (Engine.IO protocol, "Packet encoding"), for the revisions 4 and 3."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from trio_socketio.protocol import explain_json, explain_socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.explain_spans import Fault, Layer, Piece, Span, counted, shown

REVISIONS = (3, 4)
"""What can be explained. Revision 3 is what clients of Socket.IO 2 speak."""

_TYPES = {
    "0": ("an open packet", "the server begins the session and says how it is kept alive", "Handshake"),
    "1": ("a close", "one side ends the session", "HTTP long-polling"),
    "2": ("a ping", "the server asks whether the client is still there, and expects a pong", "Heartbeat"),
    "3": ("a pong", "the client answers the ping of the server", "Heartbeat"),
    "4": ("a message", "the payload of the layer above", "Message"),
    "5": ("an upgrade", "the client moves the session to this WebSocket", "Upgrade"),
    "6": ("a noop", "which only ends a polling request that was waiting", "Upgrade"),
}
_TYPES_OF_3 = _TYPES | {
    "2": ("a ping", "the client asks whether the server is still there, and expects a pong", "2 ping"),
    "3": ("a pong", "the server answers the ping of the client", "3 pong"),
}
_PROBES = {
    "2": "the client tries whether a WebSocket can take over the session",
    "3": "the server answers the probe: this WebSocket can take over the session",
}
_NUMBER = re.compile("[0-9]{1,16}")


def section(title: str, revision: int) -> str:
    """Return where the protocol of a revision says something."""
    return f'Engine.IO protocol, "{title}"' if revision == 4 else f'Engine.IO protocol, revision 3, "{title}"'


_PACKET_OF_3 = section("Packet", 3)
BINARY_MESSAGE = Span(
    b"\x04", Layer.ENGINEIO, "packet type", "4: a message, the payload of the layer above", _PACKET_OF_3
)
"""What stands before the bytes of a message, in revision 3 only."""

NOT_BINARY = Fault(
    0,
    Layer.ENGINEIO,
    "packet type",
    "A binary packet of revision 3 begins with the byte 04: it is a message",
    _PACKET_OF_3,
)
"""What is wrong with bytes that begin otherwise, in revision 3."""


def fault_of(text: str, error: DecodeError, revision: int) -> Fault:
    """Return the fault of a packet that has no type."""
    where = section("Packet encoding" if revision == 4 else "Packet", revision)
    message = f"{error.message}. An Engine.IO packet begins with a digit from 0 to 6"
    if text[:1] in ("[", "{"):
        message += ', an event with 42: usual is 42["name","argument"]'
    return Fault(error.position or 0, Layer.ENGINEIO, "packet type", message, where)


def handshake_fault(error: DecodeError, revision: int) -> Fault | None:
    """Return the fault of an open packet whose data is no handshake of revision 4; None if it is one of revision 3."""
    if revision == 3 and "maxPayload" in error.message:
        return None  # it is read last, so all that revision 3 has is there
    message = f"{explain_socketio.message_of(error)}. Usual is 0{_USUAL[revision]}"
    if "maxPayload" in error.message:
        message += "; servers before Engine.IO 6.2 leave maxPayload out"
    return Fault(1 + (error.position or 0), Layer.JSON, "handshake", message, section(_HANDSHAKES[revision], revision))


_HANDSHAKES = {3: "Anatomy of an Engine.IO session", 4: "Handshake"}
_USUAL = {
    3: '{"sid":"...","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}',
    4: '{"sid":"...","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
}


def pieces(text: str, revision: int) -> Iterator[Piece]:
    """Yield the pieces of a text packet, those of the layer above included."""
    digit = text[:1]
    types = _TYPES if revision == 4 else _TYPES_OF_3
    if digit not in types:
        return
    name, meaning, title = types[digit]
    if digit in _PROBES and text[1:] == "probe":
        meaning, title = _PROBES[digit], "Upgrade"
    if revision != 4:
        title = _TITLES_OF_3.get(title, title)
    yield Piece(1, Layer.ENGINEIO, "packet type", f"{digit}: {name}, {meaning}", section(title, revision))
    if len(text) == 1:
        return
    if digit == "4":
        inner = explain_socketio.pieces(text[1:])
    elif digit == "0":
        where = section(_HANDSHAKES[revision], revision)
        meanings = partial(_handshake, revision)
        inner = explain_json.members(text[1:], 0, "what the client must know of the session", meanings, where)
    else:
        inner = iter([_data(digit, text, revision)])
    for piece in inner:
        yield replace(piece, end=piece.end + 1)


_TITLES_OF_3 = {
    "Handshake": "0 open",
    "HTTP long-polling": "1 close",
    "Message": "4 message",
    "Upgrade": "Transport upgrading",
}


def _data(digit: str, text: str, revision: int) -> Piece:
    where = section("Upgrade" if revision == 4 else "Transport upgrading", revision)
    data = shown(text[1:])
    if text[1:] == "probe" and digit in _PROBES:
        meaning = "probe: marks the ping and the pong that try a new transport"
    elif text[1:2] in ("[", "{", "/"):
        meaning = f"{data}: this looks like a Socket.IO packet without the 4 that makes it a message"
    else:
        meaning = f"{data}: data that this packet does not need"
    return Piece(len(text) - 1, Layer.ENGINEIO, "data", meaning, where)


def _handshake(revision: int, key: str, value: str) -> str:
    match key:
        case "sid":
            return f"{shown(value)}: names the session in all later requests"
        case "upgrades":
            return f"{shown(value)}: the transports that the client may move to"
        case "pingInterval":
            return f"{_seconds(value)}: how often the {'server' if revision == 4 else 'client'} sends a ping"
        case "pingTimeout":
            return f"{_seconds(value)}: how long a ping may stay unanswered before the other side is taken for lost"
        case "maxPayload":
            return f"{_bytes(value)}: how large a polling payload or a WebSocket message may be"
        case _:
            return f"{shown(value)}: the specification does not know this key, and it is ignored"


def _seconds(value: str) -> str:
    if not _NUMBER.fullmatch(value):
        return shown(value)
    return f"{value} ms, {int(value) / 1000:g} s"


def _bytes(value: str) -> str:
    return counted(int(value), "byte") if _NUMBER.fullmatch(value) else shown(value)
