"""The server: what an application makes, registers its handlers with, and runs."""

import logging
import math
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import trio
from trio_socketio.engine.config import (
    AllowedOrigins,
    CookieAttributes,
    EngineConfig,
    Transport,
    check_count,
    check_flag,
    check_function,
    check_seconds,
)
from trio_socketio.engine.request import Request
from trio_socketio.protocol.jsoncodec import JSONCodec, JSONLibrary, json_codec
from trio_socketio.protocol.trace import Trace
from trio_socketio.rooms import ROOT, Default, resolve_namespace
from trio_socketio.server.adapter import LocalAdapter
from trio_socketio.server.client import Client
from trio_socketio.server.context import Context, find_context
from trio_socketio.server.emitter import Emitter
from trio_socketio.server.handlers import Function, Handler, HandlerTable, Kind
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.http import HTTPHandler, not_found
from trio_socketio.server.limits import Addresses, Limits, RateLimit
from trio_socketio.server.namespace import Namespace
from trio_socketio.server.net import listener
from trio_socketio.server.net.asgi import ASGIApplication
from trio_socketio.server.net.asgi_scope import ASGIApp
from trio_socketio.server.net.live import Consumer
from trio_socketio.server.pace import Pace
from trio_socketio.server.running import run_until_signal
from trio_socketio.server.service import open_service
from trio_socketio.server.stats import Stats, Tally, snapshot

if TYPE_CHECKING:
    from trio_socketio.server.net.live import Live
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.server")

DEFAULT_LIMITS: Final = Limits()

F = TypeVar("F", bound=Function)
N = TypeVar("N", bound=Namespace)

Listeners = list[trio.SocketListener] | list[trio.SSLListener[trio.SocketStream]]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a server that its Engine.IO sessions do not know."""

    connect_timeout: float
    max_attachments: int
    max_pending_acks: int
    max_connections: int | None
    allow_request: Callable[[Request], Awaitable[None]] | None
    http: HTTPHandler
    http_compression: bool
    compression_threshold: int
    disconnect_grace: float | None
    shutdown_grace: float
    concurrent: bool
    trace: Trace | None
    json: JSONCodec
    limits: Limits
    rate_limit: RateLimit | None

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "shutdown_grace"):
            check_seconds(name, getattr(self, name), most=math.inf)
        if self.disconnect_grace is not None:
            check_seconds("disconnect_grace", self.disconnect_grace, least=0, most=math.inf)
        for name in ("max_attachments", "max_pending_acks", "compression_threshold"):
            check_count(name, getattr(self, name), least=0)
        if self.max_connections is not None:
            check_count("max_connections", self.max_connections, least=0)
        for name in ("http_compression", "concurrent"):
            check_flag(name, getattr(self, name))
        if self.allow_request is not None:
            check_function("allow_request", self.allow_request, awaited=True)
        check_function("http", self.http, awaited=True)
        if self.trace is not None:
            check_function("trace", self.trace, awaited=False)
        if not isinstance(self.limits, Limits):
            raise TypeError(f"limits are Limits(...), not {self.limits!r}")
        if not isinstance(self.rate_limit, RateLimit | None):
            raise TypeError(f"rate_limit is a RateLimit(...) or None, not {self.rate_limit!r}")


class Server(Emitter):
    """A Socket.IO server.

    Register handlers with `on` and its relatives, then run `serve` in trio. As an emitter it means everyone in the
    root namespace unless it is told otherwise.

    Args:
        ping_interval: Seconds between two pings.
        ping_timeout: Seconds that a client has to answer one.
        connect_timeout: Seconds in which a client must join a namespace.
        upgrade_timeout: Seconds for the upgrade from polling to WebSocket.
        max_payload: Bytes of one message, and of one polling body.
        max_attachments: Binary attachments of one packet; together they have at most ``max_payload`` bytes.
        max_buffered_bytes: Bytes that may wait for a client before it is disconnected as too slow.
        max_buffered_packets: The same, in packets.
        max_packets_per_poll: Packets in one polling answer; Python's client refuses more than 16.
        max_pending_acks: Acknowledgements that one client may owe in a namespace.
        max_connections: Sessions at the same time; None for no limit.
        transports: The transports that are served.
        allow_upgrades: Whether a polling client may move to WebSocket.
        path: Where on the server Socket.IO lives.
        cors_allowed_origins: The origins whose pages may connect: None for the server's own only, ``"*"``, one,
            several, or a function of the origin.
        cors_credentials: Whether such pages may send cookies.
        trusted_proxies: Addresses or networks of proxies whose ``X-Forwarded-*`` headers count; ``"local"`` is one that connects
            over a unix socket.
        allow_request: Async; called with the request that would open a session; raises `ConnectionRefused` to refuse it.
        cookie: The name of a cookie that holds the session id, or its attributes; None for no cookie.
        http: Async; answers requests outside ``path``; by default with 404.
        http_compression: Whether polling answers are compressed for clients that accept it.
        compression_threshold: Bytes from which on they are.
        disconnect_grace: Seconds that a handler may go on after its client has left; None for ever.
        shutdown_grace: Seconds that everything has to end when `serve` is cancelled.
        concurrent: Do not hold back any event until the handler of the one before has ended; `on` says it for one handler.
        trace: Called with every frame of every session, a `TracedFrame`, in the order in which they cross the wire; it must
            not block. Frames hold whatever clients send, tokens included: mind where you keep them.
        json: The library for the payloads of events and acknowledgements: ``"json"``, ``"orjson"`` or ``"msgspec"`` (optional
            extras), or an object with ``dumps`` and ``loads``. It changes the speed and nothing else.
        limits: Bounds of HTTP connections, of rooms, namespaces, names and more, each with a default.
        rate_limit: How many events a socket may send per second; None for no limit.

    Raises:
        ValueError: An option's value makes no sense.
        TypeError: An option's value has the wrong type.
        ImportError: The JSON library is not installed.
    """

    _default = Default.EVERYONE

    def __init__(
        self,
        *,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        connect_timeout: float = 45.0,
        upgrade_timeout: float = 10.0,
        max_payload: int = 1_000_000,
        max_attachments: int = 10,
        max_buffered_bytes: int = 4 * 1024 * 1024,
        max_buffered_packets: int = 4096,
        max_packets_per_poll: int = 16,
        max_pending_acks: int = 1024,
        max_connections: int | None = None,
        transports: Iterable[str] = (Transport.POLLING, Transport.WEBSOCKET),
        allow_upgrades: bool = True,
        path: str = "/socket.io/",
        cors_allowed_origins: AllowedOrigins = None,
        cors_credentials: bool = True,
        trusted_proxies: Iterable[str] = (),
        allow_request: Callable[[Request], Awaitable[None]] | None = None,
        cookie: str | CookieAttributes | None = None,
        http: HTTPHandler = not_found,
        http_compression: bool = True,
        compression_threshold: int = 1024,
        disconnect_grace: float | None = 10.0,
        shutdown_grace: float = 5.0,
        concurrent: bool = False,
        trace: Trace | None = None,
        json: str | JSONLibrary = "json",
        limits: Limits = DEFAULT_LIMITS,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self.config = EngineConfig(
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            upgrade_timeout=upgrade_timeout,
            max_payload=max_payload,
            max_buffered_bytes=max_buffered_bytes,
            max_buffered_packets=max_buffered_packets,
            max_packets_per_poll=max_packets_per_poll,
            transports=transports,
            allow_upgrades=allow_upgrades,
            path=path,
            cors_allowed_origins=cors_allowed_origins,
            cors_credentials=cors_credentials,
            trusted_proxies=trusted_proxies,
            cookie=cookie,
        )
        self.options = Options(
            connect_timeout=connect_timeout,
            max_attachments=max_attachments,
            max_pending_acks=max_pending_acks,
            max_connections=max_connections,
            allow_request=allow_request,
            http=http,
            http_compression=http_compression,
            compression_threshold=compression_threshold,
            disconnect_grace=disconnect_grace,
            shutdown_grace=shutdown_grace,
            concurrent=concurrent,
            trace=trace,
            json=json_codec(json),
            limits=limits,
            rate_limit=rate_limit,
        )
        self.sessions: dict[str, Live] = {}
        """The Engine.IO sessions, by their sids."""
        self.addresses = None if limits.sessions_per_address is None else Addresses()
        """How many sessions each address has, if anybody wants to know."""
        self.services: list[Service] = []
        """The calls of `serve` and its relatives that are under way."""
        self.pace = Pace()
        self.tally = Tally()
        """What has happened so far; `stats` shows it."""
        self._adapters: dict[str, LocalAdapter] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._patterns: dict[re.Pattern[str], Namespace] = {}
        self._root = self.namespace("/")
        self._date: tuple[int, tuple[tuple[str, str], ...]] = (0, ())

    # What the application registers.

    @property
    def handlers(self) -> HandlerTable:
        """The handlers of the root namespace; its error handler serves every namespace that has none."""
        return self._root.handlers

    @overload
    def on(self, event: str, handler: F, *, namespace: str | re.Pattern[str] = ..., concurrent: bool = ...) -> F: ...

    @overload
    def on(
        self, event: str, handler: None = ..., *, namespace: str | re.Pattern[str] = ..., concurrent: bool = ...
    ) -> Callable[[F], F]: ...

    def on(
        self, event: str, handler: F | None = None, *, namespace: str | re.Pattern[str] = "/", concurrent: bool = False
    ) -> F | Callable[[F], F]:
        """Register the handler of an event in a namespace; a decorator, unless the handler is given. See `Namespace.on`."""
        routes = self.namespace(namespace)
        return (
            routes.on(event, concurrent=concurrent)
            if handler is None
            else routes.on(event, handler, concurrent=concurrent)
        )

    def event(self, handler: F) -> F:
        """Register a function as the handler of the event that has its name, in the root namespace; a decorator."""
        return self._root.event(handler)

    def use(self, middleware: F) -> F:
        """Register a function that decides on each client of the root namespace before its connect handler; a decorator."""
        return self._root.use(middleware)

    def on_error(self, handler: F) -> F:
        """Register the function that gets what handlers raise, in every namespace that has none of its own; a decorator."""
        # Not by the root's on_error: if a class serves the root, that is its own handler.
        self.handlers.error = Handler.of(handler, Kind.ERROR)
        return handler

    def namespace(self, name: str | re.Pattern[str]) -> Namespace:
        """Return a namespace to register handlers with and to reach its clients; it is made at the first call.

        Args:
            name: Its name; with a ``*``, or as a regular expression, it serves every namespace that matches and has no handlers
                of its own. A namespace without handlers does not take its name from a pattern.

        Raises:
            TypeError: The name is neither a str nor a compiled regular expression for str.
            ValueError: The name does not begin with "/", or has something in it that no name can have on the wire.
        """
        known = self._namespaces.get(name) if isinstance(name, str) else None
        if known is not None:
            return known
        made = Namespace(name)
        return self._known(made) or self.register(made)

    def register(self, namespace: N) -> N:
        """Make an instance of a `Namespace` subclass known.

        What `namespace` has returned for its name before stands for it from now on: handlers may be registered through both.

        Raises:
            ValueError: Another namespace has its name, and handlers; or a method has the name of an event that is reserved.
            RuntimeError: It is registered already.
            TypeError: A method's parameters do not fit, or it is a generator.
        """
        name = namespace.name
        known = self._known(namespace)
        if known is not None and known is not namespace and not known.handlers.empty:
            raise ValueError(f"the namespace {name!r} has handlers already")
        namespace.bind(self)
        if known is not None:
            known.stand_for(namespace)
        if not isinstance(name, str):
            self._patterns[name] = namespace
            return namespace
        self._namespaces[name] = namespace
        if name == "/":
            self._root = namespace
        return namespace

    def _known(self, namespace: Namespace) -> Namespace | None:
        name = namespace.name
        return self._namespaces.get(name) if isinstance(name, str) else self._patterns.get(name)

    def find_namespace(self, name: str) -> tuple[Namespace, re.Match[str] | None] | None:
        """Return what serves a namespace: the one of that name, then the first pattern that matches, then None.

        Where a pattern matches, one of that name without any handlers does not count: whoever asked for it to emit must not
        have let everybody past the middleware of the pattern. A pattern never serves the root.
        """
        exact = self._namespaces.get(name)
        if exact is not None and (name == ROOT or not exact.handlers.empty):
            return exact, None
        for pattern, namespace in self._patterns.items():
            match = pattern.fullmatch(name)
            if match is not None:
                return namespace, match
        return None if exact is None else (exact, None)

    # Who is connected.

    def adapter(self, namespace: str) -> LocalAdapter:
        """Return the members of a namespace."""
        found = self._adapters.get(namespace)
        if found is None:
            found = self._adapters[namespace] = LocalAdapter()
        return found

    def find_adapter(self, namespace: str) -> LocalAdapter | None:
        """Return the members of a namespace, or None if it has none."""
        return self._adapters.get(namespace)

    def drop_adapter(self, namespace: str) -> None:
        """Forget the members of a namespace if there are none any more."""
        if not self._adapters[namespace].sockets:
            del self._adapters[namespace]

    def participants(self, room: str, namespace: str = "/") -> list[str]:
        """Return the sids of the members of a room, in the order of joining."""
        adapter = self.find_adapter(resolve_namespace(namespace, "/"))
        return [] if adapter is None else adapter.registry.members(room)

    def sockets(self, namespace: str = "/") -> list[str]:
        """Return the sids of everyone in a namespace, in the order of connecting."""
        adapter = self.find_adapter(resolve_namespace(namespace, "/"))
        return [] if adapter is None else list(adapter.sockets)

    def adapters(self) -> Iterable[tuple[str, LocalAdapter]]:
        """Return the namespaces that have members, with them."""
        return self._adapters.items()

    def stats(self) -> Stats:
        """Return what the server holds and has done, as plain data; cheap enough to be asked for each second."""
        return snapshot(self)

    # Running.

    def run(
        self, host: str | None = "127.0.0.1", port: int = 3000, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Be a program: run trio and serve, print the address, and end gracefully at SIGINT (Ctrl-C) or SIGTERM.

        A second signal ends the process at once. An application that does more in trio runs `serve` in a nursery of its own.

        Args:
            host: The address to bind; None for all.
            port: The port; 0 for any that is free.
            ssl_context: Serve TLS with it.

        Raises:
            OSError: The address cannot be bound.
            RuntimeError: Trio runs already: use `serve`.
        """

        def tell(url: str) -> None:
            print(f"serving on {url}", flush=True)  # that is what a program is for

        trio.run(run_until_signal, self, host, port, ssl_context, tell)

    async def serve(
        self,
        host: str | None,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int | None = None,
        task_status: trio.TaskStatus[Listeners] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Bind an address and serve until cancelled.

        Cancelling is the graceful shutdown: every client is told, handlers get ``shutdown_grace`` seconds, and
        nothing is left behind.

        Args:
            host: The address to bind; None for all.
            port: The port; 0 for any that is free.
            ssl_context: Serve TLS with it.
            backlog: Connections that may wait to be accepted; None for what trio thinks best.
            task_status: ``await nursery.start(server.serve, host, 0)`` returns the listeners.

        Raises:
            OSError: The address cannot be bound.
        """
        listeners = await listener.open_listeners(host, port, ssl_context, backlog)
        await self.serve_listeners(listeners, task_status=task_status)

    async def serve_listeners(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        *,
        task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve what trio listeners accept, until cancelled; they are closed at the end."""
        async with listener.closing(listeners), open_service(self) as service:
            task_status.started(listeners)
            await listener.accept(service, listeners, service.nursery)

    async def serve_stream(
        self, stream: trio.abc.Stream, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve one connection that is open already, until it ends or this is cancelled; it is closed at the end.

        If `serve` or `serve_listeners` serves elsewhere at the same time, sessions that this connection opens live there, and
        outlast it. Otherwise they end with it: long-polling needs one connection that is kept.
        """
        task_status.started()
        for service in self.services:
            if not service.alone:
                await listener.attend(service, stream, alone=False)
                return
        async with open_service(self, alone=True) as service:
            await listener.attend(service, stream, alone=True)

    def asgi(self, other_app: ASGIApp | None = None) -> ASGIApplication:
        """Return this server as an ASGI 3 application, for a host that runs on trio, such as Hypercorn with its trio worker.

        It serves from the host's ``lifespan.startup`` to its ``lifespan.shutdown``, which is the graceful shutdown.
        ``docs/asgi.md`` says how to run and mount it.

        Args:
            other_app: The ASGI application that gets every request outside of ``path``, and lifespan events; if None, such
                requests are answered by ``http=``.
        """
        return ASGIApplication(self, other_app)

    def consume(self, live: "Live", handshake: Handshake, now: float) -> Consumer:
        """Return who gets the messages of a new session. A subclass that speaks something else over Engine.IO returns its own."""
        return Client(self, live, handshake, now)

    def wall_clock(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    def date(self) -> tuple[tuple[str, str], ...]:
        """Return the Date header of this second (RFC 9110, section 6.6.1)."""
        now = int(self.wall_clock())
        if self._date[0] != now:
            self._date = (now, (("date", formatdate(now, usegmt=True)),))
        return self._date[1]

    # As an emitter.

    @property
    def server(self) -> "Server":
        """Itself."""
        return self

    def _here(self) -> Context | None:
        context = find_context()
        return context if context is not None and context.server is self else None

    def _home(self) -> str:
        return "/"
