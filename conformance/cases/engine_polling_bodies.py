"""The bodies of long-polling: media types, sizes, how they are sent, and compression."""

import zlib

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.polling_steps import (
    CODINGS,
    REFUSED,
    message_answer,
    packets,
    payload,
    post_status,
    said,
    seen,
    text_comes_back,
)
from trio_socketio.conformance.peer import Response
from trio_socketio.conformance.sections import EIO_HANDSHAKE, EIO_HEADERS, EIO_POLLING_ENCODING, rfc
from trio_socketio.conformance.trial import OK, Trial

ECHO = (Need.POLLING, Need.ECHO)

TOO_LARGE = (413, *REFUSED)

LARGEST = 4_000_000
"""Bytes of a body that the suite sends; a server whose limit is above cannot be shown to keep it."""

LONG = "compress me " * 1000
"""Text that is far above the thresholds in use (1024 bytes), and far below what anybody forbids."""

CHUNKED = [("transfer-encoding", "chunked"), ("content-type", "text/plain;charset=UTF-8")]


# The media type.


async def posted_as(trial: Trial, *headers: tuple[str, str]) -> None:
    """Post a message with these headers, and fail unless it comes back."""
    await text_comes_back(trial, await trial.open("polling"), "grüße", *headers)


@case(
    "eio.polling.type.text",
    Level.MUST,
    EIO_HEADERS,
    *ECHO,
    title="A body may be text/plain, with and without a charset",
    expected="status 200 for text/plain;charset=UTF-8 and for text/plain, and the message comes back",
    why="The official clients send the one in browsers and the other elsewhere.",
)
async def type_text(trial: Trial) -> None:
    await posted_as(trial, ("content-type", "text/plain;charset=UTF-8"))
    await posted_as(trial, ("content-type", "text/plain"))


@case(
    "eio.polling.type.none",
    Level.SHOULD,
    EIO_HEADERS,
    *ECHO,
    title="A body without a Content-Type is text",
    expected="status 200, and the message comes back",
    why="The specification says so, and small clients send none.",
)
async def type_none(trial: Trial) -> None:
    await posted_as(trial)


@case(
    "eio.polling.type.octet-stream",
    Level.MAY,
    EIO_HEADERS,
    *ECHO,
    title="A body may be application/octet-stream",
    expected="status 200, and the message comes back",
    why="The specification asks for it when there is binary data; the reference server, though, refuses it.",
)
async def type_octet_stream(trial: Trial) -> None:
    await posted_as(trial, ("content-type", "application/octet-stream"))


@case(
    "eio.polling.type.others",
    Level.MAY,
    EIO_HEADERS,
    *ECHO,
    title="A body of another type is read as text all the same",
    expected="status 200 for a form and for JSON, and the message comes back as it was sent",
    why="HTTP libraries put in a type of their own, and their users do not know why nothing works.",
)
async def type_others(trial: Trial) -> None:
    await posted_as(trial, ("content-type", "application/x-www-form-urlencoded"))
    await posted_as(trial, ("content-type", "application/json"))


# The size.


def of_size(trial: Trial, size: int, char: str = "x") -> bytes:
    """Return a body of one message that has exactly so many bytes."""
    room = size - len(said(trial, ""))
    width = len(char.encode())
    return said(trial, char * (room // width) + "x" * (room % width))


def limit(trial: Trial) -> int:
    """Return the largest body that the server announces to take."""
    if trial.target.max_payload > LARGEST:
        trial.skip(f"maxPayload is {trial.target.max_payload}, and the suite sends no more than {LARGEST} bytes")
    if trial.target.max_payload <= len(said(trial, "")):
        trial.skip(f"maxPayload is {trial.target.max_payload}, and no message is that small")
    return trial.target.max_payload


async def is_refused(trial: Trial, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Fail unless a body is refused, and its message is not sent back."""
    session = await trial.open("polling")
    status = await post_status(trial, session, body, headers)
    if status is not None:  # a server may end the connection rather than read all of it
        trial.within(status, TOO_LARGE, f"the status of a POST of {len(body)} bytes")
    following = await session.post(said(trial, "small"))
    if following.status == OK:  # the session may go on, but without that message
        expected = payload(*trial.dialect.back("small")).decode()
        came = [packet for packet in packets(await message_answer(trial, session)) if packet not in ("2", "6")]
        trial.equal(came, [expected], "the list of packets after the refusal")


@case(
    "eio.polling.size.at-limit",
    Level.MUST,
    EIO_HANDSHAKE,
    *ECHO,
    title="A body of exactly maxPayload bytes is accepted",
    expected="status 200, and its message comes back whole",
    why="Clients fill a body up to the limit that they were told.",
)
async def size_at_limit(trial: Trial) -> None:
    session = await trial.open("polling")
    body = of_size(trial, limit(trial))
    trial.equal(await post_status(trial, session, body), OK, f"the status of a POST of {len(body)} bytes")
    came = [packet for packet in packets(await message_answer(trial, session)) if packet != "2"]
    content = "x" * (len(body) - len(said(trial, "")))
    trial.check(
        came == payload(*trial.dialect.back(content)).decode().split("\x1e"),
        f"packets of {[len(packet) for packet in came]} characters came back",
        f"one packet with {len(content)} characters of content",
    )


@case(
    "eio.polling.size.over-limit",
    Level.SHOULD,
    EIO_HANDSHAKE,
    *ECHO,
    title="A body of one byte more than maxPayload is refused",
    expected="status 413 or 400, and its message does not come back",
    why="Without a limit anybody can fill the server's memory.",
)
async def size_over_limit(trial: Trial) -> None:
    await is_refused(trial, of_size(trial, limit(trial) + 1))


@case(
    "eio.polling.size.in-bytes",
    Level.SHOULD,
    EIO_HANDSHAKE,
    *ECHO,
    title="The limit counts bytes and not characters",
    expected="status 413 or 400 for a body of one byte more than maxPayload in half as many characters",
    why="maxPayload is a number of bytes; otherwise the server takes up to four times as much as it says.",
)
async def size_in_bytes(trial: Trial) -> None:
    await is_refused(trial, of_size(trial, limit(trial) + 1, "ß"))


@case(
    "eio.polling.size.chunked",
    Level.SHOULD,
    EIO_HANDSHAKE,
    *ECHO,
    title="The limit holds for a body that does not say how long it is",
    expected="status 413 or 400 for a chunked body of one byte more than maxPayload",
    why="Who looks at Content-Length alone can be flooded by leaving it out.",
)
async def size_chunked(trial: Trial) -> None:
    await is_refused(trial, of_size(trial, limit(trial) + 1), tuple(CHUNKED))


# How it is sent.


@case(
    "eio.polling.body.chunked",
    Level.MUST,
    rfc(9112, "7.1"),
    *ECHO,
    title="A body may be chunked, without a Content-Length",
    expected="status 200, and the message comes back",
    why="Clients and proxies that stream know no length beforehand.",
)
async def body_chunked(trial: Trial) -> None:
    await posted_as(trial, *CHUNKED)


@case(
    "eio.polling.body.in-pieces",
    Level.MUST,
    rfc(9112, "6.3"),
    *ECHO,
    title="A body may arrive in pieces, cut anywhere",
    expected="status 200, and the message comes back, although a character was cut in two",
    why="The network cuts where it likes; who decodes each piece alone damages text.",
)
async def body_in_pieces(trial: Trial) -> None:
    session = await trial.open("polling")
    text = "grüße 😀 aus Köln"
    body = said(trial, text)
    cuts = [body.index("ü".encode()) + 1, body.index("😀".encode()) + 2]
    head = f"POST {session.target()} HTTP/1.1\r\nHost: {trial.peer.host}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with trial.peer.http() as connection:
        for piece in (head.encode(), body[: cuts[0]], body[cuts[0] : cuts[1]], body[cuts[1] :]):
            await connection.wire.send(piece)
            await seen(trial)
        await connection.send_raw(b"")
        trial.equal((await connection.receive()).status, OK, "the status")
    await trial.hear(session, text)


@case(
    "eio.polling.body.expect-continue",
    Level.MUST,
    rfc(9110, "10.1.1"),
    *ECHO,
    title="A client that asks before it sends its body is answered",
    expected="status 200 after 100, or without it, and the message comes back",
    why="Some HTTP libraries ask so before every POST, and wait a second or for ever.",
)
async def body_expect_continue(trial: Trial) -> None:
    await posted_as(trial, ("expect", "100-continue"))


# Compression.


async def long_answer(trial: Trial, *headers: tuple[str, str]) -> Response:
    """Return the answer to a GET with these headers, in which a long message comes back; fail unless it is whole."""
    session = await trial.open("polling")
    await session.post(said(trial, LONG))
    response = await message_answer(trial, session, headers)
    try:
        came = [packet for packet in packets(response) if packet != "2"]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        trial.fail(f"the body cannot be decoded ({error}): {response.body[:40]!r}")
    trial.check(came == [payload(*trial.dialect.back(LONG)).decode()], f"{str(came)[:200]} came back")
    return response


@case(
    "eio.polling.compression.gzip",
    Level.SHOULD,
    rfc(9110, "12.5.3"),
    *ECHO,
    title="A long answer is compressed with gzip if the client accepts it",
    expected="Content-Encoding: gzip, and the right message in it",
    why="Long-polling carries the same text again and again; both well-known servers compress it.",
)
async def compression_gzip(trial: Trial) -> None:
    response = await long_answer(trial, ("accept-encoding", "gzip"))
    trial.equal(response.header("content-encoding"), "gzip", "Content-Encoding")
    trial.check(len(response.body) < len(LONG) // 2, f"the body has {len(response.body)} bytes")


@case(
    "eio.polling.compression.deflate",
    Level.MAY,
    rfc(9110, "8.4.1.2"),
    *ECHO,
    title="A long answer is compressed with deflate if the client accepts that alone",
    expected="Content-Encoding: deflate, in the zlib format, and the right message in it",
    why="A client without gzip saves as much.",
)
async def compression_deflate(trial: Trial) -> None:
    response = await long_answer(trial, ("accept-encoding", "deflate"))
    trial.equal(response.header("content-encoding"), "deflate", "Content-Encoding")


@case(
    "eio.polling.compression.browser",
    Level.MUST,
    rfc(9110, "12.5.3"),
    *ECHO,
    title="Whatever a browser accepts, the answer can be decoded",
    expected="the right message, with no coding or with one of those in Accept-Encoding: gzip, deflate",
    why="Browsers name several codings at once.",
)
async def compression_browser(trial: Trial) -> None:
    response = await long_answer(trial, ("accept-encoding", "gzip, deflate"))
    trial.within(response.header("content-encoding"), (None, "identity", *CODINGS), "Content-Encoding")


@case(
    "eio.polling.compression.unasked",
    Level.MUST,
    rfc(9110, "12.5.3"),
    *ECHO,
    title="An answer is not compressed for a client that does not ask for it",
    expected="no Content-Encoding, and the plain message",
    why="The official client in Node sends no Accept-Encoding and cannot decode anything.",
)
async def compression_unasked(trial: Trial) -> None:
    response = await long_answer(trial)
    trial.within(response.header("content-encoding"), (None, "identity"), "Content-Encoding")


@case(
    "eio.polling.compression.declined",
    Level.SHOULD,
    rfc(9110, "12.5.3"),
    *ECHO,
    title="An answer is not compressed in a way that the client declines",
    expected="no Content-Encoding for Accept-Encoding: identity, and for gzip;q=0, deflate;q=0",
    why="A weight of 0 means no.",
)
async def compression_declined(trial: Trial) -> None:
    for accepted in ("identity", "gzip;q=0, deflate;q=0"):
        response = await long_answer(trial, ("accept-encoding", accepted))
        trial.within(response.header("content-encoding"), (None, "identity"), f"Content-Encoding for {accepted}")


@case(
    "eio.polling.compression.short",
    Level.MAY,
    EIO_POLLING_ENCODING,
    *ECHO,
    title="A short answer is not compressed",
    expected="no Content-Encoding for a message of five characters",
    why="It would become longer, and take time for it.",
)
async def compression_short(trial: Trial) -> None:
    session = await trial.open("polling")
    await session.post(said(trial, "short"))
    response = await message_answer(trial, session, [("accept-encoding", "gzip, deflate")])
    trial.within(response.header("content-encoding"), (None, "identity"), "Content-Encoding")
