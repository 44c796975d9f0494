"""The tap between clients and servers: what it passes on, and what it tells."""

import hashlib
import socket
import ssl
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory import MemoryListener
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import HOST, Peer
from trio_socketio.protocol.socketio import Packet, PacketType
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio import Server
from trio_socketio.wire.conversation import Conversation
from trio_socketio.wire.tap import CHUNK, Tap, Upstream
from trio_socketio.wire.values import Kind

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER


class Steps:
    """A clock that ticks with each record."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@asynccontextmanager
async def tapped(server):
    """Serve in memory behind a tap; yield how to reach it and the records."""
    back, front = MemoryListener(), MemoryListener()
    records = []
    tap = Tap(back.dial, records.append, clock=Steps())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve_listeners, [back])
        nursery.start_soon(trio.serve_listeners, tap.serve_stream, [front])
        yield Peer(front.dial, "/socket.io/", HOST), records
        nursery.cancel_scope.cancel()
    for stream in front.client_ends:  # with plain sockets the kernel's memory must be given back
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def joined():
    """A tap between two raw streams: yield the client's end, the server's end and the records."""
    client, client_side = memory_stream_pair()
    server, dialled = memory_stream_pair()
    records = []

    async def dial():
        return dialled

    tap = Tap(dial, records.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tap.serve_stream, client_side)
        yield client, server, records, tap
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def on_ports(serve, told=None):
    """A tap on a port before a server on another port: yield how to connect, the records and the tap."""
    records = []

    def observe(record):
        records.append(record)
        if told is not None:
            told.set()

    async with trio.open_nursery() as nursery:
        (back,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        (front,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        upstream = Upstream("127.0.0.1", back.socket.getsockname()[1])
        tap = Tap(upstream.dial, observe)
        nursery.start_soon(serve, [back])
        nursery.start_soon(trio.serve_listeners, tap.serve_stream, [front])

        streams = []

        async def dial():
            streams.append(await trio.open_tcp_stream("127.0.0.1", front.socket.getsockname()[1]))
            return streams[-1]

        yield dial, records, tap
        nursery.cancel_scope.cancel()
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def echo(stream):
    async for data in stream:
        await stream.send_all(data)
    await stream.send_eof()


def talkative():
    server = Server(ping_interval=1000)

    @server.on("chat")
    async def chat(ctx, text, image):
        await ctx.emit("chat", text, image)
        return "delivered"

    return server


async def test_a_conversation_over_polling_upgrade_and_websocket_is_told_as_it_happens(autojump_clock):
    async with tapped(talkative()) as (peer, records):
        polling = await peer.open_polling()
        await polling.send("40")
        await polling.poll()
        await polling.send('450-["chat","hi",null]')
        websocket = await peer.upgrade(polling)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        assert await websocket.receive() == '42["chat","hi",null]'
        await websocket.send('451-7["chat","look",{"_placeholder":true,"num":0}]')
        await websocket.send(b"\x89PNG")
        while await websocket.receive() != '437["delivered"]':
            pass
        await websocket.close()
        await wait_all_tasks_blocked()
    conversation = Conversation()
    lines = [line for record in records for line in conversation.observe(record)]
    told = [(line.transport[:1], line.sender, line.kind, line.event) for line in lines]
    assert told[:5] == [
        ("p", SERVER, Kind.OPEN, None),
        ("p", CLIENT, Kind.CONNECT, None),
        ("p", SERVER, Kind.CONNECT, None),
        ("p", CLIENT, Kind.EVENT, "chat"),
        ("w", CLIENT, Kind.PROBE, None),
    ]
    assert [step for step in told[5:] if step[2] is not Kind.NOTE] == [
        ("w", SERVER, Kind.PROBE, None),
        ("w", CLIENT, Kind.UPGRADE, None),
        ("w", SERVER, Kind.EVENT, "chat"),
        ("w", CLIENT, Kind.EVENT, "chat"),
        ("w", SERVER, Kind.EVENT, "chat"),
        ("w", SERVER, Kind.ACK, "chat"),
    ]
    assert {line.sid for line in lines} == {polling.handshake.sid}
    assert next(line for line in lines if line.asks).payload == ["look", b"\x89PNG"]
    assert [line.answers is not None for line in lines if line.kind is Kind.ACK] == [True]
    assert "The client closed the WebSocket with code 1000" in next(
        line.detail for line in lines if line.kind is Kind.NOTE
    )


async def test_a_frame_is_told_before_the_answer_to_it(autojump_clock):
    async with tapped(talkative()) as (peer, records):
        clients = [await peer.join() for _ in range(5)]
        for number, client in enumerate(clients):
            await client.send(Packet(PacketType.EVENT, "/", ["chat", "x", None], number))
            while (await client.receive()).type is not PacketType.ACK:
                pass
    for client in clients:
        frames = [r.frame for r in records if isinstance(r, TracedFrame) and r.sid == client.handshake.sid]
        asked = next(i for i, frame in enumerate(frames) if '"x",null' in frame and frame.startswith("42"))
        answered = next(i for i, frame in enumerate(frames) if frame.startswith("43"))
        assert asked < answered


@given(
    to_server=st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    to_client=st.lists(st.binary(min_size=1, max_size=300), max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_every_byte_passes_unchanged_in_both_directions(to_server, to_client):
    async def main():
        async with joined() as (client, server, _, tap):

            async def say(stream, chunks):
                for chunk in chunks:
                    await stream.send_all(chunk)
                await stream.send_eof()

            async def hear(stream, into):
                async for data in stream:
                    into += data

            at_server, at_client = bytearray(), bytearray()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say, client, to_server)
                nursery.start_soon(say, server, to_client)
                nursery.start_soon(hear, server, at_server)
                nursery.start_soon(hear, client, at_client)
            assert (at_server, at_client) == (b"".join(to_server), b"".join(to_client))
            assert tap.passed.size == {CLIENT: len(at_server), SERVER: len(at_client)}

    trio.run(main)


async def test_a_megabyte_goes_both_ways_over_both_transports():
    content = b"\x00\x01\xfe\xff" * 250_000

    server = Server(max_payload=2_000_000, shutdown_grace=0.1)

    @server.on("blob")
    async def blob(ctx, data):
        return data

    async with on_ports(server.serve_listeners) as (dial, records, tap):
        peer = Peer(dial)
        for transport in ("polling", "websocket"):
            client = await peer.join(transport=transport)
            await client.send(Packet(PacketType.EVENT, "/", ["blob", content], 1))
            assert (await client.receive()).data == [content]
            await client.transport.hang_up() if transport == "websocket" else None
        assert [r.frame == content for r in records if isinstance(r, TracedFrame) and isinstance(r.frame, bytes)] == [
            True
        ] * 4
        assert all(size > 2_000_000 for size in tap.passed.size.values())


async def test_the_end_of_one_direction_is_passed_on_while_the_other_goes_on():
    async with joined() as (client, server, _, _tap):
        await client.send_all(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n")
        await client.send_eof()
        request = b""
        while data := await server.receive_some():
            request += data
        assert request.endswith(b"\r\n\r\n")
        await server.send_all(b"HTTP/1.1 200 OK\r\n\r\n0{}")
        await server.send_eof()
        answer = b""
        while data := await client.receive_some():
            answer += data
        assert answer.endswith(b"0{}")


async def test_a_reader_that_does_not_read_stops_its_sender():
    client, client_side = memory_stream_pair()
    unread = []

    class Stuck(trio.abc.HalfCloseableStream):
        """A server that takes nothing."""

        async def send_all(self, data):
            unread.append(len(data))
            await trio.sleep_forever()

        async def wait_send_all_might_not_block(self):
            await trio.sleep_forever()

        async def receive_some(self, max_bytes=None):
            await trio.sleep_forever()

        async def send_eof(self):
            raise AssertionError("nothing has ended")

        async def aclose(self):
            await trio.lowlevel.checkpoint()

    async def dial():
        return Stuck()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Tap(dial, lambda record: None).serve_stream, client_side)
        await client.send_all(b"GET / HTTP/1.1\r\n" + b"x" * 10 * CHUNK)
        await wait_all_tasks_blocked()
        assert unread == [CHUNK]
        nursery.cancel_scope.cancel()


async def test_bytes_that_are_no_http_pass_all_the_same():
    async with on_ports(partial(trio.serve_listeners, echo)) as (dial, records, _):
        stream = await dial()
        content = b"\x16\x03\x01" + bytes(range(256)) * 2_000
        received = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, content)
            while len(received) < len(content):
                received += await stream.receive_some()
        assert received == content
        (note,) = records
        assert "This is TLS" in note.text
        await stream.aclose()


async def test_a_server_that_cannot_be_reached_is_told_and_the_client_is_hung_up_on():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        port = taken.getsockname()[1]
        records = []
        client, client_side = memory_stream_pair()
        tap = Tap(Upstream("127.0.0.1", port).dial, records.append)
        await tap.serve_stream(client_side)
        assert await client.receive_some() == b""
    (note,) = records
    assert note.text == (
        f"http://127.0.0.1:{port} cannot be reached: Connection refused; the connection of a client was closed"
    )
    assert (tap.passed.connections, tap.passed.unreachable) == (1, 1)


async def test_a_server_that_is_gone_is_told_and_so_is_a_client():
    async def hang_up(stream):
        await stream.receive_some()
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset
        await stream.aclose()

    request = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n"
    async with on_ports(partial(trio.serve_listeners, hang_up)) as (dial, records, _):
        stream = await dial()
        await stream.send_all(request)
        with trio.fail_after(5):
            assert await stream.receive_some() == b""
        assert [record.text for record in records] == [
            "The server closed the connection and left a GET without an answer"
        ]

    async def wait(stream):
        while await stream.receive_some():
            pass

    told = trio.Event()
    async with on_ports(partial(trio.serve_listeners, wait), told) as (dial, records, _):
        stream = await dial()
        await stream.send_all(request)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await stream.aclose()
        with trio.fail_after(5):
            await told.wait()
        assert [record.text for record in records] == ["The client gave up a GET that was waiting for its answer"]


async def test_what_the_server_said_before_it_took_nothing_more_still_arrives(autojump_clock):
    async with joined() as (client, server, _, _tap):
        server.receive_stream.close()  # it reads no more
        await client.send_all(b"POST / HTTP/1.1\r\n")
        await wait_all_tasks_blocked()
        await server.send_all(b"HTTP/1.1 413 Too Large\r\n\r\n")
        assert await client.receive_some() == b"HTTP/1.1 413 Too Large\r\n\r\n"
        assert await client.receive_some() == b""  # after the grace


async def test_cancelling_ends_all_connections_and_tells_nothing_of_it():
    async with tapped(talkative()) as (peer, records):
        await peer.join()
        before = len(records)
    assert len(records) == before


async def test_a_server_behind_tls_is_spoken_to_with_tls(monkeypatch):
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(serving)
    default = ssl.create_default_context
    records = []

    async def handler(stream):
        async with trio.SSLStream(stream, serving, server_side=True, https_compatible=True) as secured:
            try:
                async for data in secured:
                    await secured.send_all(data.upper())
            except trio.BrokenResourceError:
                pass

    async with trio.open_nursery() as nursery:
        (back,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, [back])
        upstream = Upstream.from_url(f"https://localhost:{back.socket.getsockname()[1]}")

        client, client_side = memory_stream_pair()
        nursery.start_soon(Tap(upstream.dial, records.append).serve_stream, client_side)
        assert await client.receive_some() == b""
        assert "does not speak TLS that can be trusted" in records[0].text
        assert "CERTIFICATE_VERIFY_FAILED" in records[0].text

        monkeypatch.setattr(ssl, "create_default_context", lambda *a, **k: trusting if not a else default(*a, **k))
        client, client_side = memory_stream_pair()
        nursery.start_soon(Tap(upstream.dial, records.append).serve_stream, client_side)
        await client.send_all(b"get / http/1.1\r\nhost: example\r\n")
        assert await client.receive_some() == b"GET / HTTP/1.1\r\nHOST: EXAMPLE\r\n"
        await client.send_eof()  # TLS cannot pass that on: the connection ends
        assert await client.receive_some() == b""
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("http://127.0.0.1:3000", Upstream("127.0.0.1", 3000)),
        ("http://example.org/", Upstream("example.org", 80)),
        ("https://example.org", Upstream("example.org", 443, secure=True)),
        ("wss://[::1]:8443", Upstream("::1", 8443, secure=True)),
    ],
)
def test_an_address_says_where_the_server_is(url, upstream):
    assert Upstream.from_url(url) == upstream


def test_an_upstream_reads_as_its_address():
    assert str(Upstream("::1", 8443, secure=True)) == "https://[::1]:8443"
    assert str(Upstream("localhost", 80)) == "http://localhost:80"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:3000", "no address of a server"),
        ("ftp://example.org", "no address of a server"),
        ("http://", "no address of a server"),
        ("http://example.org:99999", "no address"),
        ("http://[::1", "no address"),
        ("http://example.org/socket.io/", "more than a host and a port"),
        ("http://user@example.org", "more than a host and a port"),
        (f"http://{'a' * 64}.org", "no name of a host"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(url, why):
    with pytest.raises(ValueError, match=why):
        Upstream.from_url(url)


CROWD = textwrap.dedent("""
    import resource, socket, sys, trio
    from trio_socketio.wire.tap import Tap, Upstream

    CLIENTS, SIZE = 200, 1_000_000
    HEAD = b"POST /socket.io/?EIO=4&transport=polling&sid=a HTTP/1.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % SIZE
    BODY = b"4" * SIZE

    async def serve(stream):
        left = len(HEAD) + SIZE
        while left:
            left -= len(await stream.receive_some(65536))
        await stream.send_all(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

    async def main():
        told = [0]
        def observe(record):
            told[0] += 1
        async with trio.open_nursery() as nursery:
            (back,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            (front,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            tap = Tap(Upstream("127.0.0.1", back.socket.getsockname()[1]).dial, observe)
            nursery.start_soon(trio.serve_listeners, serve, [back])
            nursery.start_soon(trio.serve_listeners, tap.serve_stream, [front])
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            limit = trio.CapacityLimiter(20)

            async def come(stream):
                async with limit:
                    for _ in range(2):
                        await stream.send_all(HEAD + BODY)
                        if not (await stream.receive_some()).endswith(b"ok"):
                            raise SystemExit("no answer")
                        await stream.aclose()
                        stream = await trio.open_tcp_stream("127.0.0.1", front.socket.getsockname()[1])
                    await stream.aclose()

            streams = [
                await trio.open_tcp_stream("127.0.0.1", front.socket.getsockname()[1]) for _ in range(CLIENTS)
            ]
            async with trio.open_nursery() as clients:
                for stream in streams:
                    clients.start_soon(come, stream)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
            print(told[0], grown)
            nursery.cancel_scope.cancel()

    trio.run(main)
""")


@pytest.mark.skipif(sys.platform == "win32", reason="the resource module is Unix's")
def test_two_hundred_clients_with_a_megabyte_each_need_little_memory():
    done = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told, grown = map(int, done.stdout.split())
    assert told == 400
    # Four hundred megabytes have passed; twenty were on their way at a time, in several copies for the moment of telling.
    assert grown < 150


async def test_large_streams_pass_without_being_kept():
    """Something that is no Engine.IO, such as a download through the same server."""
    size = 30 * 1024 * 1024
    digest = hashlib.sha256()

    async def download(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65_536):
            await stream.send_all(b"y" * 65_536)

    async with on_ports(partial(trio.serve_listeners, download)) as (dial, records, _):
        stream = await dial()
        await stream.send_all(b"GET /big HTTP/1.1\r\n\r\n")
        count = 0
        while data := await stream.receive_some():
            count += len(data)
            digest.update(data)
        assert count > size
        assert records == []
