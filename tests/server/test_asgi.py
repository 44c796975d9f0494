"""A server in an ASGI host: its lifespan, where it is mounted, and HTTP; `test_asgi_websocket` has the WebSockets."""

import asyncio
import gzip
import json
import logging
import math
from dataclasses import replace

import pytest
import trio
from support.asgi_host import QUEUE, Host, hosting
from support.holdings import check_consistent, settled
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance.fixture import EngineFixture
from trio_socketio.server.limits import Limits
from trio_socketio.server.net.asgi_scope import path_below

from trio_socketio import ConnectionRefused, HTTPResponse, Server

POLLING = "/socket.io/?EIO=4&transport=polling"


async def open_session(host, target=POLLING, **options):
    """Open a session by polling and return its sid."""
    answer = await host.request("GET", target, **options)
    assert answer.status == 200, answer
    return json.loads(answer.body[1:])["sid"]


async def join(host, target=POLLING):
    """Open a session, join the root namespace, and return the target of the session's requests."""
    target = f"{target}&sid={await open_session(host, target)}"
    assert (await host.request("POST", target, body=b"40")).text == "ok"
    assert (await host.request("GET", target)).text.startswith('40{"sid":')
    return target


def recording(**options):
    """Return a server that echoes, and the list of the reasons that its disconnect handler gets."""
    server = Server(**options)
    reasons = []

    @server.on("echo")
    async def echo(ctx, *args):
        await ctx.emit("echoed", *args)

    @server.on("disconnect")
    async def bye(ctx, reason):
        reasons.append(reason)

    return server, reasons


class Other:
    """Another application, which writes down what it is told."""

    def __init__(self, log=None, *, starts="complete", stops="complete", raises=None):
        self.log = [] if log is None else log
        self.starts = starts
        self.stops = stops
        self.raises = raises

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            self.log.append((scope["type"], scope["path"], scope["root_path"]))
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"the other one"})
            else:
                await receive()
                await send({"type": "websocket.close"})
            return
        for stage, outcome in (("startup", self.starts), ("shutdown", self.stops)):
            message = await receive()
            assert message == {"type": f"lifespan.{stage}"}
            self.log.append(stage)
            if stage == "startup":
                scope["state"]["pool"] = "open"
            await send({"type": f"lifespan.{stage}.{outcome}", "message": f"no {stage}"})
            if self.raises == stage:
                raise RuntimeError("on purpose")
            if outcome == "failed":
                return


# Lifespan.


async def test_it_serves_from_startup_to_shutdown(autojump_clock):
    server, reasons = recording()
    async with trio.open_nursery() as nursery:
        host = Host(server.asgi(), nursery, strict=False)
        for _ in range(2):  # an application may live several times, one after another
            early = host.http("GET", POLLING)
            await early.ended.wait()
            assert "lifespan.startup" in str(early.error)
            await host.start()
            await join(host)
            await host.stop()
        late = host.http("GET", POLLING)
        await late.ended.wait()
        assert "is not running" in str(late.error)
        host.close()
    assert reasons == ["server shutting down"] * 2
    assert not server.sessions
    assert not server.services


async def test_the_other_application_starts_first_and_stops_last(autojump_clock):
    log = []
    server = Server()

    @server.on("disconnect")
    async def bye(ctx, reason):
        await trio.sleep(0.1)
        log.append("disconnect")

    async with hosting(server.asgi(Other(log))) as host:
        assert log == ["startup"]
        assert host.state == {"pool": "open"}
        await join(host)
    assert log == ["startup", "disconnect", "shutdown"]


async def test_an_application_that_knows_no_lifespan_is_served_all_the_same(autojump_clock):
    async def other(scope, receive, send):
        assert scope["type"] == "http"
        await Other()(scope, receive, send)

    async with hosting(Server().asgi(other)) as host:
        assert (await host.request("GET", "/")).text == "the other one"
        await join(host)


@pytest.mark.parametrize("raises", [None, "startup"])
async def test_an_application_that_fails_to_start_fails_the_whole(autojump_clock, raises):
    server = Server()
    async with trio.open_nursery() as nursery:
        host = Host(server.asgi(Other(starts="failed", raises=raises)), nursery)
        lifespan = host.lifespan()
        await lifespan.say({"type": "lifespan.startup"})
        assert await lifespan.hear() == {"type": "lifespan.startup.failed", "message": "no startup"}
        await lifespan.ended.wait()
        host.close()
    assert not server.services


async def test_an_application_that_fails_to_stop_fails_the_whole_when_the_server_has_stopped(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi(Other(stops="failed"))) as host:
        await join(host)
        await host.life.say({"type": "lifespan.shutdown"})
        assert await host.life.hear() == {"type": "lifespan.shutdown.failed", "message": "no shutdown"}
        await host.life.ended.wait()
    assert reasons == ["server shutting down"]


async def test_an_application_whose_lifespan_breaks_is_served_on(autojump_clock, caplog):
    async with hosting(Server().asgi(Other(raises="startup"))) as host:
        assert (await host.request("GET", "/")).text == "the other one"
        await join(host)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "has ended its lifespan with an error" in record.message


async def test_a_host_that_is_cancelled_shuts_down_gracefully(autojump_clock):
    server, reasons = recording()
    async with trio.open_nursery() as nursery:
        host = Host(server.asgi(Other()), nursery)
        lifespan = await host.start()
        await join(host)
        lifespan.cancelling.cancel()
        await lifespan.ended.wait()
        host.close()
    assert reasons == ["server shutting down"]
    assert not server.services


def test_a_host_that_runs_on_asyncio_is_told_so():
    sent = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    asyncio.run(Server().asgi()({"type": "lifespan"}, receive, send))
    (message,) = sent
    assert message["type"] == "lifespan.startup.failed"
    assert "hypercorn -k trio" in message["message"]


def test_who_mounts_it_on_asyncio_is_told_so():
    async def mount():
        async with Server().asgi().running():
            pass

    with pytest.raises(RuntimeError, match="hypercorn -k trio"):
        asyncio.run(mount())


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_host_that_runs_on_asyncio_and_sends_no_lifespan_is_told_at_the_first_request(kind):
    with pytest.raises(RuntimeError, match="hypercorn -k trio"):
        asyncio.run(Server().asgi()({"type": kind, "path": "/socket.io/", "headers": []}, None, None))


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_what_is_for_the_other_application_is_its_business_on_asyncio_too(kind):
    asked = []

    async def other(scope, receive, send):
        asked.append(scope["path"])

    asyncio.run(Server().asgi(other)({"type": kind, "path": "/there", "headers": []}, None, None))
    assert asked == ["/there"]


async def test_an_application_that_gets_no_lifespan_is_run_by_whoever_mounts_it(autojump_clock):
    server, reasons = recording()
    app = server.asgi()
    async with trio.open_nursery() as nursery:
        host = Host(app, nursery)
        async with app.running():
            await join(host)
            with pytest.raises(RuntimeError, match="running in this application already"):
                async with app.running():
                    pass
        host.close()
    assert reasons == ["server shutting down"]


async def test_it_is_no_application_for_other_scopes():
    with pytest.raises(ValueError, match="'ftp'"):
        await Server().asgi()({"type": "ftp"}, None, None)


# Paths.


@pytest.mark.parametrize(
    ("root", "path", "raw", "expected"),
    [
        ("", "/socket.io/", b"/socket.io/", "/socket.io/"),
        ("", "/socket.io/", None, "/socket.io/"),
        ("/app", "/app/socket.io/", b"/app/socket.io/", "/socket.io/"),
        ("/app/", "/app/socket.io/", b"/app/socket.io/", "/socket.io/"),
        ("/a/b", "/a/b/socket.io/", None, "/socket.io/"),
        ("/app", "/socket.io/", b"/socket.io/", "/socket.io/"),  # a proxy has taken the root path away
        ("/app", "/application/", b"/application/", "/application/"),
        ("/app", "/app", b"/app", ""),
        ("/a b", "/a b/socket.io/", b"/a%20b/socket.io/", "/socket.io/"),
        ("/ä", "/ä/ö", None, "/%C3%B6"),
        ("", "/a/b", b"/a%2Fb", "/a%2Fb"),  # no slash
        ("", "/socket.io/", b"/rewritten/by/middleware", "/socket.io/"),
        ("", "/socket.io/", b"/socket.io/?EIO=4", "/socket.io/"),  # some hosts leave the query
        ("", "http://example.org/socket.io/", b"http://example.org/socket.io/", "/socket.io/"),
        ("", "http://[/socket.io/", b"http://[/socket.io/", "http://[/socket.io/"),
        ("", "*", b"*", "*"),
    ],
)
def test_the_path_is_the_one_below_the_root_path(root, path, raw, expected):
    scope = {"path": path, "root_path": root} | ({} if raw is None else {"raw_path": raw})
    assert path_below(scope) == expected


@pytest.mark.parametrize("root", ["", "/app", "/a%20b"])
async def test_a_mounted_server_serves_below_its_root_path(autojump_clock, root):
    other = Other()
    async with hosting(Server().asgi(other), root_path=root.replace("%20", " ")) as host:
        target = await join(host, root + POLLING)
        assert target in str(
            host.conversations[-1].scope["raw_path"] + b"?" + host.conversations[-1].scope["query_string"]
        )
        await host.request("GET", f"{root}/socket.io/x")
        assert other.log[1:] == [("http", f"{root.replace('%20', ' ')}/socket.io/x", root.replace("%20", " "))]


async def test_everything_outside_of_the_path_is_for_the_other_application(autojump_clock):
    other = Other()
    async with hosting(Server().asgi(other)) as host:
        for target in ("/", "/socket.io/x", "/socket.iox", "/socket%2Eio/", "http://example.org/a"):
            assert (await host.request("GET", target)).text == "the other one", target
        websocket = host.websocket("/chat")
        await websocket.say({"type": "websocket.connect"})
        assert await websocket.hear() == {"type": "websocket.close"}
        assert (await host.request("GET", "/socket.io?EIO=4&transport=polling")).text.startswith("0{")
        assert (await host.request("GET", "http://example.org" + POLLING)).text.startswith("0{")
    assert [kind for kind, *_ in other.log if kind == "websocket"] == ["websocket"]


# Who asks.


async def who(server, target=POLLING, headers=None, **options):
    """Return the request that `allow_request` gets."""
    requests = []

    async def allow_request(request):
        requests.append(request)

    server.options = replace(server.options, allow_request=allow_request)
    async with hosting(server.asgi(), **options) as host:
        await open_session(host, target, headers=headers)
    (request,) = requests
    return request


async def test_a_request_is_what_the_host_says(autojump_clock):
    request = await who(
        Server(), POLLING + "&name=J%C3%BCrgen", {"x-test": "a"}, scheme="https", client=("2001:db8::1", 1)
    )
    assert (request.address, request.secure, request.method) == ("2001:db8::1", True, "GET")
    assert request.url == f"https://example.org{POLLING}&name=J%C3%BCrgen"
    assert request.query["name"] == "Jürgen"
    assert request.header("x-test") == "a"


async def test_a_peer_without_an_address_is_local(autojump_clock):
    assert (await who(Server(), client=None)).address == "local"


@pytest.mark.parametrize(
    ("trusted", "address", "secure"), [((), "192.0.2.1", False), (("192.0.2.0/24",), "198.51.100.7", True)]
)
async def test_only_a_trusted_proxy_is_believed(autojump_clock, trusted, address, secure):
    headers = {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
    request = await who(Server(trusted_proxies=trusted), headers=headers)
    assert (request.address, request.secure) == (address, secure)


async def test_a_proxy_without_an_address_is_trusted_as_local(autojump_clock):
    headers = {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
    request = await who(Server(trusted_proxies=["local"]), client=None, headers=headers)
    assert (request.address, request.secure) == ("198.51.100.7", True)


# Polling.


async def test_a_session_lives_by_polling(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        (service,) = server.services
        before = await settled(service)
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body()
        await wait_all_tasks_blocked()
        assert (await host.request("POST", target, body='42["echo","grüß dich"]'.encode())).text == "ok"
        answer = await pending.answer()
        assert (answer.status, answer.text) == (200, '42["echoed","grüß dich"]')
        assert answer.headers == {
            "content-type": "text/plain; charset=UTF-8",
            "cache-control": "no-store",
            "content-length": str(len(answer.body)),
        }
        check_consistent(server)
        assert (await host.request("POST", target, body=b"1")).text == "ok"
        assert (await host.request("GET", target)).status == 400
        assert reasons == ["transport close"]
        assert await settled(service) == before


async def test_answers_are_compressed_and_shared_across_origins_as_ever(autojump_clock):
    server = Server(cors_allowed_origins="https://a.example")
    server.on("echo", lambda ctx, text: ctx.emit("echoed", text))
    async with hosting(server.asgi()) as host:
        target = await join(host)
        await host.request("POST", target, body=b'42["echo","%s"]' % (b"a" * 2000))
        answer = await host.request("GET", target, {"accept-encoding": "gzip", "origin": "https://a.example"})
        assert gzip.decompress(answer.body).startswith(b'42["echoed"')
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        asked = {"origin": "https://a.example", "access-control-request-method": "POST"}
        preflight = await host.request("OPTIONS", target, asked)
        assert (preflight.status, preflight.body) == (204, b"")
        assert "content-length" not in preflight.headers
        assert (await host.request("OPTIONS", target, {**asked, "origin": "https://b.example"})).status == 400


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/socket.io/?EIO=3&transport=polling", 400, '{"code":5,"message":"Unsupported protocol version"}'),
        ("GET", "/socket.io/?EIO=4&transport=smoke", 400, '{"code":0,"message":"Transport unknown"}'),
        ("GET", POLLING + "&sid=unknown", 400, '{"code":1,"message":"Session ID unknown"}'),
        ("POST", POLLING, 400, '{"code":2,"message":"Bad handshake method"}'),
        ("HEAD", POLLING, 400, ""),
        ("GET", "/socket.io/?EIO=4&transport=websocket", 400, '{"code":3,"message":"Bad request"}'),
        ("GET", "/socket.io/?" + "a&" * 100, 400, ""),
    ],
)
async def test_what_is_refused_is_refused_as_ever(autojump_clock, method, target, status, body):
    async with hosting(Server().asgi()) as host:
        answer = await host.request(method, target)
        assert (answer.status, answer.text) == (status, body)


async def test_a_websocket_that_the_host_takes_for_a_plain_request_is_refused(autojump_clock):
    async with hosting(Server().asgi()) as host:
        headers = {"connection": "Upgrade", "upgrade": "websocket"}
        answer = await host.request("GET", "/socket.io/?EIO=4&transport=websocket", headers)
        assert (answer.status, answer.text) == (400, '{"code":3,"message":"Bad request"}')


async def test_who_may_not_connect_is_told(autojump_clock):
    async def allow_request(request):
        raise ConnectionRefused("not you")

    async with hosting(Server(allow_request=allow_request).asgi()) as host:
        answer = await host.request("GET", POLLING)
        assert (answer.status, answer.text) == (403, '{"code":4,"message":"Forbidden"}')
    async with hosting(Server(max_connections=1).asgi()) as host:
        await open_session(host)
        assert (await host.request("GET", POLLING)).status == 503


async def test_a_cookie_is_set_with_the_first_answer(autojump_clock):
    async with hosting(Server(cookie="io").asgi()) as host:
        answer = await host.request("GET", POLLING)
        assert answer.headers["set-cookie"].startswith("io=")


async def test_a_second_get_ends_the_session_and_answers_both(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        target = await join(host)
        first = host.http("GET", target)
        await first.body()
        await wait_all_tasks_blocked()
        assert (await host.request("GET", target)).status == 400
        assert (await first.answer()).text == "1"
    assert reasons == ["parse error"]


async def test_a_second_post_ends_the_session(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        target = await join(host)
        first = host.http("POST", target)
        await first.body(b"42", more=True)
        await wait_all_tasks_blocked()
        assert (await host.request("POST", target, body=b'42["x"]')).status == 400
        await first.body(b'["echo"]')
        assert (await first.answer()).text == '{"code":1,"message":"Session ID unknown"}'
    assert reasons == ["parse error"]


async def test_a_body_that_is_no_payload_ends_the_session(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        assert (await host.request("POST", await join(host), body=b"\xff")).status == 400
    assert reasons == ["parse error"]


async def test_a_get_that_is_held_while_a_websocket_probes_is_refused_when_that_takes_over(autojump_clock):
    async with hosting(Server().asgi()) as host:
        target = await join(host)
        websocket = host.websocket(target.replace("polling", "websocket"))
        await websocket.open()
        held = host.http("GET", target)
        await held.body()
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await websocket.send("5")
        answer = await held.answer()
        assert (answer.status, answer.text) == (400, '{"code":3,"message":"Bad request"}')
        await websocket.hang_up()


async def test_a_body_comes_in_parts(autojump_clock):
    async with hosting(EngineFixture().asgi()) as host:
        target = f"{POLLING}&sid={await open_session(host)}"
        post = host.http("POST", target)
        for part in (b"4he", b"", b"llo"):
            await post.body(part, more=True)
        await post.body()
        assert (await post.answer()).text == "ok"
        assert (await host.request("GET", target)).text == "4hello"


# Limits.


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_while_it_comes(autojump_clock, announced):
    server, reasons = recording(max_payload=1000)
    async with hosting(server.asgi()) as host:
        (service,) = server.services
        before = await settled(service)
        target = await join(host)
        post = host.http(
            "POST", target, {"content-length": "1000000"} if announced else {"transfer-encoding": "chunked"}, room=0
        )
        for _ in range(2 * QUEUE):  # the host's queue is full when the answer is made
            await post.body(b"4" * 100, more=True)
        answer = await post.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        await post.ended.wait()
        assert reasons == ["transport error"]
        assert server.stats()["limits"]["max_payload"] == 1
        assert await settled(service) == before


async def test_a_host_that_waits_for_the_body_to_be_received_can_send_the_refusal(autojump_clock):
    async with hosting(Server(max_payload=1000).asgi()) as host:
        target = await join(host)
        post = host.http("POST", target, {"content-length": "1000000"}, room=0)

        async def upload():
            for _ in range(3 * QUEUE):
                await post.body(b"4" * 100, more=True)
            assert (await post.answer()).status == 413

        with trio.fail_after(1):
            await upload()


async def test_a_body_that_does_not_come_in_time_is_refused(autojump_clock):
    server = Server(limits=Limits(body_timeout=5), ping_interval=100)
    async with hosting(server.asgi()) as host:
        target = await join(host)
        post = host.http("POST", target)
        await post.body(b"4", more=True)
        began = trio.current_time()
        assert (await post.answer()).status == 408
        assert trio.current_time() - began == pytest.approx(5)
        assert server.stats()["limits"]["body_timeout"] == 1
        assert (await host.request("POST", target, body=b'42["x"]')).text == "ok"  # the session goes on


async def test_http2_has_no_header_about_the_connection(autojump_clock):
    async with hosting(Server(max_payload=10).asgi(), http_version="2") as host:
        post = host.http("POST", await join(host))
        await post.body(b"4" * 11)
        answer = await post.answer()
        assert answer.status == 413
        assert "connection" not in answer.headers


async def test_an_answer_that_is_not_read_comes_with_the_next_get(autojump_clock):
    server = Server(limits=Limits(write_timeout=3))
    server.on("echo", lambda ctx, text: ctx.emit("echoed", text))
    async with hosting(server.asgi()) as host:
        target = await join(host)
        await host.request("POST", target, body=b'42["echo","a"]')
        unread = host.http("GET", target, room=0)
        await unread.body()
        await unread.ended.wait()
        assert server.stats()["limits"]["write_timeout"] == 1
        assert (await host.request("GET", target)).text == '42["echoed","a"]'


async def test_the_answer_to_a_post_waits_for_handlers_that_are_behind(autojump_clock):
    server = Server(limits=Limits(waiting_events=2))
    going = trio.Event()

    @server.on("slow")
    async def slow(ctx):
        await going.wait()

    async with hosting(server.asgi()) as host:
        target = await join(host)
        post = host.http("POST", target)
        await post.body(b"\x1e".join([b'42["slow"]'] * 3))
        with pytest.raises(trio.TooSlowError), trio.fail_after(5):
            await post.answer()
        going.set()
        assert (await post.answer()).text == "ok"


# Clients that leave.


async def test_nothing_is_lost_when_a_client_hangs_up_while_its_get_waits(autojump_clock):
    server = Server()
    server.on("echo", lambda ctx, text: ctx.emit("echoed", text))
    async with hosting(server.asgi()) as host:
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body()
        await wait_all_tasks_blocked()
        await pending.hang_up()
        await pending.ended.wait()
        await host.request("POST", target, body=b'42["echo","a"]')
        assert (await host.request("GET", target)).text == '42["echoed","a"]'


async def test_nothing_is_lost_when_a_client_is_gone_before_its_answer(autojump_clock):
    server = Server()
    server.on("echo", lambda ctx, text: ctx.emit("echoed", text))
    async with hosting(server.asgi()) as host:
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body()
        await wait_all_tasks_blocked()
        pending.lost = True  # and the host has not said so yet
        await host.request("POST", target, body=b'42["echo","a"]')
        await pending.ended.wait()
        assert (await host.request("GET", target)).text == '42["echoed","a"]'


async def test_a_host_that_says_nothing_more_means_that_the_client_is_gone(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        target = await join(host)
        pending, post = host.http("GET", target), host.http("POST", target)
        await pending.body()
        await wait_all_tasks_blocked()
        for exchange in (pending, post):
            exchange.to_app.close()
            await exchange.ended.wait()
        assert (await host.request("POST", target, body=b'42["echo"]')).text == "ok"
        assert (await host.request("GET", target)).text == '42["echoed"]'


async def test_a_post_whose_client_hangs_up_has_no_effect(autojump_clock):
    async with hosting(EngineFixture().asgi()) as host:
        target = f"{POLLING}&sid={await open_session(host)}"
        post = host.http("POST", target)
        await post.body(b"4half", more=True)
        await wait_all_tasks_blocked()
        await post.hang_up()
        await post.ended.wait()
        assert (await host.request("POST", target, body=b"4whole")).text == "ok"
        assert (await host.request("GET", target)).text == "4whole"


async def test_a_host_that_fails_to_send_is_reported_and_the_packets_stay(autojump_clock, caplog):
    server = Server()
    app = server.asgi()
    broken = False

    async def middleware(scope, receive, send):
        async def sending(message):
            if broken and message["type"] == "http.response.body":
                raise RuntimeError("a bug of the host")
            await send(message)

        await app(scope, receive, sending)

    server.on("echo", lambda ctx, text: ctx.emit("echoed", text))
    async with hosting(middleware) as host:
        target = await join(host)
        await host.request("POST", target, body=b'42["echo","a"]')
        broken = True
        exchange = host.http("GET", target)
        await exchange.body()
        await exchange.ended.wait()
        broken = False
        assert (await host.request("GET", target)).text == '42["echoed","a"]'
    assert "a bug of the host" in caplog.text


# The end.


async def test_a_client_that_waits_is_told_of_the_shutdown(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        await host.stop()
        assert (await pending.answer()).text == "1"
        assert trio.current_time() - began < 1
    assert reasons == ["server shutting down"]


async def test_nobody_comes_in_during_the_shutdown(autojump_clock):
    server = Server(shutdown_grace=4)

    @server.on("disconnect")
    async def bye(ctx, reason):
        await trio.sleep(1)

    async with hosting(server.asgi()) as host:
        await join(host)
        await host.life.say({"type": "lifespan.shutdown"})
        await trio.sleep(0.5)
        assert (await host.request("GET", POLLING)).status == 503
        assert (await host.life.hear())["type"] == "lifespan.shutdown.complete"
        await host.life.ended.wait()


async def test_a_client_that_waits_is_told_when_the_host_cancels_its_get(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body()
        await wait_all_tasks_blocked()
        pending.cancelling.cancel()
        assert (await pending.answer()).text == "1"
        await pending.ended.wait()
        await wait_all_tasks_blocked()
        assert reasons == ["server shutting down"]
        assert not server.sessions


async def test_a_get_that_the_host_cancels_when_it_has_an_answer_is_answered(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body()
        await wait_all_tasks_blocked()
        server.emit_nowait("n", 1)
        pending.cancelling.cancel()
        assert (await pending.answer()).text == '42["n",1]'
        await pending.ended.wait()
        assert not reasons
        server.emit_nowait("n", 2)
        assert (await host.request("GET", target)).text == '42["n",2]'  # the session goes on


async def test_a_get_that_the_host_cancels_when_its_client_is_gone_ends(autojump_clock):
    server, reasons = recording()
    async with hosting(server.asgi()) as host:
        pending = host.http("GET", await join(host))
        await pending.body()
        await wait_all_tasks_blocked()
        pending.lost = True
        pending.cancelling.cancel()
        await pending.ended.wait()
        await trio.sleep(30)
        assert reasons == ["server shutting down"]


async def test_a_host_that_fails_while_a_get_waits_leaves_the_session_alone(autojump_clock):
    server, _ = recording()
    app = server.asgi()

    async def middleware(scope, receive, send):
        async def receiving():
            message = await receive()
            if message.get("body") == b"fail":
                raise LookupError("a bug of the host")
            return message

        await app(scope, receiving, send)

    async with hosting(middleware, strict=False) as host:
        target = await join(host)
        pending = host.http("GET", target)
        await pending.body(b"fail")
        await pending.ended.wait()
        assert isinstance(pending.error, LookupError)
        server.emit_nowait("n", 1)
        assert (await host.request("GET", target)).text == '42["n",1]'


async def test_a_client_that_does_not_read_the_goodbye_is_not_waited_for(autojump_clock):
    server = Server(ping_interval=1000)
    async with hosting(server.asgi()) as host:
        pending = host.http("GET", await join(host), room=0)
        await pending.body()
        await wait_all_tasks_blocked()
        began = trio.current_time()
        pending.cancelling.cancel()
        await pending.ended.wait()
        assert trio.current_time() - began == pytest.approx(5)


async def test_what_the_shutdown_does_not_end_is_cut(autojump_clock):
    async def http(request):
        await trio.sleep_forever()

    async with hosting(Server(http=http, shutdown_grace=3).asgi()) as host:
        exchange = host.http("GET", "/")
        await exchange.body()
        began = trio.current_time()
        await host.stop()
        await exchange.ended.wait()
        assert trio.current_time() - began == pytest.approx(3)


# The http= handler.


async def test_without_another_application_the_http_handler_answers(autojump_clock, caplog):
    seen = []

    async def http(request):
        seen.append(request)
        if request.path == "/fails":
            raise RuntimeError("on purpose")
        if request.path == "/stream":

            async def body():
                for part in (b"one ", b"two"):
                    await trio.lowlevel.checkpoint()
                    yield part

            return HTTPResponse(200, {"X-Test": "yes"}, body())
        return HTTPResponse.text(request.body.decode())

    async with hosting(Server(http=http, max_payload=100).asgi(), root_path="/app") as host:
        answer = await host.request("PUT", "/app/there?a=1", body=b"hello")
        assert (answer.status, answer.text, answer.headers["content-length"]) == (200, "hello", "5")
        assert (seen[0].path, seen[0].query, seen[0].url) == ("/there", {"a": "1"}, "http://example.org/app/there?a=1")
        assert (await host.request("GET", "/app")).status == 200
        assert seen[1].path == "/"
        stream = await host.request("GET", "/app/stream")
        assert (stream.text, stream.headers) == ("one two", {"x-test": "yes"})
        assert (await host.request("HEAD", "/app/stream")).body == b""
        assert (await host.request("GET", "/app/fails")).status == 500
        assert (await host.request("POST", "/app/", body=b"a" * 101)).status == 413
    assert "the http handler failed" in caplog.text


async def test_an_answer_of_the_http_handler_that_breaks_is_reported(autojump_clock, caplog):
    async def http(request):
        if request.path == "/none":
            return None

        async def body():
            yield b"one "
            raise RuntimeError("on purpose")

        return HTTPResponse(200, {}, body())

    async with hosting(Server(http=http, limits=Limits(body_timeout=2)).asgi()) as host:
        assert (await host.request("GET", "/none")).status == 500
        broken = host.http("GET", "/")
        await broken.body()
        assert (await broken.hear())["status"] == 200
        assert (await broken.hear())["body"] == b"one "
        with pytest.raises(trio.EndOfChannel):  # without an end: the host cuts the connection
            await broken.hear()
        late = host.http("POST", "/")
        assert (await late.answer()).status == 408
        left = host.http("POST", "/")
        left.lost = True
        await left.ended.wait()
    assert "an HTTPResponse, not NoneType" in caplog.text
    assert "the answer of the http handler to GET / failed" in caplog.text


async def test_by_default_there_is_nothing_else(autojump_clock):
    async with hosting(Server().asgi()) as host:
        assert (await host.request("GET", "/")).status == 404


# Streamed answers.


class Streamed:
    """An ``http=`` handler whose answer has no end, and what its body did.

    Args:
        pause: Seconds between two parts.
        cleanup: Seconds that the body needs for cleaning up.
    """

    def __init__(self, *, pause=1.0, cleanup=0.0):
        self.pause = pause
        self.cleanup = cleanup
        self.log = []

    async def __call__(self, request):
        return HTTPResponse(200, {}, self.body())

    async def body(self):
        try:
            while True:
                yield b"part"
                await trio.sleep(self.pause)
        finally:
            self.log.append("ending")
            await trio.sleep(self.cleanup)
            self.log.append("ended")


async def begin(host, *, room=math.inf):
    """Begin to read a streamed answer, up to its first part."""
    exchange = host.http("GET", "/", room=room)
    await exchange.body()
    assert (await exchange.hear())["status"] == 200
    assert (await exchange.hear())["body"] == b"part"
    await wait_all_tasks_blocked()
    return exchange


async def leave(exchange):
    """Hang up on a host that raises no error for whoever goes on sending, and return the seconds until the answer has ended."""
    began = trio.current_time()
    await exchange.say({"type": "http.disconnect"})
    with trio.fail_after(60):
        await exchange.ended.wait()
    return trio.current_time() - began


@pytest.mark.parametrize("pause", [0.1, 1000.0])
async def test_a_streamed_answer_ends_with_its_client_though_the_host_takes_what_is_sent(autojump_clock, pause):
    http = Streamed(pause=pause)
    async with hosting(Server(http=http).asgi()) as host:
        (service,) = host.app._server.services
        before = await settled(service)
        exchange = await begin(host)
        assert await leave(exchange) == 0
        assert http.log == ["ending"]  # cancelled where it waited, as anything is
        assert await settled(service) == before


async def test_a_streamed_body_whose_client_leaves_cleans_up(autojump_clock, caplog):
    http = Streamed(cleanup=2)
    server = Server(http=http)
    async with hosting(server.asgi()) as host:
        (service,) = server.services
        before = await settled(service)
        exchange = await begin(host, room=0)
        await trio.sleep(2)  # the next part is being sent
        assert await leave(exchange) == pytest.approx(2)
        assert http.log == ["ending", "ended"]
        assert await settled(service) == before
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_streamed_body_that_the_host_cancels_cleans_up(autojump_clock):
    http = Streamed(cleanup=2)
    async with hosting(Server(http=http).asgi()) as host:
        exchange = await begin(host, room=0)
        await trio.sleep(2)
        exchange.cancelling.cancel()
        await exchange.ended.wait()
        assert http.log == ["ending", "ended"]


async def test_a_streamed_body_that_does_not_end_is_not_waited_for(autojump_clock, caplog):
    http = Streamed(cleanup=1000)
    async with hosting(Server(http=http).asgi()) as host:
        exchange = await begin(host, room=0)
        await trio.sleep(2)
        assert await leave(exchange) == pytest.approx(5)
        assert http.log == ["ending"]
    assert [record.levelno for record in caplog.records if "cleaning up" in record.message] == [logging.WARNING]


@pytest.mark.parametrize("sending", [True, False])
async def test_a_streamed_body_may_have_tasks_of_its_own(autojump_clock, sending):
    async def http(request):
        async def body():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                while True:
                    yield b"part"
                    await trio.sleep(1)

        return HTTPResponse(200, {}, body())

    async with hosting(Server(http=http).asgi()) as host:
        (service,) = host.app._server.services
        before = await settled(service)
        exchange = await begin(host, room=0 if sending else math.inf)
        await trio.sleep(1.5)
        await leave(exchange)
        assert await settled(service) == before


async def test_the_end_of_a_streamed_answer_is_not_cut_by_the_host_that_says_that_it_is_over(autojump_clock):
    async def http(request):
        async def body():
            await trio.lowlevel.checkpoint()
            yield b"part"

        return HTTPResponse(200, {}, body())

    app = Server(http=http).asgi()
    recycled = []

    async def middleware(scope, receive, send):
        async def sending(message):
            await send(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                await exchange.say({"type": "http.disconnect"})
                await wait_all_tasks_blocked()  # which makes the connection ready for another request
                recycled.append(scope["path"])

        await app(scope, receive, sending)

    async with hosting(middleware) as host:
        exchange = host.http("GET", "/")
        await exchange.body()
        assert (await exchange.answer()).text == "part"
        await exchange.ended.wait()
        assert recycled == ["/"]
