"""A kqueue as the manual describes it, made of epolls, for systems that have none: what of `select` a kqueue needs.

It knows what the server uses: adding and deleting the filters for reading and writing, level-triggered, and its descriptor,
which is readable while an event is pending. A filter is known by its descriptor and its kind, each of which has an event of
its own; deleting one that is not there is an error; and a descriptor that is closed is forgotten. Constants have the values of
FreeBSD and macOS.
"""

import errno
import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from trio_socketio.server.net import poller
from trio_socketio.server.net.readiness import KqueueReadiness

KQ_FILTER_READ: Final = -1
KQ_FILTER_WRITE: Final = -2
KQ_EV_ADD: Final = 0x0001
KQ_EV_DELETE: Final = 0x0002
KQ_EV_EOF: Final = 0x8000

SYSTEM: Final = hasattr(select, "kqueue")
"""Whether the system has kqueues, so that its own is used."""

_IN, _OUT, _ERR, _HUP, _RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000  # of an epoll
_EVENTS: Final = {KQ_FILTER_READ: _IN | _RDHUP, KQ_FILTER_WRITE: _OUT}
_ENDED: Final = _HUP | _RDHUP | _ERR


@dataclass(frozen=True, slots=True)
class kevent:  # noqa: N801  # as the system calls it
    """A change, or an event."""

    ident: int
    filter: int
    flags: int


class kqueue:  # noqa: N801
    """A kqueue: one epoll for each filter, and one that watches both."""

    def __init__(self) -> None:
        self._both = select.epoll()
        self._filters = {kind: select.epoll() for kind in _EVENTS}
        for epoll in self._filters.values():
            self._both.register(epoll.fileno(), _IN)

    def control(
        self, changelist: Sequence[kevent] | None, max_events: int, timeout: float | None = None, /
    ) -> list[kevent]:
        """Make changes, all of them before any event is returned, then return up to so many events.

        Raises:
            OSError: A change cannot be made.
        """
        for change in changelist or ():
            self._change(change)
        if not max_events:
            return []
        self._both.poll(timeout)
        events: list[kevent] = []
        for kind, epoll in self._filters.items():
            if len(events) < max_events:
                ready = epoll.poll(0, max_events - len(events))
                events += [kevent(ident, kind, KQ_EV_EOF if flags & _ENDED else 0) for ident, flags in ready]
        return events

    def _change(self, change: kevent) -> None:
        epoll = self._filters[change.filter]
        if change.flags == KQ_EV_DELETE:
            epoll.unregister(change.ident)  # ENOENT if it is not there, EBADF if nothing is
        elif change.flags == KQ_EV_ADD:
            try:
                epoll.register(change.ident, _EVENTS[change.filter])
            except FileExistsError:  # adding again changes nothing
                epoll.modify(change.ident, _EVENTS[change.filter])
        else:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def fileno(self) -> int:
        """Return its descriptor."""
        return self._both.fileno()

    def close(self) -> None:
        """Close it."""
        for epoll in (self._both, *self._filters.values()):
            epoll.close()


def open_kqueue() -> KqueueReadiness:
    """Return a readiness by kqueue: the system's, if it has them."""
    return KqueueReadiness() if SYSTEM else KqueueReadiness(sys.modules[__name__])


@pytest.fixture(params=["system", "kqueue"])
def each_readiness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers ask what the system has which sockets are ready; then the same with a kqueue."""
    if request.param == "kqueue":
        monkeypatch.setattr(poller, "open_readiness", open_kqueue)
