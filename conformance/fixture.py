"""The servers that this suite and the published ones expect, made with trio-socketio.

`socketio_fixture` is the one of ``docs/conformance.md``, which includes what the published Socket.IO suite needs;
`engine_fixture` speaks Engine.IO alone and echoes. ``trio-socketio conformance serve`` runs them.
"""

import argparse
from collections.abc import Awaitable, Callable

import trio
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.namespace import Namespace
from trio_socketio.server.net.live import Consumer, Live

from trio_socketio import CloseReason, ConnectionRefused, Context, Request, Server
from trio_socketio.program import port_number, run

PING_INTERVAL = 0.3
PING_TIMEOUT = 0.2
CONNECT_TIMEOUT = 1.0
UPGRADE_TIMEOUT = 1.0
MAX_PAYLOAD = 1_000_000
MAX_ATTACHMENTS = 64  # more than the default, for a case that sends twelve
SHUTDOWN_GRACE = 1.0

CONTRACT = 1
"""The version of the contract in ``docs/conformance.md`` that is kept here."""

NAMESPACES = ("/", "/custom", "/broadcast")
"""All with the same events. Cases that emit to everyone use the last one, so that they disturb no others."""

WATCHERS = "watchers"
"""The room of those who are told when others leave."""


def socketio_fixture() -> Server:
    """Return the server of ``docs/conformance.md``: its events in each of its namespaces."""
    server = Server(
        ping_interval=PING_INTERVAL,
        ping_timeout=PING_TIMEOUT,
        connect_timeout=CONNECT_TIMEOUT,
        upgrade_timeout=UPGRADE_TIMEOUT,
        max_payload=MAX_PAYLOAD,
        max_attachments=MAX_ATTACHMENTS,
        shutdown_grace=SHUTDOWN_GRACE,
        cors_allowed_origins="*",
        allow_request=_refuse_who_asks_for_it,
    )
    for name in NAMESPACES:
        _add_handlers(server.namespace(name))
    return server


async def _refuse_who_asks_for_it(request: Request) -> None:
    await trio.lowlevel.checkpoint()
    if request.query.get("deny") == "1":
        raise ConnectionRefused("the query says deny=1")


def _add_handlers(namespace: Namespace) -> None:
    """Register everything that the contract lists."""
    namespace.on("connect", connect)
    namespace.on("disconnect", disconnect)
    for event, handler in _EVENTS.items():
        namespace.on(event, handler)


async def connect(ctx: Context, auth: JSON) -> None:
    """Emit ``auth`` with what the client sent; or wait, or refuse, as that says."""
    if isinstance(auth, dict):
        if "delay" in auth:
            await trio.sleep(auth["delay"] / 1000)
        if "reject" in auth:
            raise ConnectionRefused(auth["reject"], auth.get("data"))
    await ctx.emit("auth", auth or {})


async def disconnect(ctx: Context, reason: str) -> None:
    """Tell the watchers who has left."""
    await ctx.emit("gone", ctx.sid, reason, to=WATCHERS)


async def conformance(_ctx: Context) -> JSON:
    """Say which contract is kept, and the intervals that the wire does not show, in milliseconds."""
    await trio.lowlevel.checkpoint()
    return {
        "version": CONTRACT,
        "connectTimeout": round(CONNECT_TIMEOUT * 1000),
        "upgradeTimeout": round(UPGRADE_TIMEOUT * 1000),
    }


async def message(ctx: Context, *args: JSON) -> None:
    """Send the arguments back."""
    await ctx.emit("message-back", *args)


async def message_with_ack(_ctx: Context, *args: JSON) -> tuple[JSON, ...]:
    """Acknowledge with the arguments."""
    await trio.lowlevel.checkpoint()
    return args


async def join(ctx: Context, rooms: str | list[str]) -> None:
    """Join one room or several."""
    await ctx.join_room(rooms)


async def leave(ctx: Context, rooms: str | list[str]) -> None:
    """Leave one room or several."""
    await ctx.leave_room(rooms)


async def rooms(ctx: Context) -> list[str]:
    """Name the rooms of the sender, without the one that is its sid."""
    await trio.lowlevel.checkpoint()
    return [room for room in ctx.rooms() if room != ctx.sid]


async def close_room(ctx: Context, room: str) -> None:
    """Let everybody leave a room."""
    await ctx.close_room(room)


async def watch(ctx: Context) -> None:
    """Tell the sender from now on who leaves."""
    await ctx.join_room(WATCHERS)


async def deliver(ctx: Context, options: dict[str, JSON], event: str, *args: JSON) -> None:
    """Emit an event to whom the options say: ``to``, ``skip``, ``self``."""
    to: str | list[str] | None = options.get("to")
    await ctx.emit(
        event,
        *args,
        to=to,
        broadcast=to is None,
        skip_sid=options.get("skip", []),
        include_self=options.get("self", True),
    )


async def ask(ctx: Context, sid: str | None, event: str, *args: JSON) -> None:
    """Emit an event that asks one client for an acknowledgement, and tell the sender what it was."""

    async def answered(*values: JSON) -> None:
        await ctx.emit("answer", *values)

    await ctx.emit(event, *args, to=sid, callback=answered)


async def burst(ctx: Context, count: int, binary: bool = False) -> None:  # noqa: FBT001, FBT002  # arguments of an event
    """Emit that many numbered events to the sender, with an attachment each if it wants."""
    for number in range(count):
        await ctx.emit("burst", number, *([number.to_bytes(4, "big")] if binary else []))


async def kick(ctx: Context) -> None:
    """Disconnect the sender from the namespace."""
    await ctx.disconnect()


async def hang_up(ctx: Context) -> None:
    """End the connection of the sender."""
    await ctx.disconnect(close=True)


async def fail(_ctx: Context) -> None:
    """Fail as a handler with a mistake does."""
    await trio.lowlevel.checkpoint()
    raise RuntimeError("the event `fail` was asked for")


async def slow(_ctx: Context, milliseconds: int) -> int:
    """Acknowledge only after a while."""
    await trio.sleep(milliseconds / 1000)
    return milliseconds


_EVENTS: dict[str, Callable[..., Awaitable[JSON]]] = {
    "conformance": conformance,
    "message": message,
    "message-with-ack": message_with_ack,
    "join": join,
    "leave": leave,
    "rooms": rooms,
    "close-room": close_room,
    "watch": watch,
    "deliver": deliver,
    "ask": ask,
    "burst": burst,
    "kick": kick,
    "hang-up": hang_up,
    "fail": fail,
    "slow": slow,
}


class Echo:
    """Sends every message of a session back: a `Consumer` for which nothing is ever due and which is never full."""

    next_deadline: float | None = None
    full: bool = False

    def __init__(self, live: Live) -> None:
        self._live = live

    def receive(self, frame: str | bytes) -> None:
        """Send a message back."""
        self._live.send(Outbound.message([frame]))

    def closed(self, reason: CloseReason, detail: str, limit: str | None) -> bool:  # noqa: ARG002  # nothing here needs them
        """Nothing is left to do, and nothing was told."""
        return False

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``trio-socketio conformance serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to bind (default: %(default)s)")
    parser.add_argument(
        "--port", type=port_number, default=3000, help="the port; 0 for any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--engine-only", action="store_true", help="a server that speaks Engine.IO alone, at /engine.io/, and echoes"
    )


def serve(options: argparse.Namespace) -> int:
    """Run a fixture until it is interrupted; return the exit status."""
    server = engine_fixture() if options.engine_only else socketio_fixture()
    kind = "engine" if options.engine_only else "socketio"
    return run(server, options.host, options.port, f"{kind} fixture on {{url}}")
