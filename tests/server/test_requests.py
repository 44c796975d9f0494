"""Every request that Engine.IO knows, and every one that it refuses, over the whole server."""

import json

import pytest
import trio
from support.later import begin
from support.memory import read_to_end, serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.conformance.peer import Closed, Peer, PeerError, Polling, Refused, WebSocketPeer, frame

from trio_socketio import ConnectionRefused, Server

TRANSPORT_UNKNOWN = {"code": 0, "message": "Transport unknown"}
SESSION_ID_UNKNOWN = {"code": 1, "message": "Session ID unknown"}
BAD_HANDSHAKE_METHOD = {"code": 2, "message": "Bad handshake method"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
FORBIDDEN = {"code": 4, "message": "Forbidden"}
UNSUPPORTED_VERSION = {"code": 5, "message": "Unsupported protocol version"}

PAGE = "https://page.example"
ELSEWHERE = "https://elsewhere.example"


def make_server(**options) -> Server:
    server = Server(**options)

    @server.on("echo")
    async def echo(ctx, *args):
        return args

    return server


async def assert_serves(peer: Peer) -> None:
    """A well-behaved client gets what it came for, over each transport."""
    for transport in ("websocket", "polling"):
        client = await peer.join(transport=transport)
        await client.emit("echo", transport, b"\x00", id=7)
        answer = await client.receive()
        assert (answer.id, answer.data) == (7, [transport, b"\x00"])


async def upgraded(peer: Peer) -> tuple[Polling, WebSocketPeer]:
    session = await peer.open_polling()
    websocket = await peer.upgrade(session)
    await websocket.send("2probe")
    assert await websocket.receive() == "3probe"
    await websocket.send("5")
    await wait_all_tasks_blocked()
    return session, websocket


def opening(peer: Peer, transport: str) -> bytes:
    """The request that opens a session."""
    lines = [f"GET {peer.target(transport=transport)} HTTP/1.1", "Host: x"]
    if transport == "websocket":
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def assert_gone(session: Polling) -> None:
    response = await session.get()
    assert (response.status, response.json) == (400, SESSION_ID_UNKNOWN)


REFUSALS = [
    ("GET", "transport=polling", UNSUPPORTED_VERSION),
    ("GET", "EIO=&transport=polling", UNSUPPORTED_VERSION),
    ("GET", "EIO=3&transport=polling", UNSUPPORTED_VERSION),
    ("GET", "EIO=5&transport=polling", UNSUPPORTED_VERSION),
    ("GET", "EIO=44&transport=polling", UNSUPPORTED_VERSION),
    ("GET", "EIO=abc&transport=polling", UNSUPPORTED_VERSION),
    ("GET", "EIO=%204&transport=polling", UNSUPPORTED_VERSION),
    ("POST", "EIO=3&transport=polling", UNSUPPORTED_VERSION),
    ("GET", "", UNSUPPORTED_VERSION),
    ("GET", "EIO=4", TRANSPORT_UNKNOWN),
    ("GET", "EIO=4&transport=", TRANSPORT_UNKNOWN),
    ("GET", "EIO=4&transport=abc", TRANSPORT_UNKNOWN),
    ("GET", "EIO=4&transport=Polling", TRANSPORT_UNKNOWN),
    ("GET", "EIO=4&transport=webtransport", TRANSPORT_UNKNOWN),
    ("GET", "EIO=4&transport=constructor", TRANSPORT_UNKNOWN),
    ("GET", "EIO=4&transport=polling&sid=abc", SESSION_ID_UNKNOWN),
    ("POST", "EIO=4&transport=polling&sid=abc", SESSION_ID_UNKNOWN),
    ("PUT", "EIO=4&transport=polling&sid=abc", SESSION_ID_UNKNOWN),
    ("GET", "EIO=4&transport=polling&sid=%00%ff", SESSION_ID_UNKNOWN),
    ("POST", "EIO=4&transport=polling", BAD_HANDSHAKE_METHOD),
    ("POST", "EIO=4&transport=polling&sid=", BAD_HANDSHAKE_METHOD),
    ("POST", "EIO=4&transport=websocket", BAD_HANDSHAKE_METHOD),
    ("PUT", "EIO=4&transport=polling", BAD_HANDSHAKE_METHOD),
    ("PATCH", "EIO=4&transport=polling", BAD_HANDSHAKE_METHOD),
    ("DELETE", "EIO=4&transport=polling", BAD_HANDSHAKE_METHOD),
    ("GET", "EIO=4&transport=websocket", BAD_REQUEST),
]


@pytest.mark.parametrize(("method", "query", "expected"), REFUSALS)
async def test_a_request_that_is_no_handshake_is_refused(autojump_clock, method, query, expected):
    server = make_server()
    async with serving(server) as peer:
        async with peer.http() as connection:
            response = await connection.request(method, f"/socket.io/?{query}")
            assert (response.status, response.json) == (400, expected)
            assert response.header("content-type") == "application/json"
            assert response.header("cache-control") == "no-store"
            again = await connection.request("GET", peer.target(transport="polling"))
            assert again.status == 200  # the connection itself is still good
        assert len(server.sessions) == 1
        await assert_serves(peer)


async def test_head_without_a_session_is_refused_without_a_body(autojump_clock, caplog):
    async with serving(make_server()) as peer:
        for query in ("EIO=4&transport=polling", "", "EIO=4&transport=polling&sid=abc"):
            response = await peer.request("HEAD", f"/socket.io/?{query}")
            assert (response.status, response.body) == (400, b"")
        session = await peer.open_polling()
        response = await peer.request("HEAD", session.target())
        assert (response.status, response.body) == (400, b"")
        await assert_serves(peer)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("transport=websocket", UNSUPPORTED_VERSION),
        ("EIO=3&transport=websocket", UNSUPPORTED_VERSION),
        ("EIO=abc&transport=websocket", UNSUPPORTED_VERSION),
        ("EIO=4", TRANSPORT_UNKNOWN),
        ("EIO=4&transport=abc", TRANSPORT_UNKNOWN),
        ("EIO=4&transport=websocket&sid=abc", SESSION_ID_UNKNOWN),
        ("EIO=4&transport=polling", BAD_REQUEST),
    ],
)
async def test_a_websocket_is_refused_with_status_400(autojump_clock, query, expected):
    server = make_server()
    async with serving(server) as peer:
        with pytest.raises(Refused) as caught:
            await peer.open_websocket(f"/socket.io/?{query}")
        assert (caught.value.status, json.loads(caught.value.body)) == (400, expected)
        assert not server.sessions
        await assert_serves(peer)


async def test_a_transport_that_is_not_served_is_unknown(autojump_clock):
    async with serving(Server(transports=["websocket"])) as peer:
        response = await peer.request("GET", peer.target(transport="polling"))
        assert (response.status, response.json) == (400, TRANSPORT_UNKNOWN)
        await peer.join()
    async with serving(Server(transports=["polling"])) as peer:
        with pytest.raises(Refused) as caught:
            await peer.open_websocket()
        assert json.loads(caught.value.body) == TRANSPORT_UNKNOWN
        assert (await peer.open_polling()).handshake.upgrades == ()


async def test_get_opens_a_session_over_polling(autojump_clock):
    async with serving(make_server(ping_interval=0.3, ping_timeout=0.29, max_payload=12345)) as peer:
        response = await peer.request("GET", peer.target(transport="polling"))
        assert response.status == 200
        assert response.header("content-type") == "text/plain; charset=UTF-8"
        assert response.header("cache-control") == "no-store"
        assert response.text[0] == "0"
        opened = json.loads(response.text[1:])
        sid = opened.pop("sid")
        assert isinstance(sid, str)
        assert len(sid) == 20
        assert opened == {"upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 290, "maxPayload": 12345}
        assert type(opened["pingInterval"]) is int
        await assert_serves(peer)


async def test_a_websocket_opens_a_session_with_its_first_frame(autojump_clock):
    async with serving(make_server(ping_interval=0.3, ping_timeout=0.2)) as peer:
        websocket = await peer.open_websocket()
        first = await websocket.receive()
        assert first[0] == "0"
        opened = json.loads(first[1:])
        assert isinstance(opened.pop("sid"), str)
        assert opened == {"upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


async def test_no_upgrade_is_offered_when_upgrades_are_off(autojump_clock):
    async with serving(make_server(allow_upgrades=False)) as peer:
        session = await peer.open_polling()
        assert session.handshake.upgrades == ()
        with pytest.raises(Refused) as caught:
            await peer.upgrade(session)
        assert (caught.value.status, json.loads(caught.value.body)) == (400, BAD_REQUEST)
        await session.send("40")
        assert (await session.receive()).startswith("40{")


@pytest.mark.parametrize("path", ["/socket.io/", "/socket.io"])
async def test_the_path_counts_with_and_without_its_slash(autojump_clock, path):
    async with serving(make_server(), path) as peer:
        await assert_serves(peer)


async def test_the_path_is_configurable_and_everything_else_is_not_found(autojump_clock):
    async with serving(make_server(path="/live"), "/live/") as peer:
        await assert_serves(peer)
        for path in ("/socket.io/", "/", "/live/more", "/lives", "/LIVE/"):
            assert (await peer.request("GET", f"{path}?EIO=4&transport=polling")).status == 404
            with pytest.raises(Refused) as caught:
                await peer.open_websocket(f"{path}?EIO=4&transport=websocket")
            assert caught.value.status == 404


async def test_parameters_of_the_application_are_allowed_and_reach_it(autojump_clock):
    server = make_server()
    seen = []

    @server.on("connect")
    async def connect(ctx):
        seen.append(dict(ctx.handshake.query))

    async with serving(server) as peer:
        session = await peer.open_polling(t="abc123", token="a b&c")
        await session.send("40")
        await session.receive()
        websocket = await peer.open_websocket(peer.target(transport="websocket", t="x", token="ü"))
        await websocket.receive()
        await websocket.send("40")
        await websocket.receive()
    assert [query["token"] for query in seen] == ["a b&c", "ü"]
    assert seen[0]["t"] == "abc123"


async def test_a_closed_session_is_unknown(autojump_clock):
    async with serving(make_server()) as peer:
        session = await peer.open_polling()
        await session.send("1")
        for method in ("GET", "POST"):
            response = await peer.request(method, session.target())
            assert (response.status, response.json) == (400, SESSION_ID_UNKNOWN)
        with pytest.raises(Refused) as caught:
            await peer.upgrade(session)
        assert json.loads(caught.value.body) == SESSION_ID_UNKNOWN
        await assert_serves(peer)


async def test_polling_after_the_upgrade_is_a_bad_request_and_harms_nothing(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session, websocket = await upgraded(peer)
        for method, body in (("GET", b""), ("POST", b"4lost"), ("POST", b"1"), ("PUT", b"")):
            response = await peer.request(method, session.target(), body=body)
            assert (response.status, response.json) == (400, BAD_REQUEST)
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_another_websocket_after_the_upgrade_is_accepted_and_closed(autojump_clock):
    async with serving(EngineFixture()) as peer:
        session, websocket = await upgraded(peer)
        another = await peer.upgrade(session)
        closed = await another.expect_close()
        assert (closed.code, closed.reason, another.frames) == (1000, "", [])
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_a_session_that_a_websocket_opened_takes_no_other_transport(autojump_clock):
    async with serving(EngineFixture()) as peer:
        websocket = await peer.open_websocket()
        sid = json.loads((await websocket.receive())[1:])["sid"]
        response = await peer.request("GET", peer.target(transport="polling", sid=sid))
        assert (response.status, response.json) == (400, BAD_REQUEST)
        another = await peer.open_websocket(peer.target(transport="websocket", sid=sid))
        assert (await another.expect_close()).code == 1000
        await websocket.send("4hello")
        assert await websocket.receive() == "4hello"


async def test_headers_and_transport_must_agree_for_a_session(autojump_clock):
    async with serving(make_server()) as peer:
        session = await peer.open_polling()
        with pytest.raises(Refused) as caught:
            await peer.open_websocket(session.target())
        assert json.loads(caught.value.body) == BAD_REQUEST
        response = await peer.request("GET", peer.target(transport="websocket", sid=session.sid))
        assert (response.status, response.json) == (400, BAD_REQUEST)
        for method in ("PUT", "DELETE", "PATCH"):
            response = await peer.request(method, session.target())
            assert (response.status, response.json) == (400, BAD_REQUEST)
        await session.send("40")
        assert (await session.receive()).startswith("40{")


# Who may connect.


async def test_a_foreign_origin_is_forbidden_by_polling_and_websocket_alike(autojump_clock):
    server = make_server(cors_allowed_origins=PAGE)
    async with serving(server) as peer:
        for origin in (ELSEWHERE, "null", "no origin", PAGE + ".evil.example"):
            headers = [("origin", origin)]
            response = await peer.request("GET", peer.target(transport="polling"), headers)
            assert (response.status, response.json) == (403, FORBIDDEN)
            assert response.header("access-control-allow-origin") is None
            with pytest.raises(Refused) as caught:
                await peer.open_websocket(headers=headers)
            assert (caught.value.status, json.loads(caught.value.body)) == (403, FORBIDDEN)
        assert not server.sessions
        await assert_serves(peer)


async def test_a_foreign_origin_cannot_use_a_session_either(autojump_clock):
    async with serving(make_server()) as peer:
        session = await peer.open_polling()
        headers = [("origin", ELSEWHERE)]
        for method in ("GET", "POST"):
            response = await peer.request(method, session.target(), headers)
            assert (response.status, response.json) == (403, FORBIDDEN)
        with pytest.raises(Refused) as caught:
            await peer.upgrade(session, headers=headers)
        assert caught.value.status == 403
        await session.send("40")
        assert (await session.receive()).startswith("40{")


async def test_an_allowed_origin_finds_itself_in_every_answer(autojump_clock):
    async with serving(make_server(cors_allowed_origins=[PAGE])) as peer:
        headers = [("origin", PAGE)]
        opened = await peer.request("GET", peer.target(transport="polling"), headers)
        sid = json.loads(opened.text[1:])["sid"]
        target = peer.target(transport="polling", sid=sid)
        posted = await peer.request("POST", target, headers, b"40")
        polled = await peer.request("GET", target, headers)
        refused = await peer.request("GET", peer.target(transport="abc"), headers)
        assert [answer.status for answer in (opened, posted, polled, refused)] == [200, 200, 200, 400]
        for answer in (opened, posted, polled, refused):
            assert answer.header("access-control-allow-origin") == PAGE
            assert "Origin" in answer.header("vary")
            assert answer.header("access-control-allow-credentials") == "true"
        websocket = await peer.open_websocket(headers=headers)
        assert (await websocket.receive())[0] == "0"


async def test_without_credentials_no_answer_allows_them(autojump_clock):
    async with serving(make_server(cors_allowed_origins="*", cors_credentials=False)) as peer:
        answer = await peer.request("GET", peer.target(transport="polling"), [("origin", PAGE)])
        assert answer.status == 200
        assert answer.header("access-control-allow-origin") == "*"
        assert answer.header("access-control-allow-credentials") is None


async def test_the_servers_own_pages_may_connect_by_default(autojump_clock):
    async with serving(make_server()) as peer:
        answer = await peer.request("GET", peer.target(transport="polling"), [("origin", f"http://{peer.host}")])
        assert answer.status == 200
        answer = await peer.request("GET", peer.target(transport="polling"), [("origin", PAGE)])
        assert (answer.status, answer.json) == (403, FORBIDDEN)


async def test_the_hook_of_the_application_refuses(autojump_clock):
    async def allow(request):
        await trio.lowlevel.checkpoint()
        if request.query.get("token") != "good":
            raise ConnectionRefused("who are you?")

    server = make_server(allow_request=allow)
    async with serving(server) as peer:
        response = await peer.request("GET", peer.target(transport="polling"))
        assert (response.status, response.json) == (403, FORBIDDEN)
        with pytest.raises(Refused) as caught:
            await peer.open_websocket()
        assert (caught.value.status, json.loads(caught.value.body)) == (403, FORBIDDEN)
        assert not server.sessions
        session = await peer.open_polling(token="good")
        await session.send("40")
        assert (await session.receive()).startswith("40{")
        websocket = await peer.open_websocket(peer.target(transport="websocket", token="good"))
        assert (await websocket.receive())[0] == "0"


async def test_a_preflight_is_answered_with_the_cors_headers(autojump_clock):
    async with serving(make_server(cors_allowed_origins=PAGE)) as peer:
        headers = [
            ("origin", PAGE),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type, x-token"),
        ]
        async with peer.http() as connection:
            answer = await connection.request("OPTIONS", peer.target(transport="polling", sid="abc"), headers)
            assert (answer.status, answer.body) == (204, b"")
            assert answer.header("content-length") is None
            assert answer.header("access-control-allow-origin") == PAGE
            assert answer.header("access-control-allow-credentials") == "true"
            assert "POST" in answer.header("access-control-allow-methods")
            assert answer.header("access-control-allow-headers") == "content-type, x-token"
            again = await connection.request("GET", peer.target(transport="polling"), [("origin", PAGE)])
            assert again.status == 200
        await assert_serves(peer)


async def test_a_preflight_of_a_foreign_origin_is_refused(autojump_clock):
    async with serving(make_server()) as peer:
        answer = await peer.request("OPTIONS", peer.target(transport="polling"), [("origin", ELSEWHERE)])
        assert (answer.status, answer.body) == (400, b"")
        assert answer.header("access-control-allow-origin") is None
        await assert_serves(peer)


# POST.


async def test_a_post_is_answered_ok_in_lower_case(autojump_clock):
    async with serving(make_server()) as peer:
        session = await peer.open_polling()
        response = await session.post("40")
        assert (response.status, response.body) == (200, b"ok")
        assert response.header("content-type").split(";")[0] in ("text/html", "text/plain")
        assert response.header("cache-control") == "no-store"
        assert (await session.receive()).startswith("40{")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_post_of_exactly_max_payload_is_fine(autojump_clock):
    async with serving(EngineFixture(max_payload=1000)) as peer:
        session = await peer.open_polling()
        assert (await session.post(b"4" + b"x" * 999)).status == 200
        assert await session.receive() == "4" + "x" * 999
        async with peer.http() as connection:
            head = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
            await connection.stream.send_all(head + chunk(b"4" + b"y" * 499) + chunk(b"y" * 500) + chunk(b""))
            reply = await connection.stream.receive_some()
            assert reply.startswith(b"HTTP/1.1 200 ")
        assert await session.receive() == "4" + "y" * 999


async def test_a_post_over_max_payload_is_answered_413_and_closes_the_session(autojump_clock):
    server = EngineFixture(max_payload=1000)
    async with serving(server) as peer:
        session = await peer.open_polling()
        response = await session.post(b"4" + b"x" * 1000)
        assert (response.status, response.body) == (413, b"")
        assert not server.sessions
        await assert_gone(session)


async def test_a_post_is_counted_while_it_streams(autojump_clock):
    async with serving(EngineFixture(max_payload=1000)) as peer:
        session = await peer.open_polling()
        async with peer.http() as connection:
            head = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
            await connection.stream.send_all(head + chunk(b"4" + b"x" * 600))
            await wait_all_tasks_blocked()
            await connection.stream.send_all(chunk(b"x" * 400))  # the body has no end yet
            reply = await connection.stream.receive_some()
            assert reply.startswith(b"HTTP/1.1 413 ")
            assert await connection.stream.receive_some() == b""
        await assert_gone(session)


@pytest.mark.parametrize("more", ["", "expect: 100-continue\r\n"])
@pytest.mark.parametrize("length", ["1001", "5000000", "0" * 4 + "9" * 16])
async def test_a_body_that_is_announced_too_large_needs_not_be_sent(autojump_clock, length, more):
    async with serving(EngineFixture(max_payload=1000)) as peer:
        session = await peer.open_polling()
        async with peer.http() as connection:
            head = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\n{more}content-length: {length}\r\n\r\n".encode()
            await connection.stream.send_all(head)
            assert (await connection.stream.receive_some()).startswith(b"HTTP/1.1 413 ")
            assert await connection.stream.receive_some() == b""
        await assert_gone(session)


@pytest.mark.parametrize(
    "body",
    ["", "abc", "7", "4a\x1e", "\x1e4a", "bA", "b####", b"4\xff", b"\xff\xfe", "2", "2probe", "0{}", "5"],
)
async def test_a_post_with_a_packet_that_is_none_closes_the_session(autojump_clock, body):
    server = make_server()
    async with serving(server) as peer:
        session = await peer.open_polling()
        response = await session.post(body)
        assert (response.status, response.json) == (400, BAD_REQUEST)
        assert not server.sessions
        await assert_gone(session)
        await assert_serves(peer)


async def test_an_undecodable_post_frees_the_get_that_waits(autojump_clock):
    async with serving(make_server()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        assert waiting.pending
        assert (await session.post("abc")).status == 400
        answer = await waiting.result()
        assert (answer.status, answer.text) == (200, "1")
        await assert_gone(session)


# Two requests at once.


async def test_a_second_get_ends_the_session(autojump_clock):
    server = make_server()
    async with serving(server) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        first = await begin(nursery, session.get)
        assert first.pending
        second = await session.get()
        answer = await first.result()
        assert (answer.status, answer.text) == (200, "1")
        assert (second.status, second.json) == (400, BAD_REQUEST)
        assert not server.sessions
        await assert_gone(session)
        await assert_serves(peer)


async def test_a_second_post_ends_the_session(autojump_clock):
    server = make_server()
    async with serving(server) as peer:
        session = await peer.open_polling()
        async with peer.http() as connection:
            head = f"POST {session.target()} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n4".encode()
            await connection.stream.send_all(head)
            await wait_all_tasks_blocked()
            second = await session.post("40")
            assert (second.status, second.json) == (400, BAD_REQUEST)
            assert not server.sessions
            await connection.stream.send_all(b"0")
            assert (await connection.stream.receive_some()).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
        await assert_gone(session)
        await assert_serves(peer)


async def test_the_get_that_waits_is_freed_when_the_client_closes(autojump_clock):
    server = make_server()
    async with serving(server) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        waiting = await begin(nursery, session.get)
        assert (await session.post("1")).text == "ok"
        answer = await waiting.result()
        assert (answer.status, answer.text) == (200, "6")
        assert not server.sessions
        await assert_gone(session)
        await assert_serves(peer)


async def test_a_get_and_a_post_at_once_are_the_regular_case(autojump_clock):
    async with serving(EngineFixture()) as peer, trio.open_nursery() as nursery:
        session = await peer.open_polling()
        for text in ("4a", "4b"):
            waiting = await begin(nursery, session.get)
            assert waiting.pending
            await session.send(text)
            assert (await waiting.result()).text == text


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_client_that_ends_its_half_while_allow_request_decides_opens_nothing(autojump_clock, transport):
    decide = trio.Event()

    async def allow(request):
        await decide.wait()

    server = make_server(allow_request=allow)
    async with serving(server) as peer:
        stream = await peer.dial()
        await stream.send_all(opening(peer, transport))
        await wait_all_tasks_blocked()
        await (stream.send_eof() if isinstance(stream, trio.SocketStream) else stream.send_stream.aclose())
        await wait_all_tasks_blocked()
        decide.set()
        assert await read_to_end(stream) == b""
        assert not server.sessions
        assert not server.tally.closes


async def test_frames_that_come_while_allow_request_decides_are_not_lost(autojump_clock):
    async def allow(request):
        await trio.sleep(1)

    async with serving(make_server(allow_request=allow)) as peer:
        stream = await peer.dial()
        await stream.send_all(opening(peer, "websocket"))
        await wait_all_tasks_blocked()
        await stream.send_all(frame(1, b"40"))
        received = b""
        while b"40{" not in received:
            received += await stream.receive_some()
        assert received.startswith(b"HTTP/1.1 101 ")


async def test_more_sessions_than_allowed_are_refused_as_unavailable(autojump_clock):
    async with serving(make_server(max_connections=1)) as peer:
        session = await peer.open_polling()
        with pytest.raises(PeerError, match="503"):
            await peer.open_polling()
        with pytest.raises(Refused) as caught:
            await peer.open_websocket()
        assert caught.value.status == 503
        await session.send("1")
        websocket = await peer.open_websocket()
        assert (await websocket.receive())[0] == "0"
        await websocket.send("1")
        with pytest.raises(Closed):
            await websocket.receive()
