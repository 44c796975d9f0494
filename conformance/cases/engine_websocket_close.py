"""The closing handshake of a WebSocket (RFC 6455, sections 5.5.1 and 7)."""

from collections.abc import Sequence

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_websocket import raw
from trio_socketio.conformance.cases.engine_websocket_frames import INVALID_DATA, PROTOCOL_ERROR
from trio_socketio.conformance.peer import WebSocketPeer, frame
from trio_socketio.conformance.sections import rfc
from trio_socketio.conformance.trial import Trial

CLOSE = 8
"""The opcode of a Close frame (RFC 6455, section 5.2)."""


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """Return a Close frame of a client."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


async def _close(trial: Trial, data: bytes) -> tuple[WebSocketPeer, int | None]:
    """Send a Close frame on a new WebSocket; return that, and the code in the server's Close frame, None without one."""
    session = await trial.open("websocket")
    await session.send_raw(data)
    code = (await trial.expect_dropped(session)).code
    return session, None if code is None else int(code)


@case(
    "eio.websocket.close.answered",
    Level.MUST,
    rfc(6455, "5.5.1"),
    Need.WEBSOCKET,
    title="A Close frame is answered with a Close frame",
    expected="a Close frame after one with code 1000, one with code and reason, one with an application's code, an empty one",
    why="A browser reports a connection that ends without it as broken (code 1006).",
)
async def close_is_answered(trial: Trial) -> None:
    for data in (close_frame(1000), close_frame(1001, b"going away"), close_frame(4000), frame(CLOSE)):
        _, code = await _close(trial, data)
        trial.check(code is not None, "the connection ended without a Close frame", "a Close frame comes")


@case(
    "eio.websocket.close.code",
    Level.SHOULD,
    rfc(6455, "5.5.1"),
    Need.WEBSOCKET,
    title="The answer to a Close frame echoes its code",
    expected="the codes 1000, 1001 and 3000 come back",
    why="An endpoint typically echoes the code; the client's own report shows the one that came back.",
)
async def close_code_is_echoed(trial: Trial) -> None:
    for code in (1000, 1001, 3000):
        _, answer = await _close(trial, close_frame(code))
        trial.equal(answer, code, "the code of the Close frame")


@case(
    "eio.websocket.close.tcp",
    Level.MUST,
    rfc(6455, "7.1.1"),
    Need.WEBSOCKET,
    title="After the closing handshake the server ends the TCP connection",
    expected="nothing behind the server's Close frame but the end of the connection",
    why="Clients wait for the server to end it, so that no port of theirs is kept in TIME_WAIT.",
)
async def connection_ends(trial: Trial) -> None:
    session, _ = await _close(trial, close_frame(1000))
    with session.wire.patient("the connection did not end"):
        trial.equal(await session.wire.receive(), b"", "what came behind the Close frame")


@case(
    "eio.websocket.close.frames-behind",
    Level.MUST,
    rfc(6455, "5.5.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Frames behind a Close frame are ignored",
    expected="the Close frame is answered; a message and a Ping behind it in the same segment are not",
    why="The Close frame is the last thing that counts.",
)
async def frames_behind(trial: Trial) -> None:
    session = await trial.open("websocket")
    before = len(session.frames)
    await session.send_raw(close_frame(1000) + raw(trial.dialect.say("too late")) + frame(9, b"too late"))
    closed = await trial.expect_dropped(session)
    trial.check(closed.code is not None, "the connection ended without a Close frame", "a Close frame comes")
    came = [each for each in session.frames[before:] if each != "2"]
    trial.equal(came, [], "the list of messages that came")
    trial.equal(session.pongs, [], "the list of Pong frames that came")


async def _expect_code(trial: Trial, wrong: Sequence[bytes], expected: int) -> None:
    for data in wrong:
        _, code = await _close(trial, data)
        trial.equal(code, expected, "the code of the Close frame")


@case(
    "eio.websocket.close.invalid-code",
    Level.SHOULD,
    rfc(6455, "7.4"),
    Need.WEBSOCKET,
    title="A Close frame with a code that must not be sent is a protocol error",
    expected="a Close frame with code 1002 for the codes 0, 999, 1004, 1005, 1006, 1015 and 1016",
    why="These codes mean something to an application only if no peer can send them.",
)
async def invalid_codes(trial: Trial) -> None:
    await _expect_code(trial, [close_frame(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016)], PROTOCOL_ERROR)


@case(
    "eio.websocket.close.one-byte",
    Level.SHOULD,
    rfc(6455, "5.5.1"),
    Need.WEBSOCKET,
    title="A Close frame of one byte is a protocol error",
    expected="a Close frame with code 1002",
    why="A body begins with a code of two bytes; half a code must not be read past its end.",
)
async def one_byte(trial: Trial) -> None:
    await _expect_code(trial, [frame(CLOSE, b"\x03")], PROTOCOL_ERROR)


@case(
    "eio.websocket.close.too-long",
    Level.SHOULD,
    rfc(6455, "5.5"),
    Need.WEBSOCKET,
    title="A Close frame of more than 125 bytes is a protocol error",
    expected="a Close frame with code 1002",
    why="Control frames are short, so that nobody needs to keep room for a long one.",
)
async def too_long(trial: Trial) -> None:
    await _expect_code(trial, [close_frame(1000, b"x" * 124)], PROTOCOL_ERROR)


@case(
    "eio.websocket.close.reason-utf8",
    Level.SHOULD,
    rfc(6455, "8.1"),
    Need.WEBSOCKET,
    title="A reason that is not UTF-8 is invalid data",
    expected="a Close frame with code 1007",
    why="The reason goes to logs and to applications, as text.",
)
async def reason_not_utf_8(trial: Trial) -> None:
    await _expect_code(trial, [close_frame(1000, b"bye \xff")], INVALID_DATA)
