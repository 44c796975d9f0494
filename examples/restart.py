"""A server that is restarted without a refused connection: it serves a listening socket that it was handed.

    systemd-socket-activate -l 3000 python examples/restart.py      serves what systemd hands over (LISTEN_FDS)
    python examples/restart.py --fd 7                               serves a socket that it has inherited
    python examples/restart.py --port 3000                          binds one itself, as others may too (SO_REUSEPORT)

While the next process runs already, with the same socket, SIGTERM ends this one: clients are told, and come back to the other.
docs/deploying.md says how that fits into systemd.
"""

import argparse
import os
import signal
import socket
import sys

import trio

from trio_socketio import Context, Server

FIRST = 3
"""The first descriptor that systemd hands over, as sd_listen_fds(3) says."""


def handed_over() -> list[int]:
    """Return the descriptors that systemd has handed over to this process, and not to one that started it."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return []
    return list(range(FIRST, FIRST + int(os.environ.pop("LISTEN_FDS", "0"))))


def listener_of(descriptor: int) -> trio.SocketListener:
    """Return the listener of an inherited socket; no process that this one starts shall inherit it in turn."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # its parameters have no names
    return trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor)))


def bind(host: str, port: int) -> trio.SocketListener:
    """Bind an address that another process may have bound as well, and share its connections."""
    bound = socket.create_server((host, port), backlog=1024, reuse_port=True)
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


def make_server() -> Server:
    """Return the application: it says which process a client is connected to."""
    server = Server(shutdown_grace=5.0)

    @server.on("connect")
    async def connect(ctx: Context, _auth: object) -> None:
        await ctx.emit("served by", os.getpid())

    return server


async def run(server: Server, listeners: list[trio.SocketListener]) -> None:
    """Serve until SIGTERM or Ctrl-C; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve_listeners, listeners)
            print(f"process {os.getpid()} serves {listeners[0].socket.getsockname()}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


async def main() -> int:
    """Serve the sockets that were handed over, or one of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fd", type=int, help="the descriptor of an inherited listening socket")
    parser.add_argument("--host", default="127.0.0.1", help="the address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="the port to bind (default: %(default)s)")
    options = parser.parse_args()
    descriptors = handed_over() if options.fd is None else [options.fd]
    listeners = [listener_of(descriptor) for descriptor in descriptors] or [bind(options.host, options.port)]
    await run(make_server(), listeners)
    return 0


if __name__ == "__main__":
    sys.exit(trio.run(main))
