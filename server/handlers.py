"""What an application registers: handlers, read once, at registration.

Which handler gets an event, in this order: the handler of that name, then the catch-all (``"*"``). ``connect`` and ``disconnect``
are lifecycle handlers and never reach the catch-all.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from trio_socketio.protocol.socketio import RESERVED_EVENTS

CONNECT = "connect"
DISCONNECT = "disconnect"
CATCH_ALL = "*"

MANY: Final = sys.maxsize
"""More positional arguments than there can be."""

Function = Callable[..., Any]
"""A handler as the application wrote it: a plain or an async function."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kind of handler is called."""

    name: str
    forms: str
    """The signatures that are right, for the error message."""
    least: int
    """The number of positional arguments that it gets at least, and must take."""
    most: int | None
    """The number that it gets at most, and may not demand more than; None means any number."""


class Kind(Enum):
    """The kinds of handlers, each with how it is called."""

    EVENT = Shape("event", "(ctx, ...) with one parameter for each argument of the event", 1, None)
    CONNECT = Shape("connect", "(ctx) or (ctx, auth)", 1, 2)
    DISCONNECT = Shape("disconnect", "(ctx) or (ctx, reason)", 1, 2)
    ERROR = Shape("error", "(ctx, error)", 2, 2)
    CALLBACK = Shape("callback", "one for each argument of the acknowledgement", 0, None)
    MIDDLEWARE = Shape("middleware", "(ctx) or (ctx, auth)", 1, 2)


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function and how it may be called."""

    function: Function
    least: int
    """The fewest positional arguments it takes, the context included."""
    most: int
    """The most positional arguments it takes; `MANY` for ``*args``."""
    is_async: bool
    concurrent: bool = False
    """Whether the next event of the same client need not wait for it."""

    @classmethod
    def of(cls, function: Function, kind: Kind, *, concurrent: bool = False) -> "Handler":
        """Read a function's parameters.

        Raises:
            TypeError: It cannot be called the way its kind is called, or is a generator.
        """
        if not callable(function):
            raise TypeError(f"a handler is a function, not {type(function).__name__}: {function!r}")
        call = getattr(function, "__call__", None)  # noqa: B004  # not whether it is callable, but how
        for code in (function, call):
            if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
                raise TypeError(
                    f"{name_of(function)} cannot be a handler: its yield makes it a generator, which would never run"
                )
        shape = kind.value
        signature = _signature(function)
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        least = most = 0
        for parameter in signature.parameters.values():
            required = parameter.default is inspect.Parameter.empty
            if parameter.kind in positional:
                most += 1
                least += required
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                most = MANY
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY and required:
                raise TypeError(
                    f"{name_of(function)} needs the keyword {parameter.name!r}, but a handler gets positional arguments only"
                )
        if most < shape.least or (shape.most is not None and least > shape.most):
            raise TypeError(
                f"{name_of(function)}{signature} cannot be the {shape.name} handler: its parameters are {shape.forms}"
            )
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
        return cls(function, least, most, is_async, concurrent)

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    async def call(self, *arguments: object) -> Any:
        """Call it with as many of the arguments as it takes."""
        if len(arguments) > self.most:
            arguments = arguments[: self.most]
        result = self.function(*arguments)
        if self.is_async or inspect.iscoroutine(result):  # a plain function may wrap an async one
            awaitable: Awaitable[Any] = result
            return await awaitable
        return result


class HandlerTable:
    """The handlers of one namespace."""

    __slots__ = ("_events", "catch_all", "connect", "disconnect", "error", "middleware")

    def __init__(self) -> None:
        self._events: dict[str, Handler] = {}
        self.catch_all: Handler | None = None
        """The handler of the events that have none of their own."""
        self.connect: Handler | None = None
        self.disconnect: Handler | None = None
        self.error: Handler | None = None
        self.middleware: list[Handler] = []

    @property
    def empty(self) -> bool:
        """Whether nothing has been registered."""
        return not (self._events or self.connect or self.disconnect or self.error or self.middleware)

    def register(self, event: str, function: Function, *, concurrent: bool = False) -> None:
        """Make a function the handler of an event; the latest registration of a name counts.

        Raises:
            TypeError: The event is not a str, or the function's parameters do not fit.
            ValueError: The event has no name, or a name that the protocol keeps for itself.
        """
        check_event(event)
        if event == CONNECT:
            self.connect = Handler.of(function, Kind.CONNECT)
        elif event == DISCONNECT:
            self.disconnect = Handler.of(function, Kind.DISCONNECT)
        else:
            handler = self._events[event] = Handler.of(function, Kind.EVENT, concurrent=concurrent)
            if event == CATCH_ALL:
                self.catch_all = handler

    def find(self, event: str) -> Handler | None:
        """Return the handler of an event: the one of that name, then the catch-all, then None."""
        return self._events.get(event) or self.catch_all


def check_event(event: object) -> None:
    """See whether there can be a handler of that name.

    Raises:
        TypeError: It is not a str.
        ValueError: It is empty, or a name that the protocol keeps for itself.
    """
    if callable(event):
        raise TypeError(
            f"on needs the name of the event, as in @server.on('chat'), before the handler {name_of(event)}; "
            f"@server.event takes the name of the function"
        )
    if not isinstance(event, str):
        raise TypeError(f"an event's name is a str, not {type(event).__name__}: {event!r}")
    if not event:
        raise ValueError("an event has a name: '' is none")
    if event in RESERVED_EVENTS and event not in (CONNECT, DISCONNECT):
        raise ValueError(f"{event!r} is a name that the protocol keeps for itself: no client can send it")


def _signature(function: Function) -> inspect.Signature:
    """Return how a function is called. Some that are written in C do not say, ``set().add`` for one: then with any arguments."""
    try:
        return inspect.signature(function)
    except ValueError:
        return inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)])


def name_of(function: Function) -> str:
    """Return the name of a function, for messages."""
    return getattr(function, "__qualname__", None) or repr(function)
