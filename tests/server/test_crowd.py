"""Five hundred clients at once over real TCP: nobody is lost, nothing is left behind."""

import gc

import trio
import trio.testing
from trio_socketio.conformance.peer import Peer, SocketIOPeer
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import Server

CLIENTS = 500
ROOMS = 50
ROUNDS = 2
TIMEOUT = 60.0
"""Seconds for all of it, on a slow machine; two cores need a fraction of that."""


def chat_server():
    server = Server(shutdown_grace=1.0)
    left = []

    @server.on("join")
    async def join(ctx, room):
        await ctx.join_room(room)
        return room

    @server.on("say")
    async def say(ctx, room, number, picture):
        return await ctx.emit("said", number, picture, to=room)

    @server.on("disconnect")
    async def bye(ctx, reason):
        left.append(reason)

    return server, left


async def enter(peer, transport):
    if transport != "upgrade":
        return await peer.join(transport=transport)
    client = await peer.join(transport="polling")
    websocket = await peer.upgrade(client.transport)
    await websocket.send("2probe")
    assert await websocket.receive() == "3probe"
    await websocket.send("5")
    upgraded = SocketIOPeer(websocket, client.handshake)
    upgraded.sids = client.sids
    return upgraded


async def ask(client, event, *arguments):
    """Emit and return the acknowledgement, and the events that came before it."""
    await client.emit(event, *arguments, id=1)
    before = []
    while True:
        packet = await client.receive()
        if packet.type in (PacketType.ACK, PacketType.BINARY_ACK):
            return packet.data, before
        before.append(packet.data)


async def test_five_hundred_clients_connect_chat_and_leave_at_once():
    server, left = chat_server()
    streams = set()
    seen = [0] * CLIENTS
    everyone = trio.Event()
    ready = 0

    async def live(number, port):
        nonlocal ready
        room = f"room {number % ROOMS}"
        opened = []

        async def dial():
            opened.append(await trio.open_tcp_stream("127.0.0.1", port))
            streams.add(opened[-1])
            return opened[-1]

        transport = ("websocket", "polling", "websocket", "upgrade")[number % 4]
        client = await enter(Peer(dial, host=f"127.0.0.1:{port}"), transport)
        assert (await ask(client, "join", room))[0] == [room]
        ready += 1
        if ready == CLIENTS:
            everyone.set()
        await everyone.wait()
        picture = number.to_bytes(2, "big")
        events = []
        for turn in range(ROUNDS):
            answer, before = await ask(client, "say", room, [number, turn], picture)
            assert answer == [CLIENTS // ROOMS]
            events += before
        # Each of the room's members says something in every round, and all of them hear it.
        while len(events) < ROUNDS * CLIENTS // ROOMS:
            events.append(await client.event())
        for name, (speaker, _), said in events:
            assert name == "said"
            assert speaker % ROOMS == number % ROOMS
            assert said == speaker.to_bytes(2, "big")
        own = [turn for _, (speaker, turn), _ in events if speaker == number]
        assert own == list(range(ROUNDS))
        seen[number] = len(events)
        await client.transport.send("1")
        for stream in opened:
            await trio.aclose_forcefully(stream)
            streams.discard(stream)

    with trio.fail_after(TIMEOUT):
        async with trio.open_nursery() as nursery:
            before = trio.lowlevel.current_statistics().tasks_living
            listeners = await nursery.start(server.serve, "127.0.0.1", 0)
            port = listeners[0].socket.getsockname()[1]
            await trio.testing.wait_all_tasks_blocked()
            at_rest = trio.lowlevel.current_statistics().tasks_living
            async with trio.open_nursery() as clients:
                for number in range(CLIENTS):
                    clients.start_soon(live, number, port)
                    if number % 25 == 24:
                        await trio.sleep(0.01)  # the backlog of a listener is no bigger than the system's
            await trio.testing.wait_all_tasks_blocked(0.05)
            while trio.lowlevel.current_statistics().tasks_living > at_rest:  # noqa: ASYNC110  # tasks end without an event
                await trio.sleep(0.01)
            assert seen == [ROUNDS * CLIENTS // ROOMS] * CLIENTS
            assert left == ["transport close"] * CLIENTS
            assert not server.sessions
            assert not server.sockets()
            assert not server.participants("room 1")
            assert server.services[0].busy == 0
            assert not server.services[0].leaving
            nursery.cancel_scope.cancel()
        assert trio.lowlevel.current_statistics().tasks_living == before
    assert not streams
    gc.collect()  # a socket that was forgotten is a ResourceWarning, and that an error
