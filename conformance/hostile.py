"""What the cases about robustness share: raw requests, right or wrong, and what a sane server may do about them."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio
from trio_socketio.conformance.case import Need
from trio_socketio.conformance.peer import Closed, PeerError, Silence, WebSocketPeer, Wire
from trio_socketio.conformance.trial import Failure, Session, Trial

WAVE: Final = 40
"""Connections that are open at the same time. Some systems allow a process 256 open files."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r\n")
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1[0-9][0-9][^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n")


def request(
    trial: Trial,
    target: str | None = None,
    *lines: str,
    method: str = "GET",
    body: bytes = b"",
    host: bool = True,
) -> bytes:
    """Return the bytes of an HTTP request, by default one that opens a session over long-polling.

    Args:
        trial: The run.
        target: The request target.
        lines: Header fields as they are to stand there, ``Host`` aside.
        method: The method.
        body: What follows the head; nothing announces it but ``lines``.
        host: Whether there is a Host header.
    """
    target = target or trial.peer.target(transport="polling")
    hosts = [f"Host: {trial.peer.host}"] if host else []
    return "\r\n".join([f"{method} {target} HTTP/1.1", *hosts, *lines, "", ""]).encode("latin-1") + body


async def answer(trial: Trial, data: bytes) -> int | None:
    """Send bytes on a connection of their own and return the status of the answer; None if the connection ends without one.

    Raises:
        Silence: Neither an answer nor the end comes.
        Failure: What comes is no HTTP response.
    """
    wire = await trial.peer.connect()
    status, _ = await exchange(wire, data)
    await trio.aclose_forcefully(wire.stream)
    return status


async def say(wire: Wire, data: bytes) -> None:
    """Send bytes and write them down."""
    wire.note(data, "TCP", sent=True)
    await wire.send(data)


async def exchange(wire: Wire, data: bytes) -> tuple[int | None, bytes]:
    """Send bytes and return the status of the answer, and what has come so far; interim answers (1xx) are passed over."""
    with suppress(Closed):  # if it has read enough, its answer may have come nevertheless
        await say(wire, data)
    return await read_status(wire)


async def read_status(wire: Wire) -> tuple[int | None, bytes]:
    """Return the status of the next answer, and what has come so far."""
    received = b""
    with wire.patient("neither an answer nor the end of the connection came"):
        while True:
            final = _INTERIM.sub(b"", received)
            found = _STATUS.match(final)
            if found and found[1][0] != ord("1"):
                wire.note(final.decode("latin-1"), "HTTP", sent=False)
                return int(found[1]), final
            data = await wire.receive()
            if not data:
                wire.note("end of the connection", "TCP", sent=False)
                break
            received += data
    if received:
        raise Failure(f"what came is no HTTP response: {received[:80]!r}")
    return None, b""


async def read_all(wire: Wire) -> bytes:
    """Return all that comes before the end of the connection."""
    received = b""
    with wire.patient("the connection did not end"):
        while data := await wire.receive():
            received += data
    wire.note(received.decode("latin-1"), "HTTP", sent=False)
    return received


async def answered(trial: Trial, requests: Sequence[bytes]) -> None:
    """Fail unless each of several requests, on connections of their own, is answered or its connection closed."""

    async def ask(data: bytes) -> None:
        await answer(trial, data)

    async with trio.open_nursery() as nursery:
        for data in requests:
            nursery.start_soon(ask, data)


async def rebuffed(trial: Trial, data: bytes, what: str) -> None:
    """Fail unless bytes are answered with an error (4xx or 5xx), or with the end of the connection."""
    status = await answer(trial, data)
    trial.check(
        status is None or status >= 400,  # Bad Request and all others
        f"{what} was answered with status {status}",
        f"{what} is answered with an error (4xx or 5xx), or the connection is closed",
    )


async def settled(session: Session, trial: Trial, content: str = "and now?") -> bool:
    """Return whether a session still sends messages back; otherwise it must have ended.

    Raises:
        Silence: It does neither.
    """
    try:
        await trial.echo(session, content, pass_over=True)
    except Closed:
        return False
    except PeerError as error:
        if isinstance(error, Silence) or isinstance(session, WebSocketPeer):
            raise
        return False  # a request for a polling session that has ended is answered with an error
    return True


async def expect_ended(trial: Trial, websocket: WebSocketPeer, what: str) -> None:
    """Fail unless the server ends a WebSocket because of what it was just sent.

    Pings are answered, but a server that waits for the rest of a frame takes the answer for that. So the end must not come
    when a ping has been left unanswered, as the server sees it, for the ping timeout.
    """
    began = trio.current_time()
    pinged = False
    expected = f"the server ends the WebSocket after {what}"
    try:
        for _ in range(3):  # one may have been under way, and a busy server may be late
            while await websocket.receive() != "2":
                pass
            pinged = True
            await websocket.send("3")
    except Closed:
        late = trio.current_time() - began > 0.9 * trial.target.ping_timeout
        trial.check(not (pinged and late), f"after {what} the WebSocket ended only with its ping timeout", expected)
        return
    except Silence:
        pass
    trial.fail(f"the WebSocket stays open after {what}", expected)


async def drop(websocket: WebSocketPeer, data: bytes) -> None:
    """Send bytes on a WebSocket, which the server may close meanwhile, and end the connection without a word."""
    with suppress(Closed):
        await websocket.send_raw(data)
    await websocket.hang_up()


async def flood(websocket: WebSocketPeer, frames: Sequence[bytes]) -> None:
    """Send frames, many to a write; the server may close the WebSocket meanwhile, which the next `receive` shows."""
    with suppress(Closed):
        for begins in range(0, len(frames), 500):
            await websocket.send_raw(b"".join(frames[begins : begins + 500]))


async def in_waves(count: int, action: Callable[[], Awaitable[None]]) -> None:
    """Do something many times, `WAVE` at the same time."""
    for begins in range(0, count, WAVE):
        async with trio.open_nursery() as nursery:
            for _ in range(min(WAVE, count - begins)):
                nursery.start_soon(action)


@asynccontextmanager
async def neighbour(trial: Trial) -> AsyncIterator[None]:
    """Have a well-behaved client connected during the body; fail unless it stays connected, and is served afterwards.

    Raises:
        Failure: Its connection ended, or its message did not come back.
    """
    session = await trial.open("polling" if Need.WEBSOCKET in trial.target.lacks else "websocket")
    expected = trial.dialect.back("neighbour")[0]
    came_back = trio.Event()

    async def stay() -> None:
        try:
            while True:
                frame = await _next(trial, session)
                if frame == expected:
                    came_back.set()
        except PeerError as error:
            raise Failure(f"a well-behaved client, connected before, lost its connection: {error}") from error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stay)
        yield
        for frame in trial.dialect.say("neighbour"):
            await session.send(frame)
        with trio.move_on_after(trial.target.timeout):
            await came_back.wait()
        if not came_back.is_set():
            raise Failure("a well-behaved client, connected before, is no longer served")
        nursery.cancel_scope.cancel()


async def _next(trial: Trial, session: Session) -> str | bytes:
    while True:
        try:
            return await trial.next(session)
        except Silence:  # nothing is due before the end
            continue
