"""What one handler or one client does harms nobody else; and in which order events are handled."""

import logging
from contextlib import asynccontextmanager

import pytest
import trio
from support.memory import MemoryListener, serving
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import HOST, Peer
from trio_socketio.protocol.socketio import Packet, PacketType
from trio_socketio.server.limits import Limits

from trio_socketio import ConnectionRefused, Disconnected, Server


class LockstepListener(MemoryListener):
    """Its connections have no buffer: what a client does not read blocks the server at once."""

    async def dial(self):
        ours, theirs = lockstep_stream_pair()
        self.server_ends.append(theirs)
        await self._send.send(theirs)
        return ours


async def start_lockstep(nursery, server):
    listener = LockstepListener()
    await nursery.start(server.serve_listeners, [listener])
    return Peer(listener.dial, host=HOST)


@asynccontextmanager
async def lockstep(server):
    async with trio.open_nursery() as nursery:
        yield await start_lockstep(nursery, server)
        nursery.cancel_scope.cancel()


def with_echo(**options):
    server = Server(**options)

    @server.on("echo")
    async def echo(ctx, *args):
        return args

    server.on("echo", echo, namespace="/other")
    return server


async def ask(client, event, *args, namespace="/"):
    """Emit and return the acknowledgement."""
    await client.emit(event, *args, id=7, namespace=namespace)
    packet = await client.receive()
    assert (packet.type, packet.id, packet.namespace) == (PacketType.ACK, 7, namespace)
    return packet.data


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_handler_that_raises_is_logged_and_everything_goes_on(autojump_clock, caplog, transport):
    server = with_echo()

    @server.on("fail")
    def fail(ctx):
        raise ValueError("on purpose")

    async with serving(server) as peer:
        client = await peer.join(transport=transport)
        other = await peer.join()
        await client.emit("fail", id=1)  # not acknowledged
        assert await ask(client, "echo", 1) == [1]
        assert await ask(other, "echo", 2) == [2]
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "fail" in record.getMessage()
    assert isinstance(record.exc_info[1], ValueError)


async def test_the_failures_of_a_handlers_nursery_are_contained(autojump_clock, caplog):
    server = with_echo()

    @server.on("fail")
    async def fail(ctx):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(_raise, ValueError(number))

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("fail")
        assert await ask(client, "echo", 1) == [1]
    assert "fail" in caplog.text


async def _raise(error):
    await trio.lowlevel.checkpoint()
    raise error


async def test_the_error_handler_gets_the_exception_and_its_result_is_the_acknowledgement(autojump_clock):
    server = with_echo()
    seen = []

    @server.on("fail")
    async def fail(ctx):
        raise ValueError("on purpose")

    server.on("fail", fail, namespace="/other")
    server.on("fail", fail, namespace="/own")

    @server.on_error
    async def failed(ctx, error):
        seen.append((ctx.event, ctx.namespace, str(error)))
        return {"ok": False}

    @server.namespace("/own").on_error
    def own_failed(ctx, error):
        return "own"

    async with serving(server) as peer:
        client = await peer.join()
        assert await ask(client, "fail") == [{"ok": False}]
        for namespace, answer in (("/other", {"ok": False}), ("/own", "own")):
            await client.connect(namespace)
            assert await ask(client, "fail", namespace=namespace) == [answer]
    assert seen == [("fail", "/", "on purpose"), ("fail", "/other", "on purpose")]


async def test_an_error_handler_that_fails_is_logged_with_what_it_handled(autojump_clock, caplog):
    server = with_echo()

    @server.on("fail")
    async def fail(ctx):
        raise ValueError("first")

    @server.on_error
    async def failed(ctx, error):
        raise KeyError("second")

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("fail", id=1)
        assert await ask(client, "echo") == []
    assert "first" in caplog.text
    assert "second" in caplog.text


async def test_a_result_without_a_form_in_json_is_an_error_of_the_handler(autojump_clock):
    server = with_echo()

    @server.on("bad")
    async def bad(ctx):
        return object()

    @server.on_error
    async def failed(ctx, error):
        errors.append(error)

    errors = []
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("bad", id=1)
        assert (await client.receive()).data == []
        assert await ask(client, "echo", 1) == [1]
    assert len(errors) == 1


async def test_a_connect_handler_that_raises_rejects_its_client_only(autojump_clock, caplog):
    server = with_echo()

    @server.on("connect")
    async def connect(ctx, auth):
        if auth == {"fail": True}:
            raise ValueError("secret")
        if auth == {"refuse": True}:
            raise ConnectionRefused("not you", {"code": 1})

    async with serving(server) as peer:
        fine = await peer.join()
        client = await peer.open_socketio()
        answer = await client.connect(auth={"fail": True})
        assert (answer.type, answer.data) == (PacketType.CONNECT_ERROR, {"message": "Internal server error"})
        answer = await client.connect(auth={"refuse": True})
        assert answer.data == {"message": "not you", "data": {"code": 1}}
        assert (await client.connect()).type is PacketType.CONNECT  # it may try again
        assert await ask(client, "echo", 1) == [1]
        assert await ask(fine, "echo", 2) == [2]
    assert "secret" in caplog.text


async def test_a_handler_that_hangs_holds_up_its_own_lane_only(autojump_clock):
    server = with_echo(ping_interval=1, ping_timeout=1)

    @server.on("hang")
    async def hang(ctx):
        answer = await ctx.call("question")
        await ctx.emit("answered", answer)
        await trio.sleep_forever()

    async with serving(server) as peer:
        client = await peer.join()
        await client.connect("/other")
        other = await peer.join()
        await client.emit("hang")
        question = await client.receive()
        await client.emit("echo", "never", id=1)
        # Acknowledgements are still read, other namespaces and clients are served.
        await client.send(Packet(PacketType.ACK, "/", ["yes"], question.id))
        assert await client.event() == ["answered", "yes"]
        assert await ask(client, "echo", 1, namespace="/other") == [1]
        assert await ask(other, "echo", 2) == [2]
        # So are pongs: many ping timeouts later the client is still there.
        began = trio.current_time()
        while trio.current_time() < began + 20:
            assert await client.transport.receive() == "2"
            await client.transport.send("3")
        assert client.sids["/"] in server.sockets()


async def test_events_of_one_client_and_namespace_run_one_after_another(autojump_clock):
    server = Server()
    log = []

    async def work(ctx, number):
        log.append((ctx.namespace, number, "begins"))
        await trio.sleep(1)
        log.append((ctx.namespace, number, "ends"))

    server.on("work", work)
    server.on("work", work, namespace="/other")
    async with serving(server) as peer:
        client = await peer.join()
        await client.connect("/other")
        for number in range(3):
            await client.emit("work", number)
            await client.emit("work", number, namespace="/other")
        await trio.sleep(10)
    for namespace in ("/", "/other"):
        own = [(number, what) for where, number, what in log if where == namespace]
        assert own == [(number, what) for number in range(3) for what in ("begins", "ends")]
    assert [where for where, _, what in log if what == "begins"][:2] == ["/", "/other"]  # side by side


async def test_a_concurrent_handler_does_not_hold_back_the_next_event(autojump_clock):
    server = Server()
    running = []

    @server.on("work", concurrent=True)
    async def work(ctx, number):
        running.append(number)
        await trio.sleep(10)
        return number

    @server.on("count")
    async def count(ctx):
        return len(running)

    async with serving(server) as peer:
        client = await peer.join()
        for number in range(5):
            await client.emit("work", number, id=number)
        await wait_all_tasks_blocked()
        assert await ask(client, "count") == [5]
        assert sorted([(await client.receive()).data[0] for _ in range(5)]) == list(range(5))


async def test_events_sent_behind_connect_wait_for_the_connect_handler(autojump_clock):
    server = Server()
    log = []

    @server.on("connect")
    async def connect(ctx, auth):
        await trio.sleep(1)
        log.append("connected")

    async def work(ctx, number):
        log.append(number)

    server.on("first", work, concurrent=True)
    server.on("second", work)
    async with serving(server) as peer:
        client = await peer.open_socketio()
        await client.transport.send("40")
        await client.emit("first", 1)
        await client.emit("second", 2)
        assert (await client.receive()).type is PacketType.CONNECT
        await wait_all_tasks_blocked()
    assert log == ["connected", 1, 2]


def leaving(server):
    log = []

    @server.on("work", concurrent=False)
    async def work(ctx, seconds):
        log.append("begins")
        try:
            await trio.sleep(seconds)
        except trio.Cancelled:
            log.append(("cancelled", trio.current_time()))
            raise
        log.append("ends")

    @server.on("until")
    async def until(ctx):
        await ctx.disconnected.wait()
        log.append("ended by itself")

    @server.on("disconnect")
    async def bye(ctx, reason):
        log.append(reason)
        await trio.sleep(1)
        log.append("bye")

    return log


async def test_a_running_handler_may_go_on_for_the_grace_and_is_then_cancelled(autojump_clock):
    server = Server(disconnect_grace=3)
    log = leaving(server)
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("work", 100)
        await client.emit("work", 100)
        await wait_all_tasks_blocked()
        left = trio.current_time()
        await client.transport.hang_up()
        await trio.sleep(30)
    assert log == ["begins", ("cancelled", left + 3), "transport close", "bye"]


async def test_the_grace_counts_from_the_end_also_for_an_event_that_came_with_it(autojump_clock):
    server = Server(disconnect_grace=3)
    log = leaving(server)
    async with serving(server) as peer:
        client = await peer.join(transport="polling")
        left = trio.current_time()
        await client.transport.send('42["work",100]', "41")  # both in one payload: no task has run in between
        await trio.sleep(30)
    assert log == ["begins", ("cancelled", left + 3), "client namespace disconnect", "bye"]


async def test_a_handler_that_ends_within_the_grace_is_not_cancelled(autojump_clock):
    server = Server(disconnect_grace=3)
    log = leaving(server)
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("work", 2)
        await wait_all_tasks_blocked()
        await client.transport.hang_up()
        await trio.sleep(30)
    assert log == ["begins", "ends", "transport close", "bye"]


async def test_without_a_grace_a_handler_is_cancelled_at_once_and_with_none_never(autojump_clock):
    for grace in (0, None):
        server = Server(disconnect_grace=grace)
        log = leaving(server)
        async with serving(server) as peer:
            client = await peer.join()
            await client.emit("work", 1000)
            await wait_all_tasks_blocked()
            left = trio.current_time()
            await client.transport.hang_up()
            await trio.sleep(2000)
        if grace is None:
            assert log == ["begins", "ends", "transport close", "bye"]
        else:
            assert log[:3] == ["begins", ("cancelled", left), "transport close"]


async def test_a_handler_that_watches_disconnected_ends_by_itself(autojump_clock):
    server = Server()
    log = leaving(server)
    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("until")
        await wait_all_tasks_blocked()
        await client.transport.hang_up()
        await trio.sleep(2)
    assert log == ["ended by itself", "transport close", "bye"]


async def test_the_disconnect_handler_runs_once_whoever_else_ends_the_connection(autojump_clock):
    server = Server()
    log = leaving(server)
    async with serving(server) as peer:
        client = await peer.join()
        await server.disconnect(client.sids["/"])
        await server.disconnect(client.sids["/"], close=True)
        await client.transport.hang_up()
        await trio.sleep(5)
    assert log == ["server namespace disconnect", "bye"]


async def test_a_client_whose_events_wait_is_not_read_until_handlers_have_caught_up(autojump_clock, nursery):
    server = Server(ping_interval=5, ping_timeout=5)
    go_on = trio.Event()
    done = []

    @server.on("work")
    async def work(ctx, number):
        await go_on.wait()
        done.append(number)

    @server.on("disconnect")
    async def bye(ctx, reason):
        done.append(reason)

    peer = await start_lockstep(nursery, server)
    client = await peer.join()
    sent = []
    most = Limits().waiting_events * 2

    async def send_all():
        for number in range(most):
            await client.emit("work", number)
            sent.append(number)

    nursery.start_soon(send_all)
    await wait_all_tasks_blocked()
    assert Limits().waiting_events <= len(sent) <= Limits().waiting_events + 3
    # Its pongs are not read either, and that is not its fault.
    await trio.sleep(60)
    assert done == []
    assert server.sessions
    go_on.set()
    await wait_all_tasks_blocked()
    assert done == list(range(most))
    nursery.cancel_scope.cancel()


async def test_call_in_a_handler_with_a_full_inbox_does_not_deadlock(autojump_clock):
    server = Server()
    answers = []

    @server.on("work")
    async def work(ctx, number):
        if number == 0:
            answers.append(await ctx.call("question"))

    async with serving(server) as peer:
        client = await peer.join()
        for number in range(Limits().waiting_events * 2):
            await client.emit("work", number)
        question = await client.receive()
        await client.send(Packet(PacketType.ACK, "/", ["yes"], question.id))
        await wait_all_tasks_blocked()
    assert answers == ["yes"]


async def test_a_callback_ends_with_the_grace_and_before_the_disconnect_handler(autojump_clock):
    server = Server(disconnect_grace=3)
    log = []

    async def callback():
        try:
            await trio.sleep_forever()
        finally:
            log.append(("callback ended", trio.current_time()))

    server.on("disconnect", lambda ctx: log.append(("disconnect", trio.current_time())))
    async with serving(server) as peer:
        client = await peer.join()
        await server.emit("question", callback=callback)
        question = await client.receive()
        await client.send(Packet(PacketType.ACK, "/", [], question.id))
        await wait_all_tasks_blocked()
        await client.transport.hang_up()
        await trio.sleep(10)
    assert log == [("callback ended", 3), ("disconnect", 3)]


async def test_call_ends_when_the_client_leaves(autojump_clock):
    server = Server()
    ended = []

    @server.on("work")
    async def work(ctx):
        try:
            await ctx.call("question")
        except Disconnected as error:
            ended.append(error)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("work")
        await client.receive()
        await client.transport.hang_up()
        await trio.sleep(1)
    assert len(ended) == 1


async def test_emit_to_a_client_that_does_not_read_waits_for_it(autojump_clock, nursery):
    server = Server(max_buffered_bytes=10_000)
    peer = await start_lockstep(nursery, server)
    slow = await peer.join()
    sent = []

    async def send_all():
        for number in range(20):
            await server.emit("news", number, "x" * 1000, to=slow.sids["/"])
            sent.append(number)

    nursery.start_soon(send_all)
    await wait_all_tasks_blocked()
    assert 5 <= len(sent) <= 12  # the rest waits
    assert [(await slow.event())[1] for _ in range(20)] == list(range(20))
    await wait_all_tasks_blocked()
    assert len(sent) == 20
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sockets", [False, True])
async def test_nobody_waits_for_ever_for_a_client_that_takes_nothing_and_seems_alive(autojump_clock, caplog, sockets):
    caplog.set_level(logging.INFO)
    server = Server(max_buffered_bytes=10_000, limits=Limits(write_timeout=30))
    freed, everybody_freed = [], trio.Event()

    @server.on("move")
    async def move(ctx, number):
        await ctx.emit("move", "x" * 100_000, to="game", include_self=False)
        freed.append((number, trio.current_time()))
        if len(freed) == 60:
            everybody_freed.set()

    server.on("connect", lambda ctx: ctx.join_room("game"))
    async with serving(server, sockets=True) if sockets else lockstep(server) as peer, trio.open_nursery() as nursery:
        player, hostile = await peer.join(), await peer.join()

        async def pretend():
            while True:
                for client in (player, hostile):
                    await client.transport.send("3")
                await trio.sleep(5)

        nursery.start_soon(pretend)
        began = trio.current_time()
        for number in range(60):
            await player.emit("move", number)
        with trio.move_on_after(100):
            await everybody_freed.wait()
        assert [number for number, _ in freed] == list(range(60))
        assert freed[-1][1] - began == pytest.approx(30, abs=1)
        assert server.sockets() == [player.sids["/"]]
        assert server.stats()["limits"]["write_timeout"] == 1
        assert "has taken nothing for 30 s" in caplog.text
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sockets", [False, True])
async def test_a_client_that_takes_a_little_now_and_then_is_waited_for(autojump_clock, sockets):
    server = Server(max_buffered_bytes=10_000, limits=Limits(write_timeout=30), ping_timeout=1000)
    text = "x" * 4_000_000
    async with serving(server, sockets=True) if sockets else lockstep(server) as peer:
        slow = await peer.join()

        async def send_all():
            for _ in range(3):
                await server.emit("news", text)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all)
            stream = slow.transport.stream
            for _ in range(20):
                await trio.sleep(20)
                assert server.sessions, trio.current_time()
                received = 0
                while received < 300_000:
                    received += len(await stream.receive_some(300_000 - received))
            nursery.cancel_scope.cancel()


async def test_a_broadcast_waits_for_nobody_and_ends_who_is_too_slow(autojump_clock, nursery, caplog):
    caplog.set_level(logging.INFO)
    server = Server(max_buffered_bytes=10_000)
    reasons = []

    @server.on("disconnect")
    async def bye(ctx, reason):
        reasons.append((ctx.sid, reason))

    peer = await start_lockstep(nursery, server)
    slow = await peer.join()
    fast = [await peer.join() for _ in range(3)]
    seen = [[] for _ in fast]

    async def read(client, numbers):
        while True:
            numbers.append((await client.event())[1])

    for client, numbers in zip(fast, seen, strict=True):
        nursery.start_soon(read, client, numbers)
    await wait_all_tasks_blocked()
    began = trio.current_time()
    for number in range(40):
        await server.emit("news", number, "x" * 1000)
        await wait_all_tasks_blocked()
        assert [numbers[-1] for numbers in seen] == [number] * 3
    assert trio.current_time() == began
    assert reasons == [(slow.sids["/"], "forced close")]
    assert "reads too slowly" in caplog.text
    assert len(server.sessions) == 3
    nursery.cancel_scope.cancel()
