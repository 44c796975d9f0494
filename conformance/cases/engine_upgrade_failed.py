"""Upgrades that fail: the WebSocket is lost then, and the session goes on over polling."""

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed
from trio_socketio.conformance.sections import EIO_UPGRADE
from trio_socketio.conformance.trial import Trial


@case(
    "eio.upgrade.failed.wrong-probe",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A wrong probe costs the WebSocket, not the session",
    expected="the WebSocket is closed after 2wrong, without an answer, and polling goes on",
    why="A WebSocket through a broken proxy must not end a session that works over polling.",
)
async def wrong_probe(trial: Trial) -> None:
    await _fails(trial, ["2wrong"])


@case(
    "eio.upgrade.failed.message-first",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A message before the probe costs the WebSocket, not the session",
    expected="the WebSocket is closed, the message is not answered, and polling goes on",
    why="The WebSocket is not the transport yet: taken in, its messages would overtake those of polling.",
)
async def message_first(trial: Trial) -> None:
    await _fails(trial, trial.dialect.say("too early"))


@case(
    "eio.upgrade.failed.no-packet",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A frame that is no packet costs a probing WebSocket, not the session",
    expected="the WebSocket is closed after abc, and polling goes on",
    why="A WebSocket through a broken proxy must not end a session that works over polling.",
)
async def no_packet(trial: Trial) -> None:
    await _fails(trial, ["abc"])


async def _fails(trial: Trial, frames: list[str | bytes]) -> None:
    session = await trial.open("polling")
    websocket = await trial.peer.upgrade(session)
    for frame in frames:
        await websocket.send(frame)
    await trial.expect_closed(websocket)
    trial.equal(websocket.frames, [], "the list of frames before the close")
    await trial.echo(session, "over polling")


@case(
    "eio.upgrade.failed.no-probe",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="An upgrade packet without a probe leaves the session on one transport",
    expected="either the WebSocket is closed and polling goes on, or the WebSocket has taken over",
    why="A session between two transports answers on neither.",
)
async def no_probe(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.peer.upgrade(session)
    try:
        await websocket.send("5")
        await trial.echo(websocket, "over the WebSocket")
    except Closed:
        await trial.echo(session, "over polling")


@case(
    "eio.upgrade.failed.unprobed",
    Level.MAY,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="An upgrade packet without a probe costs the WebSocket, not the session",
    expected="the WebSocket is closed after 5, and polling goes on",
    why="The probe is how both sides know that the WebSocket carries frames both ways.",
)
async def unprobed(trial: Trial) -> None:
    await _fails(trial, ["5"])


@case(
    "eio.upgrade.failed.lost",
    Level.MUST,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A WebSocket that dies while it probes leaves polling as it was",
    expected="messages go both ways over polling, after it died before the probe and after it",
    why="Where WebSockets are blocked the client stays with polling; its session must not suffer from the attempt.",
)
async def lost(trial: Trial) -> None:
    for probes in (False, True):
        session = await trial.open("polling")
        websocket = await (trial.probe(session) if probes else trial.peer.upgrade(session))
        await websocket.hang_up()
        await trial.echo(session, "over polling")
        await trial.echo(session, b"over polling")


@case(
    "eio.upgrade.failed.again",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="After an upgrade that failed another can be made",
    expected="a second WebSocket completes the upgrade once the first is closed",
    why="A line that is bad for a moment should not bind the client to polling for good.",
)
async def again(trial: Trial) -> None:
    session = await trial.open("polling")
    first = await trial.probe(session)
    await first.close()
    await trial.expect_closed(first)
    await first.hang_up()
    await trial.echo(session, "over polling")
    websocket = await trial.upgrade(session)
    await trial.echo(websocket, "over the WebSocket")


@case(
    "eio.upgrade.failed.timeout",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A WebSocket that probes and never upgrades is closed, and polling goes on",
    expected="the WebSocket ends after the upgrade timeout; meanwhile and afterwards messages go over polling",
    why="Without that a session could be kept between two transports, and a connection open for nothing.",
    waits=lambda target: target.upgrade_timeout + target.ping_interval,
)
async def timeout(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.probe(session)
    websocket.wire.patience += trial.target.upgrade_timeout
    began = trio.current_time()
    ended = trio.Event()

    async def wait_for_the_end() -> None:
        await trial.expect_closed(websocket)
        ended.set()

    trial.nursery.start_soon(wait_for_the_end)
    while (
        not ended.is_set()
    ):  # as a client does that has given up the upgrade; the noops come as fast as the server likes
        if "2" in await session.poll():
            await session.send("3")
        await trio.sleep(trial.target.ping_timeout / 4)
    seconds = trio.current_time() - began
    least = trial.target.upgrade_timeout / 2
    trial.check(seconds >= least, f"it was closed after {seconds:.3f} s", f"it has {2 * least:g} s to complete")
    trial.equal(websocket.frames, ["3probe"], "the list of frames that came over the WebSocket")
    await trial.echo(session, "over polling")


@case(
    "eio.upgrade.closed",
    Level.SHOULD,
    EIO_UPGRADE,
    Need.UPGRADE,
    Need.ECHO,
    title="A session that is closed during the probe takes the WebSocket along",
    expected="after 1 by polling the WebSocket is closed, and the sid unknown",
    why="A user leaves the page just then; nobody would ever close the WebSocket.",
)
async def closed_while_probing(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.probe(session)
    await session.send("1")
    await trial.expect_closed(websocket)
    await trial.expect_unknown(session)
