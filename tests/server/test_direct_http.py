"""HTTP over plain sockets: it is answered as h11 answers it, wherever the network cuts, and every wait ends in time."""

import errno
import json
import os
import re
import resource
import socket
from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.later import begin
from support.memory import read_to_end, serving, socket_stream_pair
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import HOST, HTTPConnection, Peer, Wire, frame
from trio_socketio.server.limits import Limits
from trio_socketio.server.net.direct_http import MAX_AT_ONCE
from trio_socketio.server.net.listener import PAUSE
from trio_socketio.server.net.poller import SUPPORTED

from trio_socketio import ConnectionRefused, HTTPResponse, Server

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this system has no epoll")

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


def get(target: str, headers: str = "") -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()


def post(target: str, body: bytes, headers: str = "") -> bytes:
    return f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def read(stream: trio.abc.Stream) -> tuple[bytes, bytes]:
    """Read one answer: its head and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some(1)
    head = data.removesuffix(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    body = b""
    while len(body) < length:
        body += await stream.receive_some(length - len(body))
    return head, body


async def opened(stream: trio.abc.Stream) -> str:
    """Open a session on a connection, and return the target of its requests."""
    await stream.send_all(get(POLLING))
    _head, body = await read(stream)
    return f"{POLLING}&sid={json.loads(body[1:])['sid']}"


def busy(server: Server) -> int:
    return server.services[0].busy


# The same answers.

REQUESTS = {
    "a session": get(POLLING),
    "a session, then no more": get(POLLING, "Connection: close\r\n"),
    "a session with an Origin": get(POLLING, "Origin: https://page.example\r\n"),
    "a foreign Origin": get(POLLING, "Origin: https://elsewhere.example\r\n"),
    "an unknown sid": get(f"{POLLING}&sid=unknown"),
    "an unknown transport": get("/socket.io/?EIO=4&transport=other"),
    "an old revision": get("/socket.io/?EIO=3&transport=polling"),
    "a query with escapes": get("/socket.io/?EIO=%34&transport=pollin%67&a=b+c"),
    "too many fields": get(POLLING + "&a=b" * 70),
    "no query": get("/socket.io/"),
    "without the slash": get("/socket.io?EIO=4&transport=polling"),
    "another path": get("/other"),
    "an absolute target": get(f"http://chat.example{POLLING}"),
    "a target with a fragment": get(f"{POLLING}#x"),
    "a strange Host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a POST that opens": post(POLLING, b"40"),
    "a POST to an unknown sid": post(f"{POLLING}&sid=unknown", b"4x"),
    "a POST to an unknown sid whose body never comes": post(f"{POLLING}&sid=unknown", b"4x")[:-1],
    "a GET with a body": b"GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
    "HEAD": b"HEAD /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT": b"PUT /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "a preflight": b"OPTIONS /socket.io/ HTTP/1.1\r\nHost: x\r\nOrigin: https://page.example\r\n\r\n",
    "a foreign preflight": b"OPTIONS /socket.io/ HTTP/1.1\r\nHost: x\r\nOrigin: https://elsewhere.example\r\n\r\n",
    "an old version of HTTP": b"GET /socket.io/?EIO=4&transport=polling HTTP/1.0\r\nHost: x\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "half a head": b"GET / HTTP/1.1\r\nHo",
    "nothing": b"",
    "a WebSocket": get(WEBSOCKET, UPGRADE),
    "a WebSocket by polling": get(POLLING, UPGRADE),
    "polling by WebSocket": get(WEBSOCKET),
    "a WebSocket of another version": get(WEBSOCKET, UPGRADE.replace("13", "8")),
    "a WebSocket without a key": get(WEBSOCKET, UPGRADE.replace("Sec-WebSocket-Key", "X-Key")),
    "a WebSocket for an unknown sid": get(f"{WEBSOCKET}&sid=unknown", UPGRADE),
    "several requests": get(f"{POLLING}&sid=a")
    + post(f"{POLLING}&sid=b", b"4x")
    + get("/other")
    + get(f"{POLLING}&sid=c"),
    "many requests": get(f"{POLLING}&sid=a") * (3 * MAX_AT_ONCE),
}


LAST = ("nothing", "a WebSocket")
"""After these no other request can come."""


class Answers:
    """What a server said to a request, as far as it is the same each time."""

    def __init__(self, data: bytes, server: Server) -> None:
        data = re.sub(rb'"sid":"[\w-]{20}"', b'"sid":"..."', data)
        self.lines = sorted(
            line.lower() for line in data.split(b"\r\n") if not line.lower().startswith((b"date:", b"set-cookie:"))
        )
        self.refusals = dict(server.tally.refusals)
        self.sessions = len(server.sessions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answers) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return repr(vars(self))


async def ask(*chunks: bytes, sockets: bool) -> Answers:
    server = EngineFixture(cors_allowed_origins="https://page.example", cookie="io")
    async with serving(server, sockets=sockets) as peer:
        stream = await peer.dial()
        for chunk in filter(None, chunks):
            try:
                await stream.send_all(chunk)
            except trio.BrokenResourceError:
                break  # the server has closed the connection
            await wait_all_tasks_blocked()
        if isinstance(stream, trio.SocketStream):
            await stream.send_eof()
        else:
            await stream.send_stream.aclose()
        return Answers(await read_to_end(stream), server)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
async def test_every_request_is_answered_as_h11_answers_it(autojump_clock, request_):
    directly, by_h11 = await ask(request_, sockets=True), await ask(request_, sockets=False)
    assert directly == by_h11


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from([REQUESTS[name] for name in REQUESTS if name not in LAST]), min_size=1, max_size=5),
    st.data(),
)
def test_requests_one_after_another_are_answered_as_h11_answers_them(requests, data):
    raw = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=4)))
    chunks = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    directly, by_h11 = (
        trio.run(partial(ask, *chunks, sockets=sockets), clock=MockClock(autojump_threshold=0))
        for sockets in (True, False)
    )
    assert directly == by_h11


@pytest.mark.parametrize("sockets", [True, False])
async def test_the_log_says_why_a_request_was_refused(autojump_clock, caplog, sockets):
    caplog.set_level("INFO", "trio_socketio")
    server = Server(max_connections=0)
    async with serving(server, sockets=sockets) as peer:
        await peer.request("GET", "/socket.io/?EIO=3")
        await peer.request("GET", POLLING)
    messages = [record.getMessage() for record in caplog.records if record.name == "trio_socketio.http"]
    assert messages[0].startswith("refused GET /socket.io/: EIO is '3'")
    assert messages[1:] == ["refused local: max_connections=0 is reached"]
    assert server.tally.refusals == {"Unsupported protocol version": 1, "Service Unavailable": 1}


# Wherever the network cuts.


async def test_a_request_may_be_cut_anywhere(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        posted = post(target, b"4\xc3\xbc")
        for cut in range(1, len(posted)):
            await stream.send_all(posted[:cut])
            await wait_all_tasks_blocked()
            await stream.send_all(posted[cut:])
            assert (await read(stream))[1] == b"ok"
            asked = get(target)
            where = cut % len(asked)
            await stream.send_all(asked[:where])
            await wait_all_tasks_blocked()
            await stream.send_all(asked[where:])
            assert (await read(stream))[1] == b"4\xc3\xbc"


async def test_a_request_may_come_byte_by_byte(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        for byte in post(target, b"4x") + get(target):
            await stream.send_all(bytes([byte]))
            await wait_all_tasks_blocked()
        assert (await read(stream))[1] == b"ok"
        assert (await read(stream))[1] == b"4x"


async def test_the_head_of_a_websocket_may_be_cut_anywhere_and_frames_may_follow_at_once(autojump_clock):
    raw = get(WEBSOCKET, UPGRADE) + frame(1, b"4early")
    async with serving(EngineFixture(), sockets=True) as peer:
        for cut in range(1, len(raw)):
            stream = await peer.dial()
            await stream.send_all(raw[:cut])
            await wait_all_tasks_blocked()
            await stream.send_all(raw[cut:])
            received = b""
            while not received.endswith(b"4early"):
                received += await stream.receive_some()
            assert received.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            await trio.aclose_forcefully(stream)


async def test_the_open_packet_comes_with_the_answer_to_the_handshake(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        await stream.send_all(get(WEBSOCKET, UPGRADE))
        await wait_all_tasks_blocked()
        received = await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 101 ")
        assert b'0{"sid":' in received


async def test_a_large_body_comes_in_pieces_and_one_that_is_too_large_ends_the_session(autojump_clock):
    async with serving(EngineFixture(max_payload=300_000), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        for size in (300_000, 299_999):
            body = b"4" + b"x" * (size - 1)
            await stream.send_all(post(target, body) + get(target))
            assert (await read(stream))[1] == b"ok"
            assert (await read(stream))[1] == body
        await stream.send_all(post(target, b"4" * 300_001))
        head, body = await read(stream)
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nconnection: close" in head
        assert await read_to_end(stream) == b""
        assert (await peer.request("GET", target)).status == 400


# Long-polling.


async def test_requests_that_come_ahead_are_answered_in_their_order(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        rounds = 3 * MAX_AT_ONCE
        data = b"".join(post(target, b"4%d" % number) + get(target) for number in range(rounds))
        await stream.send_all(data)
        for number in range(rounds):
            assert (await read(stream))[1] == b"ok"
            assert (await read(stream))[1] == b"4%d" % number


async def test_what_comes_ahead_of_a_pending_get_is_read_up_to_a_bound(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer, trio.open_nursery() as nursery:
        stream = await peer.dial()
        target = await opened(stream)
        body = b"4" + b"x" * 99_999
        ahead = get(target) + post(target, body) * 20
        sending = await begin(nursery, stream.send_all, ahead)
        assert sending.pending, "the kernel takes no 2 MB"
        await peer.request("POST", target, body=b"4now")
        assert (await read(stream))[1] == b"4now"
        for _ in range(20):
            assert (await read(stream))[1] == b"ok"
        await sending.result()


@pytest.mark.shortcut("pace")
async def test_what_is_said_together_leaves_together(autojump_clock):
    server = Server()

    @server.on("say")
    async def say(ctx):
        await ctx.emit("a")
        await ctx.emit("b")

    async with serving(server, sockets=True) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        await session.send("40")
        await session.poll()
        waiting = await begin(nursery, session.get)
        await session.send('42["say"]')
        assert (await waiting.result()).text == '42["a"]\x1e42["b"]'
        waiting = await begin(nursery, session.get)
        server.emit_nowait("c")
        server.emit_nowait("d")
        assert (await waiting.result()).text == '42["c"]\x1e42["d"]'


async def test_a_client_that_hangs_up_while_its_get_is_pending_costs_nothing(autojump_clock):
    server = EngineFixture()
    async with serving(server, sockets=True) as peer:
        session = await peer.open_polling()
        for _ in range(3):
            stream = await peer.dial()
            await stream.send_all(get(session.target()))
            await wait_all_tasks_blocked()
            assert busy(server) == 1
            await trio.aclose_forcefully(stream)
            await wait_all_tasks_blocked()
            assert busy(server) == 0
        await session.send("4kept")
        assert await session.poll() == ["4kept"]


async def test_a_client_that_hangs_up_in_the_middle_of_a_post_costs_nothing(autojump_clock):
    server = EngineFixture()
    async with serving(server, sockets=True) as peer:
        session = await peer.open_polling()
        stream = await peer.dial()
        await stream.send_all(post(session.target(), b"4lost")[:-1])
        await wait_all_tasks_blocked()
        assert busy(server) == 1
        await trio.aclose_forcefully(stream)
        await wait_all_tasks_blocked()
        assert busy(server) == 0
        await session.send("4kept")
        assert await session.poll() == ["4kept"]


async def test_a_second_get_ends_the_session_and_both_are_answered(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        first = await begin(nursery, session.get)
        second = await session.get()
        assert (second.status, second.json["code"]) == (400, 3)
        assert (await first.result()).text == "1"


async def test_the_answer_to_a_post_waits_until_there_is_room_for_more_events(autojump_clock):
    server = Server()
    go_on = trio.Event()

    @server.on("work")
    async def work(ctx):
        await go_on.wait()

    async with serving(server, sockets=True) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        await session.send("40")
        await session.poll()
        body = "\x1e".join(['42["work"]'] * 300)
        waiting = await begin(nursery, session.post, body)
        await trio.sleep(10)
        assert waiting.pending
        assert busy(server) > 0
        go_on.set()
        assert (await waiting.result()).text == "ok"


@pytest.mark.shortcut("poller", "heads", "eager")
async def test_handlers_of_a_post_run_in_the_task_that_reads(autojump_clock):
    server = Server()
    tasks = []

    @server.on("look")
    async def look(ctx):
        tasks.append(trio.lowlevel.current_task())

    async with serving(server, sockets=True) as peer:
        session = await peer.open_polling()
        await session.send("40")
        for _ in range(3):
            await session.send('42["look"]')
    assert len(tasks) == 3
    assert len(set(map(id, tasks))) == 1


# To h11 and back to nobody.


async def test_what_is_left_to_h11_loses_no_byte(autojump_clock):
    async def http(request):
        return HTTPResponse(200, {}, request.body)

    async with serving(EngineFixture(http=http), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        chunked = (
            f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + b"2\r\n4a\r\n1\r\nb\r\n0\r\n\r\n"
        )
        raw = post("/page", b"body") + chunked + get(target)
        for cut in (0, *range(1, len(raw), 7)):
            stream = await peer.dial()
            await stream.send_all(raw[:cut])
            await wait_all_tasks_blocked()
            await stream.send_all(raw[cut:])
            assert [(await read(stream))[1] for _ in range(3)] == [b"body", b"ok", b"4ab"]


async def test_a_client_that_expects_continue_is_told_to(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        raw = post(target, b"4a", "Expect: 100-continue\r\n")
        await stream.send_all(raw[:-2])
        await wait_all_tasks_blocked()
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(raw[-2:])
        assert (await read(stream))[1] == b"ok"


async def test_an_upgrade_may_come_on_the_connection_that_polled(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        await stream.send_all(post(target, b"4before") + get(target))
        assert [(await read(stream))[1] for _ in range(2)] == [b"ok", b"4before"]
        await stream.send_all(get(target.replace("polling", "websocket"), UPGRADE) + frame(1, b"2probe"))
        received = b""
        while not received.endswith(b"3probe"):
            received += await stream.receive_some()
        await stream.send_all(frame(1, b"5") + frame(1, b"4after"))
        received = b""
        while not received.endswith(b"4after"):
            received += await stream.receive_some()


async def test_an_upgrade_may_come_on_a_connection_that_was_left_to_h11(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        stream = await peer.dial()
        await stream.send_all(get("/other"))
        assert (await read(stream))[0].startswith(b"HTTP/1.1 404 ")
        await stream.send_all(get(WEBSOCKET, UPGRADE) + frame(1, b"4early"))
        received = b""
        while not received.endswith(b"4early"):
            received += await stream.receive_some()
        await stream.send_all(frame(1, b"4later"))
        await wait_all_tasks_blocked()
        assert (await stream.receive_some()).endswith(b"4later")


async def test_a_second_websocket_of_a_session_is_accepted_and_closed(autojump_clock):
    server = EngineFixture()
    async with serving(server, sockets=True) as peer:
        session = await peer.open_polling()
        first = await peer.upgrade(session)
        second = await peer.upgrade(session)
        assert (await second.expect_close()).code == 1000
        await first.send("2probe")
        assert await first.receive() == "3probe"
        await first.send("5")
        await wait_all_tasks_blocked()
        third = await peer.upgrade(session)
        assert (await third.expect_close()).code == 1000
        await first.send("4hello")
        assert await first.receive() == "4hello"


@pytest.mark.parametrize("target", [POLLING, WEBSOCKET])
async def test_allow_request_may_take_its_time_and_the_connection_goes_on(autojump_clock, target):
    decide = trio.Event()

    async def allow_request(request):
        await decide.wait()
        if "deny" in request.query:
            raise ConnectionRefused("no")

    server = EngineFixture(allow_request=allow_request)
    async with serving(server, sockets=True) as peer:
        stream = await peer.dial()
        headers = UPGRADE if target is WEBSOCKET else ""
        await stream.send_all(get(f"{target}&deny=1", headers) + get(target, headers))
        await wait_all_tasks_blocked()
        assert not server.sessions
        decide.set()
        head, body = await read(stream)
        assert head.startswith(b"HTTP/1.1 403 ")
        assert json.loads(body) == {"code": 4, "message": "Forbidden"}
        await wait_all_tasks_blocked()
        received = await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 101 " if target is WEBSOCKET else b"HTTP/1.1 200 ")
        assert b'0{"sid":' in received
        assert len(server.sessions) == 1


def undecided():
    """Return a server that does not decide who may open a session, and what lets it."""
    decide = trio.Event()

    async def allow_request(request):
        await decide.wait()

    return EngineFixture(allow_request=allow_request), decide


@pytest.mark.shortcut("poller", "heads")
async def test_a_client_that_hangs_up_while_allow_request_decides_opens_nothing(autojump_clock):
    server, decide = undecided()
    async with serving(server, sockets=True) as peer:
        stream = await peer.dial()
        await stream.send_all(get(POLLING))
        await wait_all_tasks_blocked()
        await trio.aclose_forcefully(stream)
        await wait_all_tasks_blocked()
        decide.set()
        await wait_all_tasks_blocked()
        assert not server.sessions
        assert busy(server) == 0


@pytest.mark.parametrize("target", [POLLING, WEBSOCKET])
async def test_a_client_that_ends_its_half_while_allow_request_decides_opens_nothing(autojump_clock, target):
    server, decide = undecided()
    async with serving(server, sockets=True) as peer:
        stream = await peer.dial()
        await stream.send_all(get(target, UPGRADE if target is WEBSOCKET else ""))
        await wait_all_tasks_blocked()
        await stream.send_eof()  # as when a TCP socket is closed
        await wait_all_tasks_blocked()
        decide.set()
        assert await read_to_end(stream) == b""
        assert not server.sessions
        assert not server.tally.closes
        assert busy(server) == 0


# In time.


async def ends_after(stream: trio.abc.Stream) -> tuple[float, bytes]:
    """Return when the connection ends, and what came before."""
    began = trio.current_time()
    data = await read_to_end(stream)
    return trio.current_time() - began, data


async def test_a_connection_without_a_request_is_closed(autojump_clock):
    async with serving(EngineFixture(ping_interval=1000), sockets=True) as peer:
        stream = await peer.dial()
        assert await ends_after(stream) == (pytest.approx(Limits().keep_alive, abs=0.1), b"")
        stream = await peer.dial()
        await trio.sleep(Limits().keep_alive - 1)
        await opened(stream)
        assert await ends_after(stream) == (pytest.approx(Limits().keep_alive, abs=0.1), b"")


async def test_half_a_head_is_answered_408_whenever_it_began(autojump_clock):
    async with serving(EngineFixture(), sockets=True) as peer:
        for before in (0, 5, 30, 70):
            stream = await peer.dial()
            await trio.sleep(before)
            await stream.send_all(get(POLLING)[:-1])
            after, data = await ends_after(stream)
            assert after == pytest.approx(Limits().head_timeout, abs=0.1)
            assert data.startswith(b"HTTP/1.1 408 ")
            assert b"\r\nconnection: close\r\n" in data


async def test_half_a_body_is_answered_408_and_the_session_goes_on(autojump_clock):
    server = EngineFixture(ping_interval=1000)
    async with serving(server, sockets=True) as peer:
        session = await peer.open_polling()
        stream = await peer.dial()
        await stream.send_all(post(session.target(), b"4lost")[:-1])
        after, data = await ends_after(stream)
        assert after == pytest.approx(Limits().body_timeout, abs=0.1)
        assert data.startswith(b"HTTP/1.1 408 ")
        await session.send("4kept")
        assert await session.poll() == ["4kept"]
        assert busy(server) == 0


async def test_an_answer_that_is_not_read_in_time_goes_with_the_next(autojump_clock):
    server = EngineFixture(ping_interval=1000, max_payload=5_000_000, max_buffered_bytes=50_000_000)
    async with serving(server, sockets=True) as peer:
        session = await peer.open_polling()
        body = "4" + "x" * 4_000_000
        await session.send(body)
        stream = await peer.dial()
        await stream.send_all(get(session.target()))
        await trio.sleep(Limits().write_timeout - 1)
        assert busy(server) == 1
        await trio.sleep(2)
        assert busy(server) == 0
        assert len(await read_to_end(stream)) < len(body)
        assert await session.poll() == [body]


async def test_a_large_answer_is_written_as_the_client_reads_it(autojump_clock):
    async with serving(EngineFixture(max_payload=5_000_000, max_buffered_bytes=50_000_000), sockets=True) as peer:
        stream = await peer.dial()
        target = await opened(stream)
        body = b"4" + b"x" * 4_000_000
        await stream.send_all(post(target, body))
        assert (await read(stream))[1] == b"ok"
        await stream.send_all(get(target) + post(target, b"4next"))
        await wait_all_tasks_blocked()
        assert (await read(stream))[1] == body
        assert (await read(stream))[1] == b"ok"


async def test_a_pending_get_waits_as_long_as_its_session_lives(autojump_clock):
    async with serving(EngineFixture(ping_interval=1000), sockets=True) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        await trio.sleep(900)
        assert waiting.pending
        assert (await waiting.result()).text == "2"


# Shutdown.


async def test_idle_connections_do_not_hold_up_a_shutdown(autojump_clock):
    server = Server(shutdown_grace=60)
    async with trio.open_nursery() as nursery:
        async with serving(server, sockets=True) as peer:
            streams = [await peer.dial() for _ in range(3)]
            await streams[1].send_all(get("/socket.io/"))
            await read(streams[1])
            await streams[2].send_all(b"GET ")
            await wait_all_tasks_blocked()
            ends = [await begin(nursery, read_to_end, stream) for stream in streams]
            began = trio.current_time()
        assert trio.current_time() == began
        assert [await end.result() for end in ends] == [b""] * 3


async def test_a_pending_get_is_told_of_the_shutdown(autojump_clock):
    server = Server(shutdown_grace=60)
    async with trio.open_nursery() as nursery:
        async with serving(server, sockets=True) as peer:
            stream = await peer.dial()
            target = await opened(stream)
            await stream.send_all(get(target))
            await wait_all_tasks_blocked()
            ending = await begin(nursery, read_to_end, stream)
            began = trio.current_time()
        assert trio.current_time() == began
        answer = await ending.result()
        assert answer.endswith(b"\r\n\r\n1")
        assert b"\r\nconnection: close\r\n" in answer


async def test_while_it_shuts_down_the_server_opens_no_session(autojump_clock):
    server = Server(shutdown_grace=10)

    @server.on("work")
    async def work(ctx):
        await trio.sleep(5)

    async with trio.open_nursery() as nursery:
        async with serving(server, sockets=True) as peer:
            stream = await peer.dial()
            client = await peer.join()
            await client.emit("work")
            await wait_all_tasks_blocked()

            async def come_late():
                await trio.sleep(1)
                await stream.send_all(get(POLLING))
                return await read_to_end(stream)

            late = await begin(nursery, come_late)
        answer = await late.result()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in answer


async def test_a_session_may_be_polled_through_another_listener_that_ends_before_it(autojump_clock):
    server = Server(ping_interval=1000)

    @server.on("say")
    async def say(ctx, number):
        await ctx.emit("said", number)

    async with serving(server, sockets=True) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        await session.send("40")
        await session.poll()
        async with serving(server, sockets=True) as other:
            stream = await other.dial()
            await stream.send_all(post(session.target(), b'42["say",1]') + get(session.target()))
            assert (await read(stream))[1] == b"ok"
            assert (await read(stream))[1] == b'42["said",1]'
            await stream.send_all(get(session.target()))
            await wait_all_tasks_blocked()
            ending = await begin(nursery, read_to_end, stream)
        assert await ending.result() == b""
        await session.send('42["say",2]')
        assert await session.poll() == ['42["said",2]']


# Accepting.


@pytest.mark.shortcut("poller")
async def test_without_a_free_descriptor_connections_wait_and_are_served_later(autojump_clock, caplog):
    server = EngineFixture()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(server.serve, "127.0.0.1", 0)
        address = listeners[0].socket.getsockname()
        client = socket.socket()
        client.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            assert client.connect_ex(address) in (0, errno.EINPROGRESS)
            await trio.sleep(10 * PAUSE)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        complaints = [record for record in caplog.records if "no connection can be accepted" in record.getMessage()]
        assert 2 <= len(complaints) <= 12
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
        await stream.send_all(get(POLLING))
        assert (await read(stream))[0].startswith(b"HTTP/1.1 200 ")
        await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_a_listener_that_is_closed_ends_serve_as_any_trio_listener_does(autojump_clock):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with pytest.RaisesGroup(trio.ClosedResourceError, flatten_subgroups=True):  # noqa: PT012
        async with trio.open_nursery() as nursery:
            await nursery.start(Server().serve_listeners, listeners)
            await wait_all_tasks_blocked()
            await listeners[0].aclose()


async def test_many_connections_at_once_are_all_accepted(autojump_clock):
    server = EngineFixture()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(server.serve, "127.0.0.1", 0, backlog=1000))
        port = listeners[0].socket.getsockname()[1]
        streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(200)]
        for stream in streams:
            await stream.send_all(get(POLLING))
        for stream in streams:
            assert (await read(stream))[0].startswith(b"HTTP/1.1 200 ")
            await stream.aclose()
        nursery.cancel_scope.cancel()


# Streams that are open already.


async def test_serve_stream_of_a_plain_socket_lasts_as_long_as_the_websocket(autojump_clock):
    server = EngineFixture()
    ours, theirs = socket_stream_pair()
    async with trio.open_nursery() as nursery:
        serving_it = await begin(nursery, server.serve_stream, theirs)

        async def dial():
            return ours

        websocket = await Peer(dial).open_websocket()
        await websocket.receive()
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"
        await trio.sleep(10)
        assert serving_it.pending
        await websocket.hang_up()
        await serving_it.result()
    assert not server.services


async def test_serve_stream_of_a_plain_socket_ends_with_its_connection(autojump_clock):
    ours, theirs = socket_stream_pair()
    async with trio.open_nursery() as nursery:
        serving_it = await begin(nursery, Server().serve_stream, theirs)
        http = HTTPConnection(Wire(ours), HOST)
        assert (await http.request("GET", "/", [("connection", "close")])).status == 404
        await serving_it.result()
    await ours.aclose()
