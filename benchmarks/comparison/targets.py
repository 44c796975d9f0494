"""What must hold, and whether it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from comparison.figures import Figures, Median
from comparison.servers import Family


class Verdict(StrEnum):
    """What came of a target."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "FAIL"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for what some loads may cost against somebody else."""

    loads: tuple[str, ...]
    """Their ids."""
    node: float
    """What ours may cost at most, against Node's server."""
    python_socketio: float
    """The same against the best setup of python-socketio."""


TARGETS: Final = (
    Target(("echo-100-1", "echo-1000-1", "ack-100-1", "ack-1000-1"), 1.0, 0.2),
    Target(("echo-100-16",), 0.6, 0.12),
    Target(("broadcast-1000", "broadcast-5000"), 0.65, 0.12),
    Target(("room-100-of-10000",), 0.8, 0.15),
    Target(("arrival",), 1.0, 0.4),
    Target(("polling",), 2.0, 0.75),
    Target(("heartbeat-10000",), 0.6, 0.1),
    Target(("memory-10000",), 0.6, 0.3),
)

GROWTH: Final = 1.3
"""What a message may cost at the far end of a scale, against the near one."""

GROWTHS: Final = (
    ("echo-10000-1", "echo-100-1"),
    ("broadcast-5000", "broadcast-1000"),
    ("room-100-of-10000", "rooms-1"),
)
"""Loads that must not cost more than `GROWTH` times another one."""

CODEC: Final = 3.0
"""How many times python-socketio's rate the codec has at least."""


@dataclass(frozen=True, slots=True)
class Check:
    """One target and what was measured."""

    load: str
    """The id of a load, or what else is meant."""
    against: str
    limit: float
    got: Median | None
    at_least: bool = False
    """Whether the limit is the least that is allowed, not the most."""

    @property
    def verdict(self) -> Verdict:
        """Whether it holds."""
        if self.got is None:
            return Verdict.UNKNOWN
        holds = self.got.value >= self.limit if self.at_least else self.got.value <= self.limit
        return Verdict.PASS if holds else Verdict.FAIL


def check(figures: Figures) -> list[Check]:
    """Return every target with what was measured."""
    return list(_checks(figures))


def _checks(figures: Figures) -> Iterator[Check]:
    for target in TARGETS:
        for load in target.loads:
            yield Check(load, "Node", target.node, figures.ratio(load, Family.NODE))
            yield Check(load, "python-socketio", target.python_socketio, figures.ratio(load, Family.PYTHON_SOCKETIO))
    for direction in ("encode", "decode"):
        speed = figures.codec_speed_of(direction)
        yield Check(f"codec {direction}", "python-socketio", CODEC, speed, at_least=True)
    for load, base in GROWTHS:
        yield Check(load, base, GROWTH, figures.growth(load, base))
