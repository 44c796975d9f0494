"""A plugin of pytest with two fixtures, for tests that pytest-trio runs.

``socketio_server`` is the server under test: override it. ``socketio_client`` opens clients of it::

    @pytest.fixture
    def socketio_server():
        return make_server()

    async def test_chat(socketio_client):
        anna = await socketio_client(auth={"name": "anna"})
        ben = await socketio_client(transport="polling")

pytest loads this in every environment that has the package, also where it is not used. By itself it imports nothing but pytest;
Python imports the package around it, which takes about a quarter of a second beside trio.
"""

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.testing.clients import ClientFactory


@pytest.fixture
def socketio_server() -> "Server":
    """Return the server that ``socketio_client`` connects to; a test suite overrides this fixture with its own."""
    pytest.fail(
        "the fixture socketio_server does not know which server is tested: override it in a conftest.py or a test module "
        "with a fixture of the same name that returns a Server",
        pytrace=False,
    )


@pytest.fixture
def _socketio_needs_trio(request: pytest.FixtureRequest) -> None:
    """See that somebody runs async fixtures in trio."""
    plugin = sys.modules.get("pytest_trio.plugin")
    if plugin is None or not request.config.pluginmanager.is_registered(plugin):
        pytest.fail("the fixture socketio_client needs pytest-trio: pip install pytest-trio", pytrace=False)


async def _socketio_client(_socketio_needs_trio: None, socketio_server: "Server") -> "AsyncIterator[ClientFactory]":
    """Open test clients: ``client = await socketio_client(namespace="/", auth=None, ...)``, as `open_test_client` does.

    When the test has ended, all of them leave, and the server, which is served in memory meanwhile, is shut down.
    """
    from trio_socketio.testing.clients import open_clients  # noqa: PLC0415  # only when it is used

    async with open_clients(socketio_server) as factory:
        yield factory


# What pytest_trio.trio_fixture does: pytest-trio then says so if a test that is none of its own asks for this fixture.
_socketio_client.__dict__["_force_trio_fixture"] = True
socketio_client = pytest.fixture(_socketio_client, name="socketio_client")
