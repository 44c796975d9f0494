"""HTTP over a plain socket: no task of its own, read by the poller, answered by whoever has the answer.

Theory of operation
===================

A `DirectConnection` is what a connection is from its first byte. It reads the usual requests of Socket.IO clients: opening a
session, GET and POST of long-polling, the opening handshake of a WebSocket, the preflight of a browser, and everything
like these that is refused. What becomes a WebSocket leaves the socket to a `DirectWebSocket`. Everything else, a head that is not
ordinary or a path that is not ours, goes to h11 with the bytes that have come, in a task of its own, and stays there; that is
decided before the request has had any effect.

The life of a connection is `Phase`. In all phases but the first and the last two a request is under way: the shutdown waits for
it.

A GET that must wait is answered at the end of the poller's turn in which there is something to say, or, outside of a turn, when
the task that says it lets others run. So what is said together leaves together.

Deadlines are looked at rarely: a connection has one entry among the deadlines, which is due at most `Limits.look` seconds from
when it was made, and only then is seen whether its own deadline has come. No deadline here is shorter than that, but the last.
"""

import logging
import socket
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from math import inf
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
    handles,
    make_request,
    reject,
)
from trio_socketio.server.net.deadlines import Entry
from trio_socketio.server.net.decisions import (
    LINGER,
    LINGER_BYTES,
    MAX_PIPELINED,
    conflicts,
    decide,
    find_refusal,
    is_last,
    log_fault,
    log_idle,
    log_refusal,
    log_unavailable,
    log_unread,
    polled,
    posted,
    refusal_answer,
    too_large,
    unavailable,
    websocket_fault,
)
from trio_socketio.server.net.direct import DirectWebSocket
from trio_socketio.server.net.head import Fields, Head, Unread, read_head
from trio_socketio.server.net.live import Live
from trio_socketio.server.net.responses import Answer, render, render_switching
from trio_socketio.server.net.serving import serve_stream
from trio_socketio.server.net.websocket import RECEIVE_SIZE

if TYPE_CHECKING:
    from trio_socketio.server.net.poller import Poller
    from trio_socketio.server.service import Service

logger = logging.getLogger("trio_socketio.http")

MAX_AT_ONCE: Final = 8
"""Requests that are answered in one go. Clients of Socket.IO do not pipeline; h11 serves who does, and others get their turn."""


class Phase(Enum):
    """What a connection is about."""

    HEAD = auto()
    """The next request may come, or has come in part."""
    BODY = auto()
    """A POST has begun, and the rest of its body is on its way."""
    POLL = auto()
    """A GET waits until its session has something to say."""
    HELD = auto()
    """A task decides on the answer: whether a session may be opened, or when there is room for more events."""
    WRITE = auto()
    """The client must take an answer before anything else happens."""
    LINGER = auto()
    """The last answer has been sent before everything was read. What still comes is dropped, for a while."""
    GONE = auto()
    """The connection is closed, or is somebody else's."""


class _Interest(Enum):
    """What a socket is watched for."""

    READ = auto()
    WRITE = auto()
    NOTHING = auto()
    """An epoll tells all the same when the connection has ended or broken, but not when only the client has ended its half of it,
    which is what closing a TCP socket does at first."""


_INTERESTS: Final = {Phase.HELD: _Interest.NOTHING, Phase.WRITE: _Interest.WRITE}


class DirectConnection:
    """Serves one connection, from `begin` on.

    Args:
        taken: The connection, non-blocking.
        address: The peer's address.
        service: The service that it belongs to.
        poller: Reads it.
    """

    __slots__ = (
        "_address",
        "_body",
        "_buffer",
        "_busy",
        "_close",
        "_cors",
        "_deadline",
        "_dirty",
        "_dropped",
        "_entry",
        "_interest",
        "_known",
        "_length",
        "_limits",
        "_live",
        "_look",
        "_partial",
        "_phase",
        "_poller",
        "_request",
        "_rest",
        "_served",
        "_server",
        "_service",
        "_socket",
        "_unconfirmed",
        "_unread",
    )

    def __init__(self, taken: socket.socket, address: str, service: "Service", poller: "Poller") -> None:
        self._socket = taken
        self._address = address
        self._service = service
        self._server = service.server
        self._limits = service.server.options.limits
        self._served = 0  # requests
        self._poller = poller
        self._phase = Phase.HEAD
        self._interest = _Interest.READ
        self._busy = False  # counted in the service
        self._dirty = False  # the poller will come back to it at the end of the turn
        self._buffer = b""  # what has come and is not read, body aside
        self._partial = False  # it holds a part of a head, since when the deadline says
        self._known: dict[bytes, Fields] = {}  # header lines that will come again
        self._close = False  # the connection ends with the answer to the latest request
        self._unread = False  # and not everything that the client sends before it has been read
        self._dropped = 0  # bytes that came after it
        self._length = 0  # of the body that belongs to the latest request and has not been read
        self._body = bytearray()
        self._request: Request | None = None  # whose answer waits
        self._live: Live | None = None  # the session that it is for
        self._cors: Headers = ()
        self._unconfirmed: Live | None = None  # the session whose packets are being written
        self._rest = memoryview(b"")  # of an answer, which the kernel did not take
        self._deadline = inf
        self._look: float | None = None
        self._entry: Entry | None = None

    def begin(self) -> None:
        """Serve it."""
        self._poller.add(self._socket.fileno(), self)
        now = trio.current_time()
        self._deadline = now + self._limits.keep_alive
        self._schedule(now)

    # Reading.

    def readable(self) -> int:
        """Read once, a bounded amount: others are waiting, too. Return how much it was."""
        phase = self._phase
        if phase is Phase.GONE:
            return 0
        if self._interest is not _Interest.READ:
            self._end("the client hung up")  # nothing else is told when nothing is asked
            return 0
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._end(f"the connection broke: {error}")
            return 0
        if not data:
            if phase is not Phase.HEAD:
                self._end("the client hung up")
            elif self._buffer:
                self._leave_to_h11()  # which says what is wrong with half a head
            else:
                self._end()
        elif phase is Phase.HEAD:
            self._buffer = self._buffer + data if self._buffer else data
            self._serve()
        elif phase is Phase.BODY:
            self._body += data
            self._read_body()
            self._serve()
        elif phase is Phase.LINGER:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self._end("the client goes on sending after the last answer")
        else:
            self._buffer += data
            if len(self._buffer) > MAX_PIPELINED:
                self._watch()
        return len(data)

    def _serve(self) -> None:
        """Answer the requests that have come, as far as they can be answered now."""
        for _ in range(MAX_AT_ONCE):
            if not self._buffer or self._phase is not Phase.HEAD:
                return
            head = read_head(self._buffer, self._known, self._limits.head_bytes)
            if isinstance(head, Head):
                self._partial = False
                if self._answer(head):
                    continue
            elif head is Unread.PARTIAL:
                if not self._partial:
                    self._partial = True
                    self._deadline = trio.current_time() + self._limits.head_timeout
                return
            break
        if self._buffer and self._phase is Phase.HEAD:
            self._leave_to_h11()

    def _answer(self, head: Head) -> bool:
        """Answer a request, or begin to; return False if it is for h11."""
        fields = head.fields
        if fields.length and head.method != "POST":
            return False
        config = self._server.config
        try:
            request = make_request(
                head.method,
                head.target,
                fields.headers,
                fields.by_name,
                peer_address=self._address,
                secure=False,
                trusted_proxies=config.proxies,
            )
        except BadRequest:
            return False
        if not handles(request.path, config):
            return False
        admission = decide(request, self._server)
        self._served += 1
        self._close = not fields.keep_alive or (
            self._limits.requests_per_connection is not None and is_last(self._served, self._server)
        )
        self._length = fields.length
        data = self._buffer
        self._buffer = data[head.end :]
        if isinstance(admission, Poll):
            self._poll(request, admission.session, admission.cors)
        elif isinstance(admission, Post):
            self._post(admission.session, admission.cors)
        elif isinstance(admission, Open):
            self._open(request, admission)
        elif isinstance(admission, Upgrade):
            if not self._upgrade(request, admission):
                self._buffer = data
                self._served -= 1
                return False
        else:
            log_refusal(request, admission)
            self._refuse(admission)
        return True

    # Sessions.

    def _open(self, request: Request, admission: Open) -> None:
        if self._server.options.allow_request is None:
            self._open_unless(unavailable(self._service, request.address, admission.cors), request, admission)
        else:
            self._wait_in(Phase.HELD, inf)
            self._service.start(self._ask, request, admission)

    async def _ask(self, request: Request, admission: Open) -> None:
        refusal = await find_refusal(request, self._service, admission.cors)
        if self._phase is Phase.HELD and not self._has_hung_up():
            self._open_unless(refusal, request, admission)
            self._serve()

    def _has_hung_up(self) -> bool:
        """Whether the client, which was not read for a while, has hung up without sending more; if so, end the connection.

        Maybe it has ended only its half of the connection; as while a GET waits, that is the same.
        """
        try:
            ended = not self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end(f"the connection broke: {error}")
            return True
        if ended:
            self._end("the client hung up")
        return ended

    def _open_unless(self, refusal: Reject | None, request: Request, admission: Open) -> None:
        if refusal is not None:
            log_unavailable(request, refusal)
            self._refuse(refusal)
        elif admission.transport is Transport.WEBSOCKET:
            if self._accepts_websocket(request):
                live = self._service.open_session(Transport.WEBSOCKET, request)
                websocket = self._websocket(live)
                live.carry(websocket)
                self._switch(request, websocket)
        else:
            live = self._service.open_session(Transport.POLLING, request)
            cookie = self._server.config.cookie_header(live.sid)
            self._poll(request, live, (*admission.cors, ("set-cookie", cookie)) if cookie else admission.cors)

    def _upgrade(self, request: Request, admission: Upgrade[Live]) -> bool:
        """Attach a WebSocket to a session; return False if it must be closed again, for which h11 has a task."""
        if admission.refused:
            return False
        if self._accepts_websocket(request):
            websocket = self._websocket(admission.session)
            if not admission.session.attach(websocket):
                return False
            self._switch(request, websocket)
        return True

    def _accepts_websocket(self, request: Request) -> bool:
        fault = websocket_fault(request, self._server)
        if isinstance(fault, Answer):
            self._send(fault)
        elif fault is not None:
            self._refuse(fault)
        return fault is None

    def _websocket(self, live: Live) -> DirectWebSocket:
        return DirectWebSocket(live, self._server.config.max_payload, self._poller)

    def _switch(self, request: Request, websocket: DirectWebSocket) -> None:
        """Leave the socket to a WebSocket."""
        trailing = self._buffer
        self._phase = Phase.HEAD
        self._watch()
        self._leave()
        websocket.take_over(self._socket, render_switching(request.by_name["sec-websocket-key"]), trailing)
        self._release()

    # Polling.

    def _poll(self, request: Request, live: Live, cors: Headers) -> None:
        if conflicts(live.poll()):
            self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        self._request, self._live, self._cors = request, live, cors
        if not self._answer_poll(request, live, cors):
            self._wait_in(Phase.POLL, inf)
            live.wait_poll(self._wake)

    def _answer_poll(self, request: Request, live: Live, cors: Headers) -> bool:
        """Answer the GET, if there is something to say."""
        payload = live.take_payload()
        if payload is None and not live.session.poll_refused:
            return False
        if self._phase is Phase.POLL:
            live.wait_poll(None)
        self._live = None
        if payload is None:
            live.session.poll_aborted()
            self._refuse(reject(RejectCode.BAD_REQUEST, cors))
        else:
            self._unconfirmed = live
            self._send(polled(payload, request, cors, self._server))
        return True

    def _wake(self) -> None:
        """There may be something to say."""
        if not self._dirty:
            self._dirty = True
            self._poller.soon(self)

    def end_turn(self) -> None:
        """Answer the GET that waits, if there is something to say."""
        self._dirty = False
        request, live = self._request, self._live
        if self._phase is Phase.POLL and request is not None and live is not None:
            self._answer_poll(request, live, self._cors)
            self._serve()

    def _post(self, live: Live, cors: Headers) -> None:
        if conflicts(live.post()):
            self._refuse(reject(RejectCode.BAD_REQUEST, cors))
            return
        size = self._length
        data = self._buffer
        if size > self._server.config.max_payload:
            live.session.post_done()
            self._send(too_large(live, cors, self._server))
            return
        self._live, self._cors = live, cors
        if len(data) >= size:
            self._buffer = data[size:]
            self._take_body(live, data[:size])
            return
        self._buffer = b""
        self._body += data
        self._wait_in(Phase.BODY, trio.current_time() + self._limits.body_timeout)

    def _read_body(self) -> None:
        """See whether the body has come."""
        body, live = self._body, self._live
        if live is not None and len(body) >= self._length:
            self._body = bytearray()
            self._buffer = bytes(body[self._length :])
            del body[self._length :]
            self._take_body(live, bytes(body))

    def _take_body(self, live: Live, body: bytes) -> None:
        self._live = None
        self._length = 0
        live.session.post_done()
        answer = posted(live, body, self._cors)
        if isinstance(answer, Reject):
            self._refuse(answer)
        elif live.client.full:
            self._wait_in(Phase.HELD, inf)
            self._service.start(self._catch_up, live, answer)
        else:
            self._send(answer)

    async def _catch_up(self, live: Live, answer: Answer) -> None:
        await live.catch_up()
        if self._phase is Phase.HELD:
            self._send(answer)
            self._serve()

    # Answers.

    def _refuse(self, refusal: Reject | Preflight) -> None:
        self._send(refusal_answer(refusal, self._server))

    def _refuse_late(self, detail: str, limit: str) -> None:
        log_fault(self._address, detail, limit, self._server)
        self._send(Answer(408, b"", close=True))

    def _send(self, answer: Answer) -> None:
        """Send an answer. A request whose body was not read to its end cannot be followed by another."""
        if self._length:
            self._unread = len(self._buffer) < self._length
            self._close = self._close or self._unread
            self._buffer = self._buffer[self._length :]
            self._length = 0
        self._close = self._close or answer.close or self._service.shutting_down
        data = render(answer, self._server.date(), close=self._close)
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._end(f"the connection broke: {error}")
            return
        if sent == len(data):
            self._sent()
        else:
            self._rest = memoryview(data)[sent:]
            self._wait_in(Phase.WRITE, trio.current_time() + self._limits.write_timeout)

    def writable(self) -> None:
        """Write what the kernel did not take before."""
        if self._phase is not Phase.WRITE:
            return
        try:
            sent = self._socket.send(self._rest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(f"the connection broke: {error}")
            return
        self._rest = self._rest[sent:]
        if not self._rest:
            self._sent()
            self._serve()

    def _sent(self) -> None:
        """The client has the whole answer."""
        live, self._unconfirmed = self._unconfirmed, None
        if live is not None:
            live.poll_done(written=True)
        self._request = self._live = None
        if self._close or self._service.shutting_down:
            if self._unread or self._buffer:
                self._linger()
            else:
                self._end()
            return
        self._phase = Phase.HEAD
        self._deadline = trio.current_time() + self._limits.keep_alive
        if self._busy:
            self._watch()
            self._release()

    def _linger(self) -> None:
        """Read and drop what the client still sends, so that it can read the last answer."""
        with suppress(OSError):  # if it has broken, reading tells
            self._socket.shutdown(socket.SHUT_WR)
        self._buffer = b""
        self._phase = Phase.LINGER
        self._watch()
        now = trio.current_time()
        self._deadline = now + LINGER
        self._schedule(now)
        self._release()

    # Changes.

    def _wait_in(self, phase: Phase, deadline: float) -> None:
        """Go on later."""
        self._phase = phase
        self._deadline = deadline
        self._watch()
        if not self._busy:
            self._busy = True
            self._service.begin_exchange()

    def _release(self) -> None:
        if self._busy:
            self._busy = False
            self._service.end_exchange()

    def _watch(self) -> None:
        interest = _INTERESTS.get(self._phase, _Interest.READ)
        if self._phase is Phase.POLL and len(self._buffer) > MAX_PIPELINED:
            interest = _Interest.NOTHING
        if interest is not self._interest:
            self._interest = interest
            self._poller.watch(
                self._socket.fileno(), reads=interest is _Interest.READ, writes=interest is _Interest.WRITE
            )

    def _leave(self) -> None:
        self._phase = Phase.GONE
        self._look = None
        self._entry = self._service.deadlines.schedule(self, self._entry)

    def _leave_to_h11(self) -> None:
        """Leave the connection to h11, from the beginning of the request that has come last."""
        self._leave()
        self._poller.remove(self._socket.fileno())
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))
        self._service.spawn(
            partial(serve_stream, self._service, stream, self._address, initial=self._buffer, served=self._served)
        )

    def cut(self, reason: CloseReason, detail: str) -> None:  # noqa: ARG002  # the reason is for sessions
        """End the connection without a word."""
        if self._phase is not Phase.GONE:
            self._end(detail)

    def _end(self, detail: str = "") -> None:
        """End the connection; what a session was about to say through it stays with the session."""
        phase, live, unconfirmed = self._phase, self._live, self._unconfirmed
        self._leave()
        self._poller.remove(self._socket.fileno())
        self._socket.close()
        self._unconfirmed = None
        if detail:
            logger.debug("connection over: %s", detail)
        if unconfirmed is not None:
            unconfirmed.poll_done(written=False)
        elif live is not None and phase is Phase.POLL:
            live.wait_poll(None)
            live.session.poll_aborted()
        elif live is not None and phase is Phase.BODY:
            live.session.post_done()
        self._release()

    # Time.

    @property
    def next_deadline(self) -> float | None:
        """When to look whether the deadline has come."""
        return self._look

    def tick(self, now: float) -> None:
        """Give up a client that is too late."""
        if now >= self._deadline:
            self._give_up()
        if self._phase is not Phase.GONE:
            self._schedule(now)

    def _give_up(self) -> None:
        live, self._live = self._live, None
        if self._phase is Phase.BODY and live is not None:
            live.session.post_done()
            self._refuse_late("its body did not come in time", "body_timeout")
        elif self._phase is Phase.HEAD and self._partial:
            self._refuse_late("its head did not come in time", "head_timeout")
        elif self._phase is Phase.WRITE:
            log_unread(self._address, self._server)
            self._end("the client did not read its answer in time")
        elif self._phase is Phase.LINGER:
            self._end("the client has had its time for the last answer")
        else:
            log_idle(self._server)
            self._end()

    def _schedule(self, now: float) -> None:
        self._look = min(self._deadline, now + self._limits.look)
        self._entry = self._service.deadlines.schedule(self, self._entry)
