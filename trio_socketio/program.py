"""What the programs of the command line share: how they serve, their exit status, their arguments and their log."""

import logging
import sys

import trio

from trio_socketio.server.app import Server
from trio_socketio.server.running import run_until_signal
from trio_socketio.server.running import url as url  # noqa: PLC0414  # for the tools of the wire, which know no server

EXIT_USAGE = 2
"""The exit status when the address cannot be used."""

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
        ValueError: It means none.
    """
    port = int(text)
    if not 0 <= port <= MAX_PORT:
        raise ValueError(f"a port is a number from 0 to {MAX_PORT}, not {port}")
    return port


def log_to_terminal(*, verbose: bool) -> None:
    """Let the package's log lines appear on standard error: warnings, or with ``verbose`` everything."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("trio_socketio").setLevel(logging.DEBUG if verbose else logging.WARNING)
