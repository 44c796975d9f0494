"""An ASGI host in memory: it calls an application as Hypercorn's trio worker does, and shows every message.

What goes to the application waits in a channel that holds as many messages as Hypercorn's; what comes from it waits in one that
holds as many as a test wants to be unread.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import trio

QUEUE = 10
"""Messages that wait for an application; the default of Hypercorn."""


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Conversation:
    """One call of the application, with what is said on both sides."""

    def __init__(self, scope: dict[str, Any], room: float) -> None:
        self.scope = scope
        self.to_app, self._app_receives = trio.open_memory_channel[dict[str, Any]](QUEUE)
        self._app_sends, self.from_app = trio.open_memory_channel[dict[str, Any]](room)
        self.lost = False
        self.ended = trio.Event()
        self.error: BaseException | None = None
        self.cancelling = trio.CancelScope()

    async def run(self, app: Any, *, strict: bool) -> None:
        try:
            with self.cancelling:
                await app(self.scope, self._app_receives.receive, self._send)
        except Exception as error:
            self.error = error
            if strict:
                raise
        finally:
            self._app_sends.close()
            self._app_receives.close()
            self.ended.set()

    async def _send(self, message: dict[str, Any]) -> None:
        if self.lost:
            raise OSError("the client is gone")
        await self._app_sends.send(message)

    async def say(self, message: dict[str, Any]) -> None:
        """Tell the application something; it waits while the application does not listen."""
        await self.to_app.send(message)

    async def hear(self) -> dict[str, Any]:
        """Return what the application says next.

        Raises:
            trio.EndOfChannel: It has ended.
        """
        return await self.from_app.receive()

    def close(self) -> None:
        self.to_app.close()
        self.from_app.close()


class Exchange(Conversation):
    """One HTTP request."""

    async def body(self, data: bytes = b"", *, more: bool = False) -> None:
        await self.say({"type": "http.request", "body": data, "more_body": more})

    async def hang_up(self) -> None:
        """Tell the application that the client is gone."""
        self.lost = True
        await self.say({"type": "http.disconnect"})

    async def answer(self) -> Answer:
        """Return the whole answer."""
        start = await self.hear()
        assert start["type"] == "http.response.start", start
        body = b""
        while True:
            part = await self.hear()
            assert part["type"] == "http.response.body", part
            body += part.get("body", b"")
            if not part.get("more_body", False):
                break
        headers: dict[str, str] = {}
        for name, value in start["headers"]:
            assert type(name) is type(value) is bytes
            assert name == name.lower()
            key = name.decode()
            headers[key] = f"{headers[key]}, {value.decode()}" if key in headers else value.decode()
        return Answer(start["status"], headers, body)


class WebSocket(Conversation):
    """One WebSocket."""

    async def open(self) -> None:
        """Begin the opening handshake and see it accepted."""
        await self.say({"type": "websocket.connect"})
        accepted = await self.hear()
        assert accepted["type"] == "websocket.accept", accepted

    async def send(self, frame: str | bytes) -> None:
        text = isinstance(frame, str)
        await self.say({"type": "websocket.receive", "text": frame if text else None, "bytes": None if text else frame})

    async def receive(self) -> str | bytes:
        """Return the next frame."""
        message = await self.hear()
        assert message["type"] == "websocket.send", message
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def closed(self) -> int:
        """Read until the application closes, say that it is closed, and return the code."""
        while (message := await self.hear())["type"] != "websocket.close":
            pass
        await self.say({"type": "websocket.disconnect", "code": message["code"]})
        return message["code"]

    async def hang_up(self, code: int = 1006) -> None:
        """Tell the application that the client is gone."""
        self.lost = True
        await self.say({"type": "websocket.disconnect", "code": code})


@dataclass
class Host:
    """Calls one application.

    Attributes:
        root_path: Where it is mounted.
        client: The address that peers have.
        scheme: ``http`` or ``https``.
        extensions: What it can do.
        strict: Whether an error of the application fails the test.
    """

    app: Any
    nursery: trio.Nursery
    root_path: str = ""
    client: tuple[str, int] | None = ("192.0.2.1", 50000)
    scheme: str = "http"
    http_version: str = "1.1"
    extensions: tuple[str, ...] = ("websocket.http.response",)
    strict: bool = True
    state: dict[str, Any] = field(default_factory=dict)
    conversations: list[Conversation] = field(default_factory=list)
    life: Conversation = field(init=False)
    """The latest lifespan."""

    def scope(self, kind: str, target: str, headers: dict[str, str], **more: Any) -> dict[str, Any]:
        path, _, query = target.partition("?")
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.http_version,
            "scheme": self.scheme,
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": self.root_path,
            "headers": [(name.encode(), value.encode()) for name, value in {"host": "example.org", **headers}.items()],
            "client": self.client,
            "server": ("127.0.0.1", 8000),
            "state": self.state.copy(),
            "extensions": {name: {} for name in self.extensions},
            **more,
        }

    def _call(self, conversation: Any) -> Any:
        self.conversations.append(conversation)

        async def run() -> None:
            await conversation.run(self.app, strict=self.strict)

        self.nursery.start_soon(run)
        return conversation

    def http(
        self, method: str, target: str, headers: dict[str, str] | None = None, *, room: float = math.inf, **more: Any
    ) -> Exchange:
        """Begin a request, whose body is said with `Exchange.body`."""
        return self._call(Exchange(self.scope("http", target, headers or {}, method=method, **more), room))

    async def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", **more: Any
    ) -> Answer:
        """Send a whole request and return its answer."""
        named = {"content-length": str(len(body)), **(headers or {})} if body or method == "POST" else headers
        exchange = self.http(method, target, named, **more)
        await exchange.body(body)
        return await exchange.answer()

    def websocket(
        self, target: str, headers: dict[str, str] | None = None, *, room: float = math.inf, **more: Any
    ) -> WebSocket:
        """Begin a WebSocket, whose opening handshake is `WebSocket.open`."""
        opening = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        scheme = {"http": "ws", "https": "wss"}[self.scheme]
        scope = self.scope("websocket", target, {**opening, **(headers or {})}, scheme=scheme, subprotocols=[], **more)
        return self._call(WebSocket(scope, room))

    def lifespan(self) -> Conversation:
        """Begin the lifespan of the application."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        return self._call(Conversation(scope, math.inf))

    async def start(self) -> Conversation:
        """Start the application and return its lifespan."""
        self.life = self.lifespan()
        await self.life.say({"type": "lifespan.startup"})
        started = await self.life.hear()
        assert started["type"] == "lifespan.startup.complete", started
        return self.life

    async def stop(self) -> None:
        """Shut the application down; requests that are under way go on."""
        await self.life.say({"type": "lifespan.shutdown"})
        stopped = await self.life.hear()
        assert stopped["type"] == "lifespan.shutdown.complete", stopped
        await self.life.ended.wait()

    def close(self) -> None:
        for conversation in self.conversations:
            conversation.close()


@asynccontextmanager
async def hosting(app: Any, **options: Any) -> AsyncIterator[Host]:
    """Run an application with its lifespan around a block; at the end it is shut down, and every call of it must end."""
    host: Host | None = None
    try:
        async with trio.open_nursery() as nursery:
            host = Host(app, nursery, **options)
            await host.start()
            yield host
            if not host.life.ended.is_set():
                await host.stop()
            with trio.fail_after(60):
                for conversation in host.conversations:
                    await conversation.ended.wait()
    finally:
        if host is not None:
            host.close()
