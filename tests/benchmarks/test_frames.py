import pytest
from comparison.failure import BenchmarkError
from comparison.frames import Packet, attachments_of, masked, sized, split, understand
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.conformance.peer import frame
from wsproto.frame_protocol import FrameProtocol, Opcode

MESSAGES = st.one_of(st.text(max_size=200), st.binary(max_size=200))


@given(st.one_of(MESSAGES, st.sampled_from(["x" * size for size in (125, 126, 127, 65535, 65536, 70000)])))
def test_a_masked_frame_is_what_a_websocket_library_reads(message: str | bytes) -> None:
    server = FrameProtocol(client=False, extensions=[])
    server.receive_bytes(masked(message))
    payload = message if isinstance(message, str) else b""
    received = [each.payload for each in server.received_frames()]
    if isinstance(message, str):
        assert "".join(map(str, received)) == payload
    else:
        assert b"".join(map(bytes, received)) == message


@given(st.lists(st.one_of(MESSAGES, st.just("y" * 66000)), max_size=5), st.integers(0, 50))
def test_frames_of_a_server_are_taken_apart_and_a_partial_one_stays(messages: list[str | bytes], cut: int) -> None:
    frames = [
        frame(Opcode.TEXT, each.encode(), masked=False)
        if isinstance(each, str)
        else frame(Opcode.BINARY, each, masked=False)
        for each in messages
    ]
    data = b"".join(frames)
    assert split(data) == (messages, len(data))
    if frames and cut:
        shorter = data[: -min(cut, len(frames[-1]))]
        assert split(shorter) == (messages[:-1], len(data) - len(frames[-1]))


def test_a_frame_that_is_no_whole_message_is_an_error() -> None:
    with pytest.raises(BenchmarkError, match="0x88"):
        split(b"\x88\x00")


@pytest.mark.parametrize(
    "packet",
    [
        Packet(("message", "text", 1, None)),
        Packet(("message", b"\x00\xff", "between", b"")),
        Packet(("message", 1.5), 17, namespace="/chat"),
        Packet((), 3, acknowledges=True),
        Packet((b"\x01", {"a": [1]}), 3, acknowledges=True),
    ],
)
def test_a_packet_is_understood_as_it_was_written(packet: Packet) -> None:
    messages = packet.messages()
    assert attachments_of(messages[0]) == len(messages) - 1
    assert understand(messages) == packet


def test_what_is_neither_event_nor_acknowledgement_is_not_understood() -> None:
    with pytest.raises(BenchmarkError, match="expected"):
        understand(['40{"sid":"x"}'])


@given(st.integers(60, 3000))
def test_a_sized_event_has_exactly_that_size(size: int) -> None:
    (message,) = sized(size, "to-room", "lobby", id=7, namespace="/chat").messages()
    assert len(message) == size


def test_an_event_that_does_not_fit_its_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 10"):
        sized(10, "message")
