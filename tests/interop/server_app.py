"""The application that the real clients talk to: a program of its own, over the public API only.

    python tests/interop/server_app.py --port 0

prints one JSON line `{"port": ...}` once it listens and one line for each disconnect handler that ran; INT or TERM
stops it gracefully. The clients' scenarios (js/*.js, python/*.py) know the handlers by name.
"""

import argparse
import hashlib
import json
import logging
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from trio_socketio import AckTimeout, ConnectionRefused, Context, Server, StaticFiles


def report(**values: Any) -> None:
    """Prints one JSON line for the process that started this one."""
    print(json.dumps(values), flush=True)


def define(server: Server, namespace: str) -> None:
    """Adds the handlers that `/` and the namespaces beside it share."""
    on = partial(server.on, namespace=namespace)

    @on("connect")
    async def connect(ctx: Context, auth: Any) -> bool:
        wish = auth if isinstance(auth, dict) else {}
        if wish.get("refuse") == "data":
            raise ConnectionRefused("not authorized", {"code": 401, "hints": ["log in", "ask again"]})
        if wish.get("refuse") == "message":
            raise ConnectionRefused("not today")
        if wish.get("refuse") == "error":
            raise RuntimeError("the connect handler fails on purpose")
        if "room" in wish:
            await ctx.join_room(wish["room"])
        await ctx.emit(
            "welcome",
            {
                "sid": ctx.sid,
                "namespace": ctx.namespace,
                "auth": auth,
                "query": dict(ctx.handshake.query),
                "header": ctx.handshake.headers.get("x-test"),
                "transport": str(ctx.transport),
            },
        )
        return wish.get("refuse") != "false"

    @on("disconnect")
    async def disconnect(ctx: Context, reason: str) -> None:
        report(disconnected=ctx.sid, namespace=ctx.namespace, reason=str(reason), rooms=sorted(ctx.rooms()))

    @on("echo")
    async def echo(ctx: Context, *args: Any) -> Any:
        return args

    @on("echo back")
    async def echo_back(ctx: Context, *args: Any) -> None:
        await ctx.emit("echoed", *args)

    @on("message")
    async def message(ctx: Context, data: Any) -> None:
        await ctx.send(data)

    @on("transport")
    async def transport(ctx: Context) -> str:
        return str(ctx.transport)

    @on("nothing")
    async def nothing(ctx: Context) -> None: ...

    @on("fails")
    async def fails(ctx: Context) -> None:
        raise RuntimeError("the handler fails on purpose")

    @on("measure")
    async def measure(ctx: Context, data: str | bytes) -> dict[str, Any]:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        return {"type": type(data).__name__, "length": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}

    @on("give bytes")
    async def give_bytes(ctx: Context, length: int) -> bytes:
        return bytes(i % 251 for i in range(length))

    @on("ask")
    async def ask(ctx: Context, *args: Any) -> Any:
        answer = await ctx.call("question", *args, timeout=5)
        return {"several": list(answer)} if isinstance(answer, tuple) else {"one": answer}

    @on("ask briefly")
    async def ask_briefly(ctx: Context) -> str:
        try:
            await ctx.call("question nobody answers", timeout=0.2)
        except AckTimeout:
            return "timed out"
        return "answered"

    @on("ask with callback")
    async def ask_with_callback(ctx: Context, *args: Any) -> None:
        async def answered(*answer: Any) -> None:
            await ctx.emit("callback ran", *answer)

        await ctx.emit("question", *args, callback=answered)

    @on("ask room")
    async def ask_room(ctx: Context, room: str) -> dict[str, Any]:
        return dict(await ctx.call_all("question", room, to=room, timeout=5))

    @on("join")
    async def join(ctx: Context, room: str) -> list[str]:
        await ctx.join_room(room)
        return list(ctx.rooms())

    @on("leave")
    async def leave(ctx: Context, room: str) -> list[str]:
        await ctx.leave_room(room)
        return list(ctx.rooms())

    @on("close room")
    async def close_room(ctx: Context, room: str) -> None:
        await ctx.close_room(room)

    @on("say")
    async def say(ctx: Context, target: Any, *args: Any) -> int:
        return await ctx.emit("said", *args, to=target)

    @on("say to others")
    async def say_to_others(ctx: Context, target: Any, *args: Any) -> int:
        return await ctx.emit("said", *args, to=target, include_self=False)

    @on("say skipping")
    async def say_skipping(ctx: Context, target: Any, skip: Any, *args: Any) -> int:
        return await ctx.emit("said", *args, to=target, skip_sid=skip)

    @on("shout")
    async def shout(ctx: Context, *args: Any) -> int:
        return await ctx.emit("said", *args, broadcast=True)

    @on("shout to others")
    async def shout_to_others(ctx: Context, *args: Any) -> int:
        return await ctx.emit("said", *args, broadcast=True, include_self=False)

    @on("announce")
    async def announce(ctx: Context, *args: Any) -> int:
        return await server.emit("said", *args, namespace=namespace)

    @on("number")
    async def number(ctx: Context, value: int) -> int:
        ctx.data.setdefault("numbers", []).append(value)
        return value

    @on("numbers")
    async def numbers(ctx: Context) -> list[int]:
        return list(ctx.data.get("numbers", []))

    @on("count to")
    async def count_to(ctx: Context, limit: int, pause: float) -> None:
        for value in range(limit):
            await ctx.emit("number", value, bytes([value % 256]) if value % 10 == 0 else None)
            if value % 10 == 9:
                await trio.sleep(pause)

    @on("kick")
    async def kick(ctx: Context) -> None:
        await ctx.emit("goodbye", "the last words")
        await ctx.disconnect()

    @on("kick out")
    async def kick_out(ctx: Context) -> None:
        await ctx.emit("goodbye", "the last words")
        await ctx.disconnect(close=True)

    @on("*")
    async def rest(ctx: Context, *args: Any) -> Any:
        return {"event": ctx.event, "args": list(args)}


def build(options: argparse.Namespace) -> Server:
    """The server with its namespaces; `/bare` has no catch-all, `/guarded` a middleware, `/room-*` is dynamic."""
    server = Server(
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        cors_allowed_origins="*" if options.any_origin else None,
        **({"http": StaticFiles(options.static)} if options.static else {}),
    )
    for namespace in ("/", "/custom", "/room-*"):
        define(server, namespace)

    @server.on("echo", namespace="/bare")
    async def echo(ctx: Context, *args: Any) -> Any:
        return args

    guarded = server.namespace("/guarded")

    @guarded.use
    async def guard(ctx: Context) -> None:
        if ctx.auth != {"token": "let me in"}:
            raise ConnectionRefused("the middleware refused", {"by": "guard"})

    @guarded.on("connect")
    async def connect(ctx: Context, auth: Any) -> None: ...

    return server


async def main(options: argparse.Namespace) -> None:
    server = build(options)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            start: Callable[..., Awaitable[Any]] = nursery.start
            listeners = await start(server.serve, "127.0.0.1", options.port)
            report(port=listeners[0].socket.getsockname()[1])
            async for _ in signals:
                nursery.cancel_scope.cancel()
    report(stopped=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--static", metavar="DIRECTORY", help="serve the files of this folder beside Socket.IO")
    parser.add_argument("--any-origin", action="store_true", help="let the pages of other servers connect")
    parser.add_argument("--ping-interval", type=float, default=25)
    parser.add_argument("--ping-timeout", type=float, default=20)
    logging.basicConfig(level=logging.INFO)
    trio.run(main, parser.parse_args())
