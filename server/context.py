"""Where a handler is: the context that it gets as its first argument, and the functions that find it by themselves.

The current context is a context variable: a task that a handler starts inherits it, and a sibling never sees it.
"""

import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVarTuple

import trio
from trio_socketio.engine.config import Transport
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.rooms import Default
from trio_socketio.server.emitter import Emitter
from trio_socketio.server.handlers import Handler, name_of
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.stage import Stage

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.socket import Socket

Ts = TypeVarTuple("Ts")

current: ContextVar["Context"] = ContextVar("trio_socketio_context")
"""The context of the handler that runs."""

_CONNECTED: Final = Stage.CONNECTED


class Context(Emitter):
    """One event of one connection, as its handler sees it.

    Its methods address clients as `Emitter` describes; by default they mean the current connection in the current namespace.
    """

    __slots__ = ("_socket", "acked_by", "event")

    _default = Default.SELF

    def __init__(self, socket: "Socket", event: str, acked_by: str | None = None) -> None:
        self._socket = socket
        self.event = event
        """The name of the event that is handled."""
        self.acked_by = acked_by
        """In the callback of an emit: the sid of the client that acknowledged."""

    def __repr__(self) -> str:
        return f"<Context of {self.event!r} in {self.namespace!r}, sid {self.sid}>"

    @property
    def server(self) -> "Server":
        """The server."""
        return self._socket.server

    @property
    def sid(self) -> str:
        """The sid of the connection in this namespace."""
        return self._socket.sid

    @property
    def namespace(self) -> str:
        """The namespace of the event; of a dynamic one the concrete name."""
        return self._socket.namespace

    @property
    def match(self) -> re.Match[str] | None:
        """In a dynamic namespace, how its pattern matched the name."""
        return self._socket.match

    @property
    def auth(self) -> JSON:
        """What the client sent with its CONNECT: a dict, or None."""
        return self._socket.auth

    @property
    def handshake(self) -> Handshake:
        """The HTTP request that opened the connection."""
        return self._socket.handshake

    @property
    def data(self) -> dict[Any, Any]:
        """A dict for the application, one for each connection and namespace; it lives until the disconnect handler has ended."""
        return self._socket.data

    @property
    def transport(self) -> Transport:
        """The transport in use: ``polling`` or ``websocket``."""
        return self._socket.live.transport

    @property
    def disconnected(self) -> trio.Event:
        """Set when the connection has left this namespace: a handler that waits for long can end by itself."""
        return self._socket.disconnected

    @property
    def error_handler(self) -> Handler | None:
        """The handler of what other handlers raise: the namespace's, otherwise the server's."""
        return self._socket.routes.handlers.error or self.server.handlers.error

    def start_soon(
        self, async_fn: "Callable[[*Ts], Coroutine[Any, Any, object]]", *args: *Ts, name: str | None = None
    ) -> None:
        """Run an async function in a task that belongs to this connection in this namespace.

        The task inherits the context of the caller: `emit` and its relatives mean this connection. When the connection leaves
        the namespace, or is rejected from it, its tasks are cancelled at once; the disconnect handler runs after they
        and the handlers have ended. What a task raises goes to the error handler, as from a handler. Its
        result is dropped. For a connection that has left already nothing is started.

        Args:
            async_fn: The function.
            *args: Its arguments.
            name: What the task is called in error messages and for debuggers; by default as the function is.

        Raises:
            TypeError: That is no async function.
            RuntimeError: This is not trio.
        """
        if not trio.lowlevel.in_trio_run():
            raise RuntimeError(
                "start_soon() works in trio only; from another thread use trio.from_thread.run_sync(ctx.start_soon, ...)"
            )
        if not callable(async_fn):
            raise TypeError(f"start_soon takes an async function, not {async_fn!r}")
        work = async_fn(*args)
        if not isinstance(work, Coroutine):
            raise TypeError(f"start_soon takes an async function: {name_of(async_fn)} returned {work!r}")
        if not self._socket.start_soon(self, work, name or name_of(async_fn)):
            work.close()

    def acknowledged_by(self, sid: str) -> "Context":
        """Return this context as the callback of one of its emits sees it."""
        return Context(self._socket, self.event, sid)

    def socket_in(self, namespace: str) -> "Socket | None":
        """Return the socket that the current connection has in a namespace."""
        return self._socket if namespace == self._socket.namespace else self._socket.client.sockets.get(namespace)

    def sid_in(self, namespace: str) -> str | None:
        """Return the sid that the current connection has in a namespace, or None if it has not joined it, or not yet."""
        socket = self.socket_in(namespace)
        return None if socket is None or (socket.connecting and socket is not self._socket) else socket.sid

    def connecting_in(self, namespace: str) -> "Socket | None":
        """Return the socket of the current connection if it is not accepted yet and is the one whose handler runs."""
        socket = self._socket
        return socket if socket.connecting and namespace == socket.namespace else None

    def _self(self) -> "Socket | None":
        socket = self._socket
        return socket if socket.stage is _CONNECTED else None

    def _here(self) -> "Context":
        return self

    def _home(self) -> None:
        return None


@contextmanager
def activate(context: Context) -> Iterator[None]:
    """Make a context the current one."""
    token = current.set(context)
    try:
        yield
    finally:
        current.reset(token)


def current_context() -> Context:
    """Return the context of the handler that runs, also in a task that it started.

    Raises:
        RuntimeError: No handler runs.
    """
    context = current.get(None)
    if context is None:
        raise RuntimeError("there is no current context: this works in a handler, or in a task that a handler started")
    return context


def find_context() -> Context | None:
    """Return the context of the handler that runs, or None outside."""
    return current.get(None)


class Current(Emitter):
    """The functions of the module: the current context, or outside of any the server that runs."""

    __slots__ = ()

    _default = Default.SELF

    @property
    def server(self) -> "Server":
        """The server of the current context, or the only one that serves in this run of trio."""
        context = find_context()
        return running_server() if context is None else context.server

    def _self(self) -> "Socket | None":
        context = find_context()
        return None if context is None else context._self()

    def _here(self) -> Context | None:
        return find_context()

    def _home(self) -> None:
        return None


_serving: trio.lowlevel.RunVar["list[Server]"] = trio.lowlevel.RunVar("trio_socketio_serving")


@contextmanager
def serving(server: "Server") -> Iterator[None]:
    """Count a server among those that serve in this run of trio."""
    try:
        servers = _serving.get()
    except LookupError:
        servers = []
        _serving.set(servers)
    servers.append(server)
    try:
        yield
    finally:
        servers.remove(server)


def running_server() -> "Server":
    """Return the only server that serves in this run of trio.

    Raises:
        RuntimeError: There is none, or more than one, or this is not trio.
    """
    try:
        servers = set(_serving.get())
    except LookupError:
        servers = set()
    except RuntimeError as error:
        raise RuntimeError(
            "this must be called from trio; from another thread use trio.from_thread.run(server.emit, ...)"
        ) from error
    if len(servers) != 1:
        found = "no server serves" if not servers else f"{len(servers)} servers serve"
        raise RuntimeError(
            f"outside a handler it is not clear which server is meant: {found} in this run of trio; call the method of a Server"
        )
    return servers.pop()


current_emitter = Current()

emit = current_emitter.emit
emit_nowait = current_emitter.emit_nowait
send = current_emitter.send
call = current_emitter.call
call_all = current_emitter.call_all
join_room = current_emitter.join_room
leave_room = current_emitter.leave_room
close_room = current_emitter.close_room
rooms = current_emitter.rooms
disconnect = current_emitter.disconnect
