"""Acknowledgements of the server: which event one belongs to, that it comes once, and what it carries."""

from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import SocketIOPeer
from trio_socketio.conformance.sections import SIO_ACK, SIO_ENCODING
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that a JavaScript peer can count to."""
SLOW: Final = 0.1
"""Seconds that a slow handler takes."""


async def expect_ack(trial: Trial, client: SocketIOPeer, ack_id: int, *args: JSON) -> None:
    """Fail unless the next packet is an acknowledgement with this id and these arguments."""
    packet = await client.receive()
    expected = PacketType.BINARY_ACK if any(isinstance(value, bytes) for value in args) else PacketType.ACK
    trial.equal(packet.type, expected, "the type of the answer")
    trial.equal(packet.namespace, "/", "its namespace")
    trial.equal(packet.id, ack_id, "its id")
    trial.same(packet.data, list(args), "its payload")


async def acknowledged(trial: Trial, client: SocketIOPeer, ack_id: int, *args: JSON) -> None:
    """Send an event that asks for an acknowledgement, and fail unless that comes next and has its arguments."""
    await client.emit("message-with-ack", *args, id=ack_id)
    await expect_ack(trial, client, ack_id, *args)


@case(
    "sio.ack.ok",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event with an id is acknowledged with the same id",
    expected='43456[1,"2",{"3":[false]}] for 42456["message-with-ack",1,"2",{"3":[false]}]',
    why="Clients find the callback by the id.",
)
async def ok(trial: Trial) -> None:
    client = await trial.join()
    await client.transport.send('42456["message-with-ack",1,"2",{"3":[false]}]')
    await expect_ack(trial, client, 456, 1, "2", {"3": [False]})


@case(
    "sio.ack.id.zero",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="0 is an ack id",
    expected='430["first"] for 420["message-with-ack","first"]',
    why="It is the first id that the official clients use.",
)
async def id_is_zero(trial: Trial) -> None:
    await acknowledged(trial, await trial.join(), 0, "first")


@case(
    "sio.ack.id.large",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Ack ids may be as large as a JavaScript peer can count",
    expected="9007199254740991 and 4294967296 come back exactly",
    why="Clients count up for as long as they live, and some begin with the time.",
)
async def id_is_large(trial: Trial) -> None:
    client = await trial.join()
    for number in (MAX_SAFE_INTEGER, 2**32):
        await acknowledged(trial, client, number, "large")


@case(
    "sio.ack.arguments.none",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An acknowledgement without arguments has an empty array",
    expected='431[] for 421["message-with-ack"]',
    why="The payload is mandatory: clients fail on an acknowledgement without one.",
)
async def no_arguments(trial: Trial) -> None:
    await acknowledged(trial, await trial.join(), 1)


@case(
    "sio.ack.arguments.several",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An acknowledgement has the arguments that the handler gave, each for itself",
    expected="several arguments, null, false, a list and an object come back as they are",
    why="Callbacks have parameters: a list in place of several arguments, or the other way round, reaches the wrong ones.",
)
async def several_arguments(trial: Trial) -> None:
    client = await trial.join()
    arguments: tuple[list[JSON], ...] = (
        [1, 2, 3],
        [None],
        [False],
        [[1, 2]],
        [[]],
        [{}],
        [""],
        ["a", None, [0], {"b": "ü🎉"}],
    )
    for number, values in enumerate(arguments, 1):
        await acknowledged(trial, client, number, *values)


@case(
    "sio.ack.binary",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An acknowledgement with binary data is a BINARY_ACK",
    expected="462-789[{placeholder},{placeholder}] and two attachments, for a binary event with the id 789",
    why="Clients read the attachments as parts of the acknowledgement.",
)
async def binary(trial: Trial) -> None:
    client = await trial.join()
    await acknowledged(trial, client, 789, b"\x01\x02\x03", b"\x04\x05\x06")


@case(
    "sio.ack.polling",
    Level.MUST,
    SIO_ACK,
    Need.POLLING,
    Need.FIXTURE,
    title="Acknowledgements travel over long-polling, with binary data and without",
    expected="the acknowledgements in the next GET",
    why="Clients behind proxies have nothing else.",
)
async def polling(trial: Trial) -> None:
    client = await trial.join(transport="polling")
    await acknowledged(trial, client, 0, 1, "2", None)
    await acknowledged(trial, client, 12, b"\x00\xff", "x")


@case(
    "sio.ack.none",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event without an id is not acknowledged",
    expected="no ACK packet upon events without an id",
    why="An acknowledgement that nobody asked for meets the callback of another event.",
)
async def none(trial: Trial) -> None:
    client = await trial.join()
    await client.emit("rooms")
    await client.emit("join", trial.unique("room"))
    await client.emit("message", "no id")
    packets = await trial.packets(client)
    trial.same([packet.data for packet in packets], [["message-back", "no id"]], "the list of packets")


@case(
    "sio.ack.once",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Each event is acknowledged once",
    expected="fifty events with ids of their own get fifty acknowledgements, each with the argument of its event",
    why="A callback that is called twice, or for another event, does what nobody asked for.",
)
async def once(trial: Trial) -> None:
    client = await trial.join()
    ids = [number * 7 % 50 for number in range(50)]
    for number in ids:
        await client.emit("message-with-ack", f"event {number}", id=number)
    packets = [await client.receive() for _ in ids]
    packets += await trial.packets(client)
    trial.check(all(packet.type is PacketType.ACK for packet in packets), f"{packets} came", "acknowledgements alone")
    got = sorted((packet.id or 0, packet.data) for packet in packets)
    trial.same(
        [list(pair) for pair in got], [[number, [f"event {number}"]] for number in range(50)], "what came, by id"
    )


@case(
    "sio.ack.order",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Events that are handled at once are acknowledged in their order",
    expected="fifty acknowledgements in the order of the events",
    why="Clients that send one step after another expect to hear of them like that.",
)
async def order(trial: Trial) -> None:
    client = await trial.join()
    for number in range(50):
        await client.emit("message-with-ack", number, id=number)
    for number in range(50):
        await expect_ack(trial, client, number, number)


@case(
    "sio.ack.interleaved",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Events with and without ids can alternate",
    expected="of twenty events each gets what it asks for: an event back, or an acknowledgement",
    why="A server that keeps the id of the event before acknowledges the wrong one.",
)
async def interleaved(trial: Trial) -> None:
    client = await trial.join()
    for number in range(10):
        await client.emit("message-with-ack", number, id=100 + number)
        await client.emit("message", number)
    packets = [await client.receive() for _ in range(20)]
    acks = [[packet.id, packet.data] for packet in packets if packet.type is PacketType.ACK]
    events = [[packet.id, packet.data] for packet in packets if packet.type is PacketType.EVENT]
    trial.same(sorted(acks), [[100 + number, [number]] for number in range(10)], "the acknowledgements")
    trial.same(events, [[None, ["message-back", number]] for number in range(10)], "the events")


@case(
    "sio.ack.namespaces",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The same id may be in use in two namespaces",
    expected="5 is acknowledged in / and in /custom, each with the argument of its own event",
    why="Clients count in each namespace.",
)
async def same_id_in_two_namespaces(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("message-with-ack", "custom", namespace="/custom", id=5)
    await client.emit("message-with-ack", "main", id=5)
    packets = [await client.receive() for _ in range(2)]
    got = sorted([packet.namespace, packet.id, packet.data] for packet in packets)
    trial.same(got, [["/", 5, ["main"]], ["/custom", 5, ["custom"]]], "what came, by namespace")


@case(
    "sio.ack.slow",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A handler that takes its time is acknowledged when it has ended",
    expected="43<id>[100] once the event `slow` has ended after 100 ms",
    why="The acknowledgement carries the result, which is not there before.",
    waits=lambda _: SLOW,
)
async def slow(trial: Trial) -> None:
    client = await trial.join()
    milliseconds = round(SLOW * 1000)
    await client.emit("slow", milliseconds, id=3)
    await expect_ack(trial, client, 3, milliseconds)


@case(
    "sio.ack.slow.gone",
    Level.MAY,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The acknowledgement of a slow handler is lost with the namespace that it belongs to",
    expected="no ACK in a namespace that was left and joined again meanwhile",
    why="Clients count ids from the beginning: it would be taken for that of another event.",
    waits=lambda _: 3 * SLOW,
)
async def slow_and_gone(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("slow", round(SLOW * 1000), namespace="/custom", id=3)
    await trial.packets(client)
    await client.transport.send("41/custom,")
    await trial.packets(client)
    await trial.also_join(client, "/custom")
    await client.emit("slow", round(2 * SLOW * 1000), id=4)
    await expect_ack(trial, client, 4, round(2 * SLOW * 1000))
