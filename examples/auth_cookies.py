"""Who has logged in over HTTP is known to Socket.IO: a signed cookie, which browsers send along with the handshake.

    python examples/auth_cookies.py         then open the address that it prints; log in as ada, password "engine"

    POST /login (name, password)            sets the cookie
    POST /logout                            deletes it, and ends this login's connections
    GET /me                                 who one is

The cookie holds the name, the time at which it becomes invalid, and a signature of both; the server keeps nothing. A
page of another site cannot use it: it is SameSite, and Socket.IO refuses other origins by default. `HttpOnly` keeps it
from scripts. With TLS, add `Secure`.
"""

import argparse
import hashlib
import hmac
import secrets
import signal
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

import trio

from trio_socketio import ConnectionRefused, Context, HTTPRequest, HTTPResponse, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
COOKIE = "login"
LIFETIME = 8 * 3600
"""Seconds that a login lasts."""
SALT = secrets.token_bytes(16)


def derive(password: str) -> bytes:
    """Return what is kept in place of a password; it takes a while on purpose, so it belongs in a thread."""
    return hashlib.scrypt(password.encode(), salt=SALT, n=2**14, r=8, p=1)


PASSWORDS = {"ada": derive("engine"), "grace": derive("compiler")}
"""Yours are in a database, each with a salt of its own."""
NOBODY = secrets.token_bytes(64)
"""Compared with when there is no such user, so that this takes as long."""


class Signer:
    """Makes texts that nobody else can make, and tells whose they are. Keep the key, or every restart logs everybody out."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def sign(self, name: str, expires: int) -> str:
        """Return the value of a cookie."""
        text = f"{name}.{expires}"
        return f"{text}.{self._signature(text)}"

    def verify(self, value: str) -> str | None:
        """Return the name in a cookie's value, or None if it is forged or has expired."""
        text, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        name, _, expires = text.rpartition(".")
        return name if time.time() < int(expires) else None

    def _signature(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


def room_of(name: str) -> str:
    """Return the room of all connections of a user; the prefix keeps it apart from the sids, which are rooms too."""
    return f"user:{name}"


def make_server() -> Server:
    """Return the application: the pages, the login, and what it protects."""
    signer = Signer(secrets.token_bytes(32))
    files = StaticFiles(STATIC)

    def user_of(headers: Mapping[str, str]) -> str | None:
        """Return who sent a request, of HTTP or of Socket.IO: both have the same headers."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if cookie is None else signer.verify(cookie.value)

    def set_cookie(value: str, lifetime: int) -> dict[str, str]:
        """Return the header that sets the cookie, or deletes it if the lifetime is 0."""
        return {"set-cookie": f"{COOKIE}={value}; Max-Age={lifetime}; Path=/; HttpOnly; SameSite=Lax"}

    async def pages(request: HTTPRequest) -> HTTPResponse:
        """Answer everything that is not Socket.IO."""
        match request.method, request.path:
            case "POST", "/login":
                form = parse_qs(request.body.decode(errors="replace"))
                name, password = form.get("name", [""])[0], form.get("password", [""])[0]
                derived = await trio.to_thread.run_sync(derive, password)
                if not hmac.compare_digest(derived, PASSWORDS.get(name, NOBODY)):
                    return HTTPResponse.text("The name or the password is wrong.", 403)
                return HTTPResponse(204, set_cookie(signer.sign(name, int(time.time()) + LIFETIME), LIFETIME))
            case "POST", "/logout":
                if (user := user_of(request.headers)) is not None:
                    for sid in server.participants(room_of(user)):
                        await server.disconnect(sid)
                return HTTPResponse(204, set_cookie("", 0))
            case "GET", "/me":
                return HTTPResponse.text(user_of(request.headers) or "")
        return await files(request)

    server = Server(http=pages)

    @server.use
    def authenticate(ctx: Context) -> None:
        """Let in who has logged in; `ctx.handshake` is the request that opened the connection."""
        user = user_of(ctx.handshake.headers)
        if user is None:
            raise ConnectionRefused("Please log in.", {"login": "/login"})
        ctx.data["user"] = user

    @server.on("connect")
    async def connect(ctx: Context) -> None:
        await ctx.join_room(room_of(ctx.data["user"]))
        await ctx.emit("welcome", ctx.data["user"])

    @server.on("note")
    async def note(ctx: Context, text: str) -> None:
        """Show a note to all windows of this user, and to nobody else."""
        await ctx.emit("note", text, to=room_of(ctx.data["user"]))

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"cookies on http://127.0.0.1:{port}/auth_cookies.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
