"""Engine.IO packets, payloads and handshakes."""

import base64
import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol import DecodeError, EncodeTypeError, EncodeValueError, engineio
from trio_socketio.protocol.engineio import Handshake, Packet, PacketType

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
BINARY_PACKETS = st.builds(Packet, st.just(PacketType.MESSAGE), st.binary())
PACKETS = st.builds(Packet, st.sampled_from(PacketType), TEXT) | BINARY_PACKETS
POLLING_PACKETS = (
    st.builds(Packet, st.sampled_from(PacketType), TEXT.filter(lambda text: "\x1e" not in text)) | BINARY_PACKETS
)


@given(PACKETS)
def test_a_frame_is_decoded_to_the_packet_it_was_made_of(packet):
    assert engineio.decode_packet(engineio.encode_packet(packet)) == packet


@given(st.lists(POLLING_PACKETS, min_size=1))
def test_a_payload_is_decoded_to_the_packets_it_was_made_of(packets):
    assert engineio.decode_payload(engineio.encode_payload(packets)) == packets


@given(st.lists(st.lists(POLLING_PACKETS, min_size=1), min_size=1))
def test_payloads_joined_are_the_payload_of_all_packets(groups):
    joined = engineio.SEPARATOR.join(map(engineio.encode_payload, groups))
    assert engineio.decode_payload(joined) == [packet for group in groups for packet in group]


@given(st.lists(POLLING_PACKETS, min_size=1))
def test_a_payload_is_its_packets_joined(packets):
    parts = [engineio.encode_payload_packet(packet) for packet in packets]
    assert engineio.encode_payload(packets) == "\x1e".join(parts)
    assert [engineio.decode_payload(part) for part in parts] == [[packet] for packet in packets]


def test_there_is_no_empty_payload():
    with pytest.raises(EncodeValueError):
        engineio.encode_payload([])


def test_text_with_the_separator_travels_over_websocket_only():
    packet = Packet(PacketType.MESSAGE, "a\x1eb")
    assert engineio.encode_packet(packet) == "4a\x1eb"
    with pytest.raises(EncodeValueError, match=r"U\+001E"):
        engineio.encode_payload([packet])


@pytest.mark.parametrize("packet_type", [each for each in PacketType if each is not PacketType.MESSAGE])
@pytest.mark.parametrize("encode", [engineio.encode_packet, engineio.encode_payload_packet])
def test_only_messages_are_binary(packet_type, encode):
    with pytest.raises(EncodeTypeError, match=packet_type.name):
        encode(Packet(packet_type, b""))


def test_packets_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Packet(PacketType.NOOP).data = "x"


@given(
    st.builds(
        Handshake,
        sid=st.text(),
        upgrades=st.lists(st.text()).map(tuple),
        ping_interval=st.integers(0, 10**9).map(lambda ms: ms / 1000),
        ping_timeout=st.integers(0, 10**9).map(lambda ms: ms / 1000),
        max_payload=st.integers(0, 2**53 - 1),
    )
)
def test_a_handshake_of_whole_milliseconds_survives_the_wire(handshake):
    assert Handshake.from_json(handshake.to_json()) == handshake


@pytest.mark.parametrize(("seconds", "wire"), [(0.3, 300), (0.29, 290), (25, 25000), (0.0004, 0), (1.0006, 1001)])
def test_the_times_of_a_handshake_are_rounded(seconds, wire):
    text = Handshake("s", (), seconds, seconds, 1).to_json()
    assert text == f'{{"sid":"s","upgrades":[],"pingInterval":{wire},"pingTimeout":{wire},"maxPayload":1}}'


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_a_handshake_cannot_announce_endless_times(seconds):
    with pytest.raises(EncodeValueError):
        Handshake("s", (), seconds, 1, 1).to_json()


def test_keys_that_a_handshake_does_not_know_are_ignored():
    text = '{"sid":"s","upgrades":[],"pingInterval":1,"pingTimeout":1,"maxPayload":1,"new":{}}'
    assert Handshake.from_json(text) == Handshake("s", (), 0.001, 0.001, 1)


@given(st.text() | st.binary())
def test_any_frame_is_a_packet_or_a_decode_error(frame):
    try:
        packet = engineio.decode_packet(frame)
    except DecodeError:
        return
    if isinstance(frame, str) and frame.startswith("b"):
        assert isinstance(packet.data, bytes)
        assert engineio.decode_payload(engineio.encode_payload([packet])) == [packet]
    else:
        assert engineio.encode_packet(packet) == frame


@given(st.binary(), st.integers(1, 80), st.sampled_from(["\n", "\r\n", " ", "\t"]), st.booleans())
def test_base64_may_have_line_breaks_and_need_not_be_padded(data, width, line_break, padded):
    text = base64.b64encode(data).decode()
    text = text if padded else text.rstrip("=")
    lines = "".join(text[start : start + width] + line_break for start in range(0, len(text), width))
    for frame in (f"b{text}", f"b{lines}"):
        assert engineio.decode_packet(frame) == Packet(PacketType.MESSAGE, data)
        assert engineio.decode_payload(f"4a\x1e{frame}\x1e6")[1] == Packet(PacketType.MESSAGE, data)


@given(st.binary(min_size=1), st.text(min_size=1, max_size=3), st.data())
def test_what_is_no_letter_of_base64_is_refused_wherever_it_stands(data, odd, choice):
    allowed = string.ascii_letters + string.digits + "+/=\r\n\t \x1e"
    odd = "".join(each for each in odd if each not in allowed) or "-"
    text = base64.b64encode(data).decode()
    place = choice.draw(st.integers(0, len(text)))
    with pytest.raises(DecodeError, match="not valid base64"):
        engineio.decode_packet(f"b{text[:place]}{odd}{text[place:]}")


@given(st.lists(st.text() | st.sampled_from(["\x1e", "b", "4", "b====", "bAAAA"])).map("".join))
def test_any_payload_is_packets_or_a_decode_error_within_it(payload):
    try:
        packets = engineio.decode_payload(payload)
    except DecodeError as error:
        assert error.position is not None
        assert 0 <= error.position <= len(payload)
    else:
        assert len(packets) == payload.count("\x1e") + 1


@given(st.text() | st.dictionaries(st.text(), st.integers()).map(repr))
def test_any_text_is_a_handshake_or_a_decode_error(text):
    with pytest.raises(DecodeError):
        Handshake.from_json(text)
