"""A chat: rooms, names, what was said before, and who is typing.

    python examples/chat.py                 then open the address that it prints in two windows

It shows a connect handler that refuses, `ctx.data`, acknowledgements, `emit` to a room without its author, a volatile
emit for what may be lost, and `server.participants`. The page is static/chat.html. The demo, `trio-socketio demo`, is a
larger one.
"""

import argparse
import signal
import time
from collections import deque
from pathlib import Path

import trio

from trio_socketio import ConnectionRefused, Context, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
ROOMS = ("lobby", "kitchen", "garden")
HISTORY = 50
"""Messages of each room that a newcomer gets. Whatever clients make grow needs a bound."""
NAME_LENGTH, TEXT_LENGTH = 24, 1000

Message = dict[str, str | int]


def clean(value: object, length: int) -> str:
    """Return a text from a client, cut and without what cannot be seen; empty if it is none."""
    return "".join(c for c in value if c.isprintable()).strip()[:length] if isinstance(value, str) else ""


def make_server() -> Server:
    """Return the chat."""
    server = Server(http=StaticFiles(STATIC))
    names: dict[str, str] = {}
    """The name of everyone, by sid."""
    history: dict[str, deque[Message]] = {room: deque(maxlen=HISTORY) for room in ROOMS}

    async def tell_people(room: str) -> list[str]:
        """Tell a room who is in it."""
        people = sorted(names[sid] for sid in server.participants(room) if sid in names)
        await server.emit("people", people, to=room)
        return people

    async def leave(ctx: Context) -> None:
        """Take a client out of the room that it is in."""
        room = ctx.data.pop("room", None)
        if room is not None:
            await ctx.leave_room(room)
            await tell_people(room)

    @server.on("connect")
    def connect(ctx: Context, auth: object) -> None:
        name = clean(auth.get("name"), NAME_LENGTH) if isinstance(auth, dict) else ""
        if not name:
            raise ConnectionRefused("Please say your name.")
        names[ctx.sid] = name

    @server.on("disconnect")
    async def disconnect(ctx: Context) -> None:
        del names[ctx.sid]
        await leave(ctx)

    @server.on("enter")
    async def enter(ctx: Context, room: object) -> dict[str, object]:
        if not isinstance(room, str) or room not in history:  # clients may send anything
            return {"error": "There is no such room."}
        await leave(ctx)
        await ctx.join_room(room)
        ctx.data["room"] = room
        return {"people": await tell_people(room), "history": list(history[room])}

    @server.on("say")
    async def say(ctx: Context, words: object) -> dict[str, object]:
        room, text = ctx.data.get("room"), clean(words, TEXT_LENGTH)
        if room is None or not text:
            return {"error": "There is nothing to say, or nobody to say it to."}
        message: Message = {"name": names[ctx.sid], "text": text, "time": int(time.time() * 1000)}
        history[room].append(message)
        await ctx.emit("message", message, to=room, include_self=False)
        return {"message": message}  # the author shows it when it is acknowledged

    @server.on("typing")
    async def typing(ctx: Context) -> None:
        # Volatile: whoever cannot get it at once does not need it later.
        if (room := ctx.data.get("room")) is not None:
            await ctx.emit("typing", names[ctx.sid], to=room, include_self=False, volatile=True)

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"chat on http://127.0.0.1:{port}/chat.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
