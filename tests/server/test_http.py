"""HTTP beside Socket.IO: the ``http=`` handler, `StaticFiles`, and the limits of every connection."""

import gc
import logging
import os
import resource
import tempfile
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from support.memory import serving
from trio.testing import wait_all_tasks_blocked
from trio_socketio.server.limits import Limits

from trio_socketio import HTTPRequest, HTTPResponse, Server, StaticFiles


async def read_to_end(stream):
    data = b""
    while chunk := await stream.receive_some():
        data += chunk
    return data


async def talk(peer, data):
    """Send bytes on a connection of their own and return all that comes back before its end."""
    stream = await peer.dial()
    await stream.send_all(data)
    return await read_to_end(stream)


async def test_without_a_handler_every_path_is_not_found(autojump_clock):
    async with serving(Server()) as peer:
        for method in ("GET", "POST", "DELETE"):
            response = await peer.request(method, "/other")
            assert (response.status, response.text) == (404, "Not found\n")


async def test_the_handler_sees_the_request_and_its_answer_is_sent(autojump_clock):
    seen = []

    async def http(request):
        seen.append(request)
        return HTTPResponse(201, {"X-Answer": "42"}, b"made")

    async with serving(Server(http=http)) as peer:
        headers = [("X-One", "a"), ("x-one", "b"), ("Cookie", "c=d")]
        response = await peer.request("PUT", "/a%20b/c?x=1&y=%C3%A4&z=", headers, b"\x00body")
    assert (response.status, response.header("x-answer"), response.body) == (201, "42", b"made")
    assert response.header("date").endswith(" GMT")
    assert response.header("content-length") == "4"
    [request] = seen
    assert isinstance(request, HTTPRequest)
    assert (request.method, request.path, request.body) == ("PUT", "/a%20b/c", b"\x00body")
    assert request.query == {"x": "1", "y": "ä", "z": ""}
    assert request.headers["x-one"] == "a, b"
    assert request.headers["cookie"] == "c=d"
    assert (request.address, request.secure) == ("local", False)
    assert request.url == "http://127.0.0.1:3000/a%20b/c?x=1&y=%C3%A4&z="


async def test_a_handler_that_fails_is_answered_500_and_logged(autojump_clock, caplog):
    async def http(request):
        if request.path == "/none":
            return
        raise ValueError("secret")

    async with serving(Server(http=http)) as peer:
        async with peer.http() as client:
            for _ in range(2):
                response = await client.request("GET", "/")
                assert response.status == 500
                assert "secret" not in response.text
        assert (await peer.request("GET", "/none")).status == 500
    assert "secret" in caplog.text
    assert "returns an HTTPResponse, not NoneType" in caplog.text
    assert "this is a bug of trio-socketio" not in caplog.text


async def test_a_streamed_body_arrives_as_it_is_made(autojump_clock):
    async def body():
        for number in range(3):
            yield str(number).encode()
            await trio.sleep(1)

    async def http(request):
        return HTTPResponse(200, {}, body())

    async with serving(Server(http=http)) as peer, peer.http() as client:
        began = trio.current_time()
        response = await client.request("GET", "/")
        assert (response.status, response.body) == (200, b"012")
        assert response.header("transfer-encoding") == "chunked"
        assert trio.current_time() - began == pytest.approx(3)
        assert (await client.request("GET", "/")).body == b"012"


async def test_a_streamed_body_that_fails_cuts_the_connection(autojump_clock, caplog):
    async def body():
        yield b"begun"
        raise ValueError("no more")

    async def http(request):
        return HTTPResponse(200, {}, body())

    async with serving(Server(http=http)) as peer:
        answer = await talk(peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"begun" in answer
    assert not answer.endswith(b"0\r\n\r\n")  # the client can tell that something is missing
    assert "no more" in caplog.text


async def test_head_is_answered_like_get_without_the_body(autojump_clock):
    async def body():
        yield b"never sent"

    async def http(request):
        return HTTPResponse(200, {"content-length": "10"}, body() if request.path == "/stream" else b"0123456789")

    async with serving(Server(http=http)) as peer:
        for path in ("/", "/stream"):
            answer = await talk(peer, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            head, _, rest = answer.partition(b"\r\n\r\n")
            assert b"content-length: 10" in head.lower()
            assert rest == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_content_has_no_length(autojump_clock, status):
    async def http(request):
        return HTTPResponse(status)

    async with serving(Server(http=http)) as peer, peer.http() as client:
        for _ in range(2):
            response = await client.request("GET", "/")
            assert (response.status, response.body) == (status, b"")
            assert response.header("content-length") is None


async def test_requests_of_one_connection_are_answered_in_order_also_pipelined_ones(autojump_clock):
    async def http(request):
        await trio.sleep(1 if request.path == "/slow" else 0)
        return HTTPResponse.text(request.path)

    request = "GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    data = "".join(request.format(path, "") for path in ("/slow", "/a", "/slow")) + request.format(
        "/end", "Connection: close\r\n"
    )
    async with serving(Server(http=http)) as peer:
        answer = await talk(peer, data.encode())
        assert [line for line in answer.decode().split("\r\n") if line.startswith("/")] == [
            "/slowHTTP/1.1 200 OK",
            "/aHTTP/1.1 200 OK",
            "/slowHTTP/1.1 200 OK",
            "/end",
        ]


async def test_a_body_over_max_payload_is_refused(autojump_clock):
    async def http(request):
        return HTTPResponse.text(str(len(request.body)))

    async with serving(Server(http=http, max_payload=1000)) as peer:
        assert (await peer.request("POST", "/", body=b"x" * 1000)).text == "1000"
        response = await peer.request("POST", "/", body=b"x" * 1001)
        assert (response.status, response.header("connection")) == (413, "close")
        announced = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n"
        assert (await talk(peer, announced)).startswith(b"HTTP/1.1 413 ")
        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000
        answer = await talk(peer, chunked + b"\r\n1\r\nx\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_in_tiny_chunks_costs_about_its_size(autojump_clock):
    async with serving(Server()) as peer:
        stream = await peer.dial()
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await wait_all_tasks_blocked()
        tracemalloc.start()
        try:
            for _ in range(10):
                await stream.send_all(b"2\r\nab\r\n" * 1000)
                await wait_all_tasks_blocked()
            cost, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert cost < 5 * 20_000


async def test_connect_is_refused_before_the_handler_could_begin_a_tunnel(autojump_clock, caplog):
    async def http(request):
        return HTTPResponse.text("ok")

    async with serving(Server(http=http)) as peer:
        answer = await talk(peer, b"CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.count(b"HTTP/1.1") == 1, "what follows may be meant for somebody else"
    assert not caplog.records


async def test_a_client_that_expects_100_continue_gets_it(autojump_clock):
    async def http(request):
        return HTTPResponse(200, {}, request.body)

    async with serving(Server(http=http)) as peer:
        stream = await peer.dial()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        await stream.send_all(head)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"ok")
        assert (await read_to_end(stream)).endswith(b"\r\n\r\nok")


async def test_a_slow_head_is_answered_408(autojump_clock):
    async with serving(Server()) as peer:
        began = trio.current_time()
        stream = await peer.dial()
        answers = []
        async with trio.open_nursery() as nursery:

            async def drip():
                try:
                    for byte in b"GET / HTTP/1.1\r\nHost: " + b"x" * 100:
                        await stream.send_all(bytes((byte,)))
                        await trio.sleep(1)
                except trio.BrokenResourceError:
                    pass

            nursery.start_soon(drip)
            answers.append(await read_to_end(stream))
            assert trio.current_time() - began == pytest.approx(Limits().head_timeout, abs=1)
        assert answers[0].startswith(b"HTTP/1.1 408 ")


async def test_a_slow_body_is_answered_408(autojump_clock):
    async with serving(Server()) as peer:
        began = trio.current_time()
        answer = await talk(peer, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - began == pytest.approx(Limits().body_timeout, abs=1)


async def test_an_idle_connection_is_closed_without_a_word(autojump_clock):
    async with serving(Server()) as peer:
        for requests in (0, 2):
            async with peer.http() as client:
                for _ in range(requests):
                    await client.request("GET", "/")
                    await trio.sleep(Limits().keep_alive - 1)
                    began = trio.current_time()
                    await client.request("GET", "/")
                began = trio.current_time()
                assert await read_to_end(client.stream) == b""
                assert trio.current_time() - began == pytest.approx(Limits().keep_alive, abs=1)


async def test_a_head_that_is_too_large_is_answered_431(autojump_clock):
    async with serving(Server()) as peer:
        answer = await talk(peer, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * Limits().head_bytes * 2)
        assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
@pytest.mark.parametrize("chunks", [[b"\r\n%b"], [b"\n%b"], [b"\r", b"\n", b"%b"], [b"\r\n", b"%b"]], ids=repr)
async def test_one_empty_line_before_a_request_is_passed_over(autojump_clock, sockets, chunks):
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(Server(), sockets=sockets) as peer:
        stream = await peer.dial()
        for _ in range(2):  # before each request
            for chunk in chunks:
                await stream.send_all(chunk.replace(b"%b", request))
                await trio.sleep(1)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 404 ")
        await stream.send_all(b"\r\n")
        began = trio.current_time()
        assert await read_to_end(stream) == b"", "an empty line alone is no request"
        assert trio.current_time() - began == pytest.approx(Limits().keep_alive, abs=2)
        assert (await talk(peer, b"\r\n\r\n" + request)).startswith(b"HTTP/1.1 400 "), "two are not passed over"


@pytest.mark.parametrize("sockets", [False, True], ids=["streams", "sockets"])
async def test_half_an_empty_line_must_be_completed_in_time(autojump_clock, sockets):
    async with serving(Server(), sockets=sockets) as peer:
        began = trio.current_time()
        assert (await talk(peer, b"\r")).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - began == pytest.approx(Limits().head_timeout, abs=1)


@pytest.mark.parametrize(
    "data", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"]
)
async def test_what_is_no_http_is_answered_400(autojump_clock, data, caplog):
    async with serving(Server()) as peer:
        assert (await talk(peer, data)).startswith(b"HTTP/1.1 400 ")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<h1>home</h1>")
    (root / "sub" / "index.html").write_text("sub")
    (root / "app.js").write_text("1")
    (root / "style.css").write_text("b{}")
    (root / "data.unknown-type").write_bytes(b"\x00")
    (root / "big.bin").write_bytes(os.urandom(300_000))
    (root / "a b.txt").write_text("space")
    (root / ".hidden").write_text("secret")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "site-secrets").mkdir()
    (tmp_path / "site-secrets" / "key").write_text("secret")
    (root / "link-out").symlink_to(tmp_path / "outside.txt")
    (root / "dir-out").symlink_to(tmp_path)
    (root / "link-in").symlink_to(root / "app.js")
    return root


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/", "<h1>home</h1>", "text/html; charset=UTF-8"),
        ("/index.html?v=1", "<h1>home</h1>", "text/html; charset=UTF-8"),
        ("/sub/", "sub", "text/html; charset=UTF-8"),
        ("/app.js", "1", "text/javascript; charset=UTF-8"),
        ("/style.css", "b{}", "text/css; charset=UTF-8"),
        ("/data.unknown-type", "\x00", "application/octet-stream"),
        ("/a%20b.txt", "space", "text/plain; charset=UTF-8"),
        ("/link-in", "1", "text/javascript; charset=UTF-8"),
    ],
)
async def test_static_files_serves_files_with_their_types(site, path, body, content_type):
    async with serving(Server(http=StaticFiles(site))) as peer:
        response = await peer.request("GET", path)
        assert (response.status, response.text) == (200, body)
        assert response.header("content-type") == content_type
        assert response.header("x-content-type-options") == "nosniff"
        assert response.header("content-length") == str(len(body))


async def test_static_files_sends_large_files_whole(site):
    async with serving(Server(http=StaticFiles(site))) as peer, peer.http() as client:
        for _ in range(2):
            assert (await client.request("GET", "/big.bin")).body == (site / "big.bin").read_bytes()


async def test_static_files_answers_304_while_a_file_is_unchanged(site):
    async with serving(Server(http=StaticFiles(site, cache="max-age=60"))) as peer:
        first = await peer.request("GET", "/app.js")
        tag = first.header("etag")
        assert first.header("cache-control") == "max-age=60"
        for known in (tag, f'"other", W/{tag}'):
            response = await peer.request("GET", "/app.js", [("if-none-match", known)])
            assert (response.status, response.body, response.header("etag")) == (304, b"", tag)
        (site / "app.js").write_text("22")
        changed = await peer.request("GET", "/app.js", [("if-none-match", tag)])
        assert (changed.status, changed.text) == (200, "22")


async def test_static_files_answers_head_and_refuses_what_does_not_read(site):
    async with serving(Server(http=StaticFiles(site))) as peer:
        answer = await talk(peer, b"HEAD /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"content-length: 300000" in answer.lower()
        assert answer.endswith(b"\r\n\r\n")
        for method in ("POST", "PUT", "DELETE"):
            response = await peer.request(method, "/app.js")
            assert (response.status, response.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/sub",
        "/sub/missing/",
        "/../outside.txt",
        "/sub/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/%2E%2E%2Foutside.txt",
        "/..%2foutside.txt",
        "/%2e%2e%5coutside.txt",
        "/..\\outside.txt",
        "/sub%2f..%2f..%2foutside.txt",
        "/../site-secrets/key",
        "/%252e%252e/outside.txt",
        "/app.js%00",
        "/app.js%00.html",
        "/link-out",
        "/dir-out/outside.txt",
        "/dir-out/site-secrets/key",
        "/.hidden",
        "/.git/config",
        "/%2egit/config",
        "/sub/./index.html",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/%2Fetc%2Fpasswd",
        "/C:/Windows/win.ini",
        "/app.js:stream",
        "/app.js/",
        "/%ff%fe",
        "/" + "a" * 5000,
        "/" + "a/" * 3000,
    ],
)
async def test_static_files_never_leaves_its_directory(site, path, caplog):
    async with serving(Server(http=StaticFiles(site))) as peer:
        response = await peer.request("GET", path)
        assert response.status == 404
        assert "secret" not in response.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_static_files_does_not_find_a_loop_of_links(site, caplog):
    (site / "loop").symlink_to("loop")
    async with serving(Server(http=StaticFiles(site))) as peer:
        assert (await peer.request("GET", "/loop")).status == 404
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@contextmanager
def unprivileged():
    """Let nobody be root, who may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def mixed():
    """A directory, unlike `site` in a place that everybody may enter, with a file that may be read and one that may not."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        (root / "secret.txt").touch(mode=0)
        (root / "public.txt").write_text("public")
        yield root


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_static_files_does_not_find_what_it_may_not_read(mixed, caplog, method):
    async with serving(Server(http=StaticFiles(mixed))) as peer:
        with unprivileged():
            assert (await peer.request(method, "/secret.txt")).status == 404
            assert (await peer.request(method, "/public.txt")).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_static_files_that_cannot_open_a_file_fails_before_it_answers(site, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving(Server(http=StaticFiles(site))) as peer, peer.http() as client:
        await client.request("GET", "/app.js")
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            response = await client.request("GET", "/app.js")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert response.status == 500
    assert "Too many open files" in caplog.text


def test_static_files_needs_a_directory(site):
    with pytest.raises(ValueError, match="there is no directory"):
        StaticFiles(site / "missing")
    with pytest.raises(ValueError, match="there is no directory"):
        StaticFiles(site / "app.js")


# Streamed bodies whose answers break off.


async def hang_up_early(peer, path="/"):
    """Begin to read a streamed answer, and hang up."""
    stream = await peer.dial()
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
    await stream.aclose()


@pytest.mark.parametrize(("cleanup", "expected"), [(2, ["ending", "ended"]), (1000, ["ending"])])
async def test_a_streamed_body_whose_client_is_gone_cleans_up_in_time(autojump_clock, caplog, cleanup, expected):
    log = []

    async def body():
        try:
            while True:
                yield b"part"
                await trio.sleep(1)
        finally:
            log.append("ending")
            await trio.sleep(cleanup)
            log.append("ended")

    async def http(request):
        return HTTPResponse(200, {}, body())

    server = Server(http=http)
    async with serving(server) as peer:
        await hang_up_early(peer)
        await trio.sleep(7)
        assert server.services[0].exchanges == 0
        assert log == expected
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [True for message in warnings if "cleaning up" in message] == [True] * (expected == ["ending"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_streamed_body_of_any_kind_is_closed_with_its_answer(autojump_clock, method):
    send, receive = trio.open_memory_channel[bytes](1)

    async def http(request):
        return HTTPResponse(200, {}, receive)

    async with serving(Server(http=http)) as peer:
        stream = await peer.dial()
        await stream.send_all(f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        if method == "GET":
            await stream.aclose()
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            while True:
                await send.send(b"part")
                await trio.sleep(1)


async def test_a_streamed_body_that_fails_while_it_cleans_up_is_reported(autojump_clock, caplog):
    async def body():
        try:
            while True:
                yield b"part"
                await trio.sleep(1)
        finally:
            raise ValueError("no pool")

    async def http(request):
        return HTTPResponse(200, {}, body())

    async with serving(Server(http=http)) as peer:
        await hang_up_early(peer)
        await trio.sleep(2)
    assert "the answer of the http handler to GET / failed" in caplog.text
    assert "no pool" in caplog.text


async def test_static_files_closes_a_file_whose_reader_is_gone(site):
    (site / "large.bin").write_bytes(bytes(30_000_000))
    async with serving(Server(http=StaticFiles(site)), sockets=True) as peer:
        await hang_up_early(peer, "/large.bin")
    gc.collect()  # which would warn of a file that was left to it
