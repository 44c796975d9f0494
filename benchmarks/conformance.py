"""How long the conformance suite takes against our fixture, and whether it passes every time, also on a busy machine.

``python benchmarks/conformance.py`` runs it ten times over TCP with sixteen cases at a time, the second half beside a process
on each core that does nothing but count. The exit status is 1 if a case failed, or if a run took longer than `LIMIT`.
``--quick`` makes two runs.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

LIMIT = 30.0
"""Seconds that a run may take."""

JOBS = 16
"""Cases at a time."""

RUNS = 10
QUICK = 2


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with these arguments, and end it afterwards."""
    with subprocess.Popen(  # noqa: S603  # this project's own program
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def judge(url: str, report: Path) -> tuple[float, list[str], list[str]]:
    """Return the seconds of one run, the cases that failed, and those that had to run again."""
    command = ["-m", "trio_socketio", "conformance", url, "--jobs", str(JOBS), "--json", str(report)]
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)  # noqa: S603  # this project's own program
    found = json.loads(report.read_text())
    failed = [case["id"] for case in found["cases"] if case["outcome"] != "passed"]
    return found["seconds"], failed, [case["id"] for case in found["cases"] if "reruns" in case]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two runs instead of ten")
    runs = QUICK if parser.parse_args(arguments).quick else RUNS
    well = True
    with (
        tempfile.TemporaryDirectory() as folder,
        process("-m", "trio_socketio", "conformance", "serve", "--port", "0") as server,
        ExitStack() as hogs,
    ):
        assert server.stdout is not None  # noqa: S101  # it was asked for
        address = re.search(r"http://\S+", server.stdout.readline())
        if address is None:
            raise RuntimeError("the fixture does not say where it is")
        for number in range(runs):
            busy = number >= runs // 2
            if number == runs // 2:
                for _ in range(os.cpu_count() or 1):
                    hogs.enter_context(process("-c", "while True: pass"))
            seconds, failed, again = judge(address[0], Path(folder, "report.json"))
            well = well and not failed and seconds <= LIMIT
            print(
                f"run {number + 1:>2}{', busy' if busy else '':<6}{seconds:>7.1f} s  "
                f"{', '.join(failed) or 'all passed'}{f'; again: {len(again)}' if again else ''}",
                flush=True,
            )
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
