"""Real clients, and the conformance suite, against our server in Hypercorn's trio worker, with another application beside it."""

import json
import re
import shlex
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from interop import peers
from trio_socketio.conformance.peer import frame

from trio_socketio.cli import main

ROOT = Path(__file__).parents[2]
APP = (*peers.PYTHON, str(peers.HERE / "asgi_app.py"))
PAGE = ROOT / "docs" / "asgi.md"

SCENARIOS = ["connect", "events", "binary", "rooms", "disconnect", "ordering", "reconnect"]
RUNS = [
    *[("starlette", scenario, "upgrade") for scenario in SCENARIOS],
    *[("starlette", "events", transport) for transport in ("websocket", "polling", "upgraded")],
    *[("quart", scenario, "upgrade") for scenario in ("events", "disconnect")],
]
"""What Starlette and Quart do differently concerns the beginning and the end; an upgrade is both transports."""


def hosted(directory: Path, *arguments: str) -> peers.ServerProcess:
    return peers.ServerProcess(directory / "server.log", (*APP, *arguments))


def fetch(url: str, *, method: str = "GET") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(("other", "scenario", "transport"), RUNS)
def test_the_javascript_client_is_at_home(other: str, scenario: str, transport: str, tmp_path: Path) -> None:
    node = peers.need_javascript_client()
    with peers.running(hosted(tmp_path, "--other", other)) as server:
        peers.run_scenario([node, f"js/{scenario}.js", server.url, transport], server)


@pytest.mark.parametrize("transport", ["upgrade"])
def test_the_python_client_is_at_home(transport: str, tmp_path: Path) -> None:
    with peers.running(hosted(tmp_path, "--other", "starlette", "--ping-interval", "3")) as server:
        peers.run_scenario([sys.executable, "python/talk.py", server.url, transport, "async"], server)


@pytest.mark.parametrize(("other", "name"), [("starlette", "Starlette"), ("quart", "Quart")])
def test_the_other_application_starts_answers_and_stops(other: str, name: str, tmp_path: Path) -> None:
    with peers.running(hosted(tmp_path, "--other", other)) as server:
        assert fetch(f"{server.url}/hello/ada") == f"hello from {name}, ada"
        assert fetch(f"{server.url}/socket.io/?EIO=4&transport=polling").startswith("0{")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetch(f"{server.url}/socket.io/x")
        assert shouted(server.port, "hello") == b"HELLO"
        server.stop()
        assert [line["other"] for line in server.reports() if "other" in line] == ["started", "stopped"]
        assert "Error" not in server.text()


def opening(target: str, more: bytes = b"") -> bytes:
    head = (
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return head.encode() + more


def shouted(port: int, text: str) -> bytes:
    """What the WebSocket of the other application answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as stream:
        connection.sendall(opening("/shout"))
        while stream.readline().strip():
            pass
        connection.sendall(frame(1, text.encode()))
        head = stream.read(2)
        return stream.read(head[1])


def test_clients_are_told_that_the_host_shuts_down(tmp_path: Path) -> None:
    with peers.running(hosted(tmp_path)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            stream = connection.makefile("rb")
            connection.sendall(opening("/socket.io/?EIO=4&transport=websocket"))
            while stream.readline().strip():
                pass
            connection.sendall(frame(1, b"40"))
            for _ in range(3):  # the open packet, the answer to CONNECT, and what the application greets with
                head = stream.read(2)
                size = int.from_bytes(stream.read(2)) if head[1] == 126 else head[1]
                text = stream.read(size)
            sid = json.loads(text[2:])[1]["sid"]
            server.stop()
            assert stream.read(4) == b"\x88\x02\x03\xe9"  # a Close frame with code 1001
            stream.close()
        assert server.reason(sid) == "server shutting down"


@pytest.mark.parametrize("target", ["/socket.io/?EIO=4&transport=websocket", "/socket.io/?EIO=3", "/shout"])
def test_frames_right_behind_the_opening_handshake_do_not_end_the_host(target: str, tmp_path: Path) -> None:
    with peers.running(hosted(tmp_path, "--other", "starlette")) as server:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(opening(target, frame(9, b"early") * 3))
                assert connection.recv(12) == b"HTTP/1.1 400"
        assert fetch(f"{server.url}/socket.io/?EIO=4&transport=polling").startswith("0{")
        server.stop()


@pytest.mark.parametrize("example", ["asgi_starlette", "asgi_quart"])
@pytest.mark.parametrize("way", ["python", "hypercorn"])
def test_the_examples_run(example: str, way: str, tmp_path: Path) -> None:
    node = peers.need_javascript_client()
    program = (*peers.PYTHON, str(ROOT / "examples" / f"{example}.py"))
    if way == "hypercorn":
        command = [
            *peers.PYTHON,
            "-m",
            "hypercorn",
            "-k",
            "trio",
            "-b",
            "127.0.0.1:0",
            f"{ROOT}/examples/{example}:app",
        ]
        program = ("sh", "-c", f"exec {shlex.join(command)}")  # and what a `ServerProcess` adds is for the shell
    with peers.running(peers.ServerProcess(tmp_path / "server.log", program)) as server:
        peers.run_scenario([node, str(peers.HERE / "asgi_chat.js"), server.url], server)
        server.stop()


@pytest.mark.alone
@pytest.mark.timeout(500)
@pytest.mark.parametrize("kind", ["socketio", "engine"])
def test_the_suite_passes_but_for_what_is_known(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    options = ["--engine-only"] if kind == "engine" else []
    with peers.running(hosted(tmp_path, "--fixture", kind)) as server:
        main(["conformance", server.url, "--max-wait", "30", "--json", str(report), *options])
        server.stop()
    found = json.loads(report.read_text())
    failed = {case["id"] for case in found["cases"] if case["outcome"] == "failed"}
    assert found["complete"]
    assert failed == known(), capsys.readouterr().out


def known() -> set[str]:
    """The cases that docs/asgi.md says do not hold."""
    rows = re.findall(r"^\| `((?:eio|sio|robust)\.[\w.-]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows)) > 0
    return set(rows)
