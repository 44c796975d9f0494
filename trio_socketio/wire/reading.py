"""The command that explains a recorded conversation: ``trio-socketio explain FILE``."""

import argparse
import io
import os
import shutil
import sys
import time
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from trio_socketio.program import forget_output
from trio_socketio.wire.ansi import wants_color
from trio_socketio.wire.conversation import Conversation, Line, Record
from trio_socketio.wire.har import HarRecords, read_har
from trio_socketio.wire.json_lines import json_of_line, json_of_summary
from trio_socketio.wire.lines import format_header, format_line, format_summary
from trio_socketio.wire.preview import size
from trio_socketio.wire.record import RecordingError, read_records

EXIT_FAULTS = 1
"""The exit status when something in the conversation breaks the protocol."""

EXIT_UNREADABLE = 2
"""The exit status when the file cannot be read."""

_HAR_SUFFIX = ".har"

_QUIET_FOR = 1.0
"""Seconds of reading until progress is shown: what takes less needs none."""

_EVERY_ON_TERMINAL = 0.2
_EVERY_IN_LOG = 10.0
"""Seconds between two reports of progress. Where standard error is a file, each is a line of its own."""


def open_recording(path: Path, options: argparse.Namespace) -> int:
    """Print the lines of a conversation and then its summary.

    Args:
        path: A HAR file if its name ends in ``.har``, otherwise a recording.
        options: What it uses of them: ``json``, whether to print JSON objects, one per line; ``color``, which is
            ``auto``, ``always`` or ``never``.

    Returns:
        The exit status: 0, or 1 when faults were found, or 2 when the file cannot be read.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an arrow must not stop it where the encoding has none
    try:
        with path.open("rb") as file:
            return _explain(path, file, options)
    except BrokenPipeError:
        forget_output()  # whoever read it has seen enough
        return 0
    except OSError as error:
        return _unreadable(path, error.strerror or str(error))


def _explain(path: Path, file: BinaryIO, options: argparse.Namespace) -> int:
    progress = _Progress(path.stat().st_size, sys.stderr)
    printer = _Printer(sys.stdout, as_json=options.json, color=wants_color(options.color, sys.stdout))
    conversation = Conversation()
    har = read_har(file, progress.at) if path.name.lower().endswith(_HAR_SUFFIX) else None
    records: Iterator[Record] = har if har is not None else read_records(_text_lines(file, progress))
    try:
        for record in records:
            lines = conversation.observe(record)
            if lines:
                progress.hide()
            for line in lines:
                printer.line(line)
    except RecordingError as error:
        progress.hide()
        sys.stdout.flush()
        return _unreadable(path, str(error))
    progress.hide()
    for line in conversation.finish():
        printer.line(line)
    summary = conversation.summary()
    if options.json:
        print(json_of_summary(summary))
    else:
        printer.end(format_summary(summary, color=printer.color, width=printer.width), har)
    sys.stdout.flush()
    return EXIT_FAULTS if summary.fault_count else 0


def _unreadable(path: Path, why: str) -> int:
    print(f"trio-socketio: cannot read {path}: {why}", file=sys.stderr)
    return EXIT_UNREADABLE


def _text_lines(file: BinaryIO, progress: "_Progress") -> Iterator[str]:
    done = 0
    for line in file:
        done += len(line)
        progress.at(done)
        # Some editors begin a file with a byte order mark, which is no part of its text.
        yield (line.removeprefix(BOM_UTF8) if done == len(line) else line).decode("utf-8", "surrogateescape")


class _Printer:
    """Prints lines as they come, below one header."""

    def __init__(self, output: TextIO, *, as_json: bool, color: bool) -> None:
        self.color = color
        self.width = shutil.get_terminal_size().columns if output.isatty() else _columns_wanted()
        self._as_json = as_json
        self._start: float | None = None

    def line(self, line: Line) -> None:
        if self._as_json:
            print(json_of_line(line))
            return
        if self._start is None:
            self._start = line.time
            print(format_header(color=self.color, width=self.width, start=line.time))
        print(format_line(line, color=self.color, width=self.width, start=self._start))

    def end(self, summary: str, har: HarRecords | None) -> None:
        if self._start is not None:
            print()
        print(summary)
        if har is not None and har.skipped:
            print(f"\n{har.skipped} of the {har.entries} requests in the file are no Socket.IO and were skipped.")


def _columns_wanted() -> int | None:
    """Return the width that the environment asks for although the output is no terminal."""
    wish = os.environ.get("COLUMNS", "")
    return int(wish) if wish.isascii() and wish.isdigit() else None


class _Progress:
    """Says on standard error how much of a file is read."""

    def __init__(self, total: int, output: TextIO) -> None:
        self._total = total
        self._output = output
        self._terminal = output.isatty()
        self._next = time.monotonic() + (_QUIET_FOR if self._terminal else _EVERY_IN_LOG)
        self._visible = False

    def at(self, done: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (_EVERY_ON_TERMINAL if self._terminal else _EVERY_IN_LOG)
        percent = min(100, 100 * done // max(self._total, 1))
        text = f"read {size(done)} of {size(self._total)} ({percent} %)"
        print(f"\r\x1b[K{text}" if self._terminal else text, end="" if self._terminal else "\n", file=self._output)
        self._output.flush()
        self._visible = self._terminal

    def hide(self) -> None:
        if self._visible:
            print("\r\x1b[K", end="", file=self._output, flush=True)
            self._visible = False
