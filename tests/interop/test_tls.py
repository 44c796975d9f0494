"""The official clients over TLS: `wss` and `https`, with the authority given, and those whom TLS must keep out."""

import json
import ssl
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from interop import peers
from trio.testing import wait_all_tasks_blocked
from trio_socketio.server.net import serving as serving_module

from trio_socketio import Server

TRANSPORTS = ["websocket", "polling", "upgrade", "upgraded"]
PYTHON_CLIENTS = [("async", "websocket"), ("async", "upgrade"), ("sync", "polling")]
"""The threaded client polls only: it reads and writes its WebSocket in two threads at once, and where that is one TLS connection,
OpenSSL now and then (once in some 10,000 connections) corrupts the memory of the client or loses what was sent."""
TIMEOUT = 60.0
"""Seconds for a client to say what became of it, on a slow machine."""

OVER_TLS = """
import functools, runpy, ssl, sys
import trio_socketio

program, certificate, client_ca, *sys.argv[1:] = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca or None)
context.load_cert_chain(certificate)
if client_ca:
    context.verify_mode = ssl.CERT_REQUIRED
trio_socketio.Server.serve = functools.partialmethod(trio_socketio.Server.serve, ssl_context=context)
sys.argv[0] = program

import trio
trio.SSLListener.socket = property(lambda listener: listener.transport_listener.socket)
runpy.run_path(program, run_name="__main__")
"""
"""The application of the scenarios, over TLS: `server.py certificate.pem client-ca.pem` and its own arguments."""


class Files:
    """The files of an authority, and of those to whom it gave certificates."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)
        self.server = folder / "server.pem"
        self.authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(self.server)
        client = self.authority.issue_cert("client@example.org")
        self.client, self.client_key = folder / "client.pem", folder / "client-key.pem"
        client.cert_chain_pems[0].write_to_path(self.client)
        client.private_key_pem.write_to_path(self.client_key)

    @property
    def context(self) -> ssl.SSLContext:
        """What the server needs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.server)
        return context


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "ours")


class SecureServerProcess(peers.ServerProcess):
    """The application of the scenarios in a process of its own, over TLS."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def control(self, action: str, argument: Any) -> Any:
        """What a scenario asks for; also with which arguments it may restart this server."""
        return list(self.arguments) if action == "arguments" else super().control(action, argument)


@contextmanager
def running_server(
    directory: Path, files: Files, *arguments: str, client_ca: Path | str = ""
) -> Iterator[SecureServerProcess]:
    program = (*peers.PYTHON, "-c", OVER_TLS, peers.SERVER_APP[-1], str(files.server), str(client_ca))
    with peers.running(SecureServerProcess(directory / "server.log", program, arguments)) as server:
        yield server  # type: ignore[misc]  # it is the one that was given


# Who is let in.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_javascript_client_is_at_home_over_tls(transport: str, tmp_path: Path, files: Files) -> None:
    node = peers.need_javascript_client()
    with running_server(tmp_path, files) as server:
        peers.run_scenario([node, "js/tls_client.mjs", server.url, transport, str(files.ca)], server)


@pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])
@pytest.mark.parametrize("scenario", ["binary", "ordering"])
def test_the_scenarios_of_plain_connections_hold_over_tls(
    scenario: str, transport: str, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = peers.need_javascript_client()
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(files.ca))
    with running_server(tmp_path, files) as server:
        peers.run_scenario([node, f"js/{scenario}.js", server.url, transport], server)


@pytest.mark.parametrize(("flavour", "transport"), PYTHON_CLIENTS)
def test_the_python_client_is_at_home_over_tls(
    flavour: str, transport: str, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE":
        monkeypatch.setenv(variable, str(files.ca))
    with running_server(tmp_path, files, "--ping-interval", "3") as server:
        peers.run_scenario([sys.executable, "python/talk.py", server.url, transport, flavour], server)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_with_a_certificate_is_at_home_where_one_is_asked_for(
    transport: str, tmp_path: Path, files: Files
) -> None:
    node = peers.need_javascript_client()
    identity = [str(files.client), str(files.client_key)]
    with running_server(tmp_path, files, client_ca=files.ca) as server:
        peers.run_scenario([node, "js/tls_client.mjs", server.url, transport, str(files.ca), *identity], server)


# Who is not.


@asynccontextmanager
async def serving(files: Files, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve over TLS in this process, and yield the port."""
    server = Server(shutdown_grace=1.0)
    server.on("echo", lambda ctx, *arguments: arguments)
    serve = partial(server.serve, ssl_context=context or files.context)
    with trio.fail_after(TIMEOUT):
        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(serve, "127.0.0.1", 0)
            yield listener.transport_listener.socket.getsockname()[1]
            nursery.cancel_scope.cancel()


async def fate(port: int, transport: str, *, name: str = "localhost", **given: Path) -> dict[str, Any]:
    """Return what becomes of a JavaScript client."""
    options = json.dumps({each: str(path) for each, path in given.items()})
    command = [peers.need_javascript_client(), "js/tls_refusal.mjs", f"https://{name}:{port}", transport, options]
    done = await trio.run_process(command, capture_stdout=True, cwd=peers.HERE)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def check_serves(port: int, files: Files) -> None:
    """A client is served, whatever has been before."""
    assert await fate(port, "websocket", ca=files.ca) == {"connected": True}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_client_that_trusts_another_authority_or_none_does_not_connect(
    transport: str, tmp_path: Path, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    another = Files(tmp_path / "theirs")
    async with serving(files) as port:
        for given in ({"ca": another.ca}, {}):
            refused = await fate(port, transport, **given)
            assert not refused["connected"]
            assert refused["code"] in ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", None)
        await check_serves(port, files)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_client_that_asks_for_another_name_does_not_connect(files: Files) -> None:
    async with serving(files) as port:
        refused = await fate(port, "websocket", name="127.0.0.1", ca=files.ca)
        assert not refused["connected"]
        assert refused["code"] == "ERR_TLS_CERT_ALTNAME_INVALID"
        await check_serves(port, files)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_client_without_a_certificate_does_not_connect_where_one_is_asked_for(
    transport: str, tmp_path: Path, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Files(tmp_path / "theirs")
    context = files.context
    context.load_verify_locations(files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    async with serving(files, context) as port:
        assert not (await fate(port, transport, ca=files.ca))["connected"]
        forged = {"cert": stranger.client, "key": stranger.client_key}
        assert not (await fate(port, transport, ca=files.ca, **forged))["connected"]
        own = {"cert": files.client, "key": files.client_key}
        assert await fate(port, transport, ca=files.ca, **own) == {"connected": True}
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


# Who means no good.


async def read_to_end(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    try:
        async for chunk in stream:
            data += chunk
    except trio.BrokenResourceError:
        pass
    return data


@pytest.mark.parametrize(
    "request_line", [b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n", bytes(100_000)]
)
async def test_plain_http_on_the_port_of_tls_does_no_harm_and_the_next_client_is_served(
    request_line: bytes, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(files) as port:
        for _ in range(20):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(request_line)
                assert b"HTTP" not in await read_to_end(stream)
        await check_serves(port, files)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_javascript_client_that_forgets_the_s_is_told_by_an_error_and_not_by_silence(files: Files) -> None:
    node = peers.need_javascript_client()
    program = textwrap.dedent("""
        const socket = require("socket.io-client").io(process.argv[1], { transports: ["websocket"], reconnection: false });
        socket.on("connect_error", (error) => { console.log("refused"); process.exit(); });
        socket.on("connect", () => { console.log("connected"); process.exit(); });
    """)
    async with serving(files) as port:
        command = [node, "-e", program, f"http://localhost:{port}"]
        done = await trio.run_process(command, capture_stdout=True, cwd=peers.HERE)
        assert done.stdout == b"refused\n"


async def test_a_peer_that_vanishes_in_the_handshake_is_let_go(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(files) as port:
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        for part in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(part)
            await stream.aclose()
        while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110  # the kernel says when
            await trio.sleep(0.01)
        await check_serves(port, files)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_flood_of_handshakes_is_bounded_in_time_and_others_are_served_meanwhile(
    files: Files, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_module, "TLS_TIMEOUT", 3.0)
    async with serving(files) as port:
        began = trio.current_time()
        silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(300)]
        await check_serves(port, files)
        for stream in silent:
            assert await read_to_end(stream) == b""
            await stream.aclose()
        assert trio.current_time() - began < TIMEOUT / 2
        await check_serves(port, files)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_clients_that_shake_hands_and_go_again_and_again_leave_nothing(files: Files) -> None:
    trusting = ssl.create_default_context(cafile=files.ca)

    async def come_and_go(port: int) -> None:
        for _ in range(10):
            stream = trio.SSLStream(
                await trio.open_tcp_stream("127.0.0.1", port),
                trusting,
                server_hostname="localhost",
                https_compatible=True,
            )
            await stream.do_handshake()
            await trio.aclose_forcefully(stream)

    async with serving(files) as port:
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(come_and_go, port)
        while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110  # the kernel says when
            await trio.sleep(0.01)
        await check_serves(port, files)
