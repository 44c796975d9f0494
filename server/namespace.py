"""What an application defines for a namespace: handlers and middleware, and the API to reach its clients."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from trio_socketio.protocol.socketio_packet import has_unsendable
from trio_socketio.rooms import Default
from trio_socketio.server.context import Context, find_context
from trio_socketio.server.emitter import Emitter
from trio_socketio.server.handlers import Function, Handler, HandlerTable, Kind, check_event

if TYPE_CHECKING:
    from trio_socketio.server.app import Server

F = TypeVar("F", bound=Function)

_METHOD = re.compile(r"on_(\w+)")


class Routes:
    """Where handlers are registered: a namespace, or a server for its root namespace."""

    __slots__ = ()

    @property
    def handlers(self) -> HandlerTable:
        """The handlers registered here."""
        raise NotImplementedError

    @overload
    def on(self, event: str, handler: F, *, concurrent: bool = ...) -> F: ...

    @overload
    def on(self, event: str, handler: None = ..., *, concurrent: bool = ...) -> Callable[[F], F]: ...

    def on(self, event: str, handler: F | None = None, *, concurrent: bool = False) -> F | Callable[[F], F]:
        """Register the handler of an event; a decorator, unless the handler is given.

        Args:
            event: The name of the event; ``connect`` and ``disconnect`` are the client's coming and going, ``*`` catches
                every event that has no handler of its own (`Context.event` has its name).
            handler: An async or a plain function that takes the context and the arguments of the event.
            concurrent: Do not hold back the client's next event until this handler has ended.

        Raises:
            TypeError: The name is not a str, the function's parameters do not fit, or it is a generator.
            ValueError: The name is empty or reserved.
        """
        check_event(event)  # now: without its parentheses the decorator would register nothing

        def register(function: F) -> F:
            self.handlers.register(event, function, concurrent=concurrent)
            return function

        return register if handler is None else register(handler)

    def event(self, handler: F) -> F:
        """Register a function as the handler of the event that has its name; a decorator."""
        return self.on(handler.__name__, handler)

    def use(self, middleware: F) -> F:
        """Register a function that runs before the connect handler, and may reject the client as that may; a decorator.

        Middleware runs in the order of registration, with ``(ctx)`` or ``(ctx, auth)``.
        """
        self.handlers.middleware.append(Handler.of(middleware, Kind.MIDDLEWARE))
        return middleware

    if TYPE_CHECKING:
        # In a subclass of `Namespace` the method of this name is the handler itself. To a type checker it overrides this one,
        # and only a signature that leaves everything open allows that.
        def on_error(self, handler: Any, /, *args: Any, **kwargs: Any) -> Any:
            """Register the function that gets what other handlers raise, as ``(ctx, error)``; a decorator."""

    else:

        def on_error(self, handler: F) -> F:
            """Register the function that gets what other handlers raise, as ``(ctx, error)``; a decorator.

            What it returns is the acknowledgement of the event whose handler failed.
            """
            self.handlers.error = Handler.of(handler, Kind.ERROR)
            return handler


class Namespace(Routes, Emitter):
    """One namespace, or all those that match a pattern.

    ``server.namespace("/chat")`` makes one. A subclass is the class-based style: each of its methods ``on_<event>``
    is the handler of that event, ``on_error`` the error handler, and ``server.register(Chat("/chat"))`` makes it known. The
    methods that reach clients always mean this namespace. In a subclass they mean, as the functions of the module do, the
    current connection by default.

    Args:
        name: The name, which begins with "/". A ``*`` in it stands for one or more characters other than "/", and a
            compiled regular expression must match the whole name: both serve every namespace that matches.

    Raises:
        TypeError: The name is neither a str nor a compiled regular expression for str.
        ValueError: The name does not begin with "/", or has something in it that no name can have on the wire.
    """

    __slots__ = ("__dict__", "_handlers", "_name", "_server", "_stands_for")

    _default = Default.EVERYONE

    def __init__(self, name: str | re.Pattern[str] = "/") -> None:
        self._name = _checked(name)
        self._server: Server | None = None
        self._handlers = HandlerTable()
        self._stands_for: Namespace | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._default = Default.SELF

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}>"

    @property
    def name(self) -> str | re.Pattern[str]:
        """The name, or the pattern of the names."""
        return self._name

    @property
    def handlers(self) -> HandlerTable:
        """The handlers of this namespace."""
        return self._handlers if self._stands_for is None else self._stands_for.handlers

    @property
    def server(self) -> "Server":
        """The server that it is registered with.

        Raises:
            RuntimeError: It is not registered.
        """
        if self._server is None:
            raise RuntimeError(f"{self!r} is not registered with a server: call server.register() first")
        return self._server

    def bind(self, server: "Server") -> None:
        """Belong to a server from now on; the methods of a subclass become its handlers.

        Raises:
            RuntimeError: It belongs to a server already.
            TypeError: A method's parameters do not fit, or it is a generator.
            ValueError: A method has the name of an event that is reserved.
        """
        if self._server is not None:
            raise RuntimeError(f"{self!r} is registered already")
        methods = {
            found[1]: getattr(self, found[0])
            for found in map(_METHOD.fullmatch, dir(type(self)))
            if found is not None and getattr(Namespace, found[0], None) is not getattr(type(self), found[0])
        }
        # The first table is thrown away: a mistake shows before anything has changed.
        for table in (HandlerTable(), self._handlers):
            for event, method in methods.items():
                if event == "error":
                    table.error = Handler.of(method, Kind.ERROR)
                else:
                    table.register(event, method)
        self._server = server

    def stand_for(self, namespace: "Namespace") -> None:
        """Have the handlers of another one from now on; nothing has been registered here."""
        self._stands_for = namespace

    def middleware_and_connect(self) -> list[Handler]:
        """Return what decides on a client, in order."""
        connect = self._handlers.connect
        return [*self._handlers.middleware, *([] if connect is None else [connect])]

    def _here(self) -> Context | None:
        context = find_context()
        return context if context is not None and context.server is self._server else None

    def _home(self) -> str | None:
        here = self._here()
        if here is not None and self._matches(here.namespace):
            return here.namespace
        if isinstance(self._name, str):
            return self._name
        raise ValueError(f"{self!r} stands for many namespaces: say which one is meant with namespace=...")

    def _matches(self, namespace: str) -> bool:
        return namespace == self._name if isinstance(self._name, str) else self._name.fullmatch(namespace) is not None


def _checked(name: object) -> str | re.Pattern[str]:
    """Return a name that somebody can ask for, or the pattern of several."""
    if isinstance(name, re.Pattern) and isinstance(name.pattern, str):
        return name
    if not isinstance(name, str):
        raise TypeError(f"a namespace is a str or a compiled regular expression for str, not {name!r}")
    if not name.startswith("/"):
        raise ValueError(f"a namespace begins with '/', not {name!r}")
    if "," in name or "?" in name or has_unsendable(name):  # where the name ends in a packet, and what none can hold
        raise ValueError(
            f"nobody could join the namespace {name!r}: no name holds ',' or '?', U+001E or a lone surrogate"
        )
    return compile_pattern(name) if "*" in name else name


def compile_pattern(name: str) -> re.Pattern[str]:
    """Return the regular expression of a name with ``*`` in it; each star is a group."""
    return re.compile("([^/]+)".join(map(re.escape, name.split("*"))))
