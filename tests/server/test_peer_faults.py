"""Bad input of every kind ends with the answer named, is no error of the server, and leaves nothing behind.

Each fault is a connection that sends its bytes and then only reads: it never hangs up, so whatever is freed is freed by
the server.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
from support.memory import MemoryListener
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import HOST, Peer, Polling, frame

from trio_socketio import Server

LONG = 300
"""Seconds after which every timeout of the server has fired."""


class Watched(trio.abc.Stream):
    """The server's end of a connection; it knows whether the server has closed it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.closed = False

    async def send_all(self, data):
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes=None):
        return await self._stream.receive_some(max_bytes)

    async def aclose(self):
        self.closed = True
        await self._stream.aclose()


class WatchingListener(MemoryListener):
    """Accepts connections, and knows which of them the server has not closed."""

    async def dial(self):
        ours, theirs = memory_stream_pair()
        watched = Watched(theirs)
        self.server_ends.append(watched)
        await self._send.send(watched)
        return ours

    @property
    def open_ends(self) -> int:
        return sum(not end.closed for end in self.server_ends)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a server holds at a moment."""

    tasks: int
    streams: int
    sessions: int
    sockets: int
    deadlines: int
    busy: int
    leaving: int


@dataclass(frozen=True, slots=True)
class Setting:
    """A server with the peer that reaches it."""

    server: Server
    listener: WatchingListener
    peer: Peer

    async def holdings(self) -> Holdings:
        await wait_all_tasks_blocked()
        service = self.server.services[0]
        return Holdings(
            tasks=trio.lowlevel.current_statistics().tasks_living,
            streams=self.listener.open_ends,
            sessions=len(self.server.sessions),
            sockets=len(self.server.sockets()),
            deadlines=len(service.deadlines),
            busy=service.busy,
            leaving=len(service.leaving),
        )


@asynccontextmanager
async def setting(**options) -> AsyncIterator[Setting]:
    server = Server(max_payload=1000, **options)

    @server.on("echo")
    async def echo(ctx, *args):
        return args

    listener = WatchingListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve_listeners, [listener])
        yield Setting(server, listener, Peer(listener.dial, "/socket.io/", HOST))
        nursery.cancel_scope.cancel()


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    received = b""
    while True:
        try:
            data = await stream.receive_some()
        except trio.BrokenResourceError:
            return received
        if not data:
            return received
        received += data


def assert_no_errors(caplog) -> None:
    errors = [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
    assert not errors, [(record.getMessage(), record.exc_info) for record in errors]


async def assert_serves(peer: Peer) -> None:
    for transport in ("websocket", "polling"):
        client = await peer.join(transport=transport)
        await client.emit("echo", 1, id=1)
        assert (await client.receive()).data == [1]


# HTTP.


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, "Host: x", *headers, "", ""]).encode("latin-1") + body


OPEN = "/socket.io/?EIO=4&transport=polling"
WS = "/socket.io/?EIO=4&transport=websocket"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"
SILENCE = b""

HTTP_FAULTS: dict[str, tuple[bytes, bytes]] = {
    "nothing at all": (b"", SILENCE),
    "empty lines": (b"\r\n\r\n\r\n", b"HTTP/1.1 400 "),
    "noise": (b"\x00\x01\x02\xff\xfe\r\n\r\n", b"HTTP/1.1 400 "),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)), b"HTTP/1.1 400 "),
    "a request line alone": (b"GET /\r\n\r\n", b"HTTP/1.1 400 "),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\n\r\n", b"HTTP/1.1 404 "),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 400 "),
    "no Host header": (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
    "two Host headers": (request("GET / HTTP/1.1", "Host: y"), b"HTTP/1.1 400 "),
    "a host that is none": (b"GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n", b"HTTP/1.1 400 "),
    "a header without a colon": (request("GET / HTTP/1.1", "nonsense"), b"HTTP/1.1 400 "),
    "a space before the colon": (request("GET / HTTP/1.1", "X-A : b"), b"HTTP/1.1 400 "),
    "a NUL in a header": (request("GET / HTTP/1.1", "X-A: a\0b"), b"HTTP/1.1 400 "),
    "a head that is too large": (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000, b"HTTP/1.1 431 "),
    "a target that is too long": (request("GET /" + "a" * 20_000 + " HTTP/1.1"), b"HTTP/1.1 4"),
    "a target of another kind": (request("GET socket.io HTTP/1.1"), b"HTTP/1.1 400 "),
    "a target with a fragment": (request("GET /#a HTTP/1.1"), b"HTTP/1.1 400 "),
    "a target with raw bytes": (request("GET /\xff HTTP/1.1"), b"HTTP/1.1 400 "),
    "a method that is none": (request("G@T{} / HTTP/1.1"), b"HTTP/1.1 400 "),
    "CONNECT": (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", b"HTTP/1.1 400 "),
    "too many fields in the query": (request(f"GET {OPEN}{'&a=b' * 100} HTTP/1.1"), b"HTTP/1.1 400 "),
    "an unknown transfer coding": (request(f"POST {OPEN} HTTP/1.1", "Transfer-Encoding: zip"), b"HTTP/1.1 501 "),
    "a length that is none": (request(f"POST {OPEN} HTTP/1.1", "Content-Length: -1"), b"HTTP/1.1 400 "),
    "two lengths": (request(f"POST {OPEN} HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), b"HTTP/1.1 400 "),
    "a head that never ends": (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"HTTP/1.1 408 "),
    "a body that never comes": (request("POST /elsewhere HTTP/1.1", "Content-Length: 10"), b"HTTP/1.1 408 "),
    "a body that ends early": (
        request("POST /elsewhere HTTP/1.1", "Content-Length: 10", body=b"abc"),
        b"HTTP/1.1 408 ",
    ),
    "a body elsewhere that is too large": (
        request("POST /elsewhere HTTP/1.1", "Content-Length: 2000", body=b"a" * 2000),
        b"HTTP/1.1 413 ",
    ),
    "a chunk that is none": (
        request("POST /elsewhere HTTP/1.1", "Transfer-Encoding: chunked", body=b"xyz\r\n"),
        b"HTTP/1.1 400 ",
    ),
    "another path": (request("GET /elsewhere HTTP/1.1"), b"HTTP/1.1 404 "),
    "no version": (request("GET /socket.io/?transport=polling HTTP/1.1"), b"HTTP/1.1 400 "),
    "no transport": (request("GET /socket.io/?EIO=4 HTTP/1.1"), b"HTTP/1.1 400 "),
    "an unknown sid": (request(f"GET {OPEN}&sid=abc HTTP/1.1"), b"HTTP/1.1 400 "),
    "a POST without sid": (request(f"POST {OPEN} HTTP/1.1", "Content-Length: 2", body=b"40"), b"HTTP/1.1 400 "),
    "a HEAD without sid": (request(f"HEAD {OPEN} HTTP/1.1"), b"HTTP/1.1 400 "),
    "a foreign origin": (request(f"GET {OPEN} HTTP/1.1", "Origin: http://evil.example"), b"HTTP/1.1 403 "),
    "an origin that is none": (request(f"GET {OPEN} HTTP/1.1", "Origin: \xff\xfe"), b"HTTP/1.1 403 "),
    "a refused preflight": (request(f"OPTIONS {OPEN} HTTP/1.1", "Origin: http://evil.example"), b"HTTP/1.1 400 "),
    "a WebSocket without upgrade headers": (request(f"GET {WS} HTTP/1.1", KEY, VERSION), b"HTTP/1.1 400 "),
    "a WebSocket without a key": (request(f"GET {WS} HTTP/1.1", *UPGRADE, VERSION), b"HTTP/1.1 400 "),
    "a WebSocket with a bad key": (
        request(f"GET {WS} HTTP/1.1", *UPGRADE, VERSION, "Sec-WebSocket-Key: a"),
        b"HTTP/1.1 400 ",
    ),
    "a WebSocket with two keys": (request(f"GET {WS} HTTP/1.1", *UPGRADE, VERSION, KEY, KEY), b"HTTP/1.1 400 "),
    "a WebSocket of another version": (
        request(f"GET {WS} HTTP/1.1", *UPGRADE, KEY, "Sec-WebSocket-Version: 7"),
        b"HTTP/1.1 426 ",
    ),
    "a WebSocket without a version": (request(f"GET {WS} HTTP/1.1", *UPGRADE, KEY), b"HTTP/1.1 426 "),
    "a WebSocket of an unknown session": (
        request(f"GET {WS}&sid=abc HTTP/1.1", *UPGRADE, KEY, VERSION),
        b"HTTP/1.1 400 ",
    ),
    "a WebSocket from elsewhere": (
        request(f"GET {WS} HTTP/1.1", *UPGRADE, KEY, VERSION, "Origin: http://evil.example"),
        b"HTTP/1.1 403 ",
    ),
    "a WebSocket by POST": (
        request(f"POST {WS} HTTP/1.1", *UPGRADE, KEY, VERSION, "Content-Length: 0"),
        b"HTTP/1.1 400 ",
    ),
    "a WebSocket with a body that never comes": (
        request(f"GET {WS} HTTP/1.1", *UPGRADE, KEY, VERSION, "Content-Length: 10"),
        b"HTTP/1.1 400 ",
    ),
    "a session that nobody uses": (request(f"GET {OPEN} HTTP/1.1"), b"HTTP/1.1 200 "),
}


@pytest.mark.parametrize(("raw", "answer"), HTTP_FAULTS.values(), ids=HTTP_FAULTS.keys())
async def test_bad_http_is_answered_and_leaves_nothing(autojump_clock, caplog, raw, answer):
    async with setting() as here:
        before = await here.holdings()
        stream = await here.peer.dial()
        await stream.send_all(raw)
        with trio.fail_after(LONG):
            received = await read_to_end(stream)
        assert received.startswith(answer) if answer else received == b""
        await trio.sleep(LONG)
        assert await here.holdings() == before
        await assert_serves(here.peer)
    assert_no_errors(caplog)


# WebSocket, Engine.IO and Socket.IO: after a good handshake.

CLOSES = {1000: b"\x88\x02\x03\xe8", 1002: b"\x88\x02\x03\xea", 1007: b"\x88\x02\x03\xef", 1008: b"\x88\x02\x03\xf0"}
CLOSES[1009] = b"\x88\x02\x03\xf1"

FRAME_FAULTS: dict[str, tuple[bytes, int]] = {
    "a reserved bit": (frame(1, b"4a", reserved=1), 1002),
    "a reserved opcode": (frame(7), 1002),
    "an unmasked frame": (frame(1, b"4a", masked=False), 1002),
    "a continuation of nothing": (frame(0, b"a"), 1002),
    "a message inside another": (frame(1, b"4", final=False) + frame(2, b"a"), 1002),
    "a fragmented ping": (frame(9, final=False), 1002),
    "a ping that is too long": (frame(9, bytes(126)), 1002),
    "a close code that is none": (frame(8, b"\x00\x01"), 1002),
    "half a close code": (frame(8, b"\x03"), 1002),
    "HTTP instead": (request(f"GET {OPEN} HTTP/1.1"), 1002),
    "text that is not UTF-8": (frame(1, b"\xff"), 1007),
    "a close reason that is not UTF-8": (frame(8, b"\x03\xe8\xff"), 1007),
    "a message that is too large": (frame(2, bytes(1001)), 1009),
    "fragments that are too large": (frame(2, bytes(600), final=False) + frame(0, bytes(401)), 1009),
    "a frame of a terabyte": (frame(2, bytes(1001), length=1 << 40), 1009),
    "a frame that never ends": (frame(1, b"4hello", length=100), 1000),
    "a message that never ends": (frame(1, b"4hello", final=False), 1000),
    "half a frame": (b"\x81", 1000),
    "silence": (b"", 1000),
    "empty text": (frame(1), 1008),
    "an unknown packet type": (frame(1, b"9"), 1008),
    "an open packet": (frame(1, b"0{}"), 1008),
    "a ping packet": (frame(1, b"2"), 1008),
    "an upgrade packet": (frame(1, b"5"), 1008),
    "base64 first": (frame(1, b"bAQID"), 1008),
    "an event first": (frame(1, b'42["echo"]'), 1008),
    "binary first": (frame(2, b"\x00"), 1008),
    "a connect with a list": (frame(1, b"40[]"), 1008),
    "two connects": (frame(1, b"40") * 2, 1008),
    "a packet type that is none": (frame(1, b"40") + frame(1, b"4abc"), 1008),
    "an event that is none": (frame(1, b"40") + frame(1, b"42{}"), 1008),
    "an ack id that is none": (frame(1, b"40") + frame(1, b'42abc["a"]'), 1008),
    "an ack without id": (frame(1, b"40") + frame(1, b'43["x"]'), 1008),
    "a reserved event": (frame(1, b"40") + frame(1, b'42["connect"]'), 1008),
    "an attachment that is text": (frame(1, b"40") + frame(1, b'451-["a",{"_placeholder":true,"num":0}]') * 2, 1008),
    "a placeholder out of range": (frame(1, b"40") + frame(1, b'451-["a",{"_placeholder":true,"num":9}]'), 1008),
    "an attachment that never comes": (frame(1, b"40") + frame(1, b'451-["a",{"_placeholder":true,"num":0}]'), 1000),
    "too many attachments": (frame(1, b"40") + frame(1, b'4565-["a"]'), 1008),
    "deep JSON": (frame(1, b"40") + frame(1, b'42["a",' + b"[" * 900), 1008),
    "a long integer": (frame(1, b"40") + frame(1, b'42["a",' + b"1" * 900 + b"]"), 1008),
    "a surrogate in bytes": (frame(1, b"40") + frame(1, b'42["\xed\xa0\x80"]'), 1007),
    "a flood of pings": (frame(9, bytes(125)) * 2000 + frame(3), 1002),
    "a flood of connects to nowhere": (b"".join(frame(1, b"40/n%d," % n) for n in range(2000)) + frame(3), 1002),
}


@pytest.mark.parametrize(("raw", "code"), FRAME_FAULTS.values(), ids=FRAME_FAULTS.keys())
async def test_bad_frames_are_closed_and_leave_nothing(autojump_clock, caplog, raw, code):
    async with setting() as here:
        before = await here.holdings()
        websocket = await here.peer.open_websocket()
        await websocket.send_raw(raw)
        with trio.fail_after(LONG):
            received = await read_to_end(websocket.stream)
        assert received.endswith(CLOSES[code])
        await trio.sleep(LONG)
        assert await here.holdings() == before
        await assert_serves(here.peer)
    assert_no_errors(caplog)


# Polling.

POST_FAULTS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "an unknown packet type": (b"abc", 400),
    "bytes that are not UTF-8": (b"4\xff", 400),
    "bad base64": (b"b!", 400),
    "a separator too many": (b"40\x1e", 400),
    "a ping packet": (b"2", 400),
    "an upgrade packet": (b"5", 400),
    "too many bytes": (b"4" * 1001, 413),
    "an event first": (b'42["echo"]', 200),
    "a bad Socket.IO packet": (b"40\x1e4abc", 200),
    "two connects": (b"40\x1e40", 200),
    "a close": (b"1", 200),
    "a close and more": (b"40\x1e1\x1e40\x1eabc", 400),
    "thousands of bad packets": (b"40\x1e" + b"\x1e".join([b"42[]"] * 150), 200),
}


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(("body", "status"), POST_FAULTS.values(), ids=POST_FAULTS.keys())
async def test_bad_posts_are_answered_and_leave_nothing(autojump_clock, caplog, body, status, waiting):
    async with setting() as here:
        before = await here.holdings()
        session = await here.peer.open_polling()
        streams = [await here.peer.dial() for _ in range(2)]
        if waiting:
            await streams[0].send_all(request(f"GET {session.target()} HTTP/1.1"))
            await wait_all_tasks_blocked()
        await streams[1].send_all(
            request(f"POST {session.target()} HTTP/1.1", f"Content-Length: {len(body)}", body=body)
        )
        received = await read_to_end(streams[1])
        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert (await session.get()).status == 400
        if waiting:
            assert (await read_to_end(streams[0])).startswith(b"HTTP/1.1 200 ")
        await trio.sleep(LONG)
        await trio.aclose_forcefully(streams[0])
        assert await here.holdings() == before
        await assert_serves(here.peer)
    assert_no_errors(caplog)


async def post_that_stalls(here: Setting, session: Polling) -> None:
    stream = await here.peer.dial()
    await stream.send_all(request(f"POST {session.target()} HTTP/1.1", "Content-Length: 100", body=b"4"))


async def get_that_is_left(here: Setting, session: Polling) -> None:
    stream = await here.peer.dial()
    await stream.send_all(request(f"GET {session.target()} HTTP/1.1"))


async def get_that_is_aborted(here: Setting, session: Polling) -> None:
    stream = await here.peer.dial()
    await stream.send_all(request(f"GET {session.target()} HTTP/1.1"))
    await wait_all_tasks_blocked()
    await stream.aclose()


async def two_gets(here: Setting, session: Polling) -> None:
    await get_that_is_left(here, session)
    await get_that_is_left(here, session)


async def two_posts(here: Setting, session: Polling) -> None:
    await post_that_stalls(here, session)
    await post_that_stalls(here, session)


async def probe_that_stalls(here: Setting, session: Polling) -> None:
    websocket = await here.peer.upgrade(session)
    await websocket.send("2probe")


async def two_probes(here: Setting, session: Polling) -> None:
    for _ in range(2):
        await here.peer.upgrade(session)


async def upgrade_that_goes_silent(here: Setting, session: Polling) -> None:
    websocket = await here.peer.upgrade(session)
    await websocket.send("2probe")
    await websocket.send("5")
    await here.peer.upgrade(session)


async def upgrade_that_hangs_up(here: Setting, session: Polling) -> None:
    websocket = await here.peer.upgrade(session)
    await websocket.send_raw(frame(1, b"2probe") + frame(1, b"5") + frame(1, b"40"))
    await wait_all_tasks_blocked()
    await websocket.hang_up()


async def a_get_behind_which_a_flood_is_pipelined(here: Setting, session: Polling) -> None:
    stream = await here.peer.dial()
    await stream.send_all(request(f"GET {session.target()} HTTP/1.1") + b"x" * 1_000_000)


@pytest.mark.parametrize(
    "misbehave",
    [
        post_that_stalls,
        get_that_is_left,
        get_that_is_aborted,
        two_gets,
        two_posts,
        probe_that_stalls,
        two_probes,
        upgrade_that_goes_silent,
        upgrade_that_hangs_up,
        a_get_behind_which_a_flood_is_pipelined,
    ],
)
async def test_a_session_that_is_left_half_way_leaves_nothing(autojump_clock, caplog, misbehave):
    async with setting() as here:
        before = await here.holdings()
        session = await here.peer.open_polling()
        await misbehave(here, session)
        await trio.sleep(LONG)
        assert await here.holdings() == before
        await assert_serves(here.peer)
    assert_no_errors(caplog)
