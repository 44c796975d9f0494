"""A proxy that listens: bytes pass through it unchanged, and what they mean is told to an observer.

`Tap` joins each connection of a client with one of its own to the server. It reads at most `CHUNK` bytes from one side and
reads more only when the other side has taken them, so that a slow reader slows its sender down as it would without a
proxy. The end of one direction is passed on as such; the other direction goes on.
"""

import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import trio

from trio_socketio.program import is_host
from trio_socketio.protocol.trace import Sender
from trio_socketio.wire.sniffing import Sniffer
from trio_socketio.wire.values import Note, Record

CHUNK: Final = 65_536
"""Bytes that are read before they are passed on."""

CONNECT_TIMEOUT: Final = 30.0
"""Seconds for the connection to the server, TLS included."""

BROKEN_GRACE: Final = 2.0
"""Seconds for the other direction, once one has ended by an error: what has been said already still arrives."""

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a connection to the server; raises OSError, with a sentence, when that is impossible."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the server is."""

    host: str
    port: int
    secure: bool = False
    """Whether TLS is spoken with it. The certificate must be one that the system trusts for `host`."""

    @classmethod
    def from_url(cls, url: str) -> "Upstream":
        """Read an ``http://`` or ``https://`` address; ``ws://`` and ``wss://`` mean the same.

        Raises:
            ValueError: It is none, or it says more than where the server is: a tap changes no request.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"{url!r} is no address: {error}") from error
        if host is not None and not is_host(host):
            raise ValueError(f"{host!r} is no name of a host")
        if parts.scheme not in ("http", "https", "ws", "wss") or not host:
            raise ValueError(f"{url!r} is no address of a server: it must look like http://127.0.0.1:3000")
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
            raise ValueError(
                f"{url!r} says more than a host and a port: a tap passes on requests and changes none of them"
            )
        secure = parts.scheme in ("https", "wss")
        return cls(host, (443 if secure else 80) if port is None else port, secure)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"

    async def dial(self) -> trio.abc.Stream:
        """Open a connection.

        Raises:
            OSError: That is impossible; the text is a sentence without a full stop.
        """
        with trio.move_on_after(CONNECT_TIMEOUT):
            try:
                return await self._dial()
            except OSError as error:
                raise OSError(f"{self} cannot be reached: {_reason(error)}") from error
            except trio.BrokenResourceError as error:
                raise OSError(f"{self} does not speak TLS that can be trusted: {error.__cause__ or error}") from error
        raise OSError(f"{self} cannot be reached: it did not answer within {CONNECT_TIMEOUT:g} seconds")

    async def _dial(self) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream(self.host, self.port)
        if not self.secure:
            return stream
        secured = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=self.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except BaseException:
            with trio.CancelScope(shield=True):  # a Cancelled would take the place of what is being raised
                await trio.aclose_forcefully(stream)
            raise
        return secured


@dataclass(slots=True)
class Passed:
    """What has passed through a tap so far."""

    connections: int = 0
    unreachable: int = 0
    """Connections that were closed because the server could not be reached."""
    size: dict[Sender, int] = field(default_factory=lambda: dict.fromkeys(Sender, 0))
    """Bytes of each sender, HTTP and WebSocket framing included."""


class Tap:
    """Passes bytes between clients and a server, and tells an observer what they mean.

    Args:
        dial: Opens a connection to the server, such as `Upstream.dial`.
        observe: Called with each record, in the order of time. It must return at once and not raise, for it is
            called between the reading and the passing on.
        clock: Says the time in seconds since the epoch.
    """

    def __init__(self, dial: Dial, observe: Callable[[Record], None], clock: Callable[[], float] = time.time) -> None:
        self.passed = Passed()
        self._dial = dial
        self._observe = observe
        self._clock = clock

    async def serve_stream(self, client: trio.abc.Stream) -> None:
        """Serve the connection of one client until both of its directions have ended."""
        self.passed.connections += 1
        async with client:
            try:
                server = await self._dial()
            except OSError as error:
                self.passed.unreachable += 1
                self._observe(Note(self._clock(), "", "", None, f"{error}; the connection of a client was closed"))
                return
            async with server:
                await self._join(client, server)

    async def _join(self, client: trio.abc.Stream, server: trio.abc.Stream) -> None:
        sniffer = Sniffer()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forward, Sender.CLIENT, client, server, sniffer, nursery.cancel_scope)
            nursery.start_soon(self._forward, Sender.SERVER, server, client, sniffer, nursery.cancel_scope)
        for sender in Sender:  # one that has ended by an error may not have said so
            self._tell(sniffer.close(sender, self._clock()))

    async def _forward(
        self, sender: Sender, source: trio.abc.Stream, sink: trio.abc.Stream, sniffer: Sniffer, scope: trio.CancelScope
    ) -> None:
        """Pass on what one side says until it has said everything, or until one of the two is gone."""
        while True:
            try:
                data = await source.receive_some(CHUNK)
            except trio.BrokenResourceError:
                scope.cancel()  # it is gone in both directions
                data = b""
            if not data:
                break
            self.passed.size[sender] += len(data)
            # Told before it is passed on, because an answer to it must not be told first.
            self._tell(sniffer.receive(sender, bytes(data), self._clock()))
            try:
                await sink.send_all(data)
            except trio.BrokenResourceError:
                # It takes nothing any more, but what it has said before may still be on its way.
                scope.deadline = min(scope.deadline, trio.current_time() + BROKEN_GRACE)
                return
        self._tell(sniffer.close(sender, self._clock()))
        if not isinstance(sink, trio.abc.HalfCloseableStream):
            scope.cancel()  # TLS cannot end one direction alone
            return
        try:
            await sink.send_eof()
        except trio.BrokenResourceError:
            scope.cancel()

    def _tell(self, records: list[Record]) -> None:
        for record in records:
            self._observe(record)


def _reason(error: OSError) -> str:
    """Return why a connection failed: trio tells it in the cause, for each of the addresses that it has tried."""
    cause = error.__cause__
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    found = cause if isinstance(cause, OSError) else error
    if isinstance(found, socket.gaierror) or not found.errno:
        return found.strerror or str(found)
    return os.strerror(found.errno)  # trio's text repeats the address
