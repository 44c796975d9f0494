"""What the application decides about a client that wants to join, and what becomes of it until then."""

from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed, SocketIOPeer
from trio_socketio.conformance.sections import FIXTURE, SIO_CONNECT
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType

DELAY: Final = 0.1
"""Seconds that a slow connect handler takes."""


async def refused(trial: Trial, auth: JSON) -> SocketIOPeer:
    """Open a connection whose CONNECT the fixture refuses, and fail unless it does."""
    client = await trial.peer.open_socketio()
    answer = await client.connect("/", auth)
    trial.equal(answer.type, PacketType.CONNECT_ERROR, "the type of the answer")
    return client


@case(
    "sio.connect.refused",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that the application refuses is told so with a CONNECT_ERROR",
    expected='44 with an object whose message is that of the application, such as {"message":"Not authorized"}',
    why="Clients show the message; without a CONNECT_ERROR they wait for ever.",
)
async def is_refused(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    await client.transport.send('40{"reject":"Not authorized"}')
    packet = await client.receive()
    trial.equal(packet.type, PacketType.CONNECT_ERROR, "the type of the first packet")
    trial.equal(packet.namespace, "/", "its namespace")
    trial.check(isinstance(packet.data, dict), f"the payload is {packet.data!r}", "an object")
    trial.same(packet.data.get("message"), "Not authorized", "the message")


@case(
    "sio.connect.refused.data",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="What the application adds to a refusal reaches the client",
    expected='44{"message":"...","data":{...}} with what the application gave',
    why="Clients read `error.data` to say what went wrong.",
)
async def refusal_has_data(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    answer = await client.connect("/", {"reject": "expired", "data": {"retry": [1, True]}})
    trial.same(answer.data, {"message": "expired", "data": {"retry": [1, True]}}, "the payload")


@case(
    "sio.connect.refused.again",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that was refused may try again on the same connection",
    expected="a CONNECT for the second attempt, and events after it",
    why="Clients renew their credentials upon a refusal and send another CONNECT.",
)
async def may_try_again(trial: Trial) -> None:
    client = await refused(trial, {"reject": "expired"})
    answer = await client.connect("/", {"token": "new"})
    trial.equal(answer.type, PacketType.CONNECT, "the type of the second answer")
    trial.same(await trial.fence(client), [["auth", {"token": "new"}]], "the list of events")


@case(
    "sio.connect.refused.event",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event of a client that was refused is not handled",
    expected="the connection is closed, or nothing answers the event",
    why="A refusal that does not keep anybody out is none.",
)
async def refused_clients_are_kept_out(trial: Trial) -> None:
    client = await refused(trial, {"reject": "expired"})
    try:
        await client.emit("message", "let me in")
        await client.transport.send("40")
        packet = await client.receive()
    except Closed:
        return
    trial.equal(packet.type, PacketType.CONNECT, "the type of the packet that comes next")
    trial.same(await trial.fence(client), [["auth", {}]], "the list of events")


@case(
    "sio.connect.refused.silent",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that was refused gets nothing of what goes to everyone",
    expected="an event for all of /broadcast reaches a member, and not who was refused there",
    why="What is said inside leaks to who was kept out.",
)
async def refused_clients_hear_nothing(trial: Trial) -> None:
    outsider = await trial.join()
    answer = await outsider.connect("/broadcast", {"reject": "members only"})
    trial.equal(answer.type, PacketType.CONNECT_ERROR, "the type of the answer")
    member = await trial.join("/broadcast")
    event = trial.unique("secret")
    await member.emit("deliver", {}, event, namespace="/broadcast")
    heard = [packet.data for packet in await trial.packets(member, "/broadcast")]
    trial.check([event] in heard, "the member did not get it", "the member gets it")
    try:
        leaked = [packet for packet in await trial.packets(outsider) if packet.namespace != "/"]
    except Closed:  # whether the connection stays is another case
        return
    trial.check(not leaked, f"who was refused got {leaked[:1]}", "who was refused gets nothing")


@case(
    "sio.connect.slow",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event that comes while the application still decides is not handled before it has",
    expected="the CONNECT comes before any answer to the event, or the connection is closed",
    why="A client that will be refused could act until then.",
    waits=lambda _: DELAY,
)
async def events_wait(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    try:
        await client.transport.send(f'40{{"delay":{DELAY * 1000:g}}}')
        await client.emit("message", "early")
        packet = await client.receive()
    except Closed:
        return
    trial.equal(packet.type, PacketType.CONNECT, "the type of the packet that comes first")


@case(
    "sio.connect.slow.refused",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event that comes while the application decides to refuse is never handled",
    expected="a CONNECT_ERROR and no answer to the event, or the connection is closed",
    why="A client that is refused could act all the same.",
    waits=lambda _: DELAY,
)
async def events_of_the_refused_are_dropped(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    try:
        await client.transport.send(f'40{{"delay":{DELAY * 1000:g},"reject":"no"}}')
        await client.emit("message", "early")
        packet = await client.receive()
        trial.equal(packet.type, PacketType.CONNECT_ERROR, "the type of the packet that comes first")
        await client.transport.send("40")
        packet = await client.receive()
    except Closed:
        return
    trial.equal(packet.type, PacketType.CONNECT, "the type of the packet that comes second")
    trial.same(await trial.fence(client), [["auth", {}]], "the list of events")


@case(
    "sio.connect.slow.kept",
    Level.MAY,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event that comes while the application still decides is handled once it has",
    expected="the CONNECT, and then the answer to the event",
    why="Clients that do not wait for the CONNECT lose their first events.",
    waits=lambda _: DELAY,
)
async def events_are_kept(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    await client.transport.send(f'40{{"delay":{DELAY * 1000:g}}}')
    await client.emit("message", "early")
    trial.equal((await client.receive()).type, PacketType.CONNECT, "the type of the packet that comes first")
    events = await trial.fence(client)
    trial.check(["message-back", "early"] in events, f"the events are {events}", "the event was answered")


@case(
    "sio.connect.slow.others",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="While one namespace still decides, another one of the same client is served",
    expected="a message in / comes back before the CONNECT of /custom",
    why="One slow look-up of credentials would hold up everything else.",
    waits=lambda _: 5 * DELAY,
)
async def others_go_on(trial: Trial) -> None:
    client = await trial.join()
    await client.transport.send(f'40/custom,{{"delay":{5 * DELAY * 1000:g}}}')
    await client.emit("message", "meanwhile")
    trial.same(await client.event(), ["message-back", "meanwhile"], "what comes first")
    packet = await client.receive()
    trial.equal((packet.type, packet.namespace), (PacketType.CONNECT, "/custom"), "what comes second")
