"""What one run brings: samples, and everything that says under which circumstances they were taken."""

import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from comparison.failure import BenchmarkError

FORMAT: Final = 1
"""The layout of the file of results."""

BUSY: Final = 0.95
"""Share of the time from which on the load generator counts as the bottleneck, if the server is not busy itself."""

IDLE: Final = 0.90
"""Share of the time below which the server counts as one that waited for the load generator."""

LATE: Final = 0.002
"""Seconds that the load generator may be late, at the 99th percentile, where it sends at a fixed rate."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One load, met by one server in one round."""

    server: str
    load: str
    round: int
    value: float | None = None
    """The figure, in the load's unit; None if it could not be measured."""
    messages: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    """Share of the time in which the server used its core, or waited for it while something else had it."""
    waited: float = 0.0
    """The second part of that: how much other programs disturbed."""
    generator: float = 0.0
    """Share of the time in which the load generator used its core, or waited for it."""
    resident: int = 0
    """Bytes of memory that the server had in use at the end."""
    p50: float | None = None
    """Milliseconds that half of the answers took at most, where the rate is fixed."""
    p99: float | None = None
    late: float = 0.0
    """Milliseconds by which the load generator was late with its events, at the 99th percentile, where the rate is fixed."""
    bound: bool = False
    """Whether the load generator was the bottleneck, so that the sample does not count."""
    fault: str = ""
    """Why there is no figure."""

    @property
    def counts(self) -> bool:
        """Whether figures may be made of it."""
        return self.value is not None and not self.bound

    @property
    def rate(self) -> float:
        """Messages in a second."""
        return self.messages / self.seconds if self.seconds else 0.0


def generator_bound(busy: float, generator: float, lateness: float | None = None) -> bool:
    """Return whether the load generator, not the server, decided how fast a load went.

    Args:
        busy: Share of the time in which the server was busy.
        generator: The same of the load generator.
        lateness: Seconds by which it was late, where it sends at a fixed rate and never sleeps; None elsewhere.
    """
    if lateness is not None:
        return lateness > LATE
    return generator >= BUSY and busy < IDLE


@dataclass(frozen=True, slots=True)
class CodecSample:
    """One packet, encoded or decoded by one implementation in one round."""

    implementation: str
    """``ours`` or ``python-socketio``."""
    direction: str
    """``encode`` or ``decode``."""
    packet: str
    round: int
    value: float
    """Microseconds of CPU time."""


@dataclass(frozen=True, slots=True)
class LoadRow:
    """How a load is shown, so that results can be presented without measuring again."""

    id: str
    title: str
    group: str
    per: str
    unit: str
    curve: str
    at: int


@dataclass(frozen=True, slots=True)
class ServerRow:
    """How a server is shown."""

    name: str
    label: str
    family: str


@dataclass(slots=True)
class Results:
    """Everything that one run brought."""

    rounds: int
    quick: bool
    machine: dict[str, str]
    servers: list[ServerRow]
    loads: list[LoadRow]
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    """By server, then by package."""
    samples: list[Sample] = field(default_factory=list)
    codec: list[CodecSample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Servers that were not measured, and why."""
    seconds: float = 0.0
    """What the run took."""

    def resume(self, earlier: "Results") -> set[str]:
        """Take over what an earlier run, which was interrupted, has measured in all rounds of all servers.

        Returns:
            The ids of those loads.

        Raises:
            BenchmarkError: It was not a run of the same servers on the same machine, in as many rounds.
        """
        names = [[server.name for server in results.servers] for results in (self, earlier)]
        if names[0] != names[1] or (self.rounds, self.quick) != (earlier.rounds, earlier.quick):
            raise BenchmarkError("a run can be resumed with the same servers and as many rounds only")
        if {**self.machine, "load": ""} != {**earlier.machine, "load": ""}:
            raise BenchmarkError("a run can be resumed on the same machine only")
        measured = Counter(sample.load for sample in earlier.samples)
        complete = {load for load, count in measured.items() if count == self.rounds * len(self.servers)}
        self.samples = [sample for sample in earlier.samples if sample.load in complete]
        self.versions = earlier.versions
        self.seconds = earlier.seconds
        return complete

    def save(self, path: Path) -> None:
        """Write the results to a file, in one piece, with a line for each sample."""
        aside = path.with_name(path.name + ".part")
        fields = {"format": FORMAT, **asdict(self)}
        text = ",\n".join(f"{json.dumps(name)}: {_lines(value)}" for name, value in fields.items())
        aside.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
        aside.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read the results from a file.

        Raises:
            BenchmarkError: It cannot be read, or holds something else.
        """
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BenchmarkError(f"{path} cannot be read: {error}") from error
        if data.pop("format", None) != FORMAT:
            raise BenchmarkError(f"{path} does not hold results in format {FORMAT}")
        rows: Mapping[str, type[Any]] = {
            "servers": ServerRow,
            "loads": LoadRow,
            "samples": Sample,
            "codec": CodecSample,
        }
        values: dict[str, Any] = {
            name: _rows(rows[name], value) if name in rows else value for name, value in data.items()
        }
        return cls(**values)


def _lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_line, value)) + "\n]"
    return _line(value)


def _line(value: object) -> str:
    if isinstance(value, dict):
        value = {name: round(each, 5) if isinstance(each, float) else each for name, each in value.items()}
    return json.dumps(value, ensure_ascii=False)


def _rows(kind: type[Any], values: Sequence[dict[str, Any]]) -> list[Any]:
    return [kind(**value) for value in values]


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on, for people."""
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": cpu,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{pages / 2**30:.0f} GiB",
        "load": f"{os.getloadavg()[0]:.2f}",
    }
