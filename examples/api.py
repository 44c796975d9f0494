"""Requests and responses: acknowledgements both ways, deadlines, errors with a form, and validation.

    python examples/api.py                  then open the address that it prints

A small shop. Every request is an event with one object, and is acknowledged with {"ok": true, "result": ...} or with
{"ok": false, "error": {"code", "message", ...}}: handlers return results and raise `Failure`, one error handler gives
it its form. Who orders much is asked back with `call`, which has a deadline of its own. The page is static/api.html.
"""

import argparse
import logging
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from trio_socketio import AckTimeout, Context, Server, StaticFiles

STATIC = Path(__file__).parent / "static"
MUCH = 10
"""From so many pieces on, an order must be confirmed."""
CONFIRMATION = 15.0
"""Seconds to confirm it."""
DEADLINE = 30.0
"""Seconds that any request may take, confirmation included."""

logger = logging.getLogger("shop")


class Failure(Exception):  # noqa: N818  # most of them are answers, not errors of the program
    """A request that cannot be met.

    Args:
        code: A word for programs.
        message: A sentence for people.
        **details: What else the client should know.
    """

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, **details}


def text(request: dict[str, Any], field: str) -> str:
    """Return a field that must be a text.

    Raises:
        Failure: It is missing, empty, or something else.
    """
    value = request.get(field)
    if not isinstance(value, str) or not value:
        raise Failure("invalid", f"{field} must be a text.", field=field)
    return value


def number(request: dict[str, Any], field: str, least: int, most: int) -> int:
    """Return a field that must be a whole number.

    Raises:
        Failure: It is missing, something else, or out of range.
    """
    value = request.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:  # True is an int in Python
        raise Failure("invalid", f"{field} must be a whole number from {least} to {most}.", field=field)
    return value


def make_server() -> Server:
    """Return the shop."""
    server = Server(http=StaticFiles(STATIC))
    stock = {"teapot": 12, "cup": 40, "spoon": 200}

    def request(name: str) -> Callable[[Callable[[Context, dict[str, Any]], Awaitable[object]]], None]:
        """Register the handler of a request; a decorator. What all requests have in common stands here, once."""

        def register(handle: Callable[[Context, dict[str, Any]], Awaitable[object]]) -> None:
            # Clients may send anything, also nothing: `*args` takes it, so that they are told what is wrong.
            @server.on(name)
            async def handler(ctx: Context, *args: Any) -> dict[str, Any]:
                if len(args) != 1 or not isinstance(args[0], dict):
                    raise Failure("invalid", "A request is one object.")
                try:
                    with trio.fail_after(DEADLINE):
                        return {"ok": True, "result": await handle(ctx, args[0])}
                except trio.TooSlowError:
                    raise Failure("timeout", f"That took longer than {DEADLINE:g} s.") from None

        return register

    @request("list")
    async def list_stock(_ctx: Context, _request: dict[str, Any]) -> object:
        return stock

    @request("order")
    async def order(ctx: Context, request: dict[str, Any]) -> object:
        item = text(request, "item")
        amount = number(request, "amount", 1, 1000)
        if item not in stock:
            raise Failure("not_found", f"There is no {item}.", known=sorted(stock))
        if amount >= MUCH:
            try:
                confirmed = await ctx.call("confirm", {"item": item, "amount": amount}, timeout=CONFIRMATION)
            except AckTimeout:
                raise Failure("timeout", f"The order was not confirmed within {CONFIRMATION:g} s.") from None
            if confirmed is not True:
                raise Failure("declined", "The order was not confirmed.")
        # Only now, and without an await in between: others may have ordered while we waited.
        if stock[item] < amount:
            raise Failure("conflict", f"There are only {stock[item]} left.", left=stock[item])
        stock[item] -= amount
        await ctx.emit("stock", stock, broadcast=True)
        return {"item": item, "amount": amount, "left": stock[item]}

    @request("break")
    async def break_(_ctx: Context, _request: dict[str, Any]) -> object:
        """Show what becomes of a fault of ours."""
        raise LookupError("nobody should see this")

    @server.on_error
    def answer(ctx: Context, error: Exception) -> dict[str, Any]:
        """Return the acknowledgement of a request whose handler failed."""
        if isinstance(error, Failure):
            return {"ok": False, "error": error.error}
        logger.error("the handler of %r failed", ctx.event, exc_info=error)  # the details are for us alone
        return {"ok": False, "error": {"code": "internal", "message": "Something went wrong here."}}

    @server.on("*")
    async def unknown(ctx: Context, *_args: object) -> None:
        raise Failure("unknown", f"There is no request {ctx.event!r}.")

    return server


async def main(port: int) -> None:
    """Serve until Ctrl-C or SIGTERM; then end gracefully."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            (listener, *_) = await nursery.start(make_server().serve, "127.0.0.1", port)
            port = listener.socket.getsockname()[1]
            print(f"shop on http://127.0.0.1:{port}/api.html (Ctrl-C ends it)", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=3000, help="the port on 127.0.0.1 (default: %(default)s)")
    trio.run(main, parser.parse_args().port)
