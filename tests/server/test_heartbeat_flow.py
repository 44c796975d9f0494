"""The heartbeat: the server asks, the client answers, and whoever is silent is gone."""

import pytest
import trio
from support.later import begin
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import Closed

from trio_socketio import Server

INTERVAL, TIMEOUT = 25, 20


def make_server(**options) -> EngineFixture:
    return EngineFixture(ping_interval=INTERVAL, ping_timeout=TIMEOUT, **options)


async def test_a_websocket_is_pinged_every_interval(autojump_clock):
    async with serving(make_server()) as peer:
        start = trio.current_time()
        websocket = await peer.open_websocket()
        await websocket.receive()
        for number in range(1, 6):
            assert await websocket.receive() == "2"
            assert trio.current_time() - start == pytest.approx(number * INTERVAL, abs=0.01)
            await websocket.send("3")


async def test_a_get_that_waits_is_answered_with_the_ping(autojump_clock):
    async with serving(make_server()) as peer:
        start = trio.current_time()
        session = await peer.open_polling()
        for number in range(1, 6):
            response = await session.get()
            assert response.text == "2"
            assert trio.current_time() - start == pytest.approx(number * INTERVAL, abs=0.01)
            assert (await session.post("3")).text == "ok"


async def test_the_next_get_carries_a_ping_that_fell_due_without_one(autojump_clock):
    async with serving(make_server()) as peer:
        session = await peer.open_polling()
        await trio.sleep(INTERVAL + 5)
        before = trio.current_time()
        assert await session.poll() == ["2"]
        assert trio.current_time() == before


async def test_a_silent_websocket_is_closed_when_the_timeout_is_over(autojump_clock):
    server = make_server()
    async with serving(server) as peer:
        start = trio.current_time()
        websocket = await peer.open_websocket()
        closed = await websocket.expect_close()
        assert websocket.frames[1:] == ["2"]
        assert (closed.code, closed.reason) == (1000, "")
        assert trio.current_time() - start == pytest.approx(INTERVAL + TIMEOUT, abs=0.01)
        assert not server.sessions


async def test_a_silent_polling_session_is_unknown_when_the_timeout_is_over(autojump_clock):
    server = make_server()
    async with serving(server) as peer:
        session = await peer.open_polling()
        await trio.sleep(INTERVAL + TIMEOUT - 0.1)
        assert server.sessions
        await trio.sleep(0.2)
        assert not server.sessions
        assert (await session.post("3")).json["code"] == 1


async def test_a_get_that_waits_does_not_prove_a_client_alive(autojump_clock):
    async with serving(make_server()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        assert await session.poll() == ["2"]
        waiting = await begin(nursery, session.get)
        before = trio.current_time()
        answer = await waiting.result()
        assert (answer.status, answer.text) == (200, "1")
        assert trio.current_time() - before == pytest.approx(TIMEOUT, abs=0.01)


async def test_an_answer_just_in_time_counts(autojump_clock):
    async with serving(make_server()) as peer:
        websocket = await peer.open_websocket()
        await websocket.receive()
        for _ in range(4):
            assert await websocket.receive() == "2"
            await trio.sleep(TIMEOUT - 0.01)
            await websocket.send("3")
        await websocket.send("4alive")
        assert await websocket.receive() == "4alive"


@pytest.mark.parametrize("packet", ["3", "3probe", "4hello", b"\x00"])
async def test_any_packet_proves_a_client_alive(autojump_clock, packet):
    async with serving(make_server()) as peer:
        websocket = await peer.open_websocket()
        await websocket.receive()
        for _ in range(4):
            while await websocket.receive() != "2":
                pass
            await trio.sleep(TIMEOUT / 2)
            await websocket.send(packet)
        session = await peer.open_polling()
        for _ in range(4):
            while "2" not in await session.poll():
                pass
            await trio.sleep(TIMEOUT / 2)
            await session.send(packet)


async def test_a_ping_timeout_is_the_reason_that_the_disconnect_handler_sees(autojump_clock):
    server = Server(ping_interval=INTERVAL, ping_timeout=TIMEOUT)
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append((ctx.auth["over"], reason)))
    async with serving(server) as peer:
        websocket = await peer.join(auth={"over": "websocket"})
        polling = await peer.join(auth={"over": "polling"}, transport="polling")
        await trio.sleep(INTERVAL + TIMEOUT + 1)
        assert sorted(reasons) == [("polling", "ping timeout"), ("websocket", "ping timeout")]
        assert isinstance(await websocket.transport.expect_close(), Closed)
        assert (await polling.transport.get()).status == 400


@pytest.mark.parametrize("packet", ["2", "2probe", "2hello"])
async def test_a_client_that_pings_breaks_the_protocol(autojump_clock, packet):
    server = Server()
    reasons = []
    server.on("disconnect", lambda ctx, reason: reasons.append(reason))
    async with serving(server) as peer:
        client = await peer.join()
        await client.transport.send(packet)
        assert (await client.transport.expect_close()).code == 1008
        client = await peer.join(transport="polling")
        assert (await client.transport.post(packet)).status == 400
        await wait_all_tasks_blocked()
        assert reasons == ["parse error", "parse error"]
        assert not server.sessions


async def test_the_heartbeat_goes_on_after_an_upgrade(autojump_clock):
    async with serving(make_server()) as peer:
        start = trio.current_time()
        session = await peer.open_polling()
        await trio.sleep(INTERVAL - 5)
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        assert await websocket.receive() == "2"
        assert trio.current_time() - start == pytest.approx(INTERVAL, abs=0.01)
        await websocket.send("3")
        assert await websocket.receive() == "2"


async def test_a_ping_that_polling_did_not_deliver_goes_through_the_websocket(autojump_clock):
    async with serving(make_server()) as peer:
        session = await peer.open_polling()
        await trio.sleep(INTERVAL + 1)
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        assert await websocket.receive() == "2"


async def test_a_thousand_seconds_of_heartbeats_leave_one_session_and_one_deadline(autojump_clock):
    server = make_server()
    async with serving(server) as peer:
        websocket = await peer.open_websocket()
        await websocket.receive()
        with trio.move_on_after(1000):
            while True:
                assert await websocket.receive() == "2"
                await websocket.send("3")
        assert len(server.sessions) == 1
        assert len(server.services[0].deadlines) == 1
