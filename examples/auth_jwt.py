"""A JSON Web Token lets a client in, and the connection ends when the token expires.

    python examples/auth_jwt.py             then open the address that it prints

A token (RFC 7519) is three parts with dots between them: what it is, what it claims, and a signature of these two; each
is base64url. Its claims are not secret, but only who knows the key can make it. The client sends it as `auth` when it
connects. A task of the connection (`ctx.start_soon`) ends it in time, unless the client sends a newer token before
that. HS256 alone is accepted, which takes a few lines of the standard library; for other algorithms, or keys that
others publish, use a library for it such as PyJWT.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import signal
import time
from pathlib import Path
from typing import Any

import trio

from trio_socketio import ConnectionRefused, Context, HTTPRequest, HTTPResponse, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
LIFETIME = 20
"""Seconds that a token is valid; minutes to hours are usual."""


class InvalidToken(Exception):  # noqa: N818  # it is an answer
    """A token that lets nobody in; the text says why."""


def to_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Return what base64url without padding stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature_of(text: str, key: bytes) -> bytes:
    """Return the signature HS256 (RFC 7518, section 3.2)."""
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def make_token(claims: dict[str, Any], key: bytes) -> str:
    """Return a signed token."""
    parts = [to_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(parts)
    return f"{text}.{to_base64url(signature_of(text, key))}"


def verify_token(token: object, key: bytes) -> dict[str, Any]:
    """Return the claims of a token that is valid now: ``sub``, who it is, and ``exp``, until when.

    Raises:
        InvalidToken: It is none, or it is not ours, or it has expired.
    """
    if not isinstance(token, str) or token.count(".") != 2:  # three parts
        raise InvalidToken("There is no token.")
    text, _, signature = token.rpartition(".")
    header, _, payload = text.partition(".")
    try:
        signed = hmac.compare_digest(from_base64url(signature), signature_of(text, key))
        algorithm, claims = json.loads(from_base64url(header))["alg"], json.loads(from_base64url(payload))
    except (ValueError, binascii.Error, KeyError, TypeError):
        raise InvalidToken("That is no token.") from None
    # The token must not choose how it is checked: "none" is an algorithm, too.
    if not signed or algorithm != "HS256" or not isinstance(claims, dict):
        raise InvalidToken("The token is not ours.")
    if not isinstance(claims.get("sub"), str) or not isinstance(claims.get("exp"), int | float):
        raise InvalidToken("The token does not say whose it is, or until when.")
    if not claims["exp"] > time.time():  # JSON of Python may hold NaN, which is never greater
        raise InvalidToken("The token has expired.")
    return claims


def make_server(key: bytes, lifetime: float = LIFETIME) -> Server:
    """Return the application.

    Args:
        key: What tokens are signed with, at least 32 bytes; whoever makes them needs it, too.
        lifetime: Seconds that the tokens made here are valid.
    """
    files = StaticFiles(STATIC)

    async def pages(request: HTTPRequest) -> HTTPResponse:
        """Hand out tokens to everybody: stands for your login, which may be another server."""
        if (request.method, request.path) == ("POST", "/token"):
            token = make_token({"sub": "ada", "exp": time.time() + lifetime}, key)
            return HTTPResponse.text(token)
        return await files(request)

    server = Server(http=pages)

    def accept(ctx: Context, token: object) -> float:
        """Take over what a token claims, and return for how many seconds it is still valid."""
        claims = verify_token(token, key)
        left: float = claims["exp"] - time.time()
        ctx.data["user"] = claims["sub"]
        # The clock of trio does not jump when somebody sets the time.
        ctx.data["validity"].deadline = trio.current_time() + left
        return left

    async def expire(ctx: Context) -> None:
        """End the connection when its token expires; a newer one has meanwhile moved the deadline."""
        validity: trio.CancelScope = ctx.data["validity"]
        with validity:
            await trio.sleep_forever()
        await ctx.emit("expired")
        await ctx.disconnect()

    @server.use
    def authenticate(ctx: Context, auth: object) -> None:
        ctx.data["validity"] = trio.CancelScope()
        try:
            accept(ctx, auth.get("token") if isinstance(auth, dict) else None)
        except InvalidToken as error:
            raise ConnectionRefused(str(error), {"code": "invalid_token"}) from None

    @server.on("connect")
    async def connect(ctx: Context) -> None:
        ctx.start_soon(expire, ctx)  # it ends with the connection
        await ctx.emit("welcome", ctx.data["user"], ctx.data["validity"].deadline - trio.current_time())

    @server.on("renew")
    async def renew(ctx: Context, token: object) -> dict[str, object]:
        user = ctx.data["user"]
        try:
            if verify_token(token, key)["sub"] != user:
                return {"error": "That is somebody else's token."}
            return {"left": accept(ctx, token)}
        except InvalidToken as error:
            return {"error": str(error)}

    @server.on("whoami")
    async def whoami(ctx: Context) -> str:
        return str(ctx.data["user"])

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            server = make_server(secrets.token_bytes(32))
            (listener, *_) = await nursery.start(server.serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"tokens on http://127.0.0.1:{port}/auth_jwt.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
