"""The shortcuts that the server takes, and how to do without each of them.

Each of them is a second way to do something that the server can do without it. ``TRIO_SOCKETIO_TEST_WITHOUT=eager,frames`` in
the environment turns some of them off for a whole run of the tests (``all`` for every one), which must pass all the same:
whatever a user can see is the same with and without. These are switches for tests; the package has none.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from trio_socketio.protocol import jsontext, socketio, socketio_decode, socketio_encode
from trio_socketio.protocol.jsoncodec import STANDARD, JSONCodec
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.server import context, emitter, pace, service
from trio_socketio.server.net import direct, direct_http, incoming
from trio_socketio.server.net.head import Unread


def _poller() -> None:
    """Read every socket as a stream, with tasks of its own."""
    service.SUPPORTED = False


def _heads() -> None:
    """Let h11 read every request."""
    direct_http.read_head = lambda _data, _known, _most: Unread.ODD


def _eager() -> None:
    """Run every lane in a task of its own."""

    def run_lane(self: service.Service, lane: Any) -> None:
        self.start(lane.walk_alone)

    service.Service.run_lane = run_lane  # type: ignore[method-assign]


def _frames() -> None:
    """Let wsproto read every frame."""
    incoming._take_short = lambda _data, _end, _most, _arrived: 0
    incoming._FAST = ()  # type: ignore[misc]


def _collect() -> None:
    """Write each message by itself."""
    direct.COLLECT = -1  # type: ignore[misc]


def _reply() -> None:
    """Find the only recipient of an answer as those of any other emit."""
    context.Context._self = emitter.Emitter._self  # type: ignore[method-assign]
    context.Current._self = emitter.Emitter._self  # type: ignore[method-assign]


def _pace() -> None:
    """Let other tasks run at every emit."""
    pace.EVERY = 1  # type: ignore[misc]


def _codec() -> None:
    """Encode and decode every packet in the way that is right for any packet."""

    def encode_event(
        namespace: str,
        event: str,
        arguments: Sequence[JSON],
        id: int | None = None,  # noqa: A002  # as in what it stands for
        json: JSONCodec = STANDARD,
    ) -> list[str | bytes]:
        packet = socketio.Packet(socketio.PacketType.EVENT, namespace, [event, *arguments], id)
        return socketio_encode._frames(*socketio_encode._encode_once(packet, json), id)

    socketio.encode_event = encode_event
    jsontext.quote = jsontext.encode
    socketio_decode._plain_head = socketio_decode._plain_binary_head = lambda _frame: None  # type: ignore[assignment]


SHORTCUTS: Final[dict[str, Callable[[], None]]] = {
    "poller": _poller,
    "heads": _heads,
    "eager": _eager,
    "frames": _frames,
    "collect": _collect,
    "reply": _reply,
    "pace": _pace,
    "codec": _codec,
}
"""What turns each of them off, for good."""


def off() -> list[str]:
    """Return the names of those that the environment turns off.

    Raises:
        ValueError: There is no such shortcut.
    """
    names = [name for name in os.environ.get("TRIO_SOCKETIO_TEST_WITHOUT", "").split(",") if name]
    if names == ["all"]:
        return list(SHORTCUTS)
    for name in names:
        if name not in SHORTCUTS:
            raise ValueError(f"there is no shortcut {name!r} to do without, but {', '.join(SHORTCUTS)}")
    return names


def turn_off() -> None:
    """Turn off what the environment names."""
    for name in off():
        SHORTCUTS[name]()
