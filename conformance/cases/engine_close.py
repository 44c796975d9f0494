"""The end of a session: by either side, over either transport, in order or not."""

import socket
import struct
from collections.abc import Awaitable, Callable

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_upgrade import pending_get
from trio_socketio.conformance.cases.engine_websocket import raw
from trio_socketio.conformance.peer import Response, SocketIOPeer, WebSocketPeer, open_packet
from trio_socketio.conformance.sections import EIO_PROTOCOL, EIO_RECEIVING, EIO_WEBSOCKET, FIXTURE
from trio_socketio.conformance.trial import BAD_REQUEST, OK, Trial
from trio_socketio.protocol import engineio


async def _watcher(trial: Trial) -> SocketIOPeer:
    """Return a client that is told who leaves."""
    client = await trial.join()
    await client.emit("watch")
    await trial.fence(client)
    return client


async def _joined(trial: Trial) -> tuple[WebSocketPeer, str]:
    """Return a client that has joined, and its sid."""
    client = await trial.join()
    if not isinstance(client.transport, WebSocketPeer):
        raise TypeError("`join` gives a client on a WebSocket, unless it is asked for another")
    return client.transport, client.sids["/"]


async def _expect_gone(trial: Trial, watcher: SocketIOPeer, sid: str, never: str = "") -> None:
    """Fail unless a watcher is told that a client has left, not because it fell silent, and of another event never."""
    with trio.move_on_after(trial.target.timeout):
        while True:
            event = await watcher.event()
            trial.check(event != [never], f"the event {never!r} came")
            if event[:2] == ["gone", sid]:
                trial.check(event[2:] != ["ping timeout"], "it was only noticed when a ping stayed unanswered")
                return
    trial.fail("the server did not notice that the client is gone")


# The packet `1`.


@case(
    "eio.close.polling.unknown",
    Level.MUST,
    EIO_PROTOCOL,
    Need.POLLING,
    Need.ECHO,
    title="After 1 by polling the session is over",
    expected="the POST is answered 200; from then on GET and POST are status 400",
    why="A client that leaves says so this way; the application must not think that it is still there.",
)
async def polling_unknown(trial: Trial) -> None:
    session = await trial.open("polling")
    trial.equal((await session.post("1")).status, OK, "the status of the POST")
    await trial.expect_unknown(session)
    trial.refused(await session.post("4hello"))


async def _close_while_get_waits(trial: Trial) -> Response:
    """Send 1 by polling while a GET waits, and return what that is answered."""
    tries = 0
    while True:
        session = await trial.open("polling")
        async with pending_get(trial, session) as get:
            await session.send("1")
            response = await get.receive()
        await trial.expect_unknown(session)
        if response.text != "2":
            return response
        tries += 1  # the ping was first, and no GET waited: once more
        trial.check(tries < 3, "the GET is answered with the next ping")


@case(
    "eio.close.polling.pending-get",
    Level.SHOULD,
    EIO_RECEIVING,
    Need.POLLING,
    Need.ECHO,
    title="A GET that waits while the client closes is answered",
    expected="200 with 6 (noop) or 1 (close), or status 400; and the sid is unknown",
    why="The request would hang, and keep one of the few connections that a browser has for each host.",
)
async def pending_get_is_answered(trial: Trial) -> None:
    response = await _close_while_get_waits(trial)
    if response.status != BAD_REQUEST:
        trial.equal(response.status, OK, "the status of the GET")
        trial.within(response.text, ["6", "1"], "the body of the GET")


@case(
    "eio.close.polling.noop",
    Level.SHOULD,
    EIO_RECEIVING,
    Need.POLLING,
    Need.ECHO,
    title="A GET that waits while the client closes is answered with a noop",
    expected="200 with 6",
    why="The reference server does, and the published suite expects it.",
)
async def pending_get_gets_a_noop(trial: Trial) -> None:
    response = await _close_while_get_waits(trial)
    trial.equal(response.status, OK, "the status of the GET")
    trial.equal(response.text, "6", "the body of the GET")


@case(
    "eio.close.polling.twice",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.POLLING,
    Need.ECHO,
    title="Closing twice does no harm",
    expected="1 twice in one payload is taken as one, and a third, in another POST, is status 400",
    why="A page that is left in a hurry may close its session more than once.",
)
async def twice(trial: Trial) -> None:
    session = await trial.open("polling")
    trial.equal((await session.post("1\x1e1")).status, OK, "the status of the first POST")
    trial.refused(await session.post("1"))
    await trial.expect_unknown(session)


@case(
    "eio.close.polling.in-order",
    Level.MAY,
    EIO_PROTOCOL,
    Need.POLLING,
    Need.FIXTURE,
    title="Messages in front of 1 count, those behind it do not",
    expected="of three packets in one payload, a message, 1 and a message, the first reaches another client and the last not",
    why="The last word before someone leaves is often the most important one: a draft is saved, a seat given up.",
)
async def polling_in_order(trial: Trial) -> None:
    listener = await trial.join()
    session = await trial.open("polling")
    before, behind = _to(listener, "before"), _to(listener, "behind")
    await session.send(before, "1", behind)
    trial.equal(await listener.event(), ["before"], "the event that came")
    trial.equal(await trial.fence(listener), [], "the list of events that came after it")


@case(
    "eio.close.websocket.in-order",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Messages in front of a Close frame count, though nothing can be answered any more",
    expected="a message in the same segment as the Close frame reaches another client",
    why="The last word before someone leaves is often the most important one: a draft is saved, a seat given up.",
)
async def websocket_in_order(trial: Trial) -> None:
    listener = await trial.join()
    session = await trial.open("websocket")
    await session.send_raw(raw([_to(listener, "before")]) + _CLOSE_FRAME)
    trial.equal(await listener.event(), ["before"], "the event that came")


_CLOSE_FRAME = bytes.fromhex("88 82 00 00 00 00 03 e8")  # code 1000, masked with zeros


def _to(client: SocketIOPeer, event: str) -> str:
    """Return a packet that makes the fixture emit an event to a client."""
    return f'42["deliver",{{"to":"{client.sids["/"]}"}},"{event}"]'


@case(
    "eio.close.websocket.packet",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.WEBSOCKET,
    Need.ECHO,
    title="After 1 over a WebSocket the server closes it",
    expected="the WebSocket is closed, and a message behind the 1 in the same segment is not answered",
    why="A client that says so and waits for the end would wait for a ping timeout.",
)
async def websocket_packet(trial: Trial) -> None:
    session = await trial.open("websocket")
    before = len(session.frames)
    await session.send_raw(raw(["1", *trial.dialect.say("too late")]))
    await trial.expect_dropped(session)
    came = [each for each in session.frames[before:] if each != "2"]
    trial.within(came, [[], ["1"]], "the list of frames before the close")


@case(
    "eio.close.websocket.unknown",
    Level.MUST,
    EIO_RECEIVING,
    Need.WEBSOCKET,
    Need.POLLING,
    Need.ECHO,
    title="After a WebSocket has closed, its sid is unknown",
    expected="status 400 for a GET and a POST with that sid",
    why="The session is over; whoever kept its sid must not get at anything.",
)
async def websocket_unknown(trial: Trial) -> None:
    session = await trial.open("websocket")
    sid = open_packet(engineio.decode_packet(session.frames[0])).sid
    await session.close()
    await trial.expect_dropped(session)
    target = trial.peer.target(transport="polling", sid=sid)
    for method in ("GET", "POST"):
        trial.refused(await trial.peer.request(method, target, body=b"" if method == "GET" else b"4hello"))


@case(
    "eio.close.probing",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.UPGRADE,
    Need.ECHO,
    title="1 over a WebSocket that probes closes that WebSocket",
    expected="it is closed; the session either goes on over polling or is over, sid and all",
    why="A client that gives up the upgrade closes the WebSocket; nothing must be left half open.",
)
async def probing(trial: Trial) -> None:
    session = await trial.open("polling")
    websocket = await trial.probe(session)
    await websocket.send("1")
    await trial.expect_closed(websocket)
    [text] = trial.dialect.say("over polling")
    if (await session.post(str(text))).status == OK:
        await trial.hear(session, "over polling")
    else:
        await trial.expect_unknown(session)


# Connections that end.


async def _expect_end_is_noticed(trial: Trial, end: Callable[[WebSocketPeer], Awaitable[None]]) -> None:
    watcher = await _watcher(trial)
    session, sid = await _joined(trial)
    await end(session)
    await _expect_gone(trial, watcher, sid)


@case(
    "eio.close.websocket.frame",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A Close frame ends the session",
    expected="another client is told at once that this one is gone",
    why="It is how the official clients leave; a user who left must not be shown as present.",
)
async def websocket_close_frame(trial: Trial) -> None:
    await _expect_end_is_noticed(trial, WebSocketPeer.close)


@case(
    "eio.close.websocket.hang-up",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A WebSocket connection that ends without a Close frame ends the session",
    expected="another client is told at once that this one is gone",
    why="A closed tab or a killed app says no word; a user who left must not be shown as present.",
)
async def websocket_hang_up(trial: Trial) -> None:
    await _expect_end_is_noticed(trial, WebSocketPeer.hang_up)


@case(
    "eio.close.websocket.reset",
    Level.MUST,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A WebSocket connection that is reset ends the session",
    expected="another client is told at once that this one is gone",
    why="Routers and crashing machines reset connections; a user who left must not be shown as present.",
)
async def websocket_reset(trial: Trial) -> None:
    await _expect_end_is_noticed(trial, _reset)


async def _reset(session: WebSocketPeer) -> None:
    if isinstance(session.stream, trio.SocketStream):  # closing at once, with nothing lingering, resets
        session.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await session.hang_up()


@case(
    "eio.close.websocket.half-close",
    Level.SHOULD,
    EIO_WEBSOCKET,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A client that ends its half of the connection has left",
    expected="another client is told at once that this one is gone, and the server ends its half too",
    why="Nothing can come from such a client any more, no pong either; the connection would be kept for nothing.",
)
async def websocket_half_close(trial: Trial) -> None:
    watcher = await _watcher(trial)
    session, sid = await _joined(trial)
    if not isinstance(session.stream, trio.abc.HalfCloseableStream):
        trial.skip("a TLS connection has no halves that end on their own")
    await session.stream.send_eof()
    await _expect_gone(trial, watcher, sid)
    await session.expect_end()


# The server closes.


@case(
    "eio.close.server.websocket",
    Level.MUST,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A server that ends a connection closes the WebSocket",
    expected="a Close frame, behind it nothing but the end of the connection, and the session is over",
    why="The client would take the silence for a network failure, and notice it only after a ping timeout.",
)
async def server_closes_websocket(trial: Trial) -> None:
    watcher = await _watcher(trial)
    session, sid = await _joined(trial)
    await session.send('42["hang-up"]')
    await _expect_gone(trial, watcher, sid)
    closed = await trial.expect_dropped(session)
    trial.check(closed.code is not None, "the connection ended without a Close frame")
    with session.wire.patient("the connection did not end"):
        trial.equal(await session.wire.receive(), b"", "what came behind the Close frame")


@case(
    "eio.close.server.polling",
    Level.SHOULD,
    FIXTURE,
    Need.POLLING,
    Need.FIXTURE,
    title="A server that ends a session tells a client that polls with 1",
    expected="the GET that waits, or the next, ends with 1 (close), and then the sid is unknown",
    why="A status of 400 alone is an error to the client, which tries to connect again.",
)
async def server_closes_polling(trial: Trial) -> None:
    session = await trial.open("polling")
    await session.send('42["hang-up"]')
    packets = await session.poll()
    while "1" not in packets:
        if "2" in packets:
            await session.send("3")
        packets = await session.poll()
    trial.equal(packets[-1], "1", "the last packet")
    await trial.expect_unknown(session)


@case(
    "eio.close.server.behind",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Nothing is handled that comes behind the server's own close",
    expected="an event in the same segment as the one that makes the server close reaches nobody",
    why="The application has been told that the client is gone, and acts accordingly.",
)
async def nothing_behind_server_close(trial: Trial) -> None:
    listener = await _watcher(trial)
    session, sid = await _joined(trial)
    await session.send_raw(raw(['42["hang-up"]', _to(listener, "behind")]))
    await _expect_gone(trial, listener, sid, "behind")
    events = await trial.fence(listener)
    trial.check(["behind"] not in events, "the event came")
