"""A long run under a mixed load: does the server keep its size, and does every message arrive once and in order?

``python benchmarks/soak.py`` runs the server in a process of its own for ten minutes (``--minutes``; ``--quick`` takes two, for
CI). Clients come and go over WebSocket, long-polling and with an upgrade: they echo text and bytes, talk in rooms, are
asked and ask back, broadcast; some vanish without a word, some are sent more than they read. Every few seconds the size of the
server is sampled. What has been sampled after the warm-up, a quarter of the time, is fitted with a line each, and a line that
rises says that something leaks. The limits are `RESIDENT_PER_MINUTE` and `GROWTH`. At the end all clients leave, and nothing
may be left of them. The exit status is 1 if anything grew, was left, lost, doubled or out of order.
"""

import argparse
import gc
import json
import math
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio
from comparison.process import Process, allow_descriptors, choose_cores, running
from trio_socketio.conformance.peer import Closed, Peer, PeerError, SocketIOPeer, WebSocketPeer
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import Context, Disconnected, Server

MINUTES: Final = 10.0
QUICK_MINUTES: Final = 2.0
WARM_UP: Final = 0.25
"""The share of the time after which sampling counts: allocators and caches have their size by then."""
EVERY: Final = 3.0
"""Seconds between two samples."""
CLIENTS: Final = 60
"""Clients at the same time. Each of them is played by slow code, so that the server is busy and not overloaded."""
ROOMS: Final = 8
PATIENCE: Final = 20.0
"""Seconds after which an answer counts as lost."""
SETTLING: Final = 15.0
"""Seconds in which everything must be gone after the clients are: the longest deadline that can be left is shorter."""
ENOUGH: Final = 20
"""Faults after which the run is given up."""
BUFFER: Final = 256 * 1024
"""Bytes that may wait for a client: little, so that slow readers meet it."""
PART: Final = "x" * 20_000
"""What a slow reader is sent, again and again."""

RESIDENT_PER_MINUTE: Final = 1024 * 1024
"""Bytes by which the memory of the server may grow in a minute."""
GROWTH: Final = 0.1
"""By which share of its mean anything else may grow during the time that counts, or by `SLACK` if that is more."""
SLACK: Final = 5
SURE: Final = 2.0
"""Standard errors by which a slope must be above its limit to count as growth."""

EVENTS: Final = (PacketType.EVENT, PacketType.BINARY_EVENT)
ACKS: Final = (PacketType.ACK, PacketType.BINARY_ACK)


# The server ----------------------------------------------------------------------------------------------------------


def make_server() -> Server:
    """Return the server, which can be asked for a report."""
    server = Server(
        ping_interval=5, ping_timeout=5, max_buffered_bytes=BUFFER, disconnect_grace=2, cors_allowed_origins="*"
    )
    lives: Counter[str] = Counter()

    @server.on("connect")
    async def connect(ctx: Context, auth: Any) -> None:
        await ctx.join_room(auth["rooms"])
        ctx.data["said"] = 0
        lives["came"] += 1

    @server.on("disconnect")
    async def disconnect(_ctx: Context) -> None:
        lives["left"] += 1
        await trio.lowlevel.checkpoint()

    @server.on("echo")
    async def echo(_ctx: Context, *args: Any) -> tuple[Any, ...]:
        return args

    @server.on("say")
    async def say(ctx: Context, room: str, number: int, picture: bytes) -> int:
        lives["out of order"] += number != ctx.data["said"]
        ctx.data["said"] = number + 1
        await ctx.emit("said", ctx.sid, number, picture, to=room)
        return number

    @server.on("ask")
    async def ask(ctx: Context, number: int) -> Any:
        await trio.sleep(0.001)
        try:
            return await ctx.call("question", number, timeout=PATIENCE)
        except Disconnected:
            return None

    @server.on("ask me back")
    async def ask_me_back(ctx: Context, number: int) -> None:
        async def answered(answer: int) -> None:
            await ctx.emit("answered", answer)

        await ctx.emit("question", number, callback=answered)

    @server.on("shout")
    async def shout(ctx: Context, words: str) -> int:
        return await ctx.emit("shouted", words, broadcast=True)

    @server.on("flood")
    async def flood(ctx: Context, count: int, patient: bool) -> None:  # noqa: FBT001  # an argument of an event
        for number in range(count):
            if patient:
                await ctx.emit("drop", number, PART)
            else:
                ctx.emit_nowait("drop", number, PART)

    @server.on("report", namespace="/control")
    async def report(_ctx: Context) -> dict[str, Any]:
        gc.collect()
        service = server.services[0]
        stats = server.stats()
        return {
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),  # noqa: ASYNC240  # it is not on a disk
            "sessions": len(server.sessions),
            "deadlines": len(service.deadlines),
            "busy": service.busy,
            "leaving": len(service.leaving),
            "sockets": sum(stats["sockets"].values()),
            "rooms": stats["rooms"],
            "pending acks": stats["pending_acks"],
            "buffered bytes": stats["buffered_bytes"],
            "blocks": sys.getallocatedblocks(),
            "lives": lives,
            "events": stats["events_in"] + stats["events_out"],
            "closes": stats["closes"],
        }

    return server


async def serve() -> None:
    """Serve, and say where."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(make_server().serve, "127.0.0.1", 0)
        port = listeners[0].socket.getsockname()[1]
        print(json.dumps({"port": port, "versions": {"python": sys.version.split()[0]}}), flush=True)


# The clients ---------------------------------------------------------------------------------------------------------


class Wrong(Exception):  # noqa: N818  # reads as what it says
    """Something was lost, doubled or out of order."""


class Life:
    """One connection of a client, from its joining to its end.

    Args:
        client: Its connection.
        rooms: The rooms it is in.
    """

    def __init__(self, client: SocketIOPeer, rooms: Sequence[str]) -> None:
        self._client = client
        self._sid = client.sids["/"]
        self._rooms = rooms
        self._next_id = 0
        self._said = 0
        self._heard: dict[str, int] = {}
        self._answered: list[int] = []
        self._dropped = 0

    async def act(self, choose: random.Random) -> None:
        """Do one of the things that clients do, to its end."""
        action = choose.choices((self._echo, self._say, self._ask, self._ask_back, self._shout), (6, 4, 2, 2, 0.2))[0]
        await action(choose)

    async def read_slowly(self, *, patient: bool) -> None:
        """Ask for far more than may wait, read nothing for a while, then what there is."""
        count = 60
        await self._client.emit("flood", count, patient)
        await trio.sleep(1.5)
        while self._dropped < count:
            await self._hear()

    async def check(self) -> None:
        """See whether everything has come back that was said."""
        await self._request("echo", "the end")
        if self._heard.get(self._sid, -1) != self._said - 1:
            raise Wrong(f"{self._said} said, and {self._heard.get(self._sid, -1) + 1} heard")

    async def _echo(self, choose: random.Random) -> None:
        content = choose.choice(["short", "long" * 500, choose.randbytes(3000), {"deep": [b"1", {"er": b"2"}]}])
        answer = await self._request("echo", content, 1)
        if answer != [content, 1]:
            raise Wrong(f"an echo came back as {answer!r:.100}")

    async def _say(self, choose: random.Random) -> None:
        number, self._said = self._said, self._said + 1
        answer = await self._request("say", choose.choice(self._rooms), number, choose.randbytes(100))
        if answer != [number]:
            raise Wrong(f"message {number} was acknowledged with {answer!r:.100}")

    async def _ask(self, choose: random.Random) -> None:
        number = choose.randrange(1000)
        answer = await self._request("ask", number)
        if answer != [number]:
            raise Wrong(f"question {number} was answered with {answer!r:.100}")

    async def _ask_back(self, choose: random.Random) -> None:
        number = choose.randrange(1000)
        await self._client.emit("ask me back", number)
        known = len(self._answered)
        while len(self._answered) == known:
            await self._hear()
        if self._answered[known:] != [number]:
            raise Wrong(f"the callback of question {number} got {self._answered[known:]}")

    async def _shout(self, choose: random.Random) -> None:  # noqa: ARG002
        await self._request("shout", "hello")

    async def _request(self, event: str, *args: Any) -> list[Any]:
        ack_id, self._next_id = self._next_id, self._next_id + 1
        await self._client.emit(event, *args, id=ack_id)
        while (packet := await self._hear()) is None:
            pass
        if packet.id != ack_id:
            raise Wrong(f"acknowledgement {packet.id} came instead of {ack_id}")
        return list(packet.data)

    async def _hear(self) -> Packet | None:
        """Take in one packet; return it if it is an acknowledgement."""
        packet = await self._client.receive()
        if packet.type in ACKS:
            return packet
        if packet.type not in EVENTS:
            raise Wrong(f"{packet} came")
        event, *arguments = packet.data
        if event == "question":
            await self._client.send(Packet(PacketType.ACK, "/", arguments, packet.id))
        elif event == "answered":
            self._answered += arguments
        elif event == "said":
            sid, number, _ = arguments
            last = self._heard.get(sid)
            # Of others only those messages are heard that go to a room which both are in.
            if last is not None and (number <= last or (sid == self._sid and number != last + 1)):
                raise Wrong(f"message {number} of {sid} came after {last}")
            self._heard[sid] = number
        elif event == "drop":
            if arguments[0] != self._dropped:
                raise Wrong(f"part {arguments[0]} came instead of {self._dropped}")
            self._dropped += 1
        return None


class Crowd:
    """Clients that live one life after another, until they are told to stop.

    Args:
        peer: Makes what reaches the server; every connection has one of its own, which remembers what was said.
        seed: Determines what they do.
    """

    def __init__(self, peer: Callable[[], Peer], seed: str) -> None:
        self.wrong: list[str] = []
        """What must not have happened."""
        self.ends: Counter[str] = Counter()
        """Lives, by how they ended."""
        self.stopping = False
        self._peer = peer
        self._seed = seed

    async def live(self, number: int) -> None:
        """Live one life after another."""
        choose = random.Random(f"{self._seed}:{number}")  # noqa: S311  # no secret
        while not self.stopping and len(self.wrong) < ENOUGH:
            peer = self._peer()
            try:
                await self._live(peer, choose)
            except (Wrong, PeerError, OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
            finally:
                with trio.CancelScope(shield=True):
                    await peer.hang_up()

    async def _live(self, peer: Peer, choose: random.Random) -> None:
        transport = choose.choice(("websocket", "polling", "upgrade"))
        rooms = choose.sample([f"room {number}" for number in range(ROOMS)], 2)
        client = await enter(peer, transport, {"rooms": rooms})
        life = Life(client, rooms)
        for _ in range(choose.randrange(2, 40)):
            if self.stopping:
                break
            await life.act(choose)
            await trio.sleep(choose.uniform(0, 0.4))
        await life.check()
        end = choose.choice(("hang up", "disconnect", "close", "read slowly", "overflow"))
        websocket = client.transport if isinstance(client.transport, WebSocketPeer) else None
        if end == "disconnect" or (end == "close" and websocket is None):
            await client.send(Packet(PacketType.DISCONNECT))
        elif end == "close" and websocket is not None:
            await websocket.close()
            await websocket.expect_close()
        elif end == "read slowly":
            await life.read_slowly(patient=True)
        elif end == "overflow":
            try:
                await life.read_slowly(patient=False)
            except (Closed, PeerError):
                end = "overflowed"  # as it must, unless the kernel took all of it
        self.ends[f"{transport}, {end}"] += 1


async def enter(peer: Peer, transport: str, auth: dict[str, Any]) -> SocketIOPeer:
    """Open a session over a transport, and join the root namespace."""
    if transport != "upgrade":
        return await peer.join(auth=auth, transport=transport)
    client = await peer.join(auth=auth, transport="polling")
    if isinstance(client.transport, WebSocketPeer):  # polling was asked for
        raise AssertionError  # noqa: TRY004
    websocket = await peer.upgrade(client.transport)
    await websocket.send("2probe")
    answer = await websocket.receive()
    if answer != "3probe":
        raise Wrong(f"the probe was answered with {answer!r:.100}")
    await websocket.send("5")
    upgraded = SocketIOPeer(websocket, client.handshake)
    upgraded.sids = client.sids
    return upgraded


# Judging -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A line through samples."""

    mean: float
    slope: float
    """By how much it rises in a minute."""
    error: float
    """The standard error of the slope."""


def fit(minutes: Sequence[float], values: Sequence[float]) -> Line:
    """Return the line through samples with the least squares."""
    count = len(values)
    middle, mean = sum(minutes) / count, sum(values) / count
    spread = sum((at - middle) ** 2 for at in minutes)
    slope = sum((at - middle) * (value - mean) for at, value in zip(minutes, values, strict=True)) / spread
    rest = sum((value - mean - slope * (at - middle)) ** 2 for at, value in zip(minutes, values, strict=True))
    return Line(mean, slope, math.sqrt(rest / max(1, count - 2) / spread))


def limit(name: str, line: Line, minutes: float) -> float:
    """Return by how much something may rise in a minute."""
    return RESIDENT_PER_MINUTE if name == "resident" else max(GROWTH * line.mean, SLACK) / minutes


def judge(samples: Sequence[dict[str, float]]) -> bool:
    """Print a line for everything that was sampled, and return whether all of it is flat."""
    minutes = [sample["at"] / 60 for sample in samples]
    span = minutes[-1] - minutes[0]
    flat = True
    print(f"\n{'':16}{'mean':>14}{'per minute':>14}{'+-':>10}{'limit':>12}")
    for name in [name for name in samples[0] if name != "at"]:
        line = fit(minutes, [sample[name] for sample in samples])
        most = limit(name, line, span)
        grows = line.slope - SURE * line.error > most
        flat = flat and not grows
        print(
            f"{name:16}{line.mean:14.1f}{line.slope:+14.2f}{line.error:10.2f}{most:12.1f}  {'GROWS' if grows else 'flat'}"
        )
    return flat


# The run -------------------------------------------------------------------------------------------------------------

SAMPLED: Final = (
    "tasks", "descriptors", "sessions", "deadlines", "busy", "leaving", "sockets", "rooms", "pending acks",
    "buffered bytes", "blocks",
)  # fmt: skip
LEFT: Final = tuple(name for name in SAMPLED if name != "blocks")
"""What must be at the end as it was at the beginning."""


class Control:
    """Asks the server for its reports."""

    def __init__(self, client: SocketIOPeer) -> None:
        self._client = client

    async def report(self) -> dict[str, Any]:
        """Return what the server holds."""
        await self._client.emit("report", namespace="/control", id=0)
        while (packet := await self._client.receive()).type not in ACKS:
            pass
        found: dict[str, Any] = packet.data[0]
        return found


async def soak(process: Process, seconds: float, clients: int, seed: str) -> bool:
    """Run the load, and return whether all was well."""

    async def dial() -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", process.port)

    def peer() -> Peer:
        return Peer(dial, "/socket.io/", f"127.0.0.1:{process.port}", patience=PATIENCE)

    crowd = Crowd(peer, seed)
    control = Control(await peer().join("/control"))
    before = await control.report()
    samples: list[dict[str, float]] = []
    async with trio.open_nursery() as nursery:
        for number in range(clients):
            nursery.start_soon(crowd.live, number)
        began = time.monotonic()
        while (at := time.monotonic() - began) < seconds and len(crowd.wrong) < ENOUGH:
            report = await control.report()
            sample = {"at": at, "resident": float(process.resident())} | {name: report[name] for name in SAMPLED}
            if at >= WARM_UP * seconds:
                samples.append(sample)
            print(
                f"{at:5.0f} s  {sample['resident'] / 2**20:6.1f} MiB  {report['sessions']} sessions"
                f"  {report['tasks']} tasks  {report['descriptors']} descriptors  {report['deadlines']} deadlines"
                f"  {crowd.ends.total()} lives  {report['events']} events  {len(crowd.wrong)} wrong",
                flush=True,
            )
            await trio.sleep(EVERY)
        crowd.stopping = True
    left = await settle(control, before)
    after = await control.report()
    print("\nlives: " + ", ".join(f"{count} {end}" for end, count in sorted(crowd.ends.items())))
    print(f"sessions closed: {after['closes']}; sockets: {after['lives']}")
    for wrong in crowd.wrong:
        print(f"WRONG: {wrong}")
    for name in left:
        print(f"LEFT: {before[name]} {name} before, and {left[name]} after")
    lives = after["lives"]
    told = lives["came"] == lives["left"] and not lives["out of order"]
    if not told:
        print("WRONG: connect and disconnect handlers have not run equally often, or something came out of order")
    return judge(samples) and told and not left and not crowd.wrong


async def settle(control: Control, before: dict[str, Any]) -> dict[str, int]:
    """Wait until nothing is left of the clients; return what is left all the same."""
    deadline = time.monotonic() + SETTLING
    while True:
        report = await control.report()
        left = {name: report[name] for name in LEFT if report[name] > before[name]}
        if not left or time.monotonic() > deadline:
            return left
        await trio.sleep(0.5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long (default: %(default)g)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_MINUTES:g} minutes")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="clients at the same time (default: %(default)s)")
    parser.add_argument("--seed", default="1", help="what determines the load (default: %(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    allow_descriptors()
    if options.serve:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever has started it ends it
        trio.run(serve)
        return 0
    minutes = QUICK_MINUTES if options.quick else options.minutes
    log = Path(__file__).parent.parent / "build" / "soak.log"
    log.unlink(missing_ok=True)
    with running([sys.executable, __file__, "--serve"], choose_cores().server, log) as process:
        well = trio.run(soak, process, minutes * 60, options.clients, options.seed)
    complaints = log.read_text()
    if complaints:
        print(f"WRONG: the server said, in {log}:\n{complaints[-2000:]}")
    well = well and not complaints
    print("\nflat, and nothing lost, doubled or out of order" if well else "\nNOT WELL: see above")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
