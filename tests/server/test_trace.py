"""``Server(trace=...)``: every frame of every session, in order, and none that did not cross the wire."""

from support.later import begin
from support.memory import serving
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked
from trio_socketio.server.net.live import Live

from trio_socketio import Sender, Server, TracedFrame

C, S = Sender.CLIENT, Sender.SERVER


def echoing(trace):
    server = Server(trace=trace, ping_interval=1000)

    @server.on("message")
    async def message(ctx, *args):
        await ctx.emit("message-back", *args)

    return server


def told(frames):
    """What was traced, without times; the values of sids and of the handshake left out."""
    return [
        (f.sender, f.transport, f.frame if isinstance(f.frame, bytes) else f.frame.partition('{"sid"')[0])
        for f in frames
    ]


async def test_the_frames_of_a_websocket_are_told_both_ways_and_in_order(autojump_clock):
    frames = []
    async with serving(echoing(frames.append)) as peer:
        client = await peer.join()
        await client.emit("message", b"\x01")
        assert await client.event() == ["message-back", b"\x01"]
        await client.transport.send("1")
        await client.transport.expect_close()
    place = '{"_placeholder":true,"num":0}'
    assert told(frames) == [
        (S, "websocket", "0"),
        (C, "websocket", "40"),
        (S, "websocket", "40"),
        (C, "websocket", f'451-["message",{place}]'),
        (C, "websocket", b"\x01"),
        (S, "websocket", f'451-["message-back",{place}]'),
        (S, "websocket", b"\x01"),
        (C, "websocket", "1"),
    ]
    assert {f.sid for f in frames} == {client.handshake.sid}
    assert [f.time for f in frames] == sorted(f.time for f in frames)


async def test_polling_packets_are_told_one_by_one_as_a_websocket_would_carry_them(autojump_clock):
    frames = []
    async with serving(echoing(frames.append)) as peer:
        session = await peer.open_polling()
        await session.send("40", '42["message",1]', '42["message",2]')
        while len(frames) < 7:
            await session.poll()
    assert told(frames) == [
        (S, "polling", "0"),
        (C, "polling", "40"),
        (C, "polling", '42["message",1]'),
        (C, "polling", '42["message",2]'),
        (S, "polling", "40"),
        (S, "polling", '42["message-back",1]'),
        (S, "polling", '42["message-back",2]'),
    ]


async def test_an_upgrade_is_told_on_the_transport_where_it_happens(autojump_clock, nursery):
    frames = []
    async with serving(echoing(frames.append)) as peer:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await waiting.result()
        await websocket.send("5")
        await wait_all_tasks_blocked()
    upgrade = told(frames)[1:]
    assert sorted(upgrade[:3]) == [(C, "websocket", "2probe"), (S, "polling", "6"), (S, "websocket", "3probe")]
    assert upgrade[0] == (C, "websocket", "2probe")
    assert upgrade[3] == (C, "websocket", "5")


async def test_a_body_that_is_no_payload_is_told_as_it_came(autojump_clock):
    frames = []
    async with serving(echoing(frames.append)) as peer:
        for body in ("4ok\x1e!", b"\xff\xfe"):
            session = await peer.open_polling()
            assert (await session.post(body)).status == 400
    assert [f.frame for f in frames if f.sender is C] == ["4ok\x1e!", b"\xff\xfe"]


async def test_a_polling_answer_that_could_not_be_written_is_told_once_it_was(autojump_clock):
    frames = []
    server = echoing(frames.append)
    async with serving(server) as peer:
        session = await peer.open_polling()
        await session.send("40")
        async with peer.http() as connection:
            await connection.send("GET", session.target())
            await connection.hang_up()
        await wait_all_tasks_blocked()
        while not [f for f in frames if f.sender is S and f.frame.startswith("40")]:
            await session.poll()
    assert len([f for f in frames if f.sender is S and f.frame.startswith("40")]) == 1


async def test_a_polling_answer_is_told_though_another_get_comes_while_it_is_written(autojump_clock, nursery):
    frames = []
    server = echoing(frames.append)
    async with serving(server) as peer:
        session = await peer.open_polling()
        await session.send("40")
        ours, theirs = lockstep_stream_pair()
        nursery.start_soon(server.serve_stream, theirs)
        await ours.send_all(f"GET {session.target()} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        await wait_all_tasks_blocked()  # until somebody takes the answer
        second = await begin(nursery, session.get)
        assert (await ours.receive_some()).startswith(b"HTTP/1.1 200 ")
        await session.send('42["message",1]')
        await second.result()
    assert [f.frame[:2] for f in frames if f.sender is S] == ["0{", "40", "42"]


async def test_a_trace_that_fails_is_logged_and_ends_nothing(autojump_clock, caplog):
    def trace(frame: TracedFrame) -> None:
        raise RuntimeError("no disk")

    async with serving(echoing(trace)) as peer:
        client = await peer.join()
        await client.emit("message", 1)
        assert await client.event() == ["message-back", 1]
    assert "the function given as trace failed" in caplog.text


async def test_without_a_trace_sessions_are_the_plain_kind(autojump_clock):
    server = Server()
    async with serving(server) as peer:
        await peer.open_polling()
        (live,) = server.sessions.values()
        assert type(live) is Live
