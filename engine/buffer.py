"""What a session has been given to send and has not handed over yet, in order.

A message is queued whole. A WebSocket takes everything at once; a polling answer takes a number of frames, which may end inside a
message. What was taken is confirmed when it has been written; what a polling answer failed to write comes back to the head
of the queue. Until it is confirmed everything counts.

Nearly every session has nothing to send at nearly every moment: a buffer that is empty holds no container.
"""

from collections.abc import Sequence

from trio_socketio.engine.outbound import Outbound, polling_text


class Buffer:
    """The outbound messages of one session.

    Args:
        max_bytes: Bytes that may wait before a message no longer `fits`.
        max_packets: The same, in Engine.IO packets.
    """

    __slots__ = (
        "_max_bytes",
        "_max_packets",
        "_offset",
        "_offset_before",
        "_patient_bytes",
        "_patient_packets",
        "_polled",
        "_queue",
        "_taken",
        "bytes",
        "packets",
    )

    def __init__(self, max_bytes: int, max_packets: int) -> None:
        self._max_bytes = max_bytes
        self._max_packets = max_packets
        self._queue: list[Outbound] | tuple[Outbound, ...] = ()
        self._offset = 0  # frames of the queue's head that have left by polling
        self._offset_before = 0  # the same, before the polling answer that is being written
        self._polled: Sequence[Outbound] = ()  # what that answer has taken whole
        self._taken: Sequence[Outbound] = ()  # what the WebSocket has taken and not yet written
        self._patient_bytes = 0
        self._patient_packets = 0
        self.bytes = 0
        """Bytes that are not yet written."""
        self.packets = 0
        """Engine.IO packets that are not yet written."""

    @property
    def crowded(self) -> bool:
        """Whether patient senders should wait for space before they go on."""
        return self.bytes > self._max_bytes or self.packets > self._max_packets

    @property
    def queued(self) -> bool:
        """Whether there is something that nobody has taken."""
        return bool(self._queue)

    @property
    def lent(self) -> bool:
        """Whether a polling answer holds packets that may have to come back."""
        return bool(self._polled) or self._offset != self._offset_before

    @property
    def writing(self) -> bool:
        """Whether the WebSocket has taken something and has not written it."""
        return bool(self._taken)

    @property
    def empty(self) -> bool:
        """Whether everything has been written."""
        return not self._queue and not self._taken and not self._polled

    def fits(self, outbound: Outbound) -> bool:
        """Whether a message may be queued. Patient ones always may, and so may one for which nothing impatient waits."""
        waiting = self.packets - self._patient_packets
        if not waiting or outbound.patient:
            return True
        return (
            self.bytes - self._patient_bytes + outbound.size <= self._max_bytes
            and waiting + len(outbound.frames) <= self._max_packets
        )

    def put(self, outbound: Outbound) -> None:
        """Queue a message behind all others."""
        if isinstance(self._queue, list):
            self._queue.append(outbound)
        else:
            self._queue = [outbound]
        self._account(outbound, +1)

    def take(self) -> Sequence[Outbound]:
        """Take everything for the WebSocket; `written` confirms it. Not while packets are `lent` to a polling answer."""
        taken, self._queue = self._queue, ()
        if self._offset:
            # A polling answer took the first frames of this message; the rest of them follows here.
            head = taken[0]
            rest = Outbound(head.frames[self._offset :], patient=head.patient)
            self._account(head, -1)
            self._account(rest, +1)
            taken = [rest, *taken[1:]]
            self._offset = self._offset_before = 0
        self._taken = [*self._taken, *taken] if self._taken else taken
        return taken

    def written(self) -> None:
        """Confirm what `take` returned."""
        for outbound in self._taken:
            self._account(outbound, -1)
        self._taken = ()

    def take_frames(self, most: int) -> list[str]:
        """Take up to ``most`` frames for a polling answer, in their polling form; `frames_done` must follow."""
        texts: list[str] = []
        whole = 0
        for outbound in self._queue:
            frames = outbound.frames[self._offset : self._offset + most]
            texts.extend(map(polling_text, frames))
            most -= len(frames)
            self._offset += len(frames)
            if self._offset < len(outbound.frames):
                break
            self._offset = 0
            whole += 1
        self._polled, self._queue = self._queue[:whole], self._queue[whole:] or ()
        return texts

    def frames_done(self, *, written: bool) -> None:
        """Confirm what `take_frames` returned, or take it back."""
        if written:
            self._offset_before = self._offset
            for outbound in self._polled:
                self._account(outbound, -1)
        else:
            self._offset = self._offset_before
            self._queue = [*self._polled, *self._queue]
        self._polled = ()

    def clear(self) -> None:
        """Drop everything."""
        self._queue = self._taken = self._polled = ()
        self._offset = self._offset_before = 0
        self.bytes = self.packets = self._patient_bytes = self._patient_packets = 0

    def _account(self, outbound: Outbound, sign: int) -> None:
        self.bytes += sign * outbound.size
        self.packets += sign * len(outbound.frames)
        if outbound.patient:
            self._patient_bytes += sign * outbound.size
            self._patient_packets += sign * len(outbound.frames)
