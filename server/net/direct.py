"""A WebSocket over a plain socket: no task of its own, read by the poller, written to by whoever has something to say.

What is said during a turn of the poller is collected and leaves in one call at its end; at other times it leaves at once. What
the kernel does not take stays here, counted in the session's buffer, until the socket is writable again; what is said
meanwhile waits in the session. So the order is always that of the calls.
"""

import socket
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.frames import close_frame
from trio_socketio.engine.outbound import Outbound
from trio_socketio.server.net.deadlines import Entry
from trio_socketio.server.net.websocket import CLOSE_TIMEOUT, RECEIVE_SIZE, WebSocket

if TYPE_CHECKING:
    from trio_socketio.server.net.live import Live
    from trio_socketio.server.net.poller import Poller

COLLECT: Final = 64 * 1024
"""Bytes that are collected at most before they are written."""


class DirectWebSocket(WebSocket):
    """Serves one WebSocket after its opening handshake, from `begin` or `take_over` on.

    Args:
        live: The session whose frames it carries.
        max_payload: The largest message that is taken, in bytes.
        poller: Reads it.
    """

    __slots__ = (
        "_collected",
        "_deadline",
        "_descriptor",
        "_dirty",
        "_entry",
        "_more",
        "_open",
        "_paused",
        "_poller",
        "_reading",
        "_rest",
        "_said_goodbye",
        "_size",
        "_socket",
    )

    def __init__(self, live: "Live", max_payload: int, poller: "Poller") -> None:
        super().__init__(live, max_payload)
        self._poller = poller
        self._socket: socket.socket
        self._descriptor = -1
        self._open = False
        self._reading = True  # what comes is of interest
        self._paused = False  # it is left in the kernel for now
        self._said_goodbye = False
        self._dirty = False  # the poller will come back to it at the end of the turn
        self._collected: Outbound | None = None  # what leaves at the end of the turn: nearly always one message
        self._more: list[Outbound] | None = None  # what was said after it
        self._size = 0
        self._rest: memoryview | None = None  # of what the kernel did not take; the session counts it
        self._deadline: float | None = None
        self._entry: Entry | None = None

    def begin(self, stream: trio.SocketStream, trailing: bytes) -> None:
        """Take the socket out of a connection, whose task may end.

        Args:
            stream: The connection.
            trailing: What came behind the opening handshake already.
        """
        taken = socket.socket(fileno=stream.socket.detach())
        taken.settimeout(0)
        self._poller.add(taken.fileno(), self)
        self._hold(taken)
        if trailing:
            self._feed(trailing)
        self.wake()

    def take_over(self, taken: socket.socket, answer: bytes, trailing: bytes) -> None:
        """Take a socket over from who is polled for it until now.

        Args:
            taken: The socket, non-blocking.
            answer: Accepts the opening handshake, and leaves in one call with what the session has to say.
            trailing: What came behind the opening handshake already.
        """
        self._poller.replace(taken.fileno(), self)
        self._hold(taken)
        outbounds = self._live.take(self)
        data = answer + b"".join([outbound.wire for outbound in outbounds])
        sent = self._send(data)
        if sent < len(data):
            self._wait(data, sent)
        elif outbounds:
            self._live.written(self)
        if trailing and self._open:
            self._feed(trailing)
            self._wake_soon()

    def _hold(self, taken: socket.socket) -> None:
        self._socket = taken
        self._descriptor = taken.fileno()
        self._open = True
        self._live.service.begin_exchange()  # the shutdown waits for its closing handshake

    # Reading.

    def readable(self) -> int:
        """Read once, a bounded amount: others are waiting, too. Return how much it was."""
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.cut(CloseReason.TRANSPORT_ERROR, f"the connection broke: {error}")
            return 0
        if not data:
            self.cut(CloseReason.TRANSPORT_CLOSE, "the connection ended without a closing handshake")
        elif self._reading:
            self._feed(data)
        return len(data)

    def _feed(self, data: bytes) -> None:
        if not self._take_in(data):
            self._reading = False  # what still comes is dropped: closing with input unread would reset the connection
        elif self._live.client.full and not self._paused and self._open:
            self._paused = True
            self._watch()
            self._live.service.start(self._catch_up)

    async def _catch_up(self) -> None:
        await self._live.catch_up()
        self._paused = False
        if self._open:
            self._watch()

    def _watch(self) -> None:
        self._poller.watch(self._descriptor, reads=not self._paused, writes=self._rest is not None)

    # Writing.

    def write(self, outbound: Outbound) -> bool:
        """Write a message at once, past the session's buffer, which is empty; return False if that is not possible now."""
        if self._rest is not None or self._closing or not self._open:
            return False
        turning = self._poller.turning
        if not turning and self._collected is None and not self._pong:
            data = outbound.wire
            sent = self._send(data)
            if 0 <= sent < len(data):
                self._live.unsent(self, (outbound,))
                self._wait(data, sent)
            return True
        if self._collected is None:
            self._collected = outbound
        elif self._more is None:
            self._more = [outbound]
        else:
            self._more.append(outbound)
        self._size += outbound.size
        if not turning or self._size > COLLECT:
            self._flush()
        elif not self._dirty:
            self._dirty = True
            self._poller.dirty.append(self)
        return True

    def _wake_soon(self) -> None:
        if self._poller.turning:
            self._leave_at_the_end()
        else:
            self.wake()

    def _leave_at_the_end(self) -> None:
        if not self._dirty:
            self._dirty = True
            self._poller.dirty.append(self)

    def end_turn(self) -> None:
        """Write what was collected during the turn, and go on with what was put off to its end."""
        self._dirty = False
        if self._collected is not None or self._pong:
            self._flush()
        if self._closing or self._close_code is not None:
            self.wake()

    def _flush(self) -> None:
        """Write what was collected, behind the answer to a ping. This is done for every recipient of every message."""
        collected, more, pong = self._collected, self._more, self._pong
        if self._rest is not None or self._said_goodbye:
            return
        if collected is not None:
            data = collected.wire
            self._collected = None
            self._size = 0
            if more is not None:
                data = b"".join([data, *[outbound.wire for outbound in more]])
                self._more = None
        elif pong:
            data = b""
        else:
            return
        if pong:
            data = pong + data
            self._pong = b""
        try:
            sent = self._socket.send(data)
        except OSError as error:
            sent = self._not_sent(error)
        if 0 <= sent < len(data):
            if collected is not None:
                self._live.unsent(self, (collected, *(more or ())))
            self._wait(data, sent)

    def wake(self) -> None:
        """There may be something to send."""
        if not self._open:
            return
        self._flush()
        while self._rest is None:
            taken = self._live.take(self)
            data = b"".join([outbound.wire for outbound in taken])
            if not data or self._said_goodbye:
                break
            sent = self._send(data)
            if sent < len(data):
                self._wait(data, sent)
                return
            if taken:
                self._live.written(self)
        self._check_closing()

    def writable(self) -> None:
        """Write what the kernel did not take before, then whatever waits."""
        rest = self._rest
        if rest is None:
            return
        sent = self._send(rest)
        if sent < 0:
            return
        if sent < len(rest):
            self._rest = rest[sent:]
            self._live.moved += sent > 0
            return
        self._rest = None
        self._watch()
        self._live.written(self)
        self.wake()

    def _send(self, data: bytes | memoryview) -> int:
        """Return how many bytes the kernel has taken; -1 if the connection is no more."""
        try:
            return self._socket.send(data)
        except OSError as error:
            return self._not_sent(error)

    def _not_sent(self, error: OSError) -> int:
        if isinstance(error, (BlockingIOError, InterruptedError)):
            return 0
        self.cut(CloseReason.TRANSPORT_ERROR, f"the connection broke: {error}")
        return -1

    def _wait(self, data: bytes, sent: int) -> None:
        """Wait until the rest can be written, unless the connection is no more."""
        if sent < 0:
            return
        self._rest = memoryview(data)[sent:]
        self._watch()

    # Closing.

    def finish(self, code: int) -> None:
        """Write what is left, then close; in `CLOSE_TIMEOUT` seconds at most once the session is over."""
        if self._close_code is None:
            self._close_code = code
        if not self._open:
            return
        if not self._has_more():
            self._hurry()
        self._wake_soon()

    def cut(self, reason: CloseReason, detail: str) -> None:
        """End the connection without a word."""
        if not self._open:
            return
        self._open = False
        self._rest = None
        self._collected = self._more = None
        self._poller.remove(self._descriptor)
        self._socket.close()
        self._entry = self._live.service.deadlines.schedule(self, self._entry)
        self._live.lost(self, reason, detail)
        self._live.service.end_exchange()

    def _check_closing(self) -> None:
        """Begin or end the closing handshake, if it is time for that."""
        if not self._open or self._rest is not None:
            return
        if not self._closing:
            if self._close_code is None or self._has_more():
                return
            self._closing = close_frame(self._close_code)
        if not self._said_goodbye:
            self._said_goodbye = True
            sent = self._send(self._closing)
            if sent < len(self._closing):
                self._wait(self._closing, sent)
                return
            self._hurry()
        if self._peer_closed:
            self.cut(CloseReason.TRANSPORT_CLOSE, "the WebSocket ended")

    def _hurry(self) -> None:
        deadline = trio.current_time() + CLOSE_TIMEOUT
        if self._open and (self._deadline is None or deadline < self._deadline):
            self._deadline = deadline
            self._entry = self._live.service.deadlines.schedule(self, self._entry)

    @property
    def next_deadline(self) -> float | None:
        """Until when the peer may take part in the closing handshake."""
        return self._deadline if self._open else None

    def tick(self, now: float) -> None:  # noqa: ARG002  # there is one thing that can be due
        """Give up a peer that takes no part in it."""
        self.cut(CloseReason.TRANSPORT_CLOSE, "the client took no part in the closing handshake")
