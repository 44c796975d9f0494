"""Who is online: several tabs of one person count once, and who has gone was last seen then.

    python examples/presence.py             then open the address that it prints in several windows, with one name or two

Every person is a room, and each of their tabs is a member of it: `server.participants` says how many there are. The
first tab brings somebody online; the last one takes them away, but not at once, for a page that is reloaded comes back.
The page is static/presence.html.
"""

import argparse
import signal
import time
from pathlib import Path

import trio

from trio_socketio import ConnectionRefused, Context, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
NAME_LENGTH = 24
PATIENCE = 3.0
"""Seconds for which somebody without a tab still counts as online."""
REMEMBERED = 100
"""People of whom it is known when they were last seen."""


def room_of(name: str) -> str:
    """Return the room that the tabs of a person are in; the prefix keeps it apart from the sids, which are rooms too."""
    return f"person:{name}"


def make_server(patience: float = PATIENCE) -> Server:
    """Return the server.

    Args:
        patience: Seconds for which somebody without a tab still counts as online.
    """
    server = Server(http=StaticFiles(STATIC))
    online: set[str] = set()
    last_seen: dict[str, int] = {}
    """When those who are not online were, in milliseconds since the epoch; who left first is first."""

    def state_of(name: str) -> dict[str, object]:
        """Return what others may know of a person."""
        tabs = len(server.participants(room_of(name)))
        return {"name": name, "online": name in online, "tabs": tabs, "seen": last_seen.get(name)}

    async def tell(name: str) -> None:
        """Tell everyone how a person is."""
        await server.emit("presence", state_of(name))

    @server.use
    def identify(ctx: Context, auth: object) -> None:
        """Take the name that a client says; the examples auth_*.py show how to know that it is true."""
        name = auth.get("name") if isinstance(auth, dict) else None
        if not isinstance(name, str) or not 0 < len(name.strip()) <= NAME_LENGTH:
            raise ConnectionRefused(f"A name has 1 to {NAME_LENGTH} characters.")
        ctx.data["name"] = name.strip()

    @server.on("connect")
    async def connect(ctx: Context) -> None:
        name = ctx.data["name"]
        await ctx.join_room(room_of(name))
        online.add(name)
        last_seen.pop(name, None)
        await ctx.emit("everyone", [state_of(other) for other in (*sorted(online), *last_seen)])
        # The client is a member only once it is accepted. Its tasks run on: this one tells everyone, itself too.
        ctx.start_soon(tell, name)

    @server.on("disconnect")
    async def disconnect(ctx: Context) -> None:
        name = ctx.data["name"]
        await tell(name)  # there is a tab less
        await trio.sleep(patience)
        if name in online and not server.participants(room_of(name)):
            online.remove(name)
            last_seen[name] = int(time.time() * 1000)
            while len(last_seen) > REMEMBERED:
                del last_seen[next(iter(last_seen))]
            await tell(name)

    @server.on("poke")
    async def poke(ctx: Context, name: object) -> int:
        """Reach every tab of a person; the acknowledgement says how many there are."""
        return await ctx.emit("poked", ctx.data["name"], to=room_of(str(name)))

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"presence on http://127.0.0.1:{port}/presence.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
