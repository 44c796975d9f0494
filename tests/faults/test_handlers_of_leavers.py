"""Connect and disconnect handlers whose client, or whose time, is gone at every single step of them."""

from typing import Any

import pytest
import trio
from support.holdings import check_consistent, objects
from support.house import GRACE, House, house
from support.injection import Injection, at_every_moment
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import SocketIOPeer
from trio_socketio.engine.events import CloseReason
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import Context, Disconnected

pytestmark = pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])


async def arrive(house: House) -> SocketIOPeer:
    """Ask to join, and wait for what comes of it."""
    client = await house.peer.open_socketio()
    await client.send(Packet(PacketType.CONNECT, "/", None))
    return client


def close_of(house: House, sid: str, how: str) -> Any:
    """Return what ends the session of a socket that is connecting or connected."""
    (socket,) = [
        socket
        for live in house.server.sessions.values()
        for socket in live.client.sockets.values()
        if socket.sid == sid
    ]
    if how == "is cut":
        return lambda: socket.client.live.abort(CloseReason.TRANSPORT_CLOSE, "cut by the test")
    if how == "is disconnected":
        return socket.client.disconnect
    return lambda: socket.left("client namespace disconnect")


@pytest.mark.parametrize("grace", [0, GRACE])
@pytest.mark.parametrize("how", ["is cut", "is disconnected", "leaves"])
async def test_a_client_that_is_gone_at_any_step_of_its_connect_handler_is_no_member(
    autojump_clock, caplog, sockets, how, grace
):
    before = await objects()

    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets, disconnect_grace=grace) as made:
            server = made.server
            friend = await made.join()
            ended = trio.Event()

            @server.on("connect")
            async def connect(ctx: Context) -> None:
                try:
                    injection.begin(close_of(made, ctx.sid, how), everything=True)
                    server.pace.left = 0
                    await ctx.join_room(["hall", "garden"])
                    await ctx.emit("welcome", to=ctx.sid)
                    await ctx.emit("news", to="hall")
                    assert await ctx.call("who", to=friend.sid) == "yes"
                    await trio.sleep(1)
                    await ctx.leave_room("garden")
                finally:
                    injection.end()
                    ended.set()

            client = await arrive(made)
            await ended.wait()
            await wait_all_tasks_blocked()
            check_consistent(server)
            members = server.participants("hall")
            if injection.happened:
                assert members == [friend.sid]
                assert not made.leaving, "who was never accepted has not left"
            else:
                assert len(members) == 2
                assert (await client.receive()).type is PacketType.CONNECT
                assert await client.event() == ["welcome"]
                assert await client.event() == ["news"]
            assert server.stats()["pending_acks"] == 0
            await client.transport.hang_up()
            await friend.hang_up()
            server.handlers.connect = None  # for the client who sees that the server serves

    assert await at_every_moment(scenario) > 1
    assert not [record for record in caplog.records if record.levelname != "INFO"]
    assert await objects() <= before


async def test_a_connect_handler_that_is_cancelled_by_its_own_scope_at_any_step_goes_on(autojump_clock, sockets):
    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets) as made:
            friend = await made.join()

            @made.server.on("connect")
            async def connect(ctx: Context) -> None:
                with trio.CancelScope() as scope:
                    injection.begin(scope.cancel, everything=True)
                    await ctx.join_room(["hall", "garden"])
                    assert await ctx.call("who", to=friend.sid) == "yes"
                injection.end()

            client = await arrive(made)
            assert (await client.receive()).type is PacketType.CONNECT
            server = made.server
            check_consistent(server)
            assert (
                len(server.participants("hall"))
                == len(server.participants("garden"))
                == 1 + (injection.moment != 0 or not injection.happened)
            )
            await client.transport.hang_up()
            await friend.hang_up()
            server.handlers.connect = None

    assert await at_every_moment(scenario) > 1


@pytest.mark.parametrize("how", ["is cut", "is disconnected", "leaves"])
async def test_a_disconnect_handler_whose_grace_ends_at_any_step_ends_there_and_leaves_nothing(
    autojump_clock, caplog, sockets, how
):
    before = await objects()

    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets) as made:
            server = made.server
            friend, leaver = await made.join(), await made.join()
            sid = leaver.sid
            runs: list[str] = []
            ended = trio.Event()

            @server.on("disconnect")
            async def disconnect(ctx: Context) -> None:
                if ctx.sid != sid:
                    made.leaving.append(ctx.sid)
                    made.left.append(ctx.sid)
                    return
                runs.append(ctx.sid)
                try:
                    injection.begin(lambda: autojump_clock.jump(GRACE), everything=True)
                    server.pace.left = 0
                    await ctx.emit("gone", to="hall")
                    assert ctx.rooms() == [sid, "hall", "garden"]
                    await ctx.join_room("attic")
                    assert await ctx.call("who", to=friend.sid) == "yes"
                    with pytest.raises(Disconnected):
                        await ctx.call("who", to=sid)
                    await trio.sleep(0.1)
                finally:
                    injection.end()
                    ended.set()
                    made.leaving.append(sid)
                    made.left.append(sid)

            close_of(made, sid, how)()
            await ended.wait()
            await wait_all_tasks_blocked()
            check_consistent(server)
            assert runs == [sid]
            assert server.participants("hall") == [friend.sid]
            assert not server.participants("attic")
            assert friend.got("gone") == 1
            assert not made.service.leaving
            await leaver.hang_up()
            await friend.hang_up()

    assert await at_every_moment(scenario) > 1
    assert not [record for record in caplog.records if record.levelname != "INFO"]
    assert await objects() <= before
