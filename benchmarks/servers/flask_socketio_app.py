"""The application of the comparison: Flask-SocketIO on gevent, which ``socketio.run`` chooses when it is installed."""

# ruff: noqa: E402  # what gevent patches must be patched before anything imports it

from gevent import monkey

monkey.patch_all()

import argparse
import json
import platform
from importlib import metadata

import flask
import flask_socketio
import gevent


def register(socketio: flask_socketio.SocketIO, namespace: str) -> None:
    """Register the events in one namespace."""

    def message(*args: object) -> None:
        flask_socketio.emit("message-back", *args)

    def message_with_ack(*args: object) -> tuple[object, ...]:
        return args

    def join(*rooms: str) -> None:
        for room in rooms:
            flask_socketio.join_room(room)

    def to_room(room: str, *args: object) -> None:
        flask_socketio.emit("from-room", *args, to=room)

    def everyone(*args: object) -> None:
        flask_socketio.emit("from-everyone", *args, broadcast=True)

    socketio.on_event("message", message, namespace=namespace)
    socketio.on_event("message-with-ack", message_with_ack, namespace=namespace)
    socketio.on_event("join", join, namespace=namespace)
    socketio.on_event("to-room", to_room, namespace=namespace)
    socketio.on_event("everyone", everyone, namespace=namespace)


def announce(socketio: flask_socketio.SocketIO) -> None:
    """Say which port it is, as soon as the server that ``run`` makes has one."""
    while getattr(socketio, "wsgi_server", None) is None or not socketio.wsgi_server.started:
        gevent.sleep(0.02)
    names = ("Flask-SocketIO", "python-socketio", "python-engineio", "gevent", "gevent-websocket")
    versions = {name: metadata.version(name) for name in names} | {"Python": platform.python_version()}
    print(json.dumps({"port": socketio.wsgi_server.server_port, "versions": versions}), flush=True)


def main() -> None:
    """Serve on a free port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ping-interval", type=float, required=True)
    parser.add_argument("--ping-timeout", type=float, required=True)
    parser.add_argument("--namespaces", type=int, default=0)
    options = parser.parse_args()
    application = flask.Flask(__name__)
    socketio = flask_socketio.SocketIO(
        application, async_mode="gevent", ping_interval=options.ping_interval, ping_timeout=options.ping_timeout
    )
    for name in ["/", *(f"/n{number}" for number in range(options.namespaces))]:
        register(socketio, name)
    gevent.spawn(announce, socketio)
    socketio.run(application, host="127.0.0.1", port=0)


if __name__ == "__main__":
    main()
