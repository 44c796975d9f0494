"""examples/flask_before.py and flask_after.py: the same client sees no difference."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from examples.programs import process
from interop.peers import missing, running

CLIENT = Path(__file__).parent / "flask_client.py"


def transcript(name, directory):
    """What was said to an example, line by line."""
    with running(process(name, directory)) as server:
        try:
            client = subprocess.run(
                [sys.executable, str(CLIENT), server.url], capture_output=True, text=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired as hung:
            pytest.fail(
                f"the client hangs; it said\n{hung.stdout}\nthe log of the server\n{server.text()}", pytrace=False
            )
        if client.returncode != 0:
            pytest.fail(
                f"the client failed; it said\n{client.stdout}{client.stderr}\nthe log of the server\n{server.text()}",
                pytrace=False,
            )
    return client.stdout.splitlines()


def test_the_client_sees_no_difference(tmp_path):
    if importlib.util.find_spec("flask_socketio") is None:
        missing("Flask-SocketIO is not installed (pip install flask-socketio simple-websocket)")
    before = transcript("flask_before", tmp_path)
    after = transcript("flask_after", tmp_path)
    assert len(before) > 30
    assert after == before
