"""An application's own `server.py`, `protocol.py`, `engine/`, `rooms/` and `conformance.py` never meet those of the library."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio
from trio_socketio.conformance.peer import Peer

import trio_socketio

ROOT = Path(__file__).parent.parent
START = 60.0
"""Seconds for a process to begin, on a slow machine."""

MODULES = {
    "server.py": "import protocol\nfrom rooms import lobby\ndef greet(name): return protocol.frame(name, lobby.NAME)\n",
    "protocol.py": "def frame(name, room): return {'greeting': f'{name} in {room}', 'by': __name__}\n",
    "engine/__init__.py": "",
    "engine/session.py": "",
    "rooms/__init__.py": "",
    "rooms/lobby.py": "NAME = 'the lobby of the application'\n",
    "conformance.py": "",
}
"""The modules of the application, by file; each has the name of a folder of the library."""

PROGRAM = """
import sys

import conformance
import engine.session
import protocol
import rooms.lobby
import server
import trio

from trio_socketio import Server, emit, join_room

sio = Server()


@sio.on("connect")
async def connect(ctx, auth):
    await join_room(rooms.lobby.NAME)


@sio.on("greet")
async def greet(ctx, name):
    await emit("greeted", name, to=rooms.lobby.NAME)
    return server.greet(name)


@sio.on("origins")
def origins(ctx):
    return {name: module.__file__ for name, module in sorted(sys.modules.items()) if getattr(module, "__file__", None)}


async def main():
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(sio.serve, "127.0.0.1", 0)
        print(listener.socket.getsockname()[1], flush=True)


trio.run(main)
"""

NAMES = {"server", "protocol", "engine", "rooms", "conformance"}


@pytest.fixture
def application(tmp_path):
    """An application with its modules; return its program."""
    for name, text in {**MODULES, "main.py": PROGRAM}.items():
        path = tmp_path / "application" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "application" / "main.py"


def environment(**variables):
    """Return the environment of a process that finds only what it is told to."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, **variables}


async def visit(application, variables):
    """Run the application and be one client of it; return what it answers to ``greet``, and where its modules come from."""
    process = await trio.lowlevel.open_process(
        [sys.executable, str(application)], stdout=-1, cwd=application.parent, env=environment(**variables)
    )
    try:
        line = b""
        with trio.fail_after(START):
            while b"\n" not in line:
                chunk = await process.stdout.receive_some()
                assert chunk, "the application has ended"
                line += chunk
            port = int(line)
            peer = Peer(partial(trio.open_tcp_stream, "127.0.0.1", port), "/socket.io/", f"127.0.0.1:{port}")
            client = await peer.join()
            await client.emit("greet", "ada", id=1)
            assert await client.event() == ["greeted", "ada"]
            (answer,) = (await client.receive()).data
            await client.emit("origins", id=2)
            (origins,) = (await client.receive()).data
            await client.transport.hang_up()
    finally:
        process.kill()
        await process.wait()
        await process.stdout.aclose()
    return answer, {name: Path(file) for name, file in origins.items()}


def check(application, answer, origins, installed):
    """See that everybody's modules are their own."""
    assert answer == {"greeting": "ada in the lobby of the application", "by": "protocol"}
    for name in NAMES | {"engine.session", "rooms.lobby"}:
        assert application.parent in origins[name].parents, f"{name} is not the application's"
    library = {name: file for name, file in origins.items() if name.partition(".")[0] == "trio_socketio"}
    assert {f"trio_socketio.{name}" for name in NAMES - {"conformance"}} <= library.keys()
    assert all(installed in file.parents for file in library.values())
    assert not [name for name in library if application.parent in library[name].parents]


async def test_it_embeds_the_library_as_it_is_installed_here(application):
    """In the checkout that is the editable install, which maps names to folders by a finder of its own."""
    answer, origins = await visit(application, {})
    home = Path(trio_socketio.__file__).parent
    check(application, answer, origins, ROOT if home == ROOT / "trio_socketio" else home)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A folder into which the library was installed as any application installs it, without what it depends on."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("tests/"):  # whatever else lies in the checkout
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    folder = tmp_path_factory.mktemp("target")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--target"]
    done = subprocess.run([*pip, str(folder), str(source)], capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    return folder


async def test_it_embeds_an_installed_wheel(application, target):
    """`PYTHONPATH` comes before what is installed, so the finder of an editable install has no say, or would show itself."""
    answer, origins = await visit(application, {"PYTHONPATH": str(target)})
    check(application, answer, origins, target)


def test_nothing_is_installed_below_a_name_that_is_not_the_library_s(target):
    installed = {path.name for path in target.iterdir() if path.name != "bin"}
    assert {name for name in installed if not name.endswith(".dist-info")} == {"trio_socketio"}
