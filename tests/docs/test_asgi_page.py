"""docs/asgi.md: its code runs and serves what it says, and its names are right; the list of cases is checked in tests/interop."""

import inspect
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from hypercorn.config import Config
from support.asgi_host import hosting
from trio_socketio.conformance import cases  # noqa: F401  # fills the register
from trio_socketio.conformance.case import REGISTER
from trio_socketio.server.limits import Limits

from trio_socketio import Server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "asgi.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def run_block(part):
    (text,) = [block for block in BLOCKS if part in block]
    found = {"__name__": "asgi_page"}
    exec(compile(text, "docs/asgi.md", "exec"), found)
    return found


async def open_session(host, target):
    answer = await host.request("GET", f"{target}?EIO=4&transport=polling")
    assert answer.status == 200
    sid = json.loads(answer.body[1:])["sid"]
    target = f"{target}?EIO=4&transport=polling&sid={sid}"
    assert (await host.request("POST", target, body=b"40")).text == "ok"
    assert (await host.request("GET", target)).text.startswith("40")
    return target


@pytest.mark.parametrize("part", ["from starlette.responses", "from fastapi", "from quart_trio"])
async def test_a_route_of_the_other_application_reaches_the_clients(part):
    found = run_block(part)
    async with hosting(found["app"]) as host:
        target = await open_session(host, "/socket.io/")
        answer = await host.request("POST", "/announce")
        assert json.loads(answer.body) == {"reached": 1}
        assert (await host.request("GET", target)).text == '42["news","hello"]'
        assert (await host.request("GET", "/nothing")).status == 404


async def test_a_mounted_server_is_run_by_the_application_around_it():
    found = run_block("Mount")
    async with hosting(found["app"]) as host:
        assert found["server"].services
        await open_session(host, "/realtime/socket.io/")
        assert (await host.request("GET", "/realtime/")).status == 404
        assert (await host.request("GET", "/socket.io/?EIO=4&transport=polling")).status == 404
    assert not found["server"].services


async def test_the_program_serves_until_a_signal_comes(tmp_path):
    (text,) = [block for block in BLOCKS if "open_signal_receiver" in block]
    program = tmp_path / "program.py"
    program.write_text(text.replace("127.0.0.1:3000", "127.0.0.1:0"))
    process = await trio.lowlevel.open_process([sys.executable, str(program)], stderr=subprocess.PIPE)
    try:
        with trio.fail_after(60):
            log = b""
            while not (found := re.search(rb"http://127\.0\.0\.1:(\d+)", log)):
                assert (more := await process.stderr.receive_some()), log
                log += more
            async with await trio.open_tcp_stream("127.0.0.1", int(found[1])) as stream:
                await stream.send_all(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        process.kill()
        await process.stderr.aclose()


def test_every_example_is_run():
    assert len(BLOCKS) == 5


def test_every_option_that_it_names_exists():
    hypercorn = {"graceful_timeout": 3.0, "shutdown_timeout": 60.0, "websocket_max_message_size": 16 * 1024 * 1024}
    for name, default in hypercorn.items():
        assert f"`{name}`" in PAGE
        assert getattr(Config(), name) == default
    for name in ("h11_max_incomplete_size", "keep_alive_timeout", "keep_alive_max_requests"):
        assert f"`{name}`" in PAGE
        assert hasattr(Config(), name)
    assert Config().read_timeout is None
    for name in ("head_bytes", "head_timeout", "keep_alive", "requests_per_connection", "write_timeout"):
        assert f"`{name}`" in PAGE
        assert hasattr(Limits(), name)
    options = inspect.signature(Server).parameters
    for name in ("trusted_proxies", "shutdown_grace", "max_payload", "max_buffered_bytes", "ping_timeout", "path"):
        assert f"`{name}`" in PAGE
        assert name in options


def test_every_case_that_it_names_exists():
    named = re.findall(r"`((?:eio|sio|robust)\.[\w.-]+)`", PAGE)
    assert named
    assert all(REGISTER.get(name) is not None for name in named)


def test_every_link_leads_somewhere():
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("https://")]
    assert links
    assert all((ROOT / "docs" / link).exists() for link in links)
