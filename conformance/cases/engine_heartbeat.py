"""The heartbeat: the server pings, the client answers, and whoever falls silent is given up."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Polling, WebSocketPeer
from trio_socketio.conformance.sections import EIO_HEARTBEAT
from trio_socketio.conformance.target import Target
from trio_socketio.conformance.trial import BAD_REQUEST, Session, Trial

EARLY = 0.8
"""The part of an interval that must have passed at least: timers are not that early."""

LATE = 1.75
"""Ping timeouts after which a silent client must have been given up: timers may be late, and so may the suite."""

SessionT = TypeVar("SessionT", bound=Session)


def _one_ping(target: Target) -> float:
    return target.ping_interval + target.ping_timeout


def _three_pings(target: Target) -> float:
    return 3 * _one_ping(target)


def _silence(target: Target) -> float:
    return target.ping_interval + LATE * target.ping_timeout


def _patient(trial: Trial, session: WebSocketPeer) -> WebSocketPeer:
    """Make a WebSocket wait for a ping as long as a client must."""
    session.wire.patience = trial.target.timeout + _one_ping(trial.target)
    return session


async def _ping(session: Session) -> float:
    """Wait for a ping, pass over everything else, and return when it came."""
    while await session.receive() != "2":
        pass
    return trio.current_time()


def _expect_in_time(trial: Trial, not_since: float, since: float, came: float) -> None:
    """Fail if a ping came early after a moment when the last was not yet sent, or late after one when it was."""
    interval, timeout = trial.target.ping_interval, trial.target.ping_timeout
    expected = f"it comes after {interval:g} s, and never later than {interval + timeout:g} s"
    trial.check(came - not_since >= EARLY * interval, f"a ping came after {came - not_since:.3f} s already", expected)
    trial.check(came - since <= interval + timeout, f"a ping came after {came - since:.3f} s only", expected)


@case(
    "eio.heartbeat.websocket.first",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    title="The first ping comes over the WebSocket a ping interval after the handshake, without a payload",
    expected="the frame 2, not before pingInterval and not after pingInterval + pingTimeout",
    why="A client that hears nothing for pingInterval + pingTimeout closes the connection.",
    waits=_one_ping,
)
async def first_websocket_ping(trial: Trial) -> None:
    before = trio.current_time()
    session = _patient(trial, await trial.open_websocket())
    opened = trio.current_time()
    trial.equal(await session.receive(), "2", "the first frame after the open packet")
    _expect_in_time(trial, before, opened, trio.current_time())


@case(
    "eio.heartbeat.polling.first",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.POLLING,
    title="A GET that waits is answered with the first ping, a ping interval after the handshake",
    expected="the body 2, not before pingInterval and not after pingInterval + pingTimeout",
    why="A client that hears nothing for pingInterval + pingTimeout closes the connection.",
    waits=_one_ping,
)
async def first_polling_ping(trial: Trial) -> None:
    before = trio.current_time()
    session = await trial.open_polling()
    opened = trio.current_time()
    response = await session.get()
    trial.equal(response.status, 200, "the status")
    trial.equal(response.text, "2", "the body")
    _expect_in_time(trial, before, opened, trio.current_time())


async def _three_rounds(trial: Trial, session: Session, before: float, opened: float) -> None:
    for _ in range(3):
        came = await _ping(session)
        _expect_in_time(trial, before, opened, came)
        await session.send("3")
        before = opened = came
    await trial.echo(session, "still there?")


@case(
    "eio.heartbeat.websocket.repeated",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Over a WebSocket pings go on for as long as they are answered",
    expected="three pings, each a ping interval after the last, and a session that lives on",
    why="One heartbeat that is left out ends the connection of every client.",
    waits=_three_pings,
)
async def repeated_websocket_pings(trial: Trial) -> None:
    before = trio.current_time()
    session = await trial.open_websocket()
    opened = trio.current_time()
    await trial.enter(session)
    await _three_rounds(trial, _patient(trial, session), before, opened)


@case(
    "eio.heartbeat.polling.repeated",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.POLLING,
    Need.ECHO,
    title="Over polling pings go on for as long as they are answered",
    expected="three pings, each a ping interval after the last, and a session that lives on",
    why="One heartbeat that is left out ends the connection of every client.",
    waits=_three_pings,
)
async def repeated_polling_pings(trial: Trial) -> None:
    before = trio.current_time()
    session = await trial.open_polling()
    opened = trio.current_time()
    await trial.enter(session)
    await _three_rounds(trial, session, before, opened)


@case(
    "eio.heartbeat.websocket.silence",
    Level.SHOULD,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    title="A WebSocket whose client does not answer a ping is closed after the ping timeout",
    expected="the connection ends, pingTimeout after the ping",
    why="A peer that is gone without a word would be kept for ever, and messages to it with it.",
    waits=_silence,
)
async def silent_websocket(trial: Trial) -> None:
    session = _patient(trial, await trial.open("websocket"))
    await _expect_given_up(trial, await _ping(session), trial.expect_closed, session)


@case(
    "eio.heartbeat.polling.silence",
    Level.SHOULD,
    EIO_HEARTBEAT,
    Need.POLLING,
    title="A polling session whose client does not answer a ping is over after the ping timeout",
    expected="the GET that waits then is answered, pingTimeout after the ping, and the sid is unknown",
    why="A peer that is gone without a word would be kept for ever, and messages to it with it.",
    waits=_silence,
)
async def silent_polling(trial: Trial) -> None:
    session = await trial.open("polling")
    await _expect_given_up(trial, await _ping(session), _poll_to_the_end, session)
    await trial.expect_unknown(session)


async def _poll_to_the_end(session: Polling) -> None:
    while True:
        response = await session.get()
        if response.status == BAD_REQUEST or response.text == "1":
            return


async def _expect_given_up(
    trial: Trial, pinged: float, end: Callable[[SessionT], Awaitable[object]], session: SessionT
) -> None:
    """Wait for the end of a session; fail unless it comes a ping timeout after a ping."""
    timeout = trial.target.ping_timeout
    expected = f"it ends {timeout:g} s after the ping"
    with trio.move_on_at(pinged + 2 * LATE * timeout):
        await end(session)
        seconds = trio.current_time() - pinged
        trial.check(seconds >= timeout / 2, f"the session ended {seconds:.3f} s after the ping already", expected)
        trial.check(seconds <= LATE * timeout, f"the session ended {seconds:.3f} s after the ping only", expected)
        return
    trial.fail(f"the session goes on {2 * LATE * timeout:g} s after the ping", expected)


@case(
    "eio.heartbeat.slow-pong",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A pong that takes half the ping timeout is in time",
    expected="the session lives on, and is pinged again",
    why="The client has the whole ping timeout to answer; on a slow line it needs it.",
    waits=lambda target: 2 * _one_ping(target),
)
async def slow_pong(trial: Trial) -> None:
    session = _patient(trial, await trial.open("websocket"))
    await _ping(session)
    await trio.sleep(trial.target.ping_timeout / 2)
    await session.send("3")
    await _ping(session)
    await session.send("3")
    await trial.echo(session, "still there?")


@case(
    "eio.heartbeat.any-packet",
    Level.MAY,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Whatever a client sends after a ping proves that it is alive",
    expected="a client that sends messages, though no pong, is still served after the ping timeout",
    why="Behind a long upload the pong comes late, while the line is busier than ever.",
    waits=_silence,
)
async def any_packet(trial: Trial) -> None:
    session = _patient(trial, await trial.open("websocket"))
    until = await _ping(session) + LATE * trial.target.ping_timeout
    while trio.current_time() < until:
        for each in trial.dialect.say("busy"):
            await session.send(each)
        await trio.sleep(trial.target.ping_timeout / 8)
    await session.send("3")
    for each in trial.dialect.say("still there?"):
        await session.send(each)
    await trial.hear(session, "still there?", pass_over=True)


@case(
    "eio.heartbeat.busy",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Pings come in the midst of messages too",
    expected="a ping within pingInterval + pingTimeout, though messages go both ways all the time",
    why="Clients wait for pings and not for just any packet; a busy connection would be closed by its client.",
    waits=_one_ping,
)
async def busy(trial: Trial) -> None:
    session = await trial.open_websocket()
    opened = trio.current_time()
    await trial.enter(session)
    while "2" not in session.frames:
        _expect_in_time(trial, -trial.target.ping_interval, opened, trio.current_time())
        await trial.echo(session, "busy")
        await trio.sleep(trial.target.ping_interval / 20)


@case(
    "eio.heartbeat.polling.kept",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.POLLING,
    Need.ECHO,
    title="A ping that is due while no GET waits is there for the next",
    expected="the next GET is answered with 2 at once, and after the pong the session lives on",
    why="Between two polls there is always a moment without one, and the ping is not sent again.",
    waits=_one_ping,
)
async def kept_ping(trial: Trial) -> None:
    opened = trio.current_time()
    session = await trial.open("polling")
    await trio.sleep_until(opened + trial.target.ping_interval + trial.target.ping_timeout / 4)
    response = await session.get()
    trial.equal(response.status, 200, "the status")
    trial.equal(response.text, "2", "the body")
    await session.send("3")
    await trial.echo(session, "still there?")


@case(
    "eio.heartbeat.early-pong",
    Level.SHOULD,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A pong that nobody asked for does no harm",
    expected="no answer to it; messages and the next ping come as usual",
    why="A client library with a timer of its own may send one too many.",
    waits=_one_ping,
)
async def early_pong(trial: Trial) -> None:
    session = _patient(trial, await trial.open("websocket"))
    await session.send("3")
    sent = trio.current_time()
    await trial.echo(session, "after it")
    if "2" not in session.frames:
        _expect_in_time(trial, -trial.target.ping_interval, sent, await _ping(session))


@case(
    "eio.heartbeat.wrong-direction",
    Level.MAY,
    EIO_HEARTBEAT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A client that pings breaks the protocol, and the session ends",
    expected="the server closes the WebSocket after 2, and sends no 3",
    why="It is how revision 3 was spoken: such a client waits for pongs that no server of revision 4 sends.",
)
async def wrong_direction(trial: Trial) -> None:
    session = await trial.open("websocket")
    await session.send("2")
    await trial.expect_dropped(session)
    trial.check("3" not in session.frames, "the ping was answered with a pong")


@case(
    "eio.heartbeat.upgraded",
    Level.MUST,
    EIO_HEARTBEAT,
    Need.UPGRADE,
    Need.ECHO,
    title="After an upgrade the pings come over the WebSocket",
    expected="two pings, each at most pingInterval + pingTimeout after the last, and a session that lives on",
    why="A client that hears no ping on its new transport closes the connection.",
    waits=lambda target: 2 * _one_ping(target),
)
async def upgraded(trial: Trial) -> None:
    polling: Polling = await trial.open_polling()
    last = trio.current_time()
    await trial.enter(polling)
    session = _patient(trial, await trial.upgrade(polling))
    for _ in range(2):
        came = await _ping(session)
        _expect_in_time(trial, -trial.target.ping_interval, last, came)
        await session.send("3")
        last = came
    await trial.echo(session, "still there?")


@case(
    "eio.heartbeat.upgraded.silence",
    Level.SHOULD,
    EIO_HEARTBEAT,
    Need.UPGRADE,
    Need.ECHO,
    title="After an upgrade a client that does not answer a ping is given up as before",
    expected="the WebSocket ends, pingTimeout after the ping",
    why="A peer that is gone without a word would be kept for ever.",
    waits=_silence,
)
async def upgraded_silence(trial: Trial) -> None:
    session = _patient(trial, await trial.upgrade(await trial.open("polling")))
    await _expect_given_up(trial, await _ping(session), trial.expect_closed, session)
