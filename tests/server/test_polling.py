"""Long-polling: what a GET carries, what a POST brings, and that nothing is lost on the way."""

import json

import pytest
import trio
from support.later import begin
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import Peer, Polling
from trio_socketio.server.net.decisions import MAX_PIPELINED
from trio_socketio.server.net.websocket import RECEIVE_SIZE

from trio_socketio import Server

SEPARATOR = "\x1e"


async def aborted_get(peer: Peer, session: Polling) -> None:
    """Begin a GET, and hang up while it waits."""
    async with peer.http() as connection:
        await connection.send("GET", session.target())
        await wait_all_tasks_blocked()
    await wait_all_tasks_blocked()


async def test_packets_are_joined_by_the_separator_in_their_order(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        body = SEPARATOR.join(["4one", "bAQIDBA==", "4ü€😀", "4", "b"])
        assert (await session.post(body)).text == "ok"
        response = await session.get()
        assert response.text == body
        assert response.header("content-type") == "text/plain; charset=UTF-8"


async def test_binary_travels_as_base64(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        data = bytes(range(256))
        await session.send(data)
        response = await session.get()
        assert response.text.startswith("b")
        await session.send(data, "4text")
        assert await session.poll() == [data, "4text"]


async def test_an_answer_carries_sixteen_packets_and_the_next_the_rest(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        packets = [f"4{number}" for number in range(40)]
        assert (await session.post(SEPARATOR.join(packets))).status == 200
        answers = [(await session.get()).text.split(SEPARATOR) for _ in range(3)]
        assert [len(answer) for answer in answers] == [16, 16, 8]
        assert sum(answers, []) == packets


async def test_the_packets_of_an_answer_are_an_option(autojump_clock):
    async with serving(EngineFixture(max_packets_per_poll=3)) as peer:
        session = await peer.open_polling()
        await session.send("4a", "4b", "4c", "4d")
        assert [await session.poll(), await session.poll()] == [["4a", "4b", "4c"], ["4d"]]


async def test_a_message_with_many_attachments_is_split_between_answers(autojump_clock):
    server = Server(max_attachments=40)

    @server.on("go")
    async def go(ctx):
        await ctx.emit("parts", *[bytes([number]) for number in range(40)])

    async with serving(server) as peer:
        client = await peer.join(transport="polling")
        await client.emit("go")
        assert await client.event() == ["parts", *[bytes([number]) for number in range(40)]]


async def test_a_post_carries_any_number_of_packets(autojump_clock):
    async with serving(EngineFixture(max_packets_per_poll=10_000)) as peer:
        session = await peer.open_polling()
        body = SEPARATOR.join(f"4{number}" for number in range(3000))
        assert (await session.post(body)).status == 200
        assert (await session.get()).text == body


@pytest.mark.parametrize(
    "content_type",
    ["text/plain;charset=UTF-8", "application/octet-stream", "application/x-www-form-urlencoded", "nonsense", None],
)
async def test_the_content_type_of_a_post_does_not_matter(autojump_clock, content_type):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        headers = [] if content_type is None else [("content-type", content_type)]
        response = await peer.request("POST", session.target(), headers, "4ü".encode())
        assert (response.status, response.text) == (200, "ok")
        assert await session.receive() == "4ü"


async def test_a_get_waits_until_there_is_something(autojump_clock):
    async with serving(EngineFixture()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        await trio.sleep(20)
        assert waiting.pending
        before = trio.current_time()
        await session.send("4at last")
        assert (await waiting.result()).text == "4at last"
        assert trio.current_time() == before


async def test_a_get_that_was_aborted_while_it_waited_costs_nothing(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        for _ in range(3):
            await aborted_get(peer, session)
        await session.send("4kept")
        assert await session.poll() == ["4kept"]


class Deaf(trio.abc.Stream):
    """The server's end of a connection whose client takes nothing any more."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.deaf = False

    async def send_all(self, data):
        if self.deaf:
            raise trio.BrokenResourceError("the client has gone")
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes=None):
        return await self._stream.receive_some(max_bytes)

    async def aclose(self):
        await self._stream.aclose()


async def test_an_answer_that_could_not_be_written_goes_with_the_next(autojump_clock):
    server = EngineFixture(max_packets_per_poll=2)
    async with serving(server) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        await session.send("4a", "4b", "4c")
        ours, theirs = trio.testing.memory_stream_pair()
        deaf = Deaf(theirs)
        deaf.deaf = True
        nursery.start_soon(server.serve_stream, deaf)
        await ours.send_all(f"GET {session.target()} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert await ours.receive_some() == b""
        assert [await session.poll(), await session.poll()] == [["4a", "4b"], ["4c"]]


async def test_what_comes_ahead_of_a_pending_get_is_read_up_to_a_bound_however_many_were_answered(autojump_clock):
    server = EngineFixture()
    async with serving(server) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(server.serve_stream, theirs)
        get = f"GET {session.target()} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        ahead = get * 40_000
        await ours.send_all(ahead)
        for number in range(20):
            await session.send(f"4{number}")
            await wait_all_tasks_blocked()
        assert (await ours.receive_some()).count(b"HTTP/1.1 200 ") == 20
        read = len(ahead) - len(await theirs.receive_some())
        assert read <= 21 * len(get) + MAX_PIPELINED + RECEIVE_SIZE
        nursery.cancel_scope.cancel()


async def test_the_ping_of_a_session_whose_get_was_aborted_is_not_lost(autojump_clock):
    async with serving(EngineFixture(ping_interval=25, ping_timeout=20)) as peer:
        session = await peer.open_polling()
        await aborted_get(peer, session)
        await trio.sleep(26)  # the ping falls due while no GET waits
        assert await session.poll() == ["2"]
        await session.send("3")
        await trio.sleep(20)
        await session.send("4alive")


async def test_several_requests_share_a_connection(autojump_clock):
    async with serving(EngineFixture()) as peer, peer.http() as connection:
        opened = await connection.request("GET", peer.target(transport="polling"))
        target = peer.target(transport="polling", sid=json.loads(opened.text[1:])["sid"])
        for number in range(5):
            posted = await connection.request("POST", target, body=f"4{number}".encode())
            assert posted.text == "ok"
            assert (await connection.request("GET", target)).text == f"4{number}"


async def test_pipelined_requests_are_answered_in_order(autojump_clock):
    async with serving(EngineFixture()) as peer, peer.http() as connection:
        session = await peer.open_polling()
        post = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n4a"
        get = f"GET {session.target()} HTTP/1.1\r\nhost: x\r\n\r\n"
        await connection.stream.send_all((post + get + post + get).encode())
        received = b""
        while received.count(b"HTTP/1.1 200 ") < 4 or not received.endswith(b"4a"):
            received += await connection.stream.receive_some()
        assert received.count(b"\r\n\r\nok") == 2
        assert received.count(b"\r\n\r\n4a") == 2


async def test_a_request_that_comes_byte_by_byte_is_answered_as_any_other(autojump_clock):
    async with serving(EngineFixture()) as peer, peer.http() as connection:
        session = await peer.open_polling()
        raw = f"POST {session.target()} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n4".encode() + "ü".encode()
        for index in range(len(raw)):
            await connection.stream.send_all(raw[index : index + 1])
            await wait_all_tasks_blocked()
        assert (await connection.stream.receive_some()).endswith(b"\r\n\r\nok")
        assert await session.poll() == ["4ü"]


async def test_a_client_that_expects_continue_is_told_to(autojump_clock):
    async with serving(EngineFixture()) as peer, peer.http() as connection:
        session = await peer.open_polling()
        head = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        await connection.stream.send_all(head.encode())
        assert (await connection.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await connection.stream.send_all(b"4a")
        assert (await connection.stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_what_the_server_sends_before_it_closes_arrives_before_the_close(autojump_clock):
    server = Server()

    @server.on("leave")
    async def leave(ctx):
        await ctx.emit("last", "words")
        ctx.server.sessions[session.sid].client.disconnect()

    async with serving(server) as peer:
        session = await peer.open_polling()
        await session.send("40")
        assert (await session.receive()).startswith("40{")
        await session.send('42["leave"]')
        frames = []
        while not frames or frames[-1] != "1":
            frames.extend(await session.poll())
        assert frames == ['42["last","words"]', "41", "1"]
        assert (await session.get()).status == 400


async def test_the_cookie_of_a_session_comes_with_its_handshake_alone(autojump_clock):
    async with serving(EngineFixture(cookie="io")) as peer:
        opened = await peer.request("GET", peer.target(transport="polling"))
        sid = json.loads(opened.text[1:])["sid"]
        assert opened.header("set-cookie").startswith(f"io={sid};")
        posted = await peer.request("POST", peer.target(transport="polling", sid=sid), body=b"4a")
        assert posted.header("set-cookie") is None
