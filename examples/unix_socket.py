"""A server on a unix socket, for a proxy on the same machine.

    python examples/unix_socket.py /run/chat/socket --mode 660

A socket file that a process has left behind is replaced; if somebody serves it, this program says so and ends. Who may connect
is a matter of the file's permissions, so whoever does is believed to be the proxy (``trusted_proxies=["local"]``): the address of
the client and that it speaks TLS are what its ``X-Forwarded-*`` headers say. nginx: ``proxy_pass http://unix:/run/chat/socket;``,
the rest as in docs/deploying.md.
"""

import argparse
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import trio

from trio_socketio import Context, Server


def remove_stale(path: Path) -> None:
    """Remove the socket file of a process that has ended.

    Raises:
        FileExistsError: Something else has that name, or a process serves it.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(f"another process serves {path}")


def bind(path: Path, mode: int) -> trio.SocketListener:
    """Listen on a unix socket.

    Args:
        path: Its file; at most 107 bytes long, on Linux.
        mode: The permissions of the file: who may write to it may connect.

    Raises:
        OSError: It cannot be bound.
    """
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(0o777 & ~mode)  # from the beginning on: nobody else gets in between bind and chmod
    try:
        bound.bind(os.fspath(path))
        bound.listen(1024)
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


def make_server(origins: list[str]) -> Server:
    """Return the application: it repeats what it is told, and tells everybody who has come."""
    server = Server(trusted_proxies=["local"], cors_allowed_origins=origins or None)

    @server.on("connect")
    async def connect(ctx: Context, _auth: object) -> None:
        await ctx.emit("welcome", {"address": ctx.handshake.address})

    @server.on("echo")
    async def echo(_ctx: Context, *arguments: object) -> tuple[object, ...]:
        return arguments

    return server


async def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then end gracefully and remove the file."""
    try:
        remove_stale(options.path)
        listener = bind(options.path, options.mode)
    except OSError as error:
        print(f"cannot serve on {options.path}: {error.strerror or error}", file=sys.stderr)
        return 2
    try:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(make_server(options.origin).serve_listeners, [listener])
                print(f"serving on {options.path}", flush=True)
                await anext(signals)
                nursery.cancel_scope.cancel()
    finally:
        options.path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the file of the socket")
    parser.add_argument(
        "--mode", type=lambda text: int(text, 8), default=0o660, help="its permissions, in octal (default: 660)"
    )
    parser.add_argument(
        "--origin", action="append", default=[], help="the origin of pages of another site; may be repeated"
    )
    sys.exit(trio.run(main, parser.parse_args()))
