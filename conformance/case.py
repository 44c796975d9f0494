"""What a case is, and the register of all of them.

A case is an async function with a `case` decorator. It takes a `Trial`, talks to the server, and returns if everything was as
expected; otherwise it raises, by way of the trial's checks. Each runs on connections of its own, beside others.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

from trio_socketio.conformance.sections import Section

if TYPE_CHECKING:
    from trio_socketio.conformance.target import Target
    from trio_socketio.conformance.trial import Trial


class Level(StrEnum):
    """How much a case asks of a server; the words of RFC 2119, and one more."""

    MUST = "MUST"
    """The specification demands it, or a client of the official kind breaks without it."""
    SHOULD = "SHOULD"
    """The specification recommends it, or all well-known servers do it and clients have come to rely on it."""
    MAY = "MAY"
    """Good custom that a server can do without."""
    ROBUST = "ROBUST"
    """Whatever the peer does, the server goes on serving the others."""


class Area(Enum):
    """The part of the protocol that a case belongs to: the first words of its id. The value is the heading in reports."""

    HANDSHAKE = "handshake"
    POLLING = "polling"
    WEBSOCKET = "websocket"
    HEARTBEAT = "heartbeat"
    UPGRADE = "upgrade"
    CLOSE = "close"
    CONNECT = "connect"
    NAMESPACE = "namespaces"
    EVENT = "events"
    ACK = "acknowledgements"
    BINARY = "binary"
    DISCONNECT = "disconnect"
    ERROR = "errors"
    DELIVERY = "delivery"
    ROBUSTNESS = "robustness"


_AREAS: Final = {
    "eio.handshake": Area.HANDSHAKE,
    "eio.polling": Area.POLLING,
    "eio.websocket": Area.WEBSOCKET,
    "eio.heartbeat": Area.HEARTBEAT,
    "eio.upgrade": Area.UPGRADE,
    "eio.close": Area.CLOSE,
    "sio.connect": Area.CONNECT,
    "sio.namespace": Area.NAMESPACE,
    "sio.event": Area.EVENT,
    "sio.ack": Area.ACK,
    "sio.binary": Area.BINARY,
    "sio.disconnect": Area.DISCONNECT,
    "sio.error": Area.ERROR,
    "sio.delivery": Area.DELIVERY,
    "robust.http": Area.ROBUSTNESS,
    "robust.websocket": Area.ROBUSTNESS,
    "robust.engineio": Area.ROBUSTNESS,
    "robust.socketio": Area.ROBUSTNESS,
}
"""How ids begin. What begins with ``robust.socketio`` needs a Socket.IO server, the other ``robust`` cases do not."""


class Need(Enum):
    """What a server must offer for a case to be run; the value is the reason why it is skipped otherwise."""

    POLLING = "the server does not offer the polling transport"
    WEBSOCKET = "the server does not offer the websocket transport"
    UPGRADE = "the server does not offer an upgrade to websocket"
    ECHO = "the server does not send messages back (event `message`, or a plain echo with --engine-only)"
    SOCKETIO = "the server speaks no Socket.IO, or --engine-only was given"
    CUSTOM = "the server has no namespace /custom"
    FIXTURE = "the server does not have the events of the fixture (docs/conformance.md)"


Waits = Callable[["Target"], float]
"""Seconds that a case must wait because the protocol says so, by what the server announces."""

Body = Callable[["Trial"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One case."""

    id: str
    """Names it for ever, in lower case with dots: area first, then what it is about."""
    title: str
    """What the server does, as a sentence."""
    level: Level
    section: Section
    """What to read."""
    expected: str
    """What must be seen."""
    why: str
    """What goes wrong for real clients and users otherwise."""
    needs: frozenset[Need]
    waits: Waits | None = field(repr=False)
    body: Body = field(repr=False)

    @property
    def area(self) -> Area:
        """The part of the protocol that it belongs to."""
        return _AREAS[".".join(self.id.split(".")[:2])]

    @property
    def engine_only(self) -> bool:
        """Whether a server that speaks Engine.IO alone can show it."""
        return not self.needs & {Need.SOCKETIO, Need.CUSTOM, Need.FIXTURE}

    def wait(self, target: "Target") -> float:
        """Return the seconds that the protocol makes it wait."""
        return 0.0 if self.waits is None else self.waits(target)


_ID: Final = re.compile(r"[a-z]+(\.[a-z0-9-]+){2,}")


class Register:
    """The cases by id, in the order in which they were written down."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases.values())

    def __len__(self) -> int:
        return len(self._cases)

    def get(self, case_id: str) -> Case | None:
        """Return the case with this id, or None."""
        return self._cases.get(case_id)

    def case(
        self,
        case_id: str,
        level: Level,
        section: Section,
        *needs: Need,
        title: str,
        expected: str,
        why: str,
        waits: Waits | None = None,
    ) -> Callable[[Body], Body]:
        """Register the decorated function as a case.

        Args:
            case_id: Its id, which begins as one of the areas does.
            level: How much it asks.
            section: What to read.
            needs: What the server must offer; what these need themselves is added.
            title: What the server does, as a sentence.
            expected: What must be seen.
            why: What goes wrong otherwise.
            waits: Seconds that the protocol makes it wait.

        Raises:
            ValueError: The id is taken, has the wrong form, or belongs to no area.
        """
        if not _ID.fullmatch(case_id) or ".".join(case_id.split(".")[:2]) not in _AREAS:
            raise ValueError(f"{case_id!r} is no id of a case: it must begin as one of {', '.join(_AREAS)}")
        if case_id in self._cases:
            raise ValueError(f"there are two cases with the id {case_id!r}")
        every = frozenset(needs) | {implied for need in needs for implied in _IMPLIED.get(need, ())}
        if case_id.startswith(("sio.", "robust.socketio")):
            every |= {Need.SOCKETIO}

        def register(body: Body) -> Body:
            self._cases[case_id] = Case(case_id, title, level, section, expected, why, every, waits, body)
            return body

        return register


_IMPLIED: Final = {
    Need.UPGRADE: (Need.POLLING, Need.WEBSOCKET),
    Need.FIXTURE: (Need.SOCKETIO, Need.ECHO),
    Need.CUSTOM: (Need.SOCKETIO,),
}

REGISTER: Final = Register()
"""All cases; `trio_socketio.conformance.cases` fills it."""

case: Final = REGISTER.case
