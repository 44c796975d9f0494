"""A server process: started on a core of its own, ended whatever happens, and what the operating system says about it."""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from comparison.failure import BenchmarkError

STARTING: Final = 30.0
"""Seconds that a server has to say which port it listens on."""

CLOCK_TOLERANCE: Final = 0.05
"""By how much the two clocks of a process may differ, as a share; and see `TICKS`."""

TICKS: Final = 0.05
"""Seconds by which they may differ whatever they say: the coarse one counts in hundredths, twice."""

_SET_PARENT_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of prctl(2)
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the servers run on, and which the load generator. They are the same if there is only one."""

    server: int
    generator: int

    @property
    def apart(self) -> bool:
        """Whether they are different, without which figures mean nothing."""
        return self.server != self.generator


def choose_cores() -> Cores:
    """Return the first and the last core that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


def allow_descriptors() -> int:
    """Raise the limit of open descriptors as far as the system lets us, for servers too; return it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (65536, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
        except (ValueError, OSError):
            continue
        return limit
    return _soft


@dataclass(frozen=True, slots=True)
class Reading:
    """What a process had used up at one moment, in seconds."""

    cpu: float
    """User and system time of all its threads, those that have ended included."""
    waited: float
    """How long its threads were ready to run while something else had their core."""


def read_cpu(pid: int) -> float:
    """Return the CPU time of a process in seconds, to the nanosecond: what clock_getcpuclockid(3) gives access to."""
    return time.clock_gettime((~pid << 3) | 2)


def read_cpu_ticks(pid: int) -> float:
    """Return the CPU time of a process in seconds as proc(5) has it in ``stat``, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read(pid: int) -> Reading:
    """Return what a process has used up so far.

    Raises:
        BenchmarkError: It has ended.
    """
    waited = 0
    try:
        for path in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                waited += int((path / "schedstat").read_text().split()[1])
        return Reading(read_cpu(pid), waited / 1e9)
    except OSError as error:
        raise BenchmarkError(f"process {pid} cannot be read: {error}") from error


class Process:
    """A server that runs and has said where."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid
        announcement = self._announcement()
        self.port = int(announcement["port"])
        self.versions: dict[str, str] = announcement["versions"]

    def _announcement(self) -> dict:  # type: ignore[type-arg]  # whatever JSON the server wrote
        stdout = self._process.stdout
        if stdout is None:  # it was asked for
            raise AssertionError
        line = b""
        deadline = time.monotonic() + STARTING
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(stdout.fileno(), 65536) if ready else b""
            if not data:
                raise BenchmarkError(f"the server did not say where it listens; {self._log} may say why")
            line += data
        try:
            return json.loads(line)  # type: ignore[no-any-return]  # as above
        except ValueError:
            raise BenchmarkError(f"the server said {line!r:.200} instead of where it listens") from None

    def read(self) -> Reading:
        """Return what it has used up so far."""
        return read(self.pid)

    def resident(self) -> int:
        """Return the bytes of memory that it has in use now."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError as error:
            raise BenchmarkError(f"the server has ended: {error}") from error
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise BenchmarkError(f"the server has ended; {self._log} may say why")

    def check_clocks(self) -> None:
        """Compare the fine clock with the coarse one.

        Raises:
            BenchmarkError: They differ by more than rounding can explain.
        """
        fine, coarse = read_cpu(self.pid), read_cpu_ticks(self.pid)
        if abs(fine - coarse) > TICKS + CLOCK_TOLERANCE * coarse:
            raise BenchmarkError(f"the clocks of process {self.pid} disagree: {fine:.3f} s and {coarse:.2f} s")


@contextlib.contextmanager
def running(command: Sequence[str], core: int, log: Path) -> Iterator[Process]:
    """Have a server run on one core while the body does.

    It is killed at the end rather than asked to go: it holds nothing that would be lost. It also dies with this process.

    Raises:
        BenchmarkError: It did not start.
    """

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)

    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        try:
            process = subprocess.Popen(  # noqa: S603  # a command of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                preexec_fn=prepare,  # noqa: PLW1509  # this process has no other thread
            )
        except OSError as error:
            raise BenchmarkError(f"{command[0]} cannot be started: {error}") from error
        try:
            yield Process(process, log)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def run_on(command: Sequence[str], core: int, seconds: float) -> bytes:
    """Run a program on one core to its end and return what it wrote.

    Raises:
        BenchmarkError: It failed, or took longer.
    """
    pinned = ("taskset", "--cpu-list", str(core), *command)
    try:
        done = subprocess.run(  # noqa: S603  # a command of ours
            pinned, capture_output=True, check=True, timeout=seconds
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise BenchmarkError(f"{' '.join(command)} ended with status {error.returncode}: {said[-500:]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{' '.join(command)} did not end: {error}") from error
    return done.stdout
