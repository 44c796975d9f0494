"""The lifespan of another ASGI application, lived inside of ours (ASGI specification, "Lifespan Protocol")."""

import logging

import trio
from trio_socketio.server.net.asgi_scope import ASGIApp, Message, Scope

logger = logging.getLogger("trio_socketio.server")


class Lifespan:
    """Starts and stops an application that may not want to know of that.

    `run` is a task of its own, for what the application does between its start and its end may stay in it.

    Args:
        app: The application.
        scope: The host's scope, whose ``state`` is the application's, too.
    """

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self._scope = scope
        self._to_app, self._from_host = trio.open_memory_channel[Message](2)
        self._started = trio.Event()
        self._stopped = trio.Event()
        self._supported = False
        self._failure: str | None = None

    async def run(self) -> None:
        """Run the application until it has stopped, or does not want to run."""
        try:
            with self._to_app, self._from_host:
                await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            if self._failure is not None:  # which has been told already
                logger.debug("the other application failed: %s", self._failure, exc_info=True)
            elif self._supported:
                logger.exception("the other application has ended its lifespan with an error; it is served without one")
            else:
                logger.debug("the other application takes no part in the lifespan protocol: %r", error)
        finally:
            self._started.set()
            self._stopped.set()

    async def start(self) -> str | None:
        """Start the application and return why it failed, or None."""
        await self._to_app.send({"type": "lifespan.startup"})
        await self._started.wait()
        return self._failure

    async def stop(self) -> str | None:
        """Stop the application and return why it failed, or None."""
        if not self._stopped.is_set():
            await self._to_app.send({"type": "lifespan.shutdown"})
            await self._stopped.wait()
        return self._failure

    async def _receive(self) -> Message:
        return await self._from_host.receive()

    async def _send(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        what = message["type"]
        if what == "lifespan.startup.complete":
            self._supported = True
            self._started.set()
        elif what == "lifespan.shutdown.complete":
            self._stopped.set()
        elif what in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._failure = message.get("message", "")
            (self._started if what == "lifespan.startup.failed" else self._stopped).set()
        else:
            raise RuntimeError(f"an application sends no {what!r} in its lifespan")
