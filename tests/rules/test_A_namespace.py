# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section A: which namespace a call means."""

import pytest
from support.stage import staged
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import (
    Namespace,
    NotConnected,
    Server,
    call,
    close_room,
    disconnect,
    emit,
    emit_nowait,
    join_room,
    leave_room,
    rooms,
    send,
)


async def test_A1_the_functions_mean_the_namespace_of_the_current_event(autojump_clock, stage):
    a = await stage.join("/", "/x")

    async def act(ctx):
        await emit("e")
        emit_nowait("n")
        await send("s")
        await join_room("r")
        return rooms()

    assert await stage.inside(a, act, "/x") == [a.sids["/x"], "r"]
    assert a.events("/x") == [["e"], ["n"], ["message", "s"]]
    assert a.events("/") == []
    assert stage.server.participants("r", "/x") == [a.sids["/x"]]
    await stage.inside(a, lambda ctx: leave_room("r"), "/x")
    assert stage.server.participants("r", "/x") == []
    await stage.inside(a, lambda ctx: join_room("r"), "/x")
    await stage.inside(a, lambda ctx: close_room("r"), "/x")
    assert stage.server.participants("r", "/x") == []
    await stage.inside(a, lambda ctx: disconnect(), "/x")
    assert a.types("/x")[-1] is PacketType.DISCONNECT
    assert PacketType.DISCONNECT not in a.types("/")


async def test_A1_call_means_the_namespace_of_the_current_event(autojump_clock, stage):
    a = await stage.join("/", "/x")
    answers = []

    @stage.server.on("ask", namespace="/x")
    async def ask(ctx):
        answers.append(await call("question"))

    await a.emit("ask", namespace="/x")
    assert a.events("/x") == [["question"]]
    await a.acknowledge(0, "answer", namespace="/x")
    assert answers == ["answer"]


async def test_A2_the_server_and_outside_calls_mean_the_root(autojump_clock, stage):
    a = await stage.join("/", "/x")
    assert await stage.server.emit("one") == 1
    assert await emit("two", broadcast=True) == 1
    assert await stage.inside(a, lambda ctx: stage.server.emit("three"), "/x") == 1
    await stage.settle()
    assert a.events("/") == [["one"], ["two"], ["three"]]
    assert a.events("/x") == []


async def test_A3_an_explicit_root_wins_over_the_current_namespace(autojump_clock, stage):
    a = await stage.join("/", "/x")
    assert await stage.inside(a, lambda ctx: ctx.emit("e", namespace="/"), "/x") == 1
    assert (a.events("/"), a.events("/x")) == ([["e"]], [])
    assert await stage.inside(a, lambda ctx: rooms(namespace="/"), "/x") == [a.sid]


@pytest.mark.parametrize("name", ["", "x", "chat/x"])
async def test_A4_a_namespace_without_its_slash_is_a_value_error(autojump_clock, stage, name):
    a = await stage.join()
    calls = [
        lambda ctx: emit("e", namespace=name),
        lambda ctx: ctx.send("e", namespace=name),
        lambda ctx: ctx.call("e", namespace=name),
        lambda ctx: join_room("r", namespace=name),
        lambda ctx: leave_room("r", namespace=name),
        lambda ctx: close_room("r", namespace=name),
        lambda ctx: rooms(namespace=name),
        lambda ctx: disconnect(namespace=name),
        lambda ctx: stage.server.emit("e", namespace=name),
        lambda ctx: stage.server.participants("r", name),
        lambda ctx: stage.server.namespace(name),
    ]
    for act in calls:
        with pytest.raises(ValueError, match="begins with '/'"):
            await stage.inside(a, act)
    assert a.types() == [PacketType.CONNECT]


async def test_A5_a_namespace_that_nobody_joined_reaches_nobody(autojump_clock, stage):
    a = await stage.join()
    assert await stage.server.emit("e", namespace="/x") == 0
    assert await stage.server.emit("e", namespace="/undefined") == 0
    assert await stage.inside(a, lambda ctx: ctx.emit("e", namespace="/undefined", broadcast=True)) == 0
    assert a.types() == [PacketType.CONNECT]


async def test_A6_a_sid_of_another_namespace_matches_nobody(autojump_clock, stage):
    a = await stage.join("/", "/x")
    assert await stage.server.emit("e", to=a.sids["/x"]) == 0
    assert await stage.inside(a, lambda ctx: ctx.emit("e", to=ctx.sid, namespace="/x")) == 0
    assert (a.events("/"), a.events("/x")) == ([], [])


async def test_A7_the_methods_of_a_class_have_the_defaults_of_the_functions(autojump_clock):
    class Chat(Namespace):
        async def on_talk(self, ctx, text):
            assert await self.emit("self", text) == 1
            assert await self.emit("all", text, broadcast=True) == 2
            assert await self.emit("others", text, broadcast=True, include_self=False) == 1
            assert await self.send("sent", room="r", skip_sid=ctx.sid) == 0
            await self.join_room("r")
            assert self.rooms() == [ctx.sid, "r"]

    server = Server()
    chat = server.register(Chat("/chat"))
    async with staged(server) as stage:
        a, b = await stage.join("/chat"), await stage.join("/chat")
        await a.emit("talk", "hi", namespace="/chat")
        assert a.events("/chat") == [["self", "hi"], ["all", "hi"]]
        assert b.events("/chat") == [["all", "hi"], ["others", "hi"]]
        with pytest.raises(RuntimeError, match="broadcast=True"):
            await chat.emit("outside")
        assert await chat.emit("outside", broadcast=True) == 2


async def test_A8_self_is_the_connection_in_whatever_namespace(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/", "/x")
    assert await stage.inside(a, lambda ctx: ctx.emit("e", namespace="/x")) == 1
    assert (a.events("/x"), b.events("/x")) == ([["e"]], [])


async def test_A8_a_namespace_that_the_connection_has_not_joined_has_no_self(autojump_clock, stage):
    a, b = await stage.join("/"), await stage.join("/x")
    with pytest.raises(RuntimeError, match="has not joined '/x'"):
        await stage.inside(a, lambda ctx: ctx.emit("e", namespace="/x"))
    assert b.events("/x") == []


async def test_A8_a_namespace_whose_connect_handler_still_runs_is_not_joined_yet(autojump_clock, stage):
    @stage.server.on("connect", namespace="/x")
    async def connect(ctx):
        await ctx.disconnected.wait()

    a = await stage.join("/", "/x")
    with pytest.raises(RuntimeError, match="has not joined '/x'"):
        await stage.inside(a, lambda ctx: ctx.emit("e", namespace="/x"))


async def test_A9_rooms_and_disconnect_mean_the_same_connection_across_namespaces(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/")
    await stage.inside(a, lambda ctx: ctx.join_room("r", namespace="/x"))
    assert stage.server.participants("r", "/x") == [a.sids["/x"]]
    assert await stage.inside(a, lambda ctx: ctx.rooms(namespace="/x")) == [a.sids["/x"], "r"]
    await stage.inside(a, lambda ctx: ctx.leave_room("r", namespace="/x"))
    assert stage.server.participants("r", "/x") == []
    await stage.inside(a, lambda ctx: ctx.disconnect(namespace="/x"))
    assert a.types("/x")[-1] is PacketType.DISCONNECT
    for act in (
        lambda ctx: ctx.join_room("r", namespace="/x"),
        lambda ctx: ctx.leave_room("r", namespace="/x"),
        lambda ctx: ctx.rooms(namespace="/x"),
        lambda ctx: ctx.disconnect(namespace="/x"),
        lambda ctx: ctx.emit("e", broadcast=True, include_self=False, namespace="/x"),
    ):
        with pytest.raises(RuntimeError, match="has not joined '/x'"):
            await stage.inside(b, act)
    with pytest.raises(NotConnected):
        await stage.inside(b, lambda ctx: ctx.rooms(b.sid, namespace="/x"))
