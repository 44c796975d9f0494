"""Running a server as a program: it says where it is, and SIGINT or SIGTERM ends it."""

import signal
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import trio
from trio_socketio.server.net.listener import closing, open_listeners

if TYPE_CHECKING:
    from trio_socketio.server.app import Server

ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a program."""


async def run_until_signal(
    server: "Server", host: str | None, port: int, ssl_context: ssl.SSLContext | None, tell: Callable[[str], None]
) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, which end it gracefully within the server's ``shutdown_grace``.

    A second signal ends the process at once: a handler may wait for a thread, which cannot be cancelled.

    Args:
        server: The server.
        host: The address to bind; None for all.
        port: The port; 0 for any that is free.
        ssl_context: Serve TLS with it.
        tell: Called with the address for a browser once the server can be reached.

    Raises:
        OSError: The address cannot be bound.
    """
    listeners = await open_listeners(host, port, ssl_context, None)
    async with closing(listeners):
        first = listeners[0]
        below = first.transport_listener if isinstance(first, trio.SSLListener) else first
        port = cast("trio.SocketListener", below).socket.getsockname()[1]  # `open_listeners` makes no others
        with trio.open_signal_receiver(*ENDING) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve_listeners, listeners)
                tell(url(host or "localhost", port, secure=ssl_context is not None))
                async for _ in signals:
                    for number in ENDING:
                        signal.signal(number, signal.SIG_DFL)
                    nursery.cancel_scope.cancel()
                    break


def url(host: str, port: int, *, secure: bool = False) -> str:
    """Return the address for a browser."""
    return f"http{'s' if secure else ''}://{f'[{host}]' if ':' in host else host}:{port}"
