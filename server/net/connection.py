"""One connection: HTTP/1.1 by h11, request after request, until it closes or becomes a WebSocket.

This serves every stream and every request. Plain sockets come here only with what `trio_socketio.server.net.direct_http` does not
take; what both decide alike are the functions at the end.

Every wait has a deadline, which `trio_socketio.server.limits.Limits` says: for the next request, for its head from the first
byte on, for its body, and until an answer has been read. A pending GET waits as long as its session lives, and the heartbeat
sees to that.
"""

import logging
import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import h11
import trio
from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import Closed, CloseReason, Conflict, Event
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
    admit,
    handles,
    parse_request,
    reject,
)
from trio_socketio.server.errors import ConnectionRefused
from trio_socketio.server.http import HTTPRequest, HTTPResponse
from trio_socketio.server.net.direct import DirectWebSocket
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.responses import Answer, complete, compress, reason, render_switching
from trio_socketio.server.net.streamed import StreamWebSocket, refuse
from trio_socketio.server.net.websocket import RECEIVE_SIZE

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

MAX_PIPELINED: Final = 64 * 1024
"""Bytes that a client may send ahead while a GET of its is pending; over it nothing more is read until that is answered."""

OK: Final = Answer(200, b"ok", (("content-type", "text/html"),))
TOO_LARGE: Final = Answer(413, b"", close=True)
UNAVAILABLE: Final = "Service Unavailable"
NO_STORE: Final = ("cache-control", "no-store")


_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""A ``Sec-WebSocket-Key``: base64 of 16 bytes (RFC 6455, section 4.1)."""


AnyWebSocket = DirectWebSocket | StreamWebSocket


class Gone(Exception):  # noqa: N818  # not an error: clients come and go
    """The client is gone, or so slow that it counts as gone."""


class Connection:
    """Serves one connection.

    Args:
        stream: The connection, open.
        service: The service that it belongs to.
        address: The peer's address.
        secure: Whether it is TLS.
        initial: What has been read from it already.
        served: Requests that came before.
        detaching: Whether `run` may end while the connection lives on as a WebSocket that needs no task.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        service: "Service",
        address: str,
        *,
        secure: bool,
        initial: bytes = b"",
        served: int = 0,
        detaching: bool = True,
    ) -> None:
        self._stream = stream
        self._service = service
        self._server = service.server
        self._address = address
        self._secure = secure
        self._detaching = detaching
        self._limits = service.server.options.limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_bytes)
        self._served = served
        self._last = False  # the connection ends with the answer to the latest request
        self._pipelined = 0
        if initial:
            self._http.receive_data(initial)

    async def run(self) -> None:
        """Answer requests until the connection is over. The stream is left for the caller to close."""
        try:
            while await self._next():
                pass
        except Gone as gone:
            logger.debug("connection over: %s", gone)

    async def _next(self) -> bool:
        """Answer one request; return whether another may follow."""
        try:
            head = await self._receive_head()
        except h11.RemoteProtocolError as error:
            status = self._status(error)
            await self._refuse_syntax(status, _described(error), "head_bytes" if status in (414, 431) else None)
            return False
        if head is None:
            return False
        self._served += 1
        self._last = is_last(self._served, self._server)
        with self._service.working():
            try:
                request = parse_request(
                    head.method.decode("ascii"),
                    head.target.decode("latin-1"),
                    [
                        (name.decode("ascii"), value.decode("latin-1"))
                        for name, value in head.headers
                        if name != b"upgrade" or head.http_version != b"1.0"  # which knows none (RFC 9110, section 7.8)
                    ],
                    peer_address=self._address,
                    secure=self._secure,
                    trusted_proxies=self._server.config.proxy_networks,
                )
            except BadRequest as error:
                await self._refuse_syntax(400, str(error))
                return False
            websocket = await self._answer(request)
            if websocket is not None:
                trailing = self._http.trailing_data[0]
                if isinstance(websocket, DirectWebSocket) and isinstance(self._stream, trio.SocketStream):
                    websocket.begin(self._stream, trailing)
                elif isinstance(websocket, StreamWebSocket):
                    await websocket.run(trailing)  # the shutdown waits for its closing handshake
                return False
        if (
            self._http.our_state is not h11.DONE
            or self._http.their_state is not h11.DONE
            or self._service.shutting_down
        ):
            return False
        self._http.start_next_cycle()
        return True

    async def _answer(self, request: Request) -> AnyWebSocket | None:
        """Answer a request; if it becomes a WebSocket that a session carries, return that."""
        if not handles(request.path, self._server.config):
            await self._answer_http(request)
            return None
        admission = decide(request, self._server)
        match admission:
            case Reject() | Preflight():
                log_refusal(request, admission)
                await self._refuse(admission, bodiless=request.method == "HEAD")
            case Open(transport, cors):
                return await self._open(request, transport, cors)
            case Poll(live, cors):
                await self._poll(request, live, cors)
            case Post(live, cors):
                await self._post(live, cors)
            case Upgrade(live, refused, _):
                return await self._upgrade(request, live, refused=refused)
        return None

    # Sessions.

    async def _open(self, request: Request, transport: Transport, cors: Headers) -> AnyWebSocket | None:
        refusal = await self._refusal(request, cors)
        if refusal is not None:
            log_unavailable(request, refusal)
            await self._refuse(refusal)
            return None
        if transport is Transport.WEBSOCKET:
            if not await self._accept_websocket(request):
                return None
            live = self._service.open_session(transport, request)
            websocket = self._websocket(live)
            live.carry(websocket)
            if self._service.shutting_down:  # since its opening handshake began
                live.close(CloseReason.SERVER_SHUTTING_DOWN, "the server shuts down")
            return websocket
        live = self._service.open_session(transport, request)
        live.poll()
        cookie = self._server.config.cookie_header(live.sid)
        await self._answer_poll(request, live, (*cors, ("set-cookie", cookie)) if cookie else cors)
        return None

    async def _refusal(self, request: Request, cors: Headers) -> Reject | None:
        """Return why no session can be opened for a request, or None."""
        return await find_refusal(request, self._service, cors)

    async def _upgrade(self, request: Request, live: Live, *, refused: bool) -> AnyWebSocket | None:
        if not await self._accept_websocket(request):
            return None
        websocket = self._websocket(live)
        if refused or not live.attach(websocket):
            logger.info("closed a WebSocket of a session that has one already")
            await refuse(self._stream)
            return None
        return websocket

    async def _accept_websocket(self, request: Request) -> bool:
        """Finish the opening handshake of a WebSocket, or refuse it."""
        fault = websocket_fault(request)
        if fault is None and not self._drained():  # what is left of a body would be read as frames
            fault = reject(RejectCode.BAD_REQUEST)
        if isinstance(fault, Answer):
            await self._send(fault)
        elif fault is not None:
            await self._refuse(fault)
        else:
            await self._write(render_switching(request.by_name["sec-websocket-key"]))
        return fault is None

    def _websocket(self, live: Live) -> AnyWebSocket:
        poller = self._service.poller
        if poller is not None and self._detaching and isinstance(self._stream, trio.SocketStream):
            return DirectWebSocket(live, self._server.config.max_payload, poller)
        return StreamWebSocket(self._stream, live, self._server.config.max_payload)

    # Polling.

    async def _poll(self, request: Request, live: Live, cors: Headers) -> None:
        if conflicts(live.poll()):
            await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        await self._answer_poll(request, live, cors)

    async def _answer_poll(self, request: Request, live: Live, cors: Headers) -> None:
        session = live.session
        while (payload := live.take_payload()) is None:
            if session.poll_refused:
                session.poll_aborted()
                await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
                return
            await self._wait(live)
        written = False
        try:
            await self._send(polled(payload, request, cors, self._server))
            written = True
        finally:
            live.poll_done(written=written)

    async def _wait(self, live: Live) -> None:
        """Wait until the session may have an answer to the pending GET.

        Raises:
            Gone: The client hung up instead.
        """
        gone = True
        try:
            with trio.CancelScope() as waiting:
                live.wait_poll(waiting.cancel)
                if self._pipelined > MAX_PIPELINED:
                    await trio.sleep_forever()
                data = await self._receive()
                self._pipelined += len(data)
                self._http.receive_data(data)
            gone = False
        finally:
            live.wait_poll(None)
            if gone:
                live.session.poll_aborted()

    async def _post(self, live: Live, cors: Headers) -> None:
        if conflicts(live.post()):
            await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        try:
            body = await self._receive_body(self._server.config.max_payload)
        finally:
            live.session.post_done()
        if body is None:
            await self._send(too_large(live, cors, self._server))
            return
        answer = posted(live, body, cors)
        if isinstance(answer, Reject):
            await self._refuse(answer)
            return
        await live.catch_up()
        await self._send(answer)

    # Anything else.

    async def _answer_http(self, request: Request) -> None:
        body = await self._receive_body(self._server.config.max_payload)
        if body is None:
            most = self._server.config.max_payload
            self._server.tally.reached("max_payload", "refused %s: a body of more than %d bytes", self._address, most)
            await self._send(TOO_LARGE)
            return
        question = HTTPRequest(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.header_map,
            address=request.address,
            secure=request.secure,
            url=request.url,
            body=body,
        )
        try:
            response = _checked(await self._server.options.http(question))
        except Exception:
            logger.exception("the http handler failed for %s %s", request.method, request.path)
            response = HTTPResponse.text("Internal server error\n", 500)
        is_head = request.method == "HEAD"
        headers = tuple((name.lower(), value) for name, value in response.headers.items())
        try:
            if isinstance(response.body, bytes):
                await self._send(Answer(response.status, response.body, headers), bodiless=is_head)
            else:
                await self._stream_body(response.status, headers, response.body, bodiless=is_head)
        except (Gone, trio.Cancelled):
            raise
        except Exception as error:
            logger.exception("the answer of the http handler to %s %s failed", request.method, request.path)
            raise Gone("its answer could not be sent to its end") from error

    async def _stream_body(self, status: int, headers: Headers, body: AsyncIterator[bytes], *, bodiless: bool) -> None:
        await self._write(
            self._http.send(
                h11.Response(status_code=status, headers=[*headers, *self._server.date()], reason=reason(status))
            )
        )
        if not bodiless:
            async for chunk in body:
                await self._write(self._http.send(h11.Data(data=chunk)))
        await self._write(self._http.send(h11.EndOfMessage()))

    async def _refuse(self, refusal: Reject | Preflight, *, bodiless: bool = False) -> None:
        await self._send(refusal_answer(refusal, self._server), bodiless=bodiless)

    async def _refuse_syntax(self, status: int, detail: str, limit: str | None = None) -> None:
        log_fault(self._address, detail, limit, self._server)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send(Answer(status, b"", close=True))

    # h11.

    def _status(self, error: h11.RemoteProtocolError) -> int:
        """Return the status for a head that is no HTTP, or too large: 414 if its first line is (RFC 9112, section 3)."""
        status = error.error_status_hint
        unread = self._http.trailing_data[0] if self._http.their_state is h11.ERROR else b"\n"
        return 414 if status == 431 and b"\n" not in unread[: self._limits.head_bytes] else status

    async def _receive_head(self) -> h11.Request | None:
        """Return the next request's head, or None when there will be none.

        Raises:
            h11.RemoteProtocolError: What came is no HTTP.
        """
        first = True
        with trio.CancelScope(deadline=trio.current_time() + self._limits.keep_alive) as patience:
            while True:
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    _check_size(event, self._limits.head_bytes)
                    self._pipelined = 0
                    return event
                if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    return None
                if first and self._http.trailing_data[0]:
                    patience.deadline = trio.current_time() + self._limits.head_timeout
                    first = False
                data = await self._receive(or_end=True)
                self._http.receive_data(data)
        if first:
            log_idle(self._server)
        else:
            await self._refuse_syntax(408, "its head did not come in time", "head_timeout")
        return None

    async def _receive_body(self, most: int) -> bytes | None:
        """Return a request's body, or None as soon as it is larger than ``most``.

        Raises:
            Gone: It did not come in time, or not at all, or is no HTTP.
        """
        parts: list[bytes] = []
        size = 0
        with trio.move_on_after(self._limits.body_timeout):
            while True:
                try:
                    event = self._http.next_event()
                except h11.RemoteProtocolError as error:
                    await self._refuse_syntax(error.error_status_hint, _described(error))
                    raise Gone("the body was no HTTP") from error
                if event is h11.NEED_DATA:
                    if self._http.they_are_waiting_for_100_continue:
                        await self._write(
                            self._http.send(h11.InformationalResponse(status_code=100, headers=[], reason=reason(100)))
                        )
                    self._http.receive_data(await self._receive())
                elif isinstance(event, h11.Data):
                    size += len(event.data)
                    if size > most:
                        return None
                    parts.append(bytes(event.data))
                else:
                    return b"".join(parts)
        await self._refuse_syntax(408, "its body did not come in time", "body_timeout")
        raise Gone("the body did not come in time")

    async def _receive(self, *, or_end: bool = False) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(RECEIVE_SIZE))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Gone(f"the connection broke: {error}") from error
        if not data and not or_end:
            raise Gone("the client hung up")
        return data

    async def _send(self, answer: Answer, *, bodiless: bool = False) -> None:
        """Send a whole answer. A request whose body was not read to its end cannot be followed by another."""
        close = answer.close or self._last or self._service.shutting_down or not self._drained()
        headers = list(complete(answer, self._server.date(), close=close))
        parts: Sequence[bytes | None] = (
            self._http.send(h11.Response(status_code=answer.status, headers=headers, reason=reason(answer.status))),
            None if bodiless or not answer.body else self._http.send(h11.Data(data=answer.body)),
            self._http.send(h11.EndOfMessage()),
        )
        await self._write(b"".join(part for part in parts if part))

    def _drained(self) -> bool:
        """Read what is left of a request that is answered without its body, as far as it is here already."""
        while self._http.their_state is h11.SEND_BODY:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                return False
            if event is h11.NEED_DATA:
                return False
        return True

    async def _write(self, data: bytes | None) -> None:
        if not data:
            return
        with trio.move_on_after(self._limits.write_timeout) as patience:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise Gone(f"the connection broke: {error}") from error
        if patience.cancelled_caught:
            log_unread(self._address, self._server)
            raise Gone("the client did not read its answer in time")


def _check_size(head: h11.Request, most: int) -> None:
    """See whether a head that came at once is larger than one that comes bit by bit may be.

    Raises:
        h11.RemoteProtocolError: It is.
    """
    lines = sum(len(name) + len(value) + len(": \r\n") for name, value in head.headers)
    size = len(head.method) + len(head.target) + len("  HTTP/1.1\r\n") + lines + len("\r\n")
    if size > most:
        status = 414 if len(head.target) > most else 431
        raise h11.RemoteProtocolError(f"the head has more than {most} bytes", status)


def _described(error: h11.RemoteProtocolError) -> str:
    """Return what h11 finds wrong, without the bytes that it quotes: they may hold a token, and this is logged."""
    return str(error).partition(": bytearray(")[0]


def _checked(response: object) -> HTTPResponse:
    if not isinstance(response, HTTPResponse):
        raise TypeError(f"the http handler returns an HTTPResponse, not {type(response).__name__}")
    return response


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


def websocket_fault(request: Request) -> Answer | Reject | None:
    """Return what is wrong with the opening handshake of a WebSocket (RFC 6455, section 4.2), or None."""
    if request.header("sec-websocket-version") != "13":
        return Answer(426, b"", (("sec-websocket-version", "13"),))
    return None if _KEY.fullmatch(request.header("sec-websocket-key") or "") else reject(RejectCode.BAD_REQUEST)


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
