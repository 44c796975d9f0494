"""Leaving a namespace, from either side: what ends, and what goes on."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed, Polling, SocketIOPeer, WebSocketPeer
from trio_socketio.conformance.sections import FIXTURE, SIO_DISCONNECT, SIO_ORDER, SIO_SUITE
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.socketio import Packet, PacketType


async def watcher(trial: Trial, *namespaces: str) -> SocketIOPeer:
    """Join namespaces as one who is told who leaves them."""
    client = await trial.join(namespaces[0])
    for namespace in namespaces[1:]:
        await trial.also_join(client, namespace)
    for namespace in namespaces:
        await client.emit("watch", namespace=namespace)
        await trial.packets(client, namespace)
    return client


async def gone(client: SocketIOPeer, sid: str) -> Packet:
    """Return the packet that tells a watcher that the owner of a session id has left."""
    while True:
        packet = await client.receive()
        if is_about(packet, sid):
            return packet


def is_about(packet: Packet, sid: str) -> bool:
    """Whether a packet says that the owner of a session id has left."""
    return packet.type is PacketType.EVENT and packet.data[:2] == ["gone", sid]


async def websocket_of(trial: Trial, client: SocketIOPeer) -> WebSocketPeer:
    """Return the WebSocket of a client, which waits for a ping interval from now on."""
    websocket = client.transport
    if not isinstance(websocket, WebSocketPeer):
        trial.fail("the client is on another transport")
    websocket.wire.patience += trial.target.ping_interval
    return websocket


@case(
    "sio.disconnect.main",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A DISCONNECT ends the membership in the main namespace",
    expected="the application is told that the client has left, and an event for its room does not reach it any more",
    why="A client that has logged out would be shown as present, and go on receiving.",
)
async def main(trial: Trial) -> None:
    watching = await watcher(trial, "/")
    client = await trial.join()
    await trial.also_join(client, "/custom")
    room = trial.unique("room")
    await client.emit("join", room)
    await trial.packets(client)
    await client.transport.send("41")
    await gone(watching, client.sids["/"])
    await watching.emit("deliver", {"to": room}, "late")
    await trial.packets(watching)
    try:
        packets = await trial.packets(client, "/custom")
    except Closed:  # which the specification allows
        return
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.disconnect.main.stays",
    Level.SHOULD,
    SIO_SUITE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Leaving the main namespace leaves the connection open",
    expected="a ping comes after 41, and a CONNECT is answered after that",
    why="Clients that leave one namespace and join another do so on one connection; the published suite waits for the ping.",
    waits=lambda target: target.ping_interval,
)
async def main_leaves_the_connection(trial: Trial) -> None:
    client = await trial.join()
    websocket = await websocket_of(trial, client)
    await websocket.send("41")
    trial.equal(await websocket.receive(), "2", "the next frame")
    await websocket.send("3")
    answer = await client.connect()
    trial.equal(answer.type, PacketType.CONNECT, "the type of the answer to a CONNECT")
    await trial.fence(client)


@case(
    "sio.disconnect.main.others",
    Level.SHOULD,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Leaving the main namespace leaves the others as they are",
    expected="a message in /custom comes back after 41",
    why="Since revision 5 the main namespace is one among others.",
)
async def main_leaves_the_others(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.transport.send("41")
    packets = await trial.packets(client, "/custom")
    trial.check(not packets, f"{packets[:1]} came", "nothing comes before")


@case(
    "sio.disconnect.custom",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Leaving another namespace ends the membership there",
    expected="what goes to everyone in /broadcast does not reach the client after 41/broadcast,",
    why="A client goes on receiving what it has asked to be spared.",
)
async def custom(trial: Trial) -> None:
    member = await trial.join("/broadcast")
    client = await trial.join()
    await trial.also_join(client, "/broadcast")
    await client.transport.send("41/broadcast,")
    await trial.packets(client)
    event = trial.unique("late")
    await member.emit("deliver", {}, event, namespace="/broadcast")
    heard = [packet.data for packet in await trial.packets(member, "/broadcast")]
    trial.check([event] in heard, "who has stayed did not get it", "who has stayed gets it")
    late = [packet for packet in await trial.packets(client) if packet.data == [event]]
    trial.check(not late, f"{late} came", "nothing comes to who has left")


@case(
    "sio.disconnect.custom.main",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    Need.CUSTOM,
    title="Leaving another namespace leaves the main one as it is, and is not answered",
    expected="a message in / comes back after 41/custom, and nothing before it",
    why="Closing one part of a page would disconnect all of it.",
)
async def custom_leaves_main(trial: Trial) -> None:
    client = await trial.join()
    await client.connect("/custom")
    await client.transport.send("41/custom")
    packets = [packet for packet in await trial.packets(client) if packet.type is not PacketType.EVENT]
    trial.check(not packets, f"{packets[:1]} came", "no answer to the DISCONNECT")


@case(
    "sio.disconnect.rooms",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Who leaves a namespace leaves its rooms",
    expected="an event for the room does not reach the client when it has joined the namespace again",
    why="A client would be in rooms that the application did not put it into.",
)
async def rooms(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    room = trial.unique("room")
    await client.emit("join", room, namespace="/custom")
    await client.transport.send("41/custom,")
    await trial.packets(client)
    await trial.also_join(client, "/custom")
    await client.emit("rooms", namespace="/custom", id=1)
    answer = await client.receive()
    trial.equal((answer.type, answer.id), (PacketType.ACK, 1), "the answer to `rooms`")
    trial.same(answer.data, [[]], "the list of rooms")
    await client.emit("deliver", {"to": room}, "late", namespace="/custom")
    packets = await trial.packets(client, "/custom")
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.disconnect.after-events",
    Level.MAY,
    SIO_ORDER,
    Need.POLLING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Events that came together with a DISCONNECT, before it, are handled",
    expected="what the client says to a room in the same POST as 41 reaches the member, in order",
    why="Clients say their last words and leave.",
)
async def last_events_are_handled(trial: Trial) -> None:
    room = trial.unique("room")
    member = await trial.join()
    await member.emit("join", room)
    await trial.fence(member)
    client = await trial.join(transport="polling")
    events = (f'42["deliver",{{"to":"{room}"}},"last words",{number}]' for number in range(3))
    session = client.transport
    if not isinstance(session, Polling):
        trial.fail("the client is on another transport")
    await session.send(*events, "41")
    for number in range(3):
        trial.same(await member.event(), ["last words", number], "what the member got")


@case(
    "sio.disconnect.server",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A server that ends the membership of a client says so with a DISCONNECT",
    expected="41 upon the event `kick`, and nothing after it; what was emitted before comes before it",
    why="A client that is not told believes that it is a member, and waits for events.",
)
async def server(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("message", "last")
    await client.emit("kick")
    trial.same(await client.event(), ["message-back", "last"], "what comes first")
    packet = await client.receive()
    trial.equal((packet.type, packet.namespace), (PacketType.DISCONNECT, "/"), "what comes second")
    try:
        packets = await trial.packets(client, "/custom")
    except Closed:  # which the specification allows
        return
    trial.check(not packets, f"{packets[:1]} came", "nothing comes after it")


@case(
    "sio.disconnect.server.custom",
    Level.SHOULD,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A server can end the membership in one namespace of several",
    expected="41/custom, upon the event `kick` in /custom; a message in / comes back after it",
    why="A user who is banned from one part keeps the others.",
)
async def server_in_custom(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("kick", namespace="/custom")
    packet = await client.receive()
    trial.equal((packet.type, packet.namespace), (PacketType.DISCONNECT, "/custom"), "what comes first")
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes after it")


@case(
    "sio.disconnect.server.silent",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that the server has disconnected gets no more events",
    expected="an event for its room reaches the other member, and not the client",
    why="Who was removed would go on reading.",
)
async def server_ends_membership(trial: Trial) -> None:
    room = trial.unique("room")
    member, client = await trial.join(), await trial.join()
    for each in (member, client):
        await each.emit("join", room)
        await trial.fence(each)
    await trial.also_join(client, "/custom")
    await client.emit("kick")
    trial.equal((await client.receive()).type, PacketType.DISCONNECT, "the type of the packet that comes first")
    await member.emit("deliver", {"to": room}, "late")
    trial.same(await member.event(), ["late"], "what the member got")
    try:
        packets = await trial.packets(client, "/custom")
    except Closed:  # which the specification allows
        return
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.disconnect.server.rejoin",
    Level.SHOULD,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that the server has disconnected may join again",
    expected="a CONNECT in answer to one, on the same connection, and a message that comes back",
    why="Servers disconnect clients so that they join again with new credentials.",
)
async def server_allows_rejoin(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("kick", namespace="/custom")
    trial.equal((await client.receive()).type, PacketType.DISCONNECT, "the type of the packet that comes first")
    await trial.also_join(client, "/custom")
