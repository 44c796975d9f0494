"""Draws the diagrams of docs/wire-format.md from conversations with the server of examples/wire_server.py.

    python docs/wire-format/make_diagrams.py

Nothing in them is made up: each is what a real server and a raw client said, recorded by ``Server(trace=...)``. Only what would
differ from run to run is fixed: time is trio's mock clock, a step of the client takes `PACE` seconds, and every sid is
replaced by one of `SIDS`.
"""

import re
import runpy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from trio_socketio.conformance.peer import Peer
from trio_socketio.protocol.trace import Trace, TracedFrame

from trio_socketio import Server
from trio_socketio.wire.conversation import Conversation
from trio_socketio.wire.diagram import render_svg
from trio_socketio.wire.values import Line

HERE: Final = Path(__file__).parent
EXAMPLE: Final = HERE.parent.parent / "examples" / "wire_server.py"
PACE: Final = 0.02
"""Seconds between two steps of the client."""
SIDS: Final = ("lv_VI97HAXpY6yYWAAAC", "wZX3oN0bSVIhsaknAAAI", "G5j67EZFp-q59rADQM1x")
"""What stands for the sids, in the order in which they appear; they look like those of the specifications."""

_SID: Final = re.compile(r'(?<="sid":")[^"]+')

Script = Callable[[Peer], Awaitable[None]]


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts the connections that `dial` opens."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](10)

    async def accept(self) -> trio.abc.Stream:
        """Return the next connection."""
        try:
            return await self._receive.receive()
        except trio.ClosedResourceError:
            raise trio.ClosedResourceError("the listener is closed") from None

    async def aclose(self) -> None:
        """Accept no more."""
        self._receive.close()
        await trio.lowlevel.checkpoint()

    async def dial(self) -> trio.abc.Stream:
        """Open a connection."""
        ours, theirs = memory_stream_pair()
        await self._send.send(theirs)
        return ours


async def pause() -> None:
    """Let the server do what it can, then take a step."""
    await wait_all_tasks_blocked()
    await trio.sleep(PACE)


async def websocket_session(peer: Peer) -> None:
    """A session that begins with a WebSocket and ends with a goodbye."""
    websocket = await peer.open_websocket()
    for frame in ("40", '420["hello","Ada"]'):
        await pause()
        await websocket.send(frame)
    await trio.sleep(25 - 3 * PACE)
    for frame in ("3", "41", "1"):
        await pause()
        await websocket.send(frame)
    await pause()


async def polling_session(peer: Peer) -> None:
    """The same over long-polling."""
    session = await peer.open_polling()
    await pause()
    await session.post("40")
    await pause()
    await session.poll()
    await pause()
    await session.post('420["hello","Ada"]')
    await pause()
    await session.poll()
    await session.poll()  # it waits until there is something to carry, which is the ping
    for body in ("3", "41\x1e1"):
        await pause()
        await session.post(body)


async def upgrade(peer: Peer) -> None:
    """A polling session moves to a WebSocket."""
    session = await peer.open_polling()
    await pause()
    await session.post("40")
    await pause()
    await session.poll()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.poll)
        await pause()
        websocket = await peer.upgrade(session)
        await websocket.send("2probe")
        await websocket.receive()
    for frame in ("5", '420["hello","Ada"]'):
        await pause()
        await websocket.send(frame)
    await pause()


async def binary_and_acks(peer: Peer) -> None:
    """Attachments both ways, and acknowledgements both ways."""
    client = await peer.open_socketio()
    await client.transport.send('40/admin,{"token":"s3cret"}')
    await pause()
    await client.emit("echo", "photo.png", b"\x89PNG", namespace="/admin", id=7)
    await pause()
    await client.emit("ask me", namespace="/admin")
    await pause()
    await client.transport.send('43/admin,0["Ada"]')
    await pause()


SCRIPTS: Final[dict[str, Script]] = {
    "websocket": websocket_session,
    "polling": polling_session,
    "upgrade": upgrade,
    "binary": binary_and_acks,
}


def record(script: Script) -> list[TracedFrame]:
    """Return what crosses the wire while a script runs."""
    frames: list[TracedFrame] = []

    def trace(frame: TracedFrame) -> None:
        frames.append(replace(frame, time=trio.current_time()))

    trio.run(_play, script, trace, clock=MockClock(autojump_threshold=0))
    frames.sort(key=lambda frame: (frame.time, frame.transport == "polling"))  # at one moment, two connections race
    return anonymous(frames)


async def _play(script: Script, trace: Trace) -> None:
    make_server: Callable[[Trace], Server] = runpy.run_path(str(EXAMPLE))["make_server"]
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        await nursery.start(make_server(trace).serve_listeners, [listener])
        peer = Peer(listener.dial)
        await script(peer)
        await peer.hang_up()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


def anonymous(frames: list[TracedFrame]) -> list[TracedFrame]:
    """Return frames with the sids of `SIDS` in place of their own."""
    texts = [frame.frame for frame in frames if isinstance(frame.frame, str)]
    found = dict.fromkeys(sid for text in texts for sid in _SID.findall(text))
    names = dict(zip(found, SIDS, strict=False))
    return [
        replace(
            frame,
            sid=names[frame.sid],
            frame=_SID.sub(lambda match: names[match[0]], frame.frame) if isinstance(frame.frame, str) else frame.frame,
        )
        for frame in frames
    ]


def draw(script: Script) -> str:
    """Return the diagram of a script."""
    conversation = Conversation()
    lines: list[Line] = []
    for frame in record(script):
        lines += conversation.observe(frame)
    return render_svg(lines)


if __name__ == "__main__":
    for name, script in SCRIPTS.items():
        (HERE / f"{name}.svg").write_text(draw(script), encoding="utf-8")
