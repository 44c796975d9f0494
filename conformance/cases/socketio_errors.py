"""Packets that break the protocol: they end the connection of who sent them, and nobody else's."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Polling
from trio_socketio.conformance.sections import (
    FIXTURE,
    SIO_CONNECT,
    SIO_DATA,
    SIO_DISCONNECT,
    SIO_ENCODING,
    SIO_EXCHANGE,
)
from trio_socketio.conformance.trial import Trial


async def expect_violations(trial: Trial, *frames: str) -> None:
    """Fail unless each of several frames closes the connection it is sent on, after the main namespace was joined."""
    for frame in frames:
        await trial.expect_violation(await trial.join(), frame)


@case(
    "sio.error.type.unknown",
    Level.MUST,
    SIO_EXCHANGE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A packet of a type that does not exist closes the connection",
    expected="the connection is closed upon 4abc, 47 and 49",
    why="The peer speaks something else: whatever comes next cannot be trusted either.",
)
async def unknown_type(trial: Trial) -> None:
    await expect_violations(trial, "4abc", '47["message","x"]', "49")


@case(
    "sio.error.type.unknown.first",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A packet of a type that does not exist closes the connection when it comes first",
    expected="the connection is closed upon 4abc in place of a CONNECT",
    why="Peers that speak something else would keep their connections.",
)
async def unknown_type_first(trial: Trial) -> None:
    await trial.expect_violation(await trial.peer.open_socketio(), "4abc")


@case(
    "sio.error.type.missing",
    Level.SHOULD,
    SIO_EXCHANGE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An empty packet closes the connection",
    expected="the connection is closed upon 4",
    why="It is no packet; a server that reads its first character anyway fails in its own code.",
)
async def no_type(trial: Trial) -> None:
    await expect_violations(trial, "4")


@case(
    "sio.error.type.digit",
    Level.SHOULD,
    SIO_EXCHANGE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The packet type is a digit of ASCII",
    expected="the connection is closed upon a 2 of full width (U+FF12) in place of the type, and a blank or a plus before it",
    why="Digits of other scripts pass as numbers in many languages, and mean nothing on the wire.",
)
async def type_is_ascii(trial: Trial) -> None:
    await expect_violations(trial, '4\uff12["message","x"]', '4 2["message","x"]', '4+2["message","x"]')


@case(
    "sio.error.connect-error",
    Level.SHOULD,
    SIO_EXCHANGE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A CONNECT_ERROR from a client closes the connection",
    expected='the connection is closed upon 44{"message":"no"}',
    why="Only a server refuses.",
)
async def connect_error(trial: Trial) -> None:
    await expect_violations(trial, '44{"message":"no"}')


@case(
    "sio.error.disconnect.payload",
    Level.MAY,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A DISCONNECT with a payload closes the connection",
    expected='the connection is closed upon 41/custom,{"why":"tired"}',
    why="The packet has no payload.",
)
async def disconnect_has_payload(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await trial.expect_violation(client, '41/custom,{"why":"tired"}')


@case(
    "sio.error.namespace.comma",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A namespace without the comma before the payload closes the connection",
    expected='the connection is closed upon 42/custom["message","x"], although /custom was joined',
    why="Everything up to the next comma is the name of a namespace, which was not joined.",
)
async def comma_is_missing(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await trial.expect_violation(client, '42/custom["message","x"]')


@case(
    "sio.error.namespace.slash",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A namespace without the slash before it closes the connection",
    expected='the connection is closed upon 42custom,["message","x"]',
    why="It is neither a namespace nor an ack id nor JSON.",
)
async def slash_is_missing(trial: Trial) -> None:
    await expect_violations(trial, '42custom,["message","x"]')


@case(
    "sio.error.polling",
    Level.MUST,
    SIO_DATA,
    Need.POLLING,
    Need.ECHO,
    title="A packet that breaks the protocol ends the session over long-polling",
    expected="a close packet, or status 400, in the GET that follows 42{}; the sid is unknown after that",
    why="The rules do not depend on the transport.",
)
async def over_polling(trial: Trial) -> None:
    client = await trial.join(transport="polling")
    session = client.transport
    if not isinstance(session, Polling):
        trial.fail("the client is on another transport")
    await session.post("42{}")
    response = await session.get()
    for _ in range(3):  # what was under way, a ping for example, may come first
        if response.status != 200 or "1" in response.text.split("\x1e"):
            break
        response = await session.get()
    trial.equal((await session.get()).status, 400, "the status of a GET for the session that should be over")


@case(
    "sio.error.others",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Nobody else suffers when one client breaks the protocol",
    expected="messages of another client come back after each of three faulty packets, and so do those of a new client",
    why="One faulty client would be enough to stop a server.",
)
async def others(trial: Trial) -> None:
    client = await trial.join()
    for frame in ("42{}", "4abc", "42["):
        await (await trial.join()).transport.send(frame)
        await trial.fence(client)
    await trial.fence(await trial.join())


@case(
    "sio.error.gone",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that was disconnected for a packet has left its namespaces",
    expected="a watcher gets one event `gone` for it",
    why="It would be shown as present for ever.",
)
async def offender_is_gone(trial: Trial) -> None:
    watching = await trial.join()
    await watching.emit("watch")
    await trial.packets(watching)
    client = await trial.join()
    await trial.expect_violation(client, "42{}")
    told = 0
    while not told:
        told = (await watching.event())[:2] == ["gone", client.sids["/"]]
    told += sum(event[:2] == ["gone", client.sids["/"]] for event in await trial.fence(watching))
    trial.equal(int(told), 1, "the number of events `gone`")


@case(
    "sio.error.not-handled",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Nothing that comes after a packet that breaks the protocol is handled",
    expected="an event for a room that is sent right behind 42{} does not reach its member",
    why="What is read past a fault may mean anything.",
)
async def nothing_is_handled_after_it(trial: Trial) -> None:
    room = trial.unique("room")
    member = await trial.join()
    await member.emit("join", room)
    await trial.fence(member)
    client = await trial.join()
    await trial.expect_violation(client, "42{}", f'42["deliver",{{"to":"{room}"}},"after"]')
    events = await trial.fence(member)
    trial.check(not events, f"{events[:1]} came", "nothing comes")


@case(
    "sio.error.handler",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A handler that fails harms neither its own client nor others",
    expected="messages of both clients come back after the event `fail`",
    why="A mistake in one handler would be an outage.",
)
async def handler_fails(trial: Trial) -> None:
    client, other = await trial.join(), await trial.join()
    for _ in range(3):
        await client.emit("fail")
    await trial.fence(client)
    await trial.fence(other)


@case(
    "sio.error.handler.ack",
    Level.MAY,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A handler that fails acknowledges nothing",
    expected="no acknowledgement for the event `fail` with an id",
    why="The client would take for done what was not.",
)
async def failure_is_not_acknowledged(trial: Trial) -> None:
    client = await trial.join()
    await client.emit("fail", id=1)
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")
