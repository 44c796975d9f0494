"""Accepting connections: plain TCP, TLS, any trio listener, any open stream."""

import logging
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import trio
from trio_socketio.server.net.connection import Connection

if TYPE_CHECKING:
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

CLOSE_TIMEOUT = 5.0
"""Seconds for a regular end of a connection (TLS says goodbye); then it is cut."""
TLS_TIMEOUT = 20.0
"""Seconds for the handshake of TLS."""


async def open_listeners(
    host: str | None, port: int, ssl_context: ssl.SSLContext | None, backlog: int | None
) -> list[trio.SocketListener] | list[trio.SSLListener[trio.SocketStream]]:
    """Bind and return the listeners of an address.

    Raises:
        OSError: The address cannot be bound.
    """
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    if ssl_context is None:
        return listeners
    return [trio.SSLListener(listener, ssl_context, https_compatible=True) for listener in listeners]


async def accept(service: "Service", listeners: Sequence[trio.abc.Listener[Any]], nursery: trio.Nursery) -> None:
    """Accept connections for ever; each is served in a task of the nursery."""

    async def handle(stream: trio.abc.Stream) -> None:
        await serve_connection(service, stream)

    await trio.serve_listeners(handle, list(listeners), handler_nursery=nursery)


async def attend(service: "Service", stream: trio.abc.Stream, *, alone: bool) -> None:
    """Serve one connection in a task of the service and wait for its end.

    If that is cancelled, a service that was opened for this connection alone ends it gracefully; otherwise it is cut.
    """
    scope = trio.CancelScope()
    ended = trio.Event()

    async def run() -> None:
        try:
            with scope:
                await serve_connection(service, stream)
        finally:
            ended.set()

    service.nursery.start_soon(run)
    try:
        await ended.wait()
    finally:
        if not alone:
            scope.cancel()
            with trio.CancelScope(shield=True):
                await ended.wait()


async def serve_connection(service: "Service", stream: trio.abc.Stream) -> None:
    """Serve one connection to its end and close it. Whatever happens to it happens to nobody else."""
    try:
        if isinstance(stream, trio.SSLStream):
            with trio.fail_after(TLS_TIMEOUT):
                await stream.do_handshake()
        connection = Connection(stream, service, _address(stream), secure=isinstance(stream, trio.SSLStream))
        await connection.run()
    except* (trio.BrokenResourceError, trio.TooSlowError) as errors:
        logger.info("a connection from %s failed: %s", _address(stream), errors.exceptions)
    except* Exception:  # also beside a Cancelled, which goes on its way
        logger.exception("serving a connection failed: this is a bug of trio-socketio")
    finally:
        await _close(stream)


async def _close(stream: trio.abc.Stream) -> None:
    with trio.move_on_after(CLOSE_TIMEOUT):
        try:
            await stream.aclose()
        except trio.BrokenResourceError:
            return


def _address(stream: trio.abc.Stream) -> str:
    """Return the peer's IP address; a stream that has none, such as a unix socket's, is ``local``."""
    if isinstance(stream, trio.SSLStream):
        return _address(stream.transport_stream)
    if isinstance(stream, trio.SocketStream):
        try:
            peer = stream.socket.getpeername()
        except OSError:
            return "unknown"
        if isinstance(peer, tuple):
            return str(peer[0])
    return "local"
