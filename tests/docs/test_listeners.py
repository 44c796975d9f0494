"""docs/listeners.md: its programs serve what they say, its units and its proxy are understood, and its tables are right."""

import configparser
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme
from interop import peers
from trio_socketio.conformance.peer import Peer
from trio_socketio.server.net import serving

from trio_socketio import Server

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "listeners.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
START = 30.0
"""Seconds for anything that happens in real time, on a slow machine."""


def block(kind, part):
    (text,) = [text for each, text in BLOCKS if each == kind and part in text]
    return text


def run_block(part):
    """Run a program of the page; its server says how its clients have come."""
    found = {"__name__": "listeners"}
    exec(compile(block("python", part), "docs/listeners.md", "exec"), found)
    found["server"].on("how", lambda ctx: [ctx.handshake.address, ctx.handshake.secure])
    return found


@asynccontextmanager
async def started(function, *arguments):
    with trio.fail_after(START):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(function, *arguments)
            yield
            nursery.cancel_scope.cancel()


async def how(dial, host="localhost"):
    peer = Peer(dial, host=host)
    client = await peer.join()
    await client.emit("how", id=1)
    answer = (await client.receive()).data[0]
    await peer.hang_up()
    return answer


async def printed(capsys, count=1):
    """Return the lines that a program prints, as soon as it has."""
    text = ""
    while text.count("\n") < count:
        await trio.sleep(0.01)
        text += capsys.readouterr().out
    return text.splitlines()


async def address_of(server):
    """Return the address of what a server listens on, which nobody tells; once it does."""
    while not server.services:  # noqa: ASYNC110  # there is nothing to wait for
        await trio.sleep(0.01)


class Certificates:
    def __init__(self, folder):
        self.authority = trustme.CA()
        issued = self.authority.issue_cert("localhost")
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issued.configure_cert(self.context)

    def dial(self, dial):
        trusting = ssl.create_default_context()
        self.authority.configure_trust(trusting)

        async def dial_securely():
            return trio.SSLStream(await dial(), trusting, server_hostname="localhost", https_compatible=True)

        return dial_securely


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


@pytest.fixture
def opened(monkeypatch):
    """The listeners that a program of the page opens."""
    listeners = []
    original = trio.open_tcp_listeners

    async def remember(*arguments, **options):
        found = await original(*arguments, **options)
        listeners.extend(found)
        return found

    monkeypatch.setattr(trio, "open_tcp_listeners", remember)
    return listeners


def tcp(port):
    return partial(trio.open_tcp_stream, "127.0.0.1", port)


# The page.


def test_every_block_is_of_a_kind_that_is_looked_at():
    assert {kind for kind, _ in BLOCKS} == {"python", "ini", "nginx", "sh", "javascript"}
    for kind, text in BLOCKS:
        if kind == "python":
            assert isinstance(run_block(text)["server"], Server)


def test_every_link_leads_somewhere():
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("https://")]
    assert links
    for name, _, anchor in links:
        path = ROOT / "docs" / name
        assert path.is_file()
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_the_time_for_a_handshake_of_tls_is_the_one_it_names():
    assert f"A handshake has {serving.TLS_TIMEOUT:g} seconds" in PAGE


# The programs.


async def test_an_address_that_is_a_name(capsys):
    found = run_block('"localhost", 0')
    async with started(found["main"]):
        for line in await printed(capsys):
            host, port = re.fullmatch(r"serving on (\S+) (\d+)", line).groups()
            assert await how(partial(trio.open_tcp_stream, host, int(port))) == [host, False]


async def test_tls(certificates, capsys):
    found = run_block("async def serve_over_tls")
    async with started(found["serve_over_tls"], certificates.certificate, certificates.key):
        (line,) = await printed(capsys)
        assert await how(certificates.dial(tcp(int(line.split()[-1])))) == ["127.0.0.1", True]


async def test_a_unix_socket_has_the_permissions_it_names(tmp_path):
    found = run_block("async def serve_unix")
    path = tmp_path / "socket"
    async with started(found["serve_unix"], str(path)):
        await address_of(found["server"])
        assert path.stat().st_mode & 0o777 == 0o660
        assert await how(partial(trio.open_unix_socket, path)) == ["local", False]


async def test_several_at_once(certificates, opened, tmp_path):
    found = run_block("async def serve_everywhere")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(tmp_path / "socket"))
    bound.listen()
    unix = trio.SocketListener(trio.socket.from_stdlib_socket(bound))
    async with started(found["serve_everywhere"], certificates.context, unix):
        await address_of(found["server"])
        plain, outer = (listener.socket.getsockname()[1] for listener in opened)
        assert await how(tcp(plain)) == ["127.0.0.1", False]
        assert await how(certificates.dial(tcp(outer))) == ["127.0.0.1", True]
        assert await how(partial(trio.open_unix_socket, tmp_path / "socket")) == ["local", False]


async def test_sockets_that_were_passed(tmp_path):
    program = tmp_path / "program.py"
    say = "server.on('how', lambda ctx: [ctx.handshake.address, ctx.handshake.secure])"
    program.write_text(block("python", "def passed_listeners") + f"\n{say}\ntrio.run(main)\n")
    pass_on = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')"
    )
    pass_on += "; os.execv(sys.executable, [sys.executable, sys.argv[2]])"
    with trio.fail_after(START), socket.create_server(("127.0.0.1", 0)) as bound:
        descriptor = bound.fileno()
        command = [sys.executable, "-c", pass_on, str(descriptor), str(program)]
        process = await trio.lowlevel.open_process(command, pass_fds=[descriptor])
        try:
            assert await how(tcp(bound.getsockname()[1])) == ["127.0.0.1", False]
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def test_who_was_passed_nothing_serves_nothing(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert run_block("def passed_listeners")["passed_listeners"]() == []


async def test_one_connection(autojump_clock, capsys):
    await run_block("async def serve_in_memory")["serve_in_memory"]()
    assert "HTTP/1.1 404" in capsys.readouterr().out


async def test_a_listener_of_ones_own_lets_nobody_in_who_is_blocked(opened):
    for blocked, welcome in (("127.0.0.2",), True), (("127.0.0.1",), False):
        found = run_block("class Guarded")
        async with started(found["serve_guarded"], blocked):
            await address_of(found["server"])
            dial = tcp(opened[-1].socket.getsockname()[1])
            if welcome:
                assert await how(dial) == ["127.0.0.1", False]
            else:
                with pytest.raises(trio.BrokenResourceError):
                    async with await dial() as stream:
                        await stream.send_all(b"GET / HTTP/1.1\r\n")
                        assert await stream.receive_some() == b""
                        raise trio.BrokenResourceError  # it ended so


# The commands and the configurations.


def test_the_certificate_for_trying_it_is_one_that_clients_accept(tmp_path):
    first, second = block("sh", "trustme").splitlines()
    assert first == "python -m trustme"
    subprocess.run([sys.executable, *first.split()[1:], "-q"], cwd=tmp_path, check=True)
    example, certificate, key, *_ = second.split()[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / certificate, tmp_path / key)
    assert (ROOT / example).is_file()
    trusted = re.search(r'readFileSync\("(.+?)"\)', block("javascript", "ca:"))[1]
    assert ssl.create_default_context(cafile=tmp_path / trusted)


async def test_the_client_of_node_connects_as_the_page_says(tmp_path):
    await trio.run_process([sys.executable, "-m", "trustme", "-q"], cwd=tmp_path)
    node = peers.need_javascript_client()
    command = [sys.executable, ROOT / "examples" / "tls.py", "server.pem", "server.key", "--port", "0"]
    process = await trio.lowlevel.open_process([*map(str, command)], stdout=subprocess.PIPE, cwd=tmp_path)
    try:
        with trio.fail_after(START):
            port = (await process.stdout.receive_some()).split()[-1].decode()
            program = (
                block("javascript", "ca:").replace("3443", port).replace("client.pem", str(tmp_path / "client.pem"))
            )
            program += 'socket.on("welcome", (said) => { console.log(JSON.stringify(said)); process.exit(); });\n'
            done = await trio.run_process([node, "-e", program], capture_stdout=True, cwd=peers.HERE)
            assert json.loads(done.stdout) == {"secure": True, "address": "127.0.0.1"}
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.stdout.aclose()


def test_the_units_are_ones_that_systemd_understands(tmp_path):
    verify = shutil.which("systemd-analyze")
    texts = [text for kind, text in BLOCKS if kind == "ini"]
    for text in texts:
        configparser.RawConfigParser(strict=False).read_string(text)
        name = re.search(r"^# /etc/systemd/system/(\S+)$", text, re.MULTILINE)[1]
        (tmp_path / name).write_text(re.sub(r"ExecStart=.*", "ExecStart=/bin/true", text))
    assert {path.name for path in tmp_path.iterdir()} == {"chat.service", "chat.socket"}
    if verify is None:
        pytest.skip("systemd is not installed")
    command = [verify, "verify", "--man=no", "--recursive-errors=no", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    )
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "chat." in line]
    assert (ours, done.returncode) == ([], 0)


async def test_nginx_reaches_the_unix_socket(tmp_path):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    found = run_block("async def serve_unix")
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    upstream = block("nginx", "unix:").replace("/run/chat/socket", str(path))
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    location = "proxy_pass http://chat; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
    location += 'proxy_set_header Connection "upgrade"; proxy_set_header X-Forwarded-For 203.0.113.7;'
    location += "proxy_set_header X-Forwarded-Proto https;"
    site = f"server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}"
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; user root; events {{}}\n"
        f"http {{ access_log off; {folders} {upstream} {site} }}\n"
    )

    async def dial():
        while True:  # until it listens
            try:
                return await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(0.05)

    async with started(found["serve_unix"], str(path)):
        await address_of(found["server"])
        with (tmp_path / "log").open("wb") as log:
            command = [program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors")]
            process = await trio.lowlevel.open_process(command, stdout=log, stderr=log)
        try:
            assert await how(dial) == ["203.0.113.7", True]
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
