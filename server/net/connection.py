"""One connection: HTTP/1.1 by h11, request after request, until it closes or becomes a WebSocket.

This serves every stream and every request. Plain sockets come here only with what `trio_socketio.server.net.direct_http` does not
take; what both decide alike is in `trio_socketio.server.net.decisions`.

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
    handles,
    parse_request,
    reject,
)
from trio_socketio.server.net.decisions import (
    LINGER,
    LINGER_BYTES,
    MAX_PIPELINED,
    announces_more,
    ask_http,
    chunks_of,
    conflicts,
    decide,
    find_refusal,
    is_last,
    log_fault,
    log_idle,
    log_refusal,
    log_unavailable,
    log_unread,
    next_chunk,
    polled,
    posted,
    refusal_answer,
    too_large,
    websocket_fault,
)
from trio_socketio.server.net.direct import DirectWebSocket
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.responses import Answer, complete, reason, render_switching
from trio_socketio.server.net.streamed import StreamWebSocket, refuse
from trio_socketio.server.net.websocket import RECEIVE_SIZE

if TYPE_CHECKING:
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

TOO_LARGE: Final = Answer(413, b"", close=True)
CLOSE: Final = ("connection", "close")
NO_TUNNEL: Final = Answer(501, b"", close=True)
_UNREAD: Final = (h11.SEND_BODY, h11.ERROR)
"""States of a client that has not been read to the end of its request."""
_EMPTY_LINE: Final = re.compile(rb"\r?\n")

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
        self._http = self._read_from(initial)
        self._served = served
        self._last = False  # the connection ends with the answer to the latest request
        self._skipped = False  # an empty line before the next request
        self._unread = False  # when the latest answer was sent, there was input that nobody will read if it is the last

    async def run(self) -> None:
        """Answer requests until the connection is over. The stream is left for the caller to close."""
        try:
            while await self._next():
                pass
        except Gone as gone:
            logger.debug("connection over: %s", gone)
        if self._unread:
            await self._linger()

    async def _next(self) -> bool:
        """Answer one request; return whether another may follow."""
        self._unread = False
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
        with self._service.exchanging():
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
                    trusted_proxies=self._server.config.proxies,
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
                await self._post(request, live, cors)
            case Upgrade(live, refused, _):
                return await self._upgrade(request, live, refused=refused)
        return None

    # Sessions.

    async def _open(self, request: Request, transport: Transport, cors: Headers) -> AnyWebSocket | None:
        refusal = await self._ask(request, cors)
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

    async def _ask(self, request: Request, cors: Headers) -> Reject | None:
        """Return why no session can be opened for a request, or None.

        Raises:
            Gone: The client hung up before that was decided.
        """
        gone: Gone | None = None

        async def listen() -> None:
            nonlocal gone
            try:
                while True:
                    await self._read_ahead()
            except Gone as error:
                gone = error

        with self._service.working():
            if self._server.options.allow_request is None:
                return await find_refusal(request, self._service, cors)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                refusal = await find_refusal(request, self._service, cors)
                nursery.cancel_scope.cancel()
        if gone is not None:
            raise gone
        return refusal

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
        fault = websocket_fault(request, self._server)
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
                await self._read_ahead()
            gone = False
        finally:
            live.wait_poll(None)
            if gone:
                live.session.poll_aborted()

    async def _read_ahead(self) -> None:
        """Take in, up to a bound, what the client sends while it waits for an answer.

        Raises:
            Gone: It hung up. Maybe it has ended only its half of the connection; but a client that has gone looks the same, and
                the answer may be long in coming.
        """
        if len(self._http.trailing_data[0]) > MAX_PIPELINED:
            await trio.sleep_forever()
        self._http.receive_data(await self._receive())

    async def _post(self, request: Request, live: Live, cors: Headers) -> None:
        if conflicts(live.post()):
            await self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        try:
            body = await self._receive_body(request)
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
        if request.method == "CONNECT":  # a 2xx would begin a tunnel (RFC 9110, section 9.3.6)
            await self._send(NO_TUNNEL)
            return
        body = await self._receive_body(request)
        if body is None:
            most = self._server.config.max_payload
            self._server.tally.reached("max_payload", "refused %s: a body of more than %d bytes", self._address, most)
            await self._send(TOO_LARGE)
            return
        response = await ask_http(request, request.path, body, self._service)
        is_head = request.method == "HEAD"
        headers = tuple((name.lower(), value) for name, value in response.headers.items())
        try:
            if isinstance(response.body, bytes):
                await self._send(Answer(response.status, response.body, headers), bodiless=is_head)
            else:
                await self._stream_body(response.status, headers, response.body, bodiless=is_head)
        except Gone:
            raise
        except Exception as error:
            logger.exception("the answer of the http handler to %s %s failed", request.method, request.path)
            raise Gone("its answer could not be sent to its end") from error

    async def _stream_body(self, status: int, headers: Headers, body: AsyncIterator[bytes], *, bodiless: bool) -> None:
        more = [*self._server.date(), *([CLOSE] if self._closes() else [])]
        head = h11.Response(status_code=status, headers=[*headers, *more], reason=reason(status))
        async with chunks_of(body, self._service) as chunks:
            await self._write(self._http.send(head))
            while not bodiless and (chunk := await next_chunk(chunks, self._service)) is not None:
                await self._write(self._http.send(h11.Data(data=chunk)))
        await self._write(self._http.send(h11.EndOfMessage()))

    async def _refuse(self, refusal: Reject | Preflight, *, bodiless: bool = False) -> None:
        await self._send(refusal_answer(refusal, self._server), bodiless=bodiless)

    async def _refuse_syntax(self, status: int, detail: str, limit: str | None = None) -> None:
        log_fault(self._address, detail, limit, self._server)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send(Answer(status, b"", close=True))

    # h11.

    def _read_from(self, data: bytes) -> h11.Connection:
        """Return what reads requests from some bytes on."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_bytes)
        if data:
            http.receive_data(data)
        return http

    def _next_of_head(self) -> object:
        """Return what h11 makes of what has come, but for one empty line, which it would refuse (RFC 9112, section 2.2)."""
        if not self._skipped:
            data, ended = self._http.trailing_data
            if data == b"\r" and not ended:
                return h11.NEED_DATA
            empty = _EMPTY_LINE.match(data)
            if empty is not None:
                self._skipped = True
                self._http = self._read_from(data[empty.end() :])
        return self._http.next_event()

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
        self._skipped = False
        with trio.CancelScope(deadline=trio.current_time() + self._limits.keep_alive) as patience:
            while True:
                event = self._next_of_head()
                if isinstance(event, h11.Request):
                    _check_size(event, self._limits.head_bytes)
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

    async def _receive_body(self, request: Request) -> bytes | None:
        """Return a request's body, or None as soon as it is known to have more than ``max_payload`` bytes.

        Raises:
            Gone: It did not come in time, or not at all, or is no HTTP.
        """
        most = self._server.config.max_payload
        if announces_more(request, most):
            return None
        body = bytearray()  # chunks may be tiny, and each would cost many times its size
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
                    body += event.data
                    if len(body) > most:
                        return None
                else:
                    return bytes(body)
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
        """Send a whole answer."""
        headers = list(complete(answer, self._server.date(), close=answer.close or self._closes()))
        parts: Sequence[bytes | None] = (
            self._http.send(h11.Response(status_code=answer.status, headers=headers, reason=reason(answer.status))),
            None if bodiless or not answer.body else self._http.send(h11.Data(data=answer.body)),
            self._http.send(h11.EndOfMessage()),
        )
        await self._write(b"".join(part for part in parts if part))
        self._unread = self._http.their_state in _UNREAD or bool(self._http.trailing_data[0])

    async def _linger(self) -> None:
        """Read and drop what the client still sends, so that it can read the last answer."""
        dropped = 0
        with trio.move_on_after(LINGER):
            try:
                if isinstance(self._stream, trio.abc.HalfCloseableStream):
                    await self._stream.send_eof()
                while dropped < LINGER_BYTES and (data := await self._stream.receive_some(RECEIVE_SIZE)):
                    dropped += len(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                logger.debug("connection over: it broke: %s", error)

    def _closes(self) -> bool:
        """Whether this answer is the last. A request whose body was not read to its end cannot be followed by another."""
        return self._last or self._service.shutting_down or not self._drained()

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
