# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section G: rooms."""

import pytest
from support.stage import staged
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import ConnectionRefused, NotConnected, Server, close_room, join_room, leave_room, rooms


async def test_G1_self_and_the_current_namespace_are_the_defaults(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/", "/x")

    async def act(ctx):
        await join_room("r")
        await join_room(iter(["s", "t"]))
        await join_room("r", b.sids["/x"])
        await join_room("root", namespace="/")
        await leave_room(["s", "nowhere"])
        return rooms(), rooms(b.sids["/x"]), rooms(namespace="/"), rooms(b.sid, "/")

    mine, theirs, root, their_root = await stage.inside(a, act, "/x")
    assert mine == [a.sids["/x"], "r", "t"]
    assert theirs == [b.sids["/x"], "r"]
    assert root == [a.sid, "root"]
    assert their_root == [b.sid]
    assert await stage.server.emit("e", to="r", namespace="/x") == 2


async def test_G1_a_room_is_a_non_empty_str_or_several(autojump_clock, stage):
    a = await stage.join()
    for function in (join_room, leave_room, close_room):
        for wrong in (7, b"r", None, ["r", 7]):
            with pytest.raises(TypeError, match="str"):
                await stage.inside(a, lambda ctx, function=function, wrong=wrong: function(wrong))
        for empty in ("", ["r", ""]):
            with pytest.raises(ValueError, match="empty"):
                await stage.inside(a, lambda ctx, function=function, empty=empty: function(empty))
    assert await stage.inside(a, lambda ctx: rooms()) == [a.sid]


async def test_G1_outside_the_client_must_be_named(autojump_clock, stage):
    a = await stage.join()
    for act in (lambda: join_room("r"), lambda: leave_room("r"), lambda: stage.server.join_room("r")):
        with pytest.raises(RuntimeError, match="sid="):
            await act()
    with pytest.raises(RuntimeError, match="sid="):
        rooms()
    await join_room("r", a.sid)
    assert rooms(a.sid) == stage.server.rooms(a.sid) == [a.sid, "r"]


async def test_G2_joining_twice_and_leaving_what_was_not_joined_do_nothing(autojump_clock, stage):
    a = await stage.join()

    async def act(ctx):
        await ctx.leave_room("r")
        await ctx.join_room("r")
        await ctx.join_room(["r", "r"])
        return ctx.rooms()

    assert await stage.inside(a, act) == [a.sid, "r"]
    assert await stage.server.emit("e", to="r") == 1
    await stage.inside(a, lambda ctx: ctx.leave_room("r"))
    assert await stage.server.emit("e", to="r") == 0


async def test_G3_a_sid_that_is_not_connected_is_a_lookup_error(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join()
    await b.leave()
    for sid, namespace in ((b.sid, "/"), ("nobody", "/"), (a.sid, "/x"), (a.sids["/x"], "/"), (a.sid, "/undefined")):
        for act in (
            lambda ctx, sid=sid, namespace=namespace: ctx.join_room("r", sid, namespace),
            lambda ctx, sid=sid, namespace=namespace: ctx.leave_room("r", sid, namespace),
            lambda ctx, sid=sid, namespace=namespace: ctx.rooms(sid, namespace),
        ):
            with pytest.raises(NotConnected) as raised:
                await stage.inside(a, act)
            assert isinstance(raised.value, LookupError)
    assert stage.server.participants("r") == []


async def test_G4_the_room_of_another_sid_cannot_be_joined(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    with pytest.raises(ValueError, match="private packets"):
        await stage.inside(a, lambda ctx: ctx.join_room(["r", b.sid]))
    assert await stage.server.emit("secret", to=b.sid) == 1
    assert stage.server.participants("r") == []
    await stage.inside(a, lambda ctx: ctx.join_room(ctx.sid))
    assert await stage.inside(a, lambda ctx: ctx.rooms()) == [a.sid]


async def test_G4_the_room_of_a_sid_cannot_be_left_or_closed(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    for act in (
        lambda ctx: ctx.leave_room(ctx.sid),
        lambda ctx: ctx.leave_room(["r", b.sid], b.sid),
        lambda ctx: ctx.close_room(ctx.sid),
        lambda ctx: ctx.close_room(b.sid),
    ):
        with pytest.raises(ValueError, match="sid"):
            await stage.inside(a, act)
    assert await stage.server.emit("e", to=[a.sid, b.sid]) == 2


async def test_G5_rooms_lists_the_own_sid_first_also_in_the_disconnect_handler(autojump_clock):
    server = Server()
    listed = []

    @server.on("connect")
    async def connect(ctx):
        await ctx.join_room(["b", "a"])
        listed.append((ctx.sid, ctx.rooms()))

    @server.on("disconnect")
    def bye(ctx):
        listed.append((ctx.sid, ctx.rooms()))

    async with staged(server) as stage:
        a = await stage.join()
        await a.leave()
        b = await stage.join()
        await b.hang_up()
        assert listed == [(m.sid, [m.sid, "b", "a"]) for m in (a, a, b, b)]


async def test_G6_the_members_of_a_closed_room_stay_connected(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    for member in (a, b):
        await stage.server.join_room(["r", "s"], member.sid)
    await stage.inside(a, lambda ctx: ctx.close_room("r"))
    assert stage.server.participants("r") == []
    assert await stage.server.emit("e", to="r") == 0
    assert await stage.server.emit("e", to="s") == 2
    assert await stage.inside(b, lambda ctx: ctx.rooms()) == [b.sid, "s"]
    await stage.server.close_room("r")
    await stage.server.close_room("never existed", "/undefined")


async def test_G6_an_empty_room_does_not_exist(autojump_clock, stage):
    a = await stage.join()
    await stage.server.join_room(["r", "s", "t"], a.sid)
    assert stage.server.stats()["rooms"] == 3
    await stage.server.leave_room("r", a.sid)
    await stage.server.close_room("s")
    assert stage.server.stats()["rooms"] == 1
    await a.hang_up()
    assert stage.server.stats()["rooms"] == 0


async def test_G7_the_same_name_in_two_namespaces_is_two_rooms(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/", "/x")
    await stage.server.join_room("r", a.sid)
    await stage.server.join_room("r", b.sids["/x"], "/x")
    assert await stage.server.emit("e", to="r") == 1
    assert await stage.server.emit("e", to="r", namespace="/x") == 1
    await stage.server.close_room("r")
    assert stage.server.participants("r", "/x") == [b.sids["/x"]]
    await stage.settle()
    assert (a.events(), a.events("/x"), b.events(), b.events("/x")) == ([["e"]], [], [], [["e"]])


async def test_G8_joins_of_a_connect_handler_are_undone_if_it_rejects(autojump_clock):
    server = Server()

    @server.on("connect")
    async def connect(ctx):
        await ctx.join_room(["r", "s"])
        await ctx.leave_room("s")
        assert ctx.rooms() == [ctx.sid, "r"]
        raise ConnectionRefused("no")

    async with staged(server) as stage:
        a = await stage.join()
        assert a.types() == [PacketType.CONNECT_ERROR]
        assert server.participants("r") == []
        assert await server.emit("e", to="r") == 0
        assert server.stats()["rooms"] == 0


async def test_G8_in_the_disconnect_handler_a_join_of_self_is_a_no_op(autojump_clock):
    server = Server()
    listed = []

    @server.on("disconnect")
    async def bye(ctx):
        await ctx.join_room("late")
        listed.append(ctx.rooms())
        await ctx.leave_room("late")

    async with staged(server) as stage:
        a = await stage.join()
        await a.leave()
        assert listed == [[a.sid]]
        assert server.participants("late") == []
        assert server.stats()["rooms"] == 0


async def test_G9_participants_lists_the_members(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/", "/x")
    await stage.server.join_room("r", b.sid)
    await stage.server.join_room("r", a.sid)
    await stage.server.join_room("r", a.sids["/x"], "/x")
    assert stage.server.participants("r") == [b.sid, a.sid]
    assert stage.server.participants("r", "/x") == [a.sids["/x"]]
    assert stage.server.participants(a.sid) == [a.sid]
    assert stage.server.participants("nowhere") == stage.server.participants("r", "/undefined") == []
