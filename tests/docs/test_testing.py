"""docs/testing.md: its files, put together from the blocks, are a suite that passes; what it says in prose is so."""

import inspect
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio

from trio_socketio import HTTPResponse, Server, testing
from trio_socketio.testing import client, open_test_client
from trio_socketio.testing.transport import OPENERS

LOAD = ["-p", "no:trio_socketio", "-p", "trio_socketio.testing.pytest_plugin"]
"""What makes pytest load the plugin from here, whether or not the package that is installed brings it."""
ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE, re.M | re.S)
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S)


def files():
    """The files of the page: the blocks of the same title, one after another."""
    found = {}
    for _, title, text in BLOCKS:
        if title:
            found[title] = found.get(title, "") + text + "\n\n"
    return found


def test_every_block_is_run():
    assert [kind for kind, title, _ in BLOCKS if not title] == ["console"]
    assert set(files()) == {"pytest.ini", "chat.py", "test_chat.py", "test_fixtures.py"}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """The output of pytest for the files of the page."""
    folder = tmp_path_factory.mktemp("chat")
    for name, text in files().items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-v", "-W", "error", *LOAD]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True, timeout=170, check=False
    )
    return done.stdout + done.stderr


TESTS = re.findall(
    r"^async def (test_\w+)", "".join(text for _, title, text in BLOCKS if title.startswith("test_")), re.M
)


@pytest.mark.parametrize("name", TESTS)
def test_each_test_of_the_page_passes(suite, name):
    outcomes = re.findall(rf"::{name}(?:\[\w+\])? (\w+)", suite)
    assert outcomes, suite
    assert set(outcomes) == {"PASSED"}, suite


def test_the_suite_takes_no_time(suite):
    (seconds,) = re.findall(r"passed in ([\d.]+)s", suite)
    assert float(seconds) < 60  # there are 45 and 600 virtual ones in it, and a machine may be busy


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PROSE) if not link.startswith("https://")]
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)


def test_every_name_that_it_mentions_exists():
    methods = set(dir(testing.MemoryClient)) | {"answers_pings"}
    names = set(re.findall(r"`(\w+)(?:\([^`]*\))?`", PROSE))
    assert {
        "emit",
        "call",
        "receive",
        "expect",
        "received",
        "hang_up",
        "close",
        "connect",
        "disconnect",
    } <= names & methods
    for name in ("open_test_client", "serve_in_memory", "request", "NotReceived", "ConnectError", "HandshakeRefused"):
        assert name in names
        assert hasattr(testing, name)
    parameters = inspect.signature(open_test_client).parameters
    assert {"headers", "query"} <= names & set(parameters)


def test_the_reasons_are_those_of_the_client():
    (table,) = re.findall(r"^\| reason .*?\n\n", PAGE, re.M | re.S)
    listed = set(re.findall(r"^\| `([\w ]+)`", table, re.M))
    source = "".join(path.read_text() for path in Path(testing.__file__).parent.glob("*.py"))
    used = set(re.findall(r'"(io \w+ disconnect|transport \w+|\w+ error)"', source))
    assert listed == used


def test_the_numbers_are_those_of_the_code():
    assert f"by default {client.TIMEOUT:g} seconds" in PAGE
    assert set(OPENERS) == {"websocket", "polling"}


async def test_the_host_and_the_address_are_as_it_says(autojump_clock):
    server = Server()
    seen = []
    server.on("connect", lambda ctx, auth: seen.append((ctx.handshake.headers["host"], ctx.handshake.address)))
    async with open_test_client(server):
        await trio.lowlevel.checkpoint()
    assert seen == [("127.0.0.1:3000", "local")]
    assert "`127.0.0.1:3000`" in PROSE
    assert "is `local`" in PROSE


async def test_the_virtual_clock_does_not_wait_for_threads(autojump_clock):
    may_end = threading.Event()

    async def answer(asked):
        await trio.to_thread.run_sync(may_end.wait, 60)
        return HTTPResponse.text("at last")

    server = Server(http=answer)
    async with testing.serve_in_memory(server):
        with pytest.raises(testing.NotReceived):
            await testing.request(server, "GET", "/")
        may_end.set()
