"""The command line: ``trio-socketio``, or ``python -m trio_socketio``."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from trio_socketio import __version__
from trio_socketio.conformance import command, fixture
from trio_socketio.demo.app import create_server
from trio_socketio.program import complete, log_to_terminal, open_closed_streams, port_number, run
from trio_socketio.wire import explain_command, reading, tap_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0, or 2 when its arguments, its address or its output cannot be used.

    Ctrl-C gives 130 where it is not the usual end. Commands may have other statuses, too; their help says so.
    """
    open_closed_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    serving = words[:2] == ["conformance", "serve"]  # argparse knows no subcommand that may be left out
    options = _serve_parser().parse_args(words[2:]) if serving else parser().parse_args(words)
    log_to_terminal(verbose=options.verbose)
    return complete(partial(options.run, options))


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

    explain_command.add_command(commands, open_recording=reading.open_recording)

    tap_command.add_command(commands)

    judging = commands.add_parser(
        "conformance",
        help="judge a server by the specification",
        description="Judges a Socket.IO server by the specification. `trio-socketio conformance serve` runs the server "
        "that the suite expects; docs/conformance.md says how to write it for others.",
        epilog="Exit status: 0 if every MUST and SHOULD holds (with --expect: if exactly the known deviations fail), "
        "1 if not, 2 if the server cannot be reached or used, also if that is so only when the run ends. Certificates "
        "are checked; the variable SSL_CERT_FILE names a file with those to trust.",
    )
    command.add_arguments(judging)
    judging.set_defaults(run=command.judge, verbose=False)
    return top


def _serve_parser() -> argparse.ArgumentParser:
    serving = argparse.ArgumentParser(
        prog="trio-socketio conformance serve", description="Runs the server that the conformance suite expects."
    )
    fixture.add_arguments(serving)
    serving.add_argument("--verbose", action="store_true", help="log what happens")
    serving.set_defaults(run=fixture.serve)
    return serving


def _demo(options: argparse.Namespace) -> int:
    return run(
        create_server(shutdown_grace=1.0), options.host, options.port, "trio-socketio demo on {url} (Ctrl-C ends it)"
    )


if __name__ == "__main__":
    sys.exit(main())
