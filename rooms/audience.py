"""Whom an emit means: the keywords of ``emit()`` and where it is called, as one pure function.

The words: *self* is the connection whose event is being handled; *inside* means in a handler or in a task that one started;
*outside* means that there is no current connection. ``docs/emit-rules.md`` has the rules one by one; the ids in the comments
here (A3, B12) are its rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

ROOT = "/"
"""The namespace that every client may have without naming it."""


@dataclass(frozen=True, slots=True)
class Audience:
    """The recipients of a packet, as names: it holds in any process of a cluster, and can be written down."""

    namespace: str
    rooms: tuple[str, ...] | None
    """The rooms (a sid is a room too) whose union is meant; None means everyone in the namespace."""
    skip: frozenset[str] = frozenset()
    """The sids that are left out."""


class Here(Protocol):
    """Where a call is made: the current connection, as the rules need it."""

    @property
    def namespace(self) -> str:
        """The namespace of the current event."""
        ...

    def sid_in(self, namespace: str) -> str | None:
        """Return the sid of the current connection in a namespace, or None if it has not joined it."""
        ...


class Default(Enum):
    """Whom a call means that names nobody."""

    SELF = auto()
    """The current connection: ``emit`` of a context and of the module (B1)."""
    EVERYONE = auto()
    """The whole namespace: ``emit`` of a server and of a namespace (B2)."""


def resolve_namespace(namespace: str | None, current: str) -> str:
    """Return the namespace that a call means: the one it names, otherwise the current one (A1, A2, A3).

    Raises:
        TypeError: It is not a str.
        ValueError: It does not begin with "/" (A4).
    """
    if namespace is None:
        return current
    if not isinstance(namespace, str):
        raise TypeError(f"a namespace is a str, not {type(namespace).__name__}: {namespace!r}")
    if not namespace.startswith("/"):
        raise ValueError(f"a namespace begins with '/', not {namespace!r}")
    return namespace


def own_sid(here: Here, namespace: str) -> str:
    """Return the sid that the current connection has in a namespace.

    Raises:
        RuntimeError: The connection has not joined it, so that nothing is 'self' there (A8).
    """
    sid = here.sid_in(namespace)
    if sid is None:
        raise RuntimeError(
            f"the current connection has not joined {namespace!r}: nothing is 'self' there; name a target with to=... or sid=..."
        )
    return sid


def names(value: str | Iterable[str], keyword: str) -> tuple[str, ...]:
    """Return room names or sids given as one str or as an iterable of them, each once, in order (B9, B10).

    Raises:
        TypeError: It is something else, or has something else in it (B11, C3).
        ValueError: A name is empty (B13).
    """
    if isinstance(value, str):
        found: tuple[str, ...] = (value,)
    elif isinstance(value, (bytes, bytearray, memoryview)) or not isinstance(value, Iterable):
        raise TypeError(f"{keyword} is a str or an iterable of str, not {type(value).__name__}: {value!r}")
    else:
        found = tuple(value)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{keyword} holds str only, not {type(name).__name__}: {name!r}")
        if not name:
            raise ValueError(f"{keyword} holds an empty name, which no room and no sid has")
    return found if len(found) < 2 else tuple(dict.fromkeys(found))


def address(
    *,
    here: Here | None,
    default: Default,
    namespace: str | None = None,
    to: str | Iterable[str] | None = None,
    room: str | Iterable[str] | None = None,
    broadcast: bool = False,
    include_self: bool = True,
    skip_sid: str | Iterable[str] | None = None,
) -> Audience:
    """Return the audience that the keywords of an emit mean.

    Args:
        here: The current connection, or None outside.
        default: Whom a call without ``to`` and ``broadcast`` means.
        namespace: The target namespace; None is the current one (`Default.SELF`, inside) or the root.
        to: One or several rooms or sids.
        room: The same as ``to``.
        broadcast: Everyone in the namespace, unless ``to`` says otherwise.
        include_self: Whether the current connection may be among the recipients.
        skip_sid: One or several sids to leave out.

    Raises:
        TypeError: ``to``, ``room`` or ``skip_sid`` has the wrong type, or ``to`` and ``room`` differ.
        ValueError: An empty name, a namespace without its "/", or ``include_self=False`` when self is the only target.
        RuntimeError: The call needs a current connection and there is none, or it is not in the target namespace.
    """
    target = resolve_namespace(namespace, here.namespace if here and default is Default.SELF else ROOT)
    chosen = _chosen(to, room)
    skip = frozenset() if skip_sid is None else frozenset(names(skip_sid, "skip_sid"))
    rooms: tuple[str, ...] | None
    if chosen is not None:
        rooms = chosen  # B6, B12: what is named decides, also when nobody is
    elif broadcast or default is Default.EVERYONE:
        rooms = None
    elif here is None:
        raise RuntimeError(
            "emit() outside a handler has no current connection: name the recipients with to=..., or pass broadcast=True"
        )
    elif not include_self:
        raise ValueError(
            "include_self=False without to=... or broadcast=True would reach nobody: the only target is self"
        )
    else:
        rooms = (own_sid(here, target),)
    if not include_self:
        if here is None:
            raise RuntimeError(
                "include_self=False outside a handler means nothing: there is no current connection; use skip_sid=..."
            )
        skip |= {own_sid(here, target)}
    return Audience(target, rooms, skip)


def _chosen(to: str | Iterable[str] | None, room: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if to is None:
        return None if room is None else names(room, "room")
    chosen = names(to, "to")
    if room is not None:
        also = names(room, "room")
        if set(also) != set(chosen):
            raise TypeError(
                f"to={chosen!r} and room={also!r} are two words for the same thing and differ; pass one of them"
            )
    return chosen
