"""The python-socketio client, asyncio and threaded, against our server; the checks are in python/."""

import sys
from pathlib import Path

import pytest
from interop import peers

SCENARIOS = ["talk", "reconnect"]


@pytest.mark.parametrize("transport", ["websocket", "polling", "upgrade"])
@pytest.mark.parametrize("flavour", ["async", "sync"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_python_client_is_at_home(scenario: str, flavour: str, transport: str, tmp_path: Path) -> None:
    # The threaded client may leave without a word (its writer ends before it has sent the close), and then waits for its
    # GET to be answered: the next ping does that.
    with peers.running_server(tmp_path, "--ping-interval", "3") as server:
        peers.run_scenario([sys.executable, f"python/{scenario}.py", server.url, transport, flavour], server)


def test_every_scenario_of_the_folder_is_run() -> None:
    assert sorted(path.stem for path in (peers.HERE / "python").glob("*.py")) == sorted([*SCENARIOS, "harness"])
