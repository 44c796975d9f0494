"""What the tools exchange: records of what crossed the wire go in, lines for people come out.

`Record` is what proxies, recordings and HAR files yield. `Line` is one packet, understood; `conversation.Conversation`
makes lines of records. Everything here is a value without a clock and without I/O.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.trace import Sender, TracedFrame


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to a session and is no packet: an HTTP error, a WebSocket that closed, a lost connection."""

    time: float
    """When it happened, in seconds since the epoch."""
    sid: str
    """The Engine.IO session; empty when it concerns none, or when that is not known."""
    transport: str
    """``polling`` or ``websocket``; empty when it concerns neither."""
    sender: Sender | None
    """Who did it; None when nobody in particular did."""
    text: str
    """A sentence without a full stop: ``HTTP 400 answered a POST: Session ID unknown``."""


Record: TypeAlias = TracedFrame | Note
"""What a proxy, a recording or a HAR file yields, in the order of time."""


class Kind(StrEnum):
    """What a line is about. Where both sides send packets of one kind, the sender tells them apart."""

    OPEN = "open"
    """The handshake that begins an Engine.IO session, from the server."""
    CLOSE = "close"
    """The Engine.IO session, or its transport, can be closed."""
    PING = "ping"
    """A heartbeat, to be answered with a pong."""
    PONG = "pong"
    """The answer to a ping; `Line.answers` is the round trip."""
    PROBE = "probe"
    """The client tries a WebSocket (``2probe``), or the server says that it works (``3probe``)."""
    UPGRADE = "upgrade"
    """The client moves the session to the WebSocket."""
    NOOP = "noop"
    """Answers a polling request that has nothing else to carry."""
    CONNECT = "connect"
    """The client asks for a namespace, or the server grants it."""
    CONNECT_ERROR = "connect_error"
    """The server refuses a namespace."""
    DISCONNECT = "disconnect"
    """One side leaves a namespace."""
    EVENT = "event"
    """A name and its arguments."""
    ACK = "ack"
    """The acknowledgement of an event."""
    MESSAGE = "message"
    """An Engine.IO message that is no Socket.IO: an application without Socket.IO, or one with a parser of its own."""
    FAULT = "fault"
    """A frame that breaks the protocol; `Line.detail` says how."""
    NOTE = "note"
    """What happened and is no packet; `Line.detail` says what."""


@dataclass(frozen=True, slots=True)
class Line:
    """One packet, its attachments included, or one thing that happened."""

    time: float
    """When its last frame crossed, in seconds since the epoch."""
    since: float | None
    """Seconds since the previous line of the same session; None for its first."""
    sid: str
    """The Engine.IO session; empty when that is not known."""
    transport: str
    """``polling`` or ``websocket``; empty for a note that concerns neither."""
    sender: Sender | None
    """Who sent it; None only for a note that nobody in particular caused."""
    kind: Kind
    namespace: str | None = None
    """The namespace of a Socket.IO packet, ``/`` for the root; None for everything else."""
    event: str | None = None
    """The name of an event; of an ack the name of the event that it answers, if that was seen. Peers may number their
    events; the number stands here as text."""
    ack_id: int | None = None
    """What joins an event with its ack."""
    payload: JSON = None
    """What it carries, decoded, with the attachments in place as bytes. Events and acks: the list of arguments, without
    the event's name. Connect: the auth data of the client, or the object with the socket's sid. Connect error: what the
    server says. Open: the handshake. Message: its text or bytes. None when there is nothing."""
    answers: float | None = None
    """Seconds since what this answers: the event of an ack, the ping of a pong, the client's ``2probe`` of the server's,
    the client's connect of the server's connect or connect error. None when it answers nothing, or nothing that was seen."""
    asks: bool = False
    """Whether it is an event that wants an ack."""
    size: int = 0
    """Bytes of all its frames: text as UTF-8, attachments as they are (base64 and HTTP are the transport's)."""
    frames: tuple[str | bytes, ...] = ()
    """The frames that made it up, the text first and then its attachments; none for a note."""
    detail: str = ""
    """A sentence without a full stop about what is not plain: what is wrong with a fault, what a note tells, why a
    namespace was refused, why a message is taken for no Socket.IO. Empty when there is nothing to say."""


LONGEST_NAME = 200
"""Characters of a namespace or an event name that are kept in memory for longer than its line lives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a conversation keeps at most. Over a limit the oldest goes first, and the summary stays right about totals."""

    sessions: int = 4096
    """Sessions; the one that was silent for longest is forgotten. Should it speak again, it counts as a new one."""
    pending_acks: int = 16_384
    """Events whose ack has not come, in all sessions together; a forgotten one counts as unanswered."""
    attachments: int = 4096
    """Attachments that one packet may announce; a packet that announces more is a fault."""
    incomplete_bytes: int = 64 * 1024 * 1024
    """Bytes of the packets whose attachments have not all come, in all sessions together."""
    namespaces: int = 256
    """Namespaces with a place of their own in the summary."""
    events: int = 1024
    """Event names with a place of their own in the summary, in all namespaces together; also the broadcasts."""
    sids: int = 100
    """Sids of sockets that the summary lists for each namespace."""
    faults: int = 100
    """Faults that the summary lists."""
    times: int = 4096
    """Answer times of which the median is taken."""
    recent_recipients: int = 65_536
    """Deliveries of the last moment that are compared to find broadcasts."""


def bounded_name(name: str) -> str:
    """Return a name that is not longer than `LONGEST_NAME`, its end cut off if need be."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
