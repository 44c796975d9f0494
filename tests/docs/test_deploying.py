"""docs/deploying.md: its programs run, its configurations fit the options of the server, and real proxies understand them."""

import ast
import configparser
import inspect
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trustme
from support.memory import serving
from trio_socketio.conformance.peer import Peer

from trio_socketio import Server

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "deploying.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
DEFAULTS = {name: p.default for name, p in inspect.signature(Server.__init__).parameters.items()}

START = 30.0
"""Seconds for a process to begin, on a slow machine."""


def block(kind, part):
    (text,) = [text for each, text in BLOCKS if each == kind and part in text]
    return text


def run_block(part):
    found = {"__name__": "deploying"}
    exec(compile(block("python", part), "docs/deploying.md", "exec"), found)
    return found


# The page.


def test_every_block_is_of_a_kind_that_is_looked_at():
    assert {kind for kind, _ in BLOCKS} == {"python", "ini", "nginx", "caddyfile"}
    for kind, text in BLOCKS:
        if kind == "python":
            assert isinstance(run_block(text)["server"], Server)


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("https://")]
    assert links
    assert all((ROOT / "docs" / link.partition("#")[0]).is_file() for link in links)


def test_every_option_that_it_names_exists():
    keywords = set(re.findall(r"`(\w+)=[\[\d]", PAGE)) | {name for name in DEFAULTS if f"`{name}`" in PAGE}
    assert {"max_connections", "shutdown_grace", "ping_interval", "transports"} <= keywords
    assert keywords <= set(DEFAULTS) | {"sessions_per_address"}
    for _, text in BLOCKS:
        if "Server(" in text:
            calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
            assert {
                keyword.arg for call in calls if getattr(call.func, "id", "") == "Server" for keyword in call.keywords
            } <= set(DEFAULTS)


# The programs.


async def test_the_first_program_ends_well(tmp_path):
    program = tmp_path / "chat.py"
    program.write_text(block("python", "open_signal_receiver").replace("3000", "0"))
    process = await trio.lowlevel.open_process([sys.executable, program], stdout=-1, stderr=-1)
    try:
        with trio.fail_after(START):
            line = b""
            while b"\n" not in line:
                chunk = await process.stdout.receive_some()
                assert chunk, await process.stderr.receive_some()
                line += chunk
            port = int(line.split()[-1])

            async def dial():
                return await trio.open_tcp_stream("127.0.0.1", port)

            client = await Peer(dial).join()
            process.send_signal(signal.SIGTERM)
            assert (await client.transport.expect_close()).code == 1001
            assert await process.wait() == 0
            assert await process.stderr.receive_some() == b""
            await client.transport.hang_up()
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
            await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()


async def test_a_socket_that_was_handed_over_is_served(nursery):
    serve = run_block("serve_handed_over")["serve_handed_over"]
    with socket.create_server(("127.0.0.1", 0)) as bound:
        nursery.start_soon(serve, os.dup(bound.fileno()))

        async def dial():
            return await trio.open_tcp_stream(*bound.getsockname())

        with trio.fail_after(START):
            client = await Peer(dial).join()
            await client.transport.hang_up()
    nursery.cancel_scope.cancel()


async def test_the_pages_for_whoever_watches(autojump_clock):
    async with serving(run_block("/health")["server"]) as peer:
        assert (await peer.request("GET", "/health")).text == "ok"
        assert (await peer.request("GET", "/stats")).status == 404
    server = run_block("/health")["server"]
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(server.serve, "127.0.0.1", 0)

        async def dial():
            return await trio.open_tcp_stream(*listener.socket.getsockname())

        peer = Peer(dial)
        assert json.loads((await peer.request("GET", "/stats")).text)["sessions"] == {}
        assert (await peer.request("GET", "/stats", [("x-forwarded-for", "203.0.113.7")])).status == 404
        nursery.cancel_scope.cancel()


# The configurations.


def unit(part):
    parser = configparser.ConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(block("ini", part))
    return parser


def test_systemd_waits_longer_than_the_server_needs():
    service = unit("TimeoutStopSec")["Service"]
    assert int(service["TimeoutStopSec"]) > DEFAULTS["shutdown_grace"] + 5
    assert int(service["LimitNOFILE"]) > 1024


def test_the_unit_and_its_socket_are_one_that_systemd_understands(tmp_path):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    for text in (text for kind, text in BLOCKS if kind == "ini"):
        name = re.search(r"^# /etc/systemd/system/(\S+)$", text, re.M)[1]
        (tmp_path / name).write_text(re.sub(r"ExecStart=.*", "ExecStart=/bin/true", text))
    assert {path.name for path in tmp_path.iterdir()} == {"chat.service", "chat.socket"}
    command = [verify, "verify", "--man=no", "--recursive-errors=no", *map(str, sorted(tmp_path.iterdir()))]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "chat." in line]
    assert (ours, done.returncode) == ([], 0)


def test_the_proxies_are_as_patient_and_as_generous_as_the_server():
    configuration = block("nginx", "proxy_pass")
    assert int(re.search(r"proxy_read_timeout (\d+)s", configuration)[1]) > DEFAULTS["ping_interval"]
    assert re.search(r"client_max_body_size (\d+)m", configuration)
    assert int(re.search(r"client_max_body_size (\d+)m", configuration)[1]) * 2**20 >= DEFAULTS["max_payload"]


def make_certificate(directory):
    """Write a certificate for the host of the examples, and return a context that trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("chat.example")
    issued.private_key_pem.write_to_path(directory / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(directory / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]


def nginx(directory, port, behind):
    text = block("nginx", "proxy_pass").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("/etc/ssl/chat.example.pem", f"{directory}/cert.pem")
    text = text.replace("/etc/ssl/chat.example.key", f"{directory}/key.pem").replace(
        "127.0.0.1:3000", f"127.0.0.1:{behind}"
    )
    folders = "".join(
        f"{name}_temp_path {directory}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    top = f"daemon off;\npid {directory}/pid;\nmaster_process off;\nevents {{}}\n"
    (directory / "nginx.conf").write_text(f"{top}http {{\naccess_log off;\n{folders}{text}}}\n")
    return ["-p", directory, "-c", directory / "nginx.conf", "-e", directory / "errors"]


def caddy(directory, port, behind):
    text = block("caddyfile", "reverse_proxy").replace("127.0.0.1:3000", f"127.0.0.1:{behind}")
    site = f"https://chat.example:{port} {{\n    bind 127.0.0.1\n    tls {directory}/cert.pem {directory}/key.pem"
    options = "{\n    admin off\n    auto_https off\n}\n"
    (directory / "Caddyfile").write_text(options + text.replace("chat.example {", site))
    return ["run", "--adapter", "caddyfile", "--config", directory / "Caddyfile"]


@asynccontextmanager
async def proxied(proxy, directory, behind):
    """Run a proxy of the documentation before a server; yield how to reach it."""
    program = shutil.which(proxy.__name__)
    if program is None:
        pytest.skip(f"{proxy.__name__} is not installed")
    context = make_certificate(directory)
    port = free_port()
    command = [program, *proxy(directory, port, behind)]
    environment = {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    with (directory / "log").open("wb") as log:
        process = await trio.lowlevel.open_process([*map(str, command)], stdout=log, stderr=log, env=environment)

    async def dial():
        with trio.fail_after(START):
            while True:  # until it listens
                assert process.poll() is None, (directory / "log").read_text()
                try:
                    stream = await trio.open_tcp_stream("127.0.0.1", port)
                except OSError:
                    await trio.sleep(0.05)
                else:
                    return trio.SSLStream(stream, context, server_hostname="chat.example", https_compatible=True)

    try:
        yield Peer(dial, host=f"chat.example:{port}", patience=START)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.parametrize("proxy", [nginx, caddy])
async def test_a_client_behind_a_proxy_is_at_home(proxy, tmp_path, nursery):
    server = Server(trusted_proxies=["127.0.0.1", "::1"], ping_interval=0.5, shutdown_grace=0.5)
    shakes = []
    server.on("connect", lambda ctx, auth: shakes.append(ctx.handshake))
    server.on("echo", lambda ctx, text: text)
    (listener,) = await nursery.start(server.serve, "127.0.0.1", 0)
    async with proxied(proxy, tmp_path, listener.socket.getsockname()[1]) as peer:
        origin = ("origin", f"https://{peer.host}")
        opened = await peer.request("GET", peer.target(transport="polling"), [origin])
        assert opened.status == 200
        assert opened.header("access-control-allow-origin") == origin[1]
        foreign = await peer.request("GET", peer.target(transport="polling"), [("origin", "https://evil.example")])
        assert foreign.status == 403
        for transport in ("polling", "websocket"):
            client = await peer.join(transport=transport)
            await client.emit("echo", transport, id=1)
            assert (await client.receive()).data == [transport]
            waited = await client.transport.receive()  # nothing is buffered: the ping comes through
            assert waited == "2"
        session = await peer.open_polling()
        websocket = await peer.upgrade(session, headers=[origin])
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        assert all(handshake.secure for handshake in shakes)
        assert len(shakes) == 2
        await peer.hang_up()
    nursery.cancel_scope.cancel()
