"""What a session sends: a message encoded once, however many sessions it goes to."""

import base64

from trio_socketio.engine.frames import binary_frame, text_frame

Frame = str | bytes
"""One Engine.IO packet as a WebSocket carries it: text with its type digit, or the bytes of a binary message."""


class Outbound:
    """The frames of one message, in order and never interleaved with others.

    A broadcast makes one `Outbound` and every session queues that same object; whatever a transport derives from it
    is made for the first recipient and kept. Not to be changed by anyone who holds it.
    """

    __slots__ = ("_wire", "frames", "patient", "size")

    def __init__(self, frames: tuple[Frame, ...], *, patient: bool = False) -> None:
        self.frames = frames
        self.patient = patient
        """Its sender waits for space (and so bounds it): it never makes the buffer overflow."""
        self.size = sum(map(size_in_bytes, frames))
        """Bytes of all frames, in UTF-8: what it counts for in a session's buffer."""
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """All frames as WebSocket frames: the same bytes for every recipient, made once."""
        if self._wire is None:
            self._wire = b"".join(
                [text_frame(frame.encode()) if isinstance(frame, str) else binary_frame(frame) for frame in self.frames]
            )
        return self._wire

    @classmethod
    def message(cls, parts: list[str | bytes], patient: bool = False) -> "Outbound":  # noqa: FBT001, FBT002  # by position it is faster
        """Wrap the frames of one Socket.IO packet as Engine.IO messages (Engine.IO protocol, "Packet encoding")."""
        if len(parts) == 1 and type(parts[0]) is str:  # nearly every message: its size and wire form are made at once
            self = cls.__new__(cls)
            frame = f"4{parts[0]}"
            payload = frame.encode()
            self.frames = (frame,)
            self.patient = patient
            self.size = len(payload)
            self._wire = text_frame(payload)
            return self
        return cls(tuple([f"4{part}" if isinstance(part, str) else part for part in parts]), patient=patient)


def size_in_bytes(frame: Frame) -> int:
    """Return the length of a frame in bytes, text as UTF-8."""
    return len(frame) if isinstance(frame, bytes) or frame.isascii() else len(frame.encode())


def polling_text(frame: Frame) -> str:
    """Return the form of a frame in a polling payload: binary as ``b`` and base64 (Engine.IO protocol, "Packet encoding")."""
    return frame if isinstance(frame, str) else "b" + base64.b64encode(frame).decode("ascii")
