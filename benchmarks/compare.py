"""Measures our server and its peers in one interleaved run: what a message costs each of them, in CPU time of the server.

``python benchmarks/compare.py`` runs every load on every server, in rounds: A B C A B C. It prints tables, and writes
``results.json`` and a page if told to. ``--quick`` is a smoke test of less than two minutes. The exit status is 2 if something
could not be measured, and, with ``--check``, 1 if a target was missed. ``benchmarks/README.md`` says how it is measured.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from comparison import loads, process, samples, text
from comparison.failure import BenchmarkError
from comparison.figures import Figures
from comparison.loads import Scale, Stage
from comparison.measuring import Measurement
from comparison.page import render_page
from comparison.process import Cores
from comparison.samples import CodecSample, LoadRow, Results, ServerRow
from comparison.servers import Family, Server, known_servers, ours
from comparison.targets import Verdict, check

CODEC: Final = Path(__file__).with_name("codec.py")

CODEC_SECONDS: Final = 60.0
"""Seconds that one run of the codec's measurement may take."""


class Progress:
    """Says on standard error what is being measured: one line that changes, or, in a file, a line for each stage."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = time.monotonic()
        self._live = sys.stderr.isatty()
        self._stage = ""

    def show(self, stage: str, detail: str) -> None:
        """Say what comes next."""
        passed = time.monotonic() - self._began
        left = f", about {passed / self._done * (self._total - self._done) / 60:.0f} min left" if self._done > 5 else ""
        if self._live:
            line = f"{self._done}/{self._total} {stage}: {detail}{left}"
            print(f"\r{line[:140]:<140}", end="", file=sys.stderr, flush=True)
        elif stage != self._stage:
            print(f"{passed:6.0f} s  {self._done}/{self._total}  {stage}{left}", file=sys.stderr, flush=True)
        self._stage = stage

    def advance(self) -> None:
        """Note that something has been measured."""
        self._done += 1

    def finish(self) -> None:
        """Leave the line behind."""
        if self._live:
            print(f"\r{'':<140}\r", end="", file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smoke test: everything smaller and shorter")
    parser.add_argument(
        "--servers", metavar="NAME,...", help="only these: " + ", ".join(each.name for each in known_servers())
    )
    parser.add_argument("--loads", metavar="PATTERN,...", help="only loads with such ids; see --list")
    parser.add_argument("--list", action="store_true", help="print the ids of all loads and end")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"default {loads.FULL.rounds}, and {loads.QUICK.rounds} if quick"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="for which each load runs")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="another version of our server: the interpreter of an environment that has it; may be repeated",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, after each stage")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="measure nothing, take results from there"
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="go on with a run that was interrupted: measure what is not in there",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="replace the generated part of this document")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a target was missed")
    return parser.parse_args(arguments)


def choose_servers(options: argparse.Namespace) -> list[Server]:
    """Return the servers that the command line asks for."""
    servers = known_servers()
    if options.servers is None:
        servers = [server for server in servers if server.family is not Family.FLOOR]
    else:
        names = options.servers.split(",")
        unknown = set(names) - {server.name for server in servers}
        if unknown:
            raise BenchmarkError(f"there is no server {', '.join(sorted(unknown))}")
        servers = [server for server in servers if server.name in names]
    variants = []
    for variant in options.variant:
        name, separator, python = variant.partition("=")
        if not separator or not Path(python).is_file():
            raise BenchmarkError(f"a variant is NAME=PYTHON with the path of an interpreter, not {variant!r}")
        variants.append(ours(name, f"trio-socketio, {name}", Path(python)))
    return [
        *(each for each in servers if each.family is Family.OURS),
        *variants,
        *(each for each in servers if each.family is not Family.OURS),
    ]


def choose_stages(options: argparse.Namespace, scale: Scale) -> tuple[list[Stage], bool]:
    """Return the stages that the command line asks for, and whether it asks for the codec."""
    stages = loads.stages(scale)
    if options.loads is None:
        return stages, True
    patterns = options.loads.split(",")
    chosen = loads.select(stages, patterns)
    codec = "codec" in patterns
    if not chosen and not codec:
        raise BenchmarkError(f"no load has an id that matches {options.loads}")
    return chosen, codec


def choose_scale(options: argparse.Namespace) -> Scale:
    """Return how large everything is."""
    scale = loads.QUICK if options.quick else loads.FULL
    return replace(scale, rounds=options.rounds or scale.rounds, seconds=options.seconds or scale.seconds)


def install(servers: Sequence[Server], results: Results) -> list[Server]:
    """Install the servers; return those that can be measured, and note the others."""
    usable = []
    for server in servers:
        why = server.missing()
        if why is not None:
            results.skipped[server.name] = why
            print(f"{server.label} is left out: {why}", file=sys.stderr)
            continue
        began = time.monotonic()
        if server.install():
            print(f"installed {server.label} in {time.monotonic() - began:.0f} s", file=sys.stderr)
        usable.append(server)
    return usable


def measure(
    results: Results, servers: Sequence[Server], stages: Sequence[Stage], scale: Scale, cores: Cores, file: Path | None
) -> None:
    """Run all stages, all rounds and all servers, and add what comes of it to the results."""
    progress = Progress(len(stages) * scale.rounds * len(servers))
    for stage in stages:
        for number in range(scale.rounds):
            for server in servers:
                measurement = Measurement(server, stage, scale, cores, number)
                where = f"round {number + 1}/{scale.rounds}, {server.name}"
                progress.show(stage.title, where)
                for sample in measurement:
                    results.samples.append(sample)
                    progress.show(stage.title, f"{where}, {sample.load}")
                progress.advance()
                if measurement.versions:
                    results.versions[server.name] = measurement.versions
        if file is not None:
            results.save(file)
    progress.finish()


def measure_codec(results: Results, servers: Sequence[Server], rounds: int, core: int) -> None:
    """Measure both codecs in turn, if python-socketio is among the servers."""
    peer = next((each for each in servers if each.family is Family.PYTHON_SOCKETIO), None)
    mine = next((each for each in servers if each.family is Family.OURS), None)
    if peer is None or mine is None:
        return
    for number in range(rounds):
        for implementation, server in (("ours", mine), ("python-socketio", peer)):
            command = (str(server.interpreter), str(CODEC), implementation)
            for direction, packet, value in json.loads(process.run_on(command, core, CODEC_SECONDS)):
                results.codec.append(CodecSample(implementation, direction, packet, number, value))


def run(options: argparse.Namespace) -> Results:
    """Measure what the command line asks for."""
    scale = choose_scale(options)
    stages, codec = choose_stages(options, scale)
    servers = choose_servers(options)
    rows = [
        LoadRow(load.id, load.title, load.group, load.per, load.figure, load.curve, load.at)
        for load in chain.from_iterable(stage.loads() for stage in stages)
    ]
    results = Results(scale.rounds, options.quick, samples.describe_machine(), [], rows)
    servers = install(servers, results)
    results.servers = [ServerRow(server.name, server.label, server.family) for server in servers]
    if options.resume is not None:
        complete = results.resume(Results.load(options.resume))
        stages = [stage for stage in stages if not complete.issuperset(load.id for load in stage.loads())]
        again = {load.id for stage in stages for load in stage.loads()}
        results.samples = [sample for sample in results.samples if sample.load not in again]
    cores = process.choose_cores()
    if not cores.apart:
        print(
            "there is only one core: servers and load generator share it, and the figures mean little", file=sys.stderr
        )
    descriptors = process.allow_descriptors()
    if descriptors < scale.crowd + 200:
        print(f"only {descriptors} files may be open, too few for {scale.crowd} connections", file=sys.stderr)
    os.sched_setaffinity(0, {cores.generator})
    began = time.monotonic() - results.seconds
    try:
        measure(results, servers, stages, scale, cores, options.json)
        if codec:
            measure_codec(results, servers, scale.rounds, cores.server)
    finally:
        results.seconds = time.monotonic() - began
        if options.json is not None and results.samples:
            results.save(options.json)
    return results


def status(results: Results, *, checked: bool) -> int:
    """Return the exit status that the results deserve."""
    if any(sample.fault for sample in results.samples):
        return 2
    if results.skipped and os.environ.get("TRIO_SOCKETIO_REQUIRE_TOOLS"):
        return 2
    missed = any(each.verdict is not Verdict.PASS for each in check(Figures(results)))
    return 1 if checked and missed else 0


def _terminate(_number: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, present, and return the exit status."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _terminate)  # servers are ended on the way out
    try:
        if options.list:
            for stage in loads.stages(choose_scale(options)):
                for load in stage.loads():
                    print(f"{load.id:<24} {load.title}")
            return 0
        results = run(options) if options.source is None else Results.load(options.source)
        print(text.for_terminal(results))
        if options.html is not None:
            options.html.write_text(render_page(results), encoding="utf-8")
        if options.readme is not None:
            document = options.readme.read_text(encoding="utf-8")
            options.readme.write_text(text.insert(document, text.for_readme(results)), encoding="utf-8")
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return status(results, checked=options.check)


if __name__ == "__main__":
    sys.exit(main())
