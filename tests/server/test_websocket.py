"""WebSocket: sizes, closing, control frames, and that it does not matter where the network cuts the bytes."""

from dataclasses import dataclass

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory import serving
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import Closed, Peer, Refused, WebSocketPeer, frame
from wsproto.events import Ping

from trio_socketio import Server

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX = 100_000


async def opened(peer: Peer) -> WebSocketPeer:
    websocket = await peer.open_websocket()
    assert (await websocket.receive())[0] == "0"
    return websocket


async def assert_closed(websocket: WebSocketPeer, server: Server, code: int) -> None:
    closed = await websocket.expect_close()
    assert (closed.code, closed.reason) == (code, "")
    await wait_all_tasks_blocked()
    assert not server.sessions
    with pytest.raises(Closed):  # and the connection ends
        await websocket.receive()


def pieces(opcode: int, payload: bytes, size: int) -> bytes:
    """One message in fragments of a size."""
    starts = range(0, len(payload), size)
    return b"".join(
        frame(opcode if start == 0 else CONTINUATION, payload[start : start + size], final=start == starts[-1])
        for start in starts
    )


# Sizes.

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 65537, MAX]


@pytest.mark.parametrize("size", SIZES)
async def test_a_binary_message_of_any_allowed_size_passes(autojump_clock, size):
    async with serving(EngineFixture(max_payload=MAX)) as peer:
        websocket = await opened(peer)
        await websocket.send(b"\xab" * size)
        assert await websocket.receive() == b"\xab" * size


@pytest.mark.parametrize("size", [size for size in SIZES if size])
async def test_a_text_message_of_any_allowed_size_passes(autojump_clock, size):
    async with serving(EngineFixture(max_payload=MAX)) as peer:
        websocket = await opened(peer)
        await websocket.send("4" + "x" * (size - 1))
        assert await websocket.receive() == "4" + "x" * (size - 1)


@pytest.mark.parametrize(("opcode", "fill"), [(TEXT, b"4"), (BINARY, b"\x00")])
@pytest.mark.parametrize("size", [1, 7, 60, 100])
async def test_a_fragmented_message_of_exactly_max_payload_passes(autojump_clock, opcode, fill, size):
    async with serving(EngineFixture(max_payload=100)) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(pieces(opcode, fill * 100, size))
        received = await websocket.receive()
        assert received == (fill * 100 if opcode == BINARY else "4" * 100)


@pytest.mark.parametrize(
    "raw",
    [
        frame(TEXT, b"4" * 101),
        frame(BINARY, b"\x00" * 101),
        frame(TEXT, ("4" + "€" * 34).encode()),
        pieces(TEXT, b"4" * 101, 1),
        pieces(BINARY, b"\x00" * 101, 50),
        pieces(BINARY, b"\x00" * 101, 100),
        frame(TEXT, b"4" * 101, final=False),
        frame(BINARY, b"\x00" * 101, length=1 << 40),
        frame(BINARY, b"\x00" * 70_000, length=1 << 62),
        frame(BINARY, b"\x00" * 60, final=False) + frame(CONTINUATION, b"\x00" * 41, final=False),
        frame(BINARY, b"\x00" * 60, final=False) + frame(PING) + frame(CONTINUATION, b"\x00" * 41),
    ],
)
async def test_a_message_over_max_payload_is_closed_with_1009(autojump_clock, raw):
    server = EngineFixture(max_payload=100)
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(raw)
        await assert_closed(websocket, server, 1009)


async def test_the_size_of_a_message_does_not_count_for_the_next(autojump_clock):
    async with serving(EngineFixture(max_payload=100)) as peer:
        websocket = await opened(peer)
        for _ in range(5):
            await websocket.send_raw(pieces(BINARY, b"\x00" * 90, 40))
            assert await websocket.receive() == b"\x00" * 90


async def test_many_empty_fragments_are_one_message(autojump_clock):
    async with serving(EngineFixture(max_payload=100)) as peer:
        websocket = await opened(peer)
        empty = frame(CONTINUATION, final=False) * 3000
        await websocket.send_raw(frame(TEXT, b"4a", final=False) + empty + frame(CONTINUATION, b"b"))
        assert await websocket.receive() == "4ab"


async def test_a_message_in_thousands_of_fragments_is_put_together(autojump_clock):
    async with serving(EngineFixture()) as peer:
        websocket = await opened(peer)
        payload = bytes(number % 251 for number in range(5000))
        await websocket.send_raw(pieces(BINARY, payload, 1))
        assert await websocket.receive() == payload


# What is no WebSocket.


@pytest.mark.parametrize(
    "raw",
    [
        frame(TEXT, b"4\xff"),
        frame(TEXT, b"4\xc3"),
        frame(TEXT, b"4\xed\xa0\x80"),
        frame(TEXT, b"4\xf4\x90\x80\x80"),
        frame(TEXT, b"4\xc0\xaf"),
        frame(TEXT, b"4\xc3", final=False) + frame(CONTINUATION, b"\x28"),
        frame(TEXT, b"4\xe2\x82", final=False) + frame(CONTINUATION, b""),
    ],
)
async def test_text_that_is_not_utf8_is_closed_with_1007(autojump_clock, raw):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(raw)
        await assert_closed(websocket, server, 1007)


VIOLATIONS = {
    "a reserved bit": frame(TEXT, b"4a", reserved=0b100),
    "another reserved bit": frame(BINARY, b"a", reserved=0b001),
    "a reserved opcode": frame(0x3, b"4a"),
    "a reserved control opcode": frame(0xB),
    "an unmasked frame": frame(TEXT, b"4a", masked=False),
    "a continuation of nothing": frame(CONTINUATION, b"4a"),
    "a new message inside another": frame(TEXT, b"4a", final=False) + frame(TEXT, b"4b"),
    "a fragmented ping": frame(PING, b"a", final=False),
    "a ping of 126 bytes": frame(PING, b"a" * 126),
    "a close frame of 126 bytes": frame(CLOSE, b"\x03\xe8" + b"a" * 124),
    "a close frame of one byte": frame(CLOSE, b"\x03"),
    "the close code 1005": frame(CLOSE, b"\x03\xed"),
    "the close code 999": frame(CLOSE, b"\x03\xe7"),
    "a length of 2**63": frame(BINARY, b"a", length=1 << 63),
    "a length in more bytes than it needs": b"\x82\xfe\x00\x05\x00\x00\x00\x00hello",
}


@pytest.mark.parametrize("raw", VIOLATIONS.values(), ids=VIOLATIONS.keys())
async def test_a_violation_of_the_protocol_is_closed_with_1002(autojump_clock, raw):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(raw)
        await assert_closed(websocket, server, 1002)


async def test_a_close_reason_that_is_not_utf8_is_closed_with_1007(autojump_clock):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(frame(CLOSE, b"\x03\xe8\xff"))
        await assert_closed(websocket, server, 1007)


async def test_what_came_before_a_violation_still_counts(autojump_clock):
    server = Server()
    seen = []

    @server.on("note")
    async def note(ctx, text):
        seen.append(text)

    async with serving(server) as peer:
        client = await peer.join()
        await client.transport.send_raw(frame(TEXT, b'42["note","first"]') + frame(0x3))
        assert (await client.transport.expect_close()).code == 1002
    assert seen == ["first"]


@pytest.mark.parametrize("text", ["", "abc", "7", "0", "2", "2probe", "5", "b!!!"])
async def test_a_frame_that_is_no_packet_closes_the_session(autojump_clock, text):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send(text)
        closed = await websocket.expect_close()
        assert (closed.code, closed.reason) == (1008, "")
        assert not server.sessions


# Control frames.


async def test_a_ping_is_answered_with_its_payload(autojump_clock):
    async with serving(EngineFixture()) as peer:
        websocket = await opened(peer)
        for payload in (b"", b"hello", bytes(125)):
            await websocket.send_event(Ping(payload=payload))
            await websocket.send("4next")
            assert await websocket.receive() == "4next"
            await wait_all_tasks_blocked()
        assert websocket.pongs == [b"", b"hello", bytes(125)]


async def test_a_ping_between_fragments_is_answered_before_the_message_ends(autojump_clock):
    async with serving(EngineFixture()) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(frame(TEXT, b"4he", final=False) + frame(PING, b"now"))
        with trio.move_on_after(1):
            await websocket.receive()
        assert websocket.pongs == [b"now"]
        await websocket.send_raw(frame(CONTINUATION, b"llo"))
        assert await websocket.receive() == "4hello"


async def test_a_pong_that_nobody_asked_for_is_ignored(autojump_clock):
    async with serving(EngineFixture()) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(frame(PONG, b"hello") + frame(TEXT, b"4a"))
        assert await websocket.receive() == "4a"


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_the_clients_close_is_answered_with_its_code(autojump_clock, code):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.close(code)
        await assert_closed(websocket, server, code)


async def test_a_close_without_a_code_is_answered(autojump_clock):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(frame(CLOSE))
        closed = await websocket.expect_close()
        assert closed.code == 1005  # none was sent
        await wait_all_tasks_blocked()
        assert not server.sessions


async def test_a_close_packet_ends_the_websocket_in_the_regular_way(autojump_clock):
    server = EngineFixture()
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send("1")
        await assert_closed(websocket, server, 1000)


async def test_what_comes_after_a_close_is_ignored(autojump_clock):
    server = Server()
    seen = []
    server.on("note", lambda ctx: seen.append(1))
    async with serving(server) as peer:
        client = await peer.join()
        await client.transport.send_raw(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b'42["note"]'))
        await client.transport.expect_close()
        await trio.sleep(10)
    assert not seen


async def test_a_client_that_just_hangs_up_is_gone_at_once(autojump_clock):
    server = Server()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))
    async with serving(server) as peer:
        client = await peer.join()
        await client.transport.hang_up()
        await wait_all_tasks_blocked()
        assert reasons == ["transport close"]
        assert not server.sessions


async def test_a_client_that_does_not_answer_a_close_is_cut_off(autojump_clock):
    server = EngineFixture(max_payload=10)
    async with serving(server) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(frame(BINARY, bytes(11)))
        with trio.fail_after(10):
            while await websocket.stream.receive_some():
                pass


async def test_a_shutdown_says_going_away(autojump_clock):
    server = EngineFixture()
    async with trio.open_nursery() as nursery, serving(server) as peer:
        websocket = await opened(peer)
        codes = []

        async def watch():
            codes.append((await websocket.expect_close()).code)

        nursery.start_soon(watch)
        await wait_all_tasks_blocked()
    assert codes == [1001]


# The opening handshake.


async def test_another_version_of_websocket_is_told_which_one_is_spoken(autojump_clock):
    server = EngineFixture()
    async with serving(server) as peer:
        headers = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]
        response = await peer.request("GET", peer.target(transport="websocket"), headers)
        assert (response.status, response.header("sec-websocket-version")) == (426, "13")
        assert not server.sessions


@pytest.mark.parametrize("key", [None, "", "short", "not base64 at all!!!!!!!"])
async def test_a_handshake_without_a_valid_key_is_refused(autojump_clock, key):
    server = EngineFixture()
    async with serving(server) as peer:
        headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
        headers += [] if key is None else [("sec-websocket-key", key)]
        response = await peer.request("GET", peer.target(transport="websocket"), headers)
        assert response.status == 400
        assert not server.sessions


async def test_extensions_and_subprotocols_are_not_agreed_to(autojump_clock):
    async with serving(EngineFixture()) as peer:
        stream = await peer.dial()
        head = (
            f"GET {peer.target(transport='websocket')} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        )
        await stream.send_all(head.encode() + frame(TEXT, b"4early"))  # and does not wait for the answer
        received = b""
        while not received.endswith(b"4early"):
            received += await stream.receive_some()
        answer = received.partition(b"\r\n\r\n")[0].lower()
        assert answer.startswith(b"http/1.1 101 ")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in answer
        assert b"extensions" not in answer
        assert b"sec-websocket-protocol" not in answer


async def test_a_websocket_outside_the_path_is_not_found(autojump_clock):
    async with serving(EngineFixture()) as peer:
        with pytest.raises(Refused) as caught:
            await peer.open_websocket("/elsewhere?EIO=4&transport=websocket")
        assert caught.value.status == 404


# Wherever the network cuts.


@dataclass(frozen=True, slots=True)
class Input:
    """What a client sends, and what must come back."""

    raw: bytes
    echoed: list[str | bytes]


@st.composite
def inputs(draw: st.DrawFn) -> Input:
    raw = b""
    echoed: list[str | bytes] = []
    for message in draw(st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200)), min_size=1, max_size=4)):
        opcode = TEXT if isinstance(message, str) else BINARY
        data = f"4{message}".encode("utf-8", "replace") if isinstance(message, str) else message
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
        parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        for index, part in enumerate(parts):
            if draw(st.booleans()):
                raw += frame(PING, b"p")
            raw += frame(CONTINUATION if index else opcode, part, final=index == len(parts) - 1)
        echoed.append(data.decode() if opcode == TEXT else data)
    return Input(raw, echoed)


async def echo_in_chunks(given_input: Input, chunks: list[bytes]) -> None:
    async with serving(EngineFixture()) as peer:
        websocket = await opened(peer)
        for chunk in chunks:
            await websocket.send_raw(chunk)
            await wait_all_tasks_blocked()
        assert [await websocket.receive() for _ in given_input.echoed] == given_input.echoed
        with trio.move_on_after(1):
            await websocket.receive()
            raise AssertionError("more came back than was sent")


@settings(max_examples=60)
@given(st.data())
def test_frames_may_be_cut_anywhere(data):
    given_input = data.draw(inputs())
    raw = given_input.raw
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=12)))
    chunks = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    trio.run(echo_in_chunks, given_input, [chunk for chunk in chunks if chunk], clock=MockClock(autojump_threshold=0))


async def test_frames_may_come_byte_by_byte(autojump_clock):
    long = "4" + "€" * 50
    raw = frame(TEXT, long.encode()) + pieces(BINARY, bytes(range(10)), 3) + frame(PING, b"p") + frame(TEXT, b"4end")
    await echo_in_chunks(
        Input(raw, [long, bytes(range(10)), "4end"]), [raw[index : index + 1] for index in range(len(raw))]
    )


# Two faults at once.

TWO_FAULTS = {
    "a packet that is none, and a frame that is none": (frame(TEXT, b"x") + frame(3), 1008),
    "a packet that is none, and a message that is too large": (frame(TEXT, b"x") + frame(BINARY, bytes(MAX + 1)), 1008),
    "a packet that is none, a ping, and a frame that is none": (frame(TEXT, b"x") + frame(PING) + frame(3), 1008),
    "a packet that is none, and a Close frame": (frame(TEXT, b"x") + frame(CLOSE, b"\x03\xe9"), 1008),
    "a close packet, and a frame that is none": (frame(TEXT, b"1") + frame(3), 1000),
    "a frame that is none, and a packet that is none": (frame(3) + frame(TEXT, b"x"), 1002),
    "text that is none, and a frame that is none": (frame(TEXT, b"\xff") + frame(3), 1007),
}


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("name", TWO_FAULTS)
async def test_the_first_of_two_faults_says_the_close_code(autojump_clock, sockets, name):
    raw, code = TWO_FAULTS[name]
    server = EngineFixture(max_payload=MAX)
    async with serving(server, sockets=sockets) as peer:
        websocket = await opened(peer)
        await websocket.send_raw(raw)
        await assert_closed(websocket, server, code)
