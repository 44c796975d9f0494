"""One call of ``serve``: the nursery of its tasks, the sessions it opened, and how all of that ends.

Everything runs in a nursery that is shielded from the caller's cancellation. When the caller is cancelled, the service stops
accepting, closes every session, and waits until clients have been told and handlers have ended; what is left after
the grace period is cancelled.
"""

import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVarTuple

import trio
from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.request import Request
from trio_socketio.engine.session import Session
from trio_socketio.server.client import new_sid
from trio_socketio.server.context import serving
from trio_socketio.server.dispatch import Lane
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.net.deadlines import Deadlines
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.poller import SUPPORTED, Poller
from trio_socketio.server.net.traced import TracedLive

if TYPE_CHECKING:
    from trio_socketio.server.app import Server

logger = logging.getLogger("trio_socketio.server")

Ts = TypeVarTuple("Ts")


class Service:
    """What runs while a server serves.

    Args:
        server: The server.
        nursery: Owns every task of this service.
        alone: Whether it serves one connection alone and ends with it, so that no other may rely on it.
    """

    def __init__(self, server: "Server", nursery: trio.Nursery, *, alone: bool) -> None:
        self.server = server
        self.alone = alone
        self.deadlines = Deadlines()
        self.sessions: dict[str, Live] = {}
        """The sessions that this service opened, by sid."""
        self.busy = 0
        """What must end by itself before the service may end: handlers, and exchanges with clients."""
        self.exchanges = 0
        """The latter alone, which a client can hold up: HTTP requests that are being answered, and open WebSockets."""
        self.leaving: set[Lane] = set()
        """The lanes of sockets that have left, until their disconnect handlers have ended."""
        self.shutting_down = False
        self.nursery = nursery
        self.poller = Poller(self) if SUPPORTED else None
        """What reads plain WebSockets; None where that is not possible."""
        self._context = contextvars.copy_context()
        self._idle = trio.Event()

    @property
    def grace(self) -> float | None:
        """Seconds that a handler may go on after its client has left; None for ever."""
        grace = self.server.options.disconnect_grace
        if not self.shutting_down:
            return grace
        # Half for the handlers that run, the other half for the disconnect handlers after them.
        half = self.server.options.shutdown_grace / 2
        return half if grace is None else min(grace, half)

    def fresh_context(self) -> contextvars.Context:
        """Return the context variables with which a task of this service begins."""
        return self._context.copy()

    def spawn(self, function: Callable[[], Awaitable[object]]) -> None:
        """Run an async function in a task that the service may end without waiting for it."""
        self._context.run(self.nursery.start_soon, function)

    def run_lane(self, lane: Lane) -> None:
        """Run a lane that has begun to have work: by the poller at the end of what it does just now, or in a task of its own."""
        poller = self.poller
        if poller is not None and poller.turning:
            poller.runnable.append(lane)
        else:
            self.start(lane.walk_alone)

    def start(self, function: "Callable[[*Ts], Awaitable[object]]", *args: *Ts) -> None:
        """Run an async function in a task of its own, which never inherits the context of a handler."""
        self._context.run(self.nursery.start_soon, self._run, function, args)
        self.busy += 1

    def start_in(self, context: contextvars.Context, name: object, function: Callable[[], Awaitable[object]]) -> None:
        """Run an async function in a task of its own, which inherits a context and has a name."""
        context.run(lambda: self.nursery.start_soon(self._run, function, (), name=name))
        self.busy += 1

    async def _run(self, function: "Callable[[*Ts], Awaitable[object]]", args: tuple[*Ts]) -> None:
        try:
            await function(*args)
        finally:
            self.done()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a block that runs the application among what must end by itself before the service may end."""
        self.busy += 1
        try:
            yield
        finally:
            self.done()

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """Count a block that deals with a client among what must end by itself before the service may end."""
        self.begin_exchange()
        try:
            yield
        finally:
            self.end_exchange()

    def begin_exchange(self) -> None:
        """Count an exchange with a client as busy."""
        self.busy += 1
        self.exchanges += 1

    def end_exchange(self) -> None:
        """One has ended."""
        self.exchanges -= 1
        self.done()

    def done(self) -> None:
        """Something that was counted as busy has ended."""
        self.busy -= 1
        self.check_idle()

    def open_session(self, transport: Transport, request: Request) -> Live:
        """Begin a session for a client."""
        now = trio.current_time()
        session = Session(new_sid(), self.server.config, transport, now)
        trace = self.server.options.trace
        live = Live(session, self) if trace is None else TracedLive(session, self, trace)
        live.client = self.server.consume(live, Handshake.of(request, self.server.wall_clock()), now)
        self.sessions[session.sid] = live
        self.server.sessions[session.sid] = live
        if self.server.addresses is not None:
            self.server.addresses.enter(session.sid, request.address)
        live.schedule()
        return live

    def forget_session(self, live: Live) -> None:
        """Let go of a session that is over."""
        known = self.sessions.pop(live.sid, None)
        self.server.sessions.pop(live.sid, None)
        if known is not None and self.server.addresses is not None:
            self.server.addresses.leave(live.sid)
        self.check_idle()

    def check_idle(self) -> None:
        """Wake the shutdown if nothing is left to wait for."""
        if not self.sessions and not self.busy and not self._to_run:
            self._idle.set()

    @property
    def _to_run(self) -> bool:
        """Whether the poller has lanes to run, which are nobody's task yet."""
        return self.poller is not None and bool(self.poller.runnable)

    async def shut_down(self) -> None:
        """Close every session and wait until all of it is done, or the grace period is over."""
        self.server.services.remove(self)
        with trio.move_on_after(self.server.options.shutdown_grace) as patience:
            await self._close()
        if patience.cancelled_caught:
            handlers = self.busy - self.exchanges
            logger.log(
                logging.WARNING if handlers else logging.INFO,  # a silent client is nobody's fault
                "shutting down: %d sessions, %d exchanges with clients and %d handlers did not end in time",
                len(self.sessions),
                self.exchanges,
                handlers,
            )

    def abandon(self) -> None:
        """End everything that is left, at once."""
        if self in self.server.services:
            self.server.services.remove(self)
        for live in list(self.sessions.values()):
            live.abandon()
        self.nursery.cancel_scope.cancel()

    async def _close(self) -> None:
        self.shutting_down = True
        for live in list(self.sessions.values()):
            live.close(CloseReason.SERVER_SHUTTING_DOWN, "the server shuts down")
        for lane in self.leaving:
            lane.hasten(self.grace)
        while self.sessions or self.busy or self._to_run:
            self._idle = trio.Event()
            await self._idle.wait()


@asynccontextmanager
async def open_service(server: "Server", *, alone: bool = False) -> AsyncIterator[Service]:
    """Run a service around a block that accepts connections; when the block ends, however it does, shut down gracefully.

    Args:
        server: The server.
        alone: Whether the block serves one connection alone.
    """
    ended = trio.Event()

    async def run(task_status: trio.TaskStatus[Service]) -> None:
        with trio.CancelScope(shield=True), serving(server), ExitStack() as afterwards:
            async with trio.open_nursery() as nursery:
                service = Service(server, nursery, alone=alone)
                server.services.append(service)
                try:
                    nursery.start_soon(service.deadlines.run)
                    if service.poller is not None:
                        afterwards.callback(service.poller.close)
                        nursery.start_soon(service.poller.run)
                        nursery.start_soon(service.poller.flush)
                    task_status.started(service)
                    await ended.wait()
                    await service.shut_down()
                finally:  # also when a handler has raised what ends the program, such as SystemExit
                    service.abandon()

    async with trio.open_nursery() as outer:
        with trio.CancelScope(shield=True):  # if this were cancelled, nobody would be left to say that it has ended
            service = await outer.start(run)
        try:
            yield service  # pyright: ignore[reportPossiblyUnboundVariable]  # it is bound: nobody cancels the scope above
        finally:
            ended.set()
