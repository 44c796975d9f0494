"""A server that systemd starts when the first client comes, and hands its listening sockets; it may end when nobody is left.

    systemd-socket-activate -l 3000 python examples/passed_socket.py --idle 60

Every listening socket that is passed is served (LISTEN_FDS, see sd_listen_fds(3)), be it TCP or a unix socket. systemd goes on
listening: it starts the server again when somebody comes, who waits for that long. docs/listeners.md has the units.
Ctrl-C or SIGTERM ends it.
"""

import argparse
import os
import signal
import socket
import sys

import trio

from trio_socketio import Context, Server

FIRST = 3
"""The first descriptor that is passed, as sd_listen_fds(3) says."""


def passed_sockets() -> dict[str, socket.socket]:
    """Return the listening sockets that were passed to this process, by their names (FileDescriptorName=) or their numbers.

    Raises:
        ValueError: One of them does not listen.
    """
    variables = [os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")]
    pid, count, names = variables  # taken away: they are not meant for processes that this one starts
    if pid != str(os.getpid()):
        return {}
    sockets: dict[str, socket.socket] = {}
    named = names.split(":") if names else []
    for index in range(int(count)):
        os.set_inheritable(FIRST + index, False)  # noqa: FBT003  # its parameters have no names
        passed = socket.socket(fileno=FIRST + index)
        if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError(f"the descriptor {FIRST + index} is no listening socket: Accept=no is needed")
        name = named[index] if index < len(named) and named[index] not in sockets else str(FIRST + index)
        sockets[name] = passed
    return sockets


def make_server() -> Server:
    """Return the application: it repeats what it is told, and says which process does."""
    server = Server()

    @server.on("connect")
    async def connect(ctx: Context, _auth: object) -> None:
        await ctx.emit("welcome", {"process": os.getpid(), "address": ctx.handshake.address})

    @server.on("echo")
    async def echo(_ctx: Context, *arguments: object) -> tuple[object, ...]:
        return arguments

    return server


async def nobody_left(server: Server, idle: float | None) -> None:
    """Return when nobody has been connected for so many seconds, or at most for twice as many; with None, never."""
    if idle is None:
        await trio.sleep_forever()
    stats = server.stats()
    while True:
        before = stats
        await trio.sleep(idle)
        stats = server.stats()
        if not before["sessions"] and not stats["sessions"] and stats["closes"] == before["closes"]:
            return


async def main(options: argparse.Namespace) -> int:
    """Serve until a signal comes or nobody is left; then end gracefully."""
    try:
        sockets = passed_sockets()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not sockets:
        print("no socket was passed: systemd-socket-activate -l 3000 python examples/passed_socket.py", file=sys.stderr)
        return 2
    server = make_server()
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(passed)) for passed in sockets.values()]
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def wait_for_signal() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            await nursery.start(server.serve_listeners, listeners)
            print(f"process {os.getpid()} serves {', '.join(sockets)}", flush=True)
            nursery.start_soon(wait_for_signal)
            await nobody_left(server, options.idle)
            print("nobody is left", flush=True)
            nursery.cancel_scope.cancel()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=float, help="seconds without anybody after which it ends (default: never)")
    sys.exit(trio.run(main, parser.parse_args()))
