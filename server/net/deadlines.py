"""One task that watches the deadlines of all sessions."""

import heapq
from collections.abc import Callable
from typing import Final, Protocol

import trio

NEVER: Final = float("inf")


class Ticking(Protocol):
    """Something with a deadline."""

    @property
    def next_deadline(self) -> float | None:
        """When `tick` is due; None for never again."""
        ...

    def tick(self, now: float) -> None:
        """Do what is due. It does not raise and does not block."""
        ...


class Entry:
    """A place in the queue of deadlines."""

    __slots__ = ("at", "number", "ticking")

    def __init__(self, at: float, number: int, ticking: Ticking) -> None:
        self.at = at
        self.number = number
        self.ticking: Ticking | None = ticking

    def __lt__(self, other: "Entry") -> bool:
        return (self.at, self.number) < (other.at, other.number)


class Deadlines:
    """The deadlines of all sessions, the earliest first.

    A deadline that moves later stays where it is and is looked at again when its old time has come, so that the usual case, a
    peer that is heard, costs nothing.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._heap: list[Entry] = []
        self._count = 0
        self._earlier = trio.Event()

    def __len__(self) -> int:
        return sum(entry.ticking is not None for entry in self._heap)

    def schedule(self, ticking: Ticking, entry: Entry | None) -> Entry | None:
        """See to it that ``ticking`` is ticked when its deadline has come.

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
            entry.ticking = None  # it stays in the heap until its time, and holds nothing
        if deadline is None:
            return None
        self._count += 1
        entry = Entry(deadline, self._count, ticking)
        heapq.heappush(self._heap, entry)
        if self._heap[0] is entry:
            self._earlier.set()
        return entry

    async def run(self) -> None:
        """Tick whatever is due, for ever."""
        while True:
            self._earlier = trio.Event()
            with trio.move_on_at(self._tick_all()):
                await self._earlier.wait()

    def _tick_all(self) -> float:
        """Tick everything that is due and return when the next is."""
        now = self._clock()
        while self._heap and self._heap[0].at <= now:
            entry = heapq.heappop(self._heap)
            ticking, entry.ticking = entry.ticking, None
            if ticking is not None:
                ticking.tick(now)
        return self._heap[0].at if self._heap else NEVER
