"""One server behind several doors: plain TCP on this machine, TLS for the world, a unix socket for the proxy.

    python examples/several_listeners.py --port 3000
    python examples/several_listeners.py --port 3000 --unix /run/chat/socket
    python examples/several_listeners.py --port 3000 --tls-port 3443 --certificate certificate.pem --key key.pem

Whoever comes by whichever door is in the same rooms, for all of them are clients of one server. Ctrl-C or SIGTERM ends it.
"""

import argparse
import signal
import socket
import ssl
import sys
from typing import Any

import trio

from trio_socketio import Context, Server

Listeners = dict[str, trio.abc.Listener[Any]]
"""The listeners by what to print of them."""


def make_server() -> Server:
    """Return the application: everybody is in one room, and hears what the others say and by which door they came."""
    server = Server()

    @server.on("connect")
    async def connect(ctx: Context, _auth: object) -> None:
        await ctx.join_room("hall")

    @server.on("say")
    async def say(ctx: Context, text: str) -> int:
        door = "tls" if ctx.handshake.secure else "unix" if ctx.handshake.address == "local" else "tcp"
        return await ctx.emit("said", door, text, to="hall")

    return server


async def open_listeners(options: argparse.Namespace) -> Listeners:
    """Open every door that the arguments name.

    Raises:
        OSError: An address cannot be bound, or a file cannot be read.
    """
    listeners: Listeners = {}
    for plain in await trio.open_tcp_listeners(options.port, host="127.0.0.1"):
        listeners[f"tcp {plain.socket.getsockname()[1]}"] = plain
    if options.certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
        for outer in await trio.open_tcp_listeners(options.tls_port, host=options.host):
            # Clients may end a connection without the goodbye of TLS, as everybody does who speaks HTTP.
            secure = trio.SSLListener(outer, context, https_compatible=True)
            listeners[f"tls {outer.socket.getsockname()[1]}"] = secure
    if options.unix is not None:
        bound = trio.socket.socket(socket.AF_UNIX)
        await bound.bind(options.unix)
        bound.listen(1024)
        listeners[f"unix {options.unix}"] = trio.SocketListener(bound)
    return listeners


async def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    listeners = await open_listeners(options)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(make_server().serve_listeners, list(listeners.values()))
            print(f"serving {', '.join(listeners)}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--host", default="0.0.0.0", help="the address for TLS (default: all)")  # noqa: S104  # it is for the world
    parser.add_argument("--tls-port", type=int, default=3443, help="the port for TLS (default: %(default)s)")
    parser.add_argument("--certificate", help="the file of the certificate and its chain; without it there is no TLS")
    parser.add_argument("--key", help="the file of its private key, if it is another")
    parser.add_argument("--unix", help="the file of a unix socket, which must not exist")
    sys.exit(trio.run(main, parser.parse_args()))
