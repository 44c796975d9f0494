"""Steps that cases of long-polling share."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio
from trio_socketio.conformance.peer import HTTPConnection, PeerError, Polling, Response, Silence
from trio_socketio.conformance.trial import BAD_REQUEST, OK, Trial
from trio_socketio.protocol import engineio

REFUSED: Final = (BAD_REQUEST, 500)
"""What the published suite takes as a refusal: the reference server has used both."""

CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
"""The content codings that a server may use (RFC 9110, section 8.4.1)."""


def payload(*frames: str | bytes) -> bytes:
    """Return the body that carries packets, given as WebSocket would carry them."""
    return engineio.encode_payload([engineio.decode_packet(frame) for frame in frames]).encode()


def said(trial: Trial, *contents: str | bytes) -> bytes:
    """Return the body that makes the server send several messages back."""
    return payload(*(frame for content in contents for frame in trial.dialect.say(content)))


def packets(response: Response) -> list[str]:
    """Return the packets in the answer to a GET, as they stand in its body, decompressed if need be."""
    coding = (response.header("content-encoding") or "").lower()
    body = CODINGS[coding](response.body) if coding in CODINGS else response.body
    return body.decode().split("\x1e")


async def status_of(connection: HTTPConnection) -> int | None:
    """Read a response and return its status; None if the server ended the connection instead."""
    try:
        return (await connection.receive()).status
    except Silence:
        raise
    except PeerError:
        return None


async def post_status(
    trial: Trial, session: Polling, body: bytes, headers: Sequence[tuple[str, str]] = ()
) -> int | None:
    """Post a body and return the status; None if the server ended the connection instead.

    A server may answer before it has read the body, and never read it (RFC 9112, section 9.5).
    """
    async with trial.peer.http() as connection:

        async def send() -> None:
            with suppress(PeerError):
                await connection.send("POST", session.target(), headers, body)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            status = await status_of(connection)
            nursery.cancel_scope.cancel()
    return status


async def closes(trial: Trial, session: Polling, body: bytes) -> None:
    """Post a body, and fail unless that ends the session: whatever the answer is, the sid is unknown afterwards."""
    await post_status(trial, session, body)
    await trial.expect_unknown(session)


async def message_answer(trial: Trial, session: Polling, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """Poll until an answer carries a message, and return that answer; pings are answered."""
    while True:
        response = await trial.peer.request("GET", session.target(), headers)
        trial.equal(response.status, OK, "the status of a GET")
        came = packets(response)
        if "2" in came:
            await session.send("3")
        if any(packet.startswith(("4", "b")) for packet in came):
            return response


async def come_back(trial: Trial, session: Polling, contents: Sequence[str | bytes]) -> None:
    """Post messages in one body, and fail unless they come back in their order.

    Another message follows them: if one of them is lost, it comes instead, and nobody waits.
    """
    trial.equal((await session.post(said(trial, *contents))).status, OK, "the status of the POST")
    trial.equal((await session.post(said(trial, "that is all"))).status, OK, "the status of the POST that follows")
    for content in (*contents, "that is all"):
        await trial.hear(session, content)


async def text_comes_back(trial: Trial, session: Polling, content: str, *headers: tuple[str, str]) -> None:
    """Post one message, with these headers if there are any, and fail unless it comes back, and then another one."""
    response = await trial.peer.request("POST", session.target(), headers, said(trial, content))
    trial.equal(response.status, OK, f"the status of the POST of {content!r}")
    trial.equal((await session.post(said(trial, "that is all"))).status, OK, "the status of the POST that follows")
    await trial.hear(session, content)
    await trial.hear(session, "that is all")


async def seen(trial: Trial) -> None:
    """Return once the server has had the time to see what was sent so far on other connections: it answers a request."""
    await trial.peer.request("GET", trial.peer.target(transport="polling"))
