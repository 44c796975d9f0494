# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section H: coming and going."""

import logging

import pytest
import trio
from support.stage import staged
from trio_socketio.conformance.peer import SocketIOPeer
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import ConnectionRefused, Server, disconnect

CONNECT, DISCONNECT, EVENT, ACK = PacketType.CONNECT, PacketType.DISCONNECT, PacketType.EVENT, PacketType.ACK


def rejecting(how):
    server = Server()

    @server.on("connect")
    async def connect(ctx):
        return how(ctx)

    return server


def refuse(*args, **kwargs):
    def how(ctx):
        raise ConnectionRefused(*args, **kwargs)

    return how


@pytest.mark.parametrize(
    ("how", "payload"),
    [
        (lambda ctx: False, {"message": "Connection rejected by server"}),
        (refuse(), {"message": "Connection rejected by server"}),
        (refuse("not today"), {"message": "not today"}),
        (refuse("full", {"retry": 5}), {"message": "full", "data": {"retry": 5}}),
        (refuse(data=[]), {"message": "Connection rejected by server", "data": []}),
    ],
)
async def test_H1_a_connect_handler_rejects_with_a_message_and_data(autojump_clock, how, payload):
    async with staged(rejecting(how)) as stage:
        a = await stage.join()
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", payload)]


async def test_H1_any_other_exception_rejects_and_is_logged(autojump_clock, caplog):
    async with staged(rejecting(lambda ctx: 1 / 0)) as stage:
        a = await stage.join()
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", {"message": "Internal server error"})]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.parametrize("data", [object(), float("nan"), {1}])
async def test_H1_data_without_a_form_in_json_still_gets_an_answer(autojump_clock, caplog, data):
    async with staged(rejecting(refuse("no", data))) as stage:
        a = await stage.join()
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", {"message": "Internal server error"})]
        b = await stage.join("/x")
        assert b.types("/x") == [CONNECT]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert isinstance(record.exc_info[1], (TypeError, ValueError))


@pytest.mark.parametrize("value", [None, True, 0, "", [], "rejected"])
async def test_H1_only_false_rejects(autojump_clock, value):
    async with staged(rejecting(lambda ctx: value)) as stage:
        a = await stage.join()
        assert a.types() == [CONNECT]


async def test_H1_a_rejected_client_may_try_again(autojump_clock):
    server = Server()

    @server.on("connect")
    def connect(ctx, auth):
        return auth == {"token": "right"}

    async with staged(server) as stage:
        a = await stage.join(auth={"token": "wrong"})
        await a.connect(auth={"token": "right"})
        assert a.types() == [PacketType.CONNECT_ERROR, CONNECT]


async def test_H2_an_unknown_namespace_is_invalid(autojump_clock, stage):
    a = await stage.join("/undefined", "/")
    assert a.packets[0] == Packet(PacketType.CONNECT_ERROR, "/undefined", {"message": "Invalid namespace"})
    assert a.types() == [CONNECT]


async def test_H3_connect_comes_first_and_what_the_handler_emitted_follows(autojump_clock):
    server = Server()
    first = []

    @server.on("connect")
    async def connect(ctx, auth):
        if auth is not None:
            await ctx.emit("one")
            await ctx.emit("binary", b"\x00")
            await ctx.emit("others", to=first[0].sid)
            await ctx.emit("two", callback=lambda: None)
            await trio.sleep(5)
            await ctx.emit("three", broadcast=True)

    async with staged(server) as stage:
        first.append(await stage.join())
        b = await stage.join(auth={})
        assert first[0].events() == [["others"]]
        assert b.packets == []
        await trio.sleep(6)
        assert b.types()[0] is CONNECT
        assert b.events() == [["one"], ["binary", b"\x00"], ["two"], ["three"]]


async def test_H3_on_rejection_what_was_emitted_to_self_is_dropped(autojump_clock):
    server = Server()
    first = []

    @server.on("connect")
    async def connect(ctx, auth):
        if auth is not None:
            await ctx.emit("one", broadcast=True)
            raise ConnectionRefused("no")

    async with staged(server) as stage:
        first.append(await stage.join())
        b = await stage.join(auth={})
        assert first[0].events() == [["one"]]
        assert b.types() == [PacketType.CONNECT_ERROR]


async def test_H4_handlers_take_what_they_declare(autojump_clock):
    server = Server()
    got = []
    server.on("connect", lambda ctx: got.append(["connect"]), namespace="/one")
    server.on("connect", lambda ctx, auth: got.append(["connect", auth]), namespace="/two")
    server.on("connect", lambda *args: got.append(["connect", *args[1:]]), namespace="/any")
    server.on("disconnect", lambda ctx: got.append(["disconnect"]), namespace="/one")
    server.on("disconnect", lambda ctx, reason: got.append(["disconnect", reason]), namespace="/two")
    server.on("disconnect", lambda ctx, reason="default": got.append(["disconnect", reason]), namespace="/any")
    async with staged(server) as stage:
        for namespace in ("/one", "/two", "/any"):
            a = await stage.join(namespace, auth={"k": 1})
            await a.leave(namespace)
    reason = "client namespace disconnect"
    assert got[:2] == [["connect"], ["disconnect"]]
    assert got[2:4] == got[4:] == [["connect", {"k": 1}], ["disconnect", reason]]


async def test_H4_a_type_error_of_a_handler_is_its_own(autojump_clock, caplog):
    server = Server()
    calls = []

    @server.on("connect")
    def connect(ctx, auth):
        calls.append(auth)
        raise TypeError("of the handler")

    async with staged(server) as stage:
        a = await stage.join()
        assert a.types() == [PacketType.CONNECT_ERROR]
    assert len(calls) == 1


async def test_H5_disconnect_ends_one_namespace_and_delivers_what_came_before(autojump_clock, stage):
    a = await stage.join("/", "/x")

    async def act(ctx):
        for number in range(3):
            await ctx.emit("e", number, b"raw")
        await disconnect()
        assert await ctx.emit("after") == 0

    await stage.inside(a, act)
    assert a.types() == [CONNECT, *[PacketType.BINARY_EVENT] * 3, DISCONNECT]
    assert not a.closed.is_set()
    assert await stage.server.emit("e", namespace="/x") == 1


async def test_H5_close_ends_the_connection_after_what_came_before(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join()

    async def act(ctx):
        await ctx.emit("last", namespace="/x")
        await ctx.emit("last")
        await ctx.disconnect(close=True)

    await stage.inside(a, act)
    await a.closed.wait()
    assert a.types() == [CONNECT, EVENT, DISCONNECT]
    assert a.types("/x") == [CONNECT, EVENT, DISCONNECT]
    await stage.server.disconnect(b.sid, close=True)
    await b.closed.wait()
    assert stage.server.sockets() == []


async def test_H5_a_client_that_is_gone_already_is_no_error(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    await b.leave()
    await stage.inside(a, lambda ctx: ctx.disconnect(b.sid))
    await stage.server.disconnect("nobody", "/undefined")
    with pytest.raises(RuntimeError, match="sid="):
        await disconnect()
    assert a.types() == [CONNECT]


async def test_H6_disconnect_in_a_connect_handler_is_a_rejection(autojump_clock):
    server = Server()
    left = []

    @server.on("connect")
    async def connect(ctx):
        await ctx.emit("held")
        await ctx.join_room("r")
        await ctx.disconnect()

    @server.on("disconnect")
    def bye(ctx):
        left.append(ctx.sid)

    async with staged(server) as stage:
        a = await stage.join()
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", {"message": "Connection rejected by server"})]
        assert server.participants("r") == []
    assert left == []


async def test_H6_what_comes_after_it_does_not_run(autojump_clock):
    server = Server()
    ran = []

    @server.use
    async def turn_away(ctx):
        await ctx.disconnect()

    server.use(lambda ctx: ran.append("middleware"))
    server.on("connect", lambda ctx: ran.append("connect"))
    async with staged(server) as stage:
        a = await stage.join()
        assert a.types() == [PacketType.CONNECT_ERROR]
    assert ran == []


async def test_H6_the_whole_connection_may_be_closed_after_the_answer(autojump_clock):
    server = Server()

    @server.on("connect")
    async def connect(ctx):
        await ctx.emit("held")
        await ctx.disconnect(close=True)

    async with staged(server) as stage:
        a = await stage.join()
        await a.closed.wait()
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", {"message": "Connection rejected by server"})]


@pytest.mark.parametrize("way", ["leave", "hang_up"])
async def test_H1_a_client_that_leaves_meanwhile_gets_no_further(autojump_clock, way):
    server = Server()
    ran = []

    @server.use
    async def think(ctx):
        await trio.sleep(1)

    server.on("connect", lambda ctx: ran.append("connect"))
    server.on("disconnect", lambda ctx: ran.append("disconnect"))
    async with staged(server) as stage:
        a = await stage.join()
        await getattr(a, way)()
        await trio.sleep(2)
    assert ran == []


async def leave_by_itself(stage, a):
    await a.leave()


async def leave_by_the_server(stage, a):
    await stage.server.disconnect(a.sid)


async def lose_the_transport(stage, a):
    await a.hang_up()


async def break_the_transport(stage, a):
    await a.peer.transport.send_raw(b"\xff" * 64)


async def break_the_protocol(stage, a):
    await a.peer.transport.send("4nonsense")


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (leave_by_itself, "client namespace disconnect"),
        (leave_by_the_server, "server namespace disconnect"),
        (lose_the_transport, "transport close"),
        (break_the_transport, "transport error"),
        (break_the_protocol, "parse error"),
    ],
)
async def test_H7_the_disconnect_handler_runs_once_after_the_running_handler(autojump_clock, way, reason):
    server = Server()
    log = []

    @server.on("work")
    async def work(ctx):
        log.append("begins")
        await trio.sleep(3)
        log.append("ends")

    @server.on("disconnect")
    async def bye(ctx, why):
        log.append(str(why))
        await trio.sleep(1)

    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("work")
        await way(stage, a)
        await stage.settle()
        assert log == ["begins"]
        await trio.sleep(5)
        await server.disconnect(a.sid)
    assert log == ["begins", "ends", reason]


async def test_H7_a_silent_client_has_a_ping_timeout(autojump_clock):
    server = Server(ping_interval=10, ping_timeout=5)
    log = []
    server.on("disconnect", lambda ctx, reason: log.append(str(reason)))
    server.on("disconnect", lambda ctx, reason: log.append(str(reason)), namespace="/x")
    async with staged(server) as stage:
        silent = await stage.peer.join()
        await silent.connect("/x")
        await trio.sleep(16)
        assert log == ["ping timeout"] * 2
    assert len(log) == 2


async def test_H7_a_client_over_a_limit_has_a_forced_close(autojump_clock):
    server = Server(max_buffered_packets=3)
    log = []
    server.on("disconnect", lambda ctx, reason: log.append(str(reason)))
    async with staged(server) as stage:
        await stage.peer.join(transport="polling")
        for _ in range(5):
            server.emit_nowait("e")
        await stage.settle()
        assert log == ["forced close"]
    assert len(log) == 1


async def test_H7_at_shutdown_every_disconnect_handler_runs(autojump_clock):
    server = Server()
    log = []
    server.on("disconnect", lambda ctx, reason: log.append((ctx.sid, str(reason))))
    async with staged(server) as stage:
        members = [await stage.join() for _ in range(3)]
    assert sorted(log) == sorted((member.sid, "server shutting down") for member in members)


async def test_H7_a_rejected_client_has_no_disconnect_handler(autojump_clock):
    server = rejecting(lambda ctx: False)
    log = []
    server.on("disconnect", lambda ctx, reason: log.append(reason))
    async with staged(server) as stage:
        a = await stage.join()
        await a.hang_up()
    assert log == []


@pytest.mark.parametrize("way", [leave_by_itself, leave_by_the_server, lose_the_transport])
async def test_H8_in_the_disconnect_handler_rooms_and_data_are_there_and_others_are_reached(autojump_clock, way):
    server = Server()
    seen = []

    @server.on("connect")
    async def connect(ctx):
        ctx.data["name"] = "somebody"
        await ctx.join_room("r")

    @server.on("disconnect")
    async def bye(ctx):
        seen.append((ctx.sid, ctx.rooms(), ctx.data["name"]))
        seen.append(await ctx.emit("self"))
        seen.append(await ctx.emit("left", to=ctx.rooms()))
        seen.append(await ctx.emit("left too", broadcast=True, include_self=False))

    async with staged(server) as stage:
        a, b = await stage.join(), await stage.join()
        await way(stage, a)
        await stage.settle()
        assert seen == [(a.sid, [a.sid, "r"], "somebody"), 0, 1, 1]
        assert b.events() == [["left"], ["left too"]]
        assert a.events() == []


async def test_H9_what_a_client_sends_after_our_disconnect_is_dropped(autojump_clock, stage):
    handled = []
    stage.server.on("late", lambda ctx: handled.append(ctx.namespace))
    stage.server.on("late", lambda ctx: handled.append(ctx.namespace), namespace="/x")
    a = await stage.join("/", "/x")
    await stage.server.disconnect(a.sid)
    await a.emit("late", ack_id=1)
    await a.emit("late", b"binary")
    await a.acknowledge(0)
    await a.leave()
    await a.emit("late", namespace="/x")
    assert handled == ["/x"]
    assert not a.closed.is_set()
    await a.connect()
    await a.emit("late")
    assert handled == ["/x", "/"]


async def test_H10_events_of_one_client_run_one_after_another_and_clients_are_concurrent(autojump_clock):
    server = Server()
    log = []

    @server.on("*")
    async def work(ctx, number, delay):
        log.append(f"{number} begins")
        await trio.sleep(delay)
        log.append(f"{number} ends")

    async with staged(server) as stage:
        a, b = await stage.join(), await stage.join()
        await a.emit("slow", "a1", 5)
        await a.emit("fast", "a2", 0)
        await b.emit("fast", "b1", 1)
        await trio.sleep(10)
    assert log == ["a1 begins", "b1 begins", "b1 ends", "a1 ends", "a2 begins", "a2 ends"]


@pytest.mark.parametrize("where", ["handler", "server"])
async def test_H10_concurrent_opts_out(autojump_clock, where):
    server = Server(concurrent=where == "server")
    log = []

    @server.on("work", concurrent=where == "handler")
    async def work(ctx, number, delay):
        log.append(f"{number} begins")
        await trio.sleep(delay)
        log.append(f"{number} ends")

    @server.on("disconnect")
    def bye(ctx):
        log.append("bye")

    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("work", 1, 5)
        await a.emit("work", 2, 1)
        await trio.sleep(2)
        await a.leave()
        await trio.sleep(9)
    assert log == ["1 begins", "2 begins", "2 ends", "1 ends", "bye"]


async def test_H11_everything_to_one_client_leaves_in_the_order_of_the_calls(autojump_clock):
    server = Server()

    @server.on("connect")
    async def connect(ctx):
        await ctx.emit("hello")

    @server.on("work")
    async def work(ctx):
        await ctx.emit("one", b"1", b"2")
        await ctx.emit("two", broadcast=True)
        return b"acked"

    @server.on("go")
    async def go(ctx):
        await ctx.emit("three", b"3")
        await ctx.disconnect()

    async with staged(server) as stage:
        a = await stage.join()
        await a.peer.emit("work", id=0)
        await a.emit("go")
        binary_event, binary_ack = PacketType.BINARY_EVENT, PacketType.BINARY_ACK
        assert a.types() == [CONNECT, EVENT, binary_event, EVENT, binary_ack, binary_event, DISCONNECT]


async def test_H11_the_frames_of_a_binary_packet_are_never_interleaved(autojump_clock, stage):
    a = await stage.join()

    async def emit(number):
        for _ in range(3):
            await stage.server.emit("e", number, *[b"%d" % number] * 3)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(emit, number)
    await stage.settle()
    events = a.events()
    assert len(events) == 30
    assert all(event[2:] == [b"%d" % event[1]] * 3 for event in events)


@pytest.mark.parametrize(("grace", "ended"), [(10.0, 10), (2.5, 2.5), (None, 50)])
async def test_H12_a_handler_may_go_on_for_the_grace_period(autojump_clock, grace, ended):
    server = Server(disconnect_grace=grace)
    log = []

    @server.on("work")
    async def work(ctx):
        try:
            await trio.sleep(50)
        finally:
            log.append(("work", trio.current_time() - began))

    @server.on("disconnect")
    def bye(ctx):
        log.append(("bye", trio.current_time() - began))

    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("work")
        began = trio.current_time()
        await a.leave()
        await trio.sleep(60)
    assert log == [("work", ended), ("bye", ended)]


async def test_H12_the_disconnected_event_lets_a_handler_end_by_itself(autojump_clock):
    server = Server()
    log = []

    @server.on("work")
    async def work(ctx):
        assert not ctx.disconnected.is_set()
        await ctx.disconnected.wait()
        log.append("work")

    server.on("disconnect", lambda ctx: log.append("bye"))
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("work")
        assert log == []
        await a.hang_up()
        assert log == ["work", "bye"]


async def test_H12_the_disconnect_handler_waits_for_concurrent_handlers_too(autojump_clock):
    server = Server()
    log = []

    @server.on("work", concurrent=True)
    async def work(ctx, seconds):
        await trio.sleep(seconds)
        log.append(seconds)

    server.on("disconnect", lambda ctx: log.append("bye"))
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("work", 3)
        await a.emit("work", 1)
        await a.leave()
        await trio.sleep(5)
    assert log == [1, 3, "bye"]


async def test_H13_an_upgrade_neither_loses_nor_doubles_anything(autojump_clock):
    server = Server()
    async with staged(server) as stage:
        polling = await stage.peer.open_polling()
        client = SocketIOPeer(polling, polling.handshake)
        await client.connect()
        frames = []

        async def poll():
            while "6" not in frames:
                frames.extend(await polling.poll())

        async def emit():
            for number in range(100):
                await server.emit("e", number)
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(emit)
            nursery.start_soon(poll)
            await trio.sleep(3)
            websocket = await stage.peer.upgrade(polling)
            await websocket.send("2probe")
            frames_of_websocket = [await websocket.receive()]
            await trio.sleep(1)
            await websocket.send("5")
        await server.disconnect(server.sockets()[0])
        while frames_of_websocket[-1] != "41":
            frames_of_websocket.append(await websocket.receive())
    texts = [frame for frame in frames + frames_of_websocket if frame.startswith("42")]
    assert texts == [f'42["e",{number}]' for number in range(100)]
    assert frames_of_websocket[0] == "3probe"
    assert len(frames_of_websocket) > 2
