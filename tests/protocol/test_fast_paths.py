"""The fast paths of the codec: they make what the general paths make, errors included."""

import dataclasses
import json
import pickle
from enum import StrEnum

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from trio_socketio.protocol import (
    DecodeError,
    EncodeTypeError,
    ProtocolError,
    binary,
    jsontext,
    socketio,
    socketio_decode,
    socketio_encode,
    socketio_packet,
)
from trio_socketio.protocol.jsoncodec import STANDARD
from trio_socketio.protocol.socketio import MAX_ACK_ID, Decoder, Packet, PacketType


class Word(StrEnum):
    CHAT = "chat"
    CONNECT = "connect"


def outcome(function, *arguments):
    """Return the result of a call, or everything about its error that its caller can see."""
    try:
        return function(*arguments)
    except ProtocolError as error:
        return type(error), str(error), getattr(error, "position", None)


# Encoding

TEXT = (
    st.text() | st.text(st.sampled_from('a"\\\x00\x1e\x1f\x7f é漢😀\ud800\udfff')) | st.text(min_size=30, max_size=300)
)
SCALARS = (
    TEXT
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.binary()
    | st.sampled_from([Word.CHAT, object(), 1j, {1}, {(): 1}, {"_placeholder": True}, bytearray(b"a")])
)
ARGUMENTS = st.lists(TEXT, max_size=2) | st.lists(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=6), max_size=3
)
NAMES = TEXT | st.sampled_from([*socketio.RESERVED_EVENTS, "", *Word, 5, 1.5, True, None, b"e", ("e",)])
NAMESPACES = (
    st.sampled_from(["/", "/chat", "/ä", "", "chat", "/a,b", "/a?b", "/\x1e", "/\ud800", "/%", Word.CHAT]) | TEXT
)
IDS = st.none() | st.integers(-1, 20) | st.sampled_from([MAX_ACK_ID, MAX_ACK_ID + 1, 10**30, True, 1.0, "1"])


def encode_step_by_step(packet):
    return socketio_encode._frames(*socketio_encode._encode_once(packet, STANDARD), packet.id)


@given(NAMESPACES, NAMES, ARGUMENTS, IDS)
def test_an_event_is_encoded_alike_on_every_path(namespace, name, arguments, ack_id):
    packet = Packet(PacketType.EVENT, namespace, [name, *arguments], ack_id)
    expected = outcome(encode_step_by_step, packet)
    assert outcome(socketio.encode, packet) == expected
    assert outcome(socketio.encode_event, namespace, name, arguments, ack_id) == expected
    assert outcome(socketio.encode_event, namespace, name, tuple(arguments), ack_id) == expected


@given(NAMESPACES, ARGUMENTS, IDS)
def test_an_acknowledgement_is_encoded_alike_on_every_path(namespace, arguments, ack_id):
    packet = Packet(PacketType.ACK, namespace, arguments, ack_id)
    expected = outcome(encode_step_by_step, packet)
    assert outcome(socketio.encode, packet) == expected
    if ack_id is not None:
        assert outcome(socketio.encode_ack, namespace, ack_id, arguments) == expected
        assert outcome(socketio.encode_ack, namespace, ack_id, tuple(arguments)) == expected


@given(st.sampled_from(PacketType), NAMESPACES, ARGUMENTS | SCALARS, IDS, st.sampled_from(["", "a=b"]))
def test_any_packet_is_encoded_alike_on_every_path(kind, namespace, data, ack_id, query):
    packet = Packet(kind, namespace, data, ack_id, query)
    assert outcome(socketio.encode, packet) == outcome(encode_step_by_step, packet)


@given(TEXT)
def test_a_string_is_quoted_as_the_encoder_quotes_it(text):
    assert jsontext.quote(text) == jsontext.encode(text)


@pytest.mark.parametrize("character", [*map(chr, range(256)), "\u2028", "\ud800", "\udfff", "漢", "😀"])
def test_every_character_is_quoted_as_the_encoder_quotes_it(character):
    for text in (character, f"a{character}b", character * 100):
        assert jsontext.quote(text) == jsontext.encode(text)


def test_an_error_beside_binary_data_leaves_no_attachment_to_the_next_packet():
    for _ in range(3):
        with pytest.raises(EncodeTypeError):
            binary.encode([b"lost", object()])
        assert binary.encode([b"kept"])[1] == (b"kept",)
        assert binary.encode(["none"])[1] == ()


def test_encoding_while_encoding_keeps_the_attachments_apart():
    class Nosy(dict):
        def items(self):
            assert binary.encode([b"inner"])[1] == (b"inner",)
            return super().items()

    assert binary.encode([b"first", Nosy(a=b"second"), b"third"])[1] == (b"first", b"second", b"third")


# Decoding

HEADS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from("0123456789x"),
    st.sampled_from(["", "0-", "1-", "2-", "02-", "3-", "4-", "999-", "1000-", "-", "x-", "²-"]),
    st.sampled_from(["", "/,", "/chat,", "/chat", "/a?b=c,", "/ä,", "/[,", "/\x1e,", "/ ,", "/\ud800,", "chat,"]),
    st.sampled_from(
        ["", "0", "17", "007", "9" * 15, "9" * 16, str(MAX_ACK_ID), str(MAX_ACK_ID + 1), "9" * 50, "²", "-1"]
    ),
)
BODIES = st.sampled_from(
    [
        "",
        "[]",
        " []",
        '["e"]',
        '["e","text"]',
        '["connect"]',
        "[5]",
        "[true]",
        "[[]]",
        "{}",
        '{"a":1}',
        '"text"',
        '["e",]',
        '["e"] ',
        '["e"]x',
        '["e",{"_placeholder":true,"num":0}]',
        '["e",{"a":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":0}]',
        '["e",{"_placeholder":true,"num":true}]',
        '["e",{"_placeholder":1,"num":0}]',
        '["e",{"_placeholder":true}]',
    ]
) | st.text(st.sampled_from('["e",]{}:1 \\'))


def feed_step_by_step(decoder, frame):
    """Feed a text frame without the two shorter ways."""
    return decoder._text(frame)


def all_steps(feed, frame):
    decoder = Decoder(max_attachments=3, max_attachment_bytes=10)
    result = outcome(feed, decoder, frame)
    steps = [(result, decoder.pending)]
    while decoder.pending:
        steps.append((outcome(decoder.feed, b"1234"), decoder.pending))
    return steps


@given(HEADS, BODIES)
@example("2", '["e"]')
@example("52-", '["e",{"a":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":0}]')
def test_a_frame_is_decoded_alike_on_every_path(head, body):
    frame = head + body
    assert all_steps(Decoder.feed, frame) == all_steps(feed_step_by_step, frame)


@given(HEADS, BODIES)
@example("2", '["e"]')
@example("2/chat,17", '["e",1]')
@example("2/chat,17", '["connect"]')
@example("2", '["connect"]')
@example("2", "[")
def test_an_event_without_a_packet_is_that_of_the_packet(head, body):
    frame = head + body
    decoder = Decoder()
    event = outcome(decoder.event, frame)
    if event is None:
        assert outcome(decoder.feed, frame) == outcome(Decoder().feed, frame), "nothing has happened"
    elif isinstance(event[0], str) and event[0].startswith("/"):
        namespace, data, ack_id = event
        assert Decoder().feed(frame) == Packet(PacketType.EVENT, namespace, data, ack_id)
    else:
        assert event == outcome(Decoder().feed, frame), "the error"


def test_what_comes_among_attachments_is_no_event():
    decoder = Decoder()
    decoder.feed('51-["e",{"_placeholder":true,"num":0}]')
    assert decoder.event('2["e"]') is decoder.event(b"1") is None
    assert decoder.feed(b"1").data == ["e", b"1"]


def test_the_short_ways_are_taken():
    for frame in (
        '2["e"]',
        '217["e"]',
        '2/chat,["e"]',
        '3/a/b-c.d,17["e"]',
        '51-["e"]',
        '60-/chat,999999999999999["e"]',
    ):
        plain = socketio_decode._plain_binary_head if frame[0] in "56" else socketio_decode._plain_head
        assert frame.startswith("2[") or plain(frame) is not None


NUMBERS = st.integers(395, 410).map(lambda digits: "9" * digits) | st.sampled_from(
    ["1e308", "1e309", "-1e999", "0.5", "-0"]
)
FILLERS = st.text(st.sampled_from("ab1234567890 é"), max_size=200)


@given(
    FILLERS,
    st.lists(NUMBERS, max_size=2),
    FILLERS,
    st.sampled_from(["[{}]", '[{{"k":{}}}]', '["e",[{}]]']),
    st.sampled_from(["", "-"]),
)
def test_text_is_parsed_alike_on_every_path(before, numbers, after, pattern, sign):
    inside = ",".join([json.dumps(before), *(sign + number.lstrip("-") for number in numbers), json.dumps(after)])
    if ":" in pattern:
        inside = f"[{inside}]"
    text = pattern.format(inside)
    assert outcome(jsontext.decode, text) == outcome(jsontext._decode_carefully, text, 0)


@given(st.text(st.sampled_from('[]{}",:\\ \n0123456789.eE+-tfnaulrse'), max_size=40), st.integers(0, 300))
def test_hostile_text_is_refused_alike_on_every_path(text, levels):
    for attempt in (text, f'["{text}"]', "[" * levels + text, "[" * levels + text + "]" * levels, text + "[" * levels):
        assert outcome(jsontext.decode, attempt) == outcome(jsontext._decode_carefully, attempt, 0)


@pytest.mark.parametrize("offset", range(37))
def test_a_long_integer_is_found_wherever_it_stands(offset):
    digits = "9" * jsontext.MAX_INTEGER_DIGITS
    text = f'["e",{{"k":"{"x" * offset}","n":%s}}]'
    assert jsontext.decode(text % digits)[1]["n"] == int(digits)
    with pytest.raises(DecodeError, match="400 digits"):
        jsontext.decode(text % (digits + "9"))


# Packets


def test_a_packet_that_arrived_is_like_any_other():
    arrived = socketio_packet.arrived(PacketType.ACK, "/a", [1], 5)
    made = Packet(PacketType.ACK, "/a", [1], 5)
    assert arrived == made
    assert type(arrived) is type(made) is Packet
    assert repr(arrived) == repr(made)
    assert pickle.loads(pickle.dumps(arrived)) == made
    assert dataclasses.replace(arrived, query="q") == dataclasses.replace(made, query="q")
    assert hash(socketio_packet.arrived(PacketType.CONNECT, "/", None, None)) == hash(Packet(PacketType.CONNECT))
    for packet in (arrived, made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            packet.data = []
        with pytest.raises(dataclasses.FrozenInstanceError):
            del packet.data
