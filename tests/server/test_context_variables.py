"""Context variables: what a handler sets, no other handler sees, whatever task happens to run it."""

import contextvars

import pytest
import trio
from support.stage import staged

from trio_socketio import Server

user = contextvars.ContextVar("user", default="nobody")


def make_server():
    server = Server()

    @server.on("sign in")
    async def sign_in(ctx, name, seconds=0):
        user.set(name)
        if seconds:
            await trio.sleep(seconds)
        return user.get()

    server.on("who am I", lambda ctx: user.get())

    @server.on("who am I later")
    async def later(ctx):
        await trio.lowlevel.checkpoint()
        return user.get()

    return server


@pytest.mark.parametrize("question", ["who am I", "who am I later"])
@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_client_does_not_see_what_another_ones_handler_has_set(autojump_clock, question, seconds):
    async with staged(make_server()) as stage:
        a, b = await stage.join(), await stage.join()
        await a.emit("sign in", "alice", seconds, ack_id=0)
        await b.emit(question, ack_id=0)
        await trio.sleep(2)
        c = await stage.join()
        await c.emit(question, ack_id=0)
        assert (a.acks(), b.acks(), c.acks()) == ([(0, ["alice"])], [(0, ["nobody"])], [(0, ["nobody"])])


@pytest.mark.parametrize("question", ["who am I", "who am I later"])
@pytest.mark.parametrize("seconds", [0, 1])
async def test_events_of_a_client_that_had_to_wait_begin_afresh(autojump_clock, question, seconds):
    async with staged(make_server()) as stage:
        a = await stage.join()
        await a.emit("sign in", "alice", seconds, ack_id=0)
        await a.emit("sign in", "bob", seconds, ack_id=1)
        await a.emit(question, ack_id=2)
        await trio.sleep(3)
        assert a.acks() == [(0, ["alice"]), (1, ["bob"]), (2, ["nobody"])]


async def test_handlers_see_what_was_set_around_serve(autojump_clock):
    server = make_server()
    token = user.set("the operator")
    try:
        async with staged(server) as stage:
            a = await stage.join()
            for question in ("who am I", "who am I later"):
                await a.emit(question, ack_id=0)
    finally:
        user.reset(token)
    assert a.acks() == [(0, ["the operator"])] * 2
