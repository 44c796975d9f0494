"""A restart with a shared listening socket: the next process is there before the last one goes, and nobody is refused meanwhile.

The servers are examples/restart.py in processes of their own, and real clients move from one to the other.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
from interop import peers
from support.program import START, running

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "restart.py"

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
PYTHON = """
import socketio, sys
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.3)
client.on("served by", lambda pid: print(pid, flush=True))
client.connect(sys.argv[1], transports=[sys.argv[2]])
sys.stdin.read()
"""
JAVASCRIPT = """
const [url, transport] = process.argv.slice(1);
const options = { transports: [transport], reconnectionDelay: 100, reconnectionDelayMax: 300 };
require("socket.io-client").io(url, options).on("served by", (pid) => console.log(pid));
process.stdin.on("end", () => process.exit()).resume();
"""


def client_command(language):
    return (
        [sys.executable, "-c", PYTHON] if language == "python" else [peers.need_javascript_client(), "-e", JAVASCRIPT]
    )


@contextmanager
def listening():
    """A socket that listens, as systemd or another parent holds it."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as bound:
        yield bound


@asynccontextmanager
async def serving(bound, how):
    """The example, with the socket handed over; yields once it serves."""
    fd = bound.fileno()
    handing_over = {
        "descriptor": [sys.executable, EXAMPLE, "--fd", fd],
        "systemd": [sys.executable, "-c", AS_SYSTEMD, fd, sys.executable, EXAMPLE],
        "port": [sys.executable, EXAMPLE, "--port", bound.getsockname()[1]],
    }[how]
    async with running(*handing_over, stdin=subprocess.PIPE, pass_fds=() if how == "port" else (fd,)) as program:
        line = await program.line()
        assert line.startswith(f"process {program.process.pid} serves ('127.0.0.1', {bound.getsockname()[1]}")
        yield program


class Visitors:
    """They come one after another, each on a connection of its own, and note what becomes of them."""

    def __init__(self, port):
        self.port = port
        self.answered = 0
        self.unanswered = 0

    async def come(self):
        while True:
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:  # raises if it is refused
                try:
                    await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    answer = await stream.receive_some()
                except trio.BrokenResourceError:
                    answer = b""
            if answer:
                assert answer.startswith(b"HTTP/1.1 404"), answer
                self.answered += 1
            else:
                self.unanswered += 1

    async def more(self):
        """Wait until some more have been answered."""
        enough = self.answered + 50
        with trio.fail_after(START):
            while self.answered < enough:  # noqa: ASYNC110  # several wait at times, for different numbers
                await trio.sleep(0.01)


# python-socketio's client takes the close packet of long-polling as the server's wish that it stays away.
@pytest.mark.parametrize(
    ("how", "language", "transport"),
    [
        ("descriptor", "python", "websocket"),
        ("systemd", "javascript", "websocket"),
        ("systemd", "javascript", "polling"),
    ],
)
async def test_nobody_is_refused_while_one_process_takes_over_from_another(how, language, transport):
    with listening() as bound:
        port = bound.getsockname()[1]
        visitors = Visitors(port)
        async with (
            serving(bound, how) as old,
            running(
                *client_command(language), f"http://127.0.0.1:{port}", transport, stdin=subprocess.PIPE, cwd=peers.HERE
            ) as client,
            trio.open_nursery() as nursery,
        ):
            assert await client.line() == str(old.process.pid)
            nursery.start_soon(visitors.come)
            await visitors.more()
            async with serving(bound, how) as new:
                await visitors.more()
                await old.ends_well(signal.SIGTERM, within=10)
                assert await client.line() == str(new.process.pid)
                await visitors.more()
                nursery.cancel_scope.cancel()
        assert visitors.unanswered <= 1  # who was just being accepted


async def test_connections_wait_for_the_next_process_where_the_last_one_goes_first():
    with listening() as bound:
        async with serving(bound, "descriptor") as old:
            await old.ends_well(signal.SIGTERM, within=10)
        early = await trio.open_tcp_stream("127.0.0.1", bound.getsockname()[1])
        await early.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with early, serving(bound, "descriptor"):
            with trio.fail_after(START):
                assert (await early.receive_some()).startswith(b"HTTP/1.1 404")


async def test_two_processes_may_bind_the_same_address():
    with socket.socket() as reserved:  # a port that nobody else gets
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        visitors = Visitors(reserved.getsockname()[1])
        async with serving(reserved, "port") as old, serving(reserved, "port"), trio.open_nursery() as nursery:
            nursery.start_soon(visitors.come)
            await visitors.more()
            await old.ends_well(signal.SIGINT, within=10)
            nursery.cancel_scope.cancel()


async def test_descriptors_that_were_handed_to_another_process_are_left_alone():
    with listening() as bound, listening() as other:
        fd = bound.fileno()
        environment = {**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"}
        command = (sys.executable, EXAMPLE, "--fd", fd)
        async with running(*command, stdin=subprocess.PIPE, pass_fds=(fd, other.fileno()), env=environment) as program:
            assert f", {bound.getsockname()[1]})" in await program.line()
            await program.ends_well(signal.SIGTERM, within=10)
