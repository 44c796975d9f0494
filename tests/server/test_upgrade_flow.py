"""The move from long-polling to WebSocket: nothing is lost, nothing is doubled, and a probe that fails harms nobody."""

import pytest
import trio
from support.later import begin
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import Closed, frame

from trio_socketio import Server


async def test_a_probe_is_answered_and_five_completes_the_upgrade(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"
        await websocket.send(b"\x00\x01")
        assert await websocket.receive() == b"\x00\x01"
        assert (await session.get()).status == 400


async def test_probe_and_upgrade_may_come_back_to_back(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send_raw(frame(1, b"2probe") + frame(1, b"5") + frame(1, b"4hello"))
        assert [await websocket.receive(), await websocket.receive()] == ["3probe", "4hello"]


async def test_the_get_that_waits_is_answered_with_a_noop_by_the_probe(autojump_clock):
    async with serving(EngineFixture()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        websocket = await peer.upgrade(session)
        await wait_all_tasks_blocked()
        assert waiting.pending
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        answer = await waiting.result()
        assert (answer.status, answer.text) == (200, "6")


async def test_what_was_buffered_goes_through_the_websocket(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        await session.send("4a", b"b", "4c")
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        assert [await websocket.receive() for _ in range(3)] == ["4a", b"b", "4c"]


async def test_until_the_upgrade_is_complete_polling_carries_everything(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await session.send("4a")
        assert await session.poll() == ["4a"]
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await session.send("4b")
        assert await session.poll() == ["4b"]
        await session.send("4c")
        await websocket.send("5")
        await websocket.send("4d")
        assert [await websocket.receive(), await websocket.receive()] == ["4c", "4d"]


async def test_a_get_while_probing_is_answered_with_a_noop_after_100_ms(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        for probe in (None, "2probe"):
            if probe:
                await websocket.send(probe)
                assert await websocket.receive() == "3probe"
            before = trio.current_time()
            response = await session.get()
            assert (response.status, response.text) == (200, "6")
            assert trio.current_time() - before == pytest.approx(0.1)


async def test_a_get_while_probing_is_refused_if_the_upgrade_completes_meanwhile(autojump_clock):
    async with serving(EngineFixture()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        before = trio.current_time()
        waiting = await begin(nursery, session.get)
        assert waiting.pending
        await websocket.send("5")
        response = await waiting.result()
        assert (response.status, response.json["code"]) == (400, 3)
        assert trio.current_time() == before
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_without_an_upgrade_in_time_the_websocket_is_closed_and_polling_goes_on(autojump_clock):
    async with serving(EngineFixture(upgrade_timeout=10)) as peer:
        for probe in (False, True):
            session = await peer.open_polling()
            before = trio.current_time()
            websocket = await peer.upgrade(session)
            if probe:
                await websocket.send("2probe")
                assert await websocket.receive() == "3probe"
            assert (await websocket.expect_close()).code == 1000
            assert trio.current_time() - before == pytest.approx(10)
            await session.send("4still here")
            assert await session.poll() == ["4still here"]


@pytest.mark.parametrize(
    "raw",
    [
        frame(1, b"2"),
        frame(1, b"2prob"),
        frame(1, b"2probe2"),
        frame(1, b"5"),
        frame(1, b"4hello"),
        frame(1, b"3"),
        frame(1, b"1"),
        frame(1, b"6"),
        frame(1, b"abc"),
        frame(1, b""),
        frame(2, b"\x00"),
        frame(1, b"2probe") + frame(1, b"2probe"),
        frame(1, b"2probe") + frame(1, b"4hello"),
        frame(3),
        frame(1, b"\xff"),
        frame(1, b"4" * 2000),
        frame(8, b"\x03\xe8"),
    ],
)
async def test_a_probe_that_fails_leaves_the_polling_session_intact(autojump_clock, raw):
    async with serving(EngineFixture(max_payload=1000)) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send_raw(raw)
        await websocket.expect_close()
        assert not [received for received in websocket.frames if received != "3probe"]
        await session.send("4still here")
        assert await session.poll() == ["4still here"]
        again = await peer.upgrade(session)
        await again.send_raw(frame(1, b"2probe") + frame(1, b"5") + frame(1, b"4up"))
        assert [await again.receive(), await again.receive()] == ["3probe", "4up"]


@pytest.mark.parametrize("probe", [False, True])
async def test_a_websocket_that_dies_while_probing_leaves_the_polling_session_intact(autojump_clock, probe):
    async with serving(EngineFixture()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        if probe:
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
        waiting = await begin(nursery, session.get)
        await websocket.hang_up()
        await trio.sleep(5)
        assert waiting.pending  # the GET is an ordinary one again
        await session.send("4still here")
        assert (await waiting.result()).text == "4still here"


async def test_of_two_probing_websockets_the_second_is_closed(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session = await peer.open_polling()
        first = await peer.upgrade(session)
        second = await peer.upgrade(session)
        assert (await second.expect_close()).code == 1000
        await first.send("2probe")
        assert await first.receive() == "3probe"
        await first.send("5")
        await first.send("4hello")
        assert await first.receive() == "4hello"


async def test_the_session_ends_while_a_websocket_probes(autojump_clock):
    server = EngineFixture()
    async with serving(server) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        await websocket.receive()
        await session.send("1")
        assert (await websocket.expect_close()).code == 1000
        assert not server.sessions


async def test_a_post_that_is_being_read_when_the_upgrade_comes_still_counts(autojump_clock):
    async with serving(EngineFixture()) as peer, peer.http() as connection:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        await websocket.receive()
        head = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n4la".encode()
        await connection.stream.send_all(head)
        await wait_all_tasks_blocked()
        await websocket.send("5")
        await wait_all_tasks_blocked()
        await connection.stream.send_all(b"te")
        assert (await connection.stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        assert await websocket.receive() == "4late"


@pytest.mark.parametrize("step", range(6))
async def test_nothing_is_lost_or_doubled_whenever_the_server_sends(autojump_clock, step):
    """A counter runs on the server; the client upgrades at different moments of it and must see each number once."""
    server = Server()

    async def count(live_sid):
        for number in range(200):
            await server.emit("number", number, to=live_sid)
            await trio.sleep(0.01)

    async with serving(server) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        await session.send("40")
        await session.receive()
        sid = server.sockets()[0]
        nursery.start_soon(count, sid)
        frames = []
        polling = trio.CancelScope()

        async def poll():
            with polling:
                while True:
                    response = await session.get()
                    if response.status != 200:
                        return
                    frames.extend(response.text.split("\x1e"))

        nursery.start_soon(poll)
        await trio.sleep(0.1 + step * 0.005)
        websocket = await peer.upgrade(session)
        await trio.sleep(step * 0.007)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await trio.sleep(step * 0.013)
        await websocket.send("5")
        with trio.move_on_after(5):
            while True:
                frames.append(await websocket.receive())
        polling.cancel()
        numbers = [received for received in frames if received.startswith("42")]
        assert sorted(numbers) == sorted(f'42["number",{number}]' for number in range(200))
        assert len(numbers) == 200


async def test_socketio_goes_on_over_the_new_transport(autojump_clock):
    server = Server()
    seen = []

    @server.on("note")
    async def note(ctx, text):
        seen.append((text, str(ctx.transport)))
        return "noted"

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        seen.append(reason)

    async with serving(server) as peer:
        session = await peer.open_polling()
        await session.send("40", '421["note","over polling"]')
        await session.poll()
        websocket = await peer.upgrade(session)
        await websocket.send_raw(frame(1, b"2probe") + frame(1, b"5") + frame(1, b'422["note","over websocket"]'))
        received = []
        while '432["noted"]' not in received:
            received.append(await websocket.receive())
        await websocket.close()
        with pytest.raises(Closed):
            await websocket.receive()
        await wait_all_tasks_blocked()
    assert seen == [("over polling", "polling"), ("over websocket", "websocket"), "transport close"]
