"""Whatever comes as packets of Engine.IO: too many, of the wrong kind, or in the name of others."""

from contextlib import suppress

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.hostile import (
    answer,
    drop,
    exchange,
    expect_ended,
    flood,
    in_waves,
    neighbour,
    read_all,
    request,
    say,
    settled,
)
from trio_socketio.conformance.peer import Closed, PeerError, Polling, WebSocketPeer, frame, open_packet
from trio_socketio.conformance.sections import (
    EIO_ENCODING,
    EIO_HANDSHAKE,
    EIO_HEARTBEAT,
    EIO_POLLING_ENCODING,
    EIO_QUERY,
    EIO_RECEIVING,
    EIO_SENDING,
    EIO_UPGRADE,
)
from trio_socketio.conformance.trial import BAD_REQUEST, OK, Trial
from trio_socketio.protocol import engineio

TEXT, BINARY = 0x1, 0x2
SEPARATOR = "\x1e"
SESSIONS = 200
PACKETS = 1000
ECHOES = 10
POSTS = 20


async def _open_polling(trial: Trial) -> Polling:
    session = await trial.open("polling")
    assert isinstance(session, Polling)  # noqa: S101  # asked for
    return session


async def _open_websocket(trial: Trial) -> WebSocketPeer:
    session = await trial.open("websocket")
    assert isinstance(session, WebSocketPeer)  # noqa: S101  # asked for
    return session


def _payload(trial: Trial, content: str) -> str:
    return SEPARATOR.join(str(packet) for packet in trial.dialect.say(content))


@case(
    "robust.engineio.payload.many",
    Level.ROBUST,
    EIO_POLLING_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="A payload of a thousand packets is taken whole, or refused whole",
    expected=f"status 200, and the {ECHOES} messages among the {PACKETS} packets come back in order; or status 4xx",
    why="A client that was offline sends all it has at once; what is dropped without a word is lost.",
)
async def many_packets(trial: Trial) -> None:
    session = await _open_polling(trial)
    step = PACKETS // ECHOES
    packets = [_payload(trial, f"{index}") if index % step == 0 else "3" for index in range(PACKETS)]
    response = await session.post(SEPARATOR.join(packets))
    if response.status == OK:
        for index in range(0, PACKETS, step):
            await trial.hear(session, f"{index}")
    else:
        trial.within(response.status, range(400, 500), "the status")


@case(
    "robust.engineio.payload.separators",
    Level.ROBUST,
    EIO_POLLING_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="A payload of ten thousand separators is refused, passed over, or ends the session",
    expected="an answer; then a message comes back, or the session is over",
    why="It splits into as many empty packets; code that looks at the type of each fails on the first.",
)
async def separators(trial: Trial) -> None:
    session = await _open_polling(trial)
    await answer(trial, _post(trial, session, SEPARATOR * 10_000))
    await settled(session, trial)


def _post(trial: Trial, session: Polling, body: str) -> bytes:
    data = body.encode()
    lines = (f"Content-Length: {len(data)}", "Content-Type: text/plain;charset=UTF-8")
    return request(trial, session.target(), *lines, method="POST", body=data)


@case(
    "robust.engineio.packet.websocket",
    Level.ROBUST,
    EIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Packets that no client sends are passed over, or end the session",
    expected="a message comes back, or the session is over, after an open packet, an upgrade without a probe, unknown types, a "
    "letter, and digits of other scripts",
    why="Whatever a parser raises for them must not reach anybody but the client that sent them.",
)
async def packets_over_websocket(trial: Trial) -> None:
    for text in ("0{}", "5", "6", "7", "9abc", "-1", "é", "٤hello", "\x00", "b!!!", " 4a"):
        websocket = await _open_websocket(trial)
        await websocket.send(text)
        await settled(websocket, trial)


@case(
    "robust.engineio.packet.polling",
    Level.ROBUST,
    EIO_POLLING_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="Packets that no client posts are passed over, or end the session",
    expected="an answer; then a message comes back, or the session is over, after an open packet, an upgrade, unknown types, and "
    "base64 that is none",
    why="Whatever a parser raises for them must not reach anybody but the client that sent them.",
)
async def packets_over_polling(trial: Trial) -> None:
    for text in ("0{}", "5", "6", "9abc", "é", "b!!!", "bQQ="):
        polling = await _open_polling(trial)
        await polling.post(text)
        await settled(polling, trial)


@case(
    "robust.engineio.flood.sessions",
    Level.ROBUST,
    EIO_HANDSHAKE,
    Need.POLLING,
    Need.ECHO,
    title="Sessions that are opened and left alone harm nobody",
    expected=f"while {SESSIONS} are opened over long-polling, a client that is connected stays so, and is served",
    why="A script that opens sessions in a loop, or a load balancer that checks the server's health so, must not end it.",
)
async def session_flood(trial: Trial) -> None:
    data = request(trial)

    async def open_and_leave() -> None:
        wire = await trial.peer.connect()
        await wire.send(data)
        with wire.patient("neither an answer nor the end of the connection came"):
            await wire.receive()
        await wire.hang_up()

    async with neighbour(trial):
        await in_waves(SESSIONS, open_and_leave)


@case(
    "robust.engineio.flood.polls",
    Level.ROBUST,
    EIO_RECEIVING,
    Need.POLLING,
    Need.ECHO,
    title="Many polls for one session at once harm nobody but that session",
    expected="while 40 polls wait, or are refused, a client that is connected stays so, and is served",
    why="A page that retries without waiting must not take the others with it.",
)
async def poll_flood(trial: Trial) -> None:
    session = await _open_polling(trial)
    async with neighbour(trial):
        wires = [await trial.peer.connect() for _ in range(40)]
        for wire in wires:
            with suppress(Closed):
                await say(wire, request(trial, session.target()))
        await trial.expect_served()
        for wire in wires:
            await trio.aclose_forcefully(wire.stream)


@case(
    "robust.engineio.flood.posts",
    Level.ROBUST,
    EIO_SENDING,
    Need.POLLING,
    Need.ECHO,
    title="Posts for one session from many connections are each taken whole, or refused whole",
    expected=f"an answer, or the end of the connection, for each of {POSTS}; if all are 200, each message comes back once",
    why="Two requests that are read into one buffer mix what two parts of a page have sent.",
)
async def post_flood(trial: Trial) -> None:
    session = await _open_polling(trial)
    contents = [f"post {number} " + "x" * 500 for number in range(POSTS)]
    statuses: list[int | None] = []

    async def post(content: str) -> None:
        statuses.append(await answer(trial, _post(trial, session, _payload(trial, content))))

    async with trio.open_nursery() as nursery:
        for content in contents:
            nursery.start_soon(post, content)
    if set(statuses) == {OK}:
        expected = sorted(str(packet) for content in contents for packet in trial.dialect.back(content))
        got = sorted([str(await trial.next(session)) for _ in expected])
        trial.equal(got, expected, "what came back")
    else:
        trial.check(all(status in (OK, None) or status >= BAD_REQUEST for status in statuses if status), f"{statuses}")


@case(
    "robust.engineio.flood.pongs",
    Level.ROBUST,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A thousand pongs that nobody asked for are ignored, or end the session",
    expected="a message comes back, or the connection has ended",
    why="A server that begins a new timer for each keeps thousands of them.",
)
async def pong_flood(trial: Trial) -> None:
    websocket = await _open_websocket(trial)
    await flood(websocket, [frame(TEXT, b"3")] * 1000)
    await settled(websocket, trial)


@case(
    "robust.engineio.flood.pings",
    Level.ROBUST,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Pings from the client, which only the server may send, are answered, ignored, or end the session",
    expected="a message comes back, or the connection has ended",
    why="Clients of older revisions of the protocol send them.",
)
async def ping_flood(trial: Trial) -> None:
    websocket = await _open_websocket(trial)
    await flood(websocket, [frame(TEXT, b"2"), frame(TEXT, b"2probe")] * 200)
    await settled(websocket, trial)


@case(
    "robust.engineio.flood.probes",
    Level.ROBUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="Many WebSockets that probe for one session do not end it",
    expected="after 10 of them have come and gone, each with many probes, messages come back over long-polling",
    why="A network that breaks every upgrade would otherwise break what works without one.",
)
async def probe_flood(trial: Trial) -> None:
    session = await _open_polling(trial)
    probes = frame(TEXT, b"2probe") * 50
    for _ in range(5):
        for _ in range(2):
            with suppress(PeerError):  # of several that probe at once, a server may refuse all but one
                await drop(await trial.peer.upgrade(session), probes)
        await trial.echo(session, "still polling")


@case(
    "robust.engineio.upgrade.garbage",
    Level.ROBUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="Garbage on the WebSocket of an upgrade harms nobody but its session",
    expected="the end of that WebSocket for reserved bits, invalid UTF-8, binary, no mask, and other packets than a probe",
    why="A server has been ended by one such frame, because nobody handled the errors of a WebSocket before its probe.",
)
async def garbage_while_probing(trial: Trial) -> None:
    frames = (
        frame(TEXT, b"2probe", reserved=7),
        frame(TEXT, b"2\xff\xfe"),
        frame(BINARY, b"2probe"),
        frame(TEXT, b"2probe", masked=False),
        frame(TEXT, b"4hello"),
        frame(TEXT, b""),
    )
    for data in frames:
        session = await _open_polling(trial)
        websocket = await trial.peer.upgrade(session)
        with suppress(Closed):
            await websocket.send_raw(data)
        await expect_ended(trial, websocket, f"the bytes {data.hex(' ')} instead of a probe")


@case(
    "robust.engineio.upgrade.hang-up",
    Level.ROBUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A WebSocket that ends during the upgrade leaves the polling session as it was",
    expected="a message comes back over long-polling when the WebSocket ended before the probe, after it, or after its answer",
    why="Proxies that allow the handshake of a WebSocket and nothing more are common; long-polling is there for them.",
)
async def hang_up_while_upgrading(trial: Trial) -> None:
    for step in ("before the probe", "after the probe", "after the answer"):
        session = await _open_polling(trial)
        websocket = await trial.peer.upgrade(session)
        if step != "before the probe":
            await websocket.send("2probe")
        if step == "after the answer":
            trial.equal(await websocket.receive(), "3probe", "the answer to the probe")
        await websocket.hang_up()
        await trial.echo(session, step)


@case(
    "robust.engineio.upgrade.hang-up-at-end",
    Level.ROBUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A session whose WebSocket ends right after the upgrade is over",
    expected="status 400 for polls and posts of the session, and a client that is connected meanwhile is served",
    why="A session without a transport would be kept for ever.",
)
async def hang_up_after_upgrading(trial: Trial) -> None:
    session = await _open_polling(trial)
    async with neighbour(trial):
        websocket = await trial.upgrade(session)
        await websocket.hang_up()
        await trial.expect_unknown(session)
        trial.equal((await session.post("3")).status, BAD_REQUEST, "the status of a POST")


@case(
    "robust.engineio.upgrade.of-another",
    Level.ROBUST,
    EIO_UPGRADE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The session of a client that uses a WebSocket cannot be taken over with its sid",
    expected="a refusal or a Close frame for another WebSocket with the sid, 400 for GET and POST, and the client is served",
    why="A sid that was read over someone's shoulder, or in a log, would be enough to read or end that session.",
)
async def take_over(trial: Trial) -> None:
    victim = await _open_websocket(trial)
    sid = open_packet(engineio.decode_packet(victim.frames[0])).sid
    try:
        thief = await trial.peer.open_websocket(trial.peer.target(transport="websocket", sid=sid))
    except PeerError:
        thief = None
    if thief:
        with suppress(Closed):
            await thief.send("2probe")
            await thief.send("5")
        await expect_ended(trial, thief, "a probe with the sid of another client")
    await trial.echo(victim, "mine")
    target = trial.peer.target(transport="polling", sid=sid)
    trial.equal((await trial.peer.request("GET", target)).status, BAD_REQUEST, "the status of a GET with the sid")
    trial.equal((await trial.peer.request("POST", target, body=b"1")).status, BAD_REQUEST, "the status of a POST")
    await trial.echo(victim, "still mine")


@case(
    "robust.engineio.jsonp",
    Level.ROBUST,
    EIO_QUERY,
    Need.POLLING,
    title="What a query asks to be called does not come back as a script",
    expected="no answer with the text of the parameter `j` in it",
    why="Older servers wrapped answers for script tags; what was asked for there ran in other people's pages.",
)
async def jsonp(trial: Trial) -> None:
    for trick in ("alert(1)", "%3Cscript%3Ealert(1)%3C/script%3E", "0;alert(1)//"):
        wire = await trial.peer.connect()
        await say(wire, request(trial, f"{trial.peer.target(transport='polling')}&j={trick}", "Connection: close"))
        trial.check(b"alert(1)" not in await read_all(wire), f"the answer to j={trick} has it in it")


@case(
    "robust.engineio.poll.hang-up",
    Level.ROBUST,
    EIO_RECEIVING,
    Need.POLLING,
    Need.ECHO,
    title="Clients that hang up while they wait for a poll harm nobody",
    expected="while 20 sessions do, a client that is connected stays so, and is served",
    why="Every page that is closed does this; the answer is written to a connection that is gone.",
)
async def hang_up_while_polling(trial: Trial) -> None:
    async with neighbour(trial):
        for _ in range(20):
            session = await trial.open_polling()
            wire = await trial.peer.connect()
            await say(wire, request(trial, session.target()))
            await wire.hang_up()
            with suppress(PeerError):
                await trial.peer.request("POST", session.target(), body=b"1")


@case(
    "robust.engineio.close.hang-up",
    Level.ROBUST,
    EIO_RECEIVING,
    Need.ECHO,
    title="A close packet and the end of the connection at the same moment harm nobody",
    expected="while clients leave so, over each transport, a client that is connected stays so, and is served",
    why="Two reasons for one end must not end a session twice.",
)
async def close_and_hang_up(trial: Trial) -> None:
    async with neighbour(trial):
        for _ in range(5):
            if Need.WEBSOCKET not in trial.target.lacks:
                await drop(await _open_websocket(trial), frame(TEXT, b"1") * 2 + frame(0x8, b"\x03\xe8"))
            if Need.POLLING not in trial.target.lacks:
                session = await _open_polling(trial)
                wire = await trial.peer.connect()
                await exchange(wire, _post(trial, session, f"1{SEPARATOR}1"))
                await wire.hang_up()
