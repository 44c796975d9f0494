"""Whom a server tells that a client has left, and how often."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.socketio_disconnect import gone, is_about, watcher, websocket_of
from trio_socketio.conformance.peer import Closed, SocketIOPeer
from trio_socketio.conformance.sections import FIXTURE, SIO_DISCONNECT
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.socketio import Packet, PacketType


async def expect_left(trial: Trial, watching: SocketIOPeer, client: SocketIOPeer) -> None:
    """Fail unless a watcher of both namespaces is told, once each, that a client has left them."""
    packets: list[Packet] = []
    while len(packets) < len(client.sids):
        packet = await watching.receive()
        if any(is_about(packet, sid) for sid in client.sids.values()):
            packets.append(packet)
    left = {packet.namespace: packet.data[1] for packet in packets}
    trial.equal(left, client.sids, "what the watcher is told")
    later = await trial.packets(watching) + await trial.packets(watching, "/custom")
    again = [packet for packet in later if any(is_about(packet, sid) for sid in client.sids.values())]
    trial.check(not again, f"{again} came", "nothing more about it comes")


@case(
    "sio.disconnect.hang-up",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A server can end the whole connection of a client",
    expected="the WebSocket is closed upon the event `hang-up`, and watchers of both its namespaces are told",
    why="An application that throws somebody out must get rid of the connection.",
)
async def hang_up(trial: Trial) -> None:
    watching = await watcher(trial, "/", "/custom")
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("hang-up")
    try:
        while (await client.receive()).type is PacketType.DISCONNECT:
            pass
    except Closed:
        await expect_left(trial, watching, client)
    else:
        trial.fail("an event came", "the connection is closed")


@case(
    "sio.disconnect.gone.once",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The application is told once that a client has left, also if its connection ends after that",
    expected="one event `gone` for the namespace that was left, and one for the other when the connection ends",
    why="Lists of who is there, and counts, go wrong.",
)
async def gone_once(trial: Trial) -> None:
    watching = await watcher(trial, "/", "/custom")
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.transport.send("41")
    packet = await gone(watching, client.sids["/"])
    trial.equal(packet.namespace, "/", "the namespace that it has left first")
    await client.transport.send("1")
    packet = await gone(watching, client.sids["/custom"])
    trial.equal(packet.namespace, "/custom", "the namespace that it has left then")
    packets = await trial.packets(watching) + await trial.packets(watching, "/custom")
    again = [packet for packet in packets if any(is_about(packet, sid) for sid in client.sids.values())]
    trial.check(not again, f"{again} came", "nothing more about it comes")


@case(
    "sio.disconnect.gone.closed",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client whose connection ends has left all its namespaces",
    expected="one event `gone` in / and one in /custom, when the client closes the connection",
    why="Most clients leave without a word, by closing the page.",
)
async def gone_when_closed(trial: Trial) -> None:
    watching = await watcher(trial, "/", "/custom")
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.transport.send("1")
    await expect_left(trial, watching, client)


@case(
    "sio.disconnect.gone.hung-up",
    Level.MUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client whose WebSocket breaks off has left all its namespaces",
    expected="one event `gone` in / and one in /custom, when the TCP connection of the client ends",
    why="Phones that lose the network say nothing, and would be members for ever.",
)
async def gone_when_hung_up(trial: Trial) -> None:
    watching = await watcher(trial, "/", "/custom")
    client = await trial.join()
    await trial.also_join(client, "/custom")
    websocket = await websocket_of(trial, client)
    await websocket.hang_up()
    await expect_left(trial, watching, client)


@case(
    "sio.disconnect.gone.kicked",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The application is told that a client has left when it has disconnected it itself",
    expected="one event `gone` upon the event `kick`",
    why="What a disconnect handler cleans up would stay.",
)
async def gone_when_kicked(trial: Trial) -> None:
    watching = await watcher(trial, "/")
    client = await trial.join()
    await client.emit("kick")
    await gone(watching, client.sids["/"])
    again = [packet for packet in await trial.packets(watching) if is_about(packet, client.sids["/"])]
    trial.check(not again, f"{again} came", "nothing more about it comes")
