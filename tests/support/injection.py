"""Something that happens at an exact moment of a run of trio: before or after any step of a task.

A task runs in steps, from one wait to the next. What cancels it, or changes what it relies on, can do so between two of them
only, so a scenario that has been run once for each of these moments has met everything that a cancellation can meet.
"""

from collections.abc import Awaitable, Callable

import trio

MOST = 1000
"""Moments of one scenario; one that never ends is at fault itself."""


class Injection(trio.abc.Instrument):
    """Acts once, at one moment of what the scenario watches.

    Moments are counted from `begin`, which is the first. Each step has two more: before it, when the task has been woken and
    goes on as if nothing had happened, and after it, when it waits again and the wait is what ends.

    Args:
        moment: The number of the moment.
    """

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.happened = False
        """Whether the moment has come."""
        self.where = ""
        """The moment in words."""
        self._count = 0
        self._act: Callable[[], object] | None = None
        self._task: trio.lowlevel.Task | None = None

    def begin(self, act: Callable[[], object], *, everything: bool = False) -> None:
        """Watch the steps of the current task, or those of all tasks; at the moment, call a function that does not block."""
        self._act = act
        self._task = None if everything else trio.lowlevel.current_task()
        self._pass("at the beginning")

    def end(self) -> None:
        """Watch no more."""
        self._act = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._look("before", task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._look("after", task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.end()

    def _look(self, when: str, task: trio.lowlevel.Task) -> None:
        if self._act is not None and (self._task is None or task is self._task):
            self._pass(f"{when} step of {task.name}")

    def _pass(self, where: str) -> None:
        act = self._act
        if act is not None and self._count == self.moment:
            self.happened = True
            self.where = where
            self._act = None
            act()
        self._count += 1


async def at_every_moment(scenario: Callable[[Injection], Awaitable[None]]) -> int:
    """Run a scenario with each moment in turn, until it ends before the moment comes; return how many there were."""
    for moment in range(MOST):
        injection = Injection(moment)
        trio.lowlevel.add_instrument(injection)
        try:
            await scenario(injection)
        except Exception as error:
            error.add_note(f"at moment {moment}: {injection.where or 'it has not come'}")
            raise
        finally:
            trio.lowlevel.remove_instrument(injection)
        if not injection.happened:
            return moment
    raise AssertionError(f"the scenario has more than {MOST} moments")
