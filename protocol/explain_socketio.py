"""The parts of a Socket.IO packet (Socket.IO protocol, "Packet encoding"), and what is usual where one is broken."""

import re
from collections.abc import Iterator

from trio_socketio.protocol import explain_json, jsontext
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.explain_spans import Fault, Layer, Piece, counted, shown
from trio_socketio.protocol.socketio import PacketType

ENCODING = 'Socket.IO protocol, "Packet encoding"'
_CONNECTION = 'Socket.IO protocol, "Connection to a namespace"'
_DATA = 'Socket.IO protocol, "Sending and receiving data"'
_ACKNOWLEDGEMENT = 'Socket.IO protocol, "Acknowledgement"'
_DISCONNECTION = 'Socket.IO protocol, "Disconnection from a namespace"'

_TYPES = {
    "0": (PacketType.CONNECT, "the client asks for a namespace, or the server grants it", _CONNECTION),
    "1": (PacketType.DISCONNECT, "one side leaves the namespace", _DISCONNECTION),
    "2": (PacketType.EVENT, "a name and its arguments", _DATA),
    "3": (PacketType.ACK, "the answer to the event with the same ack id", _ACKNOWLEDGEMENT),
    "4": (PacketType.CONNECT_ERROR, "the server refuses the namespace", _CONNECTION),
    "5": (PacketType.BINARY_EVENT, "an event with attachments, bytes that follow in frames of their own", _DATA),
    "6": (
        PacketType.BINARY_ACK,
        "an acknowledgement with attachments, bytes that follow in frames of their own",
        _DATA,
    ),
}
_USUAL = {
    "0": '40 or 40{"token":"abc"}',
    "1": "41",
    "2": '42["name","argument"]',
    "3": '437["answer"] for the event with ack id 7',
    "4": '44{"message":"Not authorized"}',
    "5": '451-["name",{"_placeholder":true,"num":0}]',
    "6": '461-7[{"_placeholder":true,"num":0}] for the event with ack id 7',
}
_USUAL_OF_2 = _USUAL | {"0": "40 or 40/admin?token=abc,", "4": '44"Not authorized"'}
"""With revision 3 of Engine.IO, which Socket.IO 2 has, no packet of these types has an object."""

_BINARY = "56"
_ANSWERS = "36"
_DIGITS = re.compile("[0-9]+")


def attachments_of(text: str) -> int:
    """Return how many attachments a packet announces that the decoder has accepted."""
    match = _DIGITS.match(text, 1)
    return int(match[0]) if match and text[0] in _BINARY else 0


def is_refusal_of_2(text: str) -> bool:
    """Whether a packet is a refusal as Socket.IO 2 has it: its payload is any JSON value."""
    if not text.startswith("4"):
        return False
    try:
        jsontext.decode(text[_payload_start(text) :])
    except DecodeError:
        return False
    return True


def fault_of(text: str, error: DecodeError, revision: int) -> Fault:
    """Return the fault that a decoder found in a packet, as a `Fault` with a hint what is usual."""
    position = _payload_start(text) if error.position is None else error.position
    in_payload = position >= _payload_start(text) and text[:1] in _TYPES
    layer = Layer.JSON if in_payload and position < len(text) else Layer.SOCKETIO
    message = message_of(error)
    if position == len(text) and not message.startswith("The frame ends"):
        message = f"The frame ends too early. {message}"
    return Fault(position, layer, _part_at(text, position), f"{message}. {_hint(text, position, revision)}", ENCODING)


def message_of(error: DecodeError) -> str:
    """Return what a decoder says, without the word before the place, which the span shows."""
    return error.message.removesuffix(" starting")


def interruption(error: DecodeError) -> Fault:
    """Return the fault of a packet that comes while attachments of the one before it are missing."""
    message = f"{error.message}. Attachments follow their packet at once, with no other message between"
    return Fault(0, Layer.SOCKETIO, "packet type", message, ENCODING)


def unwanted(error: DecodeError) -> Fault:
    """Return the fault of an attachment that the decoder refuses."""
    return Fault(0, Layer.SOCKETIO, "attachment", error.message, ENCODING)


def _payload_start(text: str) -> int:
    *_, last = [1, *(piece.end for piece in _head(text))]
    return last


def _part_at(text: str, position: int) -> str:
    if position == 0:
        return "packet type"
    for piece in _head(text):
        if position < piece.end:
            return piece.name
    return "payload"


def _hint(text: str, position: int, revision: int) -> str:
    if text[position : position + 1] == "\x1e":
        return "U+001E stands between the packets of a polling payload: is this one?"
    digit = text[:1]
    if digit not in _TYPES:
        return f"A Socket.IO packet begins with a digit from 0 to 6; usual is {_USUAL['2']}"
    if position == len(text) and text[1:2] == "/" and "," not in text and digit in "2356":
        return f"A namespace ends with a comma; usual is 4{digit}/admin,{_USUAL[digit][2:]}"
    return f"Usual is {(_USUAL if revision == 4 else _USUAL_OF_2)[digit]}"


def pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of a packet: its head, then its payload."""
    position = 0
    for piece in _head(text):
        yield piece
        position = piece.end
    if position < len(text):
        yield from _payload(text, position)


def _head(text: str) -> Iterator[Piece]:
    digit = text[:1]
    if digit not in _TYPES:
        return
    packet_type, meaning, section = _TYPES[digit]
    yield Piece(1, Layer.SOCKETIO, "packet type", f"{digit}: {packet_type.name}, {meaning}", section)
    position = 1
    if digit in _BINARY and (count := _DIGITS.match(text, position)):
        position = count.end()
        yield Piece(position, Layer.SOCKETIO, "attachment count", _announced(count[0]), ENCODING)
        if text[position : position + 1] == "-":
            position += 1
            yield Piece(position, Layer.SOCKETIO, "separator", "-: ends the number of attachments", ENCODING)
    if text[position : position + 1] == "/":
        for piece in _namespace(text, position):
            yield piece
            position = piece.end
    if ack := _DIGITS.match(text, position):
        yield Piece(ack.end(), Layer.SOCKETIO, "ack id", _ack_id(shown(ack[0]), digit), _ACKNOWLEDGEMENT)


def _announced(digits: str) -> str:
    if digits.strip("0") == "":
        return f"{shown(digits)}: no binary frame follows"
    if digits == "1":
        return "1: one binary frame follows, the attachment of this packet"
    return f"{shown(digits)}: as many binary frames follow, the attachments of this packet"


def _ack_id(digits: str, packet_type: str) -> str:
    if packet_type in _ANSWERS:
        return f"{digits}: this answers the event that came with ack id {digits}"
    return f"{digits}: the sender wants an acknowledgement, an ACK with this number"


def _namespace(text: str, start: int) -> Iterator[Piece]:
    end = text.find(",", start)
    if end < 0:
        end = len(text)  # the comma may be missing when nothing follows
    mark = text.find("?", start, end)
    name = text[start : end if mark < 0 else mark]
    meaning = "the namespace, one of the channels that share the connection"
    if name == "/":
        meaning = "the main namespace, which is usually left out"
    yield Piece(start + len(name), Layer.SOCKETIO, "namespace", f"{shown(name)}: {meaning}", ENCODING)
    if mark >= 0:
        yield Piece(mark + 1, Layer.SOCKETIO, "separator", "?: a query follows", ENCODING)
        query = (
            f"{shown(text[mark + 1 : end])}: the query that a client may append to the namespace, no part of its name"
        )
        yield Piece(end, Layer.SOCKETIO, "query", query, ENCODING)
    if end < len(text):
        yield Piece(end + 1, Layer.SOCKETIO, "separator", ",: ends the namespace", ENCODING)


def _payload(text: str, start: int) -> Iterator[Piece]:
    body = text[start:].lstrip(" \t\n\r")
    section = _TYPES[text[0]][2]
    if body.startswith("["):
        meaning, names = _ARRAYS.get(text[0], _ARRAY_OF_NOTHING)
        return explain_json.array(text, start, meaning, names, section, placeholders=text[0] in _BINARY)
    if body.startswith("{"):
        meaning, meanings = _OBJECTS.get(text[0], _OBJECT_OF_NOTHING)
        return explain_json.members(text, start, meaning, meanings, section)
    reason = f"{shown(body)}: why the namespace is refused"
    return iter([Piece(len(text), Layer.JSON, "reason", reason, _CONNECTION)])


def _event(index: int, text: str) -> tuple[str, str]:
    if index == 0:
        return "event name", f"{shown(text)}: says which handlers are called"
    return _answer(index - 1, text)


def _answer(index: int, text: str) -> tuple[str, str]:
    return f"argument {index + 1}", f"{shown(text)}: {explain_json.kind(text)}"


def _grant(key: str, value: str) -> str:
    match key:
        case "sid":
            return f"{shown(value)}: the id of the socket, from the server; it is not the sid of the session"
        case "pid":
            return f"{shown(value)}: the private id with which the client may recover its state, from the server"
        case _:
            return f"{shown(value)}: auth data"


def _refusal(key: str, value: str) -> str:
    return f"{shown(value)}: {'what the client is told' if key == 'message' else 'more about it'}"


def _member(_key: str, value: str) -> str:
    return f"{shown(value)}: {explain_json.kind(value)}"


_EVENT: tuple[str, explain_json.Names] = ("the name of the event, then its arguments", _event)
_ANSWER: tuple[str, explain_json.Names] = ("the arguments of the answer", _answer)
_ARRAYS = {"2": _EVENT, "3": _ANSWER, "5": _EVENT, "6": _ANSWER}
_ARRAY_OF_NOTHING: tuple[str, explain_json.Names] = ("an array", _answer)
_OBJECTS: dict[str, tuple[str, explain_json.MemberMeanings]] = {
    "0": ("auth data from a client, or the id of the socket from the server", _grant),
    "4": ("why the namespace is refused", _refusal),
}
_OBJECT_OF_NOTHING: tuple[str, explain_json.MemberMeanings] = ("an object", _member)


def attachment(data: bytes, place: tuple[int, int] | None) -> tuple[str, str]:
    """Return the name and the meaning of a binary message.

    Args:
        data: Its bytes.
        place: Which attachment it is, counted from 0, and of how many; None if no packet announced it that is known.
    """
    size = counted(len(data), "byte")
    if place is None:
        return "attachment", f"{size}: they take the place of a placeholder in a packet that came before"
    index, count = place
    return f"attachment {index} of {count}", f"{size}: they take the place of the placeholder with num {index}"
