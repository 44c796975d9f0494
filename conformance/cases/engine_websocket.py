"""Messages over a WebSocket: one packet in one frame, of every kind and size."""

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Closed, frame
from trio_socketio.conformance.sections import (
    EIO_HANDSHAKE,
    EIO_MESSAGE,
    EIO_PROTOCOL,
    EIO_WEBSOCKET_ENCODING,
    rfc,
)
from trio_socketio.conformance.trial import Trial
from wsproto.events import TextMessage

TEXT, BINARY = 1, 2
"""The opcodes of messages (RFC 6455, section 5.2)."""

MESSAGE_TOO_BIG = 1009
"""The code of the Close frame (RFC 6455, section 7.4.1)."""

LARGEST: Final = 16 << 20
"""Bytes that the suite is ready to send, where a server takes even more."""


def raw(frames: Sequence[str | bytes]) -> bytes:
    """Return messages as a client puts them on the wire, each in one frame."""
    return b"".join(frame(TEXT, each.encode()) if isinstance(each, str) else frame(BINARY, each) for each in frames)


def filling(size: int, frames: Callable[[str], list[str | bytes]]) -> str:
    """Return the text with which `say` or `back` of the dialect make a frame of that many bytes."""
    return "x" * (size - len(frames("")[0]))


@case(
    "eio.websocket.text",
    Level.MUST,
    EIO_MESSAGE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A text message over a WebSocket reaches the application, and its answer the client",
    expected="the message comes back, once, in a text frame",
    why="This is what everything else is made of.",
)
async def text(trial: Trial) -> None:
    session = await trial.open("websocket")
    for content in ("hello", "4", "1", "2probe", "a\nb\r\n", '"quoted" \\ {}'):
        await trial.echo(session, content)


@case(
    "eio.websocket.binary",
    Level.MUST,
    EIO_WEBSOCKET_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A binary message crosses a WebSocket in a binary frame, byte for byte",
    expected="the same bytes come back, once, in a binary frame without a packet type",
    why="Files and audio are sent this way; a type byte or a base64 text in front spoils them.",
)
async def binary(trial: Trial) -> None:
    session = await trial.open("websocket")
    for content in (b"\x01\x02\x03\x04", b"4hello", b"bAQIDBA==", bytes(range(256))):
        await trial.echo(session, content)


@case(
    "eio.websocket.empty.text",
    Level.MUST,
    EIO_WEBSOCKET_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An empty text message is a message",
    expected="it comes back, empty",
    why="The payload of a packet is optional; an empty chat line must not end the session.",
)
async def empty_text(trial: Trial) -> None:
    session = await trial.open("websocket")
    await trial.echo(session, "")
    await trial.echo(session, "after it")


@case(
    "eio.websocket.empty.binary",
    Level.SHOULD,
    EIO_WEBSOCKET_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An empty binary message is a message",
    expected="it comes back as an empty binary frame",
    why="An empty file is a file; with Socket.IO a lost attachment leaves the packet waiting for it for ever.",
)
async def empty_binary(trial: Trial) -> None:
    session = await trial.open("websocket")
    await trial.echo(session, b"")
    await trial.echo(session, "after it")


@case(
    "eio.websocket.unicode",
    Level.MUST,
    EIO_WEBSOCKET_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Text of every kind survives the way through the server",
    expected="the same characters come back, those beyond the basic plane and NUL included",
    why="People write in all scripts, and with emoji.",
)
async def unicode_text(trial: Trial) -> None:
    session = await trial.open("websocket")
    for content in (
        "€ ñ 中文 עברית",
        "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u2028\ufeff\ufffd",
        "a\0b",
    ):
        for each in trial.dialect.say(content):
            await session.send(each)
        answer = await trial.next(session)
        if trial.dialect.socketio:  # JSON has several ways to write a character
            trial.equal(_json(answer), ["message-back", content], "the event that came back")
        else:
            trial.equal(answer, f"4{content}", "the frame that came back")


def _json(frame_: str | bytes) -> object:
    try:
        return json.loads(frame_[2:])
    except ValueError:
        return frame_


@case(
    "eio.websocket.size.short",
    Level.MUST,
    rfc(6455, "5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Frames of 125, 126 and 127 bytes cross both ways",
    expected="messages whose frames, or whose answers' frames, have just these sizes come back unchanged",
    why="At 126 bytes the length moves to another field; a mistake there loses every message of that size.",
)
async def short_sizes(trial: Trial) -> None:
    await _sizes_cross(trial, 125, 126, 127)


@case(
    "eio.websocket.size.long",
    Level.MUST,
    rfc(6455, "5.2"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="Frames of 65535, 65536 and 65537 bytes cross both ways",
    expected="messages whose frames, or whose answers' frames, have just these sizes come back unchanged",
    why="At 65536 bytes the length moves to another field; a mistake there loses every message of that size.",
)
async def long_sizes(trial: Trial) -> None:
    if trial.handshake.max_payload < 1 << 17:
        trial.skip("the server takes no messages of that size")
    await _sizes_cross(trial, 65535, 65536, 65537)


async def _sizes_cross(trial: Trial, *sizes: int) -> None:
    session = await trial.open("websocket")
    for size in sizes:
        await trial.echo(session, filling(size, trial.dialect.say))
        await trial.echo(session, filling(size, trial.dialect.back))
        await trial.echo(session, bytes(range(1, 252)) * (size // 251) + b"\0" * (size % 251))


@case(
    "eio.websocket.max-payload.exact",
    Level.SHOULD,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A message of exactly maxPayload bytes is taken",
    expected="it comes back",
    why="Clients take maxPayload from the handshake as what is allowed.",
)
async def exactly_the_limit(trial: Trial) -> None:
    size = _limit(trial)
    session = await trial.open("websocket")
    await trial.echo(session, filling(size, trial.dialect.say))


@case(
    "eio.websocket.max-payload.over",
    Level.SHOULD,
    rfc(6455, "7.4.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A message of one byte more than maxPayload is refused with 1009",
    expected="a Close frame with code 1009 (message too big), and nothing of the message",
    why="Otherwise one client can fill the server's memory; the code tells a developer why the connection ended.",
)
async def over_the_limit(trial: Trial) -> None:
    size = _limit(trial)
    await _expect_too_large(trial, filling(size + 1, trial.dialect.say), b"x" * (size + 1))


async def _expect_too_large(trial: Trial, *contents: str | bytes) -> None:
    for content in contents:
        session = await trial.open("websocket")
        heard = len(session.frames)
        with suppress(Closed):  # the server need not read to the end; its Close frame counts
            for each in trial.dialect.say(content):
                await session.send(each)
        await trial.expect_dropped(session, MESSAGE_TOO_BIG)
        trial.check(all(each == "2" for each in session.frames[heard:]), "the message came back")


@case(
    "eio.websocket.max-payload.bytes",
    Level.SHOULD,
    EIO_HANDSHAKE,
    Need.WEBSOCKET,
    Need.ECHO,
    title="maxPayload counts bytes and not characters",
    expected="a Close frame with code 1009 after a text that has fewer characters than maxPayload, but more bytes",
    why="Memory is needed for bytes; text in most scripts of the world has two or three for each character.",
)
async def limit_in_bytes(trial: Trial) -> None:
    room = len(filling(_limit(trial) + 1, trial.dialect.say))
    await _expect_too_large(trial, "\u20ac" * (room // 3) + "x" * (room % 3))


@case(
    "eio.websocket.max-payload.far-over",
    Level.SHOULD,
    rfc(6455, "7.1.7"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A message of three times maxPayload is refused with 1009 too",
    expected="a Close frame with code 1009, which reaches the client though it was still sending",
    why="A server that hangs up with input unread resets the connection, and the Close frame with the reason is lost.",
)
async def far_over_the_limit(trial: Trial) -> None:
    await _expect_too_large(trial, filling(3 * _limit(trial), trial.dialect.say))


@case(
    "eio.websocket.max-payload.fragmented",
    Level.SHOULD,
    rfc(6455, "10.4"),
    Need.WEBSOCKET,
    title="Fragments are counted together, while they come",
    expected="a Close frame with code 1009 once the fragments exceed maxPayload, though the last has not come",
    why="A limit that looks at each frame, or at the whole message only when it is complete, protects nobody.",
)
async def fragments_over_the_limit(trial: Trial) -> None:
    size = _limit(trial)
    session = await trial.open_websocket()
    part = "4" + "x" * (size // 2)
    with suppress(Closed):  # the server need not read to the end; its Close frame counts
        for _ in range(2):
            await session.send_event(TextMessage(data=part, message_finished=False))
    await trial.expect_closed(session, MESSAGE_TOO_BIG)


def _limit(trial: Trial) -> int:
    size = trial.handshake.max_payload
    if not 1 << 10 <= size <= LARGEST:
        trial.skip(f"maxPayload is {size} bytes, and only 1 KiB to {LARGEST >> 20} MiB are tried")
    return size


# Packets.


@case(
    "eio.websocket.packet.unknown",
    Level.MUST,
    EIO_PROTOCOL,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame that is no packet ends the session",
    expected="the server closes the WebSocket after abc",
    why="Both sides have lost track of each other; going on would deliver wrong things.",
)
async def unknown_packet(trial: Trial) -> None:
    session = await trial.open("websocket")
    await session.send("abc")
    await trial.expect_dropped(session)


@case(
    "eio.websocket.packet.malformed",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A frame whose first character is no packet type ends the session",
    expected="the server closes the WebSocket after an empty text frame, after 7, 9x and a space",
    why="There are seven packet types; what is none of them must not pass for one.",
)
async def malformed_packets(trial: Trial) -> None:
    for malformed in ("", "7", "9x", " 4hello", "\uff14hello"):
        session = await trial.open("websocket")
        await session.send(malformed)
        await trial.expect_dropped(session)


@case(
    "eio.websocket.packet.base64",
    Level.SHOULD,
    EIO_WEBSOCKET_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A text frame of b and base64 is a binary message, as it is over polling",
    expected="its bytes come back",
    why="The JavaScript client sends bytes so with forceBase64, the one for Swift when it queued them before the upgrade.",
)
async def base64_in_text(trial: Trial) -> None:
    session = await trial.open("websocket")
    for content in (b"\x01\x02\x03\x04", b""):
        for each in trial.dialect.say(content):
            await session.send(f"b{b64encode(each).decode()}" if isinstance(each, bytes) else each)
        await trial.hear(session, content)


@case(
    "eio.websocket.packet.out-of-place",
    Level.SHOULD,
    EIO_PROTOCOL,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Packets that a client has no business to send do no harm",
    expected="after 0, 5 and 6 the session either ends or goes on as if nothing had come; they are never messages",
    why="A server that takes them for something can be brought into a state that it does not expect.",
)
async def out_of_place(trial: Trial) -> None:
    for packet in ('0{"sid":"mine"}', "5", "6", "6hello"):
        session = await trial.open("websocket")
        await session.send(packet)
        try:
            await trial.echo(session, "after it")
        except Closed:
            continue  # refused, which is as good
