"""The upgrade from polling to a WebSocket: what is said, and that nothing is lost or doubled on the way."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_websocket import raw
from trio_socketio.conformance.peer import HTTPConnection, Polling, Response, WebSocketPeer, decode_payload
from trio_socketio.conformance.sections import EIO_UPGRADE
from trio_socketio.conformance.trial import OK, Trial
from trio_socketio.protocol import engineio


@asynccontextmanager
async def pending_get(trial: Trial, session: Polling) -> AsyncIterator[HTTPConnection]:
    """Send a GET, whose answer is read later; when the body begins the server has read it."""
    async with trial.peer.http() as connection:
        await connection.send("GET", session.target())
        await trial.peer.request(
            "GET", trial.peer.target(transport="polling", sid="unknown")
        )  # takes as long, and longer
        yield connection


async def freed(trial: Trial, session: Polling, response: Response) -> list[str | bytes]:
    """Return the packets of an answer to a GET; if that was the ping, which may come at any time, those of another GET.

    A server that frees its GETs by pings alone answers each of them so.
    """
    packets = packets_of(trial, response)
    for _ in range(2):
        if packets == ["2"]:
            await session.send("3")
            packets = packets_of(trial, await get_at_once(trial, session))
    return packets


async def get_at_once(trial: Trial, session: Polling) -> Response:
    """Poll without the patience for a ping interval: while a WebSocket probes, a GET is answered within a moment."""
    return await trial.peer.request("GET", session.target())


def packets_of(trial: Trial, response: Response) -> list[str | bytes]:
    """Return the packets of an answer to a GET."""
    trial.equal(response.status, OK, "the status of the GET")
    return [engineio.encode_packet(packet) for packet in decode_payload(response)]


async def _say(trial: Trial, session: Polling | WebSocketPeer, *contents: str | bytes) -> None:
    for content in contents:
        for each in trial.dialect.say(content):
            await session.send(each)


@case(
    "eio.upgrade.probe",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    title="A probe is answered on the WebSocket",
    expected="3probe as the first frame",
    why="Without that answer the client takes the WebSocket for broken and stays with polling.",
)
async def probe(trial: Trial) -> None:
    websocket = await trial.peer.upgrade(await trial.open_polling())
    await websocket.send("2probe")
    trial.equal(await websocket.receive(), "3probe", "the first frame")


@case(
    "eio.upgrade.pending-get",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="The probe frees a GET that waits",
    expected="the GET is answered with 6 (noop) within a moment",
    why="The client waits for its GET before it sends 5; without an answer the upgrade hangs until the next ping.",
)
async def pending_get_is_freed(trial: Trial) -> None:
    packets = await _answer_upon_probe(trial)
    for _ in range(2):
        if packets == ["2"]:  # a ping may have been first; if it always is, it was not the probe that freed the GET
            packets = await _answer_upon_probe(trial)
    trial.equal(packets, ["6"], "the list of packets in the answer to the GET")


async def _answer_upon_probe(trial: Trial) -> list[str | bytes]:
    session = await trial.open("polling")
    async with pending_get(trial, session) as get:
        await trial.probe(session)
        return packets_of(trial, await get.receive())


@case(
    "eio.upgrade.get-while-probing",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A GET that arrives after the probe is freed too",
    expected="it is answered with 6 (noop) within a moment",
    why="A client whose GET was answered just before the probe sends another one, and waits for it before it sends 5.",
)
async def get_while_probing(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.probe(session)
    packets = await freed(trial, session, await get_at_once(trial, session))
    trial.equal(packets, ["6"], "the list of packets in the answer to the GET")
    await websocket.send("5")
    await trial.echo(websocket)


@case(
    "eio.upgrade.complete",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="After 5 the WebSocket is the transport",
    expected="messages go both ways over the WebSocket, text and binary",
    why="This is what the upgrade is for.",
)
async def complete(trial: Trial) -> None:
    websocket = await trial.upgrade(await trial.open("polling"))
    for content in ("hello", b"\x01\x02\x03\x04", "world"):
        await trial.echo(websocket, content)


@case(
    "eio.upgrade.back-to-back",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="Probe, upgrade and a message may come in one segment",
    expected="3probe, then the answer to the message, over the WebSocket",
    why="A client in a hurry need not wait for the answer to the probe; the published suite does not.",
)
async def back_to_back(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.peer.upgrade(session)
    await websocket.send_raw(raw(["2probe", "5", *trial.dialect.say("hello")]))
    trial.equal(await websocket.receive(), "3probe", "the first frame")
    await trial.hear(websocket, "hello")


# Nothing lost, nothing doubled.


@case(
    "eio.upgrade.buffered",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="What polling has not fetched comes over the WebSocket, in order and once",
    expected="the answers to messages from before and during the probe, and from after the upgrade, in this order",
    why="A chat that loses or repeats its first lines, just when the page has loaded, is what users would see.",
)
async def buffered(trial: Trial) -> None:
    session = await trial.open("polling")
    await _say(trial, session, "before", b"before")
    websocket = await trial.peer.upgrade(session)
    await _say(trial, session, "attached")
    await websocket.send("2probe")
    await _say(trial, session, "probing")
    trial.equal(await websocket.receive(), "3probe", "the answer to the probe")
    await websocket.send("5")
    await _say(trial, websocket, "after", "last")
    for content in ("before", b"before", "attached", "probing", "after", "last"):
        await trial.hear(websocket, content)
    await trial.echo(websocket, "nothing more")


@case(
    "eio.upgrade.in-flight",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="What polling fetches during the probe does not come again over the WebSocket",
    expected="each answer once: with a GET or over the WebSocket",
    why="A chat line that appears twice is worse than a late one; the client cannot tell the copy from a new message.",
)
async def in_flight(trial: Trial) -> None:
    session = await trial.open("polling")
    came: list[str | bytes] = []
    async with pending_get(trial, session) as get:
        websocket = await trial.probe(session)
        await _say(trial, session, "one")
        came += await freed(trial, session, await get.receive())
    await _say(trial, session, "two")
    came += await freed(trial, session, await get_at_once(trial, session))
    await websocket.send("5")
    await _say(trial, websocket, "three")
    expected = [frame for content in ("one", "two", "three") for frame in trial.dialect.back(content)]
    while not came or came[-1] != expected[-1]:
        came.append(await trial.next(websocket))
    trial.equal([frame for frame in came if frame not in ("2", "6")], expected, "the list of packets that came")
    await trial.echo(websocket, "nothing more")


@case(
    "eio.upgrade.burst",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.FIXTURE,
    title="A stream of events goes on over the WebSocket where polling stopped",
    expected="sixty numbered events with attachments, the first from one GET, the others over the WebSocket, in order",
    why="A packet and its attachments are several messages; one that is lost, or out of place, breaks the parser.",
)
async def burst(trial: Trial) -> None:
    session = await trial.open("polling")
    await session.send('42["burst",60,true]')
    came = await session.poll()
    websocket = await trial.probe(session)
    if "2" in came:
        await session.send("3")
    await websocket.send("5")
    came = [frame for frame in came if frame not in ("2", "6")]
    while len(came) < 2 * 60:  # each has one attachment
        came.append(await trial.next(websocket))
    trial.equal([_number(frame) for frame in came], [i for i in range(60) for _ in range(2)], "the list of numbers")
    await trial.echo(websocket, "nothing more")


def _number(frame: str | bytes) -> object:
    """Return the number of a burst's event, or of its attachment."""
    if isinstance(frame, bytes):
        return int.from_bytes(frame, "big")
    try:
        return json.loads(frame.partition("-")[2])[1]
    except (ValueError, LookupError):
        return frame


@case(
    "eio.upgrade.attachments",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    Need.SOCKETIO,
    title="A packet may begin on polling, and its attachment follow over the WebSocket",
    expected="the event with its attachment comes back",
    why="The client switches between two messages, and a packet with attachments is several.",
)
async def attachment_after_upgrade(trial: Trial) -> None:
    session = await trial.open("polling")
    header, attachment = trial.dialect.say(b"\x01\x02\x03")
    await session.send(header)
    websocket = await trial.upgrade(session)
    await websocket.send(attachment)
    await trial.hear(websocket, b"\x01\x02\x03")


@case(
    "eio.upgrade.ping",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A ping that is due while the client has paused polling comes over the WebSocket",
    expected="2 over the WebSocket as soon as the upgrade is complete, and a session that lives on after the pong",
    why="If it is lost the client hears no ping in time and closes, or the server waits for a pong in vain.",
    waits=lambda target: target.ping_interval + target.ping_timeout,
)
async def ping_during_upgrade(trial: Trial) -> None:
    opened = trio.current_time()
    session = await trial.open("polling")
    websocket = await trial.probe(session)
    await trio.sleep_until(opened + trial.target.ping_interval + trial.target.ping_timeout / 4)
    await websocket.send("5")
    began = trio.current_time()
    while await websocket.receive() != "2":
        pass
    late = trio.current_time() - began
    trial.check(late <= trial.target.ping_timeout, f"the ping came {late:.3f} s after the upgrade", "it comes at once")
    await websocket.send("3")
    await trial.echo(websocket, "still there?")


@case(
    "eio.upgrade.attached",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="Polling stays the transport while a WebSocket is open that has not probed",
    expected="messages go both ways over polling, and nothing comes over the WebSocket",
    why="Some proxies let the opening handshake through and no frame behind it: such a WebSocket never probes.",
)
async def attached(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.peer.upgrade(session)
    await trial.echo(session, "over polling")
    await websocket.send("2probe")
    trial.equal(await websocket.receive(), "3probe", "the first frame over the WebSocket")
