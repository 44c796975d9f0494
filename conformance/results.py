"""What came of the cases, as values that reports are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trio_socketio.conformance.case import Area, Case, Level
from trio_socketio.conformance.target import Target
from trio_socketio.conformance.transcript import Entry


class Outcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case."""

    case: Case
    outcome: Outcome
    seconds: float
    """How long it took."""
    got: str = ""
    """What came instead, if it failed; the reason, if it was skipped."""
    expected: str = ""
    """What was expected, if that is more exact than what the case says as a whole."""
    entries: tuple[Entry, ...] = ()
    """What was said on the wire."""
    left_out: int = 0
    """How many entries in the middle were not kept."""
    reruns: int = 0
    """How often it was run again because the machine or the server had been late (see `trio_socketio.conformance.runner`)."""


BINDING: Final = (Level.MUST, Level.SHOULD)
"""The levels that decide whether a server conforms."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of results."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def run(self) -> int:
        """How many were not skipped."""
        return self.passed + self.failed


@dataclass(frozen=True, slots=True)
class Verdict:
    """All results of one run."""

    server: str
    """The address."""
    target: Target
    results: tuple[Result, ...]
    """In the order of the cases."""
    seconds: float
    complete: bool = True
    """Whether every case was run; not if the run was interrupted."""
    reachable: bool = True
    """Whether the server could still be reached at the end; if not, many cases may have failed because of that alone."""

    def tally(self, *, area: Area | None = None, level: Level | None = None) -> Tally:
        """Count the results, of one area or level only if that is given."""
        chosen = [
            result.outcome
            for result in self.results
            if area in (None, result.case.area) and level in (None, result.case.level)
        ]
        return Tally(*(chosen.count(outcome) for outcome in (Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED)))

    @property
    def failures(self) -> list[Result]:
        """The cases that failed, of every level."""
        return [result for result in self.results if result.outcome is Outcome.FAILED]

    @property
    def conforms(self) -> bool:
        """Whether every MUST and SHOULD that was run holds."""
        return not any(result.case.level in BINDING for result in self.failures)


@dataclass(frozen=True, slots=True)
class Deviations:
    """How the failures of a run differ from those that were expected."""

    new: tuple[str, ...]
    """MUST and SHOULD cases that failed and were not expected to."""
    mended: tuple[str, ...]
    """Cases that were expected to fail and passed."""

    @property
    def none(self) -> bool:
        """Whether everything is as it was."""
        return not self.new and not self.mended


def deviations(verdict: Verdict, expected: Sequence[str]) -> Deviations:
    """Compare the failures of a run with a list of known ones. Cases that were not run are not compared."""
    failed = [result for result in verdict.failures if result.case.level in BINDING]
    return Deviations(
        new=tuple(result.case.id for result in failed if result.case.id not in expected),
        mended=tuple(
            result.case.id
            for result in verdict.results
            if result.outcome is Outcome.PASSED and result.case.id in expected
        ),
    )
