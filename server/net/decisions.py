"""What is answered to a request, whoever reads it: the decisions that all ways to serve HTTP share.

`trio_socketio.server.net.connection` reads requests by h11, `trio_socketio.server.net.direct_http` without tasks, and an ASGI
host hands them to `trio_socketio.server.net.asgi_http`. What a request is, why it is refused, what its answer says, what is
counted and what the log is told: all of that is decided here, so that it is the same for every client. Nothing here waits,
but for ``allow_request`` and ``http=``, which are the application's.
"""

import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import Closed, CloseReason, Conflict, Event
from trio_socketio.engine.origins import Headers
from trio_socketio.engine.request import (
    Open,
    Poll,
    Post,
    Preflight,
    Reject,
    RejectCode,
    Request,
    Upgrade,
    admit,
    reject,
)
from trio_socketio.server.errors import ConnectionRefused
from trio_socketio.server.http import HTTPRequest, HTTPResponse
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.responses import Answer, compress

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

MAX_PIPELINED: Final = 64 * 1024
"""Bytes that a client may send ahead while a GET of its is pending; over it nothing more is read until that is answered."""

LINGER: Final = 5.0
"""Seconds that a client has for reading the answer with which its connection ends while input of its is unread: closing at once
would reset the connection, and the answer might be lost with it (RFC 9112, section 9.6). nginx and Apache give 30 at most."""
LINGER_BYTES: Final = 16 * 1024 * 1024
"""Bytes that are read and dropped meanwhile."""

CLEANUP: Final = 5.0
"""Seconds that the body of a streamed answer has for cleaning up when the answer has ended, or broken off."""

OK: Final = Answer(200, b"ok", (("content-type", "text/html"),))
UNAVAILABLE: Final = "Service Unavailable"
NO_STORE: Final = ("cache-control", "no-store")

_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""A ``Sec-WebSocket-Key``: base64 of 16 bytes (RFC 6455, section 4.1)."""


def decide(request: Request, server: "Server") -> Open | Poll[Live] | Post[Live] | Upgrade[Live] | Preflight | Reject:
    """Return what a request to the Engine.IO path is."""
    try:
        return admit(request, server.sessions, server.config)
    except Exception:
        logger.exception("the function given as cors_allowed_origins failed; the request is refused")
        return Reject(500, None, "Internal server error")


def log_refusal(request: Request, refusal: Reject | Preflight) -> None:
    """Say why `decide` has refused a request."""
    if refusal.log is not None:
        logger.info("refused %s %s: %s", request.method, request.path, refusal.log)


async def find_refusal(request: Request, service: "Service", cors: Headers) -> Reject | None:
    """Return why no session can be opened for a request, or None."""
    refusal = unavailable(service, request.address, cors)
    allow_request = service.server.options.allow_request
    if refusal is not None or allow_request is None:
        return refusal
    try:
        await allow_request(request)
    except ConnectionRefused as refused:
        return reject(RejectCode.FORBIDDEN, cors, f"allow_request said: {refused.message}")
    except Exception:
        logger.exception("allow_request failed; the client is refused")
        return reject(RejectCode.FORBIDDEN, cors, "allow_request failed")
    return unavailable(service, request.address, cors)  # again, for allow_request may have taken its time


def unavailable(service: "Service", address: str, cors: Headers) -> Reject | None:
    """Return why no session can be opened for an address, whatever the request says, or None."""
    server = service.server
    most = server.options.max_connections
    if service.shutting_down:
        return Reject(503, None, UNAVAILABLE, cors, "the server shuts down")
    if most is not None and len(server.sessions) >= most:
        return Reject(503, None, UNAVAILABLE, cors, f"max_connections={most} is reached", "max_connections")
    most = server.options.limits.sessions_per_address
    if most is not None and server.addresses is not None and server.addresses.count(address) >= most:
        detail = f"sessions_per_address={most} is reached"
        return Reject(503, None, UNAVAILABLE, cors, detail, "sessions_per_address")
    return None


def log_unavailable(request: Request, refusal: Reject) -> None:
    """Say why no session was opened."""
    logger.info("refused %s: %s", request.address, refusal.log, extra={"limit": refusal.limit})


def log_fault(address: str, detail: str, limit: str | None, server: "Server") -> None:
    """Say what is wrong with a request, and count the limit that it exceeds, if it does."""
    if limit is not None:
        server.tally.limits[limit] += 1
    logger.info("refused a request from %s: %s", address, detail, extra={"limit": limit})


def log_unread(address: str, server: "Server") -> None:
    """Count an answer that was not read in time, and say so."""
    server.tally.reached("write_timeout", "a connection from %s was cut: its answer was not read in time", address)


def log_idle(server: "Server") -> None:
    """Count a connection that ends because nothing has come for so long; that is the usual end, and nothing for the log."""
    server.tally.limits["keep_alive"] += 1
    logger.debug("connection over: no further request has come in time", extra={"limit": "keep_alive"})


def is_last(served: int, server: "Server") -> bool:
    """Whether a connection must end with its so many-th request, which is counted."""
    most = server.options.limits.requests_per_connection
    if most is None or served < most:
        return False
    server.tally.limits["requests_per_connection"] += 1
    logger.debug("connection over: %d requests are answered", served, extra={"limit": "requests_per_connection"})
    return True


def refusal_answer(refusal: Reject | Preflight, server: "Server") -> Answer:
    """Count a refusal and return the answer."""
    if refusal.status >= 400:  # the others are preflights that are granted
        server.tally.refusals[refusal.message if isinstance(refusal, Reject) else "Forbidden"] += 1
    if isinstance(refusal, Reject) and refusal.limit is not None:
        server.tally.limits[refusal.limit] += 1
    if isinstance(refusal, Preflight):
        return Answer(refusal.status, b"", refusal.cors)
    return Answer(refusal.status, refusal.body, (("content-type", refusal.content_type), NO_STORE, *refusal.cors))


@asynccontextmanager
async def chunks_of(body: AsyncIterator[bytes], service: "Service") -> AsyncIterator[AsyncIterator[bytes]]:
    """Lend the chunks of an answer of the ``http=`` handler for a block, and close them at its end, however that comes.

    What is closed may await, for `CLEANUP` seconds, whether or not the block was cancelled.
    """
    chunks = aiter(body)
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            with service.working(), trio.move_on_after(CLEANUP, shield=True) as patience:
                await close()
            if patience.cancelled_caught:
                logger.warning("a streamed body was still cleaning up %g seconds after its answer: it was cut", CLEANUP)


async def next_chunk(chunks: AsyncIterator[bytes], service: "Service") -> bytes | None:
    """Return the next of `chunks_of`, or None at their end. Whoever waits for one waits for the application."""
    with service.working():
        return await anext(chunks, None)


def websocket_fault(request: Request, server: "Server") -> Answer | Reject | None:
    """Return what is wrong with the opening handshake of a WebSocket (RFC 6455, section 4.2), or None; the log is told."""
    if request.header("sec-websocket-version") != "13":
        server.tally.refusals["Unsupported WebSocket version"] += 1
        log_fault(request.address, "it asks for a version of WebSocket that is not 13", None, server)
        return Answer(426, b"", (("sec-websocket-version", "13"),))
    if _KEY.fullmatch(request.header("sec-websocket-key") or ""):
        return None
    log_fault(request.address, "its Sec-WebSocket-Key is not the base64 of 16 bytes", None, server)
    return reject(RejectCode.BAD_REQUEST)


def _checked(response: object) -> HTTPResponse:
    if not isinstance(response, HTTPResponse):
        raise TypeError(f"the http handler returns an HTTPResponse, not {type(response).__name__}")
    return response


async def ask_http(request: Request, path: str, body: bytes, service: "Service") -> HTTPResponse:
    """Return what the ``http=`` handler answers; if it fails, status 500.

    Args:
        request: The request.
        path: Its path as the handler sees it, not percent-decoded.
        body: Its whole body.
        service: Who was asked.
    """
    question = HTTPRequest(
        method=request.method,
        path=path,
        query=request.query,
        headers=request.header_map,
        address=request.address,
        secure=request.secure,
        url=request.url,
        body=body,
    )
    try:
        with service.working():
            return _checked(await service.server.options.http(question))
    except Exception:
        logger.exception("the http handler failed for %s %s", request.method, request.path)
        return HTTPResponse.text("Internal server error\n", 500)


def conflicts(events: Sequence[Event]) -> bool:
    """Whether a GET or a POST is one too many for its session."""
    return bool(events) and any(isinstance(event, Conflict) for event in events)


def polled(payload: str, request: Request, cors: Headers, server: "Server") -> Answer:
    """Return the answer to a GET."""
    options = server.options
    answer = Answer(200, payload.encode(), (("content-type", "text/plain; charset=UTF-8"), NO_STORE, *cors))
    if not options.http_compression or len(answer.body) < options.compression_threshold:
        return answer
    return compress(answer, request.header("accept-encoding"))


def announces_more(request: Request, most: int) -> bool:
    """Return whether the Content-Length of a request says that its body has more bytes."""
    announced = request.by_name.get("content-length", "")
    return announced.isdecimal() and (len(announced.lstrip("0")) > len(str(most)) or int(announced) > most)


def posted(live: Live, body: bytes, cors: Headers) -> Answer | Reject:
    """Let a session take in the body of a POST, and return the answer."""
    if live.closed:  # while the body came
        return reject(RejectCode.SESSION_ID_UNKNOWN, cors)
    events = live.receive(body, Transport.POLLING)
    for event in events:
        if isinstance(event, Closed) and event.reason is CloseReason.PARSE_ERROR:
            return reject(RejectCode.BAD_REQUEST, cors)
    return Answer(200, OK.body, (*OK.headers, NO_STORE, *cors))


def too_large(live: Live, cors: Headers, server: "Server") -> Answer:
    """End the session of a POST that is too large, and return the answer."""
    live.abort(CloseReason.TRANSPORT_ERROR, f"a POST of more than {server.config.max_payload} bytes", "max_payload")
    return Answer(413, b"", cors, close=True)
