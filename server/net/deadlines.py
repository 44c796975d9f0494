"""One task that watches all deadlines, over queues that are in order by construction, instead of a timer for each.

Theory of operation
===================

Nearly all deadlines come from a few sources, and each source adds the same delay to a clock that never goes back: the next ping,
the answer to a ping, the end of a closing handshake. So what one source schedules is in order already. An entry
joins the queue whose last entry is the latest among those that are not later than itself. That rule needs no more queues than
there are sources, and nobody has to name them. What fits into none of `MOST_QUEUES` goes to a heap, and costs a logarithm.

A deadline that moves later leaves its entry where it is, to be looked at again when its old time has come, so that the usual
case, a peer that is heard, costs nothing. An entry that is given up stays as well, but holds nothing; when such entries are the
majority all of them are taken out together.

The task sleeps until the earliest deadline, but once it has looked it rests for `PAUSE`. So a deadline that stands alone is met
at once, and thousands of them are met in groups, each of which costs one wake-up.
"""

import heapq
from collections import deque
from math import inf
from typing import Final, Protocol

import trio

MOST_QUEUES: Final = 16
"""Queues that are kept at most. There are about a dozen delays, from the 0.1 s of a held GET to the 75 s between two requests."""

PAUSE: Final = 0.05
"""Seconds between two looks at the deadlines, which is how late one may be met. A wake-up costs several times what a ping does,
and no deadline is a promise to the split second: the shortest, that of a held GET, is twice as long."""

AT_ONCE: Final = 256
"""Deadlines that are met before other tasks get their turn: a few milliseconds, if each of them sends a ping."""

SPARE: Final = 64
"""Entries that may have been given up, beyond as many as wait, before they are taken out."""


class Ticking(Protocol):
    """Something with a deadline."""

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is due; None for never again."""
        ...

    def tick(self, now: float) -> None:
        """Do what is due, and schedule what is due next. It does not raise and does not block."""
        ...


class Entry:
    """A place in a queue of deadlines."""

    __slots__ = ("at", "ticking")

    def __init__(self, at: float, ticking: Ticking) -> None:
        self.at = at
        self.ticking: Ticking | None = ticking

    def __lt__(self, other: "Entry") -> bool:
        return self.at < other.at


class Deadlines:
    """The deadlines of everything that has one, the earliest first; of equal ones, any first."""

    def __init__(self) -> None:
        self._queues: list[deque[Entry]] = []  # none of them is empty
        self._heap: list[Entry] = []
        self._waiting = 0  # entries that hold something
        self._given_up = 0  # those that do not
        self._looked = -inf  # when
        self._sleep = trio.CancelScope()
        self._wakes = -inf  # when it ends; nobody needs to end it earlier while the task is awake

    def __len__(self) -> int:
        return self._waiting

    def schedule(self, ticking: Ticking, entry: Entry | None) -> Entry | None:
        """See to it that ``ticking`` is ticked when its deadline has come, `PAUSE` seconds later at most.

        Args:
            ticking: Whose deadline may have changed.
            entry: What the last call for it returned.

        Returns:
            What the next call must be given.
        """
        deadline = ticking.next_deadline
        if entry is not None and entry.ticking is not None:
            if deadline is not None and entry.at <= deadline:
                return entry
            self._give_up(entry)
        if deadline is None:
            return None
        entry = Entry(deadline, ticking)
        self._put(entry)
        if deadline < self._wakes:
            self._sleep.deadline = self._wakes = max(deadline, self._looked + PAUSE)
        return entry

    async def run(self) -> None:
        """Tick whatever is due, for ever."""
        while True:
            self._wakes = max(self._earliest(), self._looked + PAUSE)
            with trio.CancelScope(deadline=self._wakes) as self._sleep:
                await trio.sleep_forever()
            self._wakes = -inf
            while not self._look():
                await trio.lowlevel.checkpoint()

    def _look(self) -> bool:
        """Tick what is due, `AT_ONCE` at most; return whether that was all."""
        self._looked = now = trio.current_time()
        for _ in range(AT_ONCE):
            entry = self._take(now)
            if entry is None:
                return True
            ticking = entry.ticking
            if ticking is None:
                self._given_up -= 1
                continue
            self._waiting -= 1
            deadline = ticking.next_deadline
            if deadline is not None and deadline > now:  # it has moved
                entry.at = deadline
                self._put(entry)
                continue
            entry.ticking = None
            if deadline is not None:
                ticking.tick(now)
        return False

    def _earliest(self) -> float:
        at = min((queue[0].at for queue in self._queues), default=inf)
        return min(at, self._heap[0].at) if self._heap else at

    def _take(self, now: float) -> Entry | None:
        """Take out the earliest entry, if its time has come."""
        first, at = None, now
        for queue in self._queues:
            if queue[0].at <= at:
                first, at = queue, queue[0].at
        if self._heap and self._heap[0].at <= at:
            return heapq.heappop(self._heap)
        if first is None:
            return None
        entry = first.popleft()
        if not first:
            self._queues.remove(first)
        return entry

    def _put(self, entry: Entry) -> None:
        """Put an entry where it is in order."""
        self._waiting += 1
        at = entry.at
        fitting, last = None, -inf
        for queue in self._queues:
            if last <= queue[-1].at <= at:
                fitting, last = queue, queue[-1].at
        if fitting is not None:
            fitting.append(entry)
        elif len(self._queues) < MOST_QUEUES:
            self._queues.append(deque((entry,)))
        else:
            heapq.heappush(self._heap, entry)

    def _give_up(self, entry: Entry) -> None:
        entry.ticking = None
        self._waiting -= 1
        self._given_up += 1
        if self._given_up <= self._waiting + SPARE:
            return
        self._given_up = 0
        queues = [deque(entry for entry in queue if entry.ticking is not None) for queue in self._queues]
        self._queues = [queue for queue in queues if queue]
        self._heap = [entry for entry in self._heap if entry.ticking is not None]
        heapq.heapify(self._heap)
