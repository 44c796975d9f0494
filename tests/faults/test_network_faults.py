"""Clients that come back again and again through a network that fails: nothing twice, nothing out of order, nothing left.

The seed of the faults is in the failure; ``TRIO_SOCKETIO_FAULT_SEED`` repeats it.
"""

import logging
import os
import secrets
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import h11
import pytest
import trio
from support.holdings import check_consistent, held
from support.proxy import Direction, Fault, Plan, Proxy, proxied, random_plans
from trio_socketio.conformance.peer import HOST, Closed, Peer, PeerError, SocketIOPeer
from trio_socketio.protocol.socketio import Packet, PacketType
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from trio_socketio import Context, Disconnected, Server

CONNECTIONS = 200
CLIENTS = 20
SENTENCES = 12
"""What one connection says, if it lasts."""
SECONDS = 50.0
"""For all of it, on a slow machine; two cores need a fraction of that."""
PING = 0.25
PATIENCE = 0.6

FAULTS = (
    OSError,
    PeerError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    h11.RemoteProtocolError,
    LocalProtocolError,
    RemoteProtocolError,
)
EVENTS = (PacketType.EVENT, PacketType.BINARY_EVENT)


class Hall:
    """A chat: everyone hears what everyone says, and is asked now and then whether it hears."""

    def __init__(self) -> None:
        self.server = server = Server(ping_interval=PING, ping_timeout=PING, upgrade_timeout=0.5, disconnect_grace=0.2)
        self.said: dict[str, list[int]] = {}
        """By sid, what each client said, as it came in."""
        self.left: Counter[str] = Counter()
        self.called_back = Counter[tuple[str, int]]()

        @server.on("connect")
        async def connect(ctx: Context, auth: Any) -> None:
            await trio.lowlevel.checkpoint()
            await ctx.join_room("hall")
            self.said[ctx.sid] = []

        @server.on("say")
        async def say(ctx: Context, number: int, picture: bytes) -> int:
            self.said[ctx.sid].append(number)
            await ctx.emit("said", ctx.sid, number, picture, to="hall")
            if number % 4 == 1:
                await trio.sleep(0.002)
            if number % 4 == 2:
                try:
                    assert await ctx.call("hear", number, timeout=10) == number
                except Disconnected:
                    return -1
            if number % 4 == 3:
                sid = ctx.sid
                await ctx.emit("hear", number, callback=lambda _: self.called_back.update([(sid, number)]))
            return number

        @server.on("disconnect")
        async def disconnect(ctx: Context, reason: str) -> None:
            self.left[ctx.sid] += 1
            await ctx.emit("left", ctx.sid, to="hall")


class Ear:
    """One connection of a client: says its sentences, and checks whatever it hears."""

    def __init__(self, client: SocketIOPeer, sid: str) -> None:
        self._client = client
        self.sid = sid
        self._heard: dict[str, int] = {}
        self._gone: set[str] = set()
        self._acked: list[int] = []

    async def speak(self, random: Random) -> None:
        """Say everything, some of it without waiting for the answer to what was said before."""
        number = 0
        while number < SENTENCES:
            upto = min(SENTENCES, number + random.choice((1, 1, 3)))
            while number < upto:
                await self._client.emit("say", number, random.randbytes(random.choice((1, 200, 3000))), id=number)
                number += 1
            while len(self._acked) < number:
                await self._hear()

    async def _hear(self) -> None:
        packet = await self._client.receive()
        if packet.type in (PacketType.ACK, PacketType.BINARY_ACK):
            assert packet.data == [packet.id]
            self._acked.append(packet.id or 0)
            assert self._acked == list(range(len(self._acked))), "acknowledgements come once and in order"
            return
        assert packet.type in EVENTS, packet
        event, *arguments = packet.data
        if event == "hear":
            await self._client.send(Packet(PacketType.ACK, "/", arguments, packet.id))
        elif event == "said":
            sid, number, _ = arguments
            assert sid not in self._gone, "it has left"
            assert number == self._heard.get(sid, number - 1) + 1, f"{number} of {sid} after {self._heard[sid]}"
            self._heard[sid] = number
        else:
            assert event == "left"
            assert arguments[0] not in self._gone, "it has left before"
            self._gone.add(arguments[0])


async def enter(peer: Peer, transport: str) -> SocketIOPeer:
    """Open a session and join the namespace."""
    if transport != "upgrade":
        return await peer.join(transport=transport)
    client = await peer.join(transport="polling")
    websocket = await peer.upgrade(client.transport)
    await websocket.send("2probe")
    if await websocket.receive() != "3probe":
        raise Closed(None, "the probe failed")
    await websocket.send("5")
    upgraded = SocketIOPeer(websocket, client.handshake)
    upgraded.sids = client.sids
    return upgraded


class Crowd:
    """Clients that connect until there have been enough connections."""

    def __init__(self, proxy: Proxy, seed: str) -> None:
        self.joined: list[str] = []
        """The sids of the connections that were told that they are accepted."""
        self.finished = 0
        """Connections that said everything."""
        self.ends: Counter[str] = Counter()
        self._proxy = proxy
        self._seed = seed
        self._begun = 0

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(CLIENTS):
                nursery.start_soon(self._come_back)

    async def _come_back(self) -> None:
        while self._begun < CONNECTIONS:
            self._begun += 1
            await self._connect(Random(f"{self._seed}:{self._begun}"))

    async def _connect(self, random: Random) -> None:
        peer = Peer(self._proxy.dial, "/socket.io/", HOST, patience=PATIENCE)
        try:
            client = await enter(peer, random.choice(("websocket", "polling", "upgrade")))
            sid = client.sids["/"]
            self.joined.append(sid)
            await Ear(client, sid).speak(random)
            self.finished += 1
            if random.random() < 0.5:
                await client.send(Packet(PacketType.DISCONNECT))
        except FAULTS as error:
            self.ends[type(error).__name__] += 1
        finally:
            with trio.CancelScope(shield=True):
                await peer.hang_up()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


async def until_empty(service: Any, empty: dict[str, int]) -> None:
    """Wait until a service holds no more than it did; its deadlines are real ones."""
    with trio.move_on_after(10):
        while held(service) != empty:  # noqa: ASYNC110  # there is nothing else to wait for
            await trio.sleep(0.05)
    assert held(service) == empty


async def test_faults_of_the_network_lose_no_order_double_nothing_and_leave_nothing(caplog):
    seed = os.environ.get("TRIO_SOCKETIO_FAULT_SEED") or secrets.token_hex(4)
    caplog.set_level(logging.WARNING)
    hall = Hall()
    server = hall.server
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(SECONDS):
                listeners = await nursery.start(server.serve, "127.0.0.1", 0)
                (service,) = server.services
                await trio.sleep(0.01)
                empty, open_files = held(service), descriptors()
                port = listeners[0].socket.getsockname()[1]
                async with proxied(port, random_plans(seed, most=12_000)) as proxy:
                    crowd = Crowd(proxy, seed)
                    await crowd.run()
                    check_consistent(server)
                await until_empty(service, empty)
                assert descriptors() == open_files
                nursery.cancel_scope.cancel()
        assert set(hall.left.values()) == {1}, "who has left is told once"
        assert set(crowd.joined) <= set(hall.left), "whoever was accepted has left"
        assert set(hall.left) <= set(hall.said)
        assert sum(server.stats()["disconnects"].values()) == len(hall.left)
        for sid, numbers in hall.said.items():
            assert numbers == list(range(len(numbers))), sid
        assert not hall.called_back or set(hall.called_back.values()) == {1}
        assert {plan.fault for _, plan in proxy.happened} == set(Fault), "every kind of fault has come about"
        assert len(crowd.joined) > CONNECTIONS / 4
        assert crowd.finished > CONNECTIONS / 20
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    except BaseException as error:
        error.add_note(f"TRIO_SOCKETIO_FAULT_SEED={seed} has these faults again")
        raise


@pytest.mark.parametrize("direction", Direction, ids=lambda each: each.name.lower())
@pytest.mark.parametrize("fault", Fault, ids=lambda each: each.name.lower())
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_fault_at_any_byte_of_the_beginning_leaves_nothing(caplog, transport, fault, direction):
    """Each connection has it a few bytes later than the one before, from the first byte on."""
    hall = Hall()
    server = hall.server
    async with trio.open_nursery() as nursery:
        with trio.fail_after(SECONDS):
            listeners = await nursery.start(server.serve, "127.0.0.1", 0)
            (service,) = server.services
            await trio.sleep(0.01)
            empty, open_files = held(service), descriptors()

            async def visit(proxy: Proxy) -> None:
                peer = Peer(proxy.dial, "/socket.io/", HOST, patience=PATIENCE)
                try:
                    client = await enter(peer, transport)
                    await client.emit("say", 0, b"x" * 300, id=0)
                    while (await client.receive()).type is not PacketType.ACK:
                        pass
                except FAULTS:
                    pass
                finally:
                    with trio.CancelScope(shield=True):
                        await peer.hang_up()

            port = listeners[0].socket.getsockname()[1]
            async with proxied(port, lambda number: Plan(fault, direction, number * 13)) as proxy:
                async with trio.open_nursery() as visitors:
                    for _ in range(40):
                        visitors.start_soon(visit, proxy)
                check_consistent(server)
            await until_empty(service, empty)
            assert descriptors() == open_files
            nursery.cancel_scope.cancel()
    assert not hall.left or set(hall.left.values()) == {1}
    assert sum(server.stats()["disconnects"].values()) == len(hall.left)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
