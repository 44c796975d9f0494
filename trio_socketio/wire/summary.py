"""What a conversation came to: sessions, namespaces, events, acknowledgements, faults.

Rooms exist on the server only and cannot be seen on the wire; what can be seen is that identical frames reached several
sessions at nearly the same moment, and a summary lists the events for which that happened as likely broadcasts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets in one direction."""

    count: int = 0
    size: int = 0
    """Bytes, as in `Line.size`."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One Engine.IO session."""

    sid: str
    """Empty for everything whose session is not known."""
    transports: tuple[str, ...]
    """The transports that it used, in order of their first packet."""
    first: float
    """When its first line crossed, in seconds since the epoch."""
    last: float
    """When its last line crossed."""
    opened: float | None
    """When its handshake crossed; None when its beginning was not seen."""
    closed: float | None
    """When it ended, as far as the wire shows; None when it was still open."""
    ended: str | None
    """Why it ended, as a sentence without a full stop; None when it was still open."""
    to_server: Traffic
    to_client: Traffic

    @property
    def duration(self) -> float:
        """Seconds from its first line to its end, or to its last line when it was still open."""
        return (self.last if self.closed is None else self.closed) - self.first


@dataclass(frozen=True, slots=True)
class EventSummary:
    """All events of one name in one namespace."""

    name: str
    to_server: Traffic
    to_client: Traffic


@dataclass(frozen=True, slots=True)
class NamespaceSummary:
    """One namespace."""

    name: str
    connections: int
    """How many times the server granted it."""
    refusals: int
    """How many times the server refused it."""
    sids: tuple[str, ...]
    """The sids that the server gave to its sockets, the latest `Limits.sids` of them."""
    events: tuple[EventSummary, ...]
    """By name, the busiest first."""


@dataclass(frozen=True, slots=True)
class AckSummary:
    """How events with an ack id were answered."""

    asked: int
    """Events that wanted an ack."""
    answered: int
    """Acks whose event was seen."""
    unanswered: int
    """Events whose ack was not seen (yet)."""
    median: float | None
    """Seconds; of the latest `Limits.times` answers. None when there were none."""
    maximum: float | None
    """Seconds; of all answers."""


@dataclass(frozen=True, slots=True)
class HeartbeatSummary:
    """Pings and their pongs."""

    count: int
    """Pings that were answered."""
    median: float | None
    """Seconds of a round trip; of the latest `Limits.times`. None when there were none."""
    maximum: float | None


@dataclass(frozen=True, slots=True)
class Broadcast:
    """An event whose identical frames reached several sessions at nearly the same moment, so probably a broadcast."""

    namespace: str
    event: str
    times: int
    """How often that happened."""
    recipients: int
    """Sessions that the largest of them reached."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A frame that broke the protocol."""

    time: float
    sid: str
    detail: str
    """What is wrong with it, as a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a conversation came to."""

    first: float | None
    """When the first line crossed, in seconds since the epoch; None when there was none."""
    last: float | None
    to_server: Traffic
    to_client: Traffic
    sessions: tuple[SessionSummary, ...]
    """In order of their first line; of very many the latest `Limits.sessions`."""
    session_count: int
    """All of them."""
    namespaces: tuple[NamespaceSummary, ...]
    """By name."""
    acks: AckSummary
    heartbeats: HeartbeatSummary
    broadcasts: tuple[Broadcast, ...]
    """The one that reached most sessions first."""
    messages: int
    """Engine.IO messages that are no Socket.IO."""
    faults: tuple[Fault, ...]
    """The first `Limits.faults` of them."""
    fault_count: int
    """All of them."""
    omitted: int
    """Packets that are in the totals, but not under their own name, because there were too many namespaces or events."""
