"""examples/minimal_client.py as a process against a real server: what it prints, what it sends, and how little it is made of."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio_socketio.protocol import socketio

from trio_socketio import ConnectionRefused, Server

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "minimal_client.py"


class Stage:
    """A server on a real port, and what it heard."""

    def __init__(self, **options):
        self.frames = []
        self.left = []
        self.server = Server(**options, trace=lambda traced: self.frames.append((str(traced.sender), traced.frame)))
        self.server.on("disconnect", lambda ctx, reason: self.left.append(reason))
        self.server.on("echo", self._echo)

    async def _echo(self, ctx, *arguments):
        await ctx.emit("echo", *arguments)
        return arguments

    def said(self, who="client"):
        return [frame for sender, frame in self.frames if sender == who]

    async def run(self, *arguments, status=0):
        """Run the client until it ends; return what it printed, as pairs of a name and a value."""
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                (listener,) = await nursery.start(self.server.serve, "127.0.0.1", 0)
                url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
                command = [sys.executable, str(EXAMPLE), url, *arguments]
                done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
                nursery.cancel_scope.cancel()
        self.errors = done.stderr.decode()
        assert done.returncode == status, self.errors
        lines = [line.partition(" ") for line in done.stdout.decode().splitlines()]
        return [(name, json.loads(value)) for name, _, value in lines]


async def test_it_joins_emits_prints_and_leaves():
    stage = Stage()
    printed = await stage.run("echo", '"Ada"', '{"a": [1, null]}')
    (connect, sid), *rest = printed
    assert (connect, len(sid["sid"])) == ("CONNECT", 20)
    assert rest == [("EVENT", ["echo", "Ada", {"a": [1, None]}]), ("ACK", ["Ada", {"a": [1, None]}])]
    assert stage.said() == ["40", '420["echo","Ada",{"a":[1,null]}]', "41"]
    assert stage.left == ["client namespace disconnect"]
    assert stage.errors == ""


async def test_it_sends_and_receives_bytes():
    stage = Stage()
    printed = await stage.run("echo", "0x00ff10", "0x01")
    assert printed[1:] == [("BINARY_EVENT", ["echo", "0x00ff10", "0x01"]), ("BINARY_ACK", ["0x00ff10", "0x01"])]
    assert stage.said()[2:4] == [b"\x00\xff\x10", b"\x01"]


@pytest.mark.parametrize("size", [100, 125, 126, 200, 65_535, 65_536, 70_000])
async def test_it_writes_and_reads_lengths_of_every_form(size):
    overhead = len('420["echo",""]')
    text = "x" * (size - overhead)
    printed = await Stage().run("echo", json.dumps(text))
    assert printed[2] == ("ACK", [text])


async def test_it_joins_a_namespace_with_auth_or_is_refused():
    stage = Stage()
    room = stage.server.namespace("/room")

    @room.on("connect")
    async def connect(ctx, auth):
        if auth != {"token": "s3cret"}:
            raise ConnectionRefused("not authorized")

    @room.on("hello")
    async def hello(ctx, name):
        return f"hello {name}"

    auth = ("--namespace", "/room", "--auth", '{"token": "s3cret"}')
    assert (await stage.run(*auth, "hello", '"Ada"'))[1:] == [("ACK", ["hello Ada"])]
    assert stage.said()[-1] == "41/room,"
    refusal = [("CONNECT_ERROR", {"message": "not authorized"})]
    assert await stage.run("--namespace", "/room", "hello", '"Ada"') == refusal
    assert stage.said()[-1] == "40/room,"


async def test_it_answers_pings_while_it_waits():
    stage = Stage(ping_interval=0.1, ping_timeout=2)

    @stage.server.on("slow")
    async def slow(ctx):
        await trio.sleep(0.6)

    assert (await stage.run("slow"))[1:] == [("ACK", [])]
    assert stage.said().count("3") >= 3
    assert stage.said("server").count("2") - stage.said().count("3") <= 1


async def test_it_acknowledges_what_the_server_asks():
    stage = Stage()

    @stage.server.on("ask")
    async def ask(ctx):
        return await ctx.call("question")

    question, answer = (await stage.run("ask"))[1:]
    assert question == ("EVENT", ["question"])
    assert answer[0] == "ACK"
    assert socketio.Decoder().feed(stage.said()[2][1:]).type is socketio.PacketType.ACK


async def test_it_leaves_when_the_server_disconnects_it():
    stage = Stage()
    stage.server.on("bye", lambda ctx: ctx.server.namespace("/").disconnect(ctx.sid))
    assert (await stage.run("bye"))[1:] == [("DISCONNECT", None)]


async def test_it_says_why_there_is_no_websocket():
    stage = Stage(transports=["polling"])
    await stage.run("echo", status=1)
    assert stage.errors.startswith("the server refuses: HTTP/1.1 400")
    assert stage.errors.endswith('{"code":0,"message":"Transport unknown"}\n')


async def test_it_says_with_what_code_the_server_closes():
    stage = Stage(max_payload=100)
    await stage.run("echo", json.dumps("x" * 100), status=1)
    assert stage.errors == "the server closes with code 1009\n"


def test_it_says_that_there_is_no_server():
    done = subprocess.run([sys.executable, str(EXAMPLE), "http://127.0.0.1:1", "echo"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Connection refused" in done.stderr


def test_it_is_one_page_of_the_standard_library_and_the_codec():
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) < 120
    assert max(map(len, text.splitlines())) <= 120
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    ours = {name for name in imported if name.startswith("trio")}
    assert {name.rpartition(".")[0] if name.count(".") > 1 else name for name in ours} == {"trio_socketio.protocol"}
    assert {name.split(".")[0] for name in imported - ours} <= sys.stdlib_module_names
