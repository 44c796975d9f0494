"""The plugin of pytest, in runs of pytest of its own: with pytest-trio in both of its modes, without it, and unused."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

import trio_socketio.testing

MODULE = "trio_socketio.testing.pytest_plugin"
LOAD = ["-p", "no:trio_socketio", "-p", MODULE]
"""What makes pytest load the plugin from here, whether or not the package that is installed brings it."""

SUITE = """
import pytest, trio
from trio_socketio import ConnectionRefused, Server

reasons = []

@pytest.fixture
def socketio_server():
    server = Server()

    @server.on("connect")
    async def connect(ctx, auth):
        if auth == {"name": "mallory"}:
            raise ConnectionRefused("go away")

    @server.on("chat")
    async def chat(ctx, text):
        await ctx.emit("chat", text, broadcast=True, include_self=False)
        return "delivered"

    @server.on("stay")
    async def stay(ctx):
        await trio.sleep_forever()

    @server.on("disconnect")
    async def disconnect(ctx, reason):
        await trio.sleep(0.01)
        reasons.append(reason)

    return server
"""


@dataclass
class Run:
    """What a run of pytest printed, and how it ended."""

    status: int
    output: str

    def tells(self, *lines: str) -> bool:
        return all(line in self.output for line in lines)


@pytest.fixture
def run(tmp_path: Path):
    """Run pytest with a test module in a process of its own."""

    def run(module: str, *options: str, ini: str = "trio_mode = true") -> Run:
        (tmp_path / "test_it.py").write_text(SUITE + module)
        (tmp_path / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{ini}\n")
        command = [sys.executable, "-m", "pytest", *LOAD, "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, *options, "-q", "."], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        return Run(done.returncode, done.stdout + done.stderr)

    return run


CHAT = """
async def test_chat(autojump_clock, socketio_client, socketio_server):
    anna = await socketio_client(auth={"name": "anna"})
    ben = await socketio_client(transport="polling")
    assert await anna.call("chat", "hello") == "delivered"
    assert (await ben.expect("chat")).args == ("hello",)
    assert len(socketio_server.services) == 1

def test_they_have_left():
    assert reasons == ["client namespace disconnect"] * 2
"""


OTHERS = """
from trio_socketio.testing import ClientFactory, ConnectError, open_test_client

async def test_no_clock_is_needed(socketio_client: ClientFactory):
    assert isinstance(socketio_client, ClientFactory)
    assert await (await socketio_client()).call("chat", "hello") == "delivered"

async def test_what_is_refused_is_raised_in_the_test(socketio_client):
    with pytest.raises(ConnectError, match="go away"):
        await socketio_client(auth={"name": "mallory"})
    assert (await socketio_client()).connected

async def test_clients_of_the_test_itself_share_the_service(socketio_client, socketio_server):
    reasons.clear()
    first = await socketio_client()
    async with open_test_client(socketio_server) as second:
        assert len(socketio_server.services) == 1
        assert socketio_server.sockets() == [first.sid, second.sid]
    assert reasons == ["client namespace disconnect"]
    assert first.connected

class TestServerOfATrioFixture:
    @pytest.fixture
    async def made(self, nursery):
        await trio.lowlevel.checkpoint()
        return Server()

    @pytest.fixture
    async def socketio_server(self, made):
        yield made

    async def test_it(self, socketio_client, made):
        client = await socketio_client()
        assert made.sockets() == [client.sid]
"""


@pytest.mark.parametrize("mode", ["trio", "strict"])
def test_clients_are_opened_and_closed(run, mode):
    if mode == "trio":
        done = run(CHAT + OTHERS)
    else:
        done = run(re.sub(r"^( *)(?=async def test)", r"\1@pytest.mark.trio\n\1", CHAT + OTHERS, flags=re.M), ini="")
    assert done.tells("6 passed"), done.output


def test_a_test_that_fails_fails_with_its_own_error_alone(run):
    done = run("""
async def test_it(autojump_clock, socketio_client):
    client = await socketio_client()
    await client.emit("stay")
    await client.expect("news", timeout=1)
""")
    assert done.tells("1 failed", "NotReceived: no event 'news' came within 1 s; no event is here"), done.output
    assert not done.tells("Cancelled"), done.output
    assert not done.tells("StillRunning"), done.output


def test_a_handler_that_fails_the_test_fails_it_although_the_client_expects_the_end(run):
    done = run("""
@pytest.fixture
def socketio_server():
    server = Server()

    @server.on("go")
    async def go(ctx):
        pytest.fail("this must not happen")

    return server

async def test_it(socketio_client):
    client = await socketio_client()
    await client.emit("go")
    assert await client.wait_disconnected() == "transport close"
""")
    assert done.tells("1 failed", "Failed: this must not happen"), done.output


def test_a_handler_that_never_ends_fails_the_test(run):
    done = run("""
async def test_it(autojump_clock, socketio_client, socketio_server):
    object.__setattr__(socketio_server.options, "disconnect_grace", None)
    client = await socketio_client()
    await client.emit("stay")
""")
    assert done.tells("1 failed", "StillRunning: the server has not finished with the client 60 s after it left"), (
        done.output
    )


def test_without_a_server_of_the_suite_the_message_says_what_to_do(run):
    done = run("""
del socketio_server

async def test_it(socketio_client):
    await socketio_client()
""")
    assert done.tells("1 error", "the fixture socketio_server does not know which server is tested: override it"), (
        done.output
    )


def test_without_pytest_trio_the_message_says_so(run):
    done = run(
        """
def test_it(socketio_client):
    pass
""",
        "-p",
        "no:trio",
        ini="",
    )
    assert done.tells("1 error", "the fixture socketio_client needs pytest-trio: pip install pytest-trio"), done.output


@pytest.mark.parametrize("ini", ["trio_mode = true", ""])
def test_a_test_that_is_not_one_of_trio_is_told_so(run, ini):
    done = run("def test_it(socketio_client): pass\n", ini=ini)
    assert done.tells("1 error", "Trio fixtures can only be used by Trio tests"), done.output


def test_a_suite_that_does_not_use_it_runs_without_pytest_trio(run):
    done = run("def test_it(): pass\n", "-p", "no:trio", ini="")
    assert done.tells("1 passed"), done.output


def test_fixtures_are_listed_with_what_they_do(run):
    done = run("", "--fixtures")
    assert done.tells("socketio_client", "Open test clients:", "socketio_server"), done.output


def test_the_plugin_itself_imports_nothing_of_the_package_nor_trio():
    path = Path(trio_socketio.testing.__file__).with_name("pytest_plugin.py")
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(path)!r})\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('trio', 'trio_socketio', 'h11', 'wsproto')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_brings_the_plugin():
    project = tomllib.loads((Path(__file__).parent.parent.parent / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"trio_socketio": MODULE}
