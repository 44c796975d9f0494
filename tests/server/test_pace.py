"""How often emits and changes of rooms let other tasks run."""

import pytest
import trio
from support.memory import serving

from trio_socketio import Server


async def moves_until_another_task_runs(move):
    ran = False

    async def other():
        nonlocal ran
        ran = True

    async with trio.open_nursery() as nursery:
        await trio.lowlevel.checkpoint()
        nursery.start_soon(other)
        count = 0
        while not ran and count < 1000:
            await move(count)
            count += 1
    return count


@pytest.mark.parametrize("method", ["join_room", "leave_room"])
async def test_a_loop_that_changes_rooms_lets_others_run_now_and_then(method, autojump_clock):
    server = Server()
    async with serving(server) as peer:
        await peer.join()
        (sid,) = server.sockets()
        move = getattr(server, method)
        assert (
            await moves_until_another_task_runs(lambda n: move(f"room {n}", sid)) <= 2 * 257
        )  # it may be the second to run


@pytest.mark.shortcut("pace")
async def test_a_single_change_of_rooms_is_no_wait(autojump_clock):
    server = Server()
    async with serving(server) as peer:
        await peer.join()
        (sid,) = server.sockets()
        server.pace.rested()
        assert await moves_until_another_task_runs(lambda n: server.join_room(f"room {n}", sid)) >= 257


async def test_a_change_of_rooms_is_a_point_of_cancellation_before_it_has_an_effect(autojump_clock):
    server = Server()
    async with serving(server) as peer:
        await peer.join()
        (sid,) = server.sockets()
        with trio.CancelScope() as scope:
            scope.cancel()
            await server.join_room("lobby", sid)
        assert scope.cancelled_caught
        assert server.participants("lobby") == []
