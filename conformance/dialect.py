"""How a server sends messages back: the two kinds of servers that the Engine.IO cases can be run against."""

import json
from dataclasses import dataclass
from typing import Final

_PLACEHOLDER: Final = '{"_placeholder":true,"num":0}'


@dataclass(frozen=True, slots=True)
class Dialect:
    """What to send so that the server answers with something known: Engine.IO frames, as a WebSocket carries them."""

    socketio: bool
    """Whether messages are Socket.IO events, ``message`` and ``message-back``; otherwise the server echoes them as they are."""

    @property
    def greeting(self) -> str | None:
        """What a session must send before its first message, and what the answer to it begins with."""
        return "40" if self.socketio else None

    def say(self, content: str | bytes) -> list[str | bytes]:
        """Return the frames that make the server send something back."""
        return self._frames(content, "message")

    def back(self, content: str | bytes) -> list[str | bytes]:
        """Return the frames that it sends then."""
        return self._frames(content, "message-back")

    def same(self, frame: str | bytes, expected: str | bytes) -> bool:
        """Return whether a frame is the expected one: JSON is compared by its values, however a server writes it."""
        if frame == expected:
            return True
        if not self.socketio or isinstance(frame, bytes) or isinstance(expected, bytes):
            return False
        prefix, bracket, payload = expected.partition("[")
        if not frame.startswith(prefix + bracket):
            return False
        try:
            return bool(json.loads(frame[len(prefix) :]) == json.loads(bracket + payload))
        except ValueError:
            return False

    def _frames(self, content: str | bytes, event: str) -> list[str | bytes]:
        if not self.socketio:
            return [content if isinstance(content, bytes) else f"4{content}"]
        if isinstance(content, bytes):
            return [f'451-["{event}",{_PLACEHOLDER}]', content]
        return [f'42["{event}",{json.dumps(content, ensure_ascii=False)}]']


ECHO: Final = Dialect(socketio=False)
"""A bare Engine.IO server that sends every message back."""

EVENTS: Final = Dialect(socketio=True)
"""A Socket.IO server with the event ``message``."""
