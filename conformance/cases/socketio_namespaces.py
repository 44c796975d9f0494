"""Joining namespaces beside the main one, leaving them, and joining them again."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed, Polling, SocketIOPeer
from trio_socketio.conformance.sections import (
    SIO_CONNECT,
    SIO_ENCODING,
    SIO_HISTORY,
    SIO_SUITE,
)
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType


async def answer_to(trial: Trial, connect: str) -> tuple[SocketIOPeer, Packet]:
    """Send a CONNECT as the first frame, and return the first packet that is no event."""
    client = await trial.peer.open_socketio()
    await client.transport.send(connect)
    packet = await client.receive()
    while packet.type is PacketType.EVENT:
        packet = await client.receive()
    return client, packet


def check_joined(trial: Trial, packet: Packet, namespace: str) -> None:
    """Fail unless a packet says that a namespace was joined."""
    trial.equal(packet.type, PacketType.CONNECT, "the type of the answer")
    trial.equal(packet.namespace, namespace, "its namespace")
    sid = packet.data.get("sid") if isinstance(packet.data, dict) else None
    trial.check(
        isinstance(sid, str) and sid != "", f"its payload is {packet.data!r}", 'an object such as {"sid":"..."}'
    )


async def refuses(trial: Trial, client: SocketIOPeer, namespace: str) -> JSON:
    """Fail unless a namespace that nobody serves is refused; return the payload that says so."""
    answer = await client.connect(namespace)
    trial.equal(answer.type, PacketType.CONNECT_ERROR, f"the type of the answer to a CONNECT to {namespace}")
    return answer.data


async def leave(trial: Trial, client: SocketIOPeer, namespace: str) -> None:
    """Leave a namespace other than the main one, and wait until the server has seen that."""
    await client.transport.send(f"41{namespace},")
    await trial.packets(client)


@case(
    "sio.namespace.join",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.CUSTOM,
    title="A namespace other than the main one can be joined first",
    expected='40/custom,{"sid":"..."} for 40/custom,',
    why="Clients that ask for a namespace join that one alone.",
)
async def join(trial: Trial) -> None:
    _, packet = await answer_to(trial, "40/custom,")
    check_joined(trial, packet, "/custom")


@case(
    "sio.namespace.join.no-comma",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.CUSTOM,
    title="The comma after a namespace may be missing when nothing follows",
    expected='40/custom,{"sid":"..."} for 40/custom',
    why="Some clients leave it out, and so does the published suite.",
)
async def join_without_comma(trial: Trial) -> None:
    _, packet = await answer_to(trial, "40/custom")
    check_joined(trial, packet, "/custom")


@case(
    "sio.namespace.join.payload",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A namespace is joined with a payload, which the application gets",
    expected='40/custom,{"sid":"..."}, then the event `auth` in /custom with {"token":"abc"}',
    why="Each namespace can have credentials of its own.",
)
async def join_with_payload(trial: Trial) -> None:
    client, packet = await answer_to(trial, '40/custom,{"token":"abc"}')
    check_joined(trial, packet, "/custom")
    packets = await trial.packets(client, "/custom")
    got = [[packet.namespace, packet.data] for packet in packets]
    trial.same(got, [["/custom", ["auth", {"token": "abc"}]]], "what comes after it")


@case(
    "sio.namespace.join.polling",
    Level.MUST,
    SIO_CONNECT,
    Need.POLLING,
    Need.CUSTOM,
    title="A namespace is joined over long-polling",
    expected='40/custom,{"sid":"..."} in the next GET',
    why="Browser clients begin with long-polling.",
)
async def join_over_polling(trial: Trial) -> None:
    client = await trial.peer.open_socketio("polling")
    await client.transport.send("40/custom,")
    check_joined(trial, await client.receive(), "/custom")


@case(
    "sio.namespace.join.query",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.CUSTOM,
    title="A query string after a namespace is no part of its name",
    expected='40/custom,{"sid":"..."} for 40/custom?token=1,',
    why="Clients of earlier revisions append one, and some of later ones still do.",
)
async def join_with_query(trial: Trial) -> None:
    _, packet = await answer_to(trial, "40/custom?token=1,")
    check_joined(trial, packet, "/custom")


@case(
    "sio.namespace.join.root",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The main namespace may be named in full",
    expected="40/, joins it as 40 does",
    why="Clients whose encoder knows no special case write it out.",
)
async def join_root_by_name(trial: Trial) -> None:
    client, packet = await answer_to(trial, "40/,")
    check_joined(trial, packet, "/")
    await trial.fence(client)


@case(
    "sio.namespace.main.not-implied",
    Level.MUST,
    SIO_HISTORY,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Who joins another namespace has not joined the main one",
    expected="an event in / is not answered, or the connection is closed",
    why="What the main namespace asks of its members could be passed by.",
)
async def main_is_not_implied(trial: Trial) -> None:
    client = await trial.join("/custom")
    try:
        await client.emit("message", "without joining")
        packets = await trial.packets(client, "/custom")
    except Closed:
        return
    trial.check(not packets, f"{packets[:1]} came", "nothing comes but what was sent back in /custom")


@case(
    "sio.namespace.unknown",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A namespace that nobody serves is refused with a CONNECT_ERROR",
    expected='44/random,{"message":"..."} for 40/random, whatever the message is',
    why="Clients wait for ever otherwise; one that reads `error.message` fails on a payload that is no object.",
)
async def unknown(trial: Trial) -> None:
    namespace = f"/{trial.unique('random')}"
    _, packet = await answer_to(trial, f"40{namespace}")
    trial.equal(packet.type, PacketType.CONNECT_ERROR, "the type of the answer")
    trial.equal(packet.namespace, namespace, "its namespace")
    is_refusal = isinstance(packet.data, dict) and isinstance(packet.data.get("message"), str)
    trial.check(is_refusal, f"its payload is {packet.data!r}", "an object with a message")


@case(
    "sio.namespace.unknown.message",
    Level.SHOULD,
    SIO_SUITE,
    Need.WEBSOCKET,
    title="The refusal of a namespace that nobody serves says so in the words of the reference server",
    expected='44/random,{"message":"Invalid namespace"}',
    why="Clients compare the message to tell this refusal from others; the published suite does.",
)
async def unknown_has_message(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    trial.same(await refuses(trial, client, "/random"), {"message": "Invalid namespace"}, "the payload")


@case(
    "sio.namespace.unknown.stays",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The refusal of one namespace leaves the connection and the other namespaces as they are",
    expected="a message in / comes back after the refusal",
    why="One wrong name in one part of a page would disconnect all of it.",
)
async def unknown_leaves_the_rest(trial: Trial) -> None:
    client = await trial.join()
    await refuses(trial, client, f"/{trial.unique('random')}")
    await trial.fence(client)


@case(
    "sio.namespace.refused.others",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A refusal by the application concerns its own namespace alone",
    expected="44/custom, and a message in / that comes back after it",
    why="Who may not see one part must keep the others.",
)
async def refusal_leaves_the_rest(trial: Trial) -> None:
    client = await trial.join()
    answer = await client.connect("/custom", {"reject": "members only"})
    trial.equal(answer.type, PacketType.CONNECT_ERROR, "the type of the answer")
    trial.equal(answer.namespace, "/custom", "its namespace")
    await trial.fence(client)


@case(
    "sio.namespace.case",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.CUSTOM,
    title="The case of letters matters in the name of a namespace",
    expected="/CUSTOM is refused",
    why="Two names for one namespace would be two for its access rules.",
)
async def case_matters(trial: Trial) -> None:
    await refuses(trial, await trial.peer.open_socketio(), "/CUSTOM")


@case(
    "sio.namespace.exact",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.CUSTOM,
    title="A namespace is matched by its whole name",
    expected="/customer, /custom/, /custom/a and /cust are refused",
    why="What is longer or shorter by accident would join a namespace that was not meant.",
)
async def name_is_exact(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    for namespace in ("/customer", "/custom/", "/custom/a", "/cust"):
        await refuses(trial, client, namespace)


@case(
    "sio.namespace.twice",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A second CONNECT to a namespace that was joined closes the connection",
    expected="the connection is closed, and no second CONNECT comes",
    why="One client would be two members, of which one is never removed.",
)
async def twice(trial: Trial) -> None:
    client = await trial.join()
    await trial.expect_violation(client, "40")


@case(
    "sio.namespace.rejoin",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A namespace that was left can be joined again on the same connection",
    expected="a CONNECT, the event `auth` with the new payload, and a message that comes back",
    why="Clients disconnect and connect one of several namespaces over the same connection.",
)
async def rejoin(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom", {"token": "old"})
    await leave(trial, client, "/custom")
    answer = await client.connect("/custom", {"token": "new"})
    trial.equal(answer.type, PacketType.CONNECT, "the type of the answer")
    trial.same(await trial.fence(client, "/custom"), [["auth", {"token": "new"}]], "the list of events")


@case(
    "sio.namespace.rejoin.at-once",
    Level.MAY,
    SIO_CONNECT,
    Need.POLLING,
    Need.FIXTURE,
    title="A namespace can be left and joined again in one breath",
    expected="a CONNECT in answer to 41/custom, and 40/custom, in one POST, and a message that comes back",
    why="Clients that renew their credentials disconnect and connect without waiting.",
)
async def rejoin_at_once(trial: Trial) -> None:
    client = await trial.join("/custom", transport="polling")
    session = client.transport
    if not isinstance(session, Polling):
        trial.fail("the client is on another transport")
    await session.send("41/custom,", "40/custom,")
    check_joined(trial, await client.receive(), "/custom")
    await trial.packets(client, "/custom")


@case(
    "sio.namespace.rejoin.sid",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Who joins a namespace again gets a new session id",
    expected="another id than before",
    why="What still goes to the old id would reach somebody who has left.",
)
async def rejoin_has_new_sid(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    before = client.sids["/custom"]
    await leave(trial, client, "/custom")
    await trial.also_join(client, "/custom")
    trial.check(client.sids["/custom"] != before, f"it is {before!r} again", "it is another one")
