import pytest
import trio
from support.memory import serving

from trio_socketio import Server, emit


async def test_another_thread_emits_through_trio():
    server = Server()
    async with serving(server) as peer:
        client = await peer.join()
        with trio.fail_after(5):
            assert await trio.to_thread.run_sync(lambda: trio.from_thread.run(server.emit, "hello", 1)) == 1
            assert await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(server.emit_nowait, "hello", 2)) == 1
        assert [await client.event(), await client.event()] == [["hello", 1], ["hello", 2]]
        await client.transport.hang_up()


async def test_another_thread_that_forgets_trio_is_told_how():
    server = Server()
    async with serving(server) as peer:
        client = await peer.join()
        with pytest.raises(RuntimeError, match=r"from another thread use trio\.from_thread\.run"):
            await trio.to_thread.run_sync(server.emit_nowait, "hello")
        await server.emit("still", "here")
        assert await client.event() == ["still", "here"]
        await client.transport.hang_up()


async def test_an_answer_from_another_thread_is_refused_before_anything_is_sent():
    server = Server()
    refused = []

    @server.on("ask")
    async def ask(ctx):
        for emitter in (ctx.emit, emit):
            with pytest.raises(RuntimeError, match="works in trio only") as caught:
                await trio.to_thread.run_sync(lambda: emitter("answer").send(None))  # noqa: B023  # awaited in the loop
            refused.append(caught.value)
        return len(refused)

    async with serving(server) as peer:
        client = await peer.join()
        await client.emit("ask", id=1)
        assert (await client.receive()).data == [2], "the acknowledgement is the first that comes"
        await client.transport.hang_up()  # or the server would wait for its goodbye, in real time


def test_without_trio_the_error_says_so():
    with pytest.raises(RuntimeError, match="works in trio only"):
        Server().emit_nowait("hello")
