"""How a client knows that the server has finished with it: its session is forgotten and all of its handlers have ended."""

from typing import Final

import trio

from trio_socketio.server.app import Server
from trio_socketio.server.client import Client
from trio_socketio.server.dispatch import Lane
from trio_socketio.testing.errors import StillRunning

PATIENCE: Final = 60.0
"""Seconds for handlers of a server whose ``disconnect_grace`` is None, which may go on for ever."""
MARGIN: Final = 10.0
"""Seconds beside the grace: a connection has five to close."""


class Departure:
    """Waits for the end of one session in the server.

    Args:
        server: The server.
        sid: The sid of the session.
    """

    def __init__(self, server: Server, sid: str) -> None:
        self._server = server
        self._sid = sid
        live = server.sessions.get(sid)
        self._live = live
        self._client = live.client if live is not None and isinstance(live.client, Client) else None
        self._lanes: set[Lane] = set()

    def watch(self) -> None:
        """Remember the handlers of every namespace that the client is in now."""
        if self._client is not None:
            self._lanes.update(socket.lane for socket in self._client.sockets.values())

    @property
    def _over(self) -> bool:
        if self._sid in self._server.sessions:
            return False
        if self._client is None or self._live is None:
            return True
        return not self._client.waiting and self._lanes.isdisjoint(self._live.service.leaving)

    async def wait(self, *, notice: float = 0.0) -> None:
        """Wait until the session is forgotten and the disconnect handlers have ended.

        Args:
            notice: Seconds in which the server notices that the client is gone, if nobody has told it.

        Raises:
            StillRunning: They go on for longer than they may.
        """
        grace = self._server.options.disconnect_grace
        # Handlers that run have the grace, the disconnect handler after them has it once more.
        patience = notice + (PATIENCE if grace is None else 2 * grace + MARGIN)
        ends = TaskEnds()
        trio.lowlevel.add_instrument(ends)
        try:
            with trio.move_on_after(patience):
                while not self._over:
                    await ends.next()
        finally:
            trio.lowlevel.remove_instrument(ends)
        if not self._over:
            raise StillRunning(f"the server has not finished with the client {patience:g} s after it left")


class TaskEnds(trio.abc.Instrument):
    """Tells when any task has ended: handlers run in tasks, and nothing else says that one is through."""

    def __init__(self) -> None:
        self._ended = trio.Event()

    def task_exited(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002  # whichever it was
        """Wake who waits in `next`."""
        self._ended.set()

    async def next(self) -> None:
        """Wait for the end of a task."""
        self._ended = trio.Event()
        await self._ended.wait()
