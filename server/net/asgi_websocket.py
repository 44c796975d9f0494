"""One WebSocket that an ASGI host passes on: its messages are the frames of a session. The host speaks RFC 6455.

Theory of operation
===================

Two tasks serve it, one for each direction, as in `trio_socketio.server.net.streamed`. Everything leaves by way of the session's
buffer and through one task, so the order is that of the calls.

It ends in one of these ways, and in each of them within `CLOSE_TIMEOUT` seconds once the session is over:

- The client is gone: the host says ``websocket.disconnect``, and nothing more is sent.
- The session ends: what waits is sent, then ``websocket.close``; the host's ``websocket.disconnect`` is awaited.
- The host cancels the task, which is how a host ends that will not wait: the session is closed as in a shutdown, and what waits
  is sent, ``websocket.close`` at the end. For this the writing task is shielded from the host's cancellation.
"""

import logging
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.config import Transport
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.outbound import Frame, Outbound, size_in_bytes
from trio_socketio.engine.request import BadRequest, Open, Reject, Request, Upgrade
from trio_socketio.server.net.asgi_channel import Channel, Gone
from trio_socketio.server.net.asgi_scope import Message, Scope, encoded, read_request
from trio_socketio.server.net.decisions import (
    decide,
    find_refusal,
    log_fault,
    log_refusal,
    log_unavailable,
    refusal_answer,
    websocket_fault,
)
from trio_socketio.server.net.live import NORMAL, Live
from trio_socketio.server.net.responses import Answer, complete
from trio_socketio.server.net.websocket import CLOSE_TIMEOUT
from wsproto.frame_protocol import CloseReason as CloseCode

if TYPE_CHECKING:
    from trio_socketio.server.net.asgi import Hosted

logger = logging.getLogger("trio_socketio.http")

BAD_REQUEST: Final = Answer(400, b"")
NOT_FOUND: Final = Answer(404, b"Not found\n", (("content-type", "text/plain; charset=UTF-8"),))

DENIAL: Final = "websocket.http.response"
"""The extension by which a host lets an application say how a WebSocket is refused; without it the answer is always 403."""


class Opening:
    """Answers the opening handshake of one WebSocket, and serves what comes of it.

    Args:
        hosted: The service, as the host runs it.
        scope: The host's.
        channel: The host's.
    """

    def __init__(self, hosted: "Hosted", scope: Scope, channel: Channel) -> None:
        self._hosted = hosted
        self._service = hosted.service
        self._server = hosted.service.server
        self._scope = scope
        self._channel = channel
        self._request: Request

    async def answer(self, *, ours: bool) -> None:
        """Accept or refuse the WebSocket; if a session takes it, serve it to its end."""
        try:
            await self._answer(ours=ours)
        except Gone as gone:
            logger.debug("WebSocket over: %s", gone)

    async def _answer(self, *, ours: bool) -> None:
        if (await self._channel.receive())["type"] != "websocket.connect":
            raise Gone("the client hung up during its opening handshake")
        if not ours:
            await self._deny(NOT_FOUND)
            return
        try:
            request = read_request(self._scope, self._server.config.proxies)
        except BadRequest as error:
            log_fault(self._channel.address, str(error), None, self._server)
            await self._deny(BAD_REQUEST)
            return
        self._request = request
        admission = decide(request, self._server)
        match admission:
            case Open(_, cors):
                with self._service.working():
                    refusal = await find_refusal(request, self._service, cors)
                if refusal is not None:
                    log_unavailable(request, refusal)
                    await self._refuse(refusal)
                elif await self._accept():
                    await self._open()
            case Upgrade(live, refused, _):
                if await self._accept():
                    await self._upgrade(live, refused=refused)
            case Reject():
                log_refusal(request, admission)
                await self._refuse(admission)

    async def _deny(self, answer: Answer) -> None:
        """Refuse the WebSocket with an HTTP answer, if the host can do that."""
        if DENIAL not in (self._scope.get("extensions") or {}):
            await self._channel.send_in_time({"type": "websocket.close"})
            return
        headers = encoded(complete(answer, (), close=False))
        await self._channel.send_in_time({"type": f"{DENIAL}.start", "status": answer.status, "headers": headers})
        await self._channel.send_in_time({"type": f"{DENIAL}.body", "body": answer.body, "more_body": False})

    async def _refuse(self, refusal: Reject) -> None:
        await self._deny(refusal_answer(refusal, self._server))

    async def _accept(self) -> bool:
        """Finish the opening handshake, or refuse it; return whether it is finished."""
        fault = (
            websocket_fault(self._request, self._server) if self._scope.get("http_version", "1.1") == "1.1" else None
        )
        if isinstance(fault, Answer):
            await self._deny(fault)
        elif fault is not None:
            await self._refuse(fault)
        else:
            await self._channel.send_in_time({"type": "websocket.accept"})
        return fault is None

    async def _open(self) -> None:
        live = self._service.open_session(Transport.WEBSOCKET, self._request)
        websocket = ASGIWebSocket(self._hosted, live, self._channel)
        live.carry(websocket)
        if self._service.shutting_down:  # since its opening handshake began
            live.close(CloseReason.SERVER_SHUTTING_DOWN, "the server shuts down")
        await websocket.run()

    async def _upgrade(self, live: Live, *, refused: bool) -> None:
        websocket = ASGIWebSocket(self._hosted, live, self._channel)
        if refused or not live.attach(websocket):
            logger.info("closed a WebSocket of a session that has one already")
            websocket.finish(NORMAL)
        await websocket.run()


class ASGIWebSocket:
    """Carries the frames of a session, after the opening handshake.

    Args:
        hosted: The service, as the host runs it.
        live: The session.
        channel: The host's.
    """

    __slots__ = ("_channel", "_close_code", "_hosted", "_live", "_max_payload", "_reading", "_something", "_writing")

    def __init__(self, hosted: "Hosted", live: Live, channel: Channel) -> None:
        self._hosted = hosted
        self._live = live
        self._channel = channel
        self._max_payload = hosted.service.server.config.max_payload
        self._close_code: int | None = None  # what it is to be closed with, when everything is written
        self._something = trio.Event()
        self._reading = trio.CancelScope()
        self._writing = trio.CancelScope(shield=True)

    async def run(self) -> None:
        """Carry frames both ways until either side closes."""
        try:
            with self._hosted.ending(self._reading, self._writing):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    try:
                        with self._reading:
                            await self._read()
                    except trio.Cancelled:
                        self._say_goodbye()
                        raise
                    self._writing.cancel()
        finally:
            self._live.lost(self, CloseReason.TRANSPORT_CLOSE, "the WebSocket ended")

    def wake(self) -> None:
        """There may be something to send."""
        self._something.set()

    def write(self, outbound: Outbound) -> bool:  # noqa: ARG002  # everything goes by way of the buffer
        """A host cannot be told anything without waiting."""
        return False

    def finish(self, code: int) -> None:
        """Write what is left, then close; in `CLOSE_TIMEOUT` seconds at most once the session is over."""
        if self._close_code is None:
            self._close_code = code
        if not self._live.flushes(self):
            self._hurry()
        self._something.set()

    def _hurry(self) -> None:
        """Give the host `CLOSE_TIMEOUT` seconds from now, or less if that was said before."""
        deadline = trio.current_time() + CLOSE_TIMEOUT
        for scope in (self._reading, self._writing):
            scope.deadline = min(scope.deadline, deadline)

    def _say_goodbye(self) -> None:
        """The host ends, and cancels what it serves: the client is told."""
        if self._close_code is None:
            self._live.close(CloseReason.SERVER_SHUTTING_DOWN, "the ASGI host cancelled the WebSocket")
        self._hurry()

    async def _read(self) -> None:
        live = self._live
        while True:
            await live.catch_up()
            try:
                message = await self._channel.receive()
            except Gone as gone:
                live.lost(self, CloseReason.TRANSPORT_ERROR, str(gone))
                return
            if message["type"] == "websocket.disconnect":
                detail = f"the host says that the WebSocket was closed with code {message.get('code', 1005)}"
                live.lost(self, CloseReason.TRANSPORT_CLOSE, detail)
                return
            text: str | None = message.get("text")
            frame: Frame = bytes(message.get("bytes") or b"") if text is None else text
            if size_in_bytes(frame) > self._max_payload:
                self._refuse_size()
            else:
                live.receive_from(self, frame)

    def _refuse_size(self) -> None:
        if self._close_code is None:
            self._close_code = int(CloseCode.MESSAGE_TOO_BIG)
        detail = f"a message of more than {self._max_payload} bytes"
        self._live.lost(self, CloseReason.TRANSPORT_ERROR, detail, "max_payload")
        self._hurry()
        self._something.set()

    async def _write(self) -> None:
        with self._writing:
            try:
                while await self._write_some():
                    pass
            except Gone as gone:
                self._live.lost(self, CloseReason.TRANSPORT_ERROR, str(gone))
                self._reading.cancel()

    async def _write_some(self) -> bool:
        """Write whatever there is, or wait for something; return False once the WebSocket has been closed."""
        self._something = trio.Event()
        taken = self._live.take(self)
        for outbound in taken:
            for frame in outbound.frames:
                await self._channel.send(_message(frame))
        if taken:
            self._live.written(self)
            return True
        if self._close_code is not None and not self._live.flushes(self):
            await self._channel.send({"type": "websocket.close", "code": self._close_code})
            self._hurry()
            return False
        await self._something.wait()
        return True


def _message(frame: Frame) -> Message:
    if isinstance(frame, str):
        return {"type": "websocket.send", "text": frame}
    return {"type": "websocket.send", "bytes": frame}
