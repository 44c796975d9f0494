# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section I: ignore_queue."""

from trio_socketio.protocol.socketio import PacketType

from trio_socketio import call, disconnect, emit, emit_nowait, send


async def test_I_without_a_cluster_ignore_queue_changes_nothing(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    for ignore in (False, True):
        assert await stage.inside(a, lambda ctx, i=ignore: emit("e", ignore_queue=i)) == 1
        assert await stage.inside(a, lambda ctx, i=ignore: send("e", to=b.sid, ignore_queue=i)) == 1
        assert await stage.inside(a, lambda ctx, i=ignore: emit_nowait("e", broadcast=True, ignore_queue=i)) == 2
        assert await stage.server.emit("e", skip_sid=a.sid, ignore_queue=ignore) == 1
    await stage.settle()
    assert a.events() == [["e"]] * 4
    assert b.events() == [["message", "e"], ["e"], ["e"]] * 2


async def test_I_call_and_disconnect_accept_it(autojump_clock, stage):
    a = await stage.join()
    answers = []

    @stage.server.on("ask")
    async def ask(ctx):
        answers.append(await call("question", ignore_queue=True))
        await disconnect(ignore_queue=True)

    await a.emit("ask")
    await a.acknowledge(0, "answer")
    assert answers == ["answer"]
    assert a.types()[-1] is PacketType.DISCONNECT
