# ruff: noqa: N802 - the names of the tests begin with the ids of the rules
"""Section E: acknowledgements that clients send."""

import logging

import pytest
import trio
from support.stage import staged
from trio_socketio.server.errors import TooManyAcks

from trio_socketio import AckTimeout, Disconnected, Server, current_context, emit


def ack_ids(member, namespace="/"):
    return [packet.id for packet in member.packets if packet.id is not None and packet.namespace == namespace]


async def test_E1_ack_ids_count_up_per_connection_and_namespace(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/", "/x")
    for _ in range(2):
        await stage.server.emit("e", callback=lambda: None)
    await stage.server.emit("e", to=a.sid, callback=lambda: None)
    await stage.server.emit("e", namespace="/x", callback=lambda: None)
    await stage.settle()
    assert (ack_ids(a), ack_ids(b)) == ([0, 1, 2], [0, 1])
    assert (ack_ids(a, "/x"), ack_ids(b, "/x")) == ([0], [0])


async def test_E2_a_callback_runs_at_most_once_and_is_removed_before(autojump_clock, stage):
    a = await stage.join()
    calls = []

    async def callback(value):
        calls.append(value)
        await trio.sleep(1)

    await stage.server.emit("e", callback=callback)
    await a.acknowledge(0, "first")
    await a.acknowledge(0, "while it runs")
    await trio.sleep(2)
    await a.acknowledge(0, "after")
    assert calls == ["first"]


@pytest.mark.parametrize(
    ("acked", "called"),
    [([], ()), (["x"], ("x",)), (["x", "y"], ("x", "y")), ([["x", "y"]], (["x", "y"],)), ([None], (None,))],
)
async def test_E3_the_arguments_are_spread(autojump_clock, stage, acked, called):
    a = await stage.join()
    calls = []
    await stage.server.emit("e", callback=lambda *args: calls.append(args))
    await a.acknowledge(0, *acked)
    assert calls == [called]


async def test_E4_a_callback_runs_in_the_context_of_the_emitter(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join("/", "/x")
    seen = []

    async def callback():
        ctx = current_context()
        seen.append((ctx.sid, ctx.namespace, ctx.acked_by))
        await emit("acked")

    def plain():
        seen.append(current_context().acked_by)

    await stage.inside(a, lambda ctx: ctx.emit("e", to=b.sids["/x"], callback=callback), "/x")
    await b.acknowledge(0, namespace="/x")
    assert seen == [(a.sids["/x"], "/x", b.sids["/x"])]
    assert a.events("/x") == [["acked"]]
    await stage.inside(a, lambda ctx: ctx.emit("e", to=b.sids["/x"], callback=plain), "/x")
    await b.acknowledge(1, namespace="/x")
    assert seen[1:] == [b.sids["/x"]]
    assert await stage.inside(a, lambda ctx: ctx.acked_by, "/x") is None


async def test_E4_a_callback_never_runs_in_the_reader(autojump_clock, stage):
    a = await stage.join()
    tasks = []

    async def callback():
        tasks.append(trio.lowlevel.current_task())
        await trio.sleep_forever()

    await stage.inside(a, lambda ctx: ctx.emit("e", callback=callback))
    await a.acknowledge(0)
    assert await stage.inside(a, lambda ctx: trio.lowlevel.current_task()) not in tasks
    assert len(tasks) == 1


@pytest.mark.parametrize("inside", [True, False])
async def test_E5_an_exception_in_a_callback_goes_to_the_error_handler(autojump_clock, stage, inside):
    a = await stage.join()
    errors = []

    @stage.server.on_error
    def on_error(ctx, error):
        errors.append((ctx.namespace, str(error)))

    def callback():
        raise LookupError("broken callback")

    if inside:
        await stage.inside(a, lambda ctx: ctx.emit("e", callback=callback))
    else:
        await stage.server.emit("e", callback=callback)
    await a.acknowledge(0)
    assert errors == [("/", "broken callback")]
    assert await stage.inside(a, lambda ctx: ctx.emit("alive")) == 1


async def test_E5_without_an_error_handler_it_is_logged(autojump_clock, stage, caplog):
    a = await stage.join()

    async def callback(needed):
        raise AssertionError("never called: the client acknowledges with nothing")

    def broken():
        raise LookupError("broken callback")

    await stage.server.emit("e", callback=callback)
    await stage.server.emit("e", callback=broken)
    await a.acknowledge(0)
    await a.acknowledge(1)
    failures = [record.exc_info[1] for record in caplog.records if record.levelno == logging.ERROR]
    assert [type(failure) for failure in failures] == [TypeError, LookupError]
    assert await stage.inside(a, lambda ctx: ctx.emit("alive")) == 1


async def test_E6_with_several_recipients_it_runs_for_each_that_acknowledges(autojump_clock, stage):
    members = [await stage.join() for _ in range(3)]
    acked = []
    callback = lambda value: acked.append((value, current_context().acked_by))  # noqa: E731
    await stage.inside(members[0], lambda ctx: ctx.emit("e", broadcast=True, callback=callback))
    await members[2].acknowledge(0, "c")
    await members[0].acknowledge(0, "a")
    assert acked == [("c", members[2].sid), ("a", members[0].sid)]


async def test_E7_when_the_connection_leaves_first_the_callback_is_dropped(autojump_clock, stage):
    a, b, c = await stage.join(), await stage.join(), await stage.join()
    calls = []
    await stage.server.emit("e", callback=lambda: calls.append(current_context().acked_by))
    tables = [socket.acks for socket in stage.server.adapter("/").sockets.values()]
    await a.leave()
    await b.hang_up()
    await stage.server.disconnect(c.sid)
    await c.acknowledge(0)
    assert calls == []
    assert [len(table) for table in tables] == [0, 0, 0]


async def test_E8_unknown_repeated_and_forged_ack_ids_are_ignored(autojump_clock, stage):
    a, b = await stage.join("/", "/x"), await stage.join()
    calls = []
    await stage.server.emit("e", to=a.sid, callback=lambda: calls.append("once"))
    await b.acknowledge(0)
    await a.acknowledge(7)
    await a.acknowledge(0, namespace="/x")
    assert calls == []
    await a.acknowledge(0)
    await a.acknowledge(0)
    assert calls == ["once"]
    assert await stage.server.emit("alive") == 2


async def test_E8_they_are_counted(autojump_clock, stage):
    a = await stage.join()
    before = stage.server.stats()["unknown_acks"]
    await a.acknowledge(3)
    await a.acknowledge(3)
    assert stage.server.stats()["unknown_acks"] == before + 2


async def test_E8_one_for_a_namespace_that_the_client_has_left_harms_nobody(autojump_clock, stage):
    stage.server.namespace("/x")
    a = await stage.join("/", "/x")
    await stage.server.emit("question", namespace="/x", callback=lambda: None)
    await a.leave("/x")
    before = stage.server.stats()["unknown_acks"]
    await a.acknowledge(0, namespace="/x")
    assert stage.server.stats()["unknown_acks"] == before + 1
    assert await stage.server.emit("alive") == 1


async def test_E9_over_the_cap_of_pending_acks_emit_raises_and_sends_nothing(autojump_clock):
    server = Server(max_pending_acks=2)
    async with staged(server) as stage:
        a, b = await stage.join(), await stage.join()
        for _ in range(2):
            await server.emit("e", to=a.sid, callback=lambda: None)
        with pytest.raises(TooManyAcks, match=a.sid):
            await server.emit("over", callback=lambda: None)
        with pytest.raises(TooManyAcks):
            await server.call("over", to=a.sid)
        await stage.settle()
        assert (a.events(), b.events()) == ([["e"], ["e"]], [])
        assert await server.emit("without", to=a.sid) == 1
        await a.acknowledge(0)
        assert await server.emit("again", to=a.sid, callback=lambda: None) == 1


@pytest.mark.parametrize(
    ("acked", "answer"),
    [([], None), (["x"], "x"), (["x", "y"], ("x", "y")), ([["x"]], ["x"]), ([None, None], (None, None))],
)
async def test_E10_call_returns_what_was_acknowledged(autojump_clock, stage, acked, answer):
    a, b = await stage.join(), await stage.join()
    answers = []

    async def ask(ctx):
        answers.append(await ctx.call("question", 1))
        answers.append(await ctx.call("question", 2, to=b.sid))

    stage.server.on("ask", ask)
    await a.emit("ask")
    await a.acknowledge(0, *acked)
    await b.acknowledge(0, *acked)
    assert (a.events(), b.events()) == ([["question", 1]], [["question", 2]])
    assert answers == [answer, answer]


async def test_E10_call_asks_exactly_one_connection(autojump_clock, stage):
    a, b = await stage.join(), await stage.join()
    for member in (a, b):
        await stage.server.join_room("r", member.sid)
    with pytest.raises(ValueError, match="exactly one"):
        await stage.server.call("e", to="r")
    with pytest.raises(RuntimeError, match="to="):
        await stage.server.call("e")
    with pytest.raises(RuntimeError, match="to="):
        await stage.inside(a, lambda ctx: stage.server.call("e"))
    assert (a.events(), b.events()) == ([], [])


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(None, TypeError), ("3", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError)],
)
async def test_E10_a_timeout_is_a_number_of_seconds(autojump_clock, stage, timeout, error):
    a = await stage.join()
    with pytest.raises(error, match="timeout"):
        await stage.server.call("e", to=a.sid, timeout=timeout)
    with pytest.raises(error, match="timeout"):
        await stage.server.call_all("e", timeout=timeout)
    assert a.events() == []


async def test_E11_a_call_to_nobody_fails_at_once(autojump_clock, stage):
    _, b = await stage.join(), await stage.join()
    await b.leave()
    before = trio.current_time()
    for target in (b.sid, "nobody"):
        with pytest.raises(Disconnected):
            await stage.server.call("e", to=target)
    assert trio.current_time() == before


@pytest.mark.parametrize("way", ["leave", "hang_up"])
async def test_E11_a_call_fails_when_the_client_leaves_while_it_waits(autojump_clock, stage, way):
    a = await stage.join()
    before = trio.current_time()
    outcome = []

    async def ask():
        try:
            await stage.server.call("e", to=a.sid)
        except Disconnected as error:
            outcome.append(error)

    stage.nursery.start_soon(ask)
    await stage.settle()
    assert outcome == []
    await getattr(a, way)()
    assert len(outcome) == 1
    assert trio.current_time() == before


async def test_E11_without_an_answer_in_time_it_is_a_timeout(autojump_clock, stage):
    a = await stage.join()
    before = trio.current_time()
    with pytest.raises(AckTimeout) as raised:
        await stage.server.call("e", to=a.sid, timeout=3)
    assert isinstance(raised.value, TimeoutError)
    assert trio.current_time() == before + 3
    with pytest.raises(AckTimeout):
        await stage.server.call("e", to=a.sid)
    assert trio.current_time() == before + 63
    await a.acknowledge(0, "too late")
    assert await stage.server.emit("alive") == 1


async def test_E12_call_works_from_an_event_handler_a_callback_and_a_background_task(autojump_clock, stage):
    a = await stage.join()
    answers = []

    async def callback():
        answers.append(("callback", await current_context().call("from callback")))

    async def background(ctx):
        answers.append(("task", await ctx.call("from task")))

    @stage.server.on("ask")
    async def ask(ctx):
        answers.append(("handler", await ctx.call("from handler")))
        await ctx.emit("e", callback=callback)
        stage.nursery.start_soon(background, ctx)

    await a.emit("ask")
    acknowledged = 0
    while acknowledged < len(a.packets) - 1:  # each packet but the first, CONNECT, asks for an acknowledgement
        acknowledged += 1
        packet = a.packets[acknowledged]
        await a.acknowledge(packet.id, packet.data[0])
    assert sorted(answers) == [("callback", "from callback"), ("handler", "from handler"), ("task", "from task")]


async def test_E12_in_a_connect_handler_to_self_it_is_an_error(autojump_clock):
    server = Server()
    raised = []

    @server.on("connect")
    async def connect(ctx):
        await ctx.join_room("r")
        for options in ({}, {"to": ctx.sid}, {"to": "r"}):
            try:
                await ctx.call("e", **options)
            except RuntimeError as error:
                raised.append(str(error))

    async with staged(server) as stage:
        a = await stage.join()
        assert a.events() == []
    assert len(raised) == 3
    assert all("not accepted yet" in text for text in raised)


async def test_E12_a_connect_handler_may_call_everybody_else(autojump_clock):
    server = Server()
    answers = []

    @server.on("connect")
    async def connect(ctx):
        answers.append(await ctx.call_all("who comes?"))

    async with staged(server) as stage:
        a = await stage.join()
        b = await stage.join()
        assert (len(a.packets), b.packets) == (2, [])
        await a.acknowledge(0, "nobody I know")
        assert len(b.packets) == 1
    assert answers == [{}, {a.sid: "nobody I know"}]


async def test_E12_a_connect_handler_may_call_another_client(autojump_clock):
    server = Server()
    answers = []

    @server.on("connect")
    async def connect(ctx, auth):
        if auth is not None:
            answers.append(await ctx.call("may it?", to=auth["ask"]))

    async with staged(server) as stage:
        a = await stage.join()
        b = await stage.join(auth={"ask": a.sid})
        assert b.packets == []
        await a.acknowledge(0, "yes")
        assert answers == ["yes"]
        assert len(b.packets) == 1


async def test_E13_call_all_asks_many_and_gathers(autojump_clock, stage):
    a, b, c, d = [await stage.join() for _ in range(4)]
    answers = {}

    async def ask():
        answers.update(await stage.server.call_all("e", to=[a.sid, b.sid, c.sid, "nobody"], timeout=5))

    stage.nursery.start_soon(ask)
    await stage.settle()
    await b.acknowledge(0, 1, 2)
    await c.leave()
    await trio.sleep(6)
    assert list(answers) == [a.sid, b.sid, c.sid]
    assert isinstance(answers[a.sid], AckTimeout)
    assert answers[b.sid] == (1, 2)
    assert isinstance(answers[c.sid], Disconnected)
    assert d.events() == []
