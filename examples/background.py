"""Work in the background: a ticker for each connection, a timer of the application, and a thread that watches a file.

    python examples/background.py --port 3000 --watch notes.txt

Who emits ``start ticking`` with a number of seconds gets a ``tick`` that often, until ``stop ticking`` or the connection's end.
Everybody gets ``uptime`` each ten seconds, and ``changed`` when the file has changed. Ctrl-C or SIGTERM ends it.
docs/background.md says which nursery owns what.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

import trio

from trio_socketio import Context, Server

SHORTEST = 0.1
"""Seconds between two ticks, at least: a client does not decide how busy the server is."""


async def tick(ctx: Context, seconds: float, scope: trio.CancelScope) -> None:
    """Tell one client the time again and again, until the scope is cancelled or the client leaves."""
    number = 0
    with scope:
        while True:
            await ctx.emit("tick", number)  # waits while the client does not read: a slow client gets fewer ticks
            number += 1
            await trio.sleep(seconds)


async def tell_uptime(server: Server, seconds: float) -> None:
    """Tell everybody how long the server has been up."""
    began = trio.current_time()
    while True:
        await trio.sleep(seconds)
        await server.emit("uptime", round(trio.current_time() - began))


def modified(path: Path) -> int | None:
    """Return when a file was modified, in nanoseconds; None if it does not exist."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def watch(server: Server, path: Path, seconds: float) -> None:
    """Tell everybody when a file has changed; this runs in a thread, as code does that blocks."""
    known = modified(path)
    while True:
        time.sleep(seconds)
        trio.from_thread.check_cancelled()  # raises when the program ends: nobody can end a thread from outside
        found = modified(path)
        if found != known:
            known = found
            trio.from_thread.run(server.emit, "changed", path.name, found is not None)


def make_server() -> Server:
    """Return the application."""
    server = Server()

    @server.on("start ticking")
    async def start_ticking(ctx: Context, seconds: object) -> bool:
        if not isinstance(seconds, int | float) or not seconds >= SHORTEST:
            return False
        stop_ticking(ctx)  # one ticker for each connection, however often a client asks
        ctx.data["ticker"] = trio.CancelScope()
        ctx.start_soon(tick, ctx, seconds, ctx.data["ticker"])
        return True

    @server.on("stop ticking")
    def stop_ticking(ctx: Context) -> bool:
        ticker = ctx.data.pop("ticker", None)
        if ticker is not None:
            ticker.cancel()
        return ticker is not None

    return server


async def run_tasks(server: Server, path: Path | None, *, uptime: float = 10.0, look: float = 0.5) -> None:
    """Run what belongs to the application and to no connection, until cancelled.

    Args:
        server: The server, which serves.
        path: The file to watch; None for none.
        uptime: Seconds between two ``uptime`` events.
        look: Seconds between two looks at the file.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell_uptime, server, uptime)
        if path is not None:
            nursery.start_soon(trio.to_thread.run_sync, watch, server, path, look)


async def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    server = make_server()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(server.serve, options.host, options.port)
            nursery.start_soon(run_tasks, server, options.watch)
            print(f"serving on port {listener.socket.getsockname()[1]}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="the address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="the port to bind (default: %(default)s)")
    parser.add_argument("--watch", type=Path, metavar="FILE", help="a file whose changes everybody hears of")
    sys.exit(trio.run(main, parser.parse_args()))
