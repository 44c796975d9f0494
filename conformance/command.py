"""``trio-socketio conformance URL``: judges a server from the command line."""

import argparse
import fnmatch
import os
import shutil
import signal
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import quote, urlsplit

import trio
from trio_socketio.conformance import cases as _  # noqa: F401  # fills the register
from trio_socketio.conformance.case import REGISTER, Case, Level
from trio_socketio.conformance.expectations import ExpectationError, read_expectations
from trio_socketio.conformance.peer import Dial
from trio_socketio.conformance.probing import Unusable, probe
from trio_socketio.conformance.report import (
    Progress,
    render_head,
    render_html,
    render_json,
    render_junit,
    render_list,
    render_text,
)
from trio_socketio.conformance.results import Deviations, Verdict, deviations
from trio_socketio.conformance.runner import run

EXIT_CONFORMS: Final = 0
EXIT_DEVIATES: Final = 1
EXIT_UNUSABLE: Final = 2
EXIT_INTERRUPTED: Final = 130
"""What shells say of a program that Ctrl-C ended."""

WIDTH: Final = 100
"""Columns when the output is no terminal."""

_IN_PATH: Final = "/%:@!$&'()*+,;="
"""What a path may have unescaped besides letters and digits (RFC 3986, section 3.3), and the escapes themselves."""

_SCHEMES: Final = {"http": False, "ws": False, "https": True, "wss": True}


class UsageError(Exception):
    """The command cannot be carried out as it was given; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is."""

    host: str
    port: int
    secure: bool
    path: str

    @classmethod
    def parse(cls, url: str, path: str | None) -> "Address":
        """Read a URL.

        Args:
            url: Scheme, host, and port if it is not the usual one; a path in it counts if none is given.
            path: Where Engine.IO lives.

        Raises:
            UsageError: It is no URL of a server.
        """
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
        except ValueError as error:
            raise UsageError(f"{url!r} is no address of a server: {error}") from None
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise UsageError(f"{url!r} is no address of a server; one looks like http://127.0.0.1:3000")
        if not _is_name(parts.hostname):
            raise UsageError(f"{parts.hostname!r} is no name of a host")
        secure = _SCHEMES[parts.scheme]
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            raise UsageError(f"the port in {url!r} is no number from 1 to 65535")
        place = path or (parts.path if parts.path not in ("", "/") else "/socket.io/")
        if not place.startswith("/"):
            raise UsageError(f"the path {place!r} does not begin with a slash")
        place = quote(place if place.endswith("/") else place + "/", _IN_PATH)
        return cls(parts.hostname, port or (443 if secure else 80), secure, place)

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode()
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"

    def dial(self, timeout: float) -> Dial:
        """Return a function that opens a connection, TLS included; it raises OSError, with a sentence, if that is impossible.

        Args:
            timeout: Seconds that it may take.
        """
        context = ssl.create_default_context() if self.secure else None

        async def connect() -> trio.abc.Stream:
            with trio.move_on_after(timeout):
                try:
                    return await self._connect(context)
                except trio.BrokenResourceError as error:
                    raise OSError(f"it does not speak TLS that can be trusted: {error.__cause__ or error}") from error
            raise OSError(f"it did not answer within {timeout:g} s")

        return connect

    async def _connect(self, context: ssl.SSLContext | None) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream(self.host, self.port)
        if context is None:
            return stream
        secured = trio.SSLStream(stream, context, server_hostname=self.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except BaseException:
            with trio.CancelScope(shield=True):  # a Cancelled would take the place of what is being raised
                await trio.aclose_forcefully(stream)
            raise
        return secured


def _is_name(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``trio-socketio conformance``."""
    parser.add_argument("url", nargs="?", metavar="URL", help="the server, such as http://127.0.0.1:3000")
    parser.add_argument(
        "-k", dest="globs", action="append", metavar="GLOB", help="only cases whose id matches; repeatable"
    )
    parser.add_argument(
        "--level", action="append", choices=[str(level) for level in Level], help="only cases of this level; repeatable"
    )
    parser.add_argument("--engine-only", action="store_true", help="the server speaks Engine.IO alone, and echoes")
    parser.add_argument("--path", help="where Engine.IO lives (default: /socket.io/, with --engine-only /engine.io/)")
    parser.add_argument("--jobs", type=_count, default=8, metavar="N", help="cases at a time (default: %(default)s)")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=5.0,
        metavar="S",
        help="seconds to wait for an answer (default: %(default)s)",
    )
    parser.add_argument(
        "--max-wait",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="skip cases that the server's intervals make wait longer (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page")
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="known deviations, an id on each line: exit 0 if exactly these fail"
    )
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--color", choices=["auto", "always", "never"], default="auto", help="(default: %(default)s)")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e6:  # twelve days are enough for anybody
        raise argparse.ArgumentTypeError(f"{text} is no reasonable number of seconds")
    return seconds


def judge(options: argparse.Namespace) -> int:
    """Carry the command out; return the exit status.

    0: every MUST and SHOULD holds, or with ``--expect`` the failures are the expected ones. 1: not so. 2: the server cannot
    be reached or used, at the end of the run or before, or the arguments cannot. 130: Ctrl-C ended the run.

    Raises:
        KeyboardInterrupt: Ctrl-C came before the first case, perhaps in groups of exceptions.
        OSError: Standard output takes nothing.
    """
    try:
        return _judge(options)
    except (UsageError, ExpectationError, Unusable) as error:
        print(error, file=sys.stderr)
        return EXIT_UNUSABLE


def _judge(options: argparse.Namespace) -> int:
    color = _wants_color(options.color, sys.stdout)
    cases = choose(options.globs, options.level, engine_only=options.engine_only)
    if options.list:
        print(render_list(cases, color=color), end="")
        return EXIT_CONFORMS
    if options.url is None:
        raise UsageError("name the address of a server, such as http://127.0.0.1:3000 (or --list)")
    address = Address.parse(options.url, options.path or ("/engine.io/" if options.engine_only else None))
    expected = _expectations(options.expect)
    _check_reports([file for file in (options.json, options.junit, options.html) if file is not None])
    verdict = trio.run(partial(_run, address, cases, options, color=color))
    compared = None if expected is None else deviations(verdict, expected)
    written = _write(verdict, options)
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    _say(render_text(verdict, color=color, width=width, deviations=compared))
    return _status(verdict, compared) if written else EXIT_UNUSABLE


def _check_reports(files: Sequence[Path]) -> None:
    """See that the reports can be written, before the cases run.

    Raises:
        UsageError: One cannot.
    """
    for file in files:
        if not file.absolute().parent.is_dir():
            raise UsageError(f"{file} cannot be written: there is no folder {file.absolute().parent}")
        if file.is_dir():
            raise UsageError(f"{file} cannot be written: it is a folder")
    if len({file.resolve() for file in files}) < len(files):
        raise UsageError("two reports are to be written to the same file")


def _say(text: str) -> None:
    """Write to standard output; whoever read it may have seen enough, and the reports are to be complete nevertheless."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that no later flush fails again


def _status(verdict: Verdict, compared: Deviations | None) -> int:
    if not verdict.complete:
        return EXIT_INTERRUPTED
    if not verdict.reachable:
        return EXIT_UNUSABLE
    well = verdict.conforms if compared is None else compared.none
    return EXIT_CONFORMS if well else EXIT_DEVIATES


def choose(globs: Sequence[str] | None, levels: Sequence[str] | None, *, engine_only: bool) -> list[Case]:
    """Return the cases that are wanted.

    Raises:
        UsageError: There are none.
    """
    chosen = [
        case
        for case in REGISTER
        if (not levels or case.level in levels)
        and (not globs or any(fnmatch.fnmatchcase(case.id, glob) for glob in globs))
        and (case.engine_only or not engine_only)
    ]
    if not chosen:
        raise UsageError("no case matches (--list shows all)")
    return chosen


def _expectations(file: Path | None) -> list[str] | None:
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    return read_expectations(lines, REGISTER, str(file))


async def _run(address: Address, cases: Sequence[Case], options: argparse.Namespace, *, color: bool) -> Verdict:
    try:
        target = await probe(
            address.dial(options.timeout),
            address.path,
            address.authority,
            engine_only=options.engine_only,
            timeout=options.timeout,
        )
    except Unusable as error:
        raise Unusable(f"{address.url} cannot be judged: {error}") from error
    _say(render_head(address.url, target, color=color) + "\n")
    progress = Progress(sys.stderr, len(cases), live=sys.stderr.isatty())
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            interrupted = trio.Event()

            async def wait_for_signal() -> None:
                async for _number in signals:
                    interrupted.set()
                    return

            nursery.start_soon(wait_for_signal)
            verdict = await run(
                target,
                cases,
                server=address.url,
                jobs=options.jobs,
                max_wait=options.max_wait,
                observe=progress.observe,
                interrupted=interrupted,
            )
            nursery.cancel_scope.cancel()
    progress.finish()
    return verdict


def _write(verdict: Verdict, options: argparse.Namespace) -> bool:
    """Write the reports that were asked for; return whether all could be written."""
    written = True
    for file, render in ((options.json, render_json), (options.junit, render_junit), (options.html, render_html)):
        if file is None:
            continue
        unfinished = file.with_name(file.name + ".part")
        try:
            unfinished.write_text(render(verdict), encoding="utf-8")
            unfinished.replace(file)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            print(f"{file} cannot be written: {error.strerror or error}", file=sys.stderr)
            written = False
    return written


def _wants_color(choice: str, stream: TextIO) -> bool:
    if choice == "auto":  # https://no-color.org
        return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"
