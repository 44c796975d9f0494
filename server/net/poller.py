"""One task that reads all plain sockets through one descriptor, and runs the handlers of what they say without a task for each.

Theory of operation
===================

The sockets are registered with an epoll or a kqueue of our own (`trio_socketio.server.net.readiness`), and trio waits for that
alone: an idle WebSocket costs no task and no wake-up. In each turn the task reads a bounded amount from a bounded number of
sockets; whoever has sent more is served again in the next turn, after everybody else.

What is read may submit jobs to lanes (`trio_socketio.server.dispatch.Lane`). A lane that begins to have work is put into
`runnable`, and after each socket the task itself runs them, by driving the coroutine of the lane. If that
never waits for anything, which is the usual case, no task was made. At its first wait this task stays with the lane, to
its end, and a fresh task takes over the reading. So `trio.lowlevel.current_task`, cancel scopes, nurseries and wake-ups
belong to the right task at any moment, and nothing is read meanwhile that could overtake. The lane sees to it that each handler
has context variables of its own, as if it had a task from the beginning.

Each task has one cancel scope around it from its beginning, which is lent to each lane while it runs, and stays with the one
that waits.

What is written during a turn is collected by each socket and leaves at the end of the turn, in one call.
"""

import logging
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio
from trio_socketio.engine.events import CloseReason
from trio_socketio.server.dispatch import drive
from trio_socketio.server.net.readiness import WRITABLE, open_readiness, supported
from trio_socketio.server.pace import SHARE

if TYPE_CHECKING:
    from trio_socketio.server.dispatch import Lane
    from trio_socketio.server.service import Service

logger: Final = logging.getLogger("trio_socketio.http")

SUPPORTED: Final = supported()
"""Whether the system has what this takes; if not, each WebSocket has a task that reads it."""

TURN: Final = 64
"""Sockets that are read in one turn. With a handler of 20 µs each a turn takes about a millisecond."""

TURN_BYTES: Final = 64 * 1024
"""Bytes after which a turn ends all the same: others wait for a thousand small events, ten milliseconds, at most."""

TURN_PACKETS: Final = 512
"""Packets that handlers may queue together in one turn: two milliseconds, with their recipients. The poller lets others run then,
between two handlers; a single handler that queues many does so itself (`trio_socketio.server.pace`), which costs it a task."""

_NOBODY: Final = (-1, 0)
"""What is said of no descriptor."""


class Polled(Protocol):
    """A socket that the poller watches."""

    def readable(self) -> int:
        """There is something to read, or the connection has ended; return how many bytes were read."""
        ...

    def writable(self) -> None:
        """What did not fit may fit now."""
        ...

    def end_turn(self) -> None:
        """Write what was collected during the turn."""
        ...

    def cut(self, reason: CloseReason, detail: str) -> None:
        """End the connection without a word."""
        ...


class Poller:
    """Watches sockets for one service.

    Args:
        service: Whose nursery owns the task.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._readiness = open_readiness()
        self._sockets: dict[int, Polled] = {}
        self._served = 0  # sockets since other tasks have run; so much input, or so many packets, count as one more
        self.turning = False
        """Whether a turn is under way: writes are collected, and lanes are run by this task."""
        self.dirty: list[Polled] = []
        """Who has collected something to write."""
        self.runnable: deque[Lane] = deque()
        """The lanes that have begun to have work in this turn."""
        self._something = trio.Event()  # has been collected outside of a turn

    def add(self, descriptor: int, polled: Polled) -> None:
        """Watch a socket for input."""
        self._readiness.register(descriptor)
        self._sockets[descriptor] = polled

    def watch(self, descriptor: int, *, reads: bool, writes: bool) -> None:
        """Say what a socket is watched for."""
        self._readiness.modify(descriptor, reads=reads, writes=writes)

    def replace(self, descriptor: int, polled: Polled) -> None:
        """Watch a socket for input on behalf of somebody else from now on, as it is watched for input already."""
        self._sockets[descriptor] = polled

    def soon(self, polled: Polled) -> None:
        """Call `Polled.end_turn` at the end of this turn; outside of one, when whoever runs now lets others run."""
        self.dirty.append(polled)
        if not self.turning:
            self._something.set()

    async def flush(self) -> None:
        """Let leave what is collected outside of turns, for ever."""
        while True:
            await self._something.wait()
            self._something = trio.Event()
            self._end_turn()

    def remove(self, descriptor: int) -> None:
        """Stop watching a socket; it is closed only afterwards."""
        del self._sockets[descriptor]
        self._readiness.unregister(descriptor)

    def close(self) -> None:
        """End every connection that is left, and stop watching."""
        for polled in list(self._sockets.values()):
            polled.cut(CloseReason.SERVER_SHUTTING_DOWN, "the server has shut down")
        self._readiness.close()

    def _end_turn(self) -> None:
        """Let everything leave that was collected."""
        self.turning = False
        dirty, self.dirty = self.dirty, []
        for polled in dirty:
            polled.end_turn()

    async def run(self) -> None:
        """Take turns until a lane takes this task over."""
        self._end_turn()  # what the task before this one has left
        pace = self._service.server.pace
        with trio.CancelScope() as scope:
            self._served = 0
            while True:
                ready = self._readiness.poll(TURN)
                if self.runnable:  # the lanes that the task before this one has left come first
                    ready.insert(0, _NOBODY)
                elif not ready:
                    await trio.lowlevel.wait_readable(self._readiness.fileno())
                    self._served = 0
                    pace.rested()
                    continue
                if not await self._turn(ready, scope):
                    return
                # Until then small turns follow each other: asking trio costs as much as serving a few sockets.
                if self._served >= TURN:
                    await trio.lowlevel.checkpoint()
                    self._served = 0
                    pace.rested()

    async def _turn(self, ready: Sequence[tuple[int, int]], scope: trio.CancelScope) -> bool:
        """Serve the sockets that are ready; return False when a lane has taken this task over."""
        self.turning = True
        runnable = self.runnable
        pace = self._service.server.pace
        read = queued = 0
        for descriptor, flags in ready:
            if read > TURN_BYTES or queued > TURN_PACKETS:
                break  # the rest are ready in the next turn, before those that were served in this one
            polled = self._sockets.get(descriptor)
            if polled is not None:  # it may have been closed during this turn
                try:
                    if flags & WRITABLE:
                        polled.writable()
                    if flags & ~WRITABLE:
                        read += polled.readable()
                except Exception:
                    logger.exception("serving a connection failed: this is a bug of trio-socketio")
                    polled.cut(CloseReason.TRANSPORT_ERROR, "the server failed")
            while runnable:
                if pace.left < SHARE:
                    queued += pace.queued
                    pace.rested()
                running = runnable.popleft().walk(scope)
                try:
                    trap = running.send(None)
                except StopIteration:
                    continue  # it never waited
                await self._stay(running, trap)
                return False
        self._served += len(ready) + read // (TURN_BYTES // TURN) + queued // (TURN_PACKETS // TURN)
        self._end_turn()
        if self._service.shutting_down:
            self._service.check_idle()
        return True

    async def _stay(self, running: Coroutine[Any, Any, None], trap: object) -> None:
        """Go on with a lane that waits, to its end, and let a fresh task go on with the reading.

        Nothing else may happen before this task has begun to wait: it could be woken too early.
        """
        self.turning = False
        self._service.busy += 1
        self._service.spawn(self.run)
        try:
            await drive(running, trap, self._service.fresh_context())
        finally:
            self._service.done()
