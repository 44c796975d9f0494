"""The server that docs/wire-format.md talks to, so that every example there can be tried by hand.

    python examples/wire_server.py          serves http://127.0.0.1:3000
    python examples/wire_server.py 3001     or another port

The namespace `/` lets everyone in; `/admin` asks for a token.
"""

import sys
from collections.abc import Awaitable, Callable

from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.trace import Trace

from trio_socketio import ConnectionRefused, Context, Server, TracedFrame
from trio_socketio.program import run

TOKEN = "s3cret"  # noqa: S105  # an example
PORT = 3000


def make_server(trace: Trace | None = None) -> Server:
    """Return the server, with every option at its default but the one page of another origin that may connect."""
    server = Server(cors_allowed_origins="https://app.example", trace=trace)
    admin = server.namespace("/admin")
    admin.on("connect", check_token)
    for namespace in (server, admin):
        for event, handler in EVENTS.items():
            namespace.on(event, handler)
    return server


async def check_token(_ctx: Context, auth: JSON) -> None:
    """Refuse who does not know the token."""
    if not isinstance(auth, dict) or auth.get("token") != TOKEN:
        raise ConnectionRefused("not authorized", {"hint": "send a token"})


async def hello(ctx: Context, name: str) -> str:
    """Emit an event; what a handler returns is the acknowledgement, if the client asks for one."""
    await ctx.emit("greeting", f"Hello {name}")
    return "greeted"


async def echo(ctx: Context, *arguments: JSON) -> JSON:
    """Send everything back, twice: as an event, and in the acknowledgement."""
    await ctx.emit("echo", *arguments)
    return arguments


async def ask_me(ctx: Context) -> None:
    """Ask the client something, wait for its acknowledgement, and repeat it."""
    answer = await ctx.call("question", "What is your name?")
    await ctx.emit("hello", answer)


async def count(ctx: Context, last: int) -> None:
    """Emit so many events at once."""
    for number in range(1, last + 1):
        await ctx.emit("count", number)


async def show_me_out(ctx: Context) -> None:
    """End the membership of this namespace."""
    await ctx.disconnect()


async def hang_up_on_me(ctx: Context) -> None:
    """End the whole connection."""
    await ctx.disconnect(close=True)


EVENTS: dict[str, Callable[..., Awaitable[object]]] = {
    "hello": hello,
    "echo": echo,
    "ask me": ask_me,
    "count": count,
    "show me out": show_me_out,
    "hang up on me": hang_up_on_me,
}


def show(traced: TracedFrame) -> None:
    """Print a frame, the way the document writes it."""
    arrow = "C>" if traced.sender == "client" else "S>"
    print(arrow, traced.frame if isinstance(traced.frame, str) else f"<{traced.frame.hex(' ')}>", flush=True)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    sys.exit(run(make_server(trace=show), "127.0.0.1", port, "wire server on {url} (Ctrl-C ends it)"))
