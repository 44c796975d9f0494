"""A call that goes on while the test does something else."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, TypeVarTuple

import trio
from trio.testing import wait_all_tasks_blocked

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Later(Generic[T]):
    """The result of an async function that runs meanwhile; `begin` makes one."""

    def __init__(self) -> None:
        self._ended = trio.Event()
        self._results: list[T] = []

    async def run(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> None:
        self._results.append(await function(*args))
        self._ended.set()

    @property
    def pending(self) -> bool:
        return not self._ended.is_set()

    async def result(self) -> T:
        await self._ended.wait()
        return self._results[0]


async def begin(nursery: trio.Nursery, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Later[T]:
    """Run a function in the nursery, and return once it waits for something (or has ended)."""
    later: Later[T] = Later()
    nursery.start_soon(later.run, function, *args)
    await wait_all_tasks_blocked()
    return later
