"""What a trace tells: the frames of sessions as values, for those who watch and study the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Sender(StrEnum):
    """Who sent a frame."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class TracedFrame:
    """One Engine.IO packet of one session, as it crossed the wire."""

    time: float
    """When it crossed, in seconds since the epoch."""
    sid: str
    """The Engine.IO session; empty when that is not known."""
    transport: str
    """``polling`` or ``websocket``."""
    sender: Sender
    frame: str | bytes
    """The packet as a WebSocket carries it, whatever the transport was: text with its type digit, or the bytes of a message."""


Trace = Callable[[TracedFrame], object]
"""Somebody who is told of every frame. It must not block; what it returns is ignored."""
