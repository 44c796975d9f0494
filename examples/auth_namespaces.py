"""Who may enter which namespace: everybody the root, users a second one, administrators a third.

    python examples/auth_namespaces.py      then open the address that it prints

Middleware (`use`) belongs to a namespace and runs before its connect handler, in the order of registration. Who is
refused gets a CONNECT_ERROR with a message, and with data that the page can act upon. One connection carries all
namespaces that it is let into. The page is static/auth_namespaces.html.
"""

import argparse
import hmac
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trio

from trio_socketio import ConnectionRefused, Context, Namespace, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
TEXT_LENGTH = 200


class User(NamedTuple):
    """Somebody who may log in."""

    name: str
    roles: frozenset[str]


TOKENS = {
    "ada-s3cret": User("Ada", frozenset({"user", "admin"})),
    "grace-s3cret": User("Grace", frozenset({"user"})),
}
"""Stands for whatever tells you who somebody is; see auth_jwt.py and auth_cookies.py."""


def room_of(name: str) -> str:
    """Return the room of all connections of a user; the prefix keeps it apart from the sids, which are rooms too."""
    return f"user:{name}"


def authenticate(ctx: Context, auth: object) -> None:
    """Find out who it is; middleware may hand on what it knows in ``ctx.data``."""
    token = auth.get("token") if isinstance(auth, dict) else None
    for known, user in TOKENS.items():
        if isinstance(token, str) and hmac.compare_digest(token.encode(), known.encode()):
            ctx.data["user"] = user
            return
    raise ConnectionRefused("Please log in.", {"code": "unauthenticated"})


def require(role: str) -> Callable[[Context], None]:
    """Return middleware that lets in who has a role; it goes after `authenticate`."""

    def check(ctx: Context) -> None:
        user: User = ctx.data["user"]
        if role not in user.roles:
            raise ConnectionRefused(f"{user.name} is no {role}.", {"code": "forbidden", "needs": role})

    return check


def protect(namespace: Namespace, *roles: str) -> Namespace:
    """Let only those into a namespace who have all the roles, and return it."""
    namespace.use(authenticate)
    for role in roles:
        namespace.use(require(role))
    return namespace


def make_server() -> Server:
    """Return the application."""
    server = Server(http=StaticFiles(STATIC))  # the root namespace asks for nothing
    users = protect(server.namespace("/users"), "user")
    admin = protect(server.namespace("/admin"), "user", "admin")

    @server.on("connect")
    async def connect(ctx: Context) -> None:
        await ctx.emit("announcement", "Everybody may read this.")

    @users.on("connect")
    async def enter(ctx: Context) -> None:
        await ctx.join_room(room_of(ctx.data["user"].name))

    @users.on("say")
    async def say(ctx: Context, text: str) -> None:
        """Talk among users."""
        user: User = ctx.data["user"]
        await users.emit("said", user.name, str(text)[:TEXT_LENGTH])

    @admin.on("announce")
    async def announce(_ctx: Context, text: str) -> int:
        """Tell everyone in the root namespace; the acknowledgement says how many were told."""
        return await server.emit("announcement", str(text)[:TEXT_LENGTH], namespace="/")

    @admin.on("throw out")
    async def throw_out(_ctx: Context, name: str) -> int:
        """End the membership of a user in /users; the acknowledgement says how many connections that were."""
        members = server.participants(room_of(str(name)), "/users")
        for sid in members:
            await server.disconnect(sid, "/users")
        return len(members)

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"namespaces on http://127.0.0.1:{port}/auth_namespaces.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
