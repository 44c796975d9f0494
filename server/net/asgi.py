"""A server as an ASGI 3 application, for a host that runs on trio; another application gets what is not for Socket.IO.

Theory of operation
===================

The service, with its sessions and handlers, runs from the host's ``lifespan.startup`` to its ``lifespan.shutdown``; both are
passed on to the other application, which starts first and stops last, so that handlers may use what it opens. Sessions live in
the service. A request of the host only lends itself to one: an HTTP request until it is answered
(`trio_socketio.server.net.asgi_http`), a WebSocket until it is closed (`trio_socketio.server.net.asgi_websocket`).

A host ends in one of two ways. It sends ``lifespan.shutdown`` while requests are under way: then the service closes its sessions,
and with them the requests end. Or it cancels the requests first: then each tells its client, before it gives way.
What is left when the service has ended is cut.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.request import handles
from trio_socketio.server.net.asgi_channel import Channel
from trio_socketio.server.net.asgi_http import Exchange
from trio_socketio.server.net.asgi_lifespan import Lifespan
from trio_socketio.server.net.asgi_scope import ASGIApp, Receive, Scope, Send, path_below
from trio_socketio.server.net.asgi_websocket import Opening
from trio_socketio.server.service import Service, open_service

if TYPE_CHECKING:
    from trio_socketio.server.app import Server

NOT_RUNNING: Final = (
    "the Socket.IO server is not running: the host has not sent lifespan.startup to this application. Hosts send it to the "
    "outermost application only; one that is mounted inside of another is run by `async with app.running():` in the lifespan "
    "of that"
)
TURNS: Final = 16
"""Turns that other tasks get before a WebSocket is answered. Hypercorn 0.18 refuses one whose client has sent frames behind its
opening handshake already, and if the application answers just then, the whole host ends with an error."""
NO_TRIO: Final = (
    "trio-socketio needs a host that runs on trio, such as Hypercorn with its trio worker (hypercorn -k trio)"
)


class Hosted:
    """A service, and what must end with it.

    Args:
        service: The service.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._scopes: set[trio.CancelScope] = set()
        self._over = False

    @contextmanager
    def ending(self, *scopes: trio.CancelScope) -> Iterator[None]:
        """Cancel scopes when the service has ended, if that is during the block."""
        self._scopes.update(scopes)
        if self._over:
            self._cut(scopes)
        try:
            yield
        finally:
            self._scopes.difference_update(scopes)

    def end(self) -> None:
        """Cut what the service has not ended."""
        self._over = True
        self._cut(self._scopes)

    def _cut(self, scopes: Iterable[trio.CancelScope]) -> None:
        for scope in scopes:
            scope.cancel()


class ASGIApplication:
    """A server as an ASGI application; `Server.asgi` makes it.

    Args:
        server: The server.
        other_app: Gets every request outside of the server's path; None for the server's ``http=`` handler.
    """

    def __init__(self, server: "Server", other_app: ASGIApp | None = None) -> None:
        self._server = server
        self._other = other_app
        self._hosted: Hosted | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what the host says, to its end."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._run_lifespan(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"this is no application for the scope {kind!r}")
        if kind == "websocket" and _in_trio():
            for _ in range(TURNS):
                await trio.lowlevel.checkpoint()
        path = path_below(scope)
        ours = handles(path, self._server.config)
        if self._other is not None and not ours:
            await self._other(scope, receive, send)
            return
        hosted = self._hosted
        if hosted is None:
            raise RuntimeError(NOT_RUNNING if _in_trio() else NO_TRIO)
        with trio.CancelScope() as whole, hosted.ending(whole), hosted.service.exchanging():
            channel = Channel(scope, receive, send, self._server)
            if kind == "http":
                await Exchange(hosted, scope, path, channel).answer(ours=ours)
            else:
                await Opening(hosted, scope, channel).answer(ours=ours)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the server around a block, for an application that the host sends no lifespan events to.

        At the end of the block, however it ends, the server shuts down gracefully.

        Raises:
            RuntimeError: It is running already, or whoever mounts it does not run on trio.
        """
        if not _in_trio():
            raise RuntimeError(NO_TRIO)
        if self._hosted is not None:
            raise RuntimeError("the Socket.IO server is running in this application already")
        try:
            async with open_service(self._server) as service:
                self._hosted = Hosted(service)
                yield
        finally:
            hosted, self._hosted = self._hosted, None
            if hosted is not None:
                hosted.end()

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the server, and the other application, from the host's beginning to its end."""
        await receive()  # lifespan.startup, which comes first
        if not _in_trio():
            await send({"type": "lifespan.startup.failed", "message": NO_TRIO})
            return
        started = False
        async with trio.open_nursery() as nursery:
            other = Lifespan(self._other or _without_lifespan, scope)
            nursery.start_soon(other.run)
            failure = await other.start()
            if failure is None:
                async with self.running():
                    started = True
                    await send({"type": "lifespan.startup.complete"})
                    await receive()  # lifespan.shutdown, the only one that is left
                failure = await other.stop()
            nursery.cancel_scope.cancel()
        stage = "shutdown" if started else "startup"
        if failure is None:
            await send({"type": f"lifespan.{stage}.complete"})
        else:
            await send({"type": f"lifespan.{stage}.failed", "message": failure})


def _in_trio() -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


async def _without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # that is what it does
    """Stand for no other application: one that takes no part in the lifespan protocol."""
    await trio.lowlevel.checkpoint()
