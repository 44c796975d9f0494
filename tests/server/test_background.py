"""Tasks that belong to a connection (`Context.start_soon`): what they are to their connection, and when and how they end."""

import contextvars
import functools
import logging
from contextlib import suppress

import pytest
import trio
from support.holdings import check_consistent, objects, settled
from support.house import GRACE, closing, house
from support.injection import Injection, at_every_moment
from support.memory import MemoryListener, serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.peer import HOST, Peer, PeerError
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import ConnectionRefused, Namespace, Server, call, current_context, emit, join_room, rooms

sockets = pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])


class Diary:
    """What happened to a task, in order, with the time."""

    def __init__(self):
        self.entries = []

    def __call__(self, what):
        self.entries.append((what, trio.current_time()))

    @property
    def happened(self):
        return [what for what, _ in self.entries]

    def when(self, what):
        (time,) = [time for each, time in self.entries if each == what]
        return time

    async def stay(self, *, grip=0.0, name="task"):
        """Stay for ever; hold on for some time when it is to end."""
        self(f"{name} began")
        try:
            await trio.sleep_forever()
        finally:
            self(f"{name} was cancelled")
            with trio.CancelScope(shield=True):
                await trio.sleep(grip)
            self(f"{name} ended")


def leave(client):
    return client.send(Packet(PacketType.DISCONNECT, "/"))


# What they are to their connection.


async def test_the_functions_of_the_module_mean_the_connection(autojump_clock):
    server = Server()

    async def work(greeting):
        assert current_context().event == "work"
        await join_room("workers")
        await emit("greeting", greeting)
        await emit("rooms", rooms()[1:])
        assert await call("question", timeout=1) == "answer"
        await emit("done", to="workers", include_self=True)

    @server.on("work")
    async def handle(ctx, greeting):
        ctx.start_soon(work, greeting)
        return "started"

    async with serving(server) as peer:
        other = await peer.join()
        client = await peer.join()
        await client.emit("work", "hello", id=1)
        assert (await client.receive()).data == ["started"]
        assert await client.event() == ["greeting", "hello"]
        assert await client.event() == ["rooms", ["workers"]]
        question = await client.receive()
        await client.send(Packet(PacketType.ACK, "/", ["answer"], question.id))
        assert await client.event() == ["done"]
        await server.emit("finish")
        assert await other.event() == ["finish"], "and nothing before it"


async def test_the_task_goes_on_when_its_handler_has_ended(autojump_clock):
    server = Server()

    async def tick(ctx):
        for number in range(3):
            await trio.sleep(10)
            await ctx.emit("tick", number)

    @server.on("connect")
    def connect(ctx, auth):
        ctx.start_soon(tick, ctx)

    async with serving(server) as peer:
        client = await peer.join()
        began = trio.current_time()
        for number in range(3):
            assert await client.event() == ["tick", number]
            assert trio.current_time() == pytest.approx(began + 10 * (number + 1))


async def test_it_inherits_the_variables_of_whoever_starts_it_and_changes_none_of_theirs(autojump_clock):
    server = Server()
    colour = contextvars.ContextVar("colour", default="none")
    seen = []

    async def task():
        seen.append(colour.get())
        colour.set("green")
        await trio.sleep(1)
        seen.append(colour.get())

    @server.on("paint")
    async def paint(ctx):
        colour.set("red")
        ctx.start_soon(task)
        await trio.sleep(0.5)
        seen.append(colour.get())

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("paint")
        await trio.sleep(2)
        assert seen == ["red", "red", "green"]


async def test_a_task_belongs_to_the_connection_whose_context_is_named_whoever_starts_it(autojump_clock):
    server = Server()
    contexts = {}

    @server.on("connect")
    async def connect(ctx, auth):
        contexts[auth["name"]] = ctx

    @server.on("greet")
    async def greet(ctx, whom):
        contexts[whom].start_soon(emit, "greeting")

    async with serving(server) as peer:
        ada, bob = await peer.join(auth={"name": "ada"}), await peer.join(auth={"name": "bob"})
        await ada.emit("greet", "bob")
        assert await bob.event() == ["greeting"]
        await ada.emit("greet", "ada")
        assert await ada.event() == ["greeting"]


async def test_the_task_of_one_namespace_survives_leaving_another(autojump_clock):
    server = Server()
    diary = Diary()

    for namespace in "/", "/other":

        @server.on("connect", namespace=namespace)
        async def connect(ctx):
            ctx.start_soon(functools.partial(diary.stay, name=ctx.namespace))

    async with serving(server) as peer:
        client = await peer.open_socketio()
        await client.connect("/")
        await client.connect("/other")
        await leave(client)
        await trio.sleep(1)
        assert diary.happened == ["/ began", "/other began", "/ was cancelled", "/ ended"]
    assert diary.happened[4:] == ["/other was cancelled", "/other ended"]


async def test_methods_of_a_namespace_start_tasks_too(autojump_clock):
    class Clock(Namespace):
        async def on_connect(self, ctx):
            ctx.start_soon(self.tick)

        async def tick(self):
            await emit("tick")

    server = Server()
    server.register(Clock("/clock"))
    async with serving(server) as peer:
        client = await peer.join("/clock")
        assert await client.event() == ["tick"]


async def test_what_a_task_of_the_connect_handler_emits_comes_after_the_connection(autojump_clock):
    server = Server()

    async def early():
        await emit("early")

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(early)
        await trio.sleep(1)
        await emit("late")

    async with serving(server) as peer:
        client = await peer.join()
        assert [await client.event(), await client.event()] == [["early"], ["late"]]


async def test_a_task_may_start_further_tasks(autojump_clock):
    server = Server()
    diary = Diary()

    async def first():
        current_context().start_soon(functools.partial(diary.stay, name="second"))
        await diary.stay(name="first")

    @server.on("go")
    async def go(ctx):
        ctx.start_soon(first)

    @server.on("disconnect")
    async def disconnect(ctx):
        diary("disconnect")

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await trio.sleep(1)
        await client.transport.hang_up()
        await trio.sleep(1)
        assert diary.happened[:2] == ["first began", "second began"]
        assert set(diary.happened[2:6]) == {
            f"{each} {how}" for each in ("first", "second") for how in ("was cancelled", "ended")
        }
        assert diary.happened[6:] == ["disconnect"]


async def test_debuggers_see_the_name(autojump_clock):
    server = Server()
    names = []

    async def look():
        names.append(trio.lowlevel.current_task().name)

    @server.on("go")
    async def go(ctx):
        ctx.start_soon(look)
        await trio.sleep(0.1)
        ctx.start_soon(look, name="the lookout")

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await trio.sleep(1)
        assert names[0].endswith("look")
        assert names[1] == "the lookout"


@pytest.mark.parametrize("kind", ["partial", "object", "method", "lambda"])
async def test_everything_that_returns_a_coroutine_is_an_async_function(autojump_clock, kind):
    class Greeter:
        async def __call__(self, name):
            await emit("greeting", name)

        async def greet(self, name):
            await self(name)

    greeter = Greeter()
    functions = {
        "partial": (functools.partial(greeter, "Ada"),),
        "object": (greeter, "Ada"),
        "method": (greeter.greet, "Ada"),
        "lambda": (lambda: greeter("Ada"),),
    }
    server = Server()
    server.on("connect", lambda ctx, auth: ctx.start_soon(*functions[kind]))
    async with serving(server) as peer:
        client = await peer.join()
        assert await client.event() == ["greeting", "Ada"]


async def test_the_callback_of_an_emit_may_start_a_task(autojump_clock):
    server = Server()

    async def thank():
        await trio.sleep(1)
        await emit("thanks")

    def answered(answer):
        current_context().start_soon(thank)

    @server.on("ask me")
    async def ask(ctx):
        await ctx.emit("question", callback=answered)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("ask me")
        question = await client.receive()
        await client.send(Packet(PacketType.ACK, "/", [1], question.id))
        assert await client.event() == ["thanks"]


@sockets
async def test_a_task_that_waits_for_a_client_that_does_not_read_is_cancelled_all_the_same(autojump_clock, sockets):
    diary = Diary()

    async def flood(ctx):
        try:
            while True:
                await ctx.emit("part", "x" * 10_000)
        finally:
            diary("cancelled")

    async with house(sockets=sockets, narrow=True) as home:

        @home.server.on("flood")
        async def start(ctx):
            ctx.start_soon(flood, ctx)

        client = await home.join()
        client.may_read = trio.Event()
        await client.peer.emit("flood")
        await trio.sleep(1)
        assert diary.happened == []
        began = trio.current_time()
        home.server.find_adapter("/").sockets[client.sid].left("transport close")
        await wait_all_tasks_blocked()
        assert diary.happened == ["cancelled"]
        assert trio.current_time() == began
        assert home.left == [client.sid]
        client.may_read.set()
        await client.hang_up()


@pytest.mark.parametrize("wrong", [None, 7, print, lambda: None, str], ids=repr)
async def test_what_is_no_async_function_is_a_type_error(autojump_clock, wrong):
    server = Server()
    caught = []

    @server.on("go")
    async def go(ctx):
        with pytest.raises(TypeError, match="async function"):
            ctx.start_soon(wrong)
        caught.append(True)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await trio.sleep(1)
        assert caught == [True]
        await leave(client)
        await wait_all_tasks_blocked()
        assert not server.services[0].leaving


async def test_arguments_that_do_not_fit_are_a_type_error_at_once(autojump_clock):
    server = Server()
    caught = []

    async def task(one, two): ...

    @server.on("go")
    async def go(ctx):
        with pytest.raises(TypeError, match="two"):
            ctx.start_soon(task, 1)
        caught.append(True)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go", id=1)
        await client.receive()
        assert caught == [True]


async def test_tasks_hold_back_no_event_and_no_reading(autojump_clock):
    server = Server()

    @server.on("go")
    async def go(ctx):
        for _ in range(1000):
            ctx.start_soon(trio.sleep_forever)

    @server.on("ask")
    async def ask(ctx):
        return "answer"

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        for number in range(3):
            await client.emit("ask", id=number)
            assert (await client.receive()).data == ["answer"]
        assert trio.lowlevel.current_statistics().tasks_living > 1000
        before = trio.current_time()
        await client.transport.hang_up()
        await wait_all_tasks_blocked()
        assert trio.current_time() == before
        assert trio.lowlevel.current_statistics().tasks_living < 50
        assert not server.services[0].busy


# When they end.


LEAVING = {
    "the client leaves the namespace": (leave, "client namespace disconnect"),
    "the client hangs up": (lambda client: client.transport.hang_up(), "transport close"),
    "the server disconnects it": (lambda client: client.emit("kick"), "server namespace disconnect"),
    "the server closes the connection": (lambda client: client.emit("kick out"), "server namespace disconnect"),
}


@sockets
@pytest.mark.parametrize("how", LEAVING)
async def test_the_tasks_are_cancelled_at_once_and_the_disconnect_handler_runs_after_them(autojump_clock, sockets, how):
    server = Server(disconnect_grace=100)
    diary = Diary()
    act, expected = LEAVING[how]

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(functools.partial(diary.stay, grip=3))

    @server.on("work")
    async def work(ctx):
        await trio.sleep(1)
        diary("the handler has ended")

    @server.on("kick", concurrent=True)
    async def kick(ctx):
        await ctx.disconnect()

    @server.on("kick out", concurrent=True)
    async def kick_out(ctx):
        await ctx.disconnect(close=True)

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        diary(reason)

    async with serving(server, sockets=sockets) as peer:
        client = await peer.join()
        await client.emit("work")
        await trio.sleep(0.5)
        left = trio.current_time()
        await act(client)
        await trio.sleep(10)
        assert diary.happened == [
            "task began",
            "task was cancelled",
            "the handler has ended",
            "task ended",
            expected,
        ]
        assert diary.when("task was cancelled") == pytest.approx(left, abs=0.01)
        assert diary.when("the handler has ended") == pytest.approx(left + 0.5, abs=0.01), "handlers have their grace"
        assert diary.when(expected) == pytest.approx(left + 3, abs=0.01)
        check_consistent(server)


async def test_a_client_that_does_not_answer_pings_loses_its_tasks(autojump_clock):
    server = Server(ping_interval=10, ping_timeout=5)
    diary = Diary()

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(diary.stay)

    async with serving(server) as peer:
        await peer.join()
        began = trio.current_time()
        await trio.sleep(30)
        assert diary.happened == ["task began", "task was cancelled", "task ended"]
        assert diary.when("task ended") == pytest.approx(began + 15, abs=0.1)


async def test_a_task_may_end_its_own_connection(autojump_clock):
    server = Server()
    diary = Diary()

    async def kick(ctx):
        await ctx.emit("goodbye")
        await ctx.disconnect()
        diary("disconnected")
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            diary("cancelled")
            raise

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(kick, ctx)

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        diary(reason)

    async with serving(server) as peer:
        client = await peer.join()
        assert await client.event() == ["goodbye"]
        assert (await client.receive()).type is PacketType.DISCONNECT
        await wait_all_tasks_blocked()
        assert diary.happened == ["disconnected", "cancelled", "server namespace disconnect"]


@pytest.mark.parametrize("how", ["refuses", "fails", "returns False", "disconnects", "middleware"])
async def test_the_tasks_of_a_rejected_client_are_cancelled_and_nothing_of_them_arrives(autojump_clock, caplog, how):
    server = Server()
    diary = Diary()

    async def work(ctx):
        await ctx.emit("never")
        await diary.stay()

    async def decide(ctx):
        ctx.start_soon(work, ctx)
        await trio.sleep(1)
        if how == "fails":
            raise ValueError("on purpose")
        if how == "disconnects":
            await ctx.disconnect()
        if how in ("refuses", "middleware"):
            raise ConnectionRefused("no")
        return False

    if how == "middleware":
        server.use(decide)
    else:
        server.on("connect", decide)

    @server.on("disconnect")
    async def disconnect(ctx):
        diary("disconnect")

    async with serving(server) as peer:
        client = await peer.open_socketio()
        answer = await client.connect()
        assert answer.type is PacketType.CONNECT_ERROR
        await wait_all_tasks_blocked()
        assert diary.happened == ["task began", "task was cancelled", "task ended"]
        assert not server.services[0].leaving
        await client.transport.hang_up()
        await wait_all_tasks_blocked()
        assert not server.services[0].busy


async def test_who_leaves_while_the_connect_handler_decides_loses_its_tasks_at_once(autojump_clock):
    server = Server(disconnect_grace=100)
    diary = Diary()

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(diary.stay)
        await trio.sleep(5)
        diary("decided")
        ctx.start_soon(functools.partial(diary.stay, name="too late"))

    async with serving(server) as peer:
        client = await peer.open_socketio()
        await client.send(Packet(PacketType.CONNECT, "/", None))
        await trio.sleep(1)
        left = trio.current_time()
        await client.transport.hang_up()
        await trio.sleep(10)
        assert diary.happened == ["task began", "task was cancelled", "task ended", "decided"]
        assert diary.when("task ended") == pytest.approx(left, abs=0.01)


@pytest.mark.parametrize("where", ["disconnect handler", "handler that is left", "task that is cancelled"])
async def test_for_a_connection_that_has_left_nothing_is_started(autojump_clock, where):
    server = Server()
    tried, started = [], []

    async def never():
        started.append(where)

    def attempt(ctx):
        ctx.start_soon(never)
        tried.append(where)

    async def task(ctx):
        try:
            await trio.sleep_forever()
        finally:
            if where == "task that is cancelled":
                attempt(ctx)

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(task, ctx)

    @server.on("work")
    async def work(ctx):
        await ctx.disconnected.wait()
        if where == "handler that is left":
            attempt(ctx)

    @server.on("disconnect")
    async def disconnect(ctx):
        if where == "disconnect handler":
            attempt(ctx)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("work")
        await trio.sleep(1)
        await client.transport.hang_up()
        await trio.sleep(30)
        assert (tried, started) == ([where], [])
        assert not server.services[0].busy


@sockets
async def test_a_context_that_outlives_the_server_starts_nothing(autojump_clock, sockets):
    server = Server()
    kept, started = [], []
    server.on("connect", lambda ctx, auth: kept.append(ctx))

    async def never():
        started.append(True)

    async with serving(server, sockets=sockets) as peer:
        await peer.join()
    kept[0].start_soon(never)
    await wait_all_tasks_blocked()
    assert not started


async def test_a_task_that_is_started_just_before_the_client_leaves_gets_no_further_than_its_first_wait(autojump_clock):
    server = Server()
    diary = Diary()

    async def task(ctx):
        diary("began")
        await trio.lowlevel.checkpoint()
        diary("went on")

    @server.on("go")
    async def go(ctx):
        ctx.start_soon(task, ctx)
        await ctx.disconnect()

    @server.on("disconnect")
    async def disconnect(ctx):
        diary("disconnect")

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await client.receive()
        await wait_all_tasks_blocked()
        assert diary.happened in (["began", "disconnect"], ["disconnect"])


# The shutdown.


@sockets
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_shutdown_cancels_them_at_once_and_the_disconnect_handler_runs_after_them(
    autojump_clock, sockets, transport
):
    server = Server(shutdown_grace=10)
    diary = Diary()

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(functools.partial(diary.stay, grip=2))

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        diary(reason)

    async with serving(server, sockets=sockets) as peer:
        await peer.join(transport=transport)
        await trio.sleep(1)
        began = trio.current_time()
    assert diary.happened == ["task began", "task was cancelled", "task ended", "server shutting down"]
    assert diary.when("task was cancelled") == pytest.approx(began, abs=0.01)
    assert diary.when("server shutting down") == pytest.approx(began + 2, abs=0.01)


async def test_a_shutdown_cancels_them_at_once_although_the_client_reads_nothing(autojump_clock):
    server = Server(shutdown_grace=10)
    diary = Diary()

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(diary.stay)
        await ctx.emit("much", "x" * 1_000_000)

    async with serving(server, sockets=True) as peer:
        client = await peer.open_socketio()
        await client.send(Packet(PacketType.CONNECT, "/", None))
        await trio.sleep(1)
        began = trio.current_time()
    assert diary.when("task was cancelled") == pytest.approx(began, abs=0.01)


async def test_a_task_that_holds_on_is_waited_for_within_the_grace_of_the_shutdown_and_then_it_is_said(
    autojump_clock, caplog
):
    server = Server(shutdown_grace=4)
    diary = Diary()
    caplog.set_level(logging.WARNING, "trio_socketio")

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(functools.partial(diary.stay, grip=6))

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        diary("disconnect")

    async with serving(server) as peer:
        await peer.join()
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() == pytest.approx(began + 6, abs=0.1), "a shield is respected, as everywhere in trio"
    assert diary.happened == ["task began", "task was cancelled", "task ended", "disconnect"]
    assert "did not end in time" in caplog.text


# What they raise.


@pytest.mark.parametrize("registered", ["server", "namespace"])
async def test_what_a_task_raises_goes_to_the_error_handler_with_its_context(autojump_clock, registered):
    server = Server()
    reported = []

    def on_error(ctx, error):
        reported.append((ctx.sid, ctx.event, current_context() is ctx, repr(error)))

    if registered == "server":
        server.on_error(on_error)
    else:
        server.namespace("/x").on_error(on_error)

    async def fail():
        await trio.sleep(1)
        raise ValueError("on purpose")

    @server.on("go", namespace="/x")
    async def go(ctx):
        ctx.start_soon(fail)
        return ctx.sid

    async with serving(server) as peer:
        client = await peer.join("/x")
        await client.emit("go", namespace="/x", id=1)
        sid = (await client.receive()).data[0]
        await trio.sleep(2)
        assert reported == [(sid, "go", True, "ValueError('on purpose')")]
        await client.emit("go", namespace="/x", id=2)
        assert (await client.receive()).data == [sid], "the connection is none the worse"


async def test_without_an_error_handler_the_log_has_it_with_the_name(autojump_clock, caplog):
    server = Server()

    async def fail():
        raise ValueError("on purpose")

    @server.on("go")
    async def go(ctx):
        ctx.start_soon(fail, name="the weak one")

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await wait_all_tasks_blocked()
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "the weak one" in record.getMessage()
    assert "'go'" in record.getMessage()
    assert record.exc_info[1].args == ("on purpose",)


async def test_a_nursery_in_a_task_reports_its_group(autojump_clock):
    server = Server()
    reported = []
    server.on_error(lambda ctx, error: reported.append(error))

    async def fail():
        raise ValueError("on purpose")

    async def work():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail)

    @server.on("go")
    async def go(ctx):
        ctx.start_soon(work)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await wait_all_tasks_blocked()
        (group,) = reported
        assert group.subgroup(ValueError) is not None


@pytest.mark.parametrize("grouped", [False, True])
async def test_what_a_task_raises_while_it_is_cancelled_is_told_and_the_disconnect_handler_runs(
    autojump_clock, caplog, grouped
):
    server = Server()
    diary = Diary()

    async def fail():
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on purpose")

    async def work():
        if not grouped:
            await fail()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail)

    @server.on("go")
    async def go(ctx):
        ctx.start_soon(work)

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        diary(reason)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("go")
        await trio.sleep(1)
        await client.transport.hang_up()
        await trio.sleep(1)
        assert diary.happened == ["transport close"]
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert "on purpose" in "".join(map(repr, [record.exc_info[1], *getattr(record.exc_info[1], "exceptions", ())]))
        other = await peer.join()
        assert other.sids


async def test_a_failing_task_harms_no_other(autojump_clock, caplog):
    server = Server()
    diary = Diary()

    async def fail():
        raise ValueError("on purpose")

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(diary.stay)
        ctx.start_soon(fail)

    async with serving(server) as peer:
        client = await peer.join()
        await trio.sleep(5)
        assert diary.happened == ["task began"]
        await client.transport.hang_up()


async def test_another_thread_is_told_how_and_leaves_nothing_behind():  # in real time, for a thread takes none of trio's
    server = Server(shutdown_grace=1)
    kept, left = [], []
    server.on("connect", lambda ctx, auth: kept.append(ctx))
    server.on("disconnect", lambda ctx: left.append(ctx))

    with trio.fail_after(30):
        async with serving(server) as peer:
            client = await peer.join()
            (ctx,) = kept
            with pytest.raises(RuntimeError, match=r"from another thread use trio\.from_thread\.run_sync"):
                await trio.to_thread.run_sync(ctx.start_soon, trio.sleep_forever)
            await trio.to_thread.run_sync(
                lambda: trio.from_thread.run_sync(functools.partial(ctx.start_soon, emit, "from a thread"))
            )
            assert await client.event() == ["from a thread"]
            await client.transport.hang_up()
            await wait_all_tasks_blocked()
            assert left
            assert not server.services[0].leaving


# Whatever happens, and whenever.


async def work_on(ctx, diary):
    """A bit of everything that a task does, over several steps."""
    try:
        for number in range(3):
            await ctx.emit("tick", number)
            await trio.sleep(0.001)
        await ctx.join_room("late")
        await ctx.emit("ticks are over", to="late")
        await trio.sleep_forever()
    finally:
        diary.append("ended")


@sockets
async def test_a_client_that_leaves_at_any_step_leaves_nothing_behind(autojump_clock, caplog, sockets):
    before = await objects()

    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets) as home:
            ended = []
            started = []

            @home.server.on("work")
            async def work(ctx):
                for _ in range(2):
                    ctx.start_soon(work_on, ctx, ended)
                    started.append(ctx.sid)

            client = await home.join()
            socket = home.server.find_adapter("/").sockets[client.sid]
            injection.begin(lambda: socket.left("transport close"), everything=True)
            await client.peer.emit("work", id=1)
            await trio.sleep(0.01)
            injection.end()
            await client.hang_up()
            await wait_all_tasks_blocked()
            assert len(ended) <= len(started) <= 2
            assert home.left.count(client.sid) == 1
            assert not home.server.participants("late")

    assert await at_every_moment(scenario) > 10
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert await objects() <= before


async def serve_within(scope, server, listener, task_status):
    with scope:
        await server.serve_listeners([listener], task_status=task_status)


@sockets
async def test_a_shutdown_at_any_step_leaves_nothing_behind(autojump_clock, caplog, sockets):
    before = await objects()
    tasks = trio.lowlevel.current_statistics().tasks_living

    async def scenario(injection: Injection) -> None:
        server = Server(ping_interval=1000, shutdown_grace=4)
        ended, left = [], []

        @server.on("connect")
        async def connect(ctx):
            ctx.start_soon(work_on, ctx, ended)

        @server.on("disconnect")
        async def disconnect(ctx):
            left.append(ctx.sid)

        listener = MemoryListener(sockets=sockets)
        scope = trio.CancelScope()
        async with closing(listener), trio.open_nursery() as nursery:
            await nursery.start(serve_within, scope, server, listener)
            service = server.services[0]
            peer = Peer(listener.dial, "/socket.io/", HOST)
            injection.begin(scope.cancel, everything=True)
            with trio.move_on_after(5), suppress(PeerError, trio.BrokenResourceError):
                await peer.join()
                await trio.sleep(0.01)
            injection.end()
            scope.cancel()
        assert service.busy == 0
        assert not service.leaving
        assert not server.sessions
        assert len(left) <= 1
        assert len(ended) >= len(left), "whoever is told of the end had a task that has ended"

    assert await at_every_moment(scenario) > 10
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert await objects() <= before


@sockets
async def test_a_thousand_clients_with_tasks_come_and_go_and_nothing_is_left(autojump_clock, sockets):
    before = await objects()
    async with house(sockets=sockets) as home:
        empty = await settled(home.service)

        @home.server.on("work")
        async def work(ctx):
            for _ in range(5):
                ctx.start_soon(trio.sleep_forever)

        for _ in range(20):
            clients = [await home.join() for _ in range(5)]
            for client in clients:
                await client.peer.emit("work")
            await trio.sleep(0.01)
            for client in clients:
                await client.hang_up()
        await trio.sleep(GRACE + 1)
        assert await settled(home.service) == empty
    assert await objects() <= before


async def test_ending_over_polling_is_like_any_other(autojump_clock):
    server = Server()
    diary = Diary()

    @server.on("connect")
    async def connect(ctx):
        ctx.start_soon(diary.stay)

    async with serving(server) as peer:
        client = await peer.join(transport="polling")
        await trio.sleep(1)
        await client.transport.send("1")  # the close packet
        await wait_all_tasks_blocked()
        assert diary.happened == ["task began", "task was cancelled", "task ended"]
