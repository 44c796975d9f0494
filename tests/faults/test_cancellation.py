"""Cancelling a call at every single step of it: either it has happened or it has not, nothing leaks, the server serves on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from support.holdings import check_consistent, objects
from support.house import Client, House, house
from support.injection import Injection, at_every_moment
from trio.testing import wait_all_tasks_blocked
from trio_socketio.engine.events import CloseReason
from trio_socketio.protocol.socketio import PacketType

from trio_socketio import Context, Disconnected

pytestmark = pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])

ROOMS = ["east", "west"]
PART = "x" * 50_000


@dataclass
class Scene:
    """What a call works with, and looks at afterwards."""

    house: House
    me: Client
    others: list[Client]
    started: bool = True
    """Whether it was cancelled after it had begun, or not at all."""
    result: Any = None
    """What it returned; None if it was cancelled."""

    @property
    def everyone(self) -> list[Client]:
        return [self.me, *self.others]

    def all_or_none(self, seen: list[Any], happened: Any, not_happened: Any) -> None:
        """If the call began it has happened, to its end; if it was cancelled before that, nothing has."""
        assert seen == [happened if self.started else not_happened] * len(seen)


Call = Callable[[Context, Scene], Awaitable[Any]]
Check = Callable[[Scene], Any]


@dataclass(frozen=True)
class Case:
    """One call, and what must be true after it, whenever it was cancelled."""

    name: str
    call: Call
    check: Check
    narrow: bool = False
    """Whether the client's buffer is full, and it does not read until the call is over."""


async def emit_self(ctx: Context, scene: Scene) -> int:
    return await ctx.emit("x", 1)


def came_to_me(scene: Scene) -> None:
    scene.all_or_none([scene.me.got("x")], 1, 0)
    assert not any(other.got("x") for other in scene.others)


async def emit_room(ctx: Context, scene: Scene) -> int:
    return await ctx.emit("x", 1, to="hall")


def came_to_all(scene: Scene) -> None:
    scene.all_or_none([client.got("x") for client in scene.everyone], 1, 0)


async def emit_binary(ctx: Context, scene: Scene) -> int:
    return await ctx.emit("x", b"1", {"deep": [b"2"]}, to="hall")


async def emit_with_callback(ctx: Context, scene: Scene) -> int:
    return await ctx.emit("x", 1, callback=scene.house.callback)


def called_back_once(scene: Scene) -> None:
    came_to_me(scene)
    scene.all_or_none([scene.house.called_back], ["yes"], [])


async def emit_room_with_callback(ctx: Context, scene: Scene) -> int:
    return await ctx.emit("x", 1, to="hall", callback=scene.house.callback)


def called_back_by_all(scene: Scene) -> None:
    came_to_all(scene)
    scene.all_or_none([scene.house.called_back], ["yes"] * 3, [])


async def call(ctx: Context, scene: Scene) -> Any:
    return await ctx.call("x", 1)


async def call_other(ctx: Context, scene: Scene) -> Any:
    return await ctx.call("x", 1, to=scene.others[0].sid)


def answered(scene: Scene) -> None:
    assert scene.result in ("yes", None)
    asked = sum(client.got("x") for client in scene.everyone)
    assert asked == scene.started
    stats = scene.house.server.stats()
    assert stats["pending_acks"] == 0
    assert stats["unknown_acks"] <= (scene.result is None), "the answer to nobody counts as that, if it comes later"


async def call_all(ctx: Context, scene: Scene) -> Any:
    return await ctx.call_all("x", 1, to="hall")


def answered_by_all(scene: Scene) -> None:
    asked = [client.got("x") for client in scene.everyone]
    assert set(asked) <= {0, 1}
    if scene.result is not None:
        assert scene.result == {client.sid: "yes" for client in scene.everyone}
        assert asked == [1, 1, 1]
    if not scene.started:
        assert asked == [0, 0, 0]
    assert scene.house.server.stats()["pending_acks"] == 0


async def join_rooms(ctx: Context, scene: Scene) -> bool:
    await ctx.join_room(ROOMS)
    return True


def joined_both(scene: Scene) -> None:
    server = scene.house.server
    scene.all_or_none([scene.me.sid in server.participants(room) for room in ROOMS], True, False)


async def join_rooms_for_another(ctx: Context, scene: Scene) -> bool:
    await ctx.join_room(ROOMS, sid=scene.others[0].sid)
    return True


def the_other_joined_both(scene: Scene) -> None:
    server = scene.house.server
    scene.all_or_none([scene.others[0].sid in server.participants(room) for room in ROOMS], True, False)


async def leave_rooms(ctx: Context, scene: Scene) -> bool:
    await ctx.leave_room(["hall", "garden"])
    return True


def left_both(scene: Scene) -> None:
    server = scene.house.server
    scene.all_or_none([scene.me.sid in server.participants(room) for room in ("hall", "garden")], False, True)


async def close_room(ctx: Context, scene: Scene) -> bool:
    await ctx.close_room("hall")
    return True


def closed(scene: Scene) -> None:
    scene.all_or_none([len(scene.house.server.participants("hall"))], 0, 3)


async def disconnect(ctx: Context, scene: Scene) -> bool:
    await ctx.disconnect()
    return True


def i_am_gone(scene: Scene) -> None:
    gone(scene, scene.me)


async def disconnect_another(ctx: Context, scene: Scene) -> bool:
    await ctx.disconnect(scene.others[0].sid)
    return True


def another_is_gone(scene: Scene) -> None:
    gone(scene, scene.others[0])


def gone(scene: Scene, client: Client) -> None:
    house = scene.house
    scene.all_or_none([PacketType.DISCONNECT in client.types()], True, False)
    scene.all_or_none([client.sid in house.server.sockets()], False, True)
    scene.all_or_none([house.leaving.count(client.sid)], 1, 0)
    scene.all_or_none([client.sid in house.server.participants("hall")], False, True)


async def disconnect_and_close(ctx: Context, scene: Scene) -> bool:
    await ctx.disconnect(close=True)
    return True


def i_am_gone_and_closed(scene: Scene) -> None:
    i_am_gone(scene)
    scene.all_or_none([scene.me.closed.is_set()], True, False)


CASES = [
    Case("emit", emit_self, came_to_me),
    Case("emit to a full buffer", emit_self, came_to_me, narrow=True),
    Case("emit to a room", emit_room, came_to_all),
    Case("emit bytes to a room", emit_binary, came_to_all),
    Case("emit with a callback", emit_with_callback, called_back_once),
    Case("emit with a callback to a full buffer", emit_with_callback, called_back_once, narrow=True),
    Case("emit with a callback to a room", emit_room_with_callback, called_back_by_all),
    Case("call", call, answered),
    Case("call with a full buffer", call, answered, narrow=True),
    Case("call another", call_other, answered),
    Case("call_all", call_all, answered_by_all),
    Case("join_room", join_rooms, joined_both),
    Case("join_room for another", join_rooms_for_another, the_other_joined_both),
    Case("leave_room", leave_rooms, left_both),
    Case("close_room", close_room, closed),
    Case("disconnect", disconnect, i_am_gone),
    Case("disconnect another", disconnect_another, another_is_gone),
    Case("disconnect and close", disconnect_and_close, i_am_gone_and_closed),
]
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
waiting = pytest.mark.parametrize("waits", [False, True], ids=["at-once", "after-a-wait"])
"""Whether the handler has waited before, and so has a task of its own."""


async def play(
    house: House,
    case: Case,
    injection: Injection,
    act: Callable[[Scene, trio.CancelScope], Callable[[], object]],
    *,
    waits: bool,
    everything: bool,
) -> Scene:
    """Let a handler make the call, with something happening at the moment; return what was seen."""
    server = house.server
    ended = trio.Event()

    me, *others = [await house.join() for _ in range(3)]
    scene = Scene(house, me, others)

    @server.on("act")
    async def act_(ctx: Context) -> None:
        if waits:
            await trio.lowlevel.cancel_shielded_checkpoint()
        server.pace.left = 0  # every emit lets others run
        if case.narrow:
            while not next(iter(server.sessions.values())).session.crowded:
                ctx.emit_nowait("fill", PART)
        try:
            with trio.CancelScope() as scope:
                injection.begin(act(scene, scope), everything=everything)
                scene.started = not injection.happened
                scene.result = await case.call(ctx, scene)
        except Disconnected as error:  # what `call` is told when its client leaves
            scene.result = error
        finally:
            injection.end()
            ended.set()

    if case.narrow:
        me.may_read = trio.Event()
        await me.peer.emit("act")
        # It is in the middle of a read, which takes the next packet all the same.
        await wait_all_tasks_blocked()
        me.may_read.set()
    else:
        await me.peer.emit("act")
    await ended.wait()
    await wait_all_tasks_blocked()
    check_consistent(server)
    return scene


@each_case
@waiting
async def test_a_call_that_is_cancelled_at_any_step_has_happened_or_not(autojump_clock, caplog, sockets, case, waits):
    before = await objects()

    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets, narrow=case.narrow) as made:
            scene = await play(made, case, injection, lambda _, scope: scope.cancel, waits=waits, everything=True)
            if not injection.happened:
                assert scene.result is not None
            case.check(scene)
            for client in scene.everyone:
                await client.hang_up()

    moments = await at_every_moment(scenario)
    assert moments > 1, "a call has more than one moment"
    assert not caplog.records
    assert await objects() <= before


def end_of_session(house: House, client: Client) -> Callable[[], None]:
    """Return what ends a client's session at once, as the loss of its connection does."""
    socket = house.server.adapter("/").sockets[client.sid]
    return lambda: socket.client.live.abort(CloseReason.TRANSPORT_CLOSE, "cut by the test")


@each_case
async def test_a_call_whose_own_client_leaves_at_any_step_leaves_nothing(autojump_clock, caplog, sockets, case):
    before = await objects()

    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets, narrow=case.narrow, disconnect_grace=0) as made:
            scene = await play(
                made, case, injection, lambda scene, _: end_of_session(made, scene.me), waits=False, everything=True
            )
            await trio.sleep(1)
            if injection.happened:  # and nobody heard of the call, or everybody did
                assert made.left.count(scene.me.sid) == 1
                assert scene.me.sid not in made.server.sockets()
            if not case.name.startswith("call"):
                assert len({client.got("x") for client in scene.others}) == 1
            assert made.server.stats()["pending_acks"] == 0 or "callback" in case.name
            for client in scene.everyone:
                await client.hang_up()

    assert await at_every_moment(scenario) > 1
    assert not [record for record in caplog.records if record.levelname != "INFO"]
    assert await objects() <= before


@pytest.mark.parametrize(
    "case", [case for case in CASES if "call" in case.name and "callback" not in case.name], ids=lambda case: case.name
)
async def test_a_call_whose_answerer_leaves_at_any_step_never_waits_for_it(autojump_clock, sockets, case):
    async def scenario(injection: Injection) -> None:
        async with house(sockets=sockets, narrow=case.narrow) as made:
            began = trio.current_time()
            scene = await play(
                made,
                case,
                injection,
                lambda scene, _: end_of_session(made, scene.others[0]),
                waits=False,
                everything=True,
            )
            assert trio.current_time() - began < 1
            answers = scene.result if isinstance(scene.result, dict) else {"": scene.result}
            for answer in answers.values():
                assert answer == "yes" or isinstance(answer, Disconnected)
            assert made.server.stats()["pending_acks"] == 0
            for client in scene.everyone:
                await client.hang_up()

    assert await at_every_moment(scenario) > 1


@pytest.mark.parametrize("fails", [False, True], ids=["cancelled", "failing-while-cancelled"])
async def test_handlers_with_nurseries_that_are_cancelled_do_not_count_as_waiting_for_ever(
    autojump_clock, sockets, fails
):
    """A client that leaves a namespace and comes back, again and again, is still read in the end."""

    async def hang() -> None:
        try:
            await trio.sleep_forever()
        finally:
            if fails:
                raise ValueError("on purpose")

    async with house(sockets=sockets, disconnect_grace=0.1) as made:

        @made.server.on("hang", namespace="/x")
        async def hang_in_two_tasks(ctx: Context) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hang)
                nursery.start_soon(trio.sleep_forever)

        client = await made.join()
        for _ in range(200):
            await client.connect("/x")
            await client.emit("hang", namespace="/x")
            await client.emit("hang", namespace="/x")
            await client.leave("/x")
            await trio.sleep(0.2)
        await client.emit("echo", "still there", ack_id=1)
        assert client.acks() == [(1, ["still there"])]
        await client.hang_up()
