"""The command line as a user meets it: a process, its output, its exit status."""

import io
import re
import signal
import socket
import sys
from contextlib import asynccontextmanager

import pytest
import trio
from trio_socketio.conformance.peer import Peer
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio import __version__
from trio_socketio.cli import main
from trio_socketio.wire.ansi import wants_color
from trio_socketio.wire.record import HEADER, write_record

DEMO = ("trio_socketio", "demo")
SOCKETIO = ("trio_socketio", "conformance", "serve")
ENGINE = ("trio_socketio", "conformance", "serve", "--engine-only")

START = 20.0
"""Seconds for a process to begin, on a slow machine."""


@asynccontextmanager
async def running(*arguments, path="/socket.io/"):
    """Run a module as a process on a free port; yield the process and how to reach its server."""
    streams = []
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", *arguments, "--port", "0"], stdout=-1, stderr=-1
        )
        try:
            line = b""
            with trio.fail_after(START):
                while b"\n" not in line:
                    chunk = await process.stdout.receive_some()
                    assert chunk, (await process.stderr.receive_some()).decode()
                    line += chunk
            found = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
            assert found, line
            port = int(found[1])

            async def dial():
                streams.append(await trio.open_tcp_stream("127.0.0.1", port))
                return streams[-1]

            yield process, Peer(dial, path, f"127.0.0.1:{port}")
        finally:
            for stream in streams:
                await trio.aclose_forcefully(stream)
            if process.poll() is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()
            nursery.cancel_scope.cancel()


async def ends_well(process, signal_number):
    process.send_signal(signal_number)
    with trio.fail_after(2):
        assert await process.wait() == 0
    assert b"Traceback" not in await process.stderr.receive_some()


async def run(*arguments):
    with trio.fail_after(START):
        done = await trio.run_process(
            [sys.executable, "-m", *arguments], capture_stdout=True, capture_stderr=True, check=False
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_demo_prints_its_address_serves_its_page_and_ends_with_a_signal(number):
    async with running(*DEMO) as (process, peer):
        page = await peer.request("GET", "/")
        assert page.status == 200
        assert "text/html" in page.header("content-type")
        assert (await peer.request("GET", "/no-such-file")).status == 404
        await ends_well(process, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_of_connected_clients_at_once(number):
    async with running(*SOCKETIO) as (process, peer):
        websocket = await peer.join()
        polling = await peer.join(transport="polling")
        assert (await websocket.event())[0] == "auth"
        assert (await polling.event())[0] == "auth"
        seen = []
        async with trio.open_nursery() as clients:

            async def read():
                seen.append((await websocket.transport.expect_close()).code)

            async def poll():
                while (answer := (await polling.transport.get()).text) == "2":
                    await polling.transport.send("3")
                seen.append(answer)

            clients.start_soon(read)
            clients.start_soon(poll)
            await trio.sleep(0.1)
            await ends_well(process, number)
        assert sorted(seen, key=str) == ["1", 1001]


async def test_the_demo_ends_at_once_though_a_browser_is_connected():
    async with running(*DEMO) as (process, peer):
        websocket = await peer.open_socketio()
        polling = await peer.open_socketio("polling")
        assert websocket.handshake.sid != polling.handshake.sid
        await ends_well(process, signal.SIGINT)


async def test_the_socketio_fixture_echoes_as_its_suite_expects():
    async with running(*SOCKETIO) as (process, peer):
        client = await peer.join(auth={"token": "123"})
        assert await client.event() == ["auth", {"token": "123"}]
        await client.emit("message", 1, "2", {"3": [False]})
        assert await client.event() == ["message-back", 1, "2", {"3": [False]}]
        await ends_well(process, signal.SIGTERM)


async def test_the_engine_fixture_echoes_as_its_suite_expects():
    async with running(*ENGINE, path="/engine.io/") as (process, peer):
        websocket = await peer.open_websocket()
        assert (await websocket.receive()).startswith("0{")
        await websocket.send("4hello")
        await websocket.send(b"\x01\x02")
        answers = []
        while len(answers) < 2:
            frame = await websocket.receive()
            if frame == "2":
                await websocket.send("3")
            else:
                answers.append(frame)
        assert answers == ["4hello", b"\x01\x02"]
        await ends_well(process, signal.SIGTERM)


@pytest.mark.parametrize("arguments", [DEMO, SOCKETIO, ENGINE])
async def test_a_port_in_use_is_told_in_a_sentence(arguments):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, out, err = await run(*arguments, "--port", str(port))
    assert status == 2
    assert out == ""
    assert f"127.0.0.1:{port}" in err
    assert "in use" in err
    assert "Traceback" not in err


async def test_a_host_that_does_not_exist_is_told_in_a_sentence():
    status, _, err = await run(*DEMO, "--host", "203.0.113.1", "--port", "0")  # reserved for documentation
    assert status == 2
    assert err.startswith("cannot serve on 203.0.113.1:0")
    assert "Traceback" not in err


async def test_a_host_that_no_name_can_be_is_told_in_a_sentence():
    status, out, err = await run(*DEMO, "--host", "a..b", "--port", "0")
    assert (status, out, err) == (2, "", "cannot serve on a..b:0: 'a..b' is no name of a host\n")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)],
)
def test_all_commands_agree_on_when_colours_are_shown(environment, colored, tmp_path, monkeypatch):
    for name, value in {"TERM": "xterm", "NO_COLOR": "", **environment}.items():
        monkeypatch.setenv(name, value)
    recording = tmp_path / "session.jsonl"
    recording.write_text(HEADER + write_record(TracedFrame(1.0, "s", "websocket", Sender.CLIENT, '42["hi"]')))
    for arguments in (["explain", "2"], ["explain", str(recording)], ["conformance", "--list"]):
        output = Terminal()
        monkeypatch.setattr(sys, "stdout", output)
        assert main(arguments) == 0
        assert ("\x1b[" in output.getvalue()) is colored, arguments
    assert wants_color("auto", Terminal()) is colored  # with which tap asks


async def test_help_names_the_commands_and_ends_with_0():
    status, out, err = await run("trio_socketio", "--help")
    assert (status, err) == (0, "")
    assert "demo" in out
    status, out, _ = await run("trio_socketio", "demo", "--help")
    assert status == 0
    assert "--host" in out
    assert "--port" in out


@pytest.mark.parametrize("arguments", [(), ("no-such-command",), ("demo", "--port", "many")])
async def test_wrong_arguments_end_with_2_and_the_usage(arguments):
    status, out, err = await run("trio_socketio", *arguments)
    assert (status, out) == (2, "")
    assert "usage: trio-socketio" in err


@pytest.mark.parametrize("command", [DEMO, SOCKETIO])
@pytest.mark.parametrize("port", ["-1", "65536", "many"])
async def test_a_port_that_cannot_be_is_refused(command, port):
    status, _, err = await run(*command, "--port", port)
    assert status == 2
    assert f"{port!r} is no port: it must be a number from 0 to 65535" in err
    assert "Traceback" not in err


async def test_the_version_is_that_of_the_package():
    status, out, _ = await run("trio_socketio", "--version")
    assert (status, out.strip()) == (0, f"trio-socketio {__version__}")
