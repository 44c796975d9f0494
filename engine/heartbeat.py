"""When to ping, and until when the answer may come: two deadlines.

The server pings every ``interval`` seconds after the handshake, and the peer answers within ``timeout`` seconds (Engine.IO
protocol, "Heartbeat"). While an answer is owed no further ping is sent: the beats that fall into that time are left out.
So the deadline of a heartbeat only ever moves when it has come, or later: hearing the peer never makes it earlier.

A heartbeat is changed in place, not replaced: ten thousand idle sessions do little else.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Heartbeat:
    """The heartbeat of one session. Times are seconds on the caller's clock."""

    interval: float
    timeout: float
    ping_at: float
    """When the next ping is due, unless an answer is still owed then."""
    answer_by: float | None = None
    """Until when the peer may answer the last ping; None when it owes nothing."""

    @classmethod
    def start(cls, interval: float, timeout: float, now: float) -> "Heartbeat":
        """Return the heartbeat of a session whose handshake is made at ``now``."""
        return cls(interval, timeout, ping_at=now + interval)

    @property
    def deadline(self) -> float:
        """When `tick` of the session must look again."""
        answer_by = self.answer_by
        return self.ping_at if answer_by is None or answer_by > self.ping_at else answer_by

    def ping_due(self, now: float) -> bool:
        """Whether a ping must be sent now."""
        return self.answer_by is None and now >= self.ping_at

    def overdue(self, now: float) -> bool:
        """Whether the peer has failed to answer in time."""
        return self.answer_by is not None and now >= self.answer_by

    def beat(self, now: float) -> None:
        """Go on after `ping_at` has come: a ping leaves at ``now``, or none because an answer is owed.

        The next ping keeps the cadence of the handshake, unless this beat was so late that the next would be due already.
        """
        following = self.ping_at + self.interval
        self.ping_at = following if following > now else now + self.interval
        if self.answer_by is None:
            self.answer_by = now + self.timeout

    def heard(self) -> None:
        """Go on after any packet of the peer: each one proves that it is alive."""
        self.answer_by = None
