"""Testing an application of trio-socketio: a client that reaches a server in memory.

::

    from trio_socketio.testing import open_test_client

    async def test_chat(autojump_clock):
        async with open_test_client(server) as anna, open_test_client(server) as ben:
            assert await anna.call("chat", "hello") == "delivered"
            assert (await ben.expect("chat")).args == ("hello",)

What arrives at the server went through its own HTTP and WebSocket code; only the network is missing.
"""

from trio_socketio.testing.client import MemoryClient as MemoryClient
from trio_socketio.testing.clients import ClientFactory as ClientFactory
from trio_socketio.testing.errors import ConnectError as ConnectError
from trio_socketio.testing.errors import ConnectionGone as ConnectionGone
from trio_socketio.testing.errors import HandshakeRefused as HandshakeRefused
from trio_socketio.testing.errors import NotReceived as NotReceived
from trio_socketio.testing.errors import StillRunning as StillRunning
from trio_socketio.testing.events import Event as Event
from trio_socketio.testing.http import Response as Response
from trio_socketio.testing.http import request as request
from trio_socketio.testing.memory import MemoryService as MemoryService
from trio_socketio.testing.memory import serve_in_memory as serve_in_memory
from trio_socketio.testing.opening import open_test_client as open_test_client
