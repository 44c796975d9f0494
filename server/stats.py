"""What a server has done and holds, as numbers."""

import logging
from collections import Counter
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from trio_socketio.server.app import Server

logger = logging.getLogger("trio_socketio.limits")


class Tally:
    """What has happened since the server was made; incremented where it happens."""

    __slots__ = (
        "closes",
        "disconnects",
        "events_dropped",
        "events_in",
        "events_out",
        "limits",
        "packets_in",
        "packets_out",
        "refusals",
        "unknown_acks",
    )

    def __init__(self) -> None:
        self.packets_in = 0
        self.packets_out = 0
        self.events_in = 0
        self.events_out = 0
        self.events_dropped = 0
        self.unknown_acks = 0
        self.refusals: Counter[str] = Counter()
        self.closes: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()

    def reached(self, limit: str, message: str, *args: object) -> None:
        """Count that a limit was reached, and say so in the log.

        Args:
            limit: The name of the option.
            message: What happened, without anything of a payload.
            *args: What belongs into it.
        """
        self.limits[limit] += 1
        logger.info(message, *args, extra={"limit": limit})


class Stats(TypedDict):
    """A snapshot of a server: plain data that JSON can carry."""

    sessions: dict[str, int]
    """Engine.IO sessions by transport."""
    sockets: dict[str, int]
    """Connected sockets by namespace."""
    rooms: int
    """Rooms with members, in all namespaces; the rooms that are sids do not count."""
    buffered_bytes: int
    """Bytes that wait for clients to read them."""
    pending_acks: int
    """Acknowledgements that clients owe."""
    packets_in: int
    """Socket.IO packets received since the start."""
    packets_out: int
    """Socket.IO packets queued since the start, one for each recipient."""
    events_in: int
    """Events received since the start."""
    events_out: int
    """Events queued since the start, one for each recipient."""
    events_dropped: int
    """Volatile events dropped since the start, because they could not leave at once, one for each recipient."""
    unknown_acks: int
    """Acknowledgements that nobody waited for: repeated, late or forged."""
    refusals: dict[str, int]
    """Refused requests, namespaces and events by reason, since the start."""
    closes: dict[str, int]
    """Ended sessions by reason, since the start."""
    disconnects: dict[str, int]
    """Sockets that have left their namespaces by reason, since the start."""
    limits: dict[str, int]
    """How often each limit was reached, by the name of its option, since the start."""


def snapshot(server: "Server") -> Stats:
    """Return the numbers of a server; it looks at each session once."""
    tally = server.tally
    adapters = dict(server.adapters())
    return Stats(
        sessions=dict(Counter(str(live.transport) for live in server.sessions.values())),
        sockets={name: len(adapter.sockets) for name, adapter in adapters.items()},
        rooms=sum(adapter.registry.room_count for adapter in adapters.values()),
        buffered_bytes=sum(live.session.buffered_bytes for live in server.sessions.values()),
        pending_acks=sum(len(socket.acks) for adapter in adapters.values() for socket in adapter.sockets.values()),
        packets_in=tally.packets_in,
        packets_out=tally.packets_out,
        events_in=tally.events_in,
        events_out=tally.events_out,
        events_dropped=tally.events_dropped,
        unknown_acks=tally.unknown_acks,
        refusals=dict(tally.refusals),
        closes=dict(tally.closes),
        disconnects=dict(tally.disconnects),
        limits=dict(tally.limits),
    )
