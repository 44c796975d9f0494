"""After the upgrade there is one transport: requests that come late, and WebSockets too many."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_upgrade import get_at_once, packets_of
from trio_socketio.conformance.cases.engine_websocket import raw
from trio_socketio.conformance.peer import Closed, PeerError, Refused, Silence, WebSocketPeer, open_packet
from trio_socketio.conformance.sections import EIO_UPGRADE, EIO_WEBSOCKET
from trio_socketio.conformance.trial import BAD_REQUEST, Trial
from trio_socketio.protocol import engineio

# After the upgrade.


@case(
    "eio.upgrade.get-after",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="After the upgrade a GET is refused",
    expected="status 400, and the WebSocket goes on",
    why="Two transports at once would split the stream of messages.",
)
async def get_after(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.upgrade(session)
    await trial.echo(websocket)
    trial.refused(await get_at_once(trial, session))
    await trial.echo(websocket, "still there?")


@case(
    "eio.upgrade.post-after",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="After the upgrade a POST is refused",
    expected="status 400, its message is not answered, and the WebSocket goes on",
    why="Two transports at once would mix up the order of messages.",
)
async def post_after(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.upgrade(session)
    await trial.echo(websocket)
    [text] = trial.dialect.say("by polling")
    trial.refused(await session.post(str(text)))
    await trial.echo(websocket, "still there?")


@case(
    "eio.upgrade.get-racing",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A GET that races with the upgrade is answered at once",
    expected="status 400, or 200 with 6 if it was first; the WebSocket goes on",
    why="A request that hangs keeps one of the few connections that a browser has for each host.",
)
async def get_racing(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.peer.upgrade(session)
    await websocket.send_raw(raw(["2probe", "5"]))
    response = await get_at_once(trial, session)
    if response.status != BAD_REQUEST:
        trial.within(packets_of(trial, response), [["6"], ["2"]], "the list of packets in the answer to the GET")
    trial.equal(await websocket.receive(), "3probe", "the first frame")
    if response.text == "2":
        await websocket.send("3")
    await trial.echo(websocket)


# WebSockets too many.


async def _expect_turned_away(trial: Trial, sid: str) -> None:
    """Fail unless a WebSocket for a session gets nowhere: refused, or closed without a word even if it probes."""
    try:
        websocket = await trial.peer.open_websocket(trial.peer.target(transport="websocket", sid=sid))
    except Silence:
        raise
    except PeerError:
        return
    await _expect_closed_unprobed(trial, websocket)


async def _expect_closed_unprobed(trial: Trial, websocket: WebSocketPeer) -> None:
    try:
        await websocket.send("2probe")
    except Closed:
        return
    await trial.expect_closed(websocket)
    trial.equal(websocket.frames, [], "the list of frames before the close")


@case(
    "eio.upgrade.second-websocket.after",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.UPGRADE,
    Need.ECHO,
    title="After the upgrade another WebSocket for the session gets nowhere",
    expected="it is refused or closed, and the first goes on",
    why="Otherwise a client that opens two would get half of its messages on each.",
)
async def second_websocket(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.upgrade(session)
    await trial.echo(websocket)
    await _expect_turned_away(trial, session.sid)
    await trial.echo(websocket, "still there?")


@case(
    "eio.upgrade.second-websocket.closed",
    Level.SHOULD,
    EIO_WEBSOCKET,
    Need.UPGRADE,
    Need.ECHO,
    title="After the upgrade another WebSocket is accepted, and closed at once",
    expected="101, then a Close frame as the first frame",
    why="To a browser a refused handshake is an error in the console; the published suite expects a close.",
)
async def second_websocket_is_closed(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.upgrade(session)
    await trial.echo(websocket)
    try:
        another = await trial.peer.upgrade(session)
    except Refused as refused:
        trial.fail(f"the WebSocket was refused with status {refused.status}")
    closed = await trial.expect_closed(another)
    trial.equal(another.frames, [], "the list of frames before the close")
    trial.check(closed.code is not None, "the connection ended without a Close frame")


@case(
    "eio.upgrade.second-websocket.probing",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.UPGRADE,
    Need.ECHO,
    title="Of two WebSockets that probe for one session, one is closed and the other can take over",
    expected="one of them is refused or closed; the other completes the upgrade",
    why="Otherwise both would take over, and the messages be split between them.",
)
async def two_probing(trial: Trial) -> None:
    session = await trial.open("polling")
    first = await trial.probe(session)
    winner = first
    try:
        second = await trial.peer.upgrade(session)
        await second.send("2probe")
        trial.equal(await second.receive(), "3probe", "the answer to the second probe")
        winner = second
    except Silence:
        raise
    except PeerError:
        pass  # refused or closed
    if winner is not first:
        try:
            await trial.expect_closed(first)
        except Silence:
            trial.fail("both probes are answered, and both WebSockets stay open")
    await winner.send("5")
    await trial.echo(winner)


@case(
    "eio.upgrade.of-websocket",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A session that began with a WebSocket takes no other",
    expected="another WebSocket with its sid is refused or closed, without an answer to its probe; the first goes on",
    why="Whoever learns a sid could take over the session.",
)
async def of_websocket(trial: Trial) -> None:
    session = await trial.open("websocket")
    await _expect_turned_away(trial, open_packet(engineio.decode_packet(session.frames[0])).sid)
    await trial.echo(session, "still there?")


@case(
    "eio.upgrade.unknown-sid",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A WebSocket with an unknown sid gets nowhere",
    expected="it is refused or closed, without an open packet or an answer to its probe",
    why="Clients come back with the sid of a session that is over; they must learn of it, to begin a new one.",
)
async def unknown_sid(trial: Trial) -> None:
    await _expect_turned_away(trial, "AAAAAAAAAAAAAAAAAAAA")
