"""Code that type checkers must accept, and lines that they must refuse.

``make types`` reads it with mypy and pyright. Each line that must be refused carries the comment that silences that one
complaint, and both checkers report a comment that silences nothing.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from trio_socketio import (
    Context,
    HTTPRequest,
    HTTPResponse,
    Namespace,
    Server,
    StaticFiles,
    Stats,
    TracedFrame,
    call,
    emit,
    emit_nowait,
    join_room,
    rooms,
)
from trio_socketio.testing import Event, open_test_client

server = Server(ping_interval=10, cors_allowed_origins=["https://a.example"], http=StaticFiles("."))


@server.on("connect")
async def connect(ctx: Context, auth: dict[str, str] | None) -> bool:
    ctx.data["user"] = auth
    await ctx.join_room(["a", "b"])
    return True


async def tick(ctx: Context, seconds: float) -> None:
    await ctx.emit("tick", seconds)


@server.on("watch")
def watch(ctx: Context) -> None:
    ctx.start_soon(tick, ctx, 1.0, name="ticker")
    ctx.start_soon(tick, ctx)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@server.on("plain", concurrent=True)
def plain(ctx: Context) -> list[str]:
    return ctx.rooms()


@server.event
async def chat(ctx: Context, text: str) -> str:
    count: int = await emit("chat", text, to={"a", "b"}, include_self=False)
    await join_room("c")
    emit_nowait("x", count, rooms())
    return str(await call("question", timeout=3))


@server.on_error
async def failed(ctx: Context, error: Exception) -> str:
    return f"{ctx.event}: {error}"


class Chat(Namespace):
    def __init__(self, name: str, greeting: str) -> None:
        super().__init__(name)
        self.greeting = greeting

    async def on_message(self, ctx: Context, text: str) -> None:
        await self.emit("message", text, room="lobby", skip_sid=ctx.sid)

    def on_error(self, ctx: Context, error: Exception) -> str:
        return f"{self.greeting}, {ctx.event} failed: {error}"


class QuietChat(Chat):
    async def on_error(self, ctx: Context, error: Exception) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]


async def page(request: HTTPRequest) -> HTTPResponse:
    return HTTPResponse.text(request.path)


async def outside() -> None:
    chat = server.register(Chat("/chat", "hello"))
    await chat.emit("greeting", chat.greeting.upper(), broadcast=True)
    assert chat.greting  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    stats: Stats = server.stats()
    answers = await server.namespace("/chat").call_all("ask", timeout=stats["rooms"])
    await server.emit("answers", len(answers), broadcast=True)


async def misspelt(ctx: Context) -> None:
    await emit("x", brodcast=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await ctx.emit("x", inclde_self=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await server.emit("x", too="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await server.namespace("/x").emit("x", skip="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Server(ping_intervall=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await emit("x", to=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


room = server.namespace("/room")


@room.on_error
async def failed_in_the_room(ctx: Context, error: Exception) -> str:
    return f"{ctx.event}: {error}"


frames: list[TracedFrame] = []
traced = Server(trace=frames.append, json="orjson")


ASGIScope = MutableMapping[str, Any]  # as Starlette has them
ASGIReceive = Callable[[], Awaitable[MutableMapping[str, Any]]]
ASGISend = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def hello(scope: ASGIScope, receive: ASGIReceive, send: ASGISend) -> None: ...


beside = server.asgi(hello)


async def test_chat() -> None:
    async with open_test_client(server, auth={"token": "t"}, headers={"cookie": "a=b"}) as client:
        answer = await client.call("chat", "hello")
        event: Event = await client.expect("chat", timeout=1)
        assert (answer, event.args) == ("delivered", ("hello",))


def program() -> None:
    server.run("127.0.0.1", 3000, ssl_context=None)
