import json

from support.memory import serving

from trio_socketio import ConnectionRefused, Server


async def test_the_numbers_follow_what_clients_do(autojump_clock):
    server = Server()

    @server.on("join")
    async def join(ctx, room):
        await ctx.join_room(room)

    @server.on("ask")
    async def ask(ctx):
        await ctx.emit("question", callback=lambda *_: None)

    @server.on("connect", namespace="/closed")
    async def connect(_ctx):
        raise ConnectionRefused("no")

    async with serving(server) as peer:
        first = await peer.join()
        second = await peer.join(transport="polling")
        await first.emit("join", "lobby", id=0)
        await first.receive()
        await second.emit("ask")
        await second.receive()
        await first.connect("/closed")
        await first.connect("/nowhere")
        await peer.request("GET", "/socket.io/?EIO=3&transport=polling")
        stats = server.stats()
        assert stats["sessions"] == {"websocket": 1, "polling": 1}
        assert stats["sockets"] == {"/": 2}
        assert (stats["rooms"], stats["pending_acks"]) == (1, 1)
        assert (stats["packets_in"], stats["events_in"]) == (6, 2)
        assert (stats["packets_out"], stats["events_out"]) == (6, 1)
        assert stats["refusals"] == {
            "rejected by the application": 1,
            "invalid namespace": 1,
            "Unsupported protocol version": 1,
        }
        await first.transport.hang_up()
        await second.transport.post("1")
        stats = server.stats()
        assert stats["sockets"] == {}
        assert stats["closes"] == {"transport close": 2}
        assert stats["disconnects"] == {"transport close": 2}
        assert json.loads(json.dumps(stats)) == stats
