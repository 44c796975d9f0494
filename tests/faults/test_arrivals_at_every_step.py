"""An event that arrives at any step of the handler before it is handled once, after it."""

import pytest
import trio
from support.house import house
from support.injection import Injection, at_every_moment
from trio.testing import wait_all_tasks_blocked

from trio_socketio import Context


@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
@pytest.mark.parametrize("waits", [False, True], ids=["at-once", "after-a-wait"])
async def test_an_event_that_arrives_at_any_step_is_handled_once(autojump_clock, sockets, waits):
    async def scenario(injection: Injection) -> None:
        handled: list[int] = []
        async with house(sockets=sockets) as made:
            server = made.server

            @server.on("first")
            async def first(ctx: Context) -> None:
                (live,) = server.sessions.values()
                injection.begin(lambda: live.client.receive('2["second",2]'), everything=True)
                if waits:
                    await trio.lowlevel.checkpoint()
                handled.append(1)
                server.pace.left = 0  # others run after it

            @server.on("second")
            async def second(ctx: Context, number: int) -> None:
                handled.append(number)
                server.pace.left = 0

            client = await made.join()
            await client.emit("first")
            await wait_all_tasks_blocked()
            injection.end()
            await wait_all_tasks_blocked()  # the last moments are those in which the line above was reached
            assert handled == ([1, 2] if injection.happened else [1])
            await client.hang_up()

    assert await at_every_moment(scenario) > 1
