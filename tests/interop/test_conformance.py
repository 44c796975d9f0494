"""The conformance suite over real sockets: our server passes every case, and Node's fails those that are known and no others."""

import json
import shutil
from pathlib import Path

import pytest
from interop import peers

from trio_socketio.cli import main

FIXTURES = Path(__file__).parents[2] / "conformance" / "fixtures"
OURS = (*peers.PYTHON, "-m", "trio_socketio", "conformance", "serve")
ECHO = (*OURS, "--engine-only")
pytestmark = pytest.mark.alone


@pytest.mark.parametrize(("program", "options"), [(OURS, []), (ECHO, ["--engine-only"])], ids=["socketio", "engine"])
def test_our_server_passes_every_case(program, options, tmp_path, capsys):
    report = tmp_path / "report.json"
    with peers.running(peers.ServerProcess(tmp_path / "server.log", program)) as server:
        status = main(["conformance", server.url, "--jobs", "16", "--json", str(report), *options])
    found = json.loads(report.read_text())
    failed = [case["id"] for case in found["cases"] if case["outcome"] == "failed"]
    assert (status, failed) == (0, []), capsys.readouterr().out
    assert found["complete"]
    if not options:
        assert found["counts"]["skipped"] == 0


def test_node_deviates_where_it_is_known_to(tmp_path, capsys):
    node = shutil.which("node")
    if node is None:
        peers.missing("node is not installed")
    if not (FIXTURES / "node" / "node_modules" / "socket.io").is_dir():
        peers.missing("Node's server is not installed (npm ci in conformance/fixtures/node)")
    program = (node, str(FIXTURES / "node" / "server.js"))
    with peers.running(peers.ServerProcess(tmp_path / "server.log", program)) as server:
        status = main(["conformance", server.url, "--expect", str(FIXTURES / "node" / "deviations.txt")])
    assert status == 0, capsys.readouterr().out
