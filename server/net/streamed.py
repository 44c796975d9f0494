"""A WebSocket over any stream: TLS, memory, what an application brings. Two tasks serve it, one for each direction."""

from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.frames import close_frame
from trio_socketio.engine.outbound import Outbound
from trio_socketio.server.net.websocket import CLOSE_TIMEOUT, RECEIVE_SIZE, WebSocket

if TYPE_CHECKING:
    from trio_socketio.server.net.live import Live

WRITE_SIZE: Final = 64 * 1024
"""Bytes that are written at once: between two such pieces is seen that the client takes something, if slowly."""

NORMAL_CLOSURE: Final = 1000
"""RFC 6455, section 7.4.1."""


class StreamWebSocket(WebSocket):
    """Serves one WebSocket after its opening handshake.

    Args:
        stream: The connection.
        live: The session whose frames it carries.
        max_payload: The largest message that is taken, in bytes.
    """

    __slots__ = ("_scope", "_something", "_stream")

    def __init__(self, stream: trio.abc.Stream, live: "Live", max_payload: int) -> None:
        super().__init__(live, max_payload)
        self._stream = stream
        self._something = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self, trailing: bytes) -> None:
        """Carry frames both ways until either side closes; the stream is left for the caller to close.

        Args:
            trailing: What came behind the opening handshake already.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read(trailing)
                    if not self._closing and self._close_code is None:
                        nursery.cancel_scope.cancel()
                    else:
                        self._hurry()  # what is being written may never be taken
        finally:
            self._live.lost(self, CloseReason.TRANSPORT_CLOSE, "the WebSocket ended")

    def wake(self) -> None:
        """There may be something to send."""
        self._something.set()

    def write(self, outbound: Outbound) -> bool:  # noqa: ARG002  # everything goes by way of the buffer
        """A stream cannot be written to without waiting."""
        return False

    def finish(self, code: int) -> None:
        """Write what is left, then close; in `CLOSE_TIMEOUT` seconds at most once the session is over."""
        if self._close_code is None:
            self._close_code = code
        if not self._has_more():
            self._hurry()
        self._something.set()

    def _hurry(self) -> None:
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_TIMEOUT)

    async def _read(self, data: bytes) -> None:
        reading = self._take_in(data)
        while not self._peer_closed:
            await self._live.catch_up()
            try:
                data = bytes(await self._stream.receive_some(RECEIVE_SIZE))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._live.lost(self, CloseReason.TRANSPORT_ERROR, f"the connection broke: {error}")
                return
            if not data:
                self._live.lost(self, CloseReason.TRANSPORT_CLOSE, "the connection ended without a closing handshake")
                return
            # After a fault, what still comes is dropped: closing with input unread would reset the connection.
            reading = reading and self._take_in(data)

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
        pong, self._pong = self._pong, b""
        data = pong + b"".join([outbound.wire for outbound in taken])
        if not self._closing:
            for start in range(0, len(data), WRITE_SIZE):
                await self._stream.send_all(data[start : start + WRITE_SIZE])
                self._live.moved += 1
        if taken:
            self._live.written(self)
            return True
        if not self._closing and self._close_code is not None and not self._has_more():
            self._closing = close_frame(self._close_code)
        if self._closing:
            await self._stream.send_all(self._closing)
            self._hurry()
            return False
        await self._something.wait()
        return True


async def refuse(stream: trio.abc.Stream) -> None:
    """Serve a WebSocket that came for a session which has one already: close it in the regular way."""
    with trio.move_on_after(CLOSE_TIMEOUT):
        try:
            await stream.send_all(close_frame(NORMAL_CLOSURE))
            while await stream.receive_some(RECEIVE_SIZE):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
