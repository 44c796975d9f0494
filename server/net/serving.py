"""Serving one connection in a task of its own, to its end."""

import logging
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.proxies import LOCAL
from trio_socketio.server.net.connection import Connection

if TYPE_CHECKING:
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

CLOSE_TIMEOUT: Final = 5.0
"""Seconds for a regular end of a connection (TLS says goodbye); then it is cut."""
TLS_TIMEOUT: Final = 20.0
"""Seconds for the handshake of TLS."""


async def serve_stream(
    service: "Service",
    stream: trio.abc.Stream,
    address: str,
    *,
    initial: bytes = b"",
    served: int = 0,
    detaching: bool = True,
) -> None:
    """Serve one connection and close it. Whatever happens to it happens to nobody else.

    Args:
        service: The service that it belongs to.
        stream: The connection, open.
        address: The peer's address.
        initial: What has been read from it already.
        served: Requests that came before.
        detaching: Whether this may end while the connection lives on as a WebSocket that needs no task.
    """
    secure = isinstance(stream, trio.SSLStream)
    try:
        try:
            if isinstance(stream, trio.SSLStream):
                with trio.fail_after(TLS_TIMEOUT):
                    await stream.do_handshake()
            await Connection(
                stream, service, address, secure=secure, initial=initial, served=served, detaching=detaching
            ).run()
        except* (trio.BrokenResourceError, trio.TooSlowError) as errors:
            logger.info("a connection from %s failed: %s", address, errors.exceptions)
        except* Exception:  # also beside a Cancelled, which goes on its way
            logger.exception("serving a connection failed: this is a bug of trio-socketio")
    except BaseException:  # cancelled, or the end of more than this connection: nothing may take its place
        with trio.CancelScope(shield=True) as at_once:
            at_once.cancel()
            await _close(stream, address)
        raise
    with trio.move_on_after(CLOSE_TIMEOUT):
        await _close(stream, address)


async def _close(stream: trio.abc.Stream, address: str) -> None:
    """Close a connection, however well its own way to end works."""
    try:
        await stream.aclose()
    except* trio.BrokenResourceError as errors:
        logger.debug("connection over: it broke: %s", errors.exceptions)
    except* Exception:
        logger.exception("closing a connection from %s failed", address)


def address_of(stream: trio.abc.Stream) -> str:
    """Return the address of a connection's peer as the server tells it."""
    if isinstance(stream, trio.SSLStream):
        return address_of(stream.transport_stream)
    if not isinstance(stream, trio.SocketStream):
        return LOCAL
    try:
        return shown_address(stream.socket.getpeername())
    except OSError:
        return "unknown"


def shown_address(peer: object) -> str:
    """Return the IP address in what the system says of a peer; one that has none, such as a unix socket's, is ``local``."""
    return str(peer[0]) if isinstance(peer, tuple) else LOCAL
