"""Fifty clients whose handlers do everything at once: each client still sees everything in the order of the calls (H11).

The test keeps a mirror of who is connected and in which room. A call acts at once when it is awaited, so the mirror is changed
just before it; what each client must receive follows from the mirror.
"""

import random
from collections import defaultdict

import pytest
import trio
from support.stage import Member, staged
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import Server

CLIENTS = 50
EVENTS = 25
ROOMS = ("r", "s", "t", "u")


class Mirror:
    """A server whose handlers act at random, and what its clients must see."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.server = Server(ping_interval=100_000, disconnect_grace=None)
        self.expected: dict[int, list[object]] = defaultdict(list)
        self.connected: dict[str, int] = {}
        self.rooms: dict[str, set[str]] = {room: set() for room in ROOMS}
        self.emitted = 0
        self.disconnects = 0
        self.server.on("connect", self.connect)
        self.server.on("act", self.act)
        self.server.on("act at once", self.act, concurrent=True)

    async def pause(self) -> None:
        for _ in range(self.random.randrange(4)):
            await trio.lowlevel.checkpoint()

    async def connect(self, ctx, auth) -> None:
        await self.pause()
        number = self.number()
        await ctx.emit("held", number)
        await self.pause()
        self.connected[ctx.sid] = auth["client"]
        self.expected[auth["client"]] += ["connect", number]

    def number(self) -> int:
        self.emitted += 1
        return self.emitted

    async def act(self, ctx, ack):
        for _ in range(self.random.randrange(1, 4)):
            await self.pause()
            act = self.random.choice([self.emit, self.emit, self.emit_nowait, self.emit_to_self, self.join, self.leave])
            await act(ctx)
        if self.random.random() < 0.03:
            await self.disconnect(ctx)
        await self.pause()
        if ack is not None and ctx.sid in self.connected:
            self.expected[self.connected[ctx.sid]].append(("ack", ack))
        return self.random.choice([None, b"binary", (1, 2)])

    def targets(self, ctx) -> tuple[dict[str, object], list[str]]:
        if self.random.random() < 0.2:
            return {"broadcast": True, "include_self": False}, [sid for sid in self.connected if sid != ctx.sid]
        names = self.random.sample(
            [*ROOMS, *self.random.sample(sorted(self.connected), min(3, len(self.connected)))], 2
        )
        reached = {sid for name in names for sid in self.rooms.get(name, {name})}
        return {"to": names}, sorted(reached)

    def expect(self, sids: list[str]) -> tuple[object, ...]:
        number = self.number()
        for sid in sids:
            self.expected[self.connected[sid]].append(number)
        return (number, *[b"%d" % number] * self.random.randrange(4))

    async def emit(self, ctx) -> None:
        keywords, sids = self.targets(ctx)
        assert await ctx.emit("e", *self.expect(sids), **keywords) == len(sids)

    async def emit_nowait(self, ctx) -> None:
        keywords, sids = self.targets(ctx)
        assert ctx.emit_nowait("e", *self.expect(sids), **keywords) == len(sids)

    async def emit_to_self(self, ctx) -> None:
        sids = [ctx.sid] if ctx.sid in self.connected else []
        assert await ctx.emit("e", *self.expect(sids)) == len(sids)

    async def join(self, ctx) -> None:
        room = self.random.choice(ROOMS)
        if ctx.sid in self.connected:
            self.rooms[room].add(ctx.sid)
        await ctx.join_room(room)

    async def leave(self, ctx) -> None:
        room = self.random.choice(ROOMS)
        self.rooms[room].discard(ctx.sid)
        await ctx.leave_room(room)

    async def disconnect(self, ctx) -> None:
        sid = self.random.choice([ctx.sid, *self.connected])
        client = self.connected.pop(sid, None)
        if client is not None:
            for members in self.rooms.values():
                members.discard(sid)
            self.expected[client].append("disconnect")
            self.disconnects += 1
        await ctx.disconnect(sid)


def seen(member: Member) -> list[object]:
    """What a client received, in the words of the mirror."""
    found: list[object] = []
    for packet in member.packets:
        if packet.type is PacketType.CONNECT:
            found.append("connect")
        elif packet.type is PacketType.DISCONNECT:
            found.append("disconnect")
        elif packet.type in (PacketType.ACK, PacketType.BINARY_ACK):
            found.append(("ack", packet.id))
        else:
            number, *attachments = packet.data[1:]
            assert set(attachments) <= {b"%d" % number}
            found.append(number)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_each_client_receives_everything_in_the_order_of_the_calls(autojump_clock, seed):
    mirror = Mirror(seed)

    async def live(client: int, member: Member) -> None:
        coming_back = 0
        for event in range(EVENTS):
            ack = event if mirror.random.random() < 0.5 else None
            name = mirror.random.choice(["act", "act", "act at once"])
            await member.peer.emit(name, ack, id=ack)
            await mirror.pause()
            left = member.types().count(PacketType.DISCONNECT)
            if left > coming_back:
                coming_back = left
                await member.connect(auth={"client": client})

    async with staged(mirror.server, namespaces=()) as stage:
        members = [
            await stage.join(auth={"client": client}, transport="polling" if client % 10 == 0 else "websocket")
            for client in range(CLIENTS)
        ]
        async with trio.open_nursery() as nursery:
            for client, member in enumerate(members):
                nursery.start_soon(live, client, member)
        await stage.settle()
        for client, member in enumerate(members):
            assert seen(member) == mirror.expected[client]
    assert mirror.emitted > 1000
    assert mirror.disconnects > 10
