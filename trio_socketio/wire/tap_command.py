"""``trio-socketio tap``: put a proxy before a Socket.IO server and see the conversation as it happens."""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TextIO

import trio

from trio_socketio import program
from trio_socketio.program import EXIT_USAGE
from trio_socketio.wire import page, preview
from trio_socketio.wire.ansi import wants_color
from trio_socketio.wire.line_filter import LineFilter
from trio_socketio.wire.report import Format, Mailbox, Report
from trio_socketio.wire.tap import Tap, Upstream

EXIT_FILES = 1
"""The exit status when a recording or a page could not be completed."""

DRAIN = 5.0
"""Seconds for the last lines to be shown, at the end."""

_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104  # it is compared with, and not listened on
_LOOPBACK = {"127.0.0.1", "::1"}

PIPED_WIDTH = 1_000
"""Columns of a line that goes to a file or another program."""

EPILOG = """\
Point a client to the address of --listen; everything passes through unchanged and is shown as it happens.
A filter matches the name of an event, a namespace, a kind of packet (open, ping, pong, probe, upgrade, noop, connect,
connect_error, disconnect, event, ack, message, fault, note) or the beginning of a session's sid; * stands for anything.
Browsers enforce the origin check of the server: allow the address of the tap there, if it is refused."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``tap`` to the commands of a parser; its options end with ``run``, which returns the exit status."""
    tap = commands.add_parser(
        "tap",
        help="a proxy that shows the conversation of any client with any server",
        description="A proxy that shows a Socket.IO conversation between any client and any server as it happens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tap.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=_address,
        default=("127.0.0.1", 3001),
        help="where clients connect; port 0 for any that is free (default: 127.0.0.1:3001)",
    )
    tap.add_argument(
        "--to",
        metavar="URL",
        type=_upstream,
        default=Upstream("127.0.0.1", 3000),
        help="the server, http:// or https:// (default: %(default)s)",
    )
    tap.add_argument(
        "--filter", metavar="TEXT", action="append", default=[], help="show only this; !TEXT: all but this"
    )
    tap.add_argument("--raw", action="store_true", help="show the frames as they are below each line")
    tap.add_argument("--record", metavar="FILE", type=Path, help="write a recording (JSON lines) as it happens")
    tap.add_argument("--html", metavar="FILE", type=Path, help="write a page with a sequence diagram at the end")
    tap.add_argument("--color", choices=["auto", "always", "never"], default="auto", help="(default: %(default)s)")
    tap.add_argument("--quiet", action="store_true", help="show no packets, only count them")
    tap.set_defaults(run=run, verbose=False)


def run(options: argparse.Namespace) -> int:
    """Run the tap until SIGINT (Ctrl-C) or SIGTERM.

    Returns:
        The exit status: 0, 1 if a file could not be completed, or 2 if an argument or the address cannot be used.
    """
    try:
        choice = LineFilter.of(options.filter)
        _check(options)
    except ValueError as error:
        return _refuse(error)
    return trio.run(_listen, options, choice)


def _refuse(error: ValueError) -> int:
    print(f"trio-socketio tap: {error}", file=sys.stderr)
    return EXIT_USAGE


async def _listen(options: argparse.Namespace, choice: LineFilter) -> int:
    host, port = options.listen
    try:
        await _check_addresses(options)
    except ValueError as error:
        return _refuse(error)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE
    with contextlib.ExitStack() as files:
        for listener in listeners:
            files.callback(listener.socket.close)
        try:
            recording = _create(
                options.record
            )  # empties a file that is there, so nothing may stand in the way any more
        except ValueError as error:
            return _refuse(error)
        if recording is not None:
            files.enter_context(contextlib.closing(recording))
        report = Report(
            show=None if options.quiet else _show,
            format=_format(options),
            choice=choice,
            recording=recording,
            keep=options.html is not None,
        )
        return await _run(options, listeners, report)


async def _run(options: argparse.Namespace, listeners: list[trio.SocketListener], report: Report) -> int:
    mailbox = Mailbox()
    tap = Tap(options.to.dial, mailbox.put)
    drained = trio.Event()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        url = program.url(options.listen[0], listeners[0].socket.getsockname()[1])
        print(f"trio-socketio tap on {url}, in front of {options.to} (Ctrl-C ends it)", flush=True)
        async with trio.open_nursery() as nursery:
            serving = trio.CancelScope()
            nursery.start_soon(_tell, mailbox, report, serving, drained)
            with serving:
                async with trio.open_nursery() as taps:
                    taps.start_soon(trio.serve_listeners, tap.serve_stream, listeners)
                    await anext(signals)
                    serving.cancel()
            mailbox.close()
            with trio.move_on_after(DRAIN):
                await drained.wait()
            nursery.cancel_scope.cancel()
    if drained.is_set() and not report.unheard:
        with contextlib.suppress(OSError):  # with --quiet nobody has noticed yet that nobody reads
            _show(_count(report, tap) + "\n")
    return _complete(options, report)


async def _tell(mailbox: Mailbox, report: Report, serving: trio.CancelScope, drained: trio.Event) -> None:
    """Hand what the tap learns to the report, in a thread, so that a slow terminal delays no byte."""
    await trio.to_thread.run_sync(report.begin)
    while records := await mailbox.take():
        # A terminal that takes nothing any more must not keep the program from ending.
        await trio.to_thread.run_sync(report.take, records, abandon_on_cancel=True)
        if report.unheard:
            serving.cancel()
    await trio.to_thread.run_sync(report.finish, abandon_on_cancel=True)
    drained.set()


def _complete(options: argparse.Namespace, report: Report) -> int:
    """Write the page, say what went wrong with the files, and return the exit status."""
    status = 0
    if report.failure is not None:
        print(f"the recording {options.record} stopped: {report.failure.strerror or report.failure}", file=sys.stderr)
        status = EXIT_FILES
    if options.html is not None:
        text = page.render_page(
            report.kept, report.conversation.summary(), f"Socket.IO at {options.to}", omitted=report.omitted
        )
        try:
            _replace(options.html, text)
        except OSError as error:
            print(f"the page {options.html} cannot be written: {error.strerror or error}", file=sys.stderr)
            status = EXIT_FILES
    return status


def _count(report: Report, tap: Tap) -> str:
    summary = report.conversation.summary()
    packets = summary.to_server.count + summary.to_client.count
    to_server, to_client = (preview.size(traffic.size) for traffic in (summary.to_server, summary.to_client))
    text = f"{_counted(summary.session_count, 'session')}, {_counted(packets, 'packet')}"
    text += f" ({to_server} to the server, {to_client} to the client), {_counted(tap.passed.connections, 'connection')}"
    return f"{text}, {_counted(summary.fault_count, 'fault')}" if summary.fault_count else text


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole: until it is complete, what was there before stays."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="backslashreplace", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        new = Path(file.name)
        try:
            file.write(text)
            file.close()
            new.chmod(0o666 & ~_umask())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _show(text: str) -> None:
    """Write to standard output past the buffer of `sys.stdout`, whose lock a stuck thread would hold for ever."""
    data = text.encode(sys.stdout.encoding or "utf-8", "backslashreplace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def _format(options: argparse.Namespace) -> Format:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else PIPED_WIDTH
    return Format(color=wants_color(options.color, sys.stdout), width=width, raw=options.raw)


def _check(options: argparse.Namespace) -> None:
    """See that the options fit together.

    Raises:
        ValueError: They do not.
    """
    if options.html is None:
        return
    if options.record is not None and options.record.resolve() == options.html.resolve():
        raise ValueError(f"--record and --html are the same file, {options.html}")
    folder = options.html.parent
    if options.html.is_dir():
        raise ValueError(f"no page can be written to {options.html}: it is a directory")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"no page can be written to {options.html}: {folder} is no directory that can be written to")


async def _check_addresses(options: argparse.Namespace) -> None:
    """See that the tap would not connect to itself.

    Raises:
        ValueError: It would.
    """
    host, port = options.listen
    if port != options.to.port:
        return
    listening = await _addresses(host)
    if listening & _ANYWHERE:
        listening |= _LOOPBACK
    if listening & await _addresses(options.to.host):
        raise ValueError(f"--listen and --to are both {options.to}: the tap would connect to itself")


async def _addresses(host: str) -> set[str]:
    try:
        found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()  # whoever listens or connects will say so
    return {str(address[0]) for *_, address in found}


def _create(path: Path | None) -> TextIO | None:
    """Create the recording.

    Raises:
        ValueError: It cannot be written.
    """
    if path is None:
        return None
    try:
        return path.open("w", encoding="utf-8", errors="surrogatepass")
    except OSError as error:
        raise ValueError(f"no recording can be written to {path}: {error.strerror or error}") from error


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is no address to listen on: it must look like 127.0.0.1:3001")
    if not program.is_host(host):
        raise argparse.ArgumentTypeError(f"{host!r} is no name of a host")
    return host, program.port_number(port)


def _upstream(text: str) -> Upstream:
    try:
        return Upstream.from_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
