"""One WebSocket: RFC 6455 by wsproto on the inside, the frames of a session on the outside."""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.outbound import Outbound, size_in_bytes
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason as CloseCode

if TYPE_CHECKING:
    from trio_socketio.server.net.live import Live

RECEIVE_SIZE: Final = 64 * 1024
"""Bytes read at once."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds for the last frames, and for the peer's half of the closing handshake; browsers wait longer than a round
trip, never this long."""

MAX_PARTS: Final = 1024
"""Fragments of a message that are kept apart; a client that sends it byte by byte must not cost fifty times its size."""

_TEXT, _BINARY = 0x81, 0x82  # a final frame of that kind, unfragmented
_SHORT, _MEDIUM = 126, 1 << 16  # where the length needs two, then eight more bytes (RFC 6455, section 5.2)


class WebSocket:
    """The task, or rather the two, that serve one WebSocket after its opening handshake.

    Args:
        stream: The connection.
        live: The session whose frames it carries.
        max_payload: The largest message that is taken, in bytes.
        trailing: What came behind the opening handshake already.
    """

    def __init__(self, stream: trio.abc.Stream, live: "Live", max_payload: int, trailing: bytes) -> None:
        self._stream = stream
        self._live = live
        self._max_payload = max_payload
        self._protocol = Connection(ConnectionType.SERVER, trailing_data=trailing)
        self._parts: list[str | bytes] = []
        self._size = 0
        self._pong: bytes | None = None
        self._closing: bytes | None = None
        self._close_code: int | None = None
        self._something = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Carry frames both ways until either side closes; the stream is left for the caller to close."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    if self._closing is None and self._close_code is None:
                        nursery.cancel_scope.cancel()
        finally:
            self._live.lost(self, CloseReason.TRANSPORT_CLOSE, "the WebSocket ended")

    # What the session asks of its carrier.

    def wake(self) -> None:
        """There may be something to send."""
        self._something.set()

    def finish(self, code: int) -> None:
        """Write what is left, then close; in `CLOSE_TIMEOUT` seconds at most once the session is over."""
        if self._close_code is None:
            self._close_code = code
        if not self._has_more():
            self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_TIMEOUT)
        self._something.set()

    # Reading.

    async def _read(self) -> None:
        while True:
            for event in self._protocol.events():
                if isinstance(event, (TextMessage, BytesMessage)):
                    if not self._receive(event):
                        return
                elif isinstance(event, Ping):
                    self._pong = self._protocol.send(
                        event.response()
                    )  # the latest one answers for all (RFC 6455, section 5.5.3)
                    self._something.set()
                elif isinstance(event, CloseConnection):
                    self._peer_closed(event)
                    return
            await self._live.catch_up()
            try:
                data = await self._stream.receive_some(RECEIVE_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._live.lost(self, CloseReason.TRANSPORT_ERROR, f"the connection broke: {error}")
                return
            if not data:
                self._live.lost(self, CloseReason.TRANSPORT_CLOSE, "the connection ended without a closing handshake")
                return
            self._protocol.receive_data(bytes(data))

    def _receive(self, event: "TextMessage | BytesMessage") -> bool:
        """Take in a piece of a message; return False when it is too large."""
        piece: str | bytes = event.data if isinstance(event, TextMessage) else bytes(event.data)
        self._size += size_in_bytes(piece)
        if self._size > self._max_payload:
            detail = f"a message of more than {self._max_payload} bytes"
            self._fail(CloseCode.MESSAGE_TOO_BIG, detail)
            return False
        if not event.message_finished:
            if piece:  # empty fragments are legal, and a flood of them must not grow anything
                self._parts.append(piece)
            if len(self._parts) > MAX_PARTS:
                self._parts = [_join(self._parts, is_text=isinstance(event, TextMessage))]
            return True
        if self._parts:
            piece = _join([*self._parts, piece], is_text=isinstance(event, TextMessage))
            self._parts.clear()
        self._size = 0
        self._live.receive_from(self, piece)
        return True

    def _peer_closed(self, event: CloseConnection) -> None:
        if self._protocol.state is ConnectionState.OPEN:  # no Close frame came: wsproto found a fault
            self._fail(event.code, f"no valid WebSocket: {event.reason}")
            return
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            self._closing = self._protocol.send(event.response())
            self._something.set()
            self._live.lost(
                self, CloseReason.TRANSPORT_CLOSE, f"the client closed the WebSocket with code {event.code}"
            )
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_TIMEOUT)

    def _fail(self, code: int, detail: str) -> None:
        """Close because of what the peer did, with an empty reason: it learns no more than the code."""
        if self._protocol.state is ConnectionState.OPEN:
            self._closing = self._protocol.send(CloseConnection(code=code))
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_TIMEOUT)
        self._live.lost(self, CloseReason.TRANSPORT_ERROR, detail)
        self._something.set()

    # Writing.

    async def _write(self) -> None:
        try:
            while await self._write_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._live.lost(self, CloseReason.TRANSPORT_ERROR, f"the connection broke: {error}")
            self._scope.cancel()

    async def _write_some(self) -> bool:
        """Write whatever there is, or wait for something; return False once the closing frame has been written."""
        self._something = trio.Event()
        taken = self._live.take(self)
        pong, self._pong = self._pong, None
        data = b"".join(map(wire, taken))
        if pong is not None and self._protocol.state is ConnectionState.OPEN:
            data = pong + data
        if data and self._closing is None:
            await self._stream.send_all(data)
        if taken:
            self._live.written(self)
            return True
        if self._closing is None and self._close_code is not None and not self._has_more():
            self._closing = self._protocol.send(CloseConnection(code=self._close_code))
        if self._closing is not None:
            await self._stream.send_all(self._closing)
            self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_TIMEOUT)
            return False
        await self._something.wait()
        return True

    def _has_more(self) -> bool:
        """Whether the session, though it has ended, still has something to write through here."""
        return self._live.flushes(self)


def wire(outbound: Outbound) -> bytes:
    """Return the frames of a message as a server sends them, unmasked: the same bytes for every recipient, made once."""
    if outbound.wire is None:
        outbound.wire = b"".join(map(_frame, outbound.frames))
    return outbound.wire


def _frame(data: str | bytes) -> bytes:
    """Return one unfragmented WebSocket frame (RFC 6455, section 5.2)."""
    payload, first = (data.encode(), _TEXT) if isinstance(data, str) else (data, _BINARY)
    length = len(payload)
    if length < _SHORT:
        return bytes((first, length)) + payload
    if length < _MEDIUM:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def _join(parts: Sequence[str | bytes], *, is_text: bool) -> str | bytes:
    """Join the pieces of one message, which are all of the kind of its last."""
    if is_text:
        return "".join([part for part in parts if isinstance(part, str)])
    return b"".join([part for part in parts if isinstance(part, bytes)])


async def accept_and_close(stream: trio.abc.Stream) -> None:
    """Serve a WebSocket that came for a session which has one already: close it in the regular way."""
    protocol = Connection(ConnectionType.SERVER)
    with trio.move_on_after(CLOSE_TIMEOUT):
        try:
            await stream.send_all(protocol.send(CloseConnection(code=CloseCode.NORMAL_CLOSURE)))
            while await stream.receive_some(RECEIVE_SIZE):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
