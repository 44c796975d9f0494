"""One HTTP request that an ASGI host passes on: long-polling, its refusals, and the ``http=`` handler beside them.

What is said to whom is the same as in `trio_socketio.server.net.connection`. Heads and connections are the host's: it has
limits of its own for them, and the server's do not apply. The body, the answer and everything about sessions are ours.

A host may stop reading until somebody receives what it has read, and only then notice that its client is gone, or send an
answer. So whoever answers a request before its body has come to its end goes on receiving meanwhile. So does whoever streams an
answer: many hosts drop what is sent to a client that is gone, and tell only who receives.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.origins import Headers
from trio_socketio.engine.request import (
    BadRequest,
    Open,
    Poll,
    Post,
    Preflight,
    Reject,
    RejectCode,
    Request,
    Upgrade,
    reject,
)
from trio_socketio.server.net.asgi_channel import Channel, Gone
from trio_socketio.server.net.asgi_scope import Message, Scope, encoded, read_request
from trio_socketio.server.net.decisions import (
    announces_more,
    ask_http,
    chunks_of,
    conflicts,
    decide,
    find_refusal,
    log_fault,
    log_refusal,
    log_unavailable,
    next_chunk,
    polled,
    posted,
    refusal_answer,
    too_large,
)
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.responses import Answer, complete
from trio_socketio.server.net.websocket import CLOSE_TIMEOUT

if TYPE_CHECKING:
    from trio_socketio.server.net.asgi import Hosted

logger = logging.getLogger("trio_socketio.http")

BAD_REQUEST: Final = Answer(400, b"", close=True)
LATE: Final = Answer(408, b"", close=True)
TOO_LARGE: Final = Answer(413, b"", close=True)

HUNG_UP: Final = "http.disconnect"
"""The message by which a host says that the client is gone."""
_BODILESS: Final = ("GET", "HEAD", "OPTIONS")
"""Methods whose requests have a body only if a header says so, in every version of HTTP."""
_BODY: Final = (b"content-length", b"transfer-encoding")


class Exchange:
    """Answers one request.

    Args:
        hosted: The service, as the host runs it.
        scope: The host's.
        path: The request's path below the place where the application is mounted.
        channel: The host's.
    """

    def __init__(self, hosted: "Hosted", scope: Scope, path: str, channel: Channel) -> None:
        self._hosted = hosted
        self._service = hosted.service
        self._server = hosted.service.server
        self._limits = self._server.options.limits
        self._scope = scope
        self._path = path
        self._channel = channel
        self._method: str = scope["method"]
        self._complete = self._method in _BODILESS and not any(name in _BODY for name, _ in scope["headers"])
        """Whether the end of the body has come, or there is none."""
        self._request: Request

    async def answer(self, *, ours: bool) -> None:
        """Answer the request, as one of a Socket.IO client or as any other."""
        try:
            try:
                self._request = read_request(self._scope, self._server.config.proxies)
            except BadRequest as error:
                log_fault(self._channel.address, str(error), None, self._server)
                await self._write(BAD_REQUEST)
                return
            await (self._answer_client() if ours else self._answer_other())
        except Gone as gone:
            logger.debug("request over: %s", gone)

    async def _answer_client(self) -> None:
        admission = decide(self._request, self._server)
        match admission:
            case Reject() | Preflight():
                log_refusal(self._request, admission)
                await self._refuse(admission)
            case Open(Transport.POLLING, cors):
                await self._open(cors)
            case Poll(live, cors):
                await self._poll(live, cors)
            case Post(live, cors):
                await self._post(live, cors)
            case Open(_, cors) | Upgrade(cors=cors):
                detail = "the host has passed on a WebSocket as an ordinary request"
                refusal = reject(RejectCode.BAD_REQUEST, cors, detail)
                log_refusal(self._request, refusal)
                await self._refuse(refusal)

    # Polling.

    async def _open(self, cors: Headers) -> None:
        with self._service.working():
            refusal = await find_refusal(self._request, self._service, cors)
        if refusal is not None:
            log_unavailable(self._request, refusal)
            await self._refuse(refusal)
            return
        live = self._service.open_session(Transport.POLLING, self._request)
        live.poll()
        cookie = self._server.config.cookie_header(live.sid)
        await self._answer_poll(live, (*cors, ("set-cookie", cookie)) if cookie else cors)

    async def _poll(self, live: Live, cors: Headers) -> None:
        if conflicts(live.poll()):
            await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        await self._answer_poll(live, cors)

    async def _answer_poll(self, live: Live, cors: Headers) -> None:
        session = live.session
        while (payload := live.take_payload()) is None:
            if session.poll_refused:
                session.poll_aborted()
                await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
                return
            await self._wait(live, cors)
        await self._send_payload(live, payload, cors)

    async def _send_payload(self, live: Live, payload: str, cors: Headers) -> None:
        written = False
        try:
            await self._write(polled(payload, self._request, cors, self._server))
            written = True
        finally:
            live.poll_done(written=written)

    async def _wait(self, live: Live, cors: Headers) -> None:
        """Wait until the session may have an answer to the pending GET.

        Raises:
            Gone: The client hung up instead.
        """
        try:
            with trio.CancelScope() as waiting:
                live.wait_poll(waiting.cancel)
                await self._channel.hung_up(HUNG_UP)
        except trio.Cancelled:
            live.wait_poll(None)
            await self._say_goodbye(live, cors)
            raise
        except BaseException:
            self._let_go(live)
            raise
        if waiting.cancelled_caught:
            live.wait_poll(None)
            return
        self._let_go(live)
        raise Gone("the client hung up")

    def _let_go(self, live: Live) -> None:
        """Forget the pending GET. What it would have carried stays with the session."""
        live.wait_poll(None)
        live.session.poll_aborted()

    async def _say_goodbye(self, live: Live, cors: Headers) -> None:
        """The host ends and cancels what it serves: tell a client that waits, in `CLOSE_TIMEOUT` seconds at most."""
        payload = live.take_payload()
        if payload is None and not live.session.poll_refused:
            live.close(CloseReason.SERVER_SHUTTING_DOWN, "the ASGI host cancelled a pending GET")
            payload = live.take_payload()
        if payload is None:
            live.session.poll_aborted()
            return
        deadline = trio.current_time() + CLOSE_TIMEOUT
        with trio.CancelScope(shield=True, deadline=deadline) as patience, self._hosted.ending(patience):
            try:
                await self._send_payload(live, payload, cors)
            except Gone as gone:
                logger.debug("request over: %s", gone)

    async def _post(self, live: Live, cors: Headers) -> None:
        if conflicts(live.post()):
            await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        try:
            body = await self._receive_body()
        finally:
            live.session.post_done()
        if isinstance(body, Answer):
            await self._write(too_large(live, cors, self._server) if body is TOO_LARGE else body)
            return
        answer = posted(live, body, cors)
        if isinstance(answer, Reject):
            await self._refuse(answer)
            return
        await live.catch_up()
        await self._write(answer)

    async def _refuse(self, refusal: Reject | Preflight) -> None:
        await self._write(refusal_answer(refusal, self._server))

    # Anything else.

    async def _answer_other(self) -> None:
        request = self._request
        body = await self._receive_body()
        if isinstance(body, Answer):
            if body is TOO_LARGE:
                most = self._server.config.max_payload
                self._server.tally.reached(
                    "max_payload", "refused %s: a body of more than %d bytes", request.address, most
                )
            await self._write(body)
            return
        response = await ask_http(request, self._path or "/", body, self._service)
        headers = tuple((name.lower(), value) for name, value in response.headers.items())
        try:
            if isinstance(response.body, bytes):
                await self._write(Answer(response.status, response.body, headers))
            else:
                await self._stream_body(response.status, headers, response.body)
        except Gone:
            raise
        except Exception as error:
            logger.exception("the answer of the http handler to %s %s failed", request.method, request.path)
            raise Gone("its answer could not be sent to its end") from error

    async def _stream_body(self, status: int, headers: Headers, body: AsyncIterator[bytes]) -> None:
        async with self._while_there(), chunks_of(body, self._service) as chunks:
            await self._channel.send_in_time(_start(status, headers))
            while self._method != "HEAD" and (chunk := await next_chunk(chunks, self._service)) is not None:
                await self._channel.send_in_time({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._channel.send_in_time({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def _while_there(self) -> AsyncIterator[None]:
        """Cancel the block when the client hangs up. Not for the end of an answer: upon that, hosts say the same.

        Raises:
            Gone: It did.
        """
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as block:
                nursery.start_soon(self._cancel_when_gone, block)
                try:
                    yield
                except Exception as error:  # noqa: BLE001  # raised below: the nursery would make a group of it
                    failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if block.cancelled_caught:
            raise Gone("the client hung up")

    async def _cancel_when_gone(self, block: trio.CancelScope) -> None:
        await self._channel.hung_up(HUNG_UP)
        block.cancel()

    # The host.

    async def _receive_body(self) -> bytes | Answer:
        """Return the request's body; `TOO_LARGE` as soon as it is known to have more than ``max_payload`` bytes, or `LATE`.

        Raises:
            Gone: The client hung up before it had come.
        """
        most = self._server.config.max_payload
        if announces_more(self._request, most):
            return TOO_LARGE
        body = bytearray()  # chunks may be tiny, and each would cost many times its size
        with trio.move_on_after(self._limits.body_timeout):
            while not self._complete:
                message = await self._channel.receive()
                if message["type"] == HUNG_UP:
                    raise Gone("the client hung up")
                body += message.get("body") or b""
                self._complete = not message.get("more_body", False)
                if len(body) > most:
                    return TOO_LARGE
            return bytes(body)
        log_fault(self._request.address, "its body did not come in time", "body_timeout", self._server)
        return LATE

    async def _write(self, answer: Answer) -> None:
        """Send a whole answer."""
        bodiless = self._method == "HEAD"
        # The host closes a connection whose answer says so. HTTP/2 knows no such header (RFC 9113, section 8.2.2).
        close = answer.close and self._scope.get("http_version", "1.1") in ("1.0", "1.1")
        messages = (
            _start(answer.status, complete(answer, (), close=close)),
            {"type": "http.response.body", "body": b"" if bodiless else answer.body, "more_body": False},
        )
        if self._complete:
            for message in messages:
                await self._channel.send_in_time(message)
            return
        gone: Gone | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._channel.hung_up, HUNG_UP)
            try:
                for message in messages:
                    await self._channel.send_in_time(message)
            except Gone as error:
                gone = error
            nursery.cancel_scope.cancel()
        if gone is not None:
            raise gone


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": encoded(headers)}
