"""The command line: ``trio-socketio``, or ``python -m trio_socketio``."""

import argparse
import sys
from collections.abc import Sequence

from trio_socketio import __version__
from trio_socketio.demo.app import create_server
from trio_socketio.program import log_to_terminal, port_number, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, or 2 when its arguments or its address cannot be used."""
    options = parser().parse_args(arguments)
    log_to_terminal(verbose=options.verbose)
    status: int = options.run(options)
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="trio-socketio", description="The Socket.IO server for Trio.")
    top.add_argument("--version", action="version", version=f"trio-socketio {__version__}")
    commands = top.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="a chat in the browser that shows its own wire traffic")
    demo.add_argument("--host", default="127.0.0.1", help="the address to bind (default: %(default)s)")
    demo.add_argument(
        "--port", type=port_number, default=3000, help="the port; 0 for any that is free (default: %(default)s)"
    )
    demo.add_argument("--verbose", action="store_true", help="log what happens")
    demo.set_defaults(run=_demo)
    return top


def _demo(options: argparse.Namespace) -> int:
    return run(
        create_server(shutdown_grace=1.0), options.host, options.port, "trio-socketio demo on {url} (Ctrl-C ends it)"
    )


if __name__ == "__main__":
    sys.exit(main())
