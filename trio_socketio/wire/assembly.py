"""Joins attachments to their packets, for many sessions and both directions, within a bound on memory.

What happens to a packet whose attachments do not all come is this module's subject too: whoever watches wants to be
told, and wants to go on with the next frame.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from trio_socketio.protocol import socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.trace import Sender, TracedFrame
from trio_socketio.wire.values import Limits

_UNLIMITED = 2**62
"""What `Limits.incomplete_bytes` bounds for all packets together needs no bound for each of them."""

_ANNOUNCED = re.compile("[56]([0-9]+)-")
"""The number of attachments in the text of a binary event or ack."""

_Key = tuple[str, Sender]


@dataclass(frozen=True, slots=True)
class Lost:
    """A packet that stayed incomplete."""

    record: TracedFrame
    """The latest of its frames."""
    frames: tuple[str | bytes, ...]
    reason: str
    """Why, and how many attachments are missing, as a sentence without a full stop."""
    fault: bool
    """Whether the sender is to blame."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a frame led to."""

    lost: tuple[Lost, ...] = ()
    """Packets that stayed incomplete; it happened before the packet or the error."""
    packet: socketio.Packet | None = None
    """The packet that the frame completes."""
    frames: tuple[str | bytes, ...] = ()
    """All frames of that packet."""
    error: DecodeError | None = None
    """Why the frame is no packet; its position is one of the frame."""


@dataclass(slots=True)
class _Stream:
    """The messages of one session in one direction."""

    decoder: socketio.Decoder
    record: TracedFrame | None = None
    """The latest frame of the packet that waits for attachments; None when none does."""
    frames: list[str | bytes] = field(default_factory=list)
    size: int = 0
    missing: int = 0
    skip: int = 0
    """Attachments still to come of a packet that was given up."""


class Assembler:
    """Turns the messages of any number of sessions into packets.

    Args:
        limits: How many attachments a packet may have, and how many bytes may wait in all. The caller bounds the number
            of sessions, with `forget`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._streams: dict[_Key, _Stream] = {}
        self._incomplete: OrderedDict[_Key, _Stream] = OrderedDict()
        self._waiting = 0

    def feed(self, record: TracedFrame, data: str | bytes) -> Step:
        """Take the next message.

        Args:
            record: The frame that brought it.
            data: The data of that frame's Engine.IO packet.
        """
        key = record.sid, record.sender
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(self._decoder())
        lost: tuple[Lost, ...] = ()
        if isinstance(data, str):
            stream.skip = 0
            if stream.record is not None:
                # That packet is lost, but what comes instead may be fine; whoever watches wants to see both.
                lost = (self._lose(key, "A text frame came while attachments were awaited", fault=True),)
        elif stream.skip:
            stream.skip -= 1
            return Step()
        try:
            packet = stream.decoder.feed(data)
        except DecodeError as error:
            position = None if error.position is None else error.position + len(record.frame) - len(data)
            return Step(lost, error=DecodeError(error.message, position))
        if packet is not None:
            frames = (*stream.frames, record.frame)
            if stream.record is not None:
                self._clear(key)
            return Step(lost, packet, frames)
        self._keep(key, stream, record, data)
        return Step((*lost, *self._make_room()))

    def forget(self, sid: str) -> list[Lost]:
        """Forget a session; return what it left incomplete."""
        keys = [(sid, sender) for sender in Sender]
        lost = [self._give_up(key, "The session was forgotten") for key in keys if key in self._incomplete]
        for key in keys:
            self._streams.pop(key, None)
        return lost

    def finish(self) -> list[Lost]:
        """Forget all sessions; return what they left incomplete."""
        lost = [self._give_up(key, "The end came first") for key in list(self._incomplete)]
        self._streams.clear()
        return lost

    def _decoder(self) -> socketio.Decoder:
        return socketio.Decoder(self._limits.attachments, _UNLIMITED)

    def _keep(self, key: _Key, stream: _Stream, record: TracedFrame, data: str | bytes) -> None:
        if isinstance(data, bytes):
            stream.missing -= 1
        elif match := _ANNOUNCED.match(data):  # always: the decoder has read that number already
            stream.missing = int(match[1])
            self._incomplete[key] = stream
        stream.record = record
        stream.frames.append(record.frame)
        size = size_of([record.frame])
        stream.size += size
        self._waiting += size

    def _make_room(self) -> list[Lost]:
        lost = []
        while self._waiting > self._limits.incomplete_bytes:
            reason = f"More than {self._limits.incomplete_bytes} bytes waited for attachments"
            lost.append(self._give_up(next(iter(self._incomplete)), reason))
        return lost

    def _give_up(self, key: _Key, reason: str) -> Lost:
        """Let go of an incomplete packet that is not to blame for it; attachments that still come are passed over."""
        stream = self._incomplete[key]
        stream.skip = stream.missing
        return self._lose(key, reason, fault=False)

    def _lose(self, key: _Key, reason: str, *, fault: bool) -> Lost:
        stream = self._incomplete[key]
        if stream.record is None:
            raise AssertionError("a stream without a packet in the table of incomplete packets")
        announced = len(stream.frames) - 1 + stream.missing
        reason = f"{reason}: {stream.missing} of {announced} missing"
        lost = Lost(stream.record, tuple(stream.frames), reason, fault)
        stream.decoder = self._decoder()
        self._clear(key)
        return lost

    def _clear(self, key: _Key) -> None:
        stream = self._incomplete.pop(key)
        self._waiting -= stream.size
        stream.record, stream.frames, stream.size, stream.missing = None, [], 0, 0


def size_of(frames: Iterable[str | bytes]) -> int:
    """Return how many bytes frames have on the wire, text as UTF-8."""
    return sum(
        len(frame) if isinstance(frame, bytes) or frame.isascii() else len(frame.encode("utf-8", "surrogatepass"))
        for frame in frames
    )
