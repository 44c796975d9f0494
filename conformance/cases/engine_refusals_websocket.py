"""The WebSockets that begin no Engine.IO session."""

from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_refusals import UNKNOWN_SID, closed_sid, polled
from trio_socketio.conformance.peer import Closed, PeerError, Refused, Silence
from trio_socketio.conformance.sections import EIO_TRANSPORTS, EIO_WEBSOCKET, rfc
from trio_socketio.conformance.trial import Trial

CLIENT_ERRORS: Final = range(400, 500)


async def turned_away(trial: Trial, target: str) -> None:
    """Fail if a WebSocket begins a session: it must be refused, or closed before an open packet has come."""
    try:
        websocket = await trial.peer.open_websocket(target)
    except Refused as refused:
        trial.within(refused.status, CLIENT_ERRORS, "the status")
        return
    try:
        frame = await websocket.receive()
    except Closed:
        return
    except Silence:
        trial.fail("the WebSocket was accepted and stays open", "it is refused or closed")
    except PeerError:  # what came is no WebSocket: the reference server writes an HTTP response behind the 101
        await websocket.expect_end()
        return
    trial.fail(f"the WebSocket was accepted, and {frame!r} came", "it is refused or closed")


# The transport and the headers that belong to it.


@case(
    "eio.handshake.polling.upgrade-headers",
    Level.SHOULD,
    EIO_TRANSPORTS,
    Need.POLLING,
    Need.WEBSOCKET,
    title="A WebSocket that asks for the polling transport begins no WebSocket session",
    expected="an HTTP answer, or a WebSocket that is closed before an open packet has come",
    why="The session would be one of polling to the server and one of WebSocket to the client, and serve neither.",
)
async def polling_upgrade_headers(trial: Trial) -> None:
    try:
        websocket = await trial.peer.open_websocket(trial.peer.target(transport="polling"))
    except Refused:  # also with 200: a server may answer without the upgrade (RFC 9110, section 7.8)
        return
    try:
        trial.fail(f"{await websocket.receive()!r} came")
    except Closed:
        return


@case(
    "eio.handshake.websocket.no-upgrade",
    Level.SHOULD,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A plain GET for the websocket transport is refused",
    expected="status 400 or 426, and no open packet",
    why="It comes from behind a proxy that drops the upgrade; the client must learn that and try polling.",
)
async def websocket_no_upgrade(trial: Trial) -> None:
    response = await polled(trial, "EIO=4&transport=websocket")
    trial.within(response.status, (400, 426), "the status")


# WebSocket.


@case(
    "eio.handshake.websocket.no-eio",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A WebSocket without EIO begins no session",
    expected="the WebSocket is refused with a status 4xx, or closed before an open packet has come",
    why="The specification calls the parameter mandatory, also for a WebSocket.",
)
async def websocket_no_eio(trial: Trial) -> None:
    await turned_away(trial, f"{trial.peer.path}?transport=websocket")


@case(
    "eio.handshake.websocket.bad-eio",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A WebSocket whose EIO is no version begins no session",
    expected="the WebSocket is refused with a status 4xx, or closed before an open packet has come",
    why="The version says how frames are to be read; a client of another one would read nonsense.",
)
async def websocket_bad_eio(trial: Trial) -> None:
    await turned_away(trial, f"{trial.peer.path}?EIO=abc&transport=websocket")


@case(
    "eio.handshake.websocket.no-transport",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A WebSocket without a transport parameter begins no session",
    expected="the WebSocket is refused with a status 4xx, or closed before an open packet has come",
    why="The specification calls the parameter mandatory, also for a WebSocket.",
)
async def websocket_no_transport(trial: Trial) -> None:
    await turned_away(trial, f"{trial.peer.path}?EIO=4")


@case(
    "eio.handshake.websocket.unknown-transport",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A WebSocket for an unknown transport begins no session",
    expected="the WebSocket is refused with a status 4xx, or closed before an open packet has come",
    why="A client must not believe that it is served over something that the server does not know.",
)
async def websocket_unknown_transport(trial: Trial) -> None:
    await turned_away(trial, f"{trial.peer.path}?EIO=4&transport=abc")


@case(
    "eio.handshake.websocket.unknown-sid",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    title="A WebSocket with a sid that nobody has begins no session",
    expected="the WebSocket is refused with a status 4xx, or closed before anything has come",
    why="It wants to go on with a session that is gone, and must learn that it is.",
)
async def websocket_unknown_sid(trial: Trial) -> None:
    await turned_away(trial, trial.peer.target(transport="websocket", sid=UNKNOWN_SID))


@case(
    "eio.handshake.websocket.closed-sid",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.UPGRADE,
    title="A WebSocket with the sid of a session that is over begins no session",
    expected="the WebSocket is refused with a status 4xx, or closed before anything has come",
    why="It wants to go on with a session that is gone, and must learn that it is.",
)
async def websocket_closed_sid(trial: Trial) -> None:
    await turned_away(trial, trial.peer.target(transport="websocket", sid=await closed_sid(trial)))


@case(
    "eio.handshake.websocket.refused-cleanly",
    Level.SHOULD,
    rfc(6455, "4.2.2"),
    Need.WEBSOCKET,
    title="A WebSocket that begins no session is refused with an HTTP answer, or closed by a Close frame",
    expected="a status 4xx instead of 101, or a Close frame: nothing that is neither HTTP nor WebSocket",
    why="A client that cannot read the answer reports a broken network instead of the mistake.",
)
async def websocket_refused_cleanly(trial: Trial) -> None:
    for query in ("transport=websocket", "EIO=4&transport=abc", f"EIO=4&transport=websocket&sid={UNKNOWN_SID}"):
        try:
            websocket = await trial.peer.open_websocket(f"{trial.peer.path}?{query}")
        except Refused as refused:
            trial.within(refused.status, CLIENT_ERRORS, f"the status of a WebSocket with {query}")
            continue
        closed = await websocket.expect_close()
        trial.check(closed.code is not None, f"a WebSocket with {query} was accepted, and ended without a Close frame")
