import trio
from support.memory import serving

from trio_socketio import Server


async def test_a_client_gets_an_answer_over_each_transport(autojump_clock):
    server = Server()

    @server.on("hello")
    async def hello(ctx, name):
        await ctx.emit("greeting", f"hello {name}")
        return {"ok": True, "raw": b"\x00"}

    async with serving(server) as peer:
        for transport in ("websocket", "polling"):
            client = await peer.join(transport=transport)
            await client.emit("hello", "world", id=5)
            assert await client.event() == ["greeting", "hello world"]
            ack = await client.receive()
            assert (ack.id, ack.data) == (5, [{"ok": True, "raw": b"\x00"}])
        await trio.sleep(100)
        assert not server.sessions
