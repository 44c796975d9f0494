"""What the programs of the command line share: how they serve, their exit status, their arguments and their log."""

import argparse
import logging
import os
import sys
from collections.abc import Callable

import trio

from trio_socketio.server.app import Server
from trio_socketio.server.running import run_until_signal
from trio_socketio.server.running import url as url  # noqa: PLC0414  # for the tools of the wire, which know no server

EXIT_USAGE = 2
"""The exit status when the address cannot be used, or the output cannot be written."""

EXIT_INTERRUPTED = 130
"""What shells say of a program that Ctrl-C ended."""

MAX_PORT = 65_535


def run(server: Server, host: str, port: int, announcement: str) -> int:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, as `Server.run` does.

    Args:
        server: The server.
        host: The address to bind.
        port: The port; 0 for any that is free.
        announcement: Printed once the server can be reached, with ``{url}`` replaced.

    Returns:
        The exit status: 0, or 2 if the address cannot be bound.
    """
    if not is_host(host):
        print(f"cannot serve on {host}:{port}: {host!r} is no name of a host", file=sys.stderr)
        return EXIT_USAGE

    def tell(url: str) -> None:
        print(announcement.format(url=url), flush=True)

    try:
        trio.run(run_until_signal, server, host, port, None, tell)
    except OSError as error:
        print(f"cannot serve on {host}:{port}: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def port_number(text: str) -> int:
    """Return the port that an argument means; larger numbers must not wrap around.

    Raises:
        argparse.ArgumentTypeError: It means none.
    """
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it must be a number from 0 to {MAX_PORT}")
    return port


def is_host(text: str) -> bool:
    """Whether a text can be the name of a host, or its address: what cannot, the resolver refuses with a UnicodeError."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return True


def open_closed_streams() -> None:
    """Let standard streams that were closed when the program began (``>&-`` in a shell) be empty and take everything."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  # as long as the program


def complete(command: Callable[[], int]) -> int:
    """Run a command of the command line to its end and return its exit status.

    The ends that have nothing to do with what a command does are here, since they are the same for all: Ctrl-C where the command
    itself does not wait for it, and an output that takes nothing more.
    """
    status = EXIT_INTERRUPTED
    try:
        status = _complete(command)
    except* KeyboardInterrupt:  # in a group if it came out of a nursery
        pass
    return status


def _complete(command: Callable[[], int]) -> int:
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        forget_output()
        return 0
    except OSError as error:  # those of sockets and files the commands tell themselves
        forget_output()
        print(f"trio-socketio: the output cannot be written: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE
    return status


def forget_output() -> None:
    """Let what is still to be written to standard output go nowhere, so that Python's last flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def log_to_terminal(*, verbose: bool) -> None:
    """Let the package's log lines appear on standard error: warnings, or with ``verbose`` everything."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("trio_socketio").setLevel(logging.DEBUG if verbose else logging.WARNING)
