"""Socket.IO packets, templates and the decoder."""

import dataclasses
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol import DecodeError, EncodeError, EncodeTypeError, EncodeValueError, socketio
from trio_socketio.protocol.socketio import MAX_ACK_ID, Decoder, Packet, PacketType, Template, encode

BINARY_FORM = {PacketType.EVENT: PacketType.BINARY_EVENT, PacketType.ACK: PacketType.BINARY_ACK}

ADDRESS_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=",?\x1e"))
NAMESPACES = st.just("/") | ADDRESS_TEXT.map(lambda name: f"/{name}")
QUERIES = st.just("") | ADDRESS_TEXT
KEYS = st.text().filter(lambda key: key != "_placeholder")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
BINARIES = st.binary() | st.binary().map(bytearray) | st.binary().map(memoryview)


def values(leaves):
    return st.recursive(
        leaves,
        lambda children: (
            st.lists(children, max_size=4)
            | st.lists(children, max_size=4).map(tuple)
            | st.dictionaries(KEYS, children, max_size=4)
        ),
        max_leaves=12,
    )


TEXT_ARGUMENTS = st.lists(values(SCALARS), max_size=4)
ARGUMENTS = st.lists(values(SCALARS | BINARIES), max_size=4)
EVENT_NAMES = st.text(min_size=1).filter(lambda name: name not in socketio.RESERVED_EVENTS)
ACK_IDS = st.integers(0, MAX_ACK_ID)
EVENTS = st.builds(
    lambda name, arguments, **rest: Packet(PacketType.EVENT, data=[name, *arguments], **rest),
    EVENT_NAMES,
    ARGUMENTS,
    namespace=NAMESPACES,
    query=QUERIES,
    id=st.none() | ACK_IDS,
)
ACKS = st.builds(Packet, st.just(PacketType.ACK), NAMESPACES, ARGUMENTS, ACK_IDS, QUERIES)
OBJECTS = st.dictionaries(st.text(), values(SCALARS), max_size=4)
OTHERS = (
    st.builds(Packet, st.just(PacketType.CONNECT), NAMESPACES, st.none() | OBJECTS, query=QUERIES)
    | st.builds(Packet, st.just(PacketType.DISCONNECT), NAMESPACES, query=QUERIES)
    | st.builds(Packet, st.just(PacketType.CONNECT_ERROR), NAMESPACES, st.none() | st.text() | OBJECTS, query=QUERIES)
)


def event(*data, **rest):
    return Packet(PacketType.EVENT, data=list(data), **rest)


def on_arrival(value):
    """Return the value as the peer sees it: lists for tuples, bytes for everything binary."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (list, tuple)):
        return [on_arrival(item) for item in value]
    if isinstance(value, dict):
        return {key: on_arrival(item) for key, item in value.items()}
    return value


def decode(frames, decoder=None):
    decoder = decoder or Decoder()
    *first, last = frames
    for frame in first:
        assert decoder.feed(frame) is None
        assert decoder.pending
    packet = decoder.feed(last)
    assert not decoder.pending
    return packet


# Both ways


@given(EVENTS | ACKS | OTHERS)
def test_frames_are_decoded_to_the_packet_they_were_made_of(packet):
    frames = encode(packet)
    frames[0].encode()
    expected = dataclasses.replace(packet, data=on_arrival(packet.data))
    if len(frames) > 1:
        expected = dataclasses.replace(expected, type=BINARY_FORM[packet.type])
    assert decode(frames) == expected


@given(EVENTS | ACKS | OTHERS)
def test_a_decoded_packet_is_encoded_to_the_same_frames(packet):
    frames = encode(packet)
    assert encode(decode(frames)) == frames


@given(st.lists(EVENTS | ACKS | OTHERS, max_size=5))
def test_packets_in_a_row_do_not_disturb_one_another(packets):
    decoder = Decoder(max_attachments=1000)
    assert [decode(encode(packet), decoder) for packet in packets] == [decode(encode(packet)) for packet in packets]


@given(st.lists(st.binary(), min_size=1, max_size=64))
def test_attachments_arrive_one_by_one(attachments):
    head, *rest = encode(event("e", *attachments))
    decoder = Decoder()
    assert decoder.feed(head) is None
    for attachment in rest[:-1]:
        assert decoder.feed(attachment) is None
    assert decoder.feed(rest[-1]) == Packet(PacketType.BINARY_EVENT, data=["e", *attachments])


@given(st.lists(EVENTS, min_size=2, max_size=4), st.data())
def test_sessions_may_take_turns(packets, data):
    waiting = [(Decoder(max_attachments=1000), encode(packet)) for packet in packets]
    arrived = {}
    while any(frames for _, frames in waiting):
        number = data.draw(st.sampled_from([number for number, (_, frames) in enumerate(waiting) if frames]))
        decoder, frames = waiting[number]
        arrived[number] = decoder.feed(frames.pop(0))
    assert arrived == {number: decode(encode(packet)) for number, packet in enumerate(packets)}


# Encoding


def test_mutation_after_encoding_changes_nothing():
    attachment, view, nested = bytearray(b"abc"), bytearray(b"def"), {"k": [1]}
    packet = event("e", attachment, memoryview(view), nested)
    frames, template = encode(packet), Template.of(packet)
    before = list(frames)
    attachment[0] = view[0] = 0
    nested["k"].append(2)
    packet.data.append("late")
    assert frames == template.frames() == before
    assert frames[1:] == [b"abc", b"def"]
    frames.clear()
    assert template.frames() == before


@given(EVENTS | ACKS, ACK_IDS)
def test_a_template_gives_the_frames_of_the_packet_with_that_id(packet, ack_id):
    template = Template.of(dataclasses.replace(packet, id=None))
    assert template.frames(ack_id) == encode(dataclasses.replace(packet, id=ack_id))
    if packet.type is PacketType.EVENT:
        assert template.frames() == encode(dataclasses.replace(packet, id=None))


def test_a_template_shares_its_attachments():
    template = Template.of(event("e", bytearray(b"abc")))
    assert template.frames(1)[1] is template.frames(2)[1]


def test_a_template_has_no_ack_id_yet():
    with pytest.raises(EncodeValueError):
        Template.of(event("e", id=1))


def test_a_template_of_an_ack_asks_for_an_id():
    template = Template.of(Packet(PacketType.ACK, data=[1]))
    assert template.frames(5) == ["35[1]"]
    with pytest.raises(EncodeValueError, match="needs an ack id"):
        template.frames()


def test_a_template_of_a_packet_that_has_no_ack_id_refuses_one():
    template = Template.of(Packet(PacketType.DISCONNECT))
    assert template.frames() == ["1"]
    with pytest.raises(EncodeValueError, match="has no ack id"):
        template.frames(1)


def test_an_event_may_be_named_by_an_enum_of_words():
    class Name(StrEnum):
        CHAT = "chat"

    assert encode(event(Name.CHAT, 1)) == ['2["chat",1]']


@pytest.mark.parametrize("name", [*sorted(socketio.RESERVED_EVENTS), "", 1, None, True, b"e", ("e",)])
@pytest.mark.parametrize("packet_type", [PacketType.EVENT, PacketType.BINARY_EVENT])
def test_names_that_no_event_may_have(packet_type, name):
    with pytest.raises(EncodeValueError):
        encode(Packet(packet_type, data=[name]))


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (Packet(PacketType.EVENT), EncodeTypeError),
        (Packet(PacketType.EVENT, data=[]), EncodeValueError),
        (Packet(PacketType.EVENT, data={"e": 1}), EncodeTypeError),
        (Packet(PacketType.EVENT, data="e"), EncodeTypeError),
        (Packet(PacketType.ACK, id=1), EncodeTypeError),
        (Packet(PacketType.ACK, data={}, id=1), EncodeTypeError),
        (Packet(PacketType.ACK, data=[]), EncodeValueError),
        (Packet(PacketType.BINARY_ACK, data=[]), EncodeValueError),
        (Packet(PacketType.CONNECT, data="token"), EncodeTypeError),
        (Packet(PacketType.CONNECT, data=[]), EncodeValueError),
        (Packet(PacketType.CONNECT, data={"a": b""}), EncodeTypeError),
        (Packet(PacketType.CONNECT, data={}, id=1), EncodeValueError),
        (Packet(PacketType.DISCONNECT, data={}), EncodeTypeError),
        (Packet(PacketType.DISCONNECT, id=1), EncodeValueError),
        (Packet(PacketType.CONNECT_ERROR, data=5), EncodeTypeError),
        (Packet(PacketType.CONNECT_ERROR, id=5), EncodeValueError),
        (event("e", float("nan")), EncodeValueError),
        (event("e", object()), EncodeTypeError),
        (event("e", b"", object()), EncodeTypeError),
        (event("e", b"", float("inf")), EncodeValueError),
        (event("e", b"", {"_placeholder": True}), EncodeValueError),
        (event("e", namespace="admin"), EncodeValueError),
        (event("e", namespace=""), EncodeValueError),
        (event("e", namespace="/a,b"), EncodeValueError),
        (event("e", namespace="/a?b"), EncodeValueError),
        (event("e", namespace="/a\x1eb"), EncodeValueError),
        (event("e", namespace="/\ud800"), EncodeValueError),
        (event("e", query="a,b"), EncodeValueError),
        (event("e", query="\x1e"), EncodeValueError),
        (event("e", id=-1), EncodeValueError),
        (event("e", id=MAX_ACK_ID + 1), EncodeValueError),
        (event("e", id=True), EncodeValueError),
        (event("e", id=1.0), EncodeValueError),
        (event("e", id="1"), EncodeValueError),
    ],
    ids=repr,
)
def test_what_cannot_be_encoded(packet, error):
    with pytest.raises(error):
        encode(packet)


def test_packets_are_values():
    packet = event("e", id=3, namespace="/a", query="b=c")
    assert packet == event("e", id=3, namespace="/a", query="b=c")
    assert packet != event("e", id=4, namespace="/a", query="b=c")
    assert repr(packet).startswith("Packet(type=<PacketType.EVENT: 2>, namespace='/a', data=['e'], id=3")
    assert pickle.loads(pickle.dumps(packet)) == packet
    assert dataclasses.replace(packet, id=None) == event("e", namespace="/a", query="b=c")
    assert Packet(PacketType.CONNECT) == Packet(PacketType.CONNECT, "/", None, None, "")
    for name in ("data", "other"):
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            setattr(packet, name, 1)
    match packet:
        case Packet(PacketType.EVENT, "/a", [name], 3):
            assert name == "e"
        case _:
            pytest.fail("a packet can be matched by position")


# Limits of the decoder


def test_the_number_of_attachments_is_limited():
    head, first, second = encode(event("e", b"1", b"2"))
    assert decode([head, first, second], Decoder(max_attachments=2)).data == ["e", b"1", b"2"]
    with pytest.raises(DecodeError, match="larger than 1 at position 1"):
        Decoder(max_attachments=1).feed(head)


def test_the_bytes_of_all_attachments_together_are_limited():
    head, *attachments = encode(event("e", b"12", b"345"))
    assert decode([head, *attachments], Decoder(max_attachment_bytes=5)).data == ["e", b"12", b"345"]
    decoder = Decoder(max_attachment_bytes=4)
    decoder.feed(head)
    decoder.feed(attachments[0])
    with pytest.raises(DecodeError, match="more than 4 bytes") as caught:
        decoder.feed(attachments[1])
    assert caught.value.position is None
    assert not decoder.pending
    assert decode([head, b"", b""], decoder).data == ["e", b"", b""]


def test_placeholders_are_checked_before_any_attachment_has_come():
    with pytest.raises(DecodeError, match="2 attachments are announced"):
        Decoder().feed('52-["e",{"_placeholder":true,"num":2}]')


def test_an_endless_ack_id_is_refused_without_converting_it():
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(DecodeError, match="ack id"):
            Decoder().feed("2" + "9" * 1_000_000 + '["e"]')
    finally:
        sys.set_int_max_str_digits(before)


def test_a_decoder_in_each_thread():
    def work(number):
        packet = event("e", number, bytes([number]))
        decoder = Decoder()
        return all(decode(encode(packet), decoder).data == packet.data for _ in range(200))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(16)))


# Whatever a peer sends

ALPHABET = st.sampled_from(
    [
        *'0123456-/,?[]{}":\\ \x1eé²٣',
        '"e"',
        '{"_placeholder":true,"num":0}',
        "true",
        "NaN",
        "1e999",
        "9" * 401,
        "\ud800",
    ]
)
HOSTILE_TEXT = st.lists(ALPHABET, max_size=20).map("".join)
HOSTILE = (
    st.text()
    | st.binary()
    | HOSTILE_TEXT
    | st.builds("{}{}".format, st.sampled_from(["2", "2[", '2["e",', "51-[", '51-["e",', "31[", "0/"]), HOSTILE_TEXT)
)


def feed_anything(frames):
    decoder = Decoder(max_attachments=3, max_attachment_bytes=10)
    packets = []
    for frame in frames:
        try:
            packet = decoder.feed(frame)
        except DecodeError as error:
            assert not decoder.pending
            assert error.position is None or 0 <= error.position <= len(frame)
        else:
            assert (packet is None) == decoder.pending
            packets.append(packet)
    return [packet for packet in packets if packet is not None]


@given(st.lists(HOSTILE))
def test_any_sequence_of_frames_gives_packets_or_decode_errors(frames):
    for packet in feed_anything(frames):
        try:
            encode(packet)
        except EncodeError:  # a numbered event, or an attachment beside a lookalike in it
            assert packet.data


@given(st.lists(HOSTILE))
def test_the_limits_of_the_interpreter_do_not_matter(frames):
    expected = feed_anything(frames)
    digits, depth = sys.get_int_max_str_digits(), sys.getrecursionlimit()
    sys.set_int_max_str_digits(0)
    sys.setrecursionlimit(depth + 100_000)
    try:
        assert feed_anything(frames) == expected
    finally:
        sys.set_int_max_str_digits(digits)
        sys.setrecursionlimit(depth)


@pytest.mark.parametrize(
    "frame", ['2["e",' + "[" * 127 + "]" * 128, '50-["e",' + '{"a":' * 127 + "1" + "}" * 127 + "]"]
)
@pytest.mark.parametrize("left", range(40, 240, 10))
def test_little_room_on_the_stack_is_never_more_than_a_decode_error(frame, left):
    depth, here = 0, sys._getframe()
    while here is not None:
        depth, here = depth + 1, here.f_back
    before, decoder = sys.getrecursionlimit(), Decoder()
    sys.setrecursionlimit(depth + left)
    try:
        result = decoder.feed(frame)
    except DecodeError as error:
        result = str(error)
    finally:
        sys.setrecursionlimit(before)
    assert isinstance(result, Packet) or "stack" in result


@pytest.mark.parametrize("head", ["2", "2[", "0/a,", "51-[", "4", "31"])
def test_a_megabyte_of_brackets_is_refused(head):
    with pytest.raises(DecodeError):
        Decoder().feed(head + "[" * 1_000_000)


def test_an_ack_id_that_cannot_even_be_written_down_is_refused_like_any_other():
    with pytest.raises(EncodeValueError, match="not an integer of 16610 bits"):
        encode(Packet(PacketType.EVENT, "/", ["e"], 10**5000))


@pytest.mark.parametrize("event", ["", "connect", 1, None])
def test_what_is_no_name_of_an_event_is_refused_with_and_without_a_packet(event):
    with pytest.raises(EncodeValueError, match="name of an event"):
        socketio.encode_event("/", event, ["a"])
    with pytest.raises(EncodeValueError, match="name of an event"):
        encode(Packet(PacketType.EVENT, "/", [event, "a"]))


def test_what_waits_for_attachments_has_an_identity():
    decoder = Decoder()
    assert decoder.incomplete is None
    decoder.feed('52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    waiting = decoder.incomplete
    assert waiting is not None
    decoder.feed(b"1")
    assert decoder.incomplete is waiting
    decoder.feed(b"2")
    assert decoder.incomplete is None
