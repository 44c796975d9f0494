"""Each hostile input gets the answer that it must get, harms nobody else, and leaves nothing behind, in the log least of all."""

import logging
import re
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from hostile import (
    engine_packets,
    handshakes,
    http_bodies,
    http_heads,
    origins,
    slow,
    socketio_packets,
    websocket_frames,
)
from support.hostile import MAX_PAYLOAD, SECRET, Conversation
from support.memory import MemoryListener
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_socketio.conformance.peer import Peer
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import Disconnected, HTTPResponse, Server

CORPUS = [
    *handshakes.ENTRIES,
    *http_heads.ENTRIES,
    *http_bodies.ENTRIES,
    *websocket_frames.ENTRIES,
    *engine_packets.ENTRIES,
    *socketio_packets.ENTRIES,
    *origins.ENTRIES,
    *slow.ENTRIES,
]

LONG = 300.0
"""Seconds after which every deadline of the server has passed."""


@pytest.fixture
def patient_clock(way):
    """Time passes when nothing else happens, be it in the kernel."""
    return MockClock(autojump_threshold=0.003 if way == "port" else 0)


def make_server(called, **options):
    """Make a server whose handlers write down that they were called."""

    async def answer(request):
        return HTTPResponse.text("x" * 16_000_000 if request.path == "/large" else "no such page", 404)

    server = Server(**{"max_payload": MAX_PAYLOAD, "max_attachments": 4, "http": answer, **options})

    @server.on("connect")
    async def connect(ctx, auth):
        called.append("connect")

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        called.append("disconnect")

    @server.on("message")
    async def message(ctx, *arguments):
        called.append("message")
        await ctx.emit("message-back", *arguments)

    @server.on("one")
    async def one(ctx, argument):
        called.append("one")

    @server.on("ask")
    async def ask(ctx):
        called.append("ask")
        with suppress(Disconnected):
            await ctx.emit("answer", await ctx.call("question", timeout=LONG / 2))

    @server.on("tell")
    async def tell(ctx, times):
        for _ in range(times):
            await ctx.emit("told", "x" * 100_000)

    @server.on("shout")
    async def shout(ctx, times):
        for _ in range(times):
            await server.emit("shouted", "x" * 100_000)
            await trio.sleep(0.01)

    return server


@asynccontextmanager
async def reachable(server, way):
    """Serve at a port, or in memory, and return how to dial."""
    async with trio.open_nursery() as nursery:
        if way == "port":
            (listener,) = await nursery.start(server.serve, "127.0.0.1", 0)
            address = listener.socket.getsockname()

            async def dial():
                ours = trio.socket.socket()
                await ours.connect(address)
                return trio.SocketStream(ours)

            yield dial
        else:
            memory = MemoryListener(sockets=False)
            await nursery.start(server.serve_listeners, [memory])
            yield memory.dial
        nursery.cancel_scope.cancel()


async def be_served(dial):
    """Be a well-behaved client, over both transports."""
    for transport in ("websocket", "polling"):
        peer = Peer(dial)
        client = await peer.join(transport=transport)
        await client.emit("message", "good morning", id=7)
        assert await client.event() == ["message-back", "good morning"]
        assert (await client.receive()).type is PacketType.ACK
        await client.transport.send("1")
        await peer.hang_up()


def descriptors():
    """Return how many descriptors are open, where the system tells."""
    known = Path("/proc/self/fd")
    return len(list(known.iterdir())) if known.exists() else None


async def state(server):
    """Return what the server holds, once every client has been missed."""
    await trio.sleep(LONG)
    stats = server.stats()
    return {
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "descriptors": descriptors(),
        "busy": server.services[0].busy,
        **{name: stats[name] for name in ("sessions", "sockets", "rooms", "buffered_bytes", "pending_acks")},
    }


def test_the_corpus_is_in_order():
    ids = [entry.id for entry in CORPUS]
    assert len(set(ids)) == len(ids)
    assert len(ids) >= 120
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in ids)
    assert all(entry.what.endswith(".") for entry in CORPUS)


@pytest.mark.parametrize(
    ("entry", "way"),
    [
        pytest.param(entry, way, id=f"{entry.id}-{way}")
        for entry in CORPUS
        for way in ("port", "memory")
        if way == "port" or entry.memory  # some are about what the kernel does
    ],
)
async def test_a_hostile_input_gets_its_answer_and_leaves_nothing_behind(patient_clock, caplog, entry, way):
    caplog.set_level(logging.INFO, "trio_socketio")
    called = []
    server = make_server(called, **entry.options)
    async with reachable(server, way) as dial:
        await be_served(dial)
        before = await state(server)
        assert before["sessions"] == {}
        server.tally.closes.clear()
        called.clear()

        conversation = Conversation(dial, lambda: server.services[0].busy)
        try:
            for step in entry.steps:
                await conversation.take(step)
            await wait_all_tasks_blocked()
            closes, sessions = server.stats()["closes"], sum(server.stats()["sessions"].values())
            if entry.called is not None:
                assert tuple(called) == entry.called
            await be_served(dial)
        finally:
            await conversation.hang_up()
        assert await state(server) == before
        assert (closes, sessions) == (dict(entry.closes), entry.alive)
        await be_served(dial)

    for record in caplog.records:
        said = f"{record.getMessage()} {record.exc_text or ''}"
        assert record.levelno < logging.ERROR, said
        assert not [secret for secret in {SECRET, *conversation.sids} if secret in said], said
