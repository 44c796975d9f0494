"""What is measured: the loads, and the stages in which they follow one another on one server process.

A stage starts a server, connects a population of clients, and runs its loads. Its name and the loads' are stable: results
refer to them, and so do the targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from comparison.chat import Chat
from comparison.frames import Packet, sized
from comparison.generator import Arrivals, Broadcast, Echo, Heartbeats, Steady, Traffic
from comparison.servers import Options

SMALL: Final = 64
"""Bytes of the usual event, as a text message."""


class Group(StrEnum):
    """The chapters of a report."""

    ECHO = "Echo"
    ACK = "Acknowledgement"
    PAYLOAD = "Payloads"
    FANOUT = "Broadcasts and rooms"
    CLIENTS = "Coming, idling and polling"
    LATENCY = "Latency at a fixed load"
    GROWTH = "Growth"


class Figure(StrEnum):
    """What is measured of a load."""

    CPU = "µs"
    """CPU time of the server for each message."""
    MEMORY = "KiB"
    """Growth of the server's resident memory for each client."""


@dataclass(frozen=True, slots=True)
class Load:
    """One row of the results."""

    id: str
    title: str
    group: Group
    per: str
    """What the figure is divided by."""
    figure: Figure = Figure.CPU
    curve: str = ""
    """The growth curve that this is a point of, if any."""
    at: int = 0
    """Where on that curve."""


@dataclass(frozen=True, slots=True)
class Step:
    """A load, and the traffic that makes it."""

    load: Load
    traffic: Traffic
    settle: float = 0.0
    """Seconds in which the clients idle before it, instead of the traffic that usually warms the server up; 0: the latter."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Some loads that one server process meets, one after another."""

    title: str
    clients: int
    steps: tuple[Step, ...] = ()
    memory: Load | None = None
    """Measured while the clients connect."""
    polling: Load | None = None
    """Measured with as many polling clients instead."""
    namespace: str = "/"
    options: Options = field(default_factory=Options)

    def loads(self) -> list[Load]:
        """Return the loads in the order in which they are measured."""
        loads = [step.load for step in self.steps]
        return [load for load in (self.memory, *loads, self.polling) if load is not None]

    def only(self, patterns: Sequence[str]) -> "Stage":
        """Return the stage with those loads alone whose id matches one of some shell patterns."""

        def wanted(load: Load | None) -> bool:
            return load is not None and any(fnmatchcase(load.id, pattern) for pattern in patterns)

        return Stage(
            self.title,
            self.clients,
            tuple(step for step in self.steps if wanted(step.load)),
            self.memory if wanted(self.memory) else None,
            self.polling if wanted(self.polling) else None,
            self.namespace,
            self.options,
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is."""

    few: int
    some: int
    many: int
    """Clients of the stages that echo."""
    crowd: int
    """Clients that are there while nearly all of them idle."""
    broadcasts: tuple[int, ...]
    rooms: int
    """Rooms of the chat, in each of which are ``many / rooms`` clients."""
    room: int
    """Members of the room in the crowd."""
    heartbeat: float
    """Seconds between two pings of the crowd."""
    arrivals: int
    rooms_per_client: tuple[int, ...]
    namespaces: tuple[int, ...]
    rate: int
    """Events in a second, where latency is measured."""
    seconds: float
    """For which each load runs."""
    warming: float
    """For which it runs before."""
    rounds: int


FULL: Final = Scale(
    few=10,
    some=100,
    many=1000,
    crowd=10_000,
    broadcasts=(1000, 5000),
    rooms=50,
    room=100,
    heartbeat=5.0,
    arrivals=1000,
    rooms_per_client=(1, 10, 100, 1000),
    namespaces=(1, 10, 100, 1000),
    rate=2000,
    seconds=1.5,
    warming=0.5,
    rounds=5,
)

QUICK: Final = Scale(
    few=1,
    some=100,
    many=100,
    crowd=300,
    broadcasts=(100,),
    rooms=10,
    room=100,
    heartbeat=0.5,
    arrivals=150,
    rooms_per_client=(1, 10),
    namespaces=(100,),
    rate=500,
    seconds=0.15,
    warming=0.05,
    rounds=1,
)


def _answered(packet: Packet) -> Packet:
    return Packet(("message-back", *packet.arguments[1:]), namespace=packet.namespace)


def _echo(packet: Packet, clients: int | None = None, in_flight: int = 1) -> Echo:
    return Echo(packet, _answered(packet), clients, in_flight)


def _ack(in_flight: int) -> Echo:
    packet = sized(SMALL, "message-with-ack", id=1)
    return Echo(packet, Packet(packet.arguments[1:], packet.id, acknowledges=True), None, in_flight)


def _broadcast() -> Broadcast:
    packet = sized(SMALL, "everyone")
    return Broadcast(packet, Packet(("from-everyone", *packet.arguments[1:])))


def _room(members: int | None, rooms: int = 1) -> Broadcast:
    names = [f"room{number:04}" for number in range(rooms)]
    packet = sized(SMALL, "to-room", names[0])
    return Broadcast(packet, Packet(("from-room", *packet.arguments[2:])), members, Packet(("join", *names), 1))


SMALL_EVENT: Final = sized(SMALL, "message")


def _echo_step(clients: int, in_flight: int = 1) -> Step:
    title = f"{SMALL}-byte event, {_clients(clients)}, {in_flight} in flight"
    curve = "connections" if in_flight == 1 else ""
    load = Load(f"echo-{clients}-{in_flight}", title, Group.ECHO, "message", curve=curve, at=clients if curve else 0)
    return Step(load, _echo(SMALL_EVENT, in_flight=in_flight))


def _ack_step(clients: int, in_flight: int = 1) -> Step:
    title = f"acknowledged {SMALL}-byte event, {_clients(clients)}, {in_flight} in flight"
    return Step(Load(f"ack-{clients}-{in_flight}", title, Group.ACK, "message"), _ack(in_flight))


def _clients(count: int) -> str:
    return "1 connection" if count == 1 else f"{count:,} connections"


def _echo_steps(clients: int) -> tuple[Step, ...]:
    return (
        _echo_step(clients),
        _echo_step(clients, 16),
        _ack_step(clients),
        _ack_step(clients, 16),
    )


def _payload_steps(clients: int) -> Iterator[Step]:
    for name, size, label in (("1k", 1024, "1 KiB of text"), ("64k", 65536, "64 KiB of text")):
        load = Load(f"echo-{name}-{clients}", f"{label}, {_clients(clients)}", Group.PAYLOAD, "message")
        yield Step(load, _echo(sized(size, "message")))
    load = Load(f"echo-binary-{clients}", f"1 KiB of bytes, {_clients(clients)}", Group.PAYLOAD, "message")
    yield Step(load, _echo(Packet(("message", bytes(range(256)) * 4))))


def _memory(clients: int) -> Load:
    return Load(f"memory-{clients}", f"memory of {clients:,} idle clients", Group.CLIENTS, "client", Figure.MEMORY)


def _broadcast_step(clients: int) -> Step:
    load = Load(f"broadcast-{clients}", f"broadcast to {clients:,}", Group.FANOUT, "recipient")
    return Step(load, _broadcast())


def stages(scale: Scale) -> list[Stage]:
    """Return the stages in the order in which they run."""
    many = [_broadcast_step(count) for count in scale.broadcasts if count == scale.many]
    chat = Load(f"chat-{scale.many}", f"chat of {scale.many:,} in {scale.rooms} rooms", Group.FANOUT, "packet sent")
    latency = Load(
        f"latency-{scale.some}",
        f"{SMALL}-byte event, {_clients(scale.some)}, {scale.rate:,} a second",
        Group.LATENCY,
        "message",
    )
    return [
        Stage("1 connection", 1, _echo_steps(1)),
        *([Stage(f"{scale.few} connections", scale.few, (_echo_step(scale.few),))] if scale.few > 1 else []),
        Stage(
            f"{scale.some} connections",
            scale.some,
            (
                *_echo_steps(scale.some),
                *_payload_steps(scale.some),
                Step(latency, Steady(SMALL_EVENT, _answered(SMALL_EVENT), scale.rate)),
            ),
        ),
        Stage(
            f"{scale.many:,} connections, much going on",
            scale.many,
            (
                *(_echo_steps(scale.many) if scale.many != scale.some else ()),
                *many,
                Step(chat, Chat(scale.rooms)),
            ),
            memory=_memory(scale.many),
        ),
        *(
            Stage(f"broadcast to {count:,}", count, (_broadcast_step(count),))
            for count in scale.broadcasts
            if count != scale.many
        ),
        _crowd(scale),
        _heartbeats(scale),
        Stage(
            "arrivals",
            scale.arrivals,
            (
                Step(
                    Load("arrival", "accepting a client: TCP, upgrade, open, namespace", Group.CLIENTS, "client"),
                    Arrivals(scale.arrivals),
                    settle=0.1,
                ),
            ),
        ),
        Stage(
            f"{scale.some} polling clients",
            scale.some,
            polling=Load("polling", f"polling round trip, {scale.some} clients", Group.CLIENTS, "round trip"),
        ),
        Stage(
            "rooms of a client",
            scale.room,
            tuple(
                Step(
                    Load(
                        f"rooms-{count}",
                        f"room of {scale.room}, all of them in {_plural(count, 'room')}",
                        Group.GROWTH,
                        "recipient",
                        curve="rooms of each client",
                        at=count,
                    ),
                    _room(None, count),
                )
                for count in scale.rooms_per_client
            ),
        ),
        *(_namespaces(scale, count) for count in scale.namespaces),
    ]


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _crowd(scale: Scale) -> Stage:
    crowd = f"{scale.crowd:,}"
    part = Load(
        f"echo-{scale.some}-of-{scale.crowd}",
        f"{SMALL}-byte event, {scale.some} of {crowd} connections, 1 in flight",
        Group.ECHO,
        "message",
    )
    room = Load(f"room-{scale.room}-of-{scale.crowd}", f"room of {scale.room} among {crowd}", Group.FANOUT, "recipient")
    return Stage(
        f"{crowd} connections",
        scale.crowd,
        (
            _echo_step(scale.crowd),
            Step(part, _echo(SMALL_EVENT, scale.some)),
            Step(room, _room(scale.room)),
        ),
        memory=_memory(scale.crowd),
    )


def _heartbeats(scale: Scale) -> Stage:
    title = f"heartbeat of {scale.crowd:,} idle clients, every {scale.heartbeat:g} s"
    load = Load(f"heartbeat-{scale.crowd}", title, Group.CLIENTS, "ping")
    return Stage(
        f"heartbeat of {scale.crowd:,}",
        scale.crowd,
        (Step(load, Heartbeats(scale.heartbeat), settle=scale.heartbeat),),
        options=Options(ping_interval=scale.heartbeat),
    )


def _namespaces(scale: Scale, count: int) -> Stage:
    name = f"/n{count - 1}"
    load = Load(
        f"namespaces-{count}",
        f"{SMALL}-byte event in one of {_plural(count, 'namespace')}",
        Group.GROWTH,
        "message",
        curve="registered namespaces",
        at=count,
    )
    return Stage(
        _plural(count, "namespace"),
        scale.some,
        (Step(load, _echo(sized(SMALL, "message", namespace=name))),),
        namespace=name,
        options=Options(namespaces=count),
    )


def select(every: Sequence[Stage], patterns: Sequence[str]) -> list[Stage]:
    """Return the stages that are left when only the loads that match one of some shell patterns are."""
    return [stage for stage in (each.only(patterns) for each in every) if stage.loads()]
