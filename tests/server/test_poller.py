"""The task that reads all plain WebSockets: whose task a handler runs in, what happens when it waits, and what does not fit."""

from itertools import pairwise

import pytest
import trio
from support.kqueue import each_readiness  # noqa: F401  # a fixture
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import frame
from trio_socketio.server import service
from trio_socketio.server.net.poller import SUPPORTED, TURN_BYTES, TURN_PACKETS
from trio_socketio.server.pace import SHARE

from trio_socketio import Server, current_context

pytestmark = [
    pytest.mark.skipif(not SUPPORTED, reason="this system has neither an epoll nor a kqueue"),
    pytest.mark.usefixtures("each_readiness"),
]


def make_server(**options):
    return Server(ping_interval=1000, **options)


@pytest.mark.shortcut("poller", "eager")
async def test_a_handler_that_does_not_wait_runs_in_the_task_that_reads(autojump_clock):
    server = make_server()
    tasks = []

    @server.on("look")
    async def look(ctx):
        tasks.append(trio.lowlevel.current_task())
        assert current_context() is ctx
        return len(tasks)

    async with serving(server, sockets=True) as peer:
        clients = [await peer.join() for _ in range(3)]
        living = trio.lowlevel.current_statistics().tasks_living
        for number, client in enumerate(clients * 3):
            await client.emit("look", id=number)
            assert (await client.receive()).id == number
        assert trio.lowlevel.current_statistics().tasks_living == living
    assert len({id(task) for task in tasks}) == 1


@pytest.mark.shortcut("poller", "eager", "pace")
async def test_handlers_that_emit_a_little_need_no_tasks_however_many_they_are(autojump_clock):
    """None of them queues much; what all of them queue ends the turn, so that others run all the same."""
    server = make_server()
    tasks, handled, turns = set(), 0, []

    @server.on("echo")
    async def echo(ctx, value):
        nonlocal handled
        handled += 1
        await ctx.emit("echoed", value)
        tasks.add(trio.lowlevel.current_task())

    async def take_turns():
        while True:
            turns.append(handled)
            await trio.lowlevel.checkpoint()

    each = 16
    async with serving(server, sockets=True) as peer:
        clients = [await peer.join() for _ in range(4 * TURN_PACKETS // each)]
        events = b"".join(frame(1, b'42["echo",%d]' % number) for number in range(each))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            for client in clients:
                nursery.start_soon(client.transport.send_raw, events)
            for client in clients:
                assert [(await client.receive()).data[1] for _ in range(each)] == list(range(each))
            nursery.cancel_scope.cancel()
    assert handled == 4 * TURN_PACKETS
    assert len(tasks) == 1
    most = max(later - earlier for earlier, later in pairwise(turns))
    a_turn = (TURN_PACKETS + SHARE) / 2 + each  # an emit counts, and its recipient
    assert most <= 2 * a_turn, "two turns may pass until another task has its own"


async def test_a_handler_that_waits_keeps_its_task_and_holds_up_nobody_else(autojump_clock):
    server = make_server()
    go_on = trio.Event()
    tasks = []

    @server.on("wait")
    async def wait(ctx):
        tasks.append(trio.lowlevel.current_task())
        await go_on.wait()
        tasks.append(trio.lowlevel.current_task())
        assert current_context() is ctx
        return "waited"

    @server.on("quick")
    async def quick(ctx):
        return "quick"

    async with serving(server, sockets=True) as peer:
        slow, fast = await peer.join(), await peer.join()
        await slow.emit("wait", id=1)
        await slow.emit("quick", id=2)
        await fast.emit("quick", id=3)
        assert (await fast.receive()).data == ["quick"]
        go_on.set()
        answers = [await slow.receive(), await slow.receive()]
    assert tasks[0] is tasks[1]
    assert [(packet.id, packet.data) for packet in answers] == [(1, ["waited"]), (2, ["quick"])]


async def test_a_handler_may_call_its_own_client_while_the_next_task_reads(autojump_clock):
    server = make_server()

    @server.on("ask")
    async def ask(ctx):
        return await ctx.call("question", timeout=5), await ctx.call("question", timeout=5)

    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        await client.emit("ask", id=9)
        for answer in ("yes", "no"):
            packet = await client.receive()
            assert packet.data == ["question"]
            await client.send(type(packet)(3, "/", [answer], packet.id))
        assert (await client.receive()).data == ["yes", "no"]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_handler_that_fails_harms_nobody(autojump_clock, caplog, waits):
    server = make_server()

    @server.on("fail")
    async def fail(ctx):
        if waits:
            await trio.sleep(1)
        raise ValueError("on purpose")

    @server.on("quick")
    async def quick(ctx):
        return "quick"

    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        await client.emit("fail", id=1)
        await client.emit("quick", id=2)
        assert (await client.receive()).id == 2
    assert "on purpose" in caplog.text


async def test_nurseries_and_scopes_of_a_handler_are_its_own(autojump_clock):
    server = make_server()

    @server.on("many")
    async def many(ctx):
        seen = []

        async def child(number):
            await trio.sleep(number)
            assert current_context() is ctx
            seen.append(number)

        with trio.move_on_after(2.5) as scope:
            async with trio.open_nursery() as nursery:
                for number in range(5):
                    nursery.start_soon(child, number)
        assert scope.cancelled_caught
        return seen

    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        await client.emit("many", id=0)
        assert (await client.receive()).data == [[0, 1, 2]]


async def test_a_handler_whose_client_leaves_is_cancelled_after_the_grace_and_the_reading_goes_on(autojump_clock):
    server = make_server(disconnect_grace=3)
    ends = []

    @server.on("hang")
    async def hang(ctx):
        try:
            await trio.sleep_forever()
        finally:
            ends.append(trio.current_time())

    @server.on("disconnect")
    async def disconnect(ctx):
        ends.append("left")

    @server.on("quick")
    async def quick(ctx):
        return "quick"

    async with serving(server, sockets=True) as peer:
        leaver, stayer = await peer.join(), await peer.join()
        await leaver.emit("hang")
        await wait_all_tasks_blocked()
        began = trio.current_time()
        await leaver.transport.hang_up()
        await trio.sleep(5)
        assert ends == [pytest.approx(began + 3), "left"]
        await stayer.emit("quick", id=1)
        assert (await stayer.receive()).data == ["quick"]


async def test_a_handler_that_disconnects_its_client_does_not_end_the_reading(autojump_clock):
    server = make_server(disconnect_grace=1)

    @server.on("kick")
    async def kick(ctx):
        await ctx.disconnect(close=True)

    @server.on("quick")
    async def quick(ctx):
        return "quick"

    async with serving(server, sockets=True) as peer:
        leaver, stayer = await peer.join(), await peer.join()
        await leaver.emit("kick")
        await leaver.transport.expect_close()
        await trio.sleep(10)  # longer than any grace
        await stayer.emit("quick", id=1)
        assert (await stayer.receive()).data == ["quick"]


async def test_what_the_kernel_does_not_take_follows_in_order(autojump_clock):
    server = make_server(max_buffered_bytes=64 * 1024 * 1024, max_buffered_packets=100_000)

    @server.on("flood")
    async def flood(ctx, count, size):
        for number in range(count):
            ctx.emit_nowait("drop", number, "x" * size)
        return "all"

    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        await client.emit("flood", 400, 20_000, id=1)
        await wait_all_tasks_blocked()
        (live,) = server.sessions.values()
        assert live.session.buffered_bytes > 1_000_000, "the kernel takes no 8 MB"
        for number in range(400):
            assert (await client.event())[1] == number
        assert (await client.receive()).data == ["all"]
        await wait_all_tasks_blocked()
        assert live.session.buffered_bytes == 0


async def test_a_patient_emit_waits_for_a_client_that_does_not_read(autojump_clock):
    server = make_server(max_buffered_bytes=100_000)
    sent = []

    @server.on("stream")
    async def stream(ctx):
        for number in range(60):
            await ctx.emit("part", number, "x" * 50_000)
            sent.append(number)

    async with serving(server, sockets=True) as peer:
        client = await peer.join()
        await client.emit("stream")
        await trio.sleep(5)
        assert len(sent) < 60
        for number in range(60):
            assert (await client.event())[1] == number
        await wait_all_tasks_blocked()
        assert len(sent) == 60


async def test_a_client_that_does_not_read_is_closed_at_its_bound_and_the_others_hear_everything(autojump_clock):
    server = make_server(max_buffered_bytes=500_000)
    reasons = []

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        reasons.append(reason)

    async with serving(server, sockets=True) as peer:
        _, hearing = await peer.join(), await peer.join()
        for number in range(200):
            await server.emit("news", number, "x" * 20_000)
            assert (await hearing.event())[1] == number
        assert reasons == ["forced close"]
        assert len(server.sockets()) == 1
        await trio.sleep(10)


async def test_a_broadcast_of_a_turn_leaves_in_the_order_of_the_emits(autojump_clock):
    server = make_server()

    @server.on("say")
    async def say(ctx, number):
        await ctx.emit("said", number, broadcast=True)

    async with serving(server, sockets=True) as peer:
        clients = [await peer.join() for _ in range(5)]
        for number in range(20):
            await clients[0].emit("say", number)
        for client in clients:
            assert [(await client.event())[1] for _ in range(20)] == list(range(20))


async def test_a_shutdown_ends_the_connections_that_take_no_part_in_it(autojump_clock):
    server = make_server(shutdown_grace=2)
    with trio.fail_after(30):
        async with serving(server, sockets=True) as peer:
            for _ in range(3):
                await peer.join()
            assert len(server.sessions) == 3
    assert not server.sessions
    assert not server.services


async def test_clients_that_flood_do_not_starve_the_others(autojump_clock):
    """Each turn reads a bounded amount: the quiet client is answered while the floods are far from read."""
    server = make_server()
    handled = 0

    @server.on("noise")
    async def noise(ctx, text):
        nonlocal handled
        handled += 1

    @server.on("quick")
    async def quick(ctx):
        return handled

    turns = []

    async def take_turns():
        while True:
            turns.append(handled)
            await trio.lowlevel.checkpoint()

    async with serving(server, sockets=True) as peer:
        loud = [await peer.join() for _ in range(20)]
        quiet = await peer.join()
        message = frame(1, b'42["noise","' + b"x" * 40 + b'"]')
        flood = message * (100_000 // len(message))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            async with trio.open_nursery() as senders:
                for client in loud:
                    senders.start_soon(client.transport.send_raw, flood)
                await quiet.emit("quick", id=1)
                answered_at = (await quiet.receive()).data[0]
            nursery.cancel_scope.cancel()
        await wait_all_tasks_blocked()
    total = 20 * (len(flood) // len(message))
    assert handled == total
    assert answered_at < total / 2
    most = max(later - earlier for earlier, later in pairwise(turns))
    turns_at_once = (
        4 if service.SUPPORTED else 16
    )  # without a poller each connection has tasks, and each of them its turn
    assert most < turns_at_once * TURN_BYTES / len(message), "other tasks of the application wait for so many at most"
