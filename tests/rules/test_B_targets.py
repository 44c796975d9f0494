# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section B: whom a call reaches."""

import pytest
import trio
from support.stage import staged
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import Server, call, emit, emit_nowait, send


async def three(stage):
    return await stage.join(), await stage.join(), await stage.join()


def reached(*members):
    """Who got how many events since they were asked last."""
    counts = [len(member.events()) for member in members]
    for member in members:
        member.packets.clear()
    return counts


async def test_B1_inside_without_a_target_it_is_self_only(autojump_clock, stage):
    a, b, c = await three(stage)
    for act in (
        lambda ctx: ctx.emit("e"),
        lambda ctx: emit("e"),
        lambda ctx: emit_nowait("e"),
        lambda ctx: send("e"),
        lambda ctx: ctx.emit("e", to=None, room=None),
    ):
        assert await stage.inside(a, act) == 1
        assert reached(a, b, c) == [1, 0, 0]


async def test_B2_the_server_without_a_target_means_everyone_also_inside(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.server.emit("e") == 3
    await stage.settle()
    assert reached(a, b, c) == [1, 1, 1]
    assert await stage.inside(a, lambda ctx: stage.server.emit("e")) == 3
    assert reached(a, b, c) == [1, 1, 1]
    assert await stage.inside(a, lambda ctx: stage.server.namespace("/").emit("e")) == 3
    assert reached(a, b, c) == [1, 1, 1]


async def test_B3_outside_without_a_target_the_error_names_both_ways_out(autojump_clock, stage):
    a = await stage.join()
    for function in (emit, emit_nowait, send):
        with pytest.raises(RuntimeError) as raised:
            result = function("e")
            if function is not emit_nowait:
                await result
        assert "to=" in str(raised.value)
        assert "broadcast=True" in str(raised.value)
    with pytest.raises(RuntimeError, match="to="):
        await call("e")
    await stage.settle()
    assert a.events() == []


async def test_B4_outside_with_a_target_it_works(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await emit("e", broadcast=True) == 3
    assert await emit("e", to=[a.sid, b.sid]) == 2
    await stage.settle()
    assert reached(a, b, c) == [2, 2, 1]


async def test_B5_broadcast_reaches_everyone_and_self(autojump_clock, stage):
    a, b, c = await three(stage)
    d = await stage.join("/x")
    assert await stage.inside(a, lambda ctx: emit("e", broadcast=True)) == 3
    assert reached(a, b, c, d) == [1, 1, 1, 0]


async def test_B6_to_decides_over_broadcast(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", to=b.sid, broadcast=True)) == 1
    assert reached(a, b, c) == [0, 1, 0]


async def test_B7_ones_own_sid_is_self(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", to=ctx.sid)) == 1
    assert reached(a, b, c) == [1, 0, 0]


async def test_B8_another_sid_is_that_connection(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", to=c.sid)) == 1
    assert reached(a, b, c) == [0, 0, 1]


async def test_B9_several_names_mean_their_union_each_connection_once(autojump_clock, stage):
    a, b, c = await three(stage)
    for member, room in ((a, "r"), (b, "r"), (b, "s")):
        await stage.server.join_room(room, member.sid)
    assert await stage.inside(c, lambda ctx: emit("e", to=["r", "s", a.sid, "r", "nobody"])) == 2
    assert reached(a, b, c) == [1, 1, 0]


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, iter, dict.fromkeys])
async def test_B10_any_iterable_of_names_is_read_once(autojump_clock, stage, kind):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", to=kind([a.sid, b.sid]))) == 2
    assert reached(a, b, c) == [1, 1, 0]


async def test_B10_a_generator_is_read_once(autojump_clock, stage):
    a, b, _ = await three(stage)
    read = []

    def targets():
        for member in (a, b):
            read.append(member)
            yield member.sid

    assert await stage.inside(a, lambda ctx: emit("e", to=targets(), callback=lambda: None)) == 2
    assert read == [a, b]


@pytest.mark.parametrize("target", [b"r", bytearray(b"r"), 7, 1.5, True, ["r", 7], [b"r"], [None], [["r"]], object()])
async def test_B11_names_are_str_only(autojump_clock, stage, target):
    a = await stage.join()
    for keyword in ("to", "room"):
        with pytest.raises(TypeError, match=f"{keyword} .* str"):
            await stage.inside(a, lambda ctx, keyword=keyword: emit("e", **{keyword: target}))
    assert a.events() == []


@pytest.mark.parametrize("nobody", [[], (), set(), iter([])])
async def test_B12_an_empty_target_reaches_nobody(autojump_clock, stage, nobody):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", to=nobody)) == 0
    assert await stage.inside(a, lambda ctx: emit("e", to=nobody, broadcast=True)) == 0
    assert await stage.inside(a, lambda ctx: emit("e", room=nobody)) == 0
    assert await stage.server.emit("e", to=nobody) == 0
    await stage.settle()
    assert reached(a, b, c) == [0, 0, 0]


async def test_B13_an_empty_name_is_a_value_error(autojump_clock, stage):
    a = await stage.join()
    for target in ("", [""], ["r", ""]):
        with pytest.raises(ValueError, match="empty name"):
            await stage.inside(a, lambda ctx, target=target: emit("e", to=target))
    assert a.events() == []


async def test_B14_room_is_an_alias_of_to(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", room=b.sid)) == 1
    assert await stage.inside(a, lambda ctx: emit("e", to=b.sid, room=[b.sid])) == 1
    assert reached(a, b, c) == [0, 2, 0]
    with pytest.raises(TypeError, match="differ"):
        await stage.inside(a, lambda ctx: emit("e", to=b.sid, room=c.sid))
    assert reached(a, b, c) == [0, 0, 0]


async def test_B15_an_unknown_room_or_a_sid_that_has_left_is_nobody(autojump_clock, stage):
    a, b, c = await three(stage)
    await b.leave()
    assert await stage.inside(a, lambda ctx: emit("e", to="nowhere")) == 0
    assert await stage.inside(a, lambda ctx: emit("e", to=b.sid)) == 0
    assert reached(a, b, c) == [0, 0, 0]


async def test_B16_an_unknown_keyword_is_a_type_error(autojump_clock, stage):
    a = await stage.join()
    for act in (
        lambda ctx: emit("e", brodcast=True),
        lambda ctx: send("e", brodcast=True),
        lambda ctx: call("e", brodcast=True),
        lambda ctx: stage.server.emit("e", brodcast=True),
    ):
        with pytest.raises(TypeError, match="brodcast"):
            await stage.inside(a, act)
    assert a.events() == []


async def test_B17_the_recipients_are_fixed_at_the_call(autojump_clock, stage):
    a, b, c = await three(stage)
    await stage.server.join_room("r", a.sid)
    await stage.server.join_room("r", b.sid)

    async def act(ctx):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ctx.leave_room, "r", b.sid)
            nursery.start_soon(ctx.join_room, "r", c.sid)
            return ctx.emit_nowait("e", to="r", callback=lambda: None)

    assert await stage.inside(a, act) == 2
    assert reached(a, b, c) == [1, 1, 0]
    assert stage.server.participants("r") == [a.sid, c.sid]


async def test_B17_a_target_that_acts_while_it_is_read_changes_nothing(autojump_clock, stage):
    a, b, c = await three(stage)

    def targets():
        yield b.sid
        stage.server.adapter("/").registry.join(c.sid, "late")

    assert await stage.inside(a, lambda ctx: emit("e", to=targets())) == 1
    assert reached(a, b, c) == [0, 1, 0]


async def test_B18_before_it_is_accepted_a_connection_is_a_target_of_its_own_handler_alone(autojump_clock):
    server = Server()
    go = trio.Event()

    @server.on("connect")
    async def connect(ctx, auth):
        if auth is not None:
            await ctx.join_room("r")
            await go.wait()
            assert await ctx.emit("mine") == 1
            assert await ctx.emit("ours", broadcast=True) == 2
            assert await ctx.emit("room", to="r") == 2
            assert await ctx.emit("others", broadcast=True, include_self=False) == 1

    async with staged(server) as stage:
        a = await stage.join()
        await server.join_room("r", a.sid)
        b = await stage.join(auth={"slow": True})
        assert await server.emit("foreign") == 1
        assert await stage.inside(a, lambda ctx: ctx.emit("foreign", broadcast=True, to="r")) == 1
        assert b.packets == []
        go.set()
        await stage.settle()
        assert b.types()[0] is PacketType.CONNECT
        assert b.events() == [["mine"], ["ours"], ["room"]]
        assert a.events() == [["foreign"], ["foreign"], ["ours"], ["room"], ["others"]]
        assert await server.emit("now") == 2


async def test_B18_after_its_disconnect_a_connection_is_no_target_any_more(autojump_clock, stage):
    a, b, c = await three(stage)
    await stage.inside(a, lambda ctx: ctx.disconnect(b.sid))
    assert await stage.server.emit("e") == 2
    await stage.settle()
    await c.hang_up()
    assert await stage.server.emit("e") == 1
    await stage.settle()
    assert b.types()[-1] is PacketType.DISCONNECT
    assert reached(a, b, c) == [2, 0, 1]
