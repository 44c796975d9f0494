"""Joining the main namespace: what the answer says, what the application gets, and what may not come first."""

import json

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed, SocketIOPeer
from trio_socketio.conformance.sections import FIXTURE, SIO_CONNECT, SIO_HISTORY
from trio_socketio.conformance.target import Target
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType


async def connected(trial: Trial, connect: str, transport: str = "websocket") -> dict[str, JSON]:
    """Send a CONNECT to the main namespace as the first frame, and return the payload of the CONNECT that answers it."""
    client = await trial.peer.open_socketio(transport)
    await client.transport.send(connect)
    frame = await trial.next(client.transport)
    while isinstance(frame, str) and frame.startswith("42"):  # whether events may come first is another case
        frame = await trial.next(client.transport)
    if not isinstance(frame, str) or not frame.startswith("40"):
        trial.fail(f"the answer is {frame!r:.200}", '40{"sid":"..."}')
    try:
        payload = json.loads(frame[2:])
    except ValueError:
        trial.fail(f"the payload of {frame!r:.200} is no JSON")
    if not isinstance(payload, dict):
        trial.fail(f"the payload of {frame!r:.200} is no object")
    return payload


async def welcome(trial: Trial, auth: JSON, transport: str = "websocket") -> JSON:
    """Join with a payload, and return what the fixture's connect handler says it was."""
    client = await trial.peer.open_socketio(transport)
    await client.send(Packet(PacketType.CONNECT, "/", auth))
    events: list[JSON] = []
    while (packet := await client.receive()).type is PacketType.EVENT:  # whether it may come first is another case
        events.append(packet.data)
    trial.equal(packet.type, PacketType.CONNECT, "the type of the answer")
    events += await trial.fence(client)
    trial.check(len(events) == 1 and events[0][0] == "auth", f"the events are {events}", "one event `auth`")
    trial.equal(len(events[0]), 2, "the number of items in the event `auth`")
    return events[0][1]


async def answer_pings(client: SocketIOPeer, seconds: float) -> list[str | bytes]:
    """Answer pings for a while, and return what comes besides."""
    frames: list[str | bytes] = []
    with trio.move_on_after(seconds):
        while True:
            frame = await client.transport.receive()
            if frame == "2":
                await client.transport.send("3")
            else:
                frames.append(frame)
    return frames


async def patient(trial: Trial) -> SocketIOPeer:
    """Open a connection on which nothing may come for longer than the connect timeout."""
    websocket = await trial.open_websocket()
    websocket.wire.patience += trial.target.connect_timeout
    return SocketIOPeer(websocket, trial.handshake)


def _beyond_the_timeout(target: Target) -> float:
    return target.connect_timeout * 1.25


@case(
    "sio.connect.ok",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A CONNECT is answered with a CONNECT that holds the session id",
    expected='40{"sid":"..."} with a sid that is a string',
    why="Clients take themselves for connected only when this arrives, and read their id from it.",
)
async def ok(trial: Trial) -> None:
    sid = (await connected(trial, "40")).get("sid")
    trial.check(isinstance(sid, str) and sid != "", f"the sid is {sid!r}", "a string that is not empty")


@case(
    "sio.connect.keys",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="The payload of the CONNECT has the session id and nothing else",
    expected="the key sid alone, or sid and pid (connection state recovery)",
    why="Typed clients read it into a type that has just these; the published suite allows no other.",
)
async def keys(trial: Trial) -> None:
    payload = await connected(trial, "40")
    trial.within(sorted(payload), [["sid"], ["pid", "sid"]], "the list of keys")


@case(
    "sio.connect.payload",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A CONNECT with a payload is answered as one without",
    expected='40{"sid":"..."} for 40{"token":"123"}',
    why="Clients send their credentials there.",
)
async def payload_is_allowed(trial: Trial) -> None:
    payload = await connected(trial, '40{"token":"123"}')
    trial.check(isinstance(payload.get("sid"), str), f"the payload is {payload}", "an object with a sid")


@case(
    "sio.connect.polling",
    Level.MUST,
    SIO_CONNECT,
    Need.POLLING,
    title="The main namespace is joined over long-polling",
    expected='40{"sid":"..."} in the next GET',
    why="Browser clients begin with long-polling.",
)
async def polling(trial: Trial) -> None:
    payload = await connected(trial, "40", "polling")
    trial.check(isinstance(payload.get("sid"), str), f"the payload is {payload}", "an object with a sid")


@case(
    "sio.connect.sid.own",
    Level.MUST,
    SIO_HISTORY,
    Need.WEBSOCKET,
    title="The session id of Socket.IO is not that of Engine.IO",
    expected="two different ids",
    why="Socket.IO ids are shown to others; who knows an Engine.IO id can speak for its owner.",
)
async def sid_is_its_own(trial: Trial) -> None:
    client = await trial.peer.join()
    trial.check(client.sids["/"] != client.handshake.sid, f"both are {client.handshake.sid!r}", "they differ")


@case(
    "sio.connect.sid.unique",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="Each client gets a session id of its own",
    expected="ten different ids for ten clients",
    why="An event for one client reaches another one otherwise.",
)
async def sid_is_unique(trial: Trial) -> None:
    sids = {(await trial.peer.join()).sids["/"] for _ in range(10)}
    trial.equal(len(sids), 10, "the number of different ids")


@case(
    "sio.connect.first",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The CONNECT comes before what the connect handler emits",
    expected="a CONNECT, then the event `auth`",
    why="Data is exchanged once the connection is established: a client drops or delays what comes before.",
)
async def connect_is_first(trial: Trial) -> None:
    client = await trial.peer.open_socketio()
    await client.transport.send("40")
    trial.equal((await client.receive()).type, PacketType.CONNECT, "the type of the first packet")
    trial.same(await client.event(), ["auth", {}], "what comes second")


@case(
    "sio.connect.auth",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The application gets the payload of the CONNECT",
    expected='the event `auth` with {"token":"123"}, once',
    why="Nobody could be authenticated.",
)
async def auth(trial: Trial) -> None:
    trial.same(await welcome(trial, {"token": "123"}), {"token": "123"}, "what the handler got")


@case(
    "sio.connect.auth.none",
    Level.MUST,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A CONNECT without a payload reaches the application as one with nothing in it",
    expected="the event `auth` with {}",
    why="Handlers that read a token must not fail because there is no payload.",
)
async def auth_is_empty(trial: Trial) -> None:
    trial.same(await welcome(trial, None), {}, "what the handler got")


@case(
    "sio.connect.auth.values",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Nested values and every script arrive in the payload of a CONNECT",
    expected="the event `auth` with the same values",
    why="Credentials are not always flat, nor ASCII.",
)
async def auth_has_values(trial: Trial) -> None:
    payload = {
        "name": "Zoë 🎉 日本",
        "roles": [{"id": 1, "on": True}, None, ["a,b", "/x,"]],
        "": 0.5,
        "\u2028": "\u2029",
        "quote": '"\\',
    }
    trial.same(await welcome(trial, payload), payload, "what the handler got")


@case(
    "sio.connect.auth.polling",
    Level.MUST,
    SIO_CONNECT,
    Need.POLLING,
    Need.FIXTURE,
    title="The application gets the payload of a CONNECT that came over long-polling",
    expected="the event `auth` with the same object",
    why="Browser clients send their credentials over long-polling.",
)
async def auth_over_polling(trial: Trial) -> None:
    trial.same(await welcome(trial, {"token": "ü"}, "polling"), {"token": "ü"}, "what the handler got")


@case(
    "sio.connect.payload.not-an-object",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A CONNECT whose payload is no object closes the connection",
    expected='the connection is closed upon 40["token"], 40"token", 40true and 40null',
    why="Handlers that read `auth.token` would meet values that no client sends.",
)
async def payload_must_be_an_object(trial: Trial) -> None:
    for connect in ('40["token"]', '40"token"', "40true", "40null"):
        await trial.expect_violation(await trial.peer.open_socketio(), connect)


@case(
    "sio.connect.payload.invalid-json",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A CONNECT whose payload is no JSON closes the connection",
    expected='the connection is closed upon 40{"token":, 40{token} and 40{}x',
    why="A client whose credentials were cut off must not be let in without any.",
)
async def payload_must_be_json(trial: Trial) -> None:
    for connect in ('40{"token":', "40{token}", "40{}x"):
        await trial.expect_violation(await trial.peer.open_socketio(), connect)


@case(
    "sio.connect.first.event",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="An event before any CONNECT closes the connection",
    expected="the connection is closed, and the event is not handled",
    why="A client could use the server without being let in.",
)
async def event_comes_first(trial: Trial) -> None:
    await trial.expect_violation(await trial.peer.open_socketio(), '42["message","first"]')


@case(
    "sio.connect.first.other",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="Any packet but a CONNECT closes the connection if it comes first",
    expected="the connection is closed upon a DISCONNECT, an ACK, a CONNECT_ERROR and a binary event",
    why="A server that waits keeps connections of peers that do not speak the protocol.",
)
async def other_packet_comes_first(trial: Trial) -> None:
    event: list[str | bytes] = ['451-["message",{"_placeholder":true,"num":0}]', b"first"]
    first: list[list[str | bytes]] = [["41"], ["431[]"], ['44{"message":"no"}'], event]
    for frames in first:
        await trial.expect_violation(await trial.peer.open_socketio(), *frames)


@case(
    "sio.connect.timeout",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A client that joins no namespace in time is disconnected",
    expected="the connection is closed once the connect timeout has passed, although pings are answered",
    why="Connections that nobody uses would be kept for ever.",
    waits=lambda target: target.connect_timeout,
)
async def timeout(trial: Trial) -> None:
    client = await patient(trial)
    seconds = trial.target.connect_timeout + trial.target.timeout
    try:
        frames = await answer_pings(client, seconds)
    except Closed:
        return
    trial.check("1" in frames, f"the connection is still open after {seconds:g} s", "it is closed")


@case(
    "sio.connect.timeout.late",
    Level.SHOULD,
    SIO_CONNECT,
    Need.WEBSOCKET,
    title="A client may take its time to join a namespace",
    expected="a CONNECT that comes when half of the connect timeout has passed is answered",
    why="Clients on slow networks would be disconnected before they can say what they want.",
    waits=lambda target: target.connect_timeout / 2,
)
async def late(trial: Trial) -> None:
    client = await patient(trial)
    await answer_pings(client, trial.target.connect_timeout / 2)
    answer = await client.connect()
    trial.equal(answer.type, PacketType.CONNECT, "the type of the answer")


@case(
    "sio.connect.timeout.met",
    Level.MUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A client that has joined a namespace outlives the connect timeout",
    expected="a message comes back when the connect timeout has passed",
    why="Every client would be disconnected after a while.",
    waits=_beyond_the_timeout,
)
async def timeout_is_met(trial: Trial) -> None:
    client = await patient(trial)
    await client.connect()
    await answer_pings(client, _beyond_the_timeout(trial.target))
    await trial.fence(client)
