"""examples/dashboard.py."""

import pytest
import trio
from examples.programs import load
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import open_test_client

dashboard = load("dashboard")


@pytest.fixture
def server(nursery):
    return dashboard.make_server(nursery)


async def test_samples_come_at_their_interval(server, autojump_clock):
    async with open_test_client(server) as ada:
        await ada.expect("sample")
        times = []
        for _ in range(5):
            sample = (await ada.expect("sample")).args[0]
            assert set(sample) == {"time", "indoors", "outdoors"}
            times.append(trio.current_time())
        assert times[-1] - times[0] == pytest.approx(4 * dashboard.INTERVAL)


async def test_a_newcomer_gets_the_last_samples_and_nothing_twice(server, autojump_clock):
    async with open_test_client(server):
        await trio.sleep(300)
        async with open_test_client(server) as grace:
            welcome = (await grace.expect("welcome")).args[0]
            assert len(welcome["samples"]) == dashboard.KEPT
            next_sample = (await grace.expect("sample")).args[0]
            assert next_sample not in welcome["samples"]


async def test_everybody_knows_how_many_pages_are_open(server, autojump_clock):
    async with open_test_client(server) as ada:
        assert (await ada.expect("people")).args == (1,)
        async with open_test_client(server) as grace:
            assert (await grace.expect("people")).args == (2,)
            assert (await ada.expect("people")).args == (2,)
        assert (await ada.expect("people")).args == (1,)


async def test_the_timer_is_shared_and_a_new_one_replaces_it(server, autojump_clock):
    async with open_test_client(server) as ada, open_test_client(server) as grace:
        await grace.call("start timer", 60)
        assert (await ada.expect("timer")).args == (60,)
        await grace.call("start timer", 3)
        before = trio.current_time()
        assert [(await ada.expect("timer")).args[0] for _ in range(4)] == [3, 2, 1, 0]
        assert trio.current_time() - before == pytest.approx(3)
        await trio.sleep(5)
        await wait_all_tasks_blocked()
        assert "timer" not in [event.name for event in ada.received()]


async def test_zero_stops_the_timer(server, autojump_clock):
    async with open_test_client(server) as ada:
        await ada.call("start timer", 60)
        assert (await ada.expect("timer")).args == (60,)
        await ada.call("start timer", 0)
        assert (await ada.expect("timer")).args == (0,)


@pytest.mark.parametrize("seconds", [-1, 3601, True, "5", None])
async def test_a_timer_has_a_sensible_length(server, seconds, autojump_clock):
    async with open_test_client(server) as ada:
        assert await ada.call("start timer", seconds) is False
