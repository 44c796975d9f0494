"""Running a server as a program: it says where it is, and SIGINT or SIGTERM ends it."""

import logging
import signal
import sys

import trio

from trio_socketio.server.app import Server

EXIT_USAGE = 2
"""The exit status when the address cannot be used."""

MAX_PORT = 65_535

ENDING = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a program."""


def run(server: Server, host: str, port: int, announcement: str) -> int:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, which end it gracefully within the server's ``shutdown_grace``.

    A second signal ends the process at once: a handler may wait for a thread, which cannot be cancelled.

    Args:
        server: The server.
        host: The address to bind.
        port: The port; 0 for any that is free.
        announcement: Printed once the server can be reached, with ``{url}`` replaced.

    Returns:
        The exit status: 0, or 2 if the address cannot be bound.
    """
    return trio.run(_run, server, host, port, announcement)


async def _run(server: Server, host: str, port: int, announcement: str) -> int:
    with trio.open_signal_receiver(*ENDING) as signals:
        async with trio.open_nursery() as nursery:
            try:
                listeners: list[trio.SocketListener] = await nursery.start(server.serve, host, port)
            except OSError as error:
                print(f"cannot serve on {host}:{port}: {error.strerror or error}", file=sys.stderr)
                return EXIT_USAGE
            print(announcement.format(url=url(host, listeners[0].socket.getsockname()[1])), flush=True)
            async for _ in signals:
                for number in ENDING:
                    signal.signal(number, signal.SIG_DFL)
                nursery.cancel_scope.cancel()
                break
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


def url(host: str, port: int) -> str:
    """Return the address for a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def log_to_terminal(*, verbose: bool) -> None:
    """Let the package's log lines appear on standard error: warnings, or with ``verbose`` everything."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("trio_socketio").setLevel(logging.DEBUG if verbose else logging.WARNING)
