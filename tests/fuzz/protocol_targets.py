"""The decoders of `trio_socketio.protocol`, whose only error is `DecodeError`, and the explanations, which have none."""

import json
from collections.abc import Iterator

from fuzz import seeds
from fuzz.target import Target, text, values
from trio_socketio.protocol import engineio, explain, jsontext, socketio
from trio_socketio.protocol.errors import DecodeError, EncodeError
from trio_socketio.protocol.jsoncodec import json_codec
from trio_socketio.protocol.socketio import RESERVED_EVENTS

MAX_ATTACHMENTS, MAX_ATTACHMENT_BYTES = 4, 20


def _codecs() -> dict[str, object]:
    found = {}
    for name in ("json", "orjson", "msgspec"):
        try:
            found[name] = json_codec(name)
        except ImportError:
            continue  # the library is optional
    return found


CODECS = _codecs()
EVENTS = (socketio.PacketType.EVENT, socketio.PacketType.BINARY_EVENT)


def decode_packets(data: bytes) -> None:
    """Frames of a session in order: every JSON codec makes the same of them, and what was decoded can be sent again."""
    frames = values(data)
    decoders = {
        name: socketio.Decoder(MAX_ATTACHMENTS, MAX_ATTACHMENT_BYTES, codec)  # type: ignore[arg-type]
        for name, codec in CODECS.items()
    }
    for frame in frames:
        outcomes = {name: _fed(decoder, frame) for name, decoder in decoders.items()}
        packet, _said = next(iter(outcomes.values()))
        shown = {name: (repr(found), said) for name, (found, said) in outcomes.items()}
        assert len(set(shown.values())) == 1, f"the codecs differ about {frame!r}: {shown}"
        if packet is not None:
            _check_packet(packet)


def _fed(decoder: socketio.Decoder, frame: str | bytes) -> tuple[socketio.Packet | None, object]:
    pending = decoder.pending
    try:
        packet = decoder.feed(frame)
    except DecodeError as error:
        assert not decoder.pending
        assert error.position is None or 0 <= error.position <= len(frame)
        return None, (error.message, error.position)
    assert (packet is None) == decoder.pending
    assert pending == isinstance(frame, bytes)
    return packet, "pending" if packet is None else "complete"


def _check_packet(packet: socketio.Packet) -> None:
    assert packet.namespace.startswith("/")
    assert packet.id is None or 0 <= packet.id <= socketio.MAX_ACK_ID
    if packet.type in EVENTS:
        assert packet.data
        assert packet.data[0] not in RESERVED_EVENTS
        if not isinstance(packet.data[0], str) or not packet.data[0]:
            return  # read, but never written
    try:
        frames = socketio.encode(packet)
    except EncodeError as error:
        # An object that looks like a placeholder comes from a peer that escapes nothing.
        assert "_placeholder" in str(error), f"a packet that arrived cannot be sent: {packet}"
        return
    decoder = socketio.Decoder(1000)
    again = [decoder.feed(frame) for frame in frames][-1]
    assert again is not None
    assert _written(again) == _written(packet)


def _written(packet: socketio.Packet) -> str:
    """Return what a packet says; whether two halves of a character are one does not matter, nor whether it waited for bytes."""
    return json.dumps([packet.namespace, packet.data, packet.id, packet.query], default=repr)


def decode_engine(data: bytes) -> None:
    """One text as a WebSocket frame, as the body of a request and as a handshake."""
    frame = text(data)
    try:
        packet = engineio.decode_packet(frame)
    except DecodeError as error:
        _check_position(error, frame)
    else:
        assert frame.startswith("b") if isinstance(packet.data, bytes) else engineio.encode_packet(packet) == frame
    assert engineio.encode_packet(engineio.decode_packet(data)) == data
    try:
        packets = engineio.decode_payload(frame)
    except DecodeError as error:
        _check_position(error, frame)
    else:
        assert engineio.decode_payload(engineio.encode_payload(packets)) == packets
    try:
        handshake = engineio.Handshake.from_json(frame)
    except DecodeError as error:
        _check_position(error, frame)
    else:
        again = engineio.Handshake.from_json(handshake.to_json())
        assert (again.sid, again.upgrades, again.max_payload) == (
            handshake.sid,
            handshake.upgrades,
            handshake.max_payload,
        )


def _check_position(error: DecodeError, frame: str) -> None:
    assert error.position is None or 0 <= error.position <= len(frame), error


class _RefusedError(ValueError):
    """What the standard library takes and RFC 8259 or a limit does not."""


def decode_json(data: bytes) -> None:
    """A number of characters to leave alone, and text: as the standard library's `json` reads it, within the limits."""
    whole = text(data[1:])
    position = min(data[0] if data else 0, len(whole))
    try:
        value = jsontext.decode(whole, position)
    except DecodeError as error:
        assert error.position is None or position <= error.position <= len(whole)
        assert _plainly(whole[position:]) is None, f"refused, and it is JSON: {error}"
        return
    expected = _plainly(whole[position:])
    assert expected is not None, "taken, and it is no JSON, or exceeds a limit"
    assert repr(value) == repr(expected[0])
    again = jsontext.encode(value)
    assert again.encode()
    assert json.dumps(jsontext.decode(again)) == json.dumps(value)


def _plainly(json_text: str) -> tuple[object] | None:
    """Return what the text says, or None if it says nothing, or more than it may."""
    try:
        value = json.loads(json_text, parse_int=_int, parse_float=_float, parse_constant=_constant)
    except (ValueError, RecursionError):
        return None
    return (value,) if _levels(value) <= jsontext.MAX_NESTING else None


def _int(literal: str) -> int:
    if len(literal.removeprefix("-")) > jsontext.MAX_INTEGER_DIGITS:
        raise _RefusedError
    return int(literal)


def _float(literal: str) -> float:
    number = float(literal)
    if number - number != 0:
        raise _RefusedError
    return number


def _constant(literal: str) -> object:
    raise _RefusedError(literal)


def _levels(value: object) -> int:
    levels = 0
    inside = [value]
    while inside := [item for item in inside if isinstance(item, (list, dict))]:
        levels += 1
        inside = [item for one in inside for item in (one.values() if isinstance(one, dict) else one)]
    return levels


def explain_frames(data: bytes) -> None:
    """Frames of one side, in either revision: the spans are the frame, and there is a fault where the decoders see one."""
    frames = values(data)
    for revision in (3, 4):
        conversation = explain.Conversation(revision=revision)
        judges = _Judges()
        for frame in frames:
            spans = conversation.explain(frame)
            _check_spans(spans, frame)
            if revision == 4:
                assert explain.is_broken(spans) == judges.refuse(frame), f"{frame!r}: {spans}"
        for frame in frames:
            _check_spans(explain.explain(frame, revision=revision), frame)


class _Judges:
    """What the decoders say of the frames of one side; of bytes only when what announces them may have been seen."""

    def __init__(self) -> None:
        self._decoder = _unlimited()
        self._informed = False

    def refuse(self, frame: str | bytes) -> bool:
        try:
            packet = engineio.decode_packet(frame)
            if packet.type is engineio.PacketType.OPEN:
                assert isinstance(packet.data, str)
                engineio.Handshake.from_json(packet.data)
                return False
        except DecodeError:
            if not (isinstance(frame, str) and frame.startswith("0")):
                self._decoder, self._informed = _unlimited(), False
            return True
        if packet.type is not engineio.PacketType.MESSAGE or (isinstance(packet.data, bytes) and not self._informed):
            return False
        try:
            self._decoder.feed(packet.data)
        except DecodeError:
            self._decoder, self._informed = _unlimited(), False
            return True
        self._informed = self._informed or isinstance(packet.data, str)
        return False


def _unlimited() -> socketio.Decoder:
    """Return a decoder without a server's limits, which are no rules of the protocol."""
    return socketio.Decoder(socketio.MAX_ACK_ID, socketio.MAX_ACK_ID)


def explain_bodies(data: bytes) -> None:
    """Bytes as a polling body, as WebSocket frames and as a URL."""
    body = text(data)
    for revision in (3, 4):
        _check_spans(explain.explain_payload(body, revision=revision), body)
        _check_spans(explain.explain_payload(data, revision=revision), data)
        _check_spans(explain.explain_websocket(data, revision=revision), data)
        _check_parts(explain.explain_target(body, revision=revision), body)
    try:
        packets = engineio.decode_payload(data.decode())
    except (DecodeError, UnicodeDecodeError):
        assert explain.is_broken(explain.explain_payload(data))
        return
    judges = _Judges()
    verdicts = [judges.refuse(engineio.encode_packet(packet)) for packet in packets]
    assert explain.is_broken(explain.explain_payload(data)) == any(verdicts)


def _check_spans(spans: list[explain.Span], frame: str | bytes) -> None:
    _check_parts(spans, frame)
    assert not any(span.fault for span in spans[:-1]), "something follows a fault"


def _check_parts(spans: list[explain.Span], frame: str | bytes) -> None:
    nothing = frame[:0]
    assert nothing.join(span.content for span in spans) == frame  # type: ignore[arg-type]
    assert all(span.content for span in spans) or (not frame and len(spans) == 1)
    for span in spans:
        assert span.meaning
        assert span.name
        assert span.section


FRAME_WORDS = (
    b"\xff", b"\xfe", b"\xff\xfe", b"\x1e", b"42", b"40", b"41", b"43", b"44", b"45", b"46", b"0", b"2", b"3", b"51-",
    b"62-", b"/chat,", b"/", b",", b"?a=b", b"7", b"9007199254740991", b"[", b"]", b'["a"', b',"b"]', b"{}",
    b'{"a":1}', b"null", b"true", b'{"_placeholder":true,"num":0}', b'"_placeholder":true', b'"num":1', b'"', b"\\",
    b"\\ud800", b'\\"', b"1e999", b"-0", b"NaN", b"18446744073709551616", b"[" * 40, b"]" * 40, b"0" * 200,
    b'"connect"', b"\xc3\xa9", b"\xed\xa0\x80", b"bAAEC", b"b=", b"2probe",
    b'0{"sid":"x","upgrades":[],"pingInterval":1,"pingTimeout":2,"maxPayload":3}',
)  # fmt: skip
BODY_WORDS = (
    *FRAME_WORDS, b"\x00", b"\x01", b"\x81\x85", b"\x82\x80", b"\x01\x01", b"\x88\x02\x03\xe8", b"\xc1",
    b"\x7e\x00\x80", b"6:", b"2:4b", b"/socket.io/?EIO=4&transport=polling&sid=", b"%41", b"%", b"&", b"=", b"#",
    b"http://h:1",
)  # fmt: skip


def _bodies() -> Iterator[bytes]:
    yield from seeds.payloads()
    yield from seeds.websocket_bytes()
    yield from seeds.targets()
    yield from (b'7:42["a"]1:1', b'\x00\x08\xff4\xc3\xa9["a"]', b"\x01\x04\xff\x04abc", b"3:b4=")


TARGETS = (
    Target("socketio", decode_packets, seeds.packet_frames, FRAME_WORDS, ("trio_socketio.protocol",), 400, 300),
    Target("engineio", decode_engine, seeds.engine_texts, FRAME_WORDS, ("trio_socketio.protocol.engineio",), 200, 300),
    Target("json", decode_json, seeds.json_texts, FRAME_WORDS, ("trio_socketio.protocol.jsontext",), 400, 600),
    Target("explain", explain_frames, seeds.engine_frames, FRAME_WORDS, ("trio_socketio.protocol",), 200, 300),
    Target("explain-bodies", explain_bodies, _bodies, BODY_WORDS, ("trio_socketio.protocol",), 200, 300),
)
