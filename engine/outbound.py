"""What a session sends: a message encoded once, however many sessions it goes to."""

import base64

Frame = str | bytes
"""One Engine.IO packet as a WebSocket carries it: text with its type digit, or the bytes of a binary message."""


class Outbound:
    """The frames of one message, in order and never interleaved with others.

    A broadcast makes one `Outbound` and every session queues that same object; whatever a transport derives from it
    is computed for the first recipient and kept. Not to be changed by anyone who holds it.
    """

    __slots__ = ("frames", "patient", "size", "wire")

    def __init__(self, frames: tuple[Frame, ...], *, patient: bool = False) -> None:
        self.frames = frames
        self.size = size_in_bytes(frames[0]) if len(frames) == 1 else sum(map(size_in_bytes, frames))
        """Bytes of all frames, in UTF-8: what it counts for in a session's buffer."""
        self.patient = patient
        """Its sender waits for space (and so bounds it): it never makes the buffer overflow."""
        self.wire: bytes | None = None
        """The WebSocket form of all frames, left here by the first transport that needed it."""

    @classmethod
    def text(cls, part: str, *, patient: bool = False) -> "Outbound":
        """Wrap a Socket.IO packet without attachments."""
        return cls((f"4{part}",), patient=patient)

    @classmethod
    def message(cls, parts: list[str | bytes], *, patient: bool = False) -> "Outbound":
        """Wrap the frames of one Socket.IO packet as Engine.IO messages (Engine.IO protocol, "Packet encoding")."""
        return cls(tuple([f"4{part}" if isinstance(part, str) else part for part in parts]), patient=patient)


def size_in_bytes(frame: Frame) -> int:
    """Return the length of a frame in bytes, text as UTF-8."""
    return len(frame) if isinstance(frame, bytes) or frame.isascii() else len(frame.encode())


def polling_text(frame: Frame) -> str:
    """Return the form of a frame in a polling payload: binary as ``b`` and base64 (Engine.IO protocol, "Packet encoding")."""
    return frame if isinstance(frame, str) else "b" + base64.b64encode(frame).decode("ascii")
