import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.engine.outbound import Outbound, polling_text, size_in_bytes
from trio_socketio.protocol import engineio
from trio_socketio.protocol.engineio import Packet, PacketType
from wsproto.frame_protocol import FrameProtocol, Opcode

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"))


def read(data):
    """Return the messages in the bytes that a server has sent."""
    client = FrameProtocol(client=True, extensions=[])
    client.receive_bytes(data)
    return [
        bytes(frame.payload) if frame.opcode is Opcode.BINARY else frame.payload for frame in client.received_frames()
    ]


PARTS = st.lists(TEXTS | st.binary(), min_size=1, max_size=5)


@given(PARTS)
def test_the_parts_of_a_socketio_packet_become_messages_in_order(parts):
    outbound = Outbound.message(parts)
    assert [engineio.decode_packet(frame) for frame in outbound.frames] == [
        Packet(PacketType.MESSAGE, part) for part in parts
    ]


@given(PARTS)
def test_the_size_is_the_bytes_of_all_frames_in_utf_8(parts):
    frames = Outbound.message(parts).frames
    assert Outbound(frames).size == sum(len(frame.encode() if isinstance(frame, str) else frame) for frame in frames)


@given(PARTS)
def test_the_polling_form_of_frames_decodes_to_the_same_packets_as_the_frames(parts):
    frames = Outbound.message(parts).frames
    payload = engineio.SEPARATOR.join(map(polling_text, frames))
    assert engineio.decode_payload(payload) == [engineio.decode_packet(frame) for frame in frames]


@pytest.mark.parametrize(("frame", "size"), [("", 0), ("abc", 3), ("é", 2), ("🙂", 4), (b"\xff" * 7, 7)])
def test_size_in_bytes(frame, size):
    assert size_in_bytes(frame) == size


def test_binary_is_base64_behind_a_b():
    assert polling_text(b"\x00\xff") == "b" + base64.b64encode(b"\x00\xff").decode()
    assert polling_text("4text") == "4text"


def test_a_sender_is_not_patient_unless_it_says_so():
    assert not Outbound.message(["x"]).patient
    assert Outbound.message(["x"], patient=True).patient


@given(PARTS)
def test_the_wire_form_is_what_a_websocket_client_reads_as_the_frames(parts):
    outbound = Outbound.message(parts)
    assert read(outbound.wire) == list(outbound.frames)
    assert outbound.wire is outbound.wire, "it is made once"
