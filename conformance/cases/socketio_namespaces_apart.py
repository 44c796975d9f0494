"""Several namespaces over one connection: what is said in one of them stays there."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed
from trio_socketio.conformance.sections import (
    FIXTURE,
    SIO_ACK,
    SIO_CONNECT,
    SIO_DATA,
    SIO_ENCODING,
    SIO_ROOMS,
)
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.socketio import PacketType


@case(
    "sio.namespace.several",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Several namespaces share one connection",
    expected="a message in each of /, /custom and /broadcast comes back in the same namespace",
    why="Clients open one connection for all their namespaces.",
)
async def several(trial: Trial) -> None:
    client = await trial.join()
    for namespace in ("/custom", "/broadcast"):
        await trial.also_join(client, namespace)
    for namespace in ("/", "/broadcast", "/custom"):
        await client.emit("message", "to", namespace, namespace=namespace)
        packet = await client.receive()
        while packet.namespace == "/broadcast" and packet.data[0] != "message-back":
            packet = await client.receive()  # what other cases say to everyone
        trial.same(packet.data, ["message-back", "to", namespace], "the event")
        trial.equal(packet.namespace, namespace, "its namespace")


@case(
    "sio.namespace.sids",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client has another session id in each namespace",
    expected="two different ids, and another one than that of Engine.IO",
    why="An id that leaks from one namespace must not name its owner in another.",
)
async def sids_differ(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    ids = {client.handshake.sid, client.sids["/"], client.sids["/custom"]}
    trial.equal(len(ids), 3, "the number of different ids")


@case(
    "sio.namespace.event",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event is answered in the namespace it came in",
    expected='42/custom,["message-back","hello"]',
    why="Clients hand an event to the socket of its namespace.",
)
async def event(trial: Trial) -> None:
    client = await trial.join("/custom")
    await client.transport.send('42/custom,["message","hello"]')
    packet = await client.receive()
    trial.equal(packet.namespace, "/custom", "the namespace of the answer")
    trial.same(packet.data, ["message-back", "hello"], "the answer")


@case(
    "sio.namespace.apart",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="What goes to everyone in a namespace reaches its members alone",
    expected="an event for all of /broadcast reaches a member, and not a client of / and /custom",
    why="Namespaces keep the parts of an application apart.",
)
async def apart(trial: Trial) -> None:
    outsider = await trial.join()
    await trial.also_join(outsider, "/custom")
    member = await trial.join("/broadcast")
    name = trial.unique("news")
    await member.emit("deliver", {}, name, namespace="/broadcast")
    heard = [packet.data for packet in await trial.packets(member, "/broadcast")]
    trial.check([name] in heard, "the member did not get it", "the member gets it")
    strays = await trial.packets(outsider, "/custom") + await trial.packets(outsider)
    trial.check(not strays, f"the other client got {strays[:1]}", "the other client gets nothing")


@case(
    "sio.namespace.rooms",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A room of one name is another room in each namespace",
    expected="an event for the room of /custom reaches its member in /custom, and not the one in /",
    why="Applications use the same names for rooms in every namespace.",
)
async def rooms_are_apart(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    room = trial.unique("room")
    for namespace in ("/", "/custom"):
        await client.emit("join", room, namespace=namespace)
        await trial.packets(client, namespace)
    await client.emit("deliver", {"to": room}, "news", namespace="/custom")
    packets = await trial.packets(client, "/custom") + await trial.packets(client)
    trial.same([[packet.namespace, packet.data] for packet in packets], [["/custom", ["news"]]], "what came")


@case(
    "sio.namespace.rooms.joined",
    Level.MUST,
    SIO_ROOMS,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Who joins a room in one namespace has joined it in that namespace alone",
    expected="an event for the room in /custom does not reach a client that joined it in /, and is in both namespaces",
    why="Rooms guard what a client may hear: joining one elsewhere must not open it.",
)
async def rooms_are_joined_apart(trial: Trial) -> None:
    client, sender = await trial.join(), await trial.join("/custom")
    await trial.also_join(client, "/custom")
    room = trial.unique("room")
    await client.emit("join", room)
    await trial.fence(client)
    await sender.emit("deliver", {"to": room}, "news", namespace="/custom")
    await trial.fence(sender, "/custom")
    packets = await trial.packets(client, "/custom") + await trial.packets(client)
    trial.same([packet.data for packet in packets], [], "what came")


@case(
    "sio.namespace.sid.elsewhere",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A session id names its owner in its own namespace alone",
    expected="an event in /custom for the id that a client has in / reaches nobody",
    why="Who knows an id of one namespace could speak to its owner in all of them.",
)
async def sid_names_nobody_elsewhere(trial: Trial) -> None:
    other = await trial.join()
    await trial.also_join(other, "/custom")
    client = await trial.join("/custom")
    await client.emit("deliver", {"to": other.sids["/"]}, "news", namespace="/custom")
    await trial.packets(client, "/custom")
    packets = await trial.packets(other, "/custom") + await trial.packets(other)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.namespace.ack",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An acknowledgement comes in the namespace of its event",
    expected="43/custom,13[1]",
    why="Ids are counted in each namespace: the acknowledgement would be taken for another one.",
)
async def ack(trial: Trial) -> None:
    client = await trial.join("/custom")
    await client.transport.send('42/custom,13["message-with-ack",1]')
    packet = await client.receive()
    trial.equal((packet.type, packet.namespace, packet.id), (PacketType.ACK, "/custom", 13), "the answer")
    trial.same(packet.data, [1], "its payload")


@case(
    "sio.namespace.binary",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A binary event is answered in the namespace it came in",
    expected="51-/custom,[...] with the attachment behind it",
    why="The namespace stands behind the number of attachments, where it is easily lost.",
)
async def binary(trial: Trial) -> None:
    client = await trial.join("/custom")
    await client.emit("message", b"\x01\x02", namespace="/custom")
    packet = await client.receive()
    trial.equal((packet.type, packet.namespace), (PacketType.BINARY_EVENT, "/custom"), "the answer")
    trial.same(packet.data, ["message-back", b"\x01\x02"], "its payload")


@case(
    "sio.namespace.not-joined",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    Need.CUSTOM,
    title="An event for a namespace that was not joined closes the connection",
    expected="the connection is closed upon 42/custom, on a connection that has joined / alone",
    why="The peer believes that it is a member: its events would vanish.",
)
async def not_joined(trial: Trial) -> None:
    await trial.expect_violation(await trial.join(), '42/custom,["message","hello"]')


@case(
    "sio.namespace.not-joined.event",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event for a namespace that was not joined is not handled",
    expected="no event in /custom comes back, whether the connection is closed or not",
    why="A client could act in a namespace that it was never let into.",
)
async def event_where_not_joined(trial: Trial) -> None:
    client = await trial.join()
    member = await trial.join("/custom")
    room = trial.unique("room")
    await member.emit("join", room, namespace="/custom")
    await trial.packets(member, "/custom")
    try:
        await client.emit("deliver", {"to": room}, "forged", namespace="/custom")
        await client.emit("message", "forged", namespace="/custom")
        packets = await trial.packets(client)
    except Closed:
        packets = []
    packets += await trial.packets(member, "/custom")
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")
