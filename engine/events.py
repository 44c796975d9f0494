"""What a session tells its owner: the values that its inputs return."""

from dataclasses import dataclass
from enum import StrEnum


class CloseReason(StrEnum):
    """Why a session ended, in the words of the Node server's ``disconnect`` event."""

    PING_TIMEOUT = "ping timeout"
    """The peer owed an answer to a ping and did not give it in time."""
    TRANSPORT_CLOSE = "transport close"
    """The peer closed, or its connection went away."""
    TRANSPORT_ERROR = "transport error"
    """The connection broke, or what came over it was no valid HTTP or WebSocket."""
    PARSE_ERROR = "parse error"
    """The peer sent what the protocol does not allow."""
    FORCED_CLOSE = "forced close"
    """The server ended the session: a limit or a timeout, or the application asked for it."""
    SERVER_SHUTTING_DOWN = "server shutting down"
    """The server ends, and tells everyone."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the peer, text or binary: one Socket.IO frame."""

    data: str | bytes


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The WebSocket has taken over; what was buffered leaves through it from now on."""


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The WebSocket that was to take over must be closed; the polling session goes on as before."""

    detail: str
    """What went wrong, as a sentence for the log."""
    limit: str | None = None
    """The option whose bound was reached, if that is what went wrong."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """The GET or POST that just began must be refused with status 400, ``Bad request``."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session has ended. It comes once, and no `Message` comes after it."""

    reason: CloseReason
    detail: str
    """What happened, as a sentence for the log."""
    limit: str | None = None
    """The option whose bound was reached, if that is what happened."""


Event = Message | Upgraded | ProbeFailed | Conflict | Closed
