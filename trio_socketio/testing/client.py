"""The test client: one session with the server, whose packets are read as they come by a task in the background."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

import trio

from trio_socketio.protocol import socketio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.testing.departure import Departure
from trio_socketio.testing.errors import ConnectionGone, NotReceived
from trio_socketio.testing.events import Event
from trio_socketio.testing.http import TIMEOUT, Pairs, Response, request_from
from trio_socketio.testing.memory import MemoryService
from trio_socketio.testing.session import ClientSession, frames_of
from trio_socketio.testing.transport import Frame, Transport, TransportEnded

FAREWELL: Final = 1.0
"""Seconds for a client that fails to say that its session is over."""

T = TypeVar("T")


class MemoryClient(ClientSession):
    """A client in memory; `open_test_client` makes it.

    What waits for the server takes ``timeout`` seconds at most, of whatever clock trio runs with, and then raises `NotReceived`.
    ``namespace=None`` means the first namespace that the client has joined.
    """

    def __init__(self, service: MemoryService, transport: Transport, opening: Frame, departure: Departure) -> None:
        super().__init__(transport, opening, departure)
        self._service = service
        self._next_ack = 0

    # Who it is.

    @property
    def sid(self) -> str:
        """The sid in the first namespace.

        Raises:
            ConnectionGone: The client is not in it.
        """
        return self.sids[self._joined(None)]

    @property
    def transport(self) -> str:
        """``websocket`` or ``polling``."""
        return self._transport.name

    @property
    def connected(self) -> bool:
        """Whether there is a connection; it may have joined no namespace."""
        return self._gone is None

    # Namespaces.

    async def connect(self, namespace: str = "/", auth: JSON = None, *, timeout: float = TIMEOUT) -> str:
        """Join a namespace and return the sid in it.

        Args:
            namespace: Its name.
            auth: What the server's connect handler gets: a dict, or None.
            timeout: Seconds to wait for the answer.

        Raises:
            ConnectError: The server refused.
            NotReceived: It did not answer.
            ConnectionGone: It closed the connection, or had done so before.
        """
        if namespace in self.sids:
            raise ValueError(f"the client is in {namespace!r} already")
        self._refusals.pop(namespace, None)
        await self._send(socketio.Packet(PacketType.CONNECT, namespace, auth))

        def answer() -> str | None:
            if namespace in self._refusals:
                raise self._refusals.pop(namespace)
            if namespace not in self.sids:
                self._check_connection()
            return self.sids.get(namespace)

        return await self._wait(answer, timeout, f"no answer to the CONNECT to {namespace!r} came")

    async def disconnect(self, namespace: str | None = None) -> None:
        """Leave a namespace; the connection stays.

        Raises:
            ConnectionGone: The client is not in it.
        """
        namespace = self._joined(namespace)
        self._leave(namespace, "io client disconnect")
        await self._send(socketio.Packet(PacketType.DISCONNECT, namespace))

    async def wait_disconnected(self, namespace: str | None = None, *, timeout: float = TIMEOUT) -> str:
        """Wait until the client is not in a namespace any more, and return why, in the words of JavaScript's client.

        ``io server disconnect``, ``io client disconnect``, ``transport close``, ``transport error`` or ``parse error``.

        Raises:
            NotReceived: It is still in it after that time.
        """
        name = self._named(namespace)

        def reason() -> str | None:
            if name not in self._left and self._gone is not None:
                return self._gone.reason  # it never was in it
            return self._left.get(name)

        return await self._wait(reason, timeout, f"the client was not disconnected from {name!r}")

    # Events out.

    async def emit(self, event: str, *args: JSON, namespace: str | None = None) -> None:
        """Send an event; bytes may be anywhere in the arguments.

        Raises:
            ConnectionGone: The client is not in the namespace, or not connected.
        """
        await self._send(socketio.Packet(PacketType.EVENT, self._joined(namespace), [event, *args]))

    async def send(self, *args: JSON, namespace: str | None = None) -> None:
        """Send an event with the name ``message``, as `emit` does."""
        await self.emit("message", *args, namespace=namespace)

    async def call(self, event: str, *args: JSON, namespace: str | None = None, timeout: float = TIMEOUT) -> JSON:
        """Send an event and wait for its acknowledgement.

        Returns:
            What the handler returned: None, a value, or a tuple of several.

        Raises:
            NotReceived: It did not come. The handler may have failed, which is in the log.
            ConnectionGone: The client is not in the namespace, or left it meanwhile.
        """
        name = self._joined(namespace)
        ack_id, self._next_ack = self._next_ack, self._next_ack + 1
        key = (name, ack_id)
        self._acks[key] = None

        def answer() -> list[JSON] | None:
            if self._acks[key] is None:
                self._joined(name)
            return self._acks[key]

        try:
            await self._send(socketio.Packet(PacketType.EVENT, name, [event, *args], ack_id))
            values = await self._wait(answer, timeout, f"no acknowledgement of {event!r} came")
        finally:
            del self._acks[key]
        if len(values) <= 1:
            return values[0] if values else None
        return tuple(values)

    async def acknowledge(self, event: Event, *values: JSON) -> None:
        """Acknowledge an event of the server.

        Raises:
            ValueError: It wants no acknowledgement.
            ConnectionGone: The client is not in its namespace any more.
        """
        if event.ack_id is None:
            raise ValueError(f"the server wants no acknowledgement of {event}")
        await self._send(socketio.Packet(PacketType.ACK, self._joined(event.namespace), list(values), event.ack_id))

    # Events in.

    async def receive(self, *, timeout: float = TIMEOUT) -> Event:
        """Return the next event, of whatever namespace.

        Raises:
            NotReceived: None came in that time, or none will because the connection is gone.
        """
        return await self._wait(lambda: self._take(lambda _: True), timeout, "no event came", final=True)

    async def expect(self, event: str, *, namespace: str | None = None, timeout: float = TIMEOUT) -> Event:
        """Return the next event of a name; others that came before it stay for `receive`.

        Args:
            event: The name.
            namespace: Only an event of this namespace; None for any.
            timeout: Seconds to wait for it.

        Raises:
            NotReceived: It did not come in that time, or will not because the connection is gone; says what came instead.
        """
        where = "" if namespace is None else f" in {namespace}"

        def found() -> Event | None:
            return self._take(lambda each: each.name == event and namespace in (None, each.namespace))

        return await self._wait(found, timeout, f"no event {event!r}{where} came", final=True)

    def received(self) -> list[Event]:
        """Return the events that are here, and take them.

        What the server has sent is here once it and this client had their turn: after `trio.testing.wait_all_tasks_blocked`.
        """
        events, self._events = self._events, []
        return events

    def _take(self, wanted: Callable[[Event], bool]) -> Event | None:
        for index, event in enumerate(self._events):
            if wanted(event):
                return self._events.pop(index)
        return None

    # Frames.

    async def send_frame(self, frame: Frame) -> None:
        """Send a frame as it is, right or wrong: an Engine.IO packet, or the bytes of an attachment.

        Raises:
            ConnectionGone: There is no connection any more.
        """
        await self._send_frames([frame])

    async def receive_frame(self, *, timeout: float = TIMEOUT) -> Frame:
        """Return the next frame of the server, from the open packet on.

        The client reads every frame for itself as well: pings are answered, and events are there for `receive`.

        Raises:
            NotReceived: None came in that time, or none will because the connection is gone.
        """
        return await self._wait(
            lambda: self._frames.pop(0) if self._frames else None, timeout, "no frame came", final=True
        )

    # HTTP.

    async def request(
        self, method: str, path: str, *, headers: Pairs = (), body: bytes = b"", timeout: float = TIMEOUT
    ) -> Response:
        """Make a plain HTTP request to the server, on a connection of its own, as `trio_socketio.testing.request` does."""
        return await request_from(self._service, method, path, headers=headers, body=body, timeout=timeout)

    # The end.

    async def close(self) -> None:
        """Leave every namespace, close the connection, and wait until the server has finished with it.

        A client that has hung up says nothing more, and waits until the server has noticed and finished with it.

        Raises:
            StillRunning: Handlers of the server go on for too long.
        """
        heartbeat = self.handshake.ping_interval + self.handshake.ping_timeout
        notice = heartbeat if self._transport.hung_up else 0.0
        farewell: list[Frame] = []
        for name in list(self.sids):
            farewell += frames_of(socketio.Packet(PacketType.DISCONNECT, name))
            self._leave(name, "io client disconnect")
        with trio.move_on_after(TIMEOUT), suppress(TransportEnded):
            if farewell:
                await self._transport.send(farewell)
            await self._transport.close()
            while self._gone is None:
                await self._changed.wait()
        await self.hang_up()
        await self._departure.wait(notice=notice)

    async def abandon(self) -> None:
        """End the connection at once, whatever this task is cancelled by, without waiting for the server to finish with it."""
        with trio.move_on_after(FAREWELL) as scope, suppress(TransportEnded):
            scope.shield = True
            if self.transport == "polling":  # the server would wait for the next poll
                await self._transport.close()
        with trio.CancelScope(shield=True):  # memory closes at once
            await self.hang_up()

    async def hang_up(self) -> None:
        """End the connection without a word, as when the network fails; the client says nothing more.

        The server notices at once over WebSocket, and over polling when a ping is not answered: the end of the client's block
        waits for that.
        """
        self._lose(TransportEnded("transport close", "the client hung up"))
        self._reading.cancel()
        await self._transport.hang_up()

    # Inside.

    def _named(self, namespace: str | None) -> str:
        return (self._first or "/") if namespace is None else namespace

    def _joined(self, namespace: str | None) -> str:
        """Return the name of a namespace that the client is in.

        Raises:
            ConnectionGone: It is not.
        """
        name = self._named(namespace)
        if name in self.sids:
            return name
        self._check_connection()
        if name in self._left:
            raise ConnectionGone(f"the client is not in {name!r} any more: {self._left[name]}")
        raise ConnectionGone(f"the client is not in {name!r}, but in {', '.join(self.sids) or 'no namespace'}")

    async def _wait(self, find: Callable[[], T | None], timeout: float, missing: str, *, final: bool = False) -> T:
        """Wait until something is there.

        Args:
            find: Returns it, or None.
            timeout: Seconds to wait.
            missing: How the sentence begins that says what did not come.
            final: Nothing can come any more once the connection is gone.
        """
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(timeout):
            while True:
                found = find()
                if found is not None:
                    return found
                if final and self._gone is not None:
                    raise NotReceived(f"{missing}; {self._instead()}")
                await self._changed.wait()
        raise NotReceived(f"{missing} within {timeout:g} s; {self._instead()}")

    def _instead(self) -> str:
        """Return what there is instead of what was awaited."""
        parts = [f"here are: {', '.join(map(str, self._events))}" if self._events else "no event is here"]
        parts += [f"left {name!r}: {reason}" for name, reason in self._left.items()]
        if self._gone is not None:
            parts.append(f"the connection is gone: {self._gone.reason}, {self._gone}")
        return "; ".join(parts)
