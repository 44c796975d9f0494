"""WebSockets in an ASGI host: frames both ways in order, how they are refused and closed, and that they end in time."""

import json
import logging
import math

import pytest
import trio
from support.asgi_host import QUEUE, hosting
from support.holdings import check_consistent, settled
from trio.testing import wait_all_tasks_blocked
from trio_socketio.server.limits import Limits
from trio_socketio.server.net.websocket import CLOSE_TIMEOUT

from trio_socketio import ConnectionRefused, Server

WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"
POLLING = "/socket.io/?EIO=4&transport=polling"


def recording(**options):
    """Return a server that echoes, and the list of the reasons that its disconnect handler gets."""
    server = Server(**options)
    reasons = []

    @server.on("echo")
    async def echo(ctx, *args):
        await ctx.emit("echoed", *args)

    @server.on("kick")
    async def kick(ctx):
        await ctx.emit("bye")
        await ctx.disconnect(close=True)

    @server.on("disconnect")
    async def bye(ctx, reason):
        reasons.append(reason)

    return server, reasons


async def join(host, **options):
    """Open a session by WebSocket and join the root namespace."""
    websocket = host.websocket(WEBSOCKET, **options)
    await websocket.open()
    assert (await websocket.receive()).startswith("0{")
    await websocket.send("40")
    assert (await websocket.receive()).startswith('40{"sid":')
    return websocket


async def open_by_polling(host):
    """Open a session by polling, join the root namespace, and return its sid."""
    sid = json.loads((await host.request("GET", POLLING)).body[1:])["sid"]
    await host.request("POST", f"{POLLING}&sid={sid}", body=b"40")
    await host.request("GET", f"{POLLING}&sid={sid}")
    return sid


# Frames.


async def test_a_session_lives_by_websocket(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        (service,) = server.services
        before = await settled(service)
        websocket = await join(host)
        await websocket.send('42["echo","grüß dich"]')
        assert await websocket.receive() == '42["echoed","grüß dich"]'
        await websocket.send('451-["echo",{"_placeholder":true,"num":0}]')
        await websocket.send(b"\x00\xff")
        assert await websocket.receive() == '451-["echoed",{"_placeholder":true,"num":0}]'
        assert await websocket.receive() == b"\x00\xff"
        check_consistent(server)
        await websocket.hang_up(1001)
        await websocket.ended.wait()
        assert await settled(service) == before
    assert reasons == ["transport close"]


async def test_it_is_pinged_and_must_answer(autojump_clock):
    server, reasons = recording(ping_interval=10, ping_timeout=5)
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        for _ in range(3):
            assert await websocket.receive() == "2"
            await websocket.send("3")
        assert await websocket.closed() == 1000
        await websocket.ended.wait()
    assert reasons == ["ping timeout"]


async def test_the_order_is_that_of_the_calls_whoever_makes_them(autojump_clock):
    server, _ = recording()
    count, senders = 30, 8

    async with hosting(server.asgi()) as host:
        websocket = await join(host, room=0)
        expected = []

        async def emit(sender):
            for number in range(count):
                expected.append([sender, number])
                server.emit_nowait("n", sender, number, bytes([number]))
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for sender in range(senders):
                nursery.start_soon(emit, sender)
            received = []
            while len(received) < count * senders:
                head = await websocket.receive()
                sender, number, _ = json.loads(head.partition("-")[2])[1:]
                assert await websocket.receive() == bytes([number])  # nothing comes between the two
                received.append([sender, number])
        assert received == expected


async def test_a_polling_session_moves_to_a_websocket(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        (service,) = server.services
        before = await settled(service)
        sid = await open_by_polling(host)
        pending = host.http("GET", f"{POLLING}&sid={sid}")
        await pending.body()
        websocket = host.websocket(f"{WEBSOCKET}&sid={sid}")
        await websocket.open()
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        assert (await pending.answer()).text == "6"
        await websocket.send("5")
        await websocket.send('42["echo",1]')
        assert await websocket.receive() == '42["echoed",1]'
        second = host.websocket(f"{WEBSOCKET}&sid={sid}")
        await second.open()
        assert await second.closed() == 1000
        await websocket.send('42["echo",2]')
        assert await websocket.receive() == '42["echoed",2]'
        await websocket.send("1")
        assert await websocket.closed() == 1000
        await websocket.ended.wait()
        assert reasons == ["transport close"]
        assert await settled(service) == before


async def test_a_probe_that_fails_leaves_the_session_alone(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        sid = await open_by_polling(host)
        websocket = host.websocket(f"{WEBSOCKET}&sid={sid}")
        await websocket.open()
        await websocket.send("4nonsense")
        assert await websocket.closed() == 1000
        lost = host.websocket(f"{WEBSOCKET}&sid={sid}")
        await lost.open()
        await lost.hang_up()
        await lost.ended.wait()
        await host.request("POST", f"{POLLING}&sid={sid}", body=b'42["echo",1]')
        assert (await host.request("GET", f"{POLLING}&sid={sid}")).text == '42["echoed",1]'
        assert not reasons


async def test_a_websocket_over_http2_is_one(autojump_clock):
    async with hosting(Server().asgi(), http_version="2") as host:
        websocket = host.websocket(WEBSOCKET)
        drop = (b"connection", b"upgrade", b"sec-websocket-key")
        websocket.scope["headers"] = [each for each in websocket.scope["headers"] if each[0] not in drop]
        await websocket.open()
        assert (await websocket.receive()).startswith("0{")
        await websocket.hang_up()


# Refusals.


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/socket.io/?EIO=3&transport=websocket", {}, 400),
        (WEBSOCKET + "&sid=unknown", {}, 400),
        ("/socket.io/?EIO=4&transport=polling", {}, 400),
        (WEBSOCKET + "&deny=1", {}, 403),
        (WEBSOCKET, {"origin": "https://evil.example"}, 403),
        (WEBSOCKET, {"sec-websocket-version": "8"}, 426),
        (WEBSOCKET, {"sec-websocket-key": "short"}, 400),
        ("/socket.io/?" + "a&" * 100, {}, 400),
        ("/elsewhere", {}, 404),
    ],
)
@pytest.mark.parametrize("says_why", [True, False])
async def test_a_websocket_is_refused_by_an_http_answer_if_the_host_can(
    autojump_clock, target, headers, status, says_why
):
    async def allow_request(request):
        if "deny" in request.query:
            raise ConnectionRefused("no")

    server = Server(allow_request=allow_request)
    async with hosting(server.asgi(), extensions=("websocket.http.response",) if says_why else ()) as host:
        websocket = host.websocket(target, headers)
        await websocket.say({"type": "websocket.connect"})
        refusal = await websocket.hear()
        if says_why:
            assert (refusal["type"], refusal["status"]) == ("websocket.http.response.start", status)
            body = await websocket.hear()
            assert body["type"] == "websocket.http.response.body"
            assert dict(refusal["headers"])[b"content-length"] == str(len(body["body"])).encode()
        else:
            assert refusal == {"type": "websocket.close"}
        await websocket.ended.wait()
        assert not server.sessions


async def test_a_client_that_is_gone_during_its_opening_handshake_opens_no_session(autojump_clock):
    server, _ = recording()
    async with hosting(server.asgi()) as host:
        gone = host.websocket(WEBSOCKET)
        await gone.hang_up()
        await gone.ended.wait()
        gone = host.websocket(WEBSOCKET)
        gone.lost = True
        await gone.say({"type": "websocket.connect"})
        await gone.ended.wait()
        assert not server.sessions


async def test_a_client_that_does_not_read_the_answer_to_its_opening_handshake_is_not_waited_for(autojump_clock):
    server = Server(limits=Limits(write_timeout=3))
    async with hosting(server.asgi()) as host:
        websocket = host.websocket(WEBSOCKET, room=0)
        await websocket.say({"type": "websocket.connect"})
        await websocket.ended.wait()
        assert trio.current_time() == pytest.approx(3, abs=0.1)
        assert server.stats()["limits"]["write_timeout"] == 1


# Limits.


@pytest.mark.parametrize("frame", ["4" + "ä" * 51, b"\x00" * 101])
async def test_a_message_that_is_too_large_ends_the_session(autojump_clock, frame):
    server, reasons = recording(max_payload=100)
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        await websocket.send(frame)
        await websocket.send(frame)
        assert await websocket.closed() == 1009
        await websocket.ended.wait()
        assert server.stats()["limits"]["max_payload"] == 1
    assert reasons == ["transport error"]


async def test_what_the_protocol_does_not_allow_ends_the_session(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        await websocket.send("9")
        assert await websocket.closed() == 1008
    assert reasons == ["parse error"]


async def test_a_client_that_is_ahead_of_its_handlers_is_not_read(autojump_clock):
    server = Server(limits=Limits(waiting_events=4))
    going = trio.Event()
    handled = []

    @server.on("slow")
    async def slow(ctx, number):
        await going.wait()
        handled.append(number)

    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        sent = 0
        with trio.move_on_after(1):
            while True:
                await websocket.send(f'42["slow",{sent}]')
                sent += 1
        assert sent <= QUEUE + 5  # what the host holds, and what the server does
        going.set()
        for number in range(sent, 50):
            await websocket.send(f'42["slow",{number}]')
        await wait_all_tasks_blocked()
        assert handled == list(range(50))
        await websocket.hang_up()


async def test_a_client_that_does_not_read_fills_its_buffer_and_no_more(autojump_clock, caplog):
    server, reasons = recording(max_buffered_packets=10)
    async with hosting(server.asgi()) as host:
        websocket = await join(host, room=0)
        for number in range(20):
            server.emit_nowait("n", number)
            await trio.lowlevel.checkpoint()
        began = trio.current_time()
        await websocket.ended.wait()  # its writer, which the host does not listen to, is cut
        assert trio.current_time() - began == pytest.approx(CLOSE_TIMEOUT)
        assert not server.sessions
    assert reasons == ["forced close"]


async def test_an_emit_waits_for_room_in_the_buffer_of_its_only_recipient(autojump_clock):
    server = Server(max_buffered_packets=5)
    done = []

    @server.on("flood")
    async def flood(ctx):
        for number in range(20):
            await ctx.emit("n", number)
            done.append(number)

    async with hosting(server.asgi()) as host:
        websocket = await join(host, room=0)
        await websocket.send('42["flood"]')
        await wait_all_tasks_blocked()
        assert len(done) < 10
        for number in range(20):
            assert await websocket.receive() == f'42["n",{number}]'
        await wait_all_tasks_blocked()
        assert len(done) == 20
        await websocket.hang_up()


async def test_a_host_that_says_nothing_more_means_that_the_client_is_gone(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        websocket.to_app.close()
        await websocket.ended.wait()
        assert not server.sessions
    assert reasons == ["transport error"]


# The end.


async def test_the_last_words_leave_before_the_server_closes(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        await websocket.send('42["kick"]')
        assert await websocket.receive() == '42["bye"]'
        assert await websocket.closed() == 1000
        await websocket.ended.wait()
    assert reasons == ["server namespace disconnect"]


async def test_a_host_that_does_not_say_that_it_is_closed_is_not_waited_for(autojump_clock):
    server, _ = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        await websocket.send('42["kick"]')
        began = trio.current_time()
        await websocket.ended.wait()
        assert trio.current_time() - began == pytest.approx(CLOSE_TIMEOUT)
        assert not server.sessions


async def test_everyone_is_told_of_the_shutdown(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        probing = host.websocket(f"{WEBSOCKET}&sid={await open_by_polling(host)}")
        await probing.open()
        server.emit_nowait("last", "words")
        await host.life.say({"type": "lifespan.shutdown"})
        assert await websocket.receive() == '42["last","words"]'
        assert await websocket.closed() == 1001
        assert await probing.closed() == 1000
        assert (await host.life.hear())["type"] == "lifespan.shutdown.complete"
        await host.life.ended.wait()
        assert trio.current_time() < 6
    assert reasons == ["server shutting down"] * 2


async def test_a_client_that_does_not_read_does_not_hold_up_the_shutdown(autojump_clock):
    server, reasons = recording(shutdown_grace=2)
    async with hosting(server.asgi()) as host:
        websocket = await join(host, room=0)
        server.emit_nowait("last", "words")
        began = trio.current_time()
        await host.stop()
        await websocket.ended.wait()
        assert trio.current_time() - began == pytest.approx(2)
    assert reasons == ["server shutting down"]


@pytest.mark.parametrize("room", [math.inf, 0])
async def test_a_websocket_that_the_host_cancels_tells_its_client(autojump_clock, room):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        (service,) = server.services
        before = await settled(service)
        websocket = await join(host, room=room)
        server.emit_nowait("last", "words")
        websocket.cancelling.cancel()
        assert await websocket.receive() == '42["last","words"]'
        assert await websocket.hear() == {"type": "websocket.close", "code": 1001}
        await websocket.ended.wait()
        assert await settled(service) == before
        assert reasons == ["server shutting down"]


async def test_a_websocket_that_the_host_cancels_ends_in_time_whoever_reads(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host, room=0)
        server.emit_nowait("last", "words")
        began = trio.current_time()
        websocket.cancelling.cancel()
        await websocket.ended.wait()
        assert trio.current_time() - began == pytest.approx(CLOSE_TIMEOUT)
    assert reasons == ["server shutting down"]


async def test_a_host_that_cancels_everything_at_once_shuts_down(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        websocket = await join(host)
        sid = await open_by_polling(host)
        pending = host.http("GET", f"{POLLING}&sid={sid}")
        await pending.body()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        host.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert (await websocket.hear()) == {"type": "websocket.close", "code": 1001}
            assert (await pending.answer()).text == "1"
            await host.life.ended.wait()
        assert trio.current_time() - began < 1
    assert reasons == ["server shutting down"] * 2
    assert not server.sessions
    assert not server.services


async def test_a_host_that_fails_to_send_ends_the_session_and_is_reported(autojump_clock, caplog):
    server, reasons = recording()
    app = server.asgi()

    async def middleware(scope, receive, send):
        async def sending(message):
            if "echoed" in (message.get("text") or ""):
                raise RuntimeError("a bug of the host")
            await send(message)

        await app(scope, receive, sending)

    async with hosting(middleware) as host:
        websocket = await join(host)
        await websocket.send('42["echo"]')
        await websocket.ended.wait()
        assert reasons == ["transport error"]
    assert [record.levelno for record in caplog.records if "a bug of the host" in record.message] == [logging.WARNING]
