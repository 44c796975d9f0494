"""Server.run: a whole program."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request

import pytest
import trio
import trustme
from trio_socketio.server.running import run_until_signal

from trio_socketio import Server

START = 30.0
"""Seconds for a process to begin or to end, on a slow machine."""

PROGRAM = """
import trio
from trio_socketio import Server

server = Server(shutdown_grace=2)

@server.on("connect")
def connect(ctx):
    ctx.start_soon(trio.sleep_forever)

@server.on("disconnect")
def disconnect(ctx, reason):
    print("left:", reason, flush=True)

server.run(port=0)
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_gracefully_and_without_a_traceback(number):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        match = re.fullmatch(r"serving on (http://127\.0\.0\.1:\d+)\n", line)
        assert match, line
        session = f"{match[1]}/socket.io/?EIO=4&transport=polling"
        with urllib.request.urlopen(session, timeout=START) as answer:
            sid = re.search(r'"sid":"([^"]+)"', answer.read().decode())[1]
        request = urllib.request.Request(f"{session}&sid={sid}", b"40", {"content-type": "text/plain"})
        with urllib.request.urlopen(request, timeout=START) as answer:
            assert answer.read() == b"ok"
        process.send_signal(number)
        assert process.communicate(timeout=START) == ("left: server shutting down\nended\n", "")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_an_address_that_is_taken_is_a_plain_error():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Server().run("127.0.0.1", taken.getsockname()[1])


async def test_within_trio_it_is_refused():
    with pytest.raises(RuntimeError, match="run"):
        Server().run(port=0)


@pytest.mark.parametrize(
    ("tls", "host", "address"), [(True, "127.0.0.1", "https://127.0.0.1"), (False, None, "http://localhost")]
)
async def test_the_address_is_one_for_a_browser(tls, host, address):
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    told = []

    def tell(url):
        told.append(url)
        signal.raise_signal(signal.SIGTERM)

    with trio.fail_after(START):
        await run_until_signal(Server(), host, 0, context, tell)
    assert re.fullmatch(rf"{address}:\d+", told[0])
