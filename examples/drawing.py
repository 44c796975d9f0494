"""Drawing together: strokes travel as bytes, and who comes later gets the picture so far.

    python examples/drawing.py              then open the address that it prints in two windows

A stroke is a Uint16Array in the page and bytes here: colour, width, then x and y of each point, as parts of 65535 of
the canvas, in little endian. The picture is a sequence of strokes, each preceded by its length in numbers. It is
bounded: the oldest strokes go first. The server never looks at a stroke beyond its form. The page is
static/drawing.html.
"""

import argparse
import signal
from collections import deque
from pathlib import Path

import trio

from trio_socketio import Context, RateLimit, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
COLOURS, MAX_WIDTH = 6, 64
MAX_STROKE = 4096
"""Bytes of one stroke, about a thousand points; the page sends many short ones while the pen moves."""
MAX_PICTURE = 256 * 1024
"""Bytes of all strokes that are kept."""


class Picture:
    """The strokes so far, at most so many bytes of them."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self.strokes: deque[bytes] = deque()

    def add(self, stroke: bytes) -> None:
        """Keep a stroke, and let go of the oldest ones if need be."""
        record = (len(stroke) // 2).to_bytes(2, "little") + stroke
        self.strokes.append(record)
        self.size += len(record)
        while self.size > self.max_bytes:
            self.size -= len(self.strokes.popleft())

    def clear(self) -> None:
        """Begin again."""
        self.strokes.clear()
        self.size = 0

    def __bytes__(self) -> bytes:
        return b"".join(self.strokes)


def is_stroke(data: object) -> bool:
    """Return whether a client sent what the pages can draw."""
    if not isinstance(data, bytes) or not 8 <= len(data) <= MAX_STROKE or len(data) % 4:
        return False
    colour, width = (int.from_bytes(data[at : at + 2], "little") for at in (0, 2))
    return colour < COLOURS and 1 <= width <= MAX_WIDTH


def make_server(max_picture: int = MAX_PICTURE) -> Server:
    """Return the server.

    Args:
        max_picture: Bytes of all strokes that are kept.
    """
    server = Server(http=StaticFiles(STATIC), rate_limit=RateLimit(100, burst=200))
    picture = Picture(max_picture)

    # A plain function: no stroke can come between the picture and being accepted.
    @server.on("connect")
    def connect(ctx: Context) -> None:
        ctx.emit_nowait("picture", bytes(picture))
        server.emit_nowait("people", len(server.sockets()) + 1)

    @server.on("disconnect")
    async def disconnect(ctx: Context) -> None:
        await ctx.emit("people", len(server.sockets()), broadcast=True)

    @server.on("stroke")
    async def stroke(ctx: Context, data: bytes) -> bool:
        if not is_stroke(data):
            return False
        picture.add(data)
        await ctx.emit("stroke", data, broadcast=True, include_self=False)
        return True

    @server.on("clear")
    async def clear(ctx: Context) -> None:
        picture.clear()
        await ctx.emit("picture", b"", broadcast=True)

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"drawing on http://127.0.0.1:{port}/drawing.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
