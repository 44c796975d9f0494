"""examples/background.py: its ticker, its timer and its thread, and that all of them end."""

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_socketio.testing import NotReceived, open_test_client

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "background.py"
START = 30.0
"""Seconds for what a process or a thread does, on a slow machine."""


@pytest.fixture
def example():
    return runpy.run_path(str(EXAMPLE))


async def test_a_client_gets_ticks_as_often_as_it_asks_for_until_it_asks_no_more(autojump_clock, example):
    server = example["make_server"]()
    async with open_test_client(server) as client:
        assert await client.call("stop ticking") is False
        assert await client.call("start ticking", 2) is True
        began = trio.current_time()
        for number in range(4):
            assert (await client.expect("tick")).args == (number,)
        assert trio.current_time() == pytest.approx(began + 6)
        assert await client.call("stop ticking") is True
        with pytest.raises(NotReceived):
            await client.receive(timeout=10)


async def test_however_often_a_client_asks_it_has_one_ticker(autojump_clock, example):
    server = example["make_server"]()
    async with open_test_client(server) as client:
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        for seconds in 1, 2, 3, 60:
            assert await client.call("start ticking", seconds)
            await trio.sleep(0.5)
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before + 1
        for nonsense in 0, -1, 0.05, "often", None, [1]:
            assert await client.call("start ticking", nonsense) is False


async def test_the_ticker_of_one_client_is_not_that_of_another_and_goes_with_it(autojump_clock, example):
    server = example["make_server"]()
    async with open_test_client(server) as quiet:
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        async with open_test_client(server) as client:
            await client.call("start ticking", 1)
            await client.expect("tick")
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before
        assert quiet.received() == []


async def test_everybody_is_told_the_uptime(autojump_clock, example, nursery):
    server = example["make_server"]()
    async with open_test_client(server) as one, open_test_client(server) as other:
        nursery.start_soon(example["run_tasks"], server, None)
        for client in one, other:
            assert (await client.expect("uptime", timeout=15)).args == (10,)
        assert (await one.expect("uptime", timeout=15)).args == (20,)
        nursery.cancel_scope.cancel()


async def test_a_thread_tells_everybody_of_changes_and_ends_with_its_nursery(example, nursery, tmp_path):
    server = example["make_server"]()
    path = tmp_path / "notes.txt"
    with trio.fail_after(START):
        async with open_test_client(server) as client, trio.open_nursery() as tasks:
            tasks.start_soon(lambda: example["run_tasks"](server, path, look=0.02))
            told = []
            while not told:  # the thread begins when it can
                path.write_text("news")
                await trio.sleep(0.05)
                told = client.received()
            assert (told[0].name, told[0].args) == ("changed", ("notes.txt", True))
            path.unlink()
            while (await client.expect("changed", timeout=START)).args != ("notes.txt", False):
                pass
            tasks.cancel_scope.cancel()


async def test_the_program_ends_well_while_everything_runs(tmp_path):
    command = [sys.executable, str(EXAMPLE), "--port", "0", "--watch", str(tmp_path / "notes.txt")]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with trio.fail_after(START):
            line = await process.stdout.receive_some()
            assert line.startswith(b"serving on port ")
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
            assert await process.stderr.receive_some() == b""
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()
