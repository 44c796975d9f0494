"""The official JavaScript client against our server; the checks are in js/."""

from pathlib import Path

import pytest
from interop import peers

SCENARIOS = ["connect", "events", "binary", "rooms", "disconnect", "ordering", "reconnect"]
TRANSPORTS = ["websocket", "polling", "upgrade", "upgraded"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_javascript_client_is_at_home(scenario: str, transport: str, tmp_path: Path) -> None:
    node = peers.need_javascript_client()
    with peers.running_server(tmp_path) as server:
        peers.run_scenario([node, f"js/{scenario}.js", server.url, transport], server)


def test_every_scenario_of_the_folder_is_run() -> None:
    assert sorted(path.stem for path in (peers.HERE / "js").glob("*.js")) == sorted([*SCENARIOS, "harness"])
