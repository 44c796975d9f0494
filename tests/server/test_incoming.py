"""Bytes of a WebSocket as messages: the fast way and wsproto agree on every input, whatever the chunks are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.messages import comparable, read, read_by_wsproto
from trio_socketio.conformance.peer import frame
from trio_socketio.server.net.incoming import LARGE, MAX_PARTS, Fault, Incoming, PeerClose, Ping, unmask

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
LIMIT = 200_000


payloads = st.one_of(st.text(max_size=70).map(str.encode), st.binary(max_size=140), st.just(b"x" * 126))
frames = st.builds(
    lambda opcode, payload, final, masked, reserved: frame(
        opcode, payload, final=final, masked=masked, reserved=reserved
    ),
    st.sampled_from([TEXT, BINARY, TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG, 3, 11]),
    payloads,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([True] * 9 + [False]),
    st.sampled_from([0] * 9 + [4]),
)
LONGER_THAN_NEEDED = [
    bytes((0x81, 0x80 | 126, 0, 1)) + b"\0\0\0\0a",
    bytes((0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1)) + b"\0\0\0\0a",
]
REST = bytes(LARGE + 16)
"""Completes a last frame. A frame that breaks the rules is told when it is whole; wsproto tells of some as soon as it can."""

pieces = st.one_of(frames, st.binary(max_size=6), st.sampled_from(LONGER_THAN_NEEDED))


@settings(max_examples=600)
@given(st.lists(pieces, max_size=8).map(b"".join), st.lists(st.integers(0, 900), max_size=7))
def test_the_fast_way_and_wsproto_agree_on_every_input_errors_included(data, cuts):
    data += REST
    assert comparable(read(data, cuts, 1 << 62)) == comparable(read_by_wsproto(data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, LARGE + 1])
@pytest.mark.parametrize("chunk", [1, 7, 4096, 1 << 20])
def test_messages_of_every_length_arrive_whole(size, chunk):
    if chunk < 4096 and size > 200:
        size //= 100  # byte by byte is the point, not the time
    text, data = "x" * size, bytes(range(256)) * (size // 256) + b"y" * (size % 256)
    stream = frame(TEXT, text.encode()) + frame(BINARY, data) + frame(PING, b"p") + frame(TEXT, "ü€😀".encode())
    assert read(stream, list(range(0, len(stream), chunk)), LIMIT) == [text, data, Ping(b"p"), "ü€😀"]


def test_a_message_may_be_as_large_as_the_limit_and_no_larger():
    for payload in (b"x" * 100, b"x" * 101):
        (arrived,) = read(frame(BINARY, payload), [], 100)
        assert isinstance(arrived, Fault) == (len(payload) > 100)
    fragments = frame(BINARY, b"x" * 60, final=False) + frame(CONTINUATION, b"x" * 41)
    (arrived,) = read(fragments, [], 100)
    assert isinstance(arrived, Fault)
    assert arrived.code == 1009


@pytest.mark.parametrize("length", [101, 1 << 40, (1 << 63) - 1])
def test_a_frame_that_announces_too_much_is_refused_before_it_comes(length):
    (arrived,) = read(frame(TEXT, b"", length=length), [], 100)
    assert isinstance(arrived, Fault)
    assert arrived.code == 1009


def test_a_length_with_the_highest_bit_set_breaks_the_protocol():
    (arrived,) = read(frame(TEXT, b"", length=1 << 63), [], 100)
    assert isinstance(arrived, Fault)
    assert arrived.code == 1002


def test_nothing_comes_after_a_close_or_a_fault():
    assert read(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"late"), [], LIMIT) == [PeerClose(1000)]
    incoming = Incoming(LIMIT)
    assert isinstance(incoming.feed(frame(TEXT, b"\xff"))[0], Fault)
    assert incoming.feed(frame(TEXT, b"late")) == []


def test_a_flood_of_tiny_fragments_keeps_few_parts():
    incoming = Incoming(LIMIT)
    incoming.feed(frame(TEXT, b"a", final=False))
    for _ in range(3 * MAX_PARTS):
        assert incoming.feed(frame(CONTINUATION, b"a", final=False)) == []
        assert len(incoming._parts) <= MAX_PARTS + 1
    assert incoming.feed(frame(CONTINUATION, b"")) == ["a" * (3 * MAX_PARTS + 1)]


def test_wsproto_is_there_only_while_it_is_needed():
    incoming = Incoming(LIMIT)
    incoming.feed(frame(TEXT, b"fast"))
    assert incoming._slow is None
    incoming.feed(frame(TEXT, b"a", final=False))
    assert incoming._slow is not None
    incoming.feed(frame(PING))
    assert incoming._slow is not None
    incoming.feed(frame(CONTINUATION, b"b"))
    assert incoming._slow is None
    incoming.feed(frame(PING))
    assert incoming._slow is None


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_is_taken_off(payload, mask):
    assert unmask(payload, mask) == bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
