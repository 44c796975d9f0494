"""Every block of code in README.md and below docs/ is run by a test: here, or by the module that `ELSEWHERE` names.

A block in Python is executed in a fresh namespace; if it awaits something, in a handler, with ``ctx``. What a page takes for
granted stands in `GIVEN`. Commands are read by the program that they are for. A block of any other kind, and a page that is a
program to be followed, has a test module of its own, which names the page. So a new page, or a new kind of block, fails here
until somebody runs it.
"""

import ast
import importlib.util
import inspect
import json
import logging
import re
import shlex
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trio
from interop import peers
from trio_socketio.conformance import cases as _  # noqa: F401  # fills the register
from trio_socketio.conformance.case import REGISTER
from trio_socketio.conformance.expectations import read_expectations

from trio_socketio import Server, cli
from trio_socketio.testing import open_test_client

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<kind>\S*)(?: title=\"(?P<title>[^\"]+)\")?(?: .*)?\n(?P<text>.*?)^(?P=indent)``` *$",
    re.S | re.M,
)

ELSEWHERE = {
    ("docs/wire-format.md", "*"): "tests/docs/test_wire_format.py",
    ("docs/tutorial/*.md", "*"): "tests/docs/test_tutorial.py",
    ("docs/testing.md", "*"): "tests/docs/test_testing.py",
    ("docs/deploying.md", "ini"): "tests/docs/test_deploying.py",
    ("docs/deploying.md", "nginx"): "tests/docs/test_deploying.py",
    ("docs/deploying.md", "caddyfile"): "tests/docs/test_deploying.py",
    ("docs/listeners.md", "ini"): "tests/docs/test_listeners.py",
    ("docs/listeners.md", "nginx"): "tests/docs/test_listeners.py",
    ("docs/listeners.md", "sh"): "tests/docs/test_listeners.py",
    ("docs/listeners.md", "javascript"): "tests/docs/test_listeners.py",
    ("docs/observing.md", ""): "tests/docs/test_observing.py",
    ("docs/observing.md", "yaml"): "tests/docs/test_every_block.py",
    ("docs/asgi.md", "console"): "tests/docs/test_every_block.py",
    ("docs/index.md", "javascript"): "tests/docs/test_every_block.py",
    ("docs/conformance.md", "yaml"): "tests/docs/test_every_block.py",
    ("docs/conformance.md", "text"): "tests/docs/test_every_block.py",
}
"""Who runs the blocks of a page that are of a kind; ``*``: of every kind."""

FOREIGN = {"Flask-SocketIO", "python-socketio"}
"""Titles of blocks for other libraries, which need not be installed; that they are correct Python is all that is looked at."""

GIVEN = {
    "docs/handlers.md": """
        import re
        from trio_socketio import ConnectionRefused, Namespace, Server
        server = Server()
        async def handler(ctx): ...
        async def find_user(auth, headers): ...
    """,
    "docs/emit-rules.md": "from trio_socketio import emit\nevent, args = 'event', ()",
    "docs/limits.md": "x = y = 1",
}
"""What the prose of a page has introduced, or leaves to its readers."""

PROGRAMS = {"make", "pip-audit", "python3", "venv/bin/pip"}
"""What else may be typed; `test_a_command_can_be_typed` says what is checked."""


class Block:
    def __init__(self, path, match):
        text = match.string
        self.page = path.relative_to(ROOT).as_posix()
        self.line = text[: match.start()].count("\n") + 1
        self.kind = match["kind"]
        self.title = match["title"]
        self.text = textwrap.dedent(match["text"])

    def __repr__(self):
        return f"{self.page}:{self.line}"

    @property
    def elsewhere(self):
        found = [
            module
            for (page, kind), module in ELSEWHERE.items()
            if Path(self.page).match(page) and kind in ("*", self.kind)
        ]
        return found[0] if found else None


BLOCKS = [Block(path, match) for path in PAGES for match in FENCE.finditer(path.read_text())]


def blocks_here(kind):
    return [pytest.param(each, id=repr(each)) for each in BLOCKS if each.kind == kind and each.elsewhere is None]


# Nothing is passed over.


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_block_is_passed_over(path):
    text = path.read_text()
    blocks = [each for each in BLOCKS if each.page == path.relative_to(ROOT).as_posix()]
    fences = len(re.findall(r"^ *(?:```|~~~)", text, re.M))
    assert fences == 2 * len(blocks), "a fence is opened in a way that this test does not know"
    for each in blocks:
        if each.kind == "":
            drawn = "─" in each.text
            assert drawn or each.elsewhere is not None, f"{each!r} has no language, and is no drawing"
        else:
            assert each.kind in ("python", "console") or each.elsewhere is not None, (
                f"nobody runs {each!r}, {each.kind}"
            )


@pytest.mark.parametrize(
    ("key", "module"), ELSEWHERE.items(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else None
)
def test_a_module_that_runs_blocks_elsewhere_reads_their_page(key, module):
    page, kind = key
    text = (ROOT / module).read_text()
    found = [each for each in BLOCKS if Path(each.page).match(page) and kind in ("*", each.kind)]
    assert found, "there is no such block any more"
    assert f"docs/{page.removesuffix('/*.md').removeprefix('docs/')}" in text
    assert kind == "*" or f'"{kind}"' in text or f"```{kind}" in text, (
        f"{module} does not look for blocks of the kind {kind!r}"
    )


# Python.


@pytest.fixture
def levels():
    """Put back the levels that an example of logging sets."""
    loggers = [logging.getLogger(name) for name in ("trio_socketio", "trio_socketio.http")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("block", blocks_here("python"))
async def test_a_block_of_python_runs(block, levels, tmp_path, monkeypatch, autojump_clock):
    code = compile(block.text, repr(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if block.title in FOREIGN:
        return
    for package in imported(block.text) - {"trio_socketio"}:
        if importlib.util.find_spec(package) is None:
            peers.missing(f"{package} is not installed")
    (tmp_path / "public").mkdir()
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "block", "__file__": str(tmp_path / "block.py")}
    exec(textwrap.dedent(GIVEN.get(block.page, "")), names)
    ran = eval(code, names) if not awaits(code) else await in_a_handler(code, names)
    assert ran is None


def imported(text):
    """Return the packages that a program imports."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return names


def awaits(code):
    return bool(code.co_flags & inspect.CO_COROUTINE)


async def in_a_handler(code, names):
    """Run code that awaits as if it stood in the handler of an event; ``ctx`` is its context."""
    server = Server()
    ended = trio.Event()

    @server.on("run")
    async def run(ctx):
        await eval(code, {**names, "ctx": ctx})
        ended.set()

    async with open_test_client(server) as client:
        await client.emit("run")
        with trio.fail_after(5):
            await ended.wait()


# Commands.


def commands(text):
    """Return what is typed in a block of a console, without what is printed; a command may go on after a backslash."""
    return [line.replace("\\\n", " ") for line in re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, re.M)]


@pytest.mark.parametrize("block", blocks_here("console"))
def test_a_command_can_be_typed(block):
    typed = commands(block.text)
    assert typed
    for command in typed:
        program, *words = shlex.split(command.removesuffix("&"), comments=True)
        if program == "trio-socketio":
            serving = words[:2] == ["conformance", "serve"]
            (cli._serve_parser() if serving else cli.parser()).parse_args(words[2:] if serving else words)
        elif program == "make":
            assert all(f"\n{word}:" in (ROOT / "Makefile").read_text() for word in words)
        elif program in ("python", "python3", "venv/bin/python") and words[:1] != ["-m"]:
            assert (ROOT / words[0]).is_file(), command
        else:
            assert program in PROGRAMS, f"{block!r}: nothing is known about {command!r}"


def test_the_steps_for_continuous_integration_can_be_typed():
    (block,) = [each for each in BLOCKS if (each.page, each.kind) == ("docs/conformance.md", "yaml")]
    server, judge = re.findall(r"^- run: (.*)$", block.text, re.M)
    assert shlex.split(server)[:2] == ["node", "server.js"]
    assert (ROOT / "conformance" / "fixtures" / "node" / "server.js").is_file()
    options = cli.parser().parse_args(shlex.split(judge)[1:])
    assert (options.junit, options.html) == (
        options.junit.__class__("conformance.xml"),
        options.html.__class__("conformance.html"),
    )


def test_the_configuration_for_prometheus_can_be_read():
    (block,) = [each for each in BLOCKS if (each.page, each.kind) == ("docs/observing.md", "yaml")]
    (job,) = pytest.importorskip("yaml").safe_load(block.text)["scrape_configs"]
    assert {"job_name", "scheme", "authorization", "static_configs"} <= set(job)


def test_the_deviations_are_cases_that_there_are():
    (block,) = [each for each in BLOCKS if (each.page, each.kind) == ("docs/conformance.md", "text")]
    assert len(read_expectations(block.text.splitlines(), REGISTER, repr(block))) == 2


# docs/asgi.md: its first program is served by its command.


def test_the_first_program_of_the_asgi_page_is_served_by_its_command(tmp_path):
    for package in ("hypercorn", "starlette"):
        if importlib.util.find_spec(package) is None:
            peers.missing(f"{package} is not installed")
    program, console = (
        next(each.text for each in BLOCKS if (each.page, each.kind) == ("docs/asgi.md", kind))
        for kind in ("python", "console")
    )
    install, serve = commands(console)
    assert install.split() == ["pip", "install", "hypercorn", "starlette"]
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    (tmp_path / "chat.py").write_text(program)
    command = [sys.executable, "-m", *shlex.split(serve.replace("3000", str(port)))]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while "Running on" not in (tmp_path / "log").read_text():
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.05)
            request = urllib.request.Request(f"http://127.0.0.1:{port}/announce", method="POST")
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer) == {"reached": 0}
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling", timeout=60
            ) as answer:
                assert answer.read().startswith(b'0{"sid"')
        finally:
            process.terminate()


# README.md and docs/index.md: whoever runs the first program sees why a page is refused.


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_terminal_of_the_first_program_says_why_a_page_is_refused(page, tmp_path):
    program = next(each.text for each in BLOCKS if (each.page, each.kind) == (page, "python"))
    (tmp_path / "chat.py").write_text(program.replace("3000", "0"))
    with subprocess.Popen(
        [sys.executable, "-u", "chat.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            url = process.stdout.readline().removeprefix("serving on ").strip()
            for path, headers, status in [
                ("/", {}, 404),
                ("/socket.io/?EIO=4&transport=polling", {"Origin": "http://localhost:5173"}, 403),
            ]:
                with pytest.raises(urllib.error.HTTPError) as caught:
                    urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=60)
                caught.value.close()
                assert caught.value.code == status
        finally:
            process.terminate()
        shown = process.stdout.read()
    assert re.search(r'^INFO:trio_socketio\.http:refused .*cors_allowed_origins="http://localhost:5173"', shown, re.M)


# docs/index.md: its two programs talk to each other.


async def test_the_smallest_program_and_the_official_client_understand_each_other(tmp_path):
    node = peers.need_javascript_client()
    program, client = (
        next(each.text for each in BLOCKS if (each.page, each.kind) == ("docs/index.md", kind))
        for kind in ("python", "javascript")
    )
    names = {"__name__": "block"}
    exec(program, names)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(names["server"].serve, "127.0.0.1", 0)
        port = listener.socket.getsockname()[1]
        script = (
            f"const {{ io }} = require({json.dumps(str(peers.NODE_MODULES / 'socket.io-client'))});"
            f"(async () => {{ {client.replace('3000', str(port))}\n console.log(answer); socket.close(); }})();"
        )
        with trio.fail_after(60):
            done = await trio.run_process([node, "-e", script], capture_stdout=True)
        assert done.stdout.decode().splitlines() == ["hello", "delivered"]
        nursery.cancel_scope.cancel()
