"""docs/background.md: its programs do what the page says of them, and so do the sentences around them."""

import asyncio
import inspect
import os
import re
import signal
import threading
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_socketio import Server
from trio_socketio.testing import NotReceived, open_test_client, serve_in_memory

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "background.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
START = 30.0
"""Seconds for what a thread does, on a slow machine."""


def run_block(part):
    (text,) = [text.replace("3000", "0") for _, text in BLOCKS if part in text]
    found = {"__name__": "background"}
    exec(compile(text, "docs/background.md", "exec"), found)
    return found


def test_every_block_is_a_program_with_a_server():
    assert {kind for kind, _ in BLOCKS} == {"python"}
    for _, text in BLOCKS:
        assert isinstance(run_block(text)["server"], Server)


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)


def test_the_defaults_that_it_names_are_right():
    grace = inspect.signature(Server.__init__).parameters["disconnect_grace"].default
    assert f"for `disconnect_grace` seconds ({grace:g})" in PAGE


async def test_a_task_of_a_connection(autojump_clock):
    server = run_block("async def tick(seconds")["server"]
    async with open_test_client(server) as client:
        times = [(await client.expect("tick")).args[0] for _ in range(3)]
        assert times == [times[0], times[0] + 1, times[0] + 2]


async def test_stopping_it(autojump_clock):
    server = run_block('@server.on("stop")')["server"]
    async with open_test_client(server) as client:
        for _ in range(2):
            await client.emit("start")
        await client.expect("tick")
        await trio.sleep(0.5)
        client.received()
        await trio.sleep(10)
        assert len(client.received()) == 10, "one ticker, although it was started twice"
        await client.emit("stop")
        await trio.sleep(0.1)
        client.received()
        with pytest.raises(NotReceived):
            await client.receive(timeout=10)


async def test_when_the_connection_ends(autojump_clock):
    found = run_block("async def accompany")
    log = found["log"]
    async with open_test_client(found["server"]), open_test_client(found["server"]) as client:
        await client.emit("work")
        await trio.sleep(1)
        began = trio.current_time()
        await client.disconnect("/")
        await wait_all_tasks_blocked()
        assert (log, trio.current_time()) == (["the task was cancelled"], began)
        await trio.sleep(0.9)
        assert log == ["the task was cancelled"]
        await trio.sleep(0.2)
        assert log[1:] == ["the handler has ended", "client namespace disconnect, was in ['hall']"]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_handler_that_ends_by_itself(autojump_clock, leaves):
    server = run_block("wait for news")["server"]
    ended = []
    handler = server.handlers.find("wait for news").function

    @server.on("wait for news")
    async def wait(ctx):
        ended.append((await handler(ctx), trio.current_time()))

    async with open_test_client(server), open_test_client(server) as client:
        began = trio.current_time()
        await client.emit("wait for news")
        if leaves:
            await trio.sleep(5)
            await client.disconnect("/")
        await trio.sleep(70)
        assert ended == [("gone", began + 5) if leaves else ("no news", began + 60)]


@pytest.mark.parametrize(("disconnect_grace", "expected"), [(10, 2), (1, 1)])
async def test_at_a_shutdown_handlers_have_half_of_its_grace_or_that_of_a_disconnect(
    autojump_clock, disconnect_grace, expected
):
    server = Server(shutdown_grace=4, disconnect_grace=disconnect_grace)
    seen = []

    @server.on("work")
    async def work(ctx):
        try:
            await trio.sleep_forever()
        finally:
            seen.append(trio.current_time())

    server.on("disconnect", lambda ctx, reason: seen.append(reason))
    async with serve_in_memory(server) as service, open_test_client(server) as client:
        await client.emit("work")
        await trio.sleep(1)
        began = trio.current_time()
        await service.shut_down()
    assert seen == [pytest.approx(began + expected), "server shutting down"]


async def test_a_task_of_the_application():
    found = run_block("async def tell_time")
    server = found["server"]
    with trio.fail_after(START):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(found["main"])
            async with open_test_client(server) as client:
                await client.expect("time", timeout=START)
            nursery.cancel_scope.cancel()


async def test_the_task_of_a_kept_nursery_means_the_connection_and_reaches_nobody_when_it_has_left(
    autojump_clock, nursery
):
    server = Server()
    counts = []

    async def work(ctx):
        for _ in range(2):
            counts.append(await ctx.emit("hello"))
            await trio.sleep(10)

    @server.on("go")
    async def go(ctx):
        nursery.start_soon(work, ctx)

    async with open_test_client(server):
        async with open_test_client(server) as client:
            await client.emit("go")
            await client.expect("hello")
        await trio.sleep(20)
    assert counts == [1, 0]


async def test_errors(autojump_clock, capsys):
    server = run_block("a division")["server"]
    async with open_test_client(server) as client:
        await client.emit("divide", 0)
        assert (await client.expect("failed")).args == ("ZeroDivisionError",)
        await client.emit("divide", 1)
        await trio.sleep(1)
        assert capsys.readouterr().out == "1\n"


async def test_a_thread_emits_to_the_connection_and_its_result_is_the_acknowledgement():
    server = run_block("def compute")["server"]
    with trio.fail_after(START):
        async with open_test_client(server) as client, open_test_client(server) as other:
            assert await client.call("compute", 3, timeout=START) == "done"
            assert [event.args for event in client.received()] == [(1,), (2,), (3,)]
            assert other.received() == []


async def test_a_thread_ends_when_its_handler_is_cancelled():
    server = Server(disconnect_grace=0.05)
    left = trio.Event()
    compute = run_block("def compute")["compute"]

    @server.on("compute")
    async def start(ctx):
        await trio.to_thread.run_sync(compute, 1_000_000)

    server.on("disconnect", lambda ctx: left.set())
    with trio.fail_after(START):
        async with open_test_client(server):
            async with open_test_client(server) as client:
                await client.emit("compute")
                await client.expect("progress", timeout=START)
            await left.wait()


async def test_a_thread_that_trio_has_not_started():
    found = run_block("def start_thread")
    server = found["server"]
    with trio.fail_after(START):
        async with open_test_client(server) as client, open_test_client(server) as other:
            await server.join_room("traders", sid=client.sid)
            thread = found["start_thread"](lambda: 7.5)
            assert (await client.expect("price", timeout=START)).args == (7.5,)
            assert other.received() == []
            await trio.to_thread.run_sync(thread.join)


def test_after_the_run_a_thread_is_told_that_it_has_ended():
    server = Server()
    tokens, caught = [], []

    async def main():
        tokens.append(trio.lowlevel.current_trio_token())

    def late():
        try:
            trio.from_thread.run(server.emit, "late", trio_token=tokens[0])
        except trio.RunFinishedError as error:
            caught.append(error)

    trio.run(main)
    thread = threading.Thread(target=late)
    thread.start()
    thread.join()
    assert caught


async def test_without_trio_the_error_says_what_to_do():
    server = Server()
    with pytest.raises(RuntimeError, match=r"from another thread use trio\.from_thread\.run"):
        await trio.to_thread.run_sync(partial(server.emit_nowait, "e"))


async def test_asyncio_in_a_thread():
    found = run_block("async def in_asyncio")
    with trio.fail_after(START):
        async with open_test_client(found["server"]) as client:
            await found["run_asyncio"]()
            assert [event.args for event in client.received()] == [(0,), (1,), (2,)]
    assert asyncio.iscoroutinefunction(found["in_asyncio"])


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of this kind")
async def test_signals(nursery):
    found = run_block("async def announce_signals")
    with trio.fail_after(START):
        async with open_test_client(found["server"]) as client:
            await nursery.start(found["announce_signals"])
            os.kill(os.getpid(), signal.SIGUSR1)
            assert (await client.expect("signal", timeout=START)).args == ("SIGUSR1",)
            nursery.cancel_scope.cancel()
