"""What an application registers, which handler gets an event, and in which context it runs."""

import functools
import inspect
import logging
import re
from collections import deque

import pytest
import trio
from support.memory import serving
from support.stage import staged
from trio_socketio.protocol.socketio import Packet, PacketType

from trio_socketio import (
    ConnectionRefused,
    Namespace,
    Server,
    call_all,
    close_room,
    current_context,
    disconnect,
    emit,
    emit_nowait,
    join_room,
    leave_room,
    rooms,
)

# Ways to register.


async def test_on_event_and_the_catch_all_register_handlers(autojump_clock):
    server = Server()

    @server.on("first")
    async def some_name(ctx, *args):
        return ["on", *args]

    @server.event
    def second(ctx, x, y="default"):
        return ["event", x, y]

    @server.on("*")
    async def rest(ctx, *args):
        return ["rest", ctx.event, *args]

    third = server.on("third", lambda ctx: "given")
    assert callable(third)
    assert second.__name__ == "second"
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("first", 1, ack_id=0)
        await a.emit("second", 1, ack_id=1)
        await a.emit("third", ack_id=2)
        await a.emit("fourth", 1, b"2", ack_id=3)
        assert a.acks() == [
            (0, [["on", 1]]),
            (1, [["event", 1, "default"]]),
            (2, ["given"]),
            (3, [["rest", "fourth", 1, b"2"]]),
        ]


async def test_partials_callables_and_methods_are_handlers(autojump_clock):
    server = Server()

    class Callable:
        async def __call__(self, ctx, text):
            return f"object {text}"

        async def method(self, ctx, text):
            return f"method {text}"

    async def more(prefix, ctx, text):
        return f"{prefix} {text}"

    server.on("object", Callable())
    server.on("method", Callable().method)
    server.on("partial", functools.partial(more, "partial"))
    async with staged(server) as stage:
        a = await stage.join()
        for number, name in enumerate(("object", "method", "partial")):
            await a.emit(name, "x", ack_id=number)
        assert a.acks() == [(0, ["object x"]), (1, ["method x"]), (2, ["partial x"])]


async def test_a_plain_function_that_returns_a_coroutine_is_awaited(autojump_clock):
    server = Server()
    server.on("count", lambda ctx: ctx.emit("e"))
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("count", ack_id=0)
        assert a.events() == [["e"]]
        assert a.acks() == [(0, [1])]


async def test_the_exact_handler_wins_over_the_catch_all_and_the_latest_registration_counts(autojump_clock):
    server = Server()
    server.on("*", lambda ctx: "catch-all")
    server.on("e", lambda ctx: "first")
    server.on("e", lambda ctx: "second")
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("e", ack_id=0)
        await a.emit("f", ack_id=1)
        await a.emit("*", ack_id=2)
        assert a.acks() == [(0, ["second"]), (1, ["catch-all"]), (2, ["catch-all"])]


async def test_coming_and_going_never_reach_the_catch_all(autojump_clock):
    server = Server()
    caught = []
    server.on("*", lambda ctx, *args: caught.append(ctx.event))
    async with staged(server) as stage:
        a = await stage.join()
        await a.leave()
    assert caught == []


async def test_a_client_that_sends_more_or_fewer_arguments_than_the_handler_takes_is_logged(autojump_clock, caplog):
    server = Server()
    server.on("two", lambda ctx, x, y: "called")
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("two", 1, ack_id=0)
        await a.emit("two", 1, 2, 3, ack_id=1)
        await a.emit("two", 1, 2, ack_id=2)
        assert a.acks() == [(2, ["called"])]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1, "a client may do it again and again"
    assert server.stats()["refusals"]["wrong number of arguments"] == 2


# Signatures that cannot work.


def nothing():
    pass


def demands_three(ctx, one, two):
    pass


def keyword_only(ctx, *, needed):
    pass


def generator(ctx, *args):
    yield


async def async_generator(ctx, *args):
    yield


class GeneratorObject:
    def __call__(self, ctx, *args):
        yield


@pytest.mark.parametrize(
    ("event", "function", "says"),
    [
        ("connect", nothing, r"nothing\(\) cannot be the connect handler: its parameters are \(ctx\) or \(ctx, auth\)"),
        ("connect", demands_three, r"demands_three\(ctx, one, two\) cannot be the connect handler"),
        ("disconnect", nothing, r"cannot be the disconnect handler: its parameters are \(ctx\) or \(ctx, reason\)"),
        ("disconnect", demands_three, "cannot be the disconnect handler"),
        ("e", nothing, r"cannot be the event handler: its parameters are \(ctx, \.\.\.\)"),
        ("*", nothing, "cannot be the event handler"),
        ("e", keyword_only, "keyword_only needs the keyword 'needed'"),
        ("connect", keyword_only, "keyword_only needs the keyword 'needed'"),
        ("e", "no function", "a handler is a function, not str"),
        (7, nothing, "an event's name is a str, not int"),
        ("e", generator, "generator cannot be a handler: its yield makes it a generator, which would never run"),
        ("connect", async_generator, "async_generator cannot be a handler: its yield"),
        ("disconnect", GeneratorObject(), "cannot be a handler: its yield"),
        ("*", functools.partial(generator), "cannot be a handler: its yield"),
    ],
)
def test_a_wrong_signature_is_a_type_error_at_registration(event, function, says):
    server = Server()
    with pytest.raises(TypeError, match=says):
        server.on(event, function)
    with pytest.raises(TypeError, match=says):
        server.namespace("/x").on(event)(function)


@pytest.mark.parametrize(
    "on", [Server().on, Server().namespace("/x").on, functools.partial(Server().on, namespace="/y")]
)
def test_on_without_the_name_of_an_event_is_a_type_error(on):
    def chat(ctx, text):
        pass

    with pytest.raises(
        TypeError, match=r"the name of the event, as in @server\.on\('chat'\), before the handler .*chat;"
    ):
        on(chat)  # what `@server.on` without parentheses does
    for name, error in ((None, TypeError), (b"e", TypeError), ("", ValueError), ("connect_error", ValueError)):
        with pytest.raises(error, match="name"):
            on(name)


@pytest.mark.parametrize("function", [nothing, demands_three, keyword_only])
def test_a_wrong_signature_of_middleware_or_an_error_handler_says_what_is_wrong(function):
    server = Server()
    with pytest.raises(TypeError, match="middleware handler: its parameters are|needs the keyword"):
        server.use(function)
    with pytest.raises(TypeError, match=r"error handler: its parameters are \(ctx, error\)|needs the keyword"):
        server.on_error(function)
    with pytest.raises(TypeError, match="error handler"):
        server.on_error(lambda ctx: None)


async def test_a_wrong_signature_of_a_callback_says_what_is_wrong_and_sends_nothing(autojump_clock):
    server = Server()
    async with staged(server) as stage:
        a = await stage.join()
        for callback, says in (
            (keyword_only, "needs the keyword"),
            ("no function", "is a function"),
            (generator, "its yield makes it a generator"),
        ):
            with pytest.raises(TypeError, match=says):
                await server.emit("e", callback=callback)
        await stage.settle()
        assert a.events() == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda server: server.use(generator), "its yield"),
        (lambda server: server.on_error(async_generator), "its yield"),
        (lambda server: server.event(generator), "its yield"),
    ],
)
def test_no_generator_is_a_handler_of_any_kind(make, says):
    with pytest.raises(TypeError, match=says):
        make(Server())


async def test_a_function_that_does_not_say_its_parameters_is_called_with_all_arguments(autojump_clock):
    server = Server()
    added, queued, updated = set(), deque(), {}
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(updated.update)  # `set.add` and `deque.append` have one in later versions of Python
    async with staged(server) as stage:
        a = await stage.join()
        for number, callback in enumerate((added.add, queued.append, updated.update, int)):
            assert await server.emit("e", callback=callback) == 1
            await a.acknowledge(number, {} if callback == updated.update else number)
        await stage.settle()
        assert (added, list(queued)) == ({0}, [1])
        server.on("update", updated.update)
        await a.emit("update")


async def test_what_such_a_function_cannot_take_goes_to_the_error_handler(autojump_clock):
    server = Server()
    errors = []
    server.on_error(lambda ctx, error: errors.append(error))
    async with staged(server) as stage:
        a = await stage.join()
        await server.emit("e", callback=dict)  # which no version of Python tells the parameters of
        await a.acknowledge(0, 1, 2)
        await stage.settle()
    assert [type(error) for error in errors] == [TypeError]


def test_a_wrong_signature_in_a_class_is_a_type_error_at_registration():
    class Chat(Namespace):
        def on_talk(self):
            pass

    with pytest.raises(TypeError, match=r"on_talk\(\) cannot be the event handler"):
        Server().register(Chat("/chat"))


@pytest.mark.parametrize("name", ["connect_error", "disconnecting", "newListener", "removeListener", ""])
def test_a_reserved_or_empty_name_is_a_value_error_at_registration(name):
    with pytest.raises(ValueError, match="name"):
        Server().on(name, lambda ctx: None)


# Middleware.


async def test_middleware_sees_the_client_first_and_attaches_what_it_knows(autojump_clock):
    server = Server()
    log = []

    @server.use
    async def first(ctx, auth):
        log.append(("first", auth, ctx.auth, ctx.handshake.query["EIO"], ctx.namespace))
        ctx.data["user"] = auth["user"]

    @server.use
    def second(ctx):
        log.append(("second", ctx.data["user"]))

    @server.on("connect")
    async def connect(ctx):
        log.append(("connect", ctx.data["user"]))

    server.on("who", lambda ctx: ctx.data["user"])
    auth = {"user": "ada"}
    async with staged(server) as stage:
        a = await stage.join(auth=auth)
        await a.emit("who", ack_id=0)
        assert a.acks() == [(0, ["ada"])]
        await stage.join("/x", auth=auth)
    assert log == [("first", auth, auth, "4", "/"), ("second", "ada"), ("connect", "ada")]


async def test_middleware_rejects_with_a_message_and_data_and_what_follows_does_not_run(autojump_clock):
    server = Server()
    log = []

    @server.use
    async def first(ctx, auth):
        await ctx.emit("held")
        if auth == "data":
            raise ConnectionRefused("no", {"code": 7})
        return auth == "good"

    server.use(lambda ctx: log.append("second"))
    server.on("connect", lambda ctx: log.append("connect"))
    async with staged(server) as stage:
        a = await stage.join(auth={"not": "good"})
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", {"message": "Connection rejected by server"})]
    assert log == []
    server = Server()

    @server.use
    def refuse(ctx):
        raise ConnectionRefused("no", {"code": 7})

    async with staged(server) as stage:
        a = await stage.join()
        assert a.packets == [Packet(PacketType.CONNECT_ERROR, "/", {"message": "no", "data": {"code": 7}})]


# Errors.


async def test_the_error_handler_gets_the_exception_with_the_context(autojump_clock):
    server = Server()
    seen = []

    @server.on_error
    async def on_error(ctx, error):
        seen.append((ctx.event, ctx.namespace, ctx.sid, str(error), current_context() is ctx))
        await emit("sorry")
        return "the default"

    @server.on("fail")
    async def fail(ctx):
        await trio.lowlevel.checkpoint()
        raise LookupError("on purpose")

    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("fail", ack_id=0)
        assert seen == [("fail", "/", a.sid, "on purpose", True)]
        assert a.events() == [["sorry"]]
        assert a.acks() == [(0, ["the default"])]


async def test_an_error_handler_that_fails_is_logged_with_what_it_handled(autojump_clock, caplog):
    server = Server()

    @server.on_error
    def on_error(ctx, error):
        raise RuntimeError("the error handler itself")

    server.on("fail", lambda ctx: 1 / 0)
    server.on("disconnect", lambda ctx: 1 / 0)
    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("fail", ack_id=0)
        await a.leave()
        assert a.acks() == []
    failures = [record.exc_info[1] for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(failure) for failure in failures] == ["the error handler itself"] * 2
    assert "ZeroDivisionError" in failures[0].__notes__[0]


# concurrent=True.


async def test_a_concurrent_handler_does_not_hold_back_the_next_event(autojump_clock):
    server = Server()
    log = []

    @server.on("slow", concurrent=True)
    async def slow(ctx):
        log.append(("slow", ctx.event, current_context() is ctx))
        await trio.sleep(5)
        assert current_context() is ctx
        log.append("slow ends")

    @server.on("quick")
    async def quick(ctx):
        log.append("quick")
        await trio.sleep(1)
        log.append("quick ends")

    async with staged(server) as stage:
        a = await stage.join()
        for name in ("slow", "quick", "slow", "quick"):
            await a.emit(name)
        await trio.sleep(20)
    entry = ("slow", "slow", True)
    assert log == [entry, "quick", entry, "quick ends", "quick", "quick ends", "slow ends", "slow ends"]


# The context.


async def test_a_task_that_a_handler_starts_inherits_the_context(autojump_clock):
    server = Server()
    async with staged(server) as stage:

        async def background():
            await trio.sleep(1)
            await emit("from the task", current_context().sid)

        @server.on("begin")
        async def begin(ctx):
            stage.nursery.start_soon(background)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(emit, "from a nursery")

        a, b = await stage.join(), await stage.join()
        await a.emit("begin")
        await trio.sleep(2)
        assert a.events() == [["from a nursery"], ["from the task", a.sid]]
        assert b.events() == []


async def test_a_sibling_handler_never_sees_the_context_of_another(autojump_clock):
    server = Server(concurrent=True)

    @server.on("who")
    async def who(ctx, steps):
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
            assert current_context() is ctx
        await emit("you are", ctx.sid)
        await join_room(f"room of {ctx.sid}")
        return rooms()

    async with staged(server) as stage:
        members = [await stage.join() for _ in range(10)]
        for member in members:
            for steps in (9, 3, 6):
                await member.peer.emit("who", steps, id=steps)
        await stage.settle()
        for member in members:
            assert member.events() == [["you are", member.sid]] * 3
            assert {str(data) for _, data in member.acks()} == {str([[member.sid, f"room of {member.sid}"]])}
        with pytest.raises(RuntimeError, match="no current context"):
            current_context()


async def test_the_reader_and_later_handlers_are_free_of_the_context_of_an_emitter(autojump_clock):
    server = Server()
    contexts = []

    @server.on("work")
    async def work(ctx):
        contexts.append((current_context() is ctx, ctx.event))
        await ctx.emit("e", callback=lambda: contexts.append(("acked", current_context().event)))

    @server.on("other")
    async def other(ctx):
        contexts.append((current_context() is ctx, ctx.event))

    async with staged(server) as stage:
        a = await stage.join()
        await a.emit("work")
        await a.acknowledge(0)
        await a.emit("other")
    assert contexts == [(True, "work"), ("acked", "work"), (True, "other")]


# The functions outside of any handler.


async def test_outside_the_functions_act_on_the_only_server(autojump_clock):
    server = Server()
    async with staged(server) as stage:
        a = await stage.join()
        await join_room("r", a.sid)
        assert await emit("e", to="r") == 1
        assert emit_nowait("e", to=a.sid) == 1
        assert rooms(a.sid) == [a.sid, "r"]
        await leave_room("r", a.sid)
        await close_room("r")
        assert await call_all("q", to=[]) == {}
        await disconnect(a.sid)
        await stage.settle()
        assert a.types()[-1] is PacketType.DISCONNECT


async def test_outside_without_a_server_the_functions_say_so(autojump_clock):
    with pytest.raises(RuntimeError, match="no server serves"):
        await emit("e", broadcast=True)
    async with serving(Server()):
        assert await emit("e", broadcast=True) == 0
    with pytest.raises(RuntimeError, match="no server serves"):
        emit_nowait("e", broadcast=True)


async def test_outside_with_two_servers_the_functions_say_so_and_inside_they_know(autojump_clock):
    one, two = Server(), Server()
    async with staged(one) as first, staged(two) as second:
        with pytest.raises(RuntimeError, match="2 servers serve"):
            await emit("e", broadcast=True)
        a, b = await first.join(), await second.join()
        assert await second.inside(b, lambda ctx: emit("e", broadcast=True)) == 1
        assert (a.events(), b.events()) == ([], [["e"]])
        assert await second.inside(b, lambda ctx: one.emit("e")) == 1
        with pytest.raises(RuntimeError, match="to="):
            await second.inside(b, lambda ctx: one.call("e"))
        with pytest.raises(RuntimeError, match="no current connection"):
            await second.inside(b, lambda ctx: one.emit("e", include_self=False))
        await second.settle()
        assert (a.events(), b.events()) == ([["e"]], [["e"]])


def test_without_trio_the_functions_say_how_to_call_them():
    with pytest.raises(RuntimeError, match=re.escape("trio.from_thread.run(server.emit")):
        emit_nowait("e", broadcast=True)


async def test_from_a_thread_the_servers_emit_works():
    server = Server()
    async with staged(server) as stage:
        a = await stage.join()

        def work():
            return trio.from_thread.run(server.emit, "from a thread")

        assert await trio.to_thread.run_sync(work) == 1
        await stage.settle()
        assert a.events() == [["from a thread"]]
