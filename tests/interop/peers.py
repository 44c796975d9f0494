"""Runs a server and a real client as processes, and lets the client's scenario control the server.

A scenario is a program that prints one JSON line per check (see js/harness.js). A failure shows what the scenario
printed and the log of the server. Every process is ended by its id, whatever happens.

`TRIO_SOCKETIO_REQUIRE_TOOLS=1` turns a missing tool from a skip into a failure: the continuous integration sets it.
`TRIO_SOCKETIO_INTEROP_SERVER` names another program to run as the server: a check that fails there too is itself wrong.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
PYTHON = (sys.executable,)
SERVER_APP = (*PYTHON, str(HERE / "server_app.py"))
DEMO = (*PYTHON, "-m", "trio_socketio", "demo")
LISTENING = re.compile(rb'^(?:{"port": ?|.* on http://127\.0\.0\.1:)(\d+)', re.MULTILINE)
"""The line with which a server says that it can be reached."""


def missing(what: str) -> NoReturn:
    """Skips the test because a tool is missing, or fails it where every tool must be there."""
    if os.environ.get("TRIO_SOCKETIO_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{what}, and TRIO_SOCKETIO_REQUIRE_TOOLS=1 forbids to skip the test", pytrace=False)
    pytest.skip(what)


def need_javascript_client() -> str:
    """The path of node; skips the test if node or the locked client is missing."""
    node = shutil.which("node")
    if node is None:
        missing("node is not installed")
    if not (NODE_MODULES / "socket.io-client").is_dir():
        missing("the JavaScript client is not installed (npm ci in tests/interop)")
    return node


class ServerProcess:
    """A server in a process of its own, started again on the same port as often as a scenario wants."""

    def __init__(self, log: Path, program: Sequence[str], arguments: Sequence[str] = ()) -> None:
        self.log = log
        self.program = tuple(program)
        self.arguments = tuple(arguments)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server and returns once it listens."""
        position = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.program, "--port", str(self.port), *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with self.log.open("rb") as log:
                log.seek(position)
                if found := LISTENING.search(log.read()):
                    self.port = int(found[1])
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the server did not start; its log:\n{self.text()}")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends the process without a chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Asks the process to end, as an operator would, and waits for it."""
        assert self._process is not None
        self._process.terminate()
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end within 10 s after SIGTERM; its log:\n{self.text()}") from None
        self._process = None
        assert status == 0, f"the server ended with status {status} after SIGTERM; its log:\n{self.text()}"

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def reports(self) -> list[dict[str, Any]]:
        """The JSON lines that the server has printed so far."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def reason(self, sid: str) -> str:
        """The reason that the disconnect handler of a sid saw; waits until it has run."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.reports():
                if line.get("disconnected") == sid:
                    return str(line["reason"])
            time.sleep(0.01)
        raise AssertionError(f"no disconnect handler ran for {sid} within 5 s")

    def control(self, action: str, argument: Any) -> Any:
        """What a scenario asks for with a `control` line."""
        match action:
            case "kill":
                self.kill()
            case "start":
                if self._process is None:
                    self.start()
            case "stop":
                self.stop()
            case "restart":
                self.kill()
                self.arguments = tuple(argument)
                self.start()
            case "pause":
                self.signal(signal.SIGSTOP)
            case "resume":
                self.signal(signal.SIGCONT)
            case "reason":
                return self.reason(argument)
            case "log":
                return self.reports()
            case _:
                raise AssertionError(f"a scenario asked for the unknown action {action!r}")
        return None


@contextmanager
def running_server(directory: Path, *arguments: str) -> Iterator[ServerProcess]:
    """The application of the scenarios, started; its process is gone when the block ends."""
    command = os.environ.get("TRIO_SOCKETIO_INTEROP_SERVER")
    program = shlex.split(command) if command else SERVER_APP
    with running(ServerProcess(directory / "server.log", program, arguments)) as app:
        yield app


@contextmanager
def running(server: ServerProcess) -> Iterator[ServerProcess]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def run_scenario(command: Sequence[str], server: ServerProcess, *, timeout: float = 100) -> None:
    """Runs a scenario to its end and fails with everything there is to see if one of its checks failed."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        cwd=HERE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(timeout, process.kill)
    watchdog.start()
    output: list[str] = []
    passed: list[str] = []
    failed: list[str] = []
    announced = None
    try:
        for line in process.stdout:
            output.append(line)
            result = parse(line)
            if "control" in result:
                try:
                    answer = server.control(result["control"], result.get("argument"))
                except AssertionError as error:
                    failed.append(f"control {result['control']}: {error}")
                    answer = None
                try:
                    process.stdin.write(json.dumps(answer) + "\n")
                except BrokenPipeError:
                    failed.append(f"control {result['control']}: the scenario ended before the answer")
            elif "check" in result:
                (passed if result["ok"] else failed).append(f"{result['check']}: {result.get('error')}")
            elif "done" in result:
                announced = result["done"]
        status = process.wait()
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    if not failed and announced != len(passed):
        failed.append(f"the scenario announced {announced} checks at its end and {len(passed)} passed")
    if not failed and (status != 0 or not passed):
        failed.append(f"the scenario ended with status {status} after {len(passed)} checks")
    if failed:
        pytest.fail(
            "\n\n".join(
                [
                    f"{len(failed)} failed, {len(passed)} passed: {shlex.join(command)}",
                    *failed,
                    f"--- what the scenario printed\n{tail(''.join(output))}",
                    f"--- the log of the server\n{tail(server.text())}",
                ]
            ),
            pytrace=False,
        )


def parse(line: str) -> dict[str, Any]:
    """The JSON object of a line, or an empty one if the line is something else (a stack trace, a warning)."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def tail(text: str, length: int = 8000) -> str:
    return text if len(text) <= length else f"[... {len(text) - length} characters ...]\n{text[-length:]}"
