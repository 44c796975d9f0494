"""Which sockets are ready, asked of the system for thousands at once: an epoll (Linux), or a kqueue (macOS, BSD).

Both are descriptors that become readable themselves when something is to be said about a socket, so trio can wait for them:
its own kqueue takes another one for reading, on every system that has kqueues.

Both are level-triggered: what is not read, or not all of it, is said again. They differ when a connection ends that is watched
for nothing at that time: an epoll says so once both halves have ended or it broke, a kqueue when something is watched again.
"""

import select
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, cast

READABLE: Final = 1
"""There is something to read. Whatever an epoll says beside this and `WRITABLE` means the end of a connection; reading tells."""
WRITABLE: Final = 4
"""There is room for more. Both have the values of ``EPOLLIN`` and ``EPOLLOUT``, which are the same on every Linux."""


class Readiness(Protocol):
    """Watches sockets."""

    poll: Callable[[int], list[tuple[int, int]]]
    """Return up to so many descriptors that are ready, each with its flags, without waiting."""

    def register(self, descriptor: int) -> None:
        """Watch a socket for input.

        Raises:
            OSError: The system can watch no more, or it is no socket.
        """
        ...

    def modify(self, descriptor: int, *, reads: bool, writes: bool) -> None:
        """Say what a socket is watched for, maybe for nothing."""
        ...

    def unregister(self, descriptor: int, /) -> None:
        """Stop watching a socket, which is still open."""
        ...

    def fileno(self) -> int:
        """Return what becomes readable when a socket is ready."""
        ...

    def close(self) -> None:
        """Stop watching everything."""
        ...


class EpollReadiness:
    """Watches sockets with an epoll, which is called directly."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.poll: Callable[[int], list[tuple[int, int]]] = partial(self._epoll.poll, 0)
        self.unregister: Callable[[int], None] = self._epoll.unregister
        self.fileno: Callable[[], int] = self._epoll.fileno
        self.close: Callable[[], None] = self._epoll.close

    def register(self, descriptor: int) -> None:
        """Watch a socket for input."""
        self._epoll.register(descriptor, READABLE)

    def modify(self, descriptor: int, *, reads: bool, writes: bool) -> None:
        """Say what a socket is watched for."""
        self._epoll.modify(descriptor, (READABLE if reads else 0) | (WRITABLE if writes else 0))


class Kevent(Protocol):
    """A ``select.kevent``."""

    ident: int
    filter: int


class Kqueue(Protocol):
    """A ``select.kqueue``."""

    def control(self, changelist: Sequence[Kevent] | None, max_events: int, timeout: float, /) -> list[Kevent]:
        """Make changes, then return events."""
        ...

    def fileno(self) -> int:
        """Return its descriptor."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Kernel(Protocol):
    """What the module `select` has of kqueues, where the system has them."""

    KQ_FILTER_READ: int
    KQ_FILTER_WRITE: int
    KQ_EV_ADD: int
    KQ_EV_DELETE: int

    def kqueue(self) -> Kqueue:
        """Make a kqueue."""
        ...

    def kevent(self, ident: int, filter: int, flags: int, /) -> Kevent:  # noqa: A002  # the system's name for it
        """Make an event, or a change."""
        ...


class KqueueReadiness:
    """Watches sockets with a kqueue, which has a filter each for what can be read and what can be written.

    Args:
        kernel: Whose kqueue; the system's.
    """

    def __init__(self, kernel: Kernel | None = None) -> None:
        self._kernel = kernel if kernel is not None else cast("Kernel", select)
        self._kqueue = self._kernel.kqueue()
        self._filters: dict[int, int] = {}  # by descriptor: what it is watched for, as flags
        self.poll: Callable[[int], list[tuple[int, int]]] = self._poll
        self.fileno: Callable[[], int] = self._kqueue.fileno
        self.close: Callable[[], None] = self._kqueue.close

    def register(self, descriptor: int) -> None:
        """Watch a socket for input."""
        self._change(descriptor, READABLE)

    def modify(self, descriptor: int, *, reads: bool, writes: bool) -> None:
        """Say what a socket is watched for."""
        self._change(descriptor, (READABLE if reads else 0) | (WRITABLE if writes else 0))

    def unregister(self, descriptor: int) -> None:
        """Stop watching a socket."""
        self._change(descriptor, 0)
        del self._filters[descriptor]

    def _change(self, descriptor: int, wanted: int) -> None:
        kernel = self._kernel
        watched = self._filters.get(descriptor, 0)
        changes = [
            kernel.kevent(descriptor, each, kernel.KQ_EV_ADD if wanted & flag else kernel.KQ_EV_DELETE)
            for flag, each in ((READABLE, kernel.KQ_FILTER_READ), (WRITABLE, kernel.KQ_FILTER_WRITE))
            if (wanted ^ watched) & flag
        ]
        if changes:
            self._kqueue.control(changes, 0, 0)
        self._filters[descriptor] = wanted

    def _poll(self, most: int) -> list[tuple[int, int]]:
        ready: dict[int, int] = {}
        for event in self._kqueue.control(None, most, 0):
            flag = WRITABLE if event.filter == self._kernel.KQ_FILTER_WRITE else READABLE
            ready[event.ident] = ready.get(event.ident, 0) | flag
        return list(ready.items())


def supported() -> bool:
    """Return whether the system has either."""
    return hasattr(select, "epoll") or hasattr(select, "kqueue")


def open_readiness() -> Readiness:
    """Return what this system has."""
    return EpollReadiness() if hasattr(select, "epoll") else KqueueReadiness()
