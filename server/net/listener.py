"""Accepting connections: plain TCP, TLS, any trio listener, any open stream."""

import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import trio
from trio_socketio.server.net.direct_http import DirectConnection
from trio_socketio.server.net.serving import address_of, serve_stream, shown_address

if TYPE_CHECKING:
    from trio_socketio.server.net.poller import Poller
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

AT_ONCE: Final = 64
"""Connections that are accepted before other tasks get their turn."""
PAUSE: Final = 0.1
"""Seconds without accepting when the system has no room for another connection, as in trio."""
NOTSENT: Final = 16 * 1024
"""Bytes that wait in the kernel before a socket counts as full; as in trio, so that what waits does so where it is counted."""
_OPTIONS: Final = [
    (option, value)
    for name, value in (("TCP_NODELAY", 1), ("TCP_NOTSENT_LOWAT", NOTSENT))
    if (option := getattr(socket, name, None)) is not None
]

FULL: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
"""What accepting fails with when the system has no room for another connection."""
_PASSING: Final = (
    "EPERM ECONNABORTED EPROTO ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH EOPNOTSUPP ENETUNREACH ENOSR "
    "ESOCKTNOSUPPORT EPROTONOSUPPORT ETIMEDOUT ECONNRESET"
)
BROKEN: Final = frozenset(getattr(errno, name) for name in _PASSING.split() if hasattr(errno, name))
"""What it fails with when the connection has ended before it was accepted, which concerns nobody else; as in trio."""


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


@asynccontextmanager
async def closing(listeners: Sequence[trio.abc.Listener[Any]]) -> AsyncIterator[None]:
    """Close listeners when a block ends, however it does; each may be closed already."""
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):  # this waits for nothing; a Cancelled would replace what the block raised
            for listener in listeners:
                await trio.aclose_forcefully(listener)


async def accept(service: "Service", listeners: Sequence[trio.abc.Listener[Any]], nursery: trio.Nursery) -> None:
    """Accept connections until the service ends. The poller serves plain sockets, a task of the nursery each of the others.

    Raises:
        ExceptionGroup: What accepting failed with.
    """
    poller = service.poller
    async with trio.open_nursery() as accepting:
        for listener in listeners:
            if poller is not None and type(listener) is trio.SocketListener:
                accepting.start_soon(_accept_plainly, service, poller, listener, nursery)
            else:
                accepting.start_soon(_accept_streams, service, listener, nursery)


async def _accept_streams(service: "Service", listener: trio.abc.Listener[Any], nursery: trio.Nursery) -> None:
    """Accept the connections of any listener.

    This is `trio.serve_listeners`, except that what a listener or a connection raises never gives way to a Cancelled while it
    is closed.
    """
    async with closing([listener]):
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in FULL:
                    raise
                _tell_full(error)
                await trio.sleep(PAUSE)
            else:
                if nursery.cancel_scope.cancel_called:  # something has failed in it, and it takes nothing more
                    await trio.aclose_forcefully(stream)
                    return
                nursery.start_soon(_serve, service, stream)


async def _serve(service: "Service", stream: trio.abc.Stream) -> None:
    address = address_of(stream)
    poller = service.poller
    if poller is not None and type(stream) is trio.SocketStream and stream.socket.fileno() >= 0:
        _serve_plainly(service, poller, socket.socket(fileno=stream.socket.detach()), address)
    else:
        await serve_stream(service, stream, address)


async def _accept_plainly(
    service: "Service", poller: "Poller", listener: trio.SocketListener, nursery: trio.Nursery
) -> None:
    """Accept the connections of one listening socket, without a task for each."""
    async with closing([listener]):
        listening = socket.socket(fileno=listener.socket.fileno())  # which stays the listener's
        try:
            while listener.socket.fileno() >= 0:
                await trio.lowlevel.wait_readable(listener.socket)
                if nursery.cancel_scope.cancel_called:  # something has failed in it, and with it the poller ends
                    return
                if not _accept_some(service, poller, listening):
                    await trio.sleep(PAUSE)
        finally:
            listening.detach()
    raise trio.ClosedResourceError("the listener was closed")


def _accept_some(service: "Service", poller: "Poller", listening: socket.socket) -> bool:
    """Accept what waits, a bounded number; return False if the system has no room for more."""
    tcp = listening.family in (socket.AF_INET, socket.AF_INET6)
    for _ in range(AT_ONCE):
        try:
            taken, peer = listening.accept()
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno in FULL:
                _tell_full(error)
                return False
            if error.errno not in BROKEN:
                raise
            continue
        _serve_plainly(service, poller, taken, shown_address(peer), _OPTIONS if tcp else ())
    return True


def _tell_full(error: OSError) -> None:
    logger.error("no connection can be accepted: %s; the next attempt is in %g s", error.strerror, PAUSE)


def _serve_plainly(
    service: "Service",
    poller: "Poller",
    taken: socket.socket,
    address: str,
    options: Iterable[tuple[int, int]] = (),
) -> None:
    """Serve one connection without a task."""
    try:
        taken.settimeout(0)
        for option, value in options:
            taken.setsockopt(socket.IPPROTO_TCP, option, value)
        DirectConnection(taken, address, service, poller).begin()
    except OSError as error:  # it has ended already, or the system can watch no more sockets
        logger.info("a connection from %s failed: %s", address, error)
        taken.close()


async def attend(service: "Service", stream: trio.abc.Stream, *, alone: bool) -> None:
    """Serve one connection in a task of the service and wait for its end.

    If that is cancelled, a service that was opened for this connection alone ends it gracefully; otherwise it is cut.
    """
    scope = trio.CancelScope()
    ended = trio.Event()

    async def run() -> None:
        try:
            with scope:
                await serve_stream(service, stream, address_of(stream), detaching=False)
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
