"""The frames that leave, as wsproto reads them."""

import pytest
from trio_socketio.engine.frames import binary_frame, close_frame, pong_frame, text_frame
from wsproto.frame_protocol import FrameProtocol, Opcode


def received(data):
    client = FrameProtocol(client=True, extensions=[])
    client.receive_bytes(data)
    return [(frame.opcode, frame.payload, frame.message_finished) for frame in client.received_frames()]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_frame_of_any_length_arrives(length):
    assert received(text_frame(b"x" * length)) == [(Opcode.TEXT, "x" * length, True)]
    assert received(binary_frame(b"\xff" * length)) == [(Opcode.BINARY, b"\xff" * length, True)]


def test_text_arrives_whatever_its_characters():
    assert received(text_frame("é€😀".encode())) == [(Opcode.TEXT, "é€😀", True)]


def test_a_close_frame_has_its_code_and_no_reason():
    assert received(close_frame(1001)) == [(Opcode.CLOSE, (1001, ""), True)]


def test_no_status_is_a_close_frame_without_a_body():
    assert close_frame(1005) == b"\x88\x00"


@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"p" * 125])
def test_a_pong_has_the_payload_of_its_ping(payload):
    assert received(pong_frame(payload)) == [(Opcode.PONG, payload, True)]
