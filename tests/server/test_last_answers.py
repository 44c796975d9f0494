"""The answer with which a connection ends reaches a client that is still sending, and nobody is kept for long by that."""

import json
import logging
import socket
import ssl
import struct
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trustme
from support.memory import serving
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.server.net.decisions import LINGER, LINGER_BYTES

from trio_socketio import HTTPResponse, Server

POLLING = "/socket.io/?EIO=4&transport=polling"
SIZE = 5_000_000

both_ways = pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
each_target = pytest.mark.parametrize("target", [f"{POLLING}&sid=unknown", "/elsewhere"], ids=["ours", "elsewhere"])


@pytest.fixture(scope="module")
def contexts():
    """What the server and its client need for TLS."""
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


def announced(target, size, *lines):
    """Return the head of a POST whose body has that size."""
    return "\r\n".join([f"POST {target} HTTP/1.1", "Host: x", f"Content-Length: {size}", *lines, "", ""]).encode()


async def opened(stream):
    """Open a session, and return the target of its requests."""
    await stream.send_all(f"GET {POLLING} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    data = b""
    while not data.endswith(b"}"):
        data += await stream.receive_some()
    _head, _, packet = data.partition(b"\r\n\r\n0")
    return f"{POLLING}&sid={json.loads(packet)['sid']}"


async def everything(stream):
    """Return what comes until the server has ended its half; a reset is an error."""
    data = b""
    while chunk := await stream.receive_some():
        data += chunk
    return data


async def echo(request):
    return HTTPResponse.text(str(len(request.body)))


BROKEN = {
    "a body that is too large": (413, announced("/elsewhere", SIZE) + b"x" * SIZE),
    "chunks that are too large": (
        413,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % SIZE + b"x" * SIZE,
    ),
    "a head that is too large": (431, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * SIZE),
    "a target that is too long": (414, b"GET /" + b"x" * SIZE),
    "no HTTP": (400, b"no HTTP\r\n\r\n" + b"x" * SIZE),
    "no Host": (400, b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * SIZE),
    "a body for an unknown session": (400, announced(f"{POLLING}&sid=unknown", SIZE) + b"x" * SIZE),
    "what comes behind the last request": (
        200,
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx" + b"x" * SIZE,
    ),
}


@asynccontextmanager
async def dialled(server, ssl_context=None, trusting=None):
    """Serve on a port, and open a connection to it."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(server.serve, "127.0.0.1", 0, ssl_context=ssl_context))
        tcp = listeners[0] if trusting is None else listeners[0].transport_listener
        stream = await trio.open_tcp_stream("127.0.0.1", tcp.socket.getsockname()[1])
        if trusting is not None:
            stream = trio.SSLStream(stream, trusting, server_hostname="localhost", https_compatible=True)
        with trio.fail_after(20):
            yield stream
        await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("name", BROKEN)
async def test_a_client_that_sends_everything_before_it_reads_gets_its_answer(name):
    status, data = BROKEN[name]
    async with dialled(Server(http=echo)) as stream:
        await stream.send_all(data)
        assert (await everything(stream))[9:12] == b"%d" % status


async def test_so_does_one_whose_post_is_too_large_for_its_session():
    server = EngineFixture()
    async with dialled(server) as stream:
        target = await opened(stream)
        await stream.send_all(announced(target, SIZE) + b"4" + b"x" * (SIZE - 1))
        assert (await everything(stream)).startswith(b"HTTP/1.1 413 ")
        assert server.sessions == {}


async def test_so_does_one_over_tls(contexts):
    async with dialled(Server(http=echo), *contexts) as stream:
        await stream.send_all(announced("/elsewhere", SIZE) + b"x" * SIZE)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 413 ")


@both_ways
@each_target
async def test_a_client_that_sends_nothing_more_is_waited_for_a_bounded_time(autojump_clock, sockets, target):
    async with serving(Server(http=echo, max_payload=1000), sockets=sockets) as peer:
        stream = await peer.dial()
        await stream.send_all(announced(target, 2000) + b"x" * 1001)
        began = trio.current_time()
        assert (await everything(stream))[9:12] in (b"400", b"413")
        assert trio.current_time() == began, "the server's half has ended at once"
        while trio.current_time() < began + LINGER - 1:
            await stream.send_all(b"x")
            await trio.sleep(0.5)
        await trio.sleep(1.5)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


@both_ways
@each_target
async def test_a_client_that_sends_without_end_is_read_for_a_bounded_amount(autojump_clock, sockets, target):
    async with serving(Server(http=echo, max_payload=1000), sockets=sockets) as peer:
        stream = await peer.dial()
        await stream.send_all(announced(target, 10**12) + b"x" * 1001)
        sent = 0
        with pytest.raises(trio.BrokenResourceError):
            while sent < 2 * LINGER_BYTES:
                await stream.send_all(b"x" * 50_000)
                sent += 50_000
        assert sent + 100_000 >= LINGER_BYTES


@both_ways
@each_target
async def test_the_shutdown_does_not_wait_for_a_client_that_has_its_last_answer(autojump_clock, sockets, target):
    server = Server(http=echo, max_payload=1000)
    began = trio.current_time()
    async with serving(server, sockets=sockets) as peer:
        stream = await peer.dial()
        await stream.send_all(announced(target, 2000) + b"x" * 1001)
        assert (await everything(stream))[9:12] in (b"400", b"413")
        assert server.services[0].busy == 0
    assert trio.current_time() == began


@each_target
async def test_a_client_that_resets_the_connection_meanwhile_is_nobodys_fault(target, caplog):
    server = Server(http=echo)
    async with dialled(server) as stream:
        await stream.send_all(announced(target, SIZE) + b"x" * 1_000_001)
        assert (await everything(stream))[9:12] in (b"400", b"413")
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()
        await trio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
