"""The servers that the published protocol suites expect, made with trio-socketio.

``python -m trio_socketio.conformance.fixture socketio --port 3000`` (or ``engine``) runs one; `socketio_fixture` and
`engine_fixture` make them for a program's own use.
"""

import argparse
import sys
from collections.abc import Sequence

import trio
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.net.live import Consumer, Live

from trio_socketio import CloseReason, Context, Server
from trio_socketio.program import port_number, run

PING_INTERVAL = 0.3
PING_TIMEOUT = 0.2
CONNECT_TIMEOUT = 1.0
MAX_PAYLOAD = 1_000_000
SHUTDOWN_GRACE = 1.0


def socketio_fixture() -> Server:
    """Return the server of the Socket.IO suite.

    Namespaces ``/`` and ``/custom``. On connect it emits ``auth`` with what the client sent (``{}`` for nothing). In
    ``/`` the event ``message`` is answered by ``message-back`` with the same arguments, and ``message-with-ack`` is
    acknowledged with them.
    """
    server = Server(
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        connect_timeout=CONNECT_TIMEOUT,
        max_payload=MAX_PAYLOAD,
        shutdown_grace=SHUTDOWN_GRACE,
        cors_allowed_origins="*",
    )

    async def connect(ctx: Context, auth: JSON) -> None:
        await ctx.emit("auth", auth or {})

    server.on("connect", connect)
    server.on("connect", connect, namespace="/custom")

    @server.on("message")
    async def message(ctx: Context, *args: JSON) -> None:
        await ctx.emit("message-back", *args)

    @server.on("message-with-ack")
    async def message_with_ack(_ctx: Context, *args: JSON) -> tuple[JSON, ...]:
        await trio.lowlevel.checkpoint()
        return args

    return server


class Echo:
    """Sends every message of a session back: a `Consumer` for which nothing is ever due and which is never full."""

    next_deadline: float | None = None
    full: bool = False

    def __init__(self, live: Live) -> None:
        self._live = live

    def receive(self, frame: str | bytes) -> None:
        """Send a message back."""
        self._live.send(Outbound.message([frame]))

    def closed(self, reason: CloseReason) -> None:
        """Nothing is left to do."""

    def tick(self, now: float) -> None:
        """Nothing is ever due."""

    async def ready(self) -> None:
        """There is always room: what an echo keeps, the session bounds."""
        await trio.lowlevel.checkpoint()


class EngineFixture(Server):
    """The server of the Engine.IO suite: it speaks Engine.IO alone and echoes every message, text or binary."""

    def consume(self, live: Live, handshake: Handshake, now: float) -> Consumer:  # noqa: ARG002  # an echo needs to know nothing
        """Return the echo of a new session."""
        return Echo(live)


def engine_fixture() -> EngineFixture:
    """Return the server of the Engine.IO suite, at ``/engine.io/``."""
    return EngineFixture(
        path="/engine.io/",
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        max_payload=MAX_PAYLOAD,
        shutdown_grace=SHUTDOWN_GRACE,
        cors_allowed_origins="*",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a fixture until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m trio_socketio.conformance.fixture", description=__doc__)
    parser.add_argument("suite", choices=["socketio", "engine"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port_number, default=3000, help="0 for any free port")
    options = parser.parse_args(arguments)
    server = socketio_fixture() if options.suite == "socketio" else engine_fixture()

    return run(server, options.host, options.port, f"{options.suite} fixture on {{url}}")


if __name__ == "__main__":
    sys.exit(main())
