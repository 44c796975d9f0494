"""Runs the suite against three servers and writes down what came of it: ``python -m trio_socketio.conformance.matrix``.

It works in a checkout of the project, on a machine with Node.js and npm: it installs what the fixtures in
``conformance/fixtures`` need, starts each of them on a free port, judges it, and ends it, one after another. Rewritten are the
part of ``docs/conformance.md`` between the markers, and the list of known deviations beside each fixture. What the servers say
on standard error is kept below ``build/conformance``.
"""

import argparse
import html
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

import trio
from trio_socketio.conformance import cases as _  # noqa: F401  # fills the register
from trio_socketio.conformance.case import REGISTER, Area, Level
from trio_socketio.conformance.probing import Unusable, probe
from trio_socketio.conformance.report import Progress
from trio_socketio.conformance.results import BINDING, Result, Tally, Verdict
from trio_socketio.conformance.runner import run

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "docs" / "conformance.md"
BEGIN: Final = "<!-- matrix: begin -->"
END: Final = "<!-- matrix: end -->"

_NODE: Final = ROOT / "conformance" / "fixtures" / "node"
_PYTHON: Final = ROOT / "conformance" / "fixtures" / "python"
_BUILD: Final = ROOT / "build" / "conformance"
_VENV: Final = _BUILD / "venv"

STARTING: Final = 30.0
"""Seconds that a server has to say where it is."""

BRIEF: Final = 150
"""Characters of what came instead; the report of a run has all of it."""


class MatrixError(Exception):
    """The table cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One server: how to install, to start and to name it."""

    name: str
    version: str
    folder: Path | None
    """Where its list of known deviations lies; None for a server that has none."""
    installation: tuple[tuple[str, ...], ...]
    """Commands that make what it needs, for its folder."""
    command: tuple[str, ...]
    """Starts it on a free port; its first line of output ends in that port."""


def entrants() -> list[Entrant]:
    """Return the servers, ours first. Their versions are those that the fixtures pin."""
    node = json.loads((_NODE / "package.json").read_text())["dependencies"]["socket.io"]
    pins = dict(line.split("==") for line in (_PYTHON / "requirements.txt").read_text().split())
    python = str(_VENV / "bin" / "python")
    return [
        Entrant(
            "trio-socketio",
            metadata.version("trio-socketio"),
            None,
            (),
            (sys.executable, "-m", "trio_socketio", "conformance", "serve", "--port", "0"),
        ),
        Entrant(
            "socket.io (Node.js)",
            node,
            _NODE,
            (("npm", "ci", "--silent"),),
            ("node", str(_NODE / "server.js"), "--port", "0"),
        ),
        Entrant(
            "python-socketio",
            f"{pins['python-socketio']}, uvicorn {pins['uvicorn[standard]']}",
            _PYTHON,
            (
                (sys.executable, "-m", "venv", str(_VENV)),
                (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"),
            ),
            (python, str(_PYTHON / "server.py"), "--port", "0"),
        ),
    ]


async def install(entrant: Entrant) -> None:
    """Run the commands that make what a server needs.

    Raises:
        MatrixError: One of them failed, or its program is not there.
    """
    for command in entrant.installation:
        try:
            await trio.run_process(command, cwd=entrant.folder, capture_stdout=True, capture_stderr=True)
        except FileNotFoundError:
            raise MatrixError(f"{entrant.name} needs the program {command[0]!r}, which is not installed") from None
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise MatrixError(f"{' '.join(command)} ended with status {error.returncode}: {said}") from None


@asynccontextmanager
async def running(entrant: Entrant) -> AsyncIterator[int]:
    """Have a server run while the body does, which gets its port; it is ended afterwards, whatever happens.

    Raises:
        MatrixError: It did not start, or had ended before the body did.
    """
    _BUILD.mkdir(parents=True, exist_ok=True)
    with (_BUILD / f"{entrant.name.split()[0]}.log").open("wb") as log:
        async with trio.open_nursery() as nursery:
            start = partial(trio.run_process, entrant.command, stdout=subprocess.PIPE, stderr=log, check=False)
            try:
                process: trio.Process = await nursery.start(start)
            except FileNotFoundError:
                raise MatrixError(f"{entrant.name} needs the program {entrant.command[0]!r}") from None
            yield await _port(process, entrant.name, log.name)
            if process.returncode is not None:
                raise MatrixError(f"{entrant.name} ended during the run: {log.name} may say why")
            nursery.cancel_scope.cancel()  # which ends the process: SIGTERM, and SIGKILL if that does not help


async def _port(process: trio.Process, name: str, log: str) -> int:
    output = b""
    with trio.move_on_after(STARTING):
        while process.stdout is not None and not output.endswith(b"\n"):
            data = await process.stdout.receive_some()
            if not data:
                break
            output += data
    port = re.search(rb":([0-9]+)\n", output)
    if port is None:
        raise MatrixError(f"{name} did not say where it is: {log} may say why")
    return int(port[1])


async def judge(entrant: Entrant, jobs: int) -> Verdict:
    """Run the whole suite against a server.

    Raises:
        MatrixError: It cannot be judged.
    """
    async with running(entrant) as port:
        progress = Progress(sys.stderr, len(REGISTER), live=sys.stderr.isatty())
        try:
            target = await probe(partial(trio.open_tcp_stream, "127.0.0.1", port), "/socket.io/", f"127.0.0.1:{port}")
        except Unusable as error:
            raise MatrixError(f"{entrant.name} cannot be judged: {error}") from error
        verdict = await run(target, list(REGISTER), server=entrant.name, jobs=jobs, observe=progress.observe)
        progress.finish()
        return verdict


Results = Sequence[tuple[Entrant, Verdict]]


def render(results: Results) -> str:
    """Return the part of the document that is generated."""
    return "\n\n".join(
        (
            _table(
                ["server", "version", *Level, "all"],
                (
                    [
                        entrant.name,
                        entrant.version,
                        *(_cell(verdict.tally(level=level)) for level in Level),
                        _cell(verdict.tally()),
                    ]
                    for entrant, verdict in results
                ),
            ),
            _table(
                ["area", *(entrant.name for entrant, _verdict in results)],
                ([area.value, *(_cell(verdict.tally(area=area)) for _entrant, verdict in results)] for area in Area),
            ),
            *(_failures(entrant, verdict) for entrant, verdict in results),
        )
    )


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _cell(tally: Tally) -> str:
    return f"{tally.passed}/{tally.run}" if tally.run else "-"


def _failures(entrant: Entrant, verdict: Verdict) -> str:
    musts = [f"`{result.case.id}`" for result in verdict.failures if result.case.level is Level.MUST]
    summary = f"**{entrant.name}** fails {len(musts)} MUST" + (f": {', '.join(musts)}." if musts else ".")
    if not verdict.failures:
        return summary
    tally = verdict.tally()
    lines = [summary, "", f"<details><summary>All {tally.failed} of {tally.run} that fail</summary>"]
    for level in Level:
        failures = [result for result in verdict.failures if result.case.level is level]
        if failures:
            lines += ["", f"{level}:", "", *map(_item, failures)]
    return "\n".join([*lines, "", "</details>"])


def _item(result: Result) -> str:
    return f"- `{result.case.id}`: {result.case.title}. Instead: <code>{html.escape(brief(result.got))}</code>"


_CHANCE: Final = re.compile(
    r"(?<![\w-])[\w-]{20}(?![\w-])|(?<=-)[0-9a-f]{12}\b|(?<=\s)[0-9]+\.[0-9]+(?= s\b)|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT"
)
"""What differs from run to run: sids, the ends of unique names, measured seconds, dates of HTTP."""


def brief(text: str) -> str:
    """Return what came instead without what differs from run to run, in at most `BRIEF` characters."""
    text = _CHANCE.sub("…", text).replace("|", "¦")
    return text if len(text) <= BRIEF else text[: BRIEF - 1] + "…"


def insert(document: str, generated: str) -> str:
    """Return a document with its generated part replaced.

    Raises:
        MatrixError: It has not one pair of markers.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(END) < document.index(BEGIN):
        raise MatrixError(f"the document must have {BEGIN} and, below it, {END}, once each")
    head, rest = document.split(BEGIN)
    return f"{head}{BEGIN}\n\n{generated}\n\n{END}{rest.split(END)[1]}"


def known_deviations(entrant: Entrant, verdict: Verdict) -> str:
    """Return the list for ``--expect``: the MUST and SHOULD cases that fail, with their titles."""
    lines = [
        f"# What {entrant.name} {entrant.version} is known to do otherwise, for `trio-socketio conformance --expect`.",
        "# Written by `python -m trio_socketio.conformance.matrix`.",
    ]
    for level in BINDING:
        failures = [result.case for result in verdict.failures if result.case.level is level]
        if failures:
            lines += ["", f"# {level}", *(f"{case.id:<46} # {case.title}" for case in failures)]
    return "\n".join(lines) + "\n"


async def make(jobs: int) -> None:
    """Judge every server, then write down what came of it; nothing is written unless all could be judged.

    Raises:
        MatrixError: It cannot be done.
    """
    if not DOCUMENT.is_file():
        raise MatrixError(f"there is no {DOCUMENT}: this program works in a checkout of the project alone")
    insert(DOCUMENT.read_text(encoding="utf-8"), "")  # raises now if the markers are not there
    results: list[tuple[Entrant, Verdict]] = []
    for entrant in entrants():
        print(f"{entrant.name} {entrant.version}", flush=True)
        await install(entrant)
        verdict = await judge(entrant, jobs)
        tally = verdict.tally()
        print(f"  {tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
        results.append((entrant, verdict))
    DOCUMENT.write_text(insert(DOCUMENT.read_text(encoding="utf-8"), render(results)), encoding="utf-8")
    for entrant, verdict in results:
        if entrant.folder is not None:
            (entrant.folder / "deviations.txt").write_text(known_deviations(entrant, verdict), encoding="utf-8")


async def _unless_terminated(jobs: int) -> bool:
    """Make the table, unless SIGTERM comes: then what was started is ended first, as it is after Ctrl-C."""
    made = False
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def wait_for_signal() -> None:
                async for _number in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(wait_for_signal)
            await make(jobs)
            made = True
            nursery.cancel_scope.cancel()
    return made


def main() -> int:
    """Run the program; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m trio_socketio.conformance.matrix",
        description="Judges three servers and writes the result into docs/conformance.md.",
    )
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="cases at a time (default: %(default)s)")
    options = parser.parse_args()
    try:
        return 0 if trio.run(_unless_terminated, options.jobs) else 1
    except* MatrixError as group:
        print(*_leaves(group), sep="\n", file=sys.stderr)
    return 2


def _leaves(group: BaseExceptionGroup[MatrixError]) -> Iterator[MatrixError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    sys.exit(main())
