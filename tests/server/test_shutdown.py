"""Cancelling `serve` is the graceful shutdown: everyone is told, handlers get a grace period, nothing is left behind."""

import logging
import re
import signal
import sys
from collections import Counter

import h11
import pytest
import trio
from support.memory import MemoryListener
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import (
    HOST,
    Closed,
    HTTPConnection,
    Peer,
    PeerError,
    SocketIOPeer,
    WebSocketPeer,
    Wire,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from trio_socketio import HTTPResponse, Server

GRACE = 4.0
REASON = "server shutting down"


class Running:
    """A server in memory that a test shuts down, and what is left of it afterwards."""

    def __init__(self, server, listener, scope, ended):
        self.server = server
        self.listener = listener
        self.peer = Peer(listener.dial, server.config.path, HOST)
        self._scope = scope
        self._ended = ended

    async def shut_down(self):
        """Cancel `serve` and return how long it took to return."""
        began = trio.current_time()
        self._scope.cancel()
        await self._ended.wait()
        return trio.current_time() - began

    def begin(self):
        self._scope.cancel()

    async def finish(self):
        await self._ended.wait()

    async def check_nothing_is_left(self):
        assert not self.server.sessions
        assert not self.server.services
        assert not self.server.sockets()
        for end in self.listener.accepted:
            with pytest.raises(trio.ClosedResourceError):
                await end.send_all(b"")


async def start(nursery, server, listener=None):
    listener = listener or KernelListener()
    ended = trio.Event()
    scope = trio.CancelScope()

    async def run(task_status):
        with scope:
            await server.serve_listeners([listener], task_status=task_status)
        ended.set()

    await nursery.start(run)
    return Running(server, listener, scope, ended)


class KernelListener(MemoryListener):
    """When it is closed, connections that nobody has accepted are reset, as the kernel does."""

    def __init__(self):
        super().__init__()
        self.accepted = []

    async def accept(self):
        self.accepted.append(await super().accept())
        return self.accepted[-1]

    async def aclose(self):
        while True:
            try:
                stream = self._receive.receive_nowait()
                stream.send_stream.close()  # without a checkpoint: this runs cancelled
                stream.receive_stream.close()
            except trio.WouldBlock:
                break
            except trio.ClosedResourceError:
                return
        await super().aclose()


class LockstepListener(KernelListener):
    """Its connections have no buffer: what a client does not read blocks the server."""

    async def dial(self):
        ours, theirs = lockstep_stream_pair()
        self.server_ends.append(theirs)
        await self._send.send(theirs)
        return ours


def recording(**options):
    """Return a server and the list of the reasons that its disconnect handler gets."""
    server = Server(**{"shutdown_grace": GRACE, **options})
    reasons = []

    @server.on("disconnect")
    async def bye(ctx, reason):
        await trio.sleep(0.01)
        reasons.append(reason)

    return server, reasons


async def test_a_websocket_gets_a_close_frame_that_says_going_away(autojump_clock, nursery):
    server, reasons = recording()
    running = await start(nursery, server)
    client = await running.peer.join()
    async with trio.open_nursery() as clients:

        async def read():
            closed = await client.transport.expect_close()
            assert closed.code == 1001

        clients.start_soon(read)
        await wait_all_tasks_blocked()
        assert await running.shut_down() < 1
    assert reasons == [REASON]
    await running.check_nothing_is_left()


async def test_what_was_emitted_before_the_shutdown_is_delivered_before_the_close_frame(autojump_clock, nursery):
    server, _ = recording()
    running = await start(nursery, server)
    client = await running.peer.join()
    for number in range(10):
        server.emit_nowait("news", number)
    running.begin()
    assert [await client.event() for _ in range(10)] == [["news", number] for number in range(10)]
    assert (await client.transport.expect_close()).code == 1001
    await running.finish()


async def test_a_pending_get_is_answered_with_a_close_packet(autojump_clock, nursery):
    server, reasons = recording()
    running = await start(nursery, server)
    client = await running.peer.join(transport="polling")
    async with trio.open_nursery() as clients:

        async def read():
            assert (await client.transport.get()).text == "1"

        clients.start_soon(read)
        await wait_all_tasks_blocked()
        assert await running.shut_down() < 1
    assert reasons == [REASON]
    await running.check_nothing_is_left()


async def test_a_polling_client_between_two_gets_is_told_by_the_next_one(autojump_clock, nursery):
    server, reasons = recording()
    running = await start(nursery, server)
    client = await running.peer.join(transport="polling")
    async with running.peer.http() as connection:
        assert (await connection.request("POST", client.transport.target(), body=b"3")).status == 200
        server.emit_nowait("last", "words")
        running.begin()
        await trio.sleep(GRACE / 4)
        assert reasons == [REASON]
        response = await connection.request("GET", client.transport.target())
        assert response.text == '42["last","words"]'
        assert response.header("connection") == "close"
        with trio.fail_after(1):
            await running.finish()
    await running.check_nothing_is_left()


async def test_a_polling_client_that_never_comes_back_is_waited_for_as_long_as_the_grace(autojump_clock, nursery):
    server, reasons = recording()
    running = await start(nursery, server)
    await running.peer.join(transport="polling")
    assert await running.shut_down() == pytest.approx(GRACE)
    assert reasons == [REASON]
    await running.check_nothing_is_left()


async def test_new_connections_are_refused_during_the_shutdown(autojump_clock, nursery):
    server, _ = recording()
    running = await start(nursery, server)
    await running.peer.join(transport="polling")
    async with running.peer.http() as connection:
        await connection.request("GET", "/")
        running.begin()
        await wait_all_tasks_blocked()
        with pytest.raises(OSError, match="refused"):
            await running.peer.dial()
        response = await connection.request("GET", running.peer.target(transport="polling"))
        assert response.status == 503
    await running.finish()
    await running.check_nothing_is_left()


async def test_a_session_that_opens_while_the_shutdown_has_begun_is_closed_too(autojump_clock, nursery):
    async def slowly(request):
        await trio.sleep(1)

    server, _ = recording(allow_request=slowly)
    running = await start(nursery, server)
    async with trio.open_nursery() as clients:

        async def poll():
            response = await running.peer.request("GET", running.peer.target(transport="polling"))
            assert response.status == 503

        async def open_websocket():
            with pytest.raises(PeerError, match="503"):
                await running.peer.open_websocket()

        clients.start_soon(poll)
        clients.start_soon(open_websocket)
        await wait_all_tasks_blocked()
        assert await running.shut_down() == pytest.approx(1)
    await running.check_nothing_is_left()


async def test_a_handler_that_ends_in_time_is_not_cancelled(autojump_clock, nursery):
    server, reasons = recording()
    ended = []

    @server.on("work")
    async def work(ctx):
        await trio.sleep(GRACE / 4)
        ended.append(list(reasons))

    running = await start(nursery, server)
    client = await running.peer.join()
    await client.emit("work")
    await wait_all_tasks_blocked()
    running.begin()
    assert (await client.transport.expect_close()).code == 1001
    await running.finish()
    assert ended == [[]]  # the disconnect handler runs after it
    assert reasons == [REASON]


async def test_handlers_that_never_return_are_cancelled_within_the_grace(autojump_clock, nursery):
    server, reasons = recording()
    cancelled = []

    async def hang(ctx):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(ctx.sid)
            raise

    server.on("hang", hang)
    server.on("hang too", hang, concurrent=True)
    running = await start(nursery, server)
    client = await running.peer.join()
    for event in ("hang", "hang too", "hang too", "hang"):
        await client.emit(event)
    await wait_all_tasks_blocked()
    running.begin()
    assert (await client.transport.expect_close()).code == 1001
    began = trio.current_time()
    await running.finish()
    assert trio.current_time() - began <= GRACE
    assert len(cancelled) == 3
    assert reasons == [REASON]
    await running.check_nothing_is_left()


async def test_a_disconnect_handler_that_never_returns_ends_with_the_grace(autojump_clock, nursery):
    server = Server(shutdown_grace=GRACE, disconnect_grace=None)
    began = []

    @server.on("disconnect")
    async def bye(ctx, reason):
        began.append(reason)
        await trio.sleep_forever()

    running = await start(nursery, server)
    await running.peer.join()
    assert await running.shut_down() <= GRACE
    assert began == [REASON]
    await running.check_nothing_is_left()


async def test_a_connect_handler_that_hangs_is_cancelled_and_its_client_told(autojump_clock, nursery):
    server, reasons = recording(disconnect_grace=None)
    cancelled = []

    @server.on("connect")
    async def connect(ctx, auth):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(ctx.sid)
            raise

    running = await start(nursery, server)
    websocket = await running.peer.open_socketio()
    await websocket.transport.send("40")
    gone = await running.peer.open_socketio()
    await gone.transport.send("40")
    await wait_all_tasks_blocked()
    await gone.transport.hang_up()  # disconnect_grace=None: its handler goes on
    await trio.sleep(20)
    assert not cancelled
    running.begin()
    closed = await websocket.transport.expect_close()
    assert closed.code == 1001
    with trio.fail_after(GRACE):
        await running.finish()
    assert len(cancelled) == 2
    assert reasons == []  # they were never connected
    await running.check_nothing_is_left()


async def test_clients_that_do_not_read_are_cut_off_when_the_grace_is_over(autojump_clock, nursery):
    server, reasons = recording()
    running = await start(nursery, server, LockstepListener())
    for _ in range(3):
        await running.peer.join()
    server.emit_nowait("news", "x" * 1000)
    await wait_all_tasks_blocked()
    assert await running.shut_down() == pytest.approx(GRACE)
    assert reasons == [REASON] * 3
    assert not server.sessions
    assert not server.services


def said_at_the_end(caplog):
    """Return at which level the log tells that something did not end in time, and what."""
    [record] = [record for record in caplog.records if "did not end in time" in record.getMessage()]
    return record.levelname, record.getMessage()


async def ask_for_nothing(peer):
    """Send a part of a request."""
    stream = await peer.dial()
    await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")


async def ask_and_read_nothing(peer):
    """Leave an answer unread."""
    stream = await peer.dial()
    await stream.send_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")


async def ask_for_large_events(peer):
    """Leave events unread that no kernel keeps."""
    client = await peer.join()
    await client.emit("flood")


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("stall", [ask_for_nothing, ask_and_read_nothing, ask_for_large_events])
async def test_clients_that_hold_up_the_end_are_nobodys_fault(autojump_clock, nursery, caplog, sockets, stall):
    caplog.set_level(logging.INFO)

    async def http(request):
        return HTTPResponse.text("x" * 10_000_000)

    server, _reasons = recording(http=http, max_buffered_bytes=20_000_000)

    @server.on("flood")
    async def flood(ctx):
        await ctx.reply("flood", "x" * 10_000_000)

    listener = MemoryListener(sockets=True) if sockets else LockstepListener()
    running = await start(nursery, server, listener)
    try:
        await stall(running.peer)
        await wait_all_tasks_blocked()
        assert await running.shut_down() == pytest.approx(GRACE, abs=0.1)
        level, told = said_at_the_end(caplog)
        assert level == "INFO"
        assert " 1 exchanges with clients and 0 handlers " in told
    finally:
        for end in listener.client_ends:
            await trio.aclose_forcefully(end)


async def hang(*_arguments):
    await trio.sleep_forever()


async def stream_forever():
    yield b"x"
    await trio.sleep_forever()


async def answer_forever(request):
    return HTTPResponse(200, {}, stream_forever())


HANGING = {
    "an http handler": ({"http": hang}, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "an answer that is streamed": ({"http": answer_forever}, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "allow_request": (
        {"allow_request": hang},
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
}


@pytest.mark.parametrize("sockets", [False, True])
@pytest.mark.parametrize("name", HANGING)
async def test_what_the_application_does_not_end_is_warned_of(autojump_clock, nursery, caplog, sockets, name):
    options, request = HANGING[name]
    listener = MemoryListener(sockets=sockets)
    running = await start(nursery, Server(shutdown_grace=GRACE, **options), listener)
    stream = await running.peer.dial()
    await stream.send_all(request)
    await wait_all_tasks_blocked()
    assert await running.shut_down() == pytest.approx(GRACE, abs=0.1)
    level, told = said_at_the_end(caplog)
    assert level == "WARNING"
    assert " 1 handlers " in told
    await trio.aclose_forcefully(stream)


@pytest.mark.parametrize("sockets", [False, True])
async def test_an_event_handler_that_does_not_end_is_warned_of(autojump_clock, nursery, caplog, sockets):
    server = Server(shutdown_grace=GRACE)

    @server.on("stay")
    async def stay(ctx):
        with trio.CancelScope(shield=True):
            await trio.sleep(GRACE)

    listener = MemoryListener(sockets=sockets)
    running = await start(nursery, server, listener)
    client = await running.peer.join()
    await client.emit("stay")
    await wait_all_tasks_blocked()
    await running.shut_down()
    level, told = said_at_the_end(caplog)
    assert level == "WARNING"
    assert " 1 handlers " in told
    for end in listener.client_ends:
        await trio.aclose_forcefully(end)


@pytest.mark.parametrize("probes", [False, True])
async def test_a_half_done_upgrade_is_closed_on_both_transports(autojump_clock, nursery, probes):
    server, reasons = recording()
    running = await start(nursery, server)
    client = await running.peer.join(transport="polling")
    told = []
    async with trio.open_nursery() as clients:

        async def poll():
            told.append((await client.transport.get()).text)

        async def read():
            told.append((await websocket.expect_close()).code)

        if not probes:
            clients.start_soon(poll)
            await wait_all_tasks_blocked()
        websocket = await running.peer.upgrade(client.transport)
        if probes:
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
            clients.start_soon(poll)  # held for a moment
        clients.start_soon(read)
        await wait_all_tasks_blocked()
        assert await running.shut_down() < 1
    assert sorted(told, key=str) == ["1", 1000]
    assert reasons == [REASON]
    await running.check_nothing_is_left()


@pytest.mark.parametrize("disconnect_grace", [100, None])
async def test_a_socket_that_is_leaving_already_keeps_its_reason_and_is_hastened(
    autojump_clock, nursery, disconnect_grace
):
    server, reasons = recording(disconnect_grace=disconnect_grace)

    @server.on("hang")
    async def hang(ctx):
        await trio.sleep_forever()

    running = await start(nursery, server)
    client = await running.peer.join()
    await client.emit("hang")
    await wait_all_tasks_blocked()
    await client.transport.hang_up()
    await trio.sleep(10)
    assert reasons == []
    assert await running.shut_down() <= GRACE
    assert reasons == ["transport close"]


async def test_the_disconnect_handler_can_still_reach_the_server(autojump_clock, nursery):
    server = Server(shutdown_grace=GRACE)
    seen = []

    @server.on("connect")
    async def connect(ctx, auth):
        await ctx.join_room("lobby")

    @server.on("disconnect")
    async def bye(ctx, reason):
        await ctx.emit("left", ctx.sid, to="lobby")
        seen.append(ctx.rooms())

    running = await start(nursery, server)
    client = await running.peer.join()
    await running.shut_down()
    assert seen == [[client.sids["/"], "lobby"]]


async def test_an_http_request_that_is_being_answered_is_finished(autojump_clock, nursery):
    async def http(request):
        await trio.sleep(1)
        return HTTPResponse.text("late")

    running = await start(nursery, Server(http=http, shutdown_grace=GRACE))
    async with trio.open_nursery() as clients:

        async def ask():
            assert (await running.peer.request("GET", "/")).text == "late"

        clients.start_soon(ask)
        await wait_all_tasks_blocked()
        assert await running.shut_down() == pytest.approx(1)


async def test_idle_keep_alive_connections_do_not_delay_the_shutdown(autojump_clock, nursery):
    running = await start(nursery, Server(shutdown_grace=GRACE))
    async with running.peer.http() as connection:
        assert (await connection.request("GET", "/")).status == 404
        assert await running.shut_down() < 1
        assert await connection.stream.receive_some() == b""


async def test_a_second_shutdown_of_the_same_server_works_like_the_first(autojump_clock, nursery):
    server, reasons = recording()
    for count in (1, 2, 3):
        running = await start(nursery, server)
        client = await running.peer.join()
        running.begin()
        assert (await client.transport.expect_close()).code == 1001
        await running.finish()
        assert reasons == [REASON] * count
        await running.check_nothing_is_left()


async def test_two_serve_calls_of_one_server_share_their_clients_and_end_apart(autojump_clock, nursery):
    server, reasons = recording()
    one = await start(nursery, server)
    two = await start(nursery, server)
    first = await one.peer.join()
    second = await two.peer.join()
    assert await server.emit("hello", broadcast=True) == 2
    assert [await first.event(), await second.event()] == [["hello"], ["hello"]]
    one.begin()
    assert (await first.transport.expect_close()).code == 1001
    await one.finish()
    assert reasons == [REASON]
    assert server.sockets() == [second.sids["/"]]
    await second.emit("unknown")
    assert await server.emit("still here") == 1
    assert await second.event() == ["still here"]
    await two.shut_down()
    await two.check_nothing_is_left()


async def test_serve_listeners_serves_several_listeners_and_closes_them_all(autojump_clock, nursery):
    server, reasons = recording()
    listeners = [MemoryListener() for _ in range(3)]
    scope = trio.CancelScope()
    ended = trio.Event()

    async def run(task_status):
        with scope:
            await server.serve_listeners(listeners, task_status=task_status)
        ended.set()

    assert await nursery.start(run) == listeners
    clients = [await Peer(listener.dial).join() for listener in listeners]
    assert await server.emit("hello") == 3
    scope.cancel()
    for client in clients:
        assert await client.event() == ["hello"]
        assert (await client.transport.expect_close()).code == 1001
    await ended.wait()
    assert reasons == [REASON] * 3
    for listener in listeners:
        with pytest.raises(OSError, match="refused"):
            await listener.dial()


async def test_serve_stream_returns_when_its_connection_ends(autojump_clock, nursery):
    server, reasons = recording()
    ours, theirs = memory_stream_pair()
    await nursery.start(server.serve_stream, theirs)
    connection = HTTPConnection(Wire(ours), HOST)
    assert (await connection.request("GET", "/", [("connection", "close")])).status == 404
    assert await ours.receive_some() == b""
    await trio.sleep(1)
    assert not server.services
    assert reasons == []


async def test_serve_stream_tells_its_client_when_it_is_cancelled(autojump_clock, nursery):
    server, reasons = recording()
    ours, theirs = memory_stream_pair()
    scope = trio.CancelScope()

    async def run():
        with scope:
            await server.serve_stream(theirs)

    nursery.start_soon(run)

    async def dial():
        return ours

    client = await Peer(dial).join()
    scope.cancel()
    assert (await client.transport.expect_close()).code == 1001
    await wait_all_tasks_blocked()
    await trio.sleep(1)
    assert reasons == [REASON]
    assert not server.sessions
    assert not server.services


async def test_the_end_of_one_serve_stream_concerns_no_other(autojump_clock, nursery):
    server, reasons = recording()

    async def open_one():
        ours, theirs = memory_stream_pair()
        nursery.start_soon(server.serve_stream, theirs)

        async def dial():
            return ours

        return await Peer(dial, server.config.path, HOST).join()

    first, second = await open_one(), await open_one()
    await first.transport.hang_up()
    await trio.sleep(10)
    assert reasons == ["transport close"]
    assert await server.emit("news") == 1
    assert await second.event() == ["news"]
    third = await open_one()
    await second.transport.hang_up()
    await trio.sleep(10)
    assert await server.emit("news") == 1
    assert await third.event() == ["news"]
    await third.transport.hang_up()
    await trio.sleep(10)
    assert not server.services


async def test_serve_stream_beside_serve_uses_the_same_service(autojump_clock, nursery):
    server, reasons = recording()
    running = await start(nursery, server)
    ours, theirs = memory_stream_pair()
    nursery.start_soon(server.serve_stream, theirs)

    async def dial():
        return ours

    client = await Peer(dial).join()
    assert len(server.services) == 1
    running.begin()
    assert (await client.transport.expect_close()).code == 1001
    await running.finish()
    assert reasons == [REASON]


async def test_a_handler_that_fails_while_it_is_cancelled_harms_nobody(autojump_clock, nursery, caplog):
    server, reasons = recording(disconnect_grace=1)

    @server.on("hang")
    async def hang(ctx):
        async def child():
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while it was cancelled")

        async with trio.open_nursery() as children:
            children.start_soon(child)
            await trio.sleep_forever()

    running = await start(nursery, server)
    bystander = await running.peer.join()
    for hang_up in (True, False):
        client = await running.peer.join()
        await client.emit("hang")
        await wait_all_tasks_blocked()
        if hang_up:
            await client.transport.hang_up()
            await trio.sleep(2)
            assert reasons == ["transport close"]
            await server.emit("news")
            assert await bystander.event() == ["news"]
    await running.shut_down()
    assert reasons == ["transport close", REASON, REASON]
    assert "while it was cancelled" in caplog.text
    await running.check_nothing_is_left()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("waits", [False, True])
async def test_a_handler_that_ends_the_program_leaves_nothing_behind(autojump_clock, error, waits):
    server, reasons = Server(), []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))

    @server.on("end")
    async def end(ctx):
        if waits:
            await trio.sleep(1)
        raise error

    listener = MemoryListener()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as inner:
            await inner.start(server.serve_listeners, [listener])
            peer = Peer(listener.dial, server.config.path, HOST)
            bystander, polling, client = await peer.join(), await peer.join(transport="polling"), await peer.join()
            await client.emit("end")
            await trio.sleep(2)
    assert caught.group_contains(error)
    assert not (server.services or server.sessions or server.sockets())
    assert reasons == [REASON] * 3
    for member in (bystander, polling):
        with pytest.raises(PeerError):
            await member.event()
    for end in listener.client_ends:
        await trio.aclose_forcefully(end)


async def test_shutting_down_without_a_client_takes_no_time(autojump_clock, nursery, caplog):
    running = await start(nursery, Server())
    assert await running.shut_down() == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def live_a_life(peer: Peer, transport: str, ends: Counter[str]) -> None:
    """Connect, chat and leave, whatever the server does meanwhile; count how it ended."""
    try:
        if transport == "upgrade":
            client = await peer.join(transport="polling")
            websocket = await peer.upgrade(client.transport)
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
            await websocket.send("5")
            client = SocketIOPeer(websocket, client.handshake)
        else:
            client = await peer.join(transport=transport)
        await client.connect("/other")
        for number in range(3):
            await client.emit("chat", number, b"bytes", id=number)
            await trio.sleep(0.3)
        answers = 0
        while answers < 6:
            await client.receive()
            answers += 1
        await client.emit("slow")
        await trio.sleep(0.5)
        if isinstance(client.transport, WebSocketPeer):
            await client.transport.hang_up()
        ends["left"] += 1
    except Closed as closed:
        ends[f"closed {closed.code}"] += 1
    except (
        OSError,
        PeerError,
        h11.RemoteProtocolError,
        LocalProtocolError,
        RemoteProtocolError,
        trio.BrokenResourceError,
    ) as error:
        ends[type(error).__name__] += 1


def lively_server():
    server = Server(shutdown_grace=GRACE, disconnect_grace=1, ping_interval=0.7, ping_timeout=0.5)
    born: Counter[str] = Counter()
    died: Counter[str] = Counter()

    @server.on("chat")
    async def chat(ctx, number, data):
        await ctx.emit("chat", number, data)
        await trio.sleep(0.1)
        return data

    @server.on("slow", concurrent=True)
    async def slow(ctx):
        await ctx.call("are you there?")

    for namespace in ("/", "/other"):

        @server.on("connect", namespace=namespace)
        async def connect(ctx, auth):
            await trio.sleep(0.05)
            await ctx.join_room("lobby")
            # A cancelled connect handler never gets here, and one that does may still find its client gone.
            if not ctx.disconnected.is_set():
                born[ctx.sid] += 1

        @server.on("disconnect", namespace=namespace)
        async def bye(ctx, reason):
            died[ctx.sid] += 1
            await trio.sleep(0.05)

    return server, born, died


async def check_life(running, born, died, tasks):
    assert born == died, "every socket that connected is told once that it has left"
    assert not died or set(died.values()) == {1}
    await running.check_nothing_is_left()
    assert trio.lowlevel.current_statistics().tasks_living == tasks


@pytest.mark.parametrize("after", [step / 10 for step in range(40)])
async def test_a_shutdown_at_any_time_ends_in_time_and_leaves_nothing(autojump_clock, after):
    server, born, died = lively_server()
    ends: Counter[str] = Counter()
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        running = await start(nursery, server, KernelListener())
        async with trio.open_nursery() as clients:
            for number in range(6):
                clients.start_soon(live_a_life, running.peer, ("websocket", "polling", "upgrade")[number % 3], ends)
            await trio.sleep(after)
            assert await running.shut_down() <= GRACE + 0.001
    assert ends.total() == 6
    assert not set(ends) & {"closed 1000", "closed 1002", "closed 1008", "closed 1011"}
    await check_life(running, born, died, tasks)


@pytest.mark.parametrize("steps", range(0, 160, 4))
async def test_a_shutdown_after_any_number_of_scheduling_steps_leaves_nothing(autojump_clock, steps):
    server, born, died = lively_server()
    ends: Counter[str] = Counter()
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        running = await start(nursery, server, KernelListener())
        async with trio.open_nursery() as clients:
            for transport in ("websocket", "polling", "upgrade"):
                clients.start_soon(live_a_life, running.peer, transport, ends)
            for step in range(steps):
                if step % 40 == 39:
                    await trio.sleep(0.06)
                await trio.lowlevel.checkpoint()
            assert await running.shut_down() <= GRACE + 0.001
    assert ends.total() == 3
    await check_life(running, born, died, tasks)


# The same from outside: a process, and a signal. What is promised must hold for the sockets of the system, too.

SCRIPT = """
import logging
import signal
import sys

import trio

from trio_socketio import Server
from trio_socketio.program import run

logging.basicConfig(level="INFO")
server = Server(shutdown_grace=1.0)


def say(word):
    print(word, flush=True)


@server.on("disconnect")
async def bye(ctx, reason):
    await trio.sleep(0.01)
    say(reason)


@server.on("hang")
async def hang(ctx):
    await ctx.emit("hangs")
    try:
        await trio.sleep_forever()
    finally:
        say("cancelled")


@server.on("thread")
async def thread(ctx):
    await ctx.emit("hangs")
    await trio.to_thread.run_sync(trio.run, trio.sleep, 60)


@server.on("many")
async def many(ctx):
    for number in range(200):
        ctx.emit_nowait("number", number, "x" * 10_000)
    say("emitted")


sys.exit(run(server, "127.0.0.1", 0, "on {url}"))
"""

PATIENCE = 20.0
"""Seconds for a process to begin, on a slow machine; and for one to end that must do so within a second's grace."""


class Process:
    """The script above, its output, and how to reach it."""

    def __init__(self, process, streams):
        self.process = process
        self._streams = streams
        self._output = b""

    async def read_until(self, word):
        with trio.fail_after(PATIENCE):
            while word not in self._output:
                chunk = await self.process.stdout.receive_some()
                assert chunk, (await self.process.stderr.receive_some()).decode()
                self._output += chunk

    async def meet(self):
        await self.read_until(b"\n")
        self.port = int(re.search(rb"on http://127\.0\.0\.1:(\d+)", self._output)[1])
        self.peer = Peer(self.dial, host=f"127.0.0.1:{self.port}")

    async def dial(self):
        self._streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self._streams[-1]

    async def end(self, number):
        """Send a signal; return the status, the words on standard output, and what is on standard error."""
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self):
        with trio.fail_after(PATIENCE):
            errors, output = b"", self._output
            async for chunk in self.process.stderr:
                errors += chunk
            async for chunk in self.process.stdout:
                output += chunk
            return await self.process.wait(), output.decode().splitlines()[1:], errors.decode()


@pytest.fixture
async def process():
    streams = []
    started = await trio.lowlevel.open_process([sys.executable, "-c", SCRIPT], stdout=-1, stderr=-1)
    try:
        found = Process(started, streams)
        await found.meet()
        yield found
    finally:
        with trio.CancelScope(shield=True):
            for stream in streams:
                await trio.aclose_forcefully(stream)
            if started.poll() is None:
                started.kill()
            await started.wait()
            await started.stdout.aclose()
            await started.stderr.aclose()


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])


@SIGNALS
async def test_a_signal_tells_clients_of_both_transports_and_runs_their_disconnect_handlers(process, number):
    websocket = await process.peer.join()
    polling = await process.peer.join(transport="polling")
    told = []
    async with trio.open_nursery() as clients:

        async def read():
            told.append((await websocket.transport.expect_close()).code)

        async def poll():
            told.append((await polling.transport.get()).text)

        clients.start_soon(read)
        clients.start_soon(poll)
        await trio.sleep(0.05)
        status, words, errors = await process.end(number)
    assert status == 0
    assert sorted(told, key=str) == ["1", 1001]
    assert words == [REASON] * 2
    assert "Traceback" not in errors
    with pytest.raises(OSError, match=r"refused|connect"):
        await process.dial()


async def test_what_waits_for_a_client_is_delivered_before_a_process_ends(process):
    client = await process.peer.join()
    await client.emit("many")
    await process.read_until(b"emitted")  # 2 MB: more than the kernel takes while nobody reads
    process.process.send_signal(signal.SIGTERM)
    numbers = [(await client.event())[1] for _ in range(200)]
    assert numbers == list(range(200))
    assert (await client.transport.expect_close()).code == 1001
    status, words, _ = await process.ended()
    assert (status, words) == (0, ["emitted", REASON])


@SIGNALS
async def test_new_connections_are_refused_and_handlers_that_never_return_cancelled(process, number):
    client = await process.peer.join()
    await client.emit("hang")
    assert await client.event() == ["hangs"]
    process.process.send_signal(number)
    assert (await client.transport.expect_close()).code == 1001
    with pytest.raises(OSError, match=r"refused|connect"):
        await process.dial()
    status, words, errors = await process.ended()
    assert (status, words) == (0, ["cancelled", REASON])
    assert "Traceback" not in errors


async def test_clients_that_do_not_read_and_pollers_that_stay_away_do_not_hold_up_the_end(process):
    deaf = await process.peer.join()
    await deaf.emit("many")
    await process.read_until(b"emitted")
    await process.peer.join(transport="polling")
    status, words, errors = await process.end(signal.SIGTERM)
    assert (status, words) == (0, ["emitted", REASON, REASON])
    assert "INFO:trio_socketio.server:shutting down: 2 sessions, 1 exchanges with clients and 0 handlers" in errors


@SIGNALS
async def test_a_second_signal_ends_a_process_whose_handler_waits_for_a_thread(process, number):
    client = await process.peer.join()
    await client.emit("thread")
    assert await client.event() == ["hangs"]
    process.process.send_signal(number)
    assert (await client.transport.expect_close()).code == 1001
    status, _, errors = await process.end(number)
    assert status == -number
    assert "Traceback" not in errors
