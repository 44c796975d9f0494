"""The application of the comparison, on python-socketio's asynchronous server; two programs here put it on a web server."""

import argparse
import json
import platform
import socket
from importlib import metadata

import socketio


def register(server: socketio.AsyncServer, namespace: str) -> None:
    """Register the events in one namespace."""

    async def message(sid: str, *args: object) -> None:
        await server.emit("message-back", args, to=sid, namespace=namespace)

    async def message_with_ack(_sid: str, *args: object) -> tuple[object, ...]:
        return args

    async def join(sid: str, *rooms: str) -> None:
        for room in rooms:
            await server.enter_room(sid, room, namespace=namespace)

    async def to_room(_sid: str, room: str, *args: object) -> None:
        await server.emit("from-room", args, to=room, namespace=namespace)

    async def everyone(_sid: str, *args: object) -> None:
        await server.emit("from-everyone", args, namespace=namespace)

    server.on("message", message, namespace=namespace)
    server.on("message-with-ack", message_with_ack, namespace=namespace)
    server.on("join", join, namespace=namespace)
    server.on("to-room", to_room, namespace=namespace)
    server.on("everyone", everyone, namespace=namespace)


def build(async_mode: str) -> socketio.AsyncServer:
    """Return the server that the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ping-interval", type=float, required=True)
    parser.add_argument("--ping-timeout", type=float, required=True)
    parser.add_argument("--namespaces", type=int, default=0)
    options = parser.parse_args()
    server = socketio.AsyncServer(
        async_mode=async_mode, ping_interval=options.ping_interval, ping_timeout=options.ping_timeout
    )
    for name in ["/", *(f"/n{number}" for number in range(options.namespaces))]:
        register(server, name)
    return server


def listen() -> socket.socket:
    """Return a socket that listens on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)  # what uvicorn asks for by default
    return listener


def announce(listener: socket.socket, *packages: str) -> None:
    """Say which port it is, and what runs here."""
    versions = {name: metadata.version(name) for name in ("python-socketio", "python-engineio", *packages)}
    versions["Python"] = platform.python_version()
    print(json.dumps({"port": listener.getsockname()[1], "versions": versions}), flush=True)
