"""The layer below (RFC 6455): fragments, control frames, and the frames that no client may send."""

from collections.abc import Callable, Sequence

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.engine_websocket import BINARY, TEXT, raw
from trio_socketio.conformance.peer import WebSocketPeer, frame
from trio_socketio.conformance.sections import rfc
from trio_socketio.conformance.trial import Trial

CONTINUATION, PING, PONG = 0, 9, 10
"""More opcodes (RFC 6455, section 5.2)."""

PROTOCOL_ERROR, INVALID_DATA = 1002, 1007
"""Codes of Close frames (RFC 6455, section 7.4.1)."""

Cut = Callable[[bytes], Sequence[bytes]]


# Fragments.


def _halves(data: bytes) -> Sequence[bytes]:
    return data[: len(data) // 2], data[len(data) // 2 :]


def _bytes(data: bytes) -> Sequence[bytes]:
    return [bytes([byte]) for byte in data]


def _with_empty_ones(data: bytes) -> Sequence[bytes]:
    return b"", data[:1], b"", b"", data[1:], b""


def _fragments(opcode: int, parts: Sequence[bytes]) -> list[bytes]:
    last = len(parts) - 1
    return [frame(CONTINUATION if i else opcode, part, final=i == last) for i, part in enumerate(parts)]


async def _echo_in_fragments(trial: Trial, session: WebSocketPeer, content: str | bytes, cut: Cut) -> None:
    for each in trial.dialect.say(content):
        opcode, data = (TEXT, each.encode()) if isinstance(each, str) else (BINARY, each)
        await session.send_raw(b"".join(_fragments(opcode, cut(data))))
    await trial.hear(session, content)


@case(
    "eio.websocket.fragments.text",
    Level.MUST,
    rfc(6455, "5.4"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A text message in two fragments is one message",
    expected="it comes back whole",
    why="Clients and proxies may fragment a message as they like.",
)
async def fragmented_text(trial: Trial) -> None:
    session = await trial.open("websocket")
    await _echo_in_fragments(trial, session, "hello world", _halves)
    await trial.echo(session, "after it")


@case(
    "eio.websocket.fragments.binary",
    Level.MUST,
    rfc(6455, "5.4"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A binary message in two fragments is one message",
    expected="it comes back whole",
    why="Clients and proxies may fragment a message as they like.",
)
async def fragmented_binary(trial: Trial) -> None:
    session = await trial.open("websocket")
    await _echo_in_fragments(trial, session, b"\x01\x02\x03\xff", _halves)
    await trial.echo(session, b"after it")


@case(
    "eio.websocket.fragments.many",
    Level.MUST,
    rfc(6455, "5.4"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A message in two thousand fragments is one message",
    expected="it comes back whole, be it text or binary",
    why="A client that streams a message does not know its length when it begins.",
)
async def many_fragments(trial: Trial) -> None:
    session = await trial.open("websocket")
    await _echo_in_fragments(trial, session, "0123456789" * 200, _bytes)
    await _echo_in_fragments(trial, session, bytes(range(250)) * 8, _bytes)


@case(
    "eio.websocket.fragments.empty",
    Level.MUST,
    rfc(6455, "5.4"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Empty fragments at either end and in between add nothing",
    expected="the message comes back whole",
    why="A client that streams a message ends it with an empty fragment.",
)
async def empty_fragments(trial: Trial) -> None:
    session = await trial.open("websocket")
    await _echo_in_fragments(trial, session, "hello", _with_empty_ones)
    await _echo_in_fragments(trial, session, b"\x01\x02\x03", _with_empty_ones)


@case(
    "eio.websocket.fragments.character",
    Level.MUST,
    rfc(6455, "5.6"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A character may be split between two fragments",
    expected="the text comes back whole, wherever it was cut",
    why="Fragments are cut by bytes; a particular fragment need not be valid UTF-8.",
)
async def split_character(trial: Trial) -> None:
    session = await trial.open("websocket")
    content = "smile \u00e9\u20ac\U0001f600 please"
    [text] = trial.dialect.say(content)
    expected = await _answer(trial, session, raw([text]))  # JSON has several ways to write a character
    for first in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"):
        at = str(text).encode().index(first) + len(first)
        data = str(text).encode()
        answer = await _answer(trial, session, b"".join(_fragments(TEXT, [data[:at], data[at:]])))
        trial.equal(answer, expected, "the answer")


async def _answer(trial: Trial, session: WebSocketPeer, data: bytes) -> str | bytes:
    await session.send_raw(data)
    return await trial.next(session)


# Control frames.


@case(
    "eio.websocket.fragments.control-between",
    Level.MUST,
    rfc(6455, "5.4"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Control frames may come between the fragments of a message",
    expected="the message comes back whole, and the Ping frame is answered",
    why="A proxy's or a browser's keep-alive does not wait for the end of a long upload.",
)
async def control_between_fragments(trial: Trial) -> None:
    session = await trial.open("websocket")
    [text] = trial.dialect.say("hello")
    first, second = _fragments(TEXT, _halves(str(text).encode()))
    await session.send_raw(first + frame(PING, b"between") + frame(PONG) + second)
    await trial.hear(session, "hello")
    await _expect_pong(trial, session, b"between")


@case(
    "eio.websocket.ping.answered",
    Level.MUST,
    rfc(6455, "5.5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A Ping frame is answered with a Pong frame that has the same payload",
    expected="Pong frames with the payloads of the pings: text, bytes, nothing, 125 bytes",
    why="Proxies and some client libraries close a connection whose pings stay unanswered.",
)
async def ping_frame(trial: Trial) -> None:
    session = await trial.open("websocket")
    for payload in (b"are you there?", b"\x00\xff\xfe", b"", b"x" * 125):
        session.pongs.clear()
        await session.send_raw(frame(PING, payload))
        await _expect_pong(trial, session, payload)


async def _expect_pong(trial: Trial, session: WebSocketPeer, payload: bytes) -> None:
    for _ in range(20):  # a pong is due as soon as it is practical; messages may come first
        if session.pongs:
            break
        await trial.echo(session, "meanwhile")
    trial.equal(session.pongs, [payload], "the list of the payloads of Pong frames")


@case(
    "eio.websocket.pong.unsolicited",
    Level.MUST,
    rfc(6455, "5.5.3"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A Pong frame that nobody asked for does nothing",
    expected="no answer, and the session goes on",
    why="Browsers and proxies send them as a one-sided heartbeat.",
)
async def unsolicited_pong(trial: Trial) -> None:
    session = await trial.open("websocket")
    await session.send_raw(frame(PONG, b"just so"))
    await trial.echo(session, "after it")
    trial.equal(session.pongs, [], "the list of Pong frames")


# What no client may send.


async def _expect_each_dropped(trial: Trial, wrong: Sequence[bytes], *codes: int) -> None:
    for data in wrong:
        session = await trial.open("websocket")
        heard = len(session.frames)
        await session.send_raw(data)
        await trial.expect_dropped(session, *codes)
        came = [each for each in session.frames[heard:] if each != "2"]
        trial.equal(came, [], "the list of messages that came before the close")


def _text(trial: Trial, *, masked: bool = True, reserved: int = 0) -> bytes:
    """Return a message that would be answered, were its frame not wrong."""
    [text] = trial.dialect.say("hello")
    return frame(TEXT, str(text).encode(), masked=masked, reserved=reserved)


def _reserved_bits(trial: Trial) -> list[bytes]:
    return [_text(trial, reserved=bits) for bits in (1, 2, 4, 7)]


def _reserved_opcodes() -> list[bytes]:
    return [frame(opcode, b"hello") for opcode in (3, 7, 11, 15)]


def _wrong_control_frames() -> list[bytes]:
    return [frame(PING, b"x" * 126), frame(PONG, b"x" * 126), frame(PING, b"x", final=False)]


def _wrong_fragments(trial: Trial) -> list[bytes]:
    return [frame(CONTINUATION, b"4hello"), frame(TEXT, b"4he", final=False) + _text(trial)]


@case(
    "eio.websocket.violation.unmasked",
    Level.MUST,
    rfc(6455, "5.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame that is not masked ends the connection",
    expected="the server closes the WebSocket, and the message is not answered",
    why="Masking keeps scripts from writing bytes of their choice through proxies; a server must insist on it.",
)
async def unmasked(trial: Trial) -> None:
    await _expect_each_dropped(trial, [_text(trial, masked=False)])


@case(
    "eio.websocket.violation.reserved-bits",
    Level.MUST,
    rfc(6455, "5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A reserved bit that no extension has defined ends the connection",
    expected="the server closes the WebSocket, and the message is not answered",
    why="The bit changes what the payload means, for example that it is compressed.",
)
async def reserved_bits(trial: Trial) -> None:
    await _expect_each_dropped(trial, _reserved_bits(trial))


@case(
    "eio.websocket.violation.reserved-opcodes",
    Level.MUST,
    rfc(6455, "5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame of an unknown kind ends the connection",
    expected="the server closes the WebSocket after the opcodes 3, 7, 11 and 15",
    why="What is not understood must not be taken for something else.",
)
async def reserved_opcodes(trial: Trial) -> None:
    await _expect_each_dropped(trial, _reserved_opcodes())


@case(
    "eio.websocket.violation.control-frames",
    Level.SHOULD,
    rfc(6455, "5.5"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A control frame that is too long or fragmented ends the connection",
    expected="the server closes the WebSocket after Ping and Pong frames of 126 bytes, and after one that is not final",
    why="Control frames come between fragments; they must be small and whole for that.",
)
async def wrong_control_frames(trial: Trial) -> None:
    await _expect_each_dropped(trial, _wrong_control_frames())


@case(
    "eio.websocket.violation.fragments",
    Level.SHOULD,
    rfc(6455, "5.4"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Fragments out of order end the connection",
    expected="the server closes after a continuation of nothing, and after a new message before the last was complete",
    why="Pieces of two messages would be mixed up.",
)
async def wrong_fragments(trial: Trial) -> None:
    await _expect_each_dropped(trial, _wrong_fragments(trial))


@case(
    "eio.websocket.violation.code",
    Level.SHOULD,
    rfc(6455, "7.4.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Whoever breaks RFC 6455 is told so with code 1002",
    expected="a Close frame with code 1002 (protocol error) for each wrong frame",
    why="The code is all that the author of a client library learns of the mistake.",
)
async def violation_code(trial: Trial) -> None:
    wrong = [
        _text(trial, masked=False),
        *_reserved_bits(trial),
        *_reserved_opcodes(),
        *_wrong_control_frames(),
        *_wrong_fragments(trial),
    ]
    await _expect_each_dropped(trial, wrong, PROTOCOL_ERROR)


# UTF-8.

_NOT_UTF_8 = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80")
"""A byte that never occurs, an overlong form, a surrogate, what is beyond the last character, half a character, its end alone."""


def _not_utf_8(trial: Trial) -> list[bytes]:
    [text] = trial.dialect.say("@")
    return [str(text).encode().replace(b"@", wrong) for wrong in _NOT_UTF_8]


@case(
    "eio.websocket.utf8.invalid",
    Level.MUST,
    rfc(6455, "8.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A text message that is not UTF-8 ends the connection",
    expected="the server closes the WebSocket after each kind of invalid UTF-8, and answers none",
    why="Text that is repaired or passed on as it is differs from what was sent, and may break whoever gets it.",
)
async def invalid_utf_8(trial: Trial) -> None:
    await _expect_each_dropped(trial, [frame(TEXT, data) for data in _not_utf_8(trial)])


@case(
    "eio.websocket.utf8.split",
    Level.MUST,
    rfc(6455, "8.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="UTF-8 is checked across fragments",
    expected="the server closes the WebSocket, though each fragment alone could be part of a valid text",
    why="A check of each fragment lets a broken character through where they meet.",
)
async def invalid_utf_8_across_fragments(trial: Trial) -> None:
    [text] = trial.dialect.say("@")
    before, after = str(text).encode().split(b"@")
    parts = [(before + b"\xe2\x82", b"@" + after), (before + b"\xf0\x9f", b"\xc3\xa9" + after)]
    await _expect_each_dropped(trial, [b"".join(_fragments(TEXT, part)) for part in parts])


@case(
    "eio.websocket.utf8.code",
    Level.SHOULD,
    rfc(6455, "7.4.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Whoever sends text that is not UTF-8 is told so with code 1007",
    expected="a Close frame with code 1007 (invalid frame payload data)",
    why="The code is all that the author of a client library learns of the mistake.",
)
async def invalid_utf_8_code(trial: Trial) -> None:
    await _expect_each_dropped(trial, [frame(TEXT, data) for data in _not_utf_8(trial)], INVALID_DATA)


@case(
    "eio.websocket.utf8.at-once",
    Level.MAY,
    rfc(6455, "8.1"),
    Need.WEBSOCKET,
    title="Invalid UTF-8 is noticed in the fragment where it stands",
    expected="a Close frame with code 1007 before the message is complete",
    why="The rest of a long message need not be read to know that it is void.",
)
async def invalid_utf_8_at_once(trial: Trial) -> None:
    session = await trial.open_websocket()
    await session.send_raw(frame(TEXT, b"4hello \xff", final=False))
    await trial.expect_closed(session, INVALID_DATA)
