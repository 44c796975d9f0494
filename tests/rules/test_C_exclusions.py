# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section C: who is left out."""

import pytest
from support.memory import serving
from support.stage import staged

from trio_socketio import Server, emit, send


async def three(stage):
    members = [await stage.join("/", "/x") for _ in range(3)]
    for member in members:
        await stage.server.join_room("r", member.sid)
        await stage.server.join_room("r", member.sids["/x"], "/x")
    return members


def reached(*members, namespace="/"):
    counts = [len(member.events(namespace)) for member in members]
    for member in members:
        member.packets.clear()
    return counts


async def test_C1_include_self_false_leaves_self_out(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", broadcast=True, include_self=False)) == 2
    assert reached(a, b, c) == [0, 1, 1]
    assert await stage.inside(a, lambda ctx: emit("e", to="r", include_self=False)) == 2
    assert reached(a, b, c) == [0, 1, 1]
    assert await stage.inside(a, lambda ctx: emit("e", to=ctx.sid, include_self=False)) == 0
    assert await stage.inside(a, lambda ctx: stage.server.emit("e", include_self=False)) == 2
    assert reached(a, b, c) == [0, 1, 1]


async def test_C2_include_self_and_skip_sid_both_subtract(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", broadcast=True, include_self=False, skip_sid=b.sid)) == 1
    assert reached(a, b, c) == [0, 0, 1]
    assert await stage.inside(a, lambda ctx: send("e", to="r", include_self=False, skip_sid=[b.sid])) == 1
    assert reached(a, b, c) == [0, 0, 1]


@pytest.mark.parametrize("kind", [list, tuple, set, iter])
async def test_C3_skip_sid_is_one_sid_or_any_iterable_of_them(autojump_clock, stage, kind):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", broadcast=True, skip_sid=kind([a.sid, c.sid]))) == 1
    assert reached(a, b, c) == [0, 1, 0]
    assert await stage.server.emit("e", skip_sid=b.sid) == 2
    assert await stage.server.emit("e", skip_sid=kind([])) == 3


@pytest.mark.parametrize("wrong", [b"sid", 7, [7], [None], object()])
async def test_C3_anything_else_in_skip_sid_is_a_type_error(autojump_clock, stage, wrong):
    a = await stage.join()
    with pytest.raises(TypeError, match="skip_sid"):
        await stage.inside(a, lambda ctx: emit("e", broadcast=True, skip_sid=wrong))
    assert a.events() == []


async def test_C4_excluding_self_when_self_is_the_only_target_is_a_mistake(autojump_clock, stage):
    a = await stage.join()
    for act in (lambda ctx: emit("e", include_self=False), lambda ctx: send("e", include_self=False)):
        with pytest.raises(ValueError, match="include_self=False"):
            await stage.inside(a, act)
    assert a.events() == []


async def test_C5_excluding_self_outside_is_a_readable_error(autojump_clock, stage):
    a = await stage.join()
    for target in ({"broadcast": True}, {"to": "r"}):
        with pytest.raises(RuntimeError, match="there is no current connection; use skip_sid"):
            await emit("e", include_self=False, **target)
        with pytest.raises(RuntimeError, match="skip_sid"):
            await stage.server.emit("e", include_self=False, **target)
    await stage.settle()
    assert a.events() == []


async def test_C6_a_room_in_skip_sid_has_no_effect(autojump_clock, stage):
    a, b, c = await three(stage)
    assert await stage.inside(a, lambda ctx: emit("e", broadcast=True, skip_sid="r")) == 3
    assert reached(a, b, c) == [1, 1, 1]


async def test_C7_across_namespaces_the_sid_of_the_connection_there_is_excluded(autojump_clock, stage):
    a, b, c = await three(stage)
    act = lambda ctx: emit("e", to="r", namespace="/x", include_self=False)  # noqa: E731
    assert await stage.inside(a, act) == 2
    assert reached(a, b, c, namespace="/x") == [0, 1, 1]


async def test_C8_volatile_leaves_out_who_has_no_get_pending(autojump_clock, stage):
    a, b = await stage.join(), await stage.join(transport="polling")
    away = await stage.peer.join(transport="polling")  # between two GETs
    answered = []
    assert await stage.server.emit("e", volatile=True, callback=lambda: answered.append(1)) == 2
    assert stage.server.emit_nowait("e", to=away.sids["/"], volatile=True) == 0
    assert await stage.inside(a, lambda ctx: send("m", to=away.sids["/"], volatile=True)) == 0
    await stage.settle()
    stats = stage.server.stats()
    assert (stats["events_dropped"], stats["pending_acks"]) == (3, 2)
    assert a.events() == b.events() == [["e"]]
    assert await stage.server.emit("late") == 3
    assert await away.event() == ["late"]


async def test_C8_volatile_leaves_out_who_has_not_read_what_was_sent_before(autojump_clock):
    server = Server()
    async with serving(server, sockets=True) as peer:
        slow, fast = await peer.join(), await peer.join()
        size = 0
        while await server.emit("e", "x" * 10_000, to=slow.sids["/"], volatile=True):
            size += 1
        assert size
        assert await server.emit("f", volatile=True) == 1
        assert await fast.event() == ["f"]
        assert server.stats()["events_dropped"] == 2
        for _ in range(size):
            assert await slow.event() == ["e", "x" * 10_000]
        assert await server.emit("late", volatile=True) == 2
        assert await slow.event() == ["late"]


async def test_C8_volatile_leaves_out_who_is_not_accepted_yet(autojump_clock):
    server = Server()

    @server.on("connect")
    async def connect(ctx):
        assert await ctx.emit("e", volatile=True) == 0
        assert await ctx.emit("f") == 1

    async with staged(server) as stage:
        a = await stage.join()
        assert a.events() == [["f"]]
