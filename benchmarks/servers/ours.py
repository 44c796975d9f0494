"""The application of the comparison, on trio-socketio."""

import argparse
import json
import platform
from importlib import metadata

import trio

from trio_socketio import Context, Server


def build(ping_interval: float, ping_timeout: float, namespaces: int) -> Server:
    """Return a server that offers the events of the comparison in ``/``, ``/n0``, ``/n1`` and so on."""
    server = Server(ping_interval=ping_interval, ping_timeout=ping_timeout)
    for name in ["/", *(f"/n{number}" for number in range(namespaces))]:
        register(server, name)
    return server


def register(server: Server, namespace: str) -> None:
    """Register the events in one namespace."""

    async def message(ctx: Context, *args: object) -> None:
        await ctx.emit("message-back", *args)

    async def message_with_ack(ctx: Context, *args: object) -> tuple[object, ...]:  # noqa: ARG001
        return args

    async def join(ctx: Context, *rooms: str) -> None:
        for room in rooms:
            await ctx.join_room(room)

    async def to_room(ctx: Context, room: str, *args: object) -> None:
        await ctx.emit("from-room", *args, to=room)

    async def everyone(ctx: Context, *args: object) -> None:
        await ctx.emit("from-everyone", *args, broadcast=True)

    server.on("message", message, namespace=namespace)
    server.on("message-with-ack", message_with_ack, namespace=namespace)
    server.on("join", join, namespace=namespace)
    server.on("to-room", to_room, namespace=namespace)
    server.on("everyone", everyone, namespace=namespace)


async def main() -> None:
    """Serve on a free port and say which one it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ping-interval", type=float, required=True)
    parser.add_argument("--ping-timeout", type=float, required=True)
    parser.add_argument("--namespaces", type=int, default=0)
    options = parser.parse_args()
    server = build(options.ping_interval, options.ping_timeout, options.namespaces)
    versions = {name: metadata.version(name) for name in ("trio-socketio", "trio", "h11", "wsproto")}
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(server.serve, "127.0.0.1", 0)
        port = listeners[0].socket.getsockname()[1]
        print(json.dumps({"port": port, "versions": versions | {"Python": platform.python_version()}}), flush=True)


if __name__ == "__main__":
    trio.run(main)
