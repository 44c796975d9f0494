"""What an application defines for a namespace: handlers and middleware, and the API to reach its clients."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, overload

from trio_socketio.rooms import Default
from trio_socketio.server.context import Context, find_context
from trio_socketio.server.emitter import Emitter
from trio_socketio.server.handlers import Function, Handler, HandlerTable, Kind

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
            TypeError: The function's parameters do not fit.
            ValueError: The name is empty or reserved.
        """

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

    def on_error(self, handler: F) -> F:
        """Register the function that gets what other handlers raise, as ``(ctx, error)``; a decorator.

        What it returns is the acknowledgement of the event whose handler failed.
        """
        self.handlers.error = Handler.of(handler, Kind.ERROR)
        return handler


class Namespace(Routes, Emitter):
    """One namespace, or all those that match a pattern.

    ``server.namespace("/chat")`` makes one. A subclass is the class-based style: each of its methods ``on_<event>``
    is the handler of that
    event, ``on_error`` the error handler, and ``server.register(Chat("/chat"))`` makes it known. The methods that reach
    clients mean, in a subclass, what the functions of the module mean: by default the current connection.


    Args:
        name: The name, which begins with "/". A ``*`` in it stands for one or more characters other than "/", and a
            compiled regular expression must match the whole name: both serve every namespace that matches.

    Raises:
        ValueError: The name does not begin with "/".
    """

    __slots__ = ("__dict__", "_handlers", "_name", "_server", "_stands_for")

    _default = Default.EVERYONE

    def __init__(self, name: str | re.Pattern[str] = "/") -> None:
        if isinstance(name, str) and not name.startswith("/"):
            raise ValueError(f"a namespace begins with '/', not {name!r}")
        self._name = compile_pattern(name) if isinstance(name, str) and "*" in name else name
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
            TypeError: A method's parameters do not fit.
        """
        if self._server is not None:
            raise RuntimeError(f"{self!r} is registered already")
        self._server = server
        for attribute in dir(type(self)):
            found = _METHOD.fullmatch(attribute)
            if found is None or getattr(Namespace, attribute, None) is getattr(type(self), attribute):
                continue
            if attribute == "on_error":
                self._handlers.error = Handler.of(self.on_error, Kind.ERROR)
            else:
                self._handlers.register(found[1], getattr(self, attribute))

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
        if here is not None and (self._default is Default.SELF or self._matches(here.namespace)):
            return here.namespace
        if isinstance(self._name, str):
            return self._name
        raise ValueError(f"{self!r} stands for many namespaces: say which one is meant with namespace=...")

    def _matches(self, namespace: str) -> bool:
        return namespace == self._name if isinstance(self._name, str) else self._name.fullmatch(namespace) is not None


def compile_pattern(name: str) -> re.Pattern[str]:
    """Return the regular expression of a name with ``*`` in it; each star is a group."""
    return re.compile("([^/]+)".join(map(re.escape, name.split("*"))))
