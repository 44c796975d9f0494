"""The chat of flask_before.py, on trio-socketio: the same clients see no difference.

    python examples/flask_after.py

Read the two side by side; docs/migrating.md has the whole comparison. What has changed: handlers get a context, and
await what they emit; the session is `ctx.data`; a background task belongs to its connection; HTTP is a small handler;
serving is a trio function.
"""

import argparse
import json
import signal
from typing import Any

import trio

from trio_socketio import (
    ConnectionRefused,
    Context,
    HTTPRequest,
    HTTPResponse,
    Namespace,
    Server,
    emit,
    join_room,
    leave_room,
)


def make_server() -> Server:
    """Return the chat."""
    people: dict[str, str] = {}

    async def pages(request: HTTPRequest) -> HTTPResponse:
        """Answer over HTTP."""
        if request.path == "/status":
            return HTTPResponse.text(json.dumps({"people": sorted(people.values())}), content_type="application/json")
        return HTTPResponse.text("Not found\n", 404)

    server = Server(http=pages)

    @server.on("connect")
    async def connect(ctx: Context, auth: Any) -> None:
        """Let in who has a name."""
        if not auth or not auth.get("name"):
            raise ConnectionRefused("Who are you?", {"field": "name"})
        ctx.data["name"] = people[ctx.sid] = auth["name"]
        await emit("welcome", sorted(people.values()))

    @server.on("disconnect")
    async def disconnect(ctx: Context, _reason: str) -> None:
        """Tell the others."""
        del people[ctx.sid]
        await emit("left", ctx.data["name"], broadcast=True)

    @server.on("join")
    async def join(ctx: Context, room: str) -> tuple[str, str]:
        """Enter a room, and tell the others in it."""
        await join_room(room)
        await emit("joined", ctx.data["name"], to=room, include_self=False)
        return room, "joined"

    @server.on("leave")
    async def leave(_ctx: Context, room: str) -> None:
        """Leave a room."""
        await leave_room(room)

    @server.on("say")
    async def say(ctx: Context, room: str, text: str) -> str:
        """Say something to a room."""
        await emit("said", ctx.data["name"], text, to=room)
        return "delivered"

    @server.on("whisper")
    async def whisper(ctx: Context, name: str, text: str) -> None:
        """Say something to one person, who acknowledges it."""

        async def heard(answer: str) -> None:
            await emit("heard", answer)  # to the sender: a callback runs in the context of who emitted

        for sid in [sid for sid, other in people.items() if other == name]:
            await emit("whispered", ctx.data["name"], text, to=sid, callback=heard)

    @server.on("file")
    async def file(ctx: Context, data: bytes) -> int:
        """Send bytes to everyone."""
        await emit("file", {"from": ctx.data["name"], "data": data}, broadcast=True)
        return len(data)

    @server.on("count")
    async def count(ctx: Context, limit: int) -> None:
        """Count in the background; when the client leaves, the task ends."""
        ctx.start_soon(count_to, limit)

    async def count_to(limit: int) -> None:
        """Tell the client all numbers up to a limit."""
        for number in range(1, limit + 1):
            await trio.sleep(0.01)
            await emit("number", number)

    @server.on("divide")
    def divide(_ctx: Context, a: float, b: float) -> float:
        """Divide; the error handler answers for what cannot be divided."""
        return a / b

    @server.on_error
    def failed(ctx: Context, error: Exception) -> dict[str, str]:
        """Answer for a handler that failed."""
        return {"error": type(error).__name__, "event": ctx.event}

    server.register(Admin("/admin"))
    return server


class Admin(Namespace):
    """What only administrators may do."""

    def on_connect(self, _ctx: Context, auth: Any) -> bool:
        """Ask for the token."""
        return bool(auth == {"token": "s3cret"})

    async def on_announce(self, _ctx: Context, text: str) -> str:
        """Tell everyone in the root namespace."""
        await emit("announcement", text, namespace="/", broadcast=True)
        return "announced"


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"chat on http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
