"""The servers that are compared: how each is installed, started and named.

The peers live in environments of their own below ``build/``, made of the pinned lists in ``benchmarks/servers``. An
environment is made anew when its list or the interpreter changes.
"""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from comparison.failure import BenchmarkError

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PROGRAMS: Final = ROOT / "benchmarks" / "servers"
BUILD: Final = ROOT / "build"

INSTALLING: Final = 600
"""Seconds that an installation may take."""


class Family(StrEnum):
    """What a server is made with."""

    OURS = "trio-socketio"
    NODE = "socket.io"
    PYTHON_SOCKETIO = "python-socketio"
    """Flask-SocketIO belongs to it: it is a layer over the same server."""
    FLOOR = "floor"
    """No server to use, and measured on demand only: see ``servers/floor.py``."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a server is started with; everything else is its default."""

    ping_interval: float = 3600.0
    """Seconds; long, so that heartbeats disturb nothing."""
    ping_timeout: float = 120.0
    namespaces: int = 0
    """Namespaces that are registered beside the root."""

    def arguments(self) -> list[str]:
        """Return the command line of every server's program."""
        return [
            f"--ping-interval={self.ping_interval:g}",
            f"--ping-timeout={self.ping_timeout:g}",
            f"--namespaces={self.namespaces}",
        ]


@dataclass(frozen=True, slots=True)
class Server:
    """One server of the comparison."""

    name: str
    """Short, as on the command line and in the results."""
    label: str
    """As in tables."""
    family: Family
    program: Path
    python: Path | None = None
    """The interpreter of ours and of the floor; the peers have one in their environment."""

    @property
    def environment(self) -> Path:
        """Where a peer's packages are."""
        return BUILD / f"bench-{self.name}"

    def command(self, options: Options) -> list[str]:
        """Return what starts it, once it is installed."""
        if self.family is Family.NODE:
            return ["node", str(self.environment / self.program.name), *options.arguments()]
        return [str(self.interpreter), str(self.program), *options.arguments()]

    @property
    def interpreter(self) -> Path:
        """The Python that runs it."""
        return self.python or self.environment / "bin" / "python"

    def missing(self) -> str | None:
        """Return why it cannot be measured on this machine, or None."""
        if self.family is Family.NODE and not (shutil.which("node") and shutil.which("npm")):
            return "Node.js and npm are not installed"
        return None

    def install(self) -> bool:
        """Make its environment, unless it is there; return whether it had to.

        Raises:
            BenchmarkError: That failed.
        """
        if self.python is not None:
            return False
        pins = (
            self.program.with_name("package-lock.json")
            if self.family is Family.NODE
            else self.program.with_suffix(".requirements.txt")
        )
        stamp = self.environment / "stamp"
        state = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
        made = not stamp.is_file() or stamp.read_text() != state
        if made:
            shutil.rmtree(self.environment, ignore_errors=True)
            self._make(pins)
        if self.family is Family.NODE:
            shutil.copy(self.program, self.environment)  # Node.js looks for packages beside the program
        if made:
            stamp.write_text(state)
        return made

    def _make(self, pins: Path) -> None:
        if self.family is Family.NODE:
            self.environment.mkdir(parents=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(self.program.with_name(name), self.environment)
            _run("npm", "ci", "--silent", cwd=self.environment)
            return
        _run(sys.executable, "-m", "venv", str(self.environment))
        pip = (str(self.interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--requirement", str(pins))


def _run(*command: str, cwd: Path | None = None) -> None:
    try:
        subprocess.run(  # noqa: S603  # a command of ours
            command, cwd=cwd, check=True, capture_output=True, timeout=INSTALLING
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).decode(errors="replace").strip()
        raise BenchmarkError(f"{' '.join(command)} ended with status {error.returncode}: {said[-800:]}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"{' '.join(command)} failed: {error}") from error


def ours(name: str = "ours", label: str = "trio-socketio", python: Path | None = None) -> Server:
    """Return our server as some interpreter has it installed."""
    return Server(name, label, Family.OURS, PROGRAMS / "ours.py", python or Path(sys.executable))


def known_servers() -> list[Server]:
    """Return the servers, ours first, and the floor last."""
    return [
        ours(),
        Server("node", "Node socket.io", Family.NODE, PROGRAMS / "node" / "server.js"),
        Server("uvicorn", "python-socketio, uvicorn", Family.PYTHON_SOCKETIO, PROGRAMS / "python_socketio_uvicorn.py"),
        Server("aiohttp", "python-socketio, aiohttp", Family.PYTHON_SOCKETIO, PROGRAMS / "python_socketio_aiohttp.py"),
        Server("flask", "Flask-SocketIO, gevent", Family.PYTHON_SOCKETIO, PROGRAMS / "flask_socketio_app.py"),
        Server("floor", "the floor of Python", Family.FLOOR, PROGRAMS / "floor.py", Path(sys.executable)),
    ]
