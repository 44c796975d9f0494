"""Running handlers: in order for each socket, each in its own context, and none able to harm another.

A `Lane` belongs to one socket. What is submitted to it runs one after another in one task, which exists only while there is
something to do; the reader that submits never waits for a handler. When the socket leaves, the lane is closed: what runs may go
on for a grace period, then it is cancelled, and at last, exactly once, the disconnect handler runs. Companions, the tasks that
handlers have started for as long as the socket is there, are cancelled at once, and end before the disconnect handler as well.
"""

import contextvars
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from functools import partial
from inspect import iscoroutine
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio
from trio_socketio.protocol.errors import EncodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server.context import Context, activate, current
from trio_socketio.server.errors import ConnectionRefused
from trio_socketio.server.handlers import Handler
from trio_socketio.server.pace import Pace

if TYPE_CHECKING:
    from trio_socketio.server.service import Service
    from trio_socketio.server.socket import Socket

logger = logging.getLogger("trio_socketio.handlers")

Job = Callable[[], Coroutine[Any, Any, None]]


class NoAck:
    """The type of `NO_ACK`: what a failed handler acknowledges with, which is not at all."""


NO_ACK: Final = NoAck()


class Backlog(Protocol):
    """Who counts the jobs of the lanes of one client."""

    waiting: int
    """Jobs that wait or run."""
    held_back: bool
    """Whether somebody wants to hear of progress."""

    def progressed(self) -> None:
        """A job has ended: there is room for another."""
        ...


class Lane:
    """The handlers of one socket, one at a time.

    Every event passes through here, nearly always alone: so the first job has a place of its own, and everything that
    only others need (a queue, the scopes of concurrent jobs) is made when it is needed.

    Args:
        service: Whose nursery owns the tasks.
        backlog: Counts the jobs.
    """

    __slots__ = (
        "_backlog",
        "_closed",
        "_companions",
        "_concurrent",
        "_first",
        "_grace",
        "_last",
        "_queue",
        "_service",
        "_walk",
        "_walking",
    )

    def __init__(self, service: "Service", backlog: Backlog) -> None:
        self._service = service
        self._backlog = backlog
        self._walking = False
        self._walk: trio.CancelScope | None = None  # around the jobs that run one after another
        self._first: Job | None = None
        self._queue: deque[Job] | None = None  # what waits behind it
        self._concurrent: set[trio.CancelScope] | None = None  # around each of those that do not
        self._companions: set[trio.CancelScope] | None = None  # around each task that ends when the socket leaves
        self._closed = False
        self._last: Job | None = None
        self._grace: float | None = None

    def submit(self, job: Job) -> None:
        """Run a job after all those submitted before it."""
        self._backlog.waiting += 1
        if not self._walking:
            self._walking = True
            self._first = job
            self._service.run_lane(self)
        elif self._queue is None:
            self._queue = deque((job,))
        else:
            self._queue.append(job)

    def submit_concurrent(self, job: Job) -> None:
        """Run a job in a task of its own, now."""
        self._backlog.waiting += 1
        self._start(job, trio.CancelScope())

    def accompany(self, job: Job, context: contextvars.Context, name: object) -> bool:
        """Run a job in a task of its own until the lane is closed; return whether it was started, which it is not after that.

        It is not one of the client's jobs: the backlog does not count it, so that it never keeps input from being read.
        """
        if self._closed:
            return False
        scope = trio.CancelScope()
        self._service.start_in(context, name, partial(self._run_companion, job, scope))
        if self._companions is None:
            self._companions = set()
        self._companions.add(scope)
        return True

    def clear(self) -> None:
        """Drop the jobs that have not begun."""
        if self._first is not None:
            self._first = None
            self._backlog.waiting -= 1
        if self._queue is not None:
            self._backlog.waiting -= len(self._queue)
            self._queue = None

    def close(self, last: Job | None, grace: float | None) -> None:
        """Run ``last`` once everything that runs or waits has ended, which is cancelled after ``grace`` seconds (None: never).

        Companions are cancelled now.
        """
        self._closed = True
        for scope in self._companions or ():
            scope.cancel()
        self._last = last
        self._service.leaving.add(self)
        self.hasten(grace)
        self._finish()

    def hasten(self, grace: float | None) -> None:
        """Cancel what runs in ``grace`` seconds, or sooner if that was said before."""
        if grace is None:
            return
        self._grace = grace if self._grace is None else min(grace, self._grace)
        deadline = trio.current_time() + grace
        for scope in (self._walk, *(self._concurrent or ())):
            if scope is not None:
                scope.deadline = min(scope.deadline, deadline)

    async def walk_alone(self) -> None:
        """Run everything that is submitted, in a task of its own."""
        with trio.CancelScope() as scope:
            await self.walk(scope, self._service.server.pace)

    async def walk(self, scope: trio.CancelScope, pace: Pace | None = None) -> None:
        """Run everything that is submitted, each job with context variables of its own; afterwards the scope has no deadline.

        Args:
            scope: What cancels it.
            pace: Says when other tasks should run; None if the caller sees to that.
        """
        backlog = self._backlog
        self._walk = scope
        if self._grace is not None:  # it was closed before it could begin
            scope.deadline = min(scope.deadline, trio.current_time() + self._grace)
        job, self._first = self._first, None
        try:
            while job is not None:
                variables = self._service.fresh_context()
                running = job()
                try:  # `contain` in this frame
                    try:
                        trap = variables.run(running.send, None)
                    except StopIteration:
                        pass  # it never waited
                    else:
                        await drive(running, trap, variables)
                except* Exception:
                    logger.exception("a handler failed while it was cancelled")
                backlog.waiting -= 1
                if backlog.held_back:
                    backlog.progressed()
                if pace is not None:
                    pace.left -= 1
                    if pace.left < 0:
                        await pace.rest()
                job = self._queue.popleft() if self._queue else None  # nothing may be awaited once there is none
        except BaseException:  # cancelled; a handler's own nursery makes a group of that
            backlog.waiting -= 1
            self.clear()
            raise
        finally:
            self._walk = None
            self._walking = False
            self._queue = None
            if self._closed:
                scope.deadline = math.inf
                self._finish()
            if backlog.held_back:
                backlog.progressed()

    def _start(self, job: Job, scope: trio.CancelScope) -> None:
        if self._concurrent is None:
            self._concurrent = set()
        self._concurrent.add(scope)
        self._service.start(self._run_alone, job, scope)

    async def _run_alone(self, job: Job, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await contain(job)
        finally:  # also when a shutdown has run out of time
            if self._concurrent is not None:
                self._concurrent.discard(scope)
            self._backlog.waiting -= 1
            if self._backlog.held_back:
                self._backlog.progressed()
            self._finish()

    async def _run_companion(self, job: Job, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await contain(job)
        finally:
            if self._companions is not None:
                self._companions.discard(scope)
            if self._closed:
                self._finish()

    def _finish(self) -> None:
        if self._walking or self._concurrent or self._companions:
            return
        if self._last is None:
            self._service.leaving.discard(self)
        else:
            last, self._last = self._last, None
            scope = trio.CancelScope()
            if self._grace is not None:
                scope.deadline = trio.current_time() + self._grace
            self._backlog.waiting += 1
            self._start(last, scope)


@coroutine
def drive(
    running: Coroutine[Any, Any, None], trap: object, variables: contextvars.Context
) -> Generator[Any, Any, None]:
    """Run what has begun, and waits for something, to its end in this task and in these context variables."""
    while True:
        try:
            answer = yield trap
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is for what runs
            resume = partial(running.throw, error)
        else:
            resume = partial(running.send, answer)
        try:
            trap = variables.run(resume)
        except StopIteration:
            return


async def contain(job: Job) -> None:
    """Run a job and log what it raises beside its own cancellation, as a task of a cancelled handler's nursery may."""
    try:
        await job()
    except* Exception:
        logger.exception("a handler failed while it was cancelled")


async def handle_event(
    socket: "Socket", handler: Handler, event: str, arguments: list[JSON], ack_id: int | None
) -> None:
    """Run the handler of one event and acknowledge with what it returns, if the client asked for that.

    The handler takes that many arguments. This is `invoke` and `Handler.call` once more, in one frame, for every event comes
    through here.
    """
    context = Context(socket, event)
    current.set(context)  # for this job alone, which has context variables of its own
    try:
        result = handler.function(context, *arguments)
        if handler.is_async or iscoroutine(result):
            result = await result
    except Exception as error:  # noqa: BLE001  # whatever a handler raises, `report` sees to it
        result = await report(context, handler.name, error)
    if ack_id is None or result is NO_ACK:
        return
    try:
        socket.acknowledge(ack_id, result)
    except EncodeError as error:
        await _acknowledge_otherwise(context, socket, ack_id, await report(context, handler.name, error))


async def _acknowledge_otherwise(context: Context, socket: "Socket", ack_id: int, result: JSON) -> None:
    """Acknowledge with the error handler's result, since that of the handler has no form in JSON."""
    if result is NO_ACK:
        return
    try:
        socket.acknowledge(ack_id, result)
    except EncodeError:
        logger.exception(
            "what the error handler returned for %r in %s cannot be sent", context.event, context.namespace
        )


async def handle_companion(context: Context, name: str, work: Awaitable[object]) -> None:
    """Await what a handler has started for as long as its socket is there."""
    try:
        await work
    except Exception as error:  # noqa: BLE001  # whatever it raises, `report` sees to it
        await report(context, name, error)


async def run_later(socket: "Socket", begin: float, job: Job) -> None:
    """Run a job at its time, which may have come while others before it ran; unless the socket leaves before."""
    with trio.move_on_at(begin):
        await socket.disconnected.wait()
        return
    await job()


async def handle_disconnect(socket: "Socket", handler: Handler | None, reason: str) -> None:
    """Run the disconnect handler of a socket that has left."""
    if handler is not None:
        context = Context(socket, "disconnect")
        await invoke(context, handler, context, reason)
    socket.forget()


async def handle_connect(socket: "Socket", auth: JSON) -> None:
    """Run the middleware and the connect handler of a socket, then accept or reject it."""
    context = Context(socket, "connect")
    handlers = socket.routes.middleware_and_connect()
    refusal = None
    with activate(context):
        for handler in handlers:
            refusal = await _refusal(handler, context, auth)
            if refusal is not None or socket.rejected or not socket.connecting:
                break
    if refusal is None and socket.rejected:
        refusal = ConnectionRefused()
    if refusal is None:
        socket.accept()
    else:
        try:
            socket.reject(refusal)
        except EncodeError:
            logger.exception("the data with which a client was refused from %s cannot be sent", context.namespace)
            socket.reject(ConnectionRefused("Internal server error"))


async def _refusal(handler: Handler, context: Context, auth: JSON) -> ConnectionRefused | None:
    try:
        answer = await handler.call(context, auth)
    except ConnectionRefused as refused:
        return refused
    except Exception:
        logger.exception("connect handler %s of %s failed; the client is rejected", handler.name, context.namespace)
        return ConnectionRefused("Internal server error")
    return ConnectionRefused() if answer is False else None


async def handle_answer(
    socket: "Socket", handler: Handler, emitter: Context | None, sid: str, arguments: Sequence[JSON]
) -> None:
    """Run the callback of an emit with what a client acknowledged.

    Outside a handler the emitter has no context, and neither has the callback; if it fails, that is told about the client's own.
    """
    if emitter is not None:
        await invoke(emitter.acknowledged_by(sid), handler, *arguments)
        return
    try:
        await handler.call(*arguments)
    except Exception as error:  # noqa: BLE001  # whatever a callback raises, `report` sees to it
        await report(Context(socket, "acknowledgement", sid), handler.name, error)


async def invoke(context: Context, handler: Handler, *arguments: JSON) -> JSON:
    """Call a function in a context and return its result; if it fails, the error handler's.

    Returns:
        What to acknowledge with, or `NO_ACK` when the handler failed and no error handler is registered.
    """
    token = current.set(context)  # `activate` costs several times as much, and this is done for every event
    try:
        return await handler.call(*arguments)
    except Exception as error:  # noqa: BLE001  # whatever a handler raises, `report` sees to it
        return await report(context, handler.name, error)
    finally:
        current.reset(token)


async def report(context: Context, name: str, error: Exception) -> JSON:
    """Hand the exception of a handler to the error handler; without one, or if that fails too, log it."""
    on_error = context.error_handler
    if on_error is not None:
        with activate(context):
            try:
                return await on_error.call(context, error)
            except Exception as another:  # noqa: BLE001  # it is logged below
                another.add_note(f"raised by the error handler {on_error.name} while it handled {error!r}")
                error, name = another, on_error.name
    logger.error("handler %s for %r in %s failed", name, context.event, context.namespace, exc_info=error)
    return NO_ACK
