"""Runs cases against a server, several at a time.

Every case has connections of its own and a time by which it must have ended. Those that the protocol makes wait longest
begin first, so that the others run meanwhile.

The server's intervals may be short, and the machine busy: a pong that leaves late because this process was not given a
processor, or that is read late because the server was not, is no fault of the server. So the runner watches how punctual
both are: its own clock, and how long the server takes for a small request. Many small delays count as one long one does,
for a case of ten steps meets all of them. A case that failed while either was late runs again, alone. A server's fault fails
then too.
"""

import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import trio
from trio_socketio.conformance.case import Area, Case
from trio_socketio.conformance.peer import HTTPConnection, PeerError
from trio_socketio.conformance.results import Outcome, Result, Verdict
from trio_socketio.conformance.target import Target
from trio_socketio.conformance.trial import Failure, Skipped, Trial

GRACE: Final = 6
"""A case may take as many times the timeout, beyond what the protocol makes it wait."""

TICK: Final = 0.01
"""Seconds between two looks at the clock."""

PULSE: Final = 0.05
"""Seconds between two small requests."""

LATE: Final = 0.05
"""Seconds by which either may be late before a failure is doubted; a quarter of the shortest ping timeout in use."""

FORGIVEN: Final = 0.25
"""Seconds of being late that are forgotten with each second that passes: who is late by less than this share is punctual."""

RERUNS: Final = 4
"""How often a case runs again because one of them was late."""

Observer = Callable[[Result], None]


class Delays:
    """The sum of delays of late, some of which is forgotten with time."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._until = -math.inf

    def with_another(self, due: float, now: float) -> float:
        """Return what the sum is if something due at one moment of a clock comes at another."""
        return max(self._sum - FORGIVEN * (now - self._until), 0) + now - due

    def add(self, due: float, now: float) -> bool:
        """Add a delay and return whether the sum exceeds `LATE`; it then begins anew."""
        total = self.with_another(due, now)
        exceeds = total > LATE
        self._sum, self._until = 0.0 if exceeds else total, now
        return exceeds


class Punctuality:
    """Watches whether this process, and the server, run when they want to.

    Args:
        target: The server.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._late = -math.inf
        self._asked: float | None = None
        self._question = target.peer().target(transport="none")  # refused with no more than a look
        self._own = Delays()
        self._servers = Delays()

    async def watch(self) -> None:
        """Look at the clock for ever."""
        while True:
            due = trio.current_time() + TICK
            await trio.sleep_until(due)
            self._keep(self._own, due)

    async def ask(self) -> None:
        """Ask the server for something small for ever; a server that does not answer is asked again on another connection."""
        while True:
            peer = self._target.peer()
            with suppress(PeerError):
                async with peer.http() as connection:
                    while True:
                        await self._ask(connection)
                        await trio.sleep(PULSE)
            self._asked = None
            await trio.sleep(PULSE)

    async def _ask(self, connection: HTTPConnection) -> None:
        self._asked = trio.current_time()
        await connection.request("GET", self._question)
        self._keep(self._servers, self._asked)
        self._asked = None

    def _keep(self, delays: Delays, due: float) -> None:
        now = trio.current_time()
        if delays.add(due, now):
            self._late = now

    def late_since(self, moment: float) -> bool:
        """Return whether one of the two was late at any time after a moment of trio's clock."""
        now = trio.current_time()
        asked = self._asked is not None and self._servers.with_another(self._asked, now) > LATE
        return asked or self._late >= moment


async def run(
    target: Target,
    cases: Sequence[Case],
    *,
    server: str,
    jobs: int = 8,
    max_wait: float = 10.0,
    observe: Observer = lambda _: None,
    interrupted: trio.Event | None = None,
) -> Verdict:
    """Run cases and return what came of them.

    Args:
        target: The server.
        cases: The cases.
        server: Its address, for the reports.
        jobs: How many run at a time.
        max_wait: Seconds that the protocol may make a case wait; the others are skipped.
        observe: Called with each result as it comes.
        interrupted: Ends the run when it is set; the verdict then has the results so far.
    """
    began = time.perf_counter()
    results: dict[str, Result] = {}

    def keep(result: Result) -> None:
        results[result.case.id] = result
        observe(result)

    waiting: list[Case] = []
    for case in cases:
        obstacle = target.obstacle(case, max_wait)
        if obstacle is None:
            waiting.append(case)
        else:
            keep(Result(case, Outcome.SKIPPED, 0.0, obstacle))
    waiting.sort(key=lambda case: case.wait(target), reverse=True)

    punctuality = Punctuality(target)
    again: list[Result] = []
    queue = iter(waiting)

    async def work() -> None:
        for case in queue:
            moment = trio.current_time()
            result = await run_case(target, case)
            if result.outcome is Outcome.FAILED and punctuality.late_since(moment):
                again.append(result)
            else:
                keep(result)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(punctuality.watch)
        nursery.start_soon(punctuality.ask)
        if interrupted is not None:
            nursery.start_soon(_cancel_when, interrupted, nursery.cancel_scope)
        await _together(work, jobs)
        for result in again:
            keep(await _run_again(target, result, punctuality))
        nursery.cancel_scope.cancel()
    ordered = tuple(results[case.id] for case in cases if case.id in results)
    complete = len(ordered) == len(cases)
    reachable = not complete or await _is_reachable(target)  # who interrupts a run may have ended the server, too
    return Verdict(server, target, ordered, time.perf_counter() - began, complete=complete, reachable=reachable)


async def _is_reachable(target: Target) -> bool:
    """Whether the server answers; a connection alone may be taken by the system while the server dies."""
    peer = target.peer()
    try:
        await peer.request("GET", peer.target(transport="none"))
    except PeerError:
        return False
    finally:
        await peer.hang_up()
    return True


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


async def _together(work: Callable[[], Awaitable[None]], jobs: int) -> None:
    async with trio.open_nursery() as workers:
        for _ in range(jobs):
            workers.start_soon(work)


async def _run_again(target: Target, result: Result, punctuality: Punctuality) -> Result:
    for rerun in range(1, RERUNS + 1):
        moment = trio.current_time()
        result = await run_case(target, result.case, reruns=rerun)
        if result.outcome is not Outcome.FAILED or not punctuality.late_since(moment):
            break
    return result


async def run_case(target: Target, case: Case, *, reruns: int = 0) -> Result:
    """Run one case."""
    peer = target.peer()
    began = time.perf_counter()
    outcome, got, expected = Outcome.PASSED, "", ""
    limit = case.wait(target) + GRACE * target.timeout
    try:
        with trio.move_on_after(limit) as scope:
            async with trio.open_nursery() as nursery:
                trial = Trial(target, peer, nursery)
                await case.body(trial)
                if case.area is Area.ROBUSTNESS:
                    await trial.expect_served()
                nursery.cancel_scope.cancel()
        if scope.cancelled_caught:
            outcome, got = Outcome.FAILED, f"the case had not ended after {limit:g} s"
    except* Exception as group:  # noqa: BLE001  # whatever a case raises is what came of it
        outcome, got, expected = _judged(group)
    finally:
        await peer.hang_up()
    seconds = time.perf_counter() - began
    transcript = peer.transcript
    return Result(case, outcome, seconds, got, expected, transcript.entries, transcript.left_out, reruns)


def _judged(group: BaseExceptionGroup[Exception]) -> tuple[Outcome, str, str]:
    """Return what an exception out of a case means."""
    errors = list(_leaves(group))
    for error in errors:
        if isinstance(error, Skipped):
            return Outcome.SKIPPED, str(error), ""
    for error in errors:
        if isinstance(error, Failure):
            return Outcome.FAILED, error.got, error.expected
    error = errors[0]
    if isinstance(error, PeerError):
        return Outcome.FAILED, str(error), ""
    return Outcome.FAILED, f"the case itself failed with {type(error).__name__}: {error}", ""


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
