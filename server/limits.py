"""What a client may cost where the session's own options do not say it: `Limits`, `RateLimit`, and who counts for them.

``docs/limits.md`` has all bounds of a server in one table, with what happens at each of them.
"""

from collections import Counter
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from trio_socketio.engine.config import check_count, check_flag, check_seconds
from trio_socketio.protocol.errors import EncodeValueError
from trio_socketio.server.net.head import MAX_HEAD

PREFIX: Final = 8
"""Bytes of an IPv6 address that count: providers hand out a /64 to each customer, who has every address in it."""

NOTHING: Final = 1e-6
"""A part of a token that is due to rounding: who sends at exactly the rate is not delayed."""


def check_attachments(count: int, most: int) -> None:
    """See whether a packet that is to be sent has no more attachments than clients should have to take.

    Raises:
        EncodeValueError: It has.
    """
    if count > most:
        raise EncodeValueError(
            f"the packet has {count} attachments, and max_attachments allows {most}: "
            "current JavaScript clients close the connection when there are more than 10"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of HTTP connections, of sessions and of what they say. Times are seconds.

    None means that there is no bound, where it may be given.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A value cannot work.
    """

    head_bytes: int = MAX_HEAD
    """Bytes of a request's head; Node has the same limit. More is status 431, or 414 if the first line alone is that long."""
    head_timeout: float = 20.0
    """From the first byte of a head to its last; what Apache and Node give is of that order. Then status 408."""
    body_timeout: float = 60.0
    """For a request's body: a megabyte over a bad mobile connection fits. Then status 408."""
    write_timeout: float = 60.0
    """In which the client must have taken an answer, as nginx's ``send_timeout``; then the connection is cut. And in which it
    must take something while `emit` waits for space in its buffer; then it is disconnected."""
    keep_alive: float = 75.0
    """Between two requests of one connection; the default of nginx, and above the ping interval at which polling clients
    come back. Then the connection is closed."""
    requests_per_connection: int | None = None
    """Requests of one connection, whose last answer says ``connection: close``. None, as in Node: nothing that a connection
    holds grows with its requests. A number lets connections move to other processes behind a load balancer (nginx closes
    after 1000)."""
    sessions_per_address: int | None = None
    """Sessions of one IP address, or of one /64 of IPv6, at the same time; one more is refused with status 503. None: whole
    companies and mobile networks share one address, and so does everybody behind a proxy that is not in ``trusted_proxies``."""
    waiting_events: int = 256
    """Events of one client that may wait for their handlers before the server stops reading it, so that TCP pushes back: a
    few times what a burst of a real client has. While a handler awaits an acknowledgement of that client, which only reading
    on can bring, 16 times as many."""
    attachment_timeout: float = 60.0
    """In which the attachments of a binary packet must have come, as for a body. Then the session is closed (``parse error``)."""
    namespaces: int = 64
    """Namespaces that one session may be in. Applications have a handful; who opens one for each document or tab stays below.
    One more is refused with CONNECT_ERROR."""
    rooms: int = 1024
    """Rooms that one client may have joined in a namespace, its own sid aside: a quarter of a megabyte. ``join_room`` raises
    `TooManyRooms` for one more."""
    name_length: int = 256
    """Characters of the names that clients choose or have chosen for them: they are kept and logged. Namespaces, rooms, and
    events without a handler of their own name."""

    def __post_init__(self) -> None:
        for name in ("head_timeout", "body_timeout", "write_timeout", "keep_alive", "attachment_timeout"):
            check_seconds(name, getattr(self, name))
        for name in ("head_bytes", "waiting_events", "namespaces", "rooms", "name_length"):
            check_count(name, getattr(self, name))
        for name in ("requests_per_connection", "sessions_per_address"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))

    @property
    def look(self) -> float:
        """The shortest of the times that an HTTP connection is given."""
        return min(self.head_timeout, self.body_timeout, self.write_timeout, self.keep_alive)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many events a socket may send: a token bucket that holds ``burst`` events and gains ``events_per_second``.

    An event that comes too early waits for its turn, and those behind it with it; when `Limits.waiting_events` wait, the
    server stops reading the client, on either transport. Events that nobody handles count too, acknowledgements do not.

    Args:
        events_per_second: The rate in the long run.
        burst: How many may come at once after a pause.
        close: End the session of who sends more instead, with the reason ``forced close``.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: A value cannot work.
    """

    events_per_second: float
    burst: int = 1
    close: bool = False

    def __post_init__(self) -> None:
        rate: object = self.events_per_second
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise TypeError(f"events_per_second must be a number, not {rate!r}")
        if not 0 < rate < float("inf"):
            raise ValueError(f"events_per_second is {rate!r}; it must be above 0, and finite")
        check_count("burst", self.burst)
        check_flag("close", self.close)


class Bucket:
    """The tokens of one socket.

    Args:
        limit: How many there are, and how fast they come back.
        now: The time.
    """

    __slots__ = ("_at", "_limit", "_tokens")

    def __init__(self, limit: RateLimit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at = now

    def full(self, now: float) -> bool:
        """Whether all tokens are there."""
        return self._tokens + (now - self._at) * self._limit.events_per_second >= self._limit.burst

    def take(self, now: float) -> float:
        """Take a token, on credit if none is there, and return when there is one for it: now, or later."""
        limit = self._limit
        self._tokens = min(limit.burst, self._tokens + (now - self._at) * limit.events_per_second) - 1
        self._at = now
        return now if self._tokens > -NOTHING else now - self._tokens / limit.events_per_second


class Addresses:
    """How many sessions each address has."""

    __slots__ = ("_counts", "_holders")

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}  # by sid
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._holders)

    def count(self, address: str) -> int:
        """Return how many sessions an address has."""
        return self._counts[holder_of(address)]

    def enter(self, sid: str, address: str) -> None:
        """Count a session."""
        holder = holder_of(address)
        self._holders[sid] = holder
        self._counts[holder] += 1

    def leave(self, sid: str) -> None:
        """Count a session no more."""
        holder = self._holders.pop(sid)
        self._counts[holder] -= 1
        if not self._counts[holder]:
            del self._counts[holder]


def holder_of(address: str) -> str:
    """Return what stands for all addresses that whoever has this one has as well; what is no IP address stands for itself."""
    if ":" not in address:
        return address
    try:
        packed = IPv6Address(address).packed
    except AddressValueError:
        return address
    return f"{IPv6Address(packed[:PREFIX] + bytes(16 - PREFIX))}/{8 * PREFIX}"
