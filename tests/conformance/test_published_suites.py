"""The published suites of the two protocols, case by case, against the servers that they expect.

24 cases for Engine.IO and 32 for Socket.IO; 16 are common to both and run against both servers. Later versions of the
Engine.IO suite have one case more: they expect that a GET which the client cancels ends its session. This server
deviates on purpose: it keeps what the GET would have carried for the next one, so that a reload of a proxy or a
moment without a network costs no session.
"""

import json
from dataclasses import dataclass

import pytest
import trio
from support.later import begin
from support.memory import serving
from trio_socketio.conformance.fixture import engine_fixture, socketio_fixture
from trio_socketio.conformance.peer import Closed, Peer, Polling, Refused, WebSocketPeer

from trio_socketio import Server

INTERVAL, TIMEOUT = 0.3, 0.2


@dataclass(frozen=True, slots=True)
class Suite:
    server: Server
    path: str


@pytest.fixture(params=["engine", "socketio"])
def suite(request):
    return Suite(engine_fixture(), "/engine.io/") if request.param == "engine" else socketio_suite()


def socketio_suite() -> Suite:
    return Suite(socketio_fixture(), "/socket.io/")


def assert_handshake(text: str, upgrades: list[str]) -> None:
    assert text[0] == "0"
    opened = json.loads(text[1:])
    assert isinstance(opened.pop("sid"), str)
    assert opened == {"upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


async def assert_refused(peer: Peer, *queries: str) -> None:
    for query in queries:
        assert (await peer.request("GET", f"{peer.path}?{query}")).status == 400


async def assert_websocket_refused(peer: Peer, *queries: str) -> None:
    for query in queries:
        with pytest.raises(Refused):
            await peer.open_websocket(f"{peer.path}?{query}")


async def opened(peer: Peer) -> WebSocketPeer:
    websocket = await peer.open_websocket()
    await websocket.receive()
    return websocket


async def probed(peer: Peer) -> tuple[Polling, WebSocketPeer]:
    session = await peer.open_polling()
    websocket = await peer.upgrade(session)
    await websocket.send("2probe")
    assert await websocket.receive() == "3probe"
    return session, websocket


# Both suites: the handshake.


async def test_polling_opens_a_session(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        response = await peer.request("GET", peer.target(transport="polling"))
        assert response.status == 200
        assert_handshake(response.text, ["websocket"])


async def test_polling_with_an_invalid_version_fails(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        await assert_refused(peer, "transport=polling", "EIO=abc&transport=polling")


async def test_polling_with_an_invalid_transport_fails(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        await assert_refused(peer, "EIO=4", "EIO=4&transport=abc")


async def test_polling_with_an_invalid_method_fails(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        for method in ("POST", "PUT"):
            assert (await peer.request(method, peer.target(transport="polling"))).status == 400


async def test_websocket_opens_a_session(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        websocket = await peer.open_websocket()
        assert_handshake(await websocket.receive(), [])


async def test_websocket_with_an_invalid_version_fails(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        await assert_websocket_refused(peer, "transport=websocket", "EIO=abc&transport=websocket")


async def test_websocket_with_an_invalid_transport_fails(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        await assert_websocket_refused(peer, "EIO=4", "EIO=4&transport=abc")


# Both suites: the heartbeat.


async def test_polling_pings_and_takes_pongs(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        session = await peer.open_polling()
        for _ in range(3):
            response = await session.get()
            assert (response.status, response.text) == (200, "2")
            assert (await session.post("3")).status == 200


async def test_polling_is_closed_upon_a_ping_timeout(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        session = await peer.open_polling()
        await trio.sleep(INTERVAL + TIMEOUT)
        assert (await session.get()).status == 400


async def test_websocket_pings_and_takes_pongs(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        websocket = await opened(peer)
        for _ in range(3):
            assert await websocket.receive() == "2"
            await websocket.send("3")


async def test_websocket_is_closed_upon_a_ping_timeout(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        await (await peer.open_websocket()).expect_close()


# Both suites: the close.


async def test_polling_is_closed_by_the_client(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        assert (await session.post("1")).status == 200
        response = await waiting.result()
        assert (response.status, response.text) == (200, "6")
        assert (await session.get()).status == 400


async def test_websocket_is_closed_by_the_client(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        websocket = await opened(peer)
        await websocket.send("1")
        with pytest.raises(Closed):
            await websocket.receive()


# Both suites: the upgrade.


async def test_polling_upgrades_to_websocket(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        session, websocket = await probed(peer)
        response = await session.get()
        assert (response.status, response.text) == (200, "6")
        await websocket.send("5")
        if suite.path == "/engine.io/":
            await websocket.send("4hello")
            assert await websocket.receive() == "4hello"


async def test_after_the_upgrade_requests_with_the_sid_are_refused(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        await websocket.send("5")
        assert (await session.get()).status == 400
        if suite.path == "/engine.io/":
            await websocket.send("4hello")
            assert [await websocket.receive(), await websocket.receive()] == ["3probe", "4hello"]


async def test_after_the_upgrade_a_websocket_with_the_sid_is_closed(autojump_clock, suite):
    async with serving(suite.server, suite.path) as peer:
        session = await peer.open_polling()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        await websocket.send("5")
        another = await peer.upgrade(session)
        with pytest.raises(Closed):
            await another.receive()
        if suite.path == "/engine.io/":
            await websocket.send("4hello")
            assert [await websocket.receive(), await websocket.receive()] == ["3probe", "4hello"]


# The Engine.IO suite: messages.


@pytest.mark.parametrize(
    "payload", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="], ids=["one packet", "several", "binary"]
)
async def test_polling_echoes(autojump_clock, payload):
    async with serving(engine_fixture(), "/engine.io/") as peer:
        session = await peer.open_polling()
        posted = await session.post(payload)
        assert (posted.status, posted.text) == (200, "ok")
        polled = await session.get()
        assert (polled.status, polled.text) == (200, payload)


async def test_polling_is_closed_upon_an_invalid_packet(autojump_clock):
    async with serving(engine_fixture(), "/engine.io/") as peer:
        session = await peer.open_polling()
        assert (await session.post("abc")).status == 400
        assert (await session.get()).status == 400


async def test_polling_is_closed_upon_duplicate_requests(autojump_clock):
    async with serving(engine_fixture(), "/engine.io/") as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        first = await begin(nursery, session.get)
        await trio.sleep(0.005)
        assert (await peer.request("GET", session.target(t="burst"))).status == 400
        answer = await first.result()
        assert (answer.status, answer.text) == (200, "1")
        assert (await session.get()).status == 400


@pytest.mark.parametrize("message", ["4hello", b"\x01\x02\x03\x04"], ids=["text", "binary"])
async def test_websocket_echoes(autojump_clock, message):
    async with serving(engine_fixture(), "/engine.io/") as peer:
        websocket = await opened(peer)
        await websocket.send(message)
        assert await websocket.receive() == message


async def test_websocket_is_closed_upon_an_invalid_packet(autojump_clock):
    async with serving(engine_fixture(), "/engine.io/") as peer:
        websocket = await opened(peer)
        await websocket.send("abc")
        with pytest.raises(Closed):
            await websocket.receive()


# The Socket.IO suite.


async def connected(peer: Peer) -> WebSocketPeer:
    websocket = await opened(peer)
    await websocket.send("40")
    assert (await websocket.receive()).startswith("40{")
    assert await websocket.receive() == '42["auth",{}]'
    return websocket


@pytest.mark.parametrize(
    ("connect", "prefix", "auth"),
    [
        ("40", "40", '42["auth",{}]'),
        ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
        ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
        ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
    ],
    ids=["main", "main with a payload", "custom", "custom with a payload"],
)
async def test_a_namespace_is_joined(autojump_clock, connect, prefix, auth):
    async with serving(socketio_fixture()) as peer:
        websocket = await opened(peer)
        await websocket.send(connect)
        answer = await websocket.receive()
        assert answer.startswith(prefix)
        handshake = json.loads(answer.removeprefix(prefix))
        assert list(handshake) == ["sid"]
        assert isinstance(handshake["sid"], str)
        assert await websocket.receive() == auth


async def test_an_unknown_namespace_is_refused(autojump_clock):
    async with serving(socketio_fixture()) as peer:
        websocket = await opened(peer)
        await websocket.send("40/random")
        assert await websocket.receive() == '44/random,{"message":"Invalid namespace"}'


async def test_an_invalid_connect_closes_the_connection(autojump_clock):
    async with serving(socketio_fixture()) as peer:
        websocket = await opened(peer)
        await websocket.send("4abc")
        with pytest.raises(Closed):
            await websocket.receive()


async def test_without_a_connect_the_connection_is_closed(autojump_clock):
    async with serving(socketio_fixture()) as peer:
        client = await peer.open_socketio()
        with pytest.raises(Closed), trio.fail_after(1.5):
            await client.receive()  # which answers pings, so that the connect timeout is what ends it


async def test_the_main_namespace_is_left(autojump_clock):
    async with serving(socketio_fixture()) as peer:
        websocket = await connected(peer)
        await websocket.send("41")
        assert await websocket.receive() == "2"


async def test_a_custom_namespace_is_joined_and_left(autojump_clock):
    async with serving(socketio_fixture()) as peer:
        websocket = await connected(peer)
        assert await websocket.receive() == "2"
        await websocket.send("40/custom")
        assert (await websocket.receive()).startswith("40/custom,{")
        assert await websocket.receive() == '42/custom,["auth",{}]'
        await websocket.send("41/custom")
        await websocket.send('42["message","message to main namespace"]')
        assert await websocket.receive() == '42["message-back","message to main namespace"]'


PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']),
        (
            [f'452-["message",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06"],
            [f'452-["message-back",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06"],
        ),
        (['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']),
        (
            [f'452-789["message-with-ack",{PLACEHOLDERS}]', b"\x01\x02\x03", b"\x04\x05\x06"],
            [f"462-789[{PLACEHOLDERS}]", b"\x01\x02\x03", b"\x04\x05\x06"],
        ),
    ],
    ids=["text", "binary", "text with an ack", "binary with an ack"],
)
async def test_a_packet_is_answered(autojump_clock, sent, expected):
    async with serving(socketio_fixture()) as peer:
        websocket = await connected(peer)
        for frame in sent:
            await websocket.send(frame)
        assert [await websocket.receive() for _ in expected] == expected


@pytest.mark.parametrize(
    "frame",
    ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]'],
    ids=["an unknown packet type", "an invalid payload", "an invalid ack id"],
)
async def test_an_invalid_packet_closes_the_connection(autojump_clock, frame):
    async with serving(socketio_fixture()) as peer:
        websocket = await connected(peer)
        await websocket.send(frame)
        with pytest.raises(Closed):
            await websocket.receive()
