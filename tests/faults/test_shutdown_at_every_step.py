"""A shutdown that begins, or runs out of time, at every single step of what goes on: everyone is told once, nothing is left."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from support.holdings import objects
from support.house import Client, closing
from support.injection import Injection, at_every_moment
from support.memory import MemoryListener, socket_stream_pair
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import HOST, Peer, PeerError, SocketIOPeer, Wire
from trio_socketio.protocol.socketio import Packet, PacketType
from trio_socketio.server.service import Service

from trio_socketio import Context, Disconnected, Server

pytestmark = pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])

GRACE = 4.0


class Lives:
    """A server and who came and left, as its handlers saw it."""

    def __init__(self, **options: Any) -> None:
        self.server = server = Server(shutdown_grace=GRACE, ping_interval=1000, **options)
        self.came: list[str] = []
        self.left: list[str] = []
        self.ended: list[str] = []
        """The events whose handlers have ended, in whatever way."""

        @server.on("connect")
        async def connect(ctx: Context) -> None:
            await ctx.join_room("hall")
            await ctx.emit("welcome")
            await trio.sleep(0.01)

        @server.on("disconnect")
        async def disconnect(ctx: Context, reason: str) -> None:
            self.left.append(ctx.sid)
            await ctx.emit("gone", ctx.sid, to="hall")

        @server.on("work")
        async def work(ctx: Context) -> Any:
            try:
                await ctx.emit("news", to="hall")
                try:
                    answer = await ctx.call("who", timeout=1)
                except Disconnected:
                    return None
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.01)
                return answer
            finally:
                self.ended.append("work")

        @server.on("hang", concurrent=True)
        async def hang(ctx: Context) -> None:
            try:
                await trio.sleep_forever()
            finally:
                self.ended.append("hang")

    def check(self, service: Service) -> None:
        """Nothing is left, and whoever came has left once."""
        server = self.server
        assert not server.sessions
        assert not server.services
        assert not list(server.adapters())
        assert not service.sessions
        assert not service.leaving
        assert service.busy == 0
        assert len(service.deadlines) == 0
        assert service.poller is None or not service.poller._sockets
        assert len(self.left) == len(set(self.left)) == sum(server.stats()["disconnects"].values())


@asynccontextmanager
async def serving(lives: Lives, listener: MemoryListener) -> AsyncIterator[tuple[trio.CancelScope, trio.Event]]:
    """Serve; return what shuts the server down, and what is set when that is done."""
    scope, ended = trio.CancelScope(), trio.Event()

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await lives.server.serve_listeners([listener], task_status=task_status)
        ended.set()

    async with closing(listener), trio.open_nursery() as nursery:
        await nursery.start(serve)
        yield scope, ended


async def enter(peer: Peer, nursery: trio.Nursery) -> Client:
    client = Client(await peer.open_socketio())
    nursery.start_soon(client.read)
    await client.connect()
    await trio.sleep(0.02)
    return client


async def come_and_go(peer: Peer, worker: Client, leaver: Client) -> None:
    """Do a bit of everything."""
    try:
        await worker.peer.emit("work", id=1)
        await worker.peer.emit("hang")
        newcomer = await peer.open_socketio()
        await newcomer.send(Packet(PacketType.CONNECT, "/", None))
        await leaver.peer.send(Packet(PacketType.DISCONNECT, "/"))
        polling = await peer.open_polling()
        await polling.post("40")
        await polling.get()
        await trio.sleep(0.05)
    except (PeerError, trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the shutdown came first


@pytest.mark.parametrize("grace", [0, 1])
async def test_a_shutdown_that_begins_at_any_step_leaves_nothing(autojump_clock, caplog, sockets, grace):
    before = await objects()
    tasks = trio.lowlevel.current_statistics().tasks_living

    async def scenario(injection: Injection) -> None:
        lives = Lives(disconnect_grace=grace)
        listener = MemoryListener(sockets=sockets)
        async with serving(lives, listener) as (scope, ended), trio.open_nursery() as nursery:
            service = lives.server.services[0]
            peer = Peer(listener.dial, "/socket.io/", HOST)
            worker, leaver = await enter(peer, nursery), await enter(peer, nursery)
            began: list[float] = []

            def shut_down() -> None:
                began.append(trio.current_time())
                scope.cancel()

            injection.begin(shut_down, everything=True)
            async with trio.open_nursery() as doing:
                doing.start_soon(come_and_go, peer, worker, leaver)
                await trio.sleep(0.04)
                injection.end()
                if not began:
                    shut_down()
                await ended.wait()
                doing.cancel_scope.cancel()
            assert trio.current_time() - began[0] <= GRACE + 0.1
            nursery.cancel_scope.cancel()
            lives.check(service)
            assert {worker.sid, leaver.sid} <= set(lives.left)
        await trio.lowlevel.checkpoint()

    assert await at_every_moment(scenario) > 20
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert await objects() <= before


async def test_a_shutdown_whose_time_is_up_at_any_step_leaves_nothing(autojump_clock, caplog, sockets):
    before = await objects()
    tasks = trio.lowlevel.current_statistics().tasks_living

    async def scenario(injection: Injection) -> None:
        lives = Lives(disconnect_grace=None)
        listener = MemoryListener(sockets=sockets)
        async with serving(lives, listener) as (scope, ended), trio.open_nursery() as nursery:
            service = lives.server.services[0]
            peer = Peer(listener.dial, "/socket.io/", HOST)
            worker, leaver = await enter(peer, nursery), await enter(peer, nursery)
            silent = await peer.open_socketio()
            await silent.connect()  # it will not take part in the closing handshake
            async with trio.open_nursery() as doing:
                doing.start_soon(come_and_go, peer, worker, leaver)
                await trio.sleep(0.005)
                scope.cancel()
                injection.begin(lambda: autojump_clock.jump(GRACE), everything=True)
                await ended.wait()
                injection.end()
                doing.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
            lives.check(service)
            assert {worker.sid, leaver.sid, silent.sids["/"]} <= set(lives.left)
            assert "work" in lives.ended

    assert await at_every_moment(scenario) > 20
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert await objects() <= before


def stream_pair(*, sockets: bool) -> tuple[Any, Any]:
    return socket_stream_pair() if sockets else memory_stream_pair()


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside-listeners"])
async def test_serving_one_stream_that_is_cancelled_at_any_step_leaves_nothing(autojump_clock, caplog, sockets, alone):
    before = await objects()
    tasks = trio.lowlevel.current_statistics().tasks_living

    async def talk(stream: trio.abc.Stream, done: Callable[[], None]) -> None:
        async def dial() -> trio.abc.Stream:
            return stream

        try:
            websocket = await Peer(dial, "/socket.io/", HOST).open_websocket()
            client = SocketIOPeer(websocket, None)  # type: ignore[arg-type]
            await websocket.receive()
            await client.connect()
            await client.emit("work", id=1)
            await client.receive()
            await websocket.hang_up()
        except (PeerError, trio.BrokenResourceError, trio.ClosedResourceError):
            await Wire(stream).hang_up()
        done()

    async def scenario(injection: Injection) -> None:
        lives = Lives(disconnect_grace=1)
        listener = MemoryListener(sockets=sockets)
        async with trio.open_nursery() as nursery:
            if not alone:
                await nursery.start(lives.server.serve_listeners, [listener])
            ours, theirs = stream_pair(sockets=sockets)
            nursery.start_soon(talk, ours, injection.end)
            service: list[Service] = []
            with trio.CancelScope() as scope:
                injection.begin(scope.cancel, everything=True)
                if injection.happened:
                    await trio.aclose_forcefully(theirs)
                else:
                    async with trio.open_nursery() as serving_it:
                        serving_it.start_soon(lives.server.serve_stream, theirs)
                        await trio.lowlevel.checkpoint()
                        service += lives.server.services
            injection.end()
            with pytest.raises(trio.ClosedResourceError):
                await theirs.send_all(b"x")
            await trio.sleep(10)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        for each in service:
            lives.check(each)
        assert not lives.server.sessions

    assert await at_every_moment(scenario) > 20
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert await objects() <= before
