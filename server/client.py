"""The Socket.IO side of one session: its packets, and its sockets by namespace (Socket.IO protocol, revision 5)."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from trio_socketio.engine.events import CloseReason
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol import socketio
from trio_socketio.protocol.errors import DecodeError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.server import dispatch
from trio_socketio.server.errors import ConnectionRefused
from trio_socketio.server.handlers import Handler
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.limits import Bucket
from trio_socketio.server.socket import CLIENT_DISCONNECT, Socket
from trio_socketio.server.stage import Stage

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.net.live import Live

logger = logging.getLogger("trio_socketio.sockets")

WHILE_CALLED: Final = 16
"""How many times as many events may wait while a handler awaits an acknowledgement, which only reading on can bring."""

NOTICES: Final = 16
"""Things of one session that the log is told of because a client did them; a broken client does one or two again and again."""


def new_sid() -> str:
    """Return a session id: 20 URL-safe characters that hold 120 random bits."""
    return secrets.token_urlsafe(15)


class Client:
    """One connection as Socket.IO sees it. The session hands it messages; it hands packets to its sockets."""

    __slots__ = (
        "_awaited",
        "_buckets",
        "_calls",
        "_connect_by",
        "_decoder",
        "_departed",
        "_deserted",
        "_dismissed",
        "_ended",
        "_most_waiting",
        "_room",
        "_told",
        "handshake",
        "held_back",
        "live",
        "server",
        "sockets",
        "waiting",
    )

    def __init__(self, server: "Server", live: "Live", handshake: Handshake, now: float) -> None:
        self.server = server
        self.live = live
        self.handshake = handshake
        self.sockets: dict[str, Socket] = {}
        """The sockets that are connecting or connected, by namespace."""
        self._decoder = socketio.Decoder(server.options.max_attachments, server.config.max_payload, server.options.json)
        self._deserted: tuple[str, ...] = ()
        # The server ended or refused these of late: what is still under way for them is no fault.
        self._departed: tuple[str, ...] = ()  # the client left these of late: its handlers may still acknowledge
        self._dismissed = False  # whether the log knows that the application has disconnected it
        self._ended = False
        self._connect_by: float | None = now + server.options.connect_timeout
        self._awaited: tuple[object, float] | None = None  # the packet that misses attachments, and until when it may
        self._buckets: dict[str, Bucket] | None = None  # by namespace, so that who rejoins has none that is full
        self._told: tuple[str, ...] = ()  # the limits that it has reached and what else it did, as the log knows
        self._most_waiting = server.options.limits.waiting_events
        self._calls = 0
        self._room: trio.Event | None = None  # what `ready` waits for
        self.waiting = 0
        """Events that wait for their handlers, or are being handled."""
        self.held_back = False
        """Whether `progressed` wants to be called."""

    # In.

    def receive(self, frame: str | bytes) -> None:
        """Take in one message of the session: a packet, or a part of one."""
        if self._ended:
            return
        packet = None
        try:
            event = self._decoder.event(frame)
            if event is None:
                packet = self._decoder.feed(frame)
        except DecodeError as error:
            self._violation(str(error), error.limit)
            return
        if event is not None:
            self.server.tally.packets_in += 1
            namespace, data, ack_id = event
            self._handle(namespace, data, ack_id)
            return
        if packet is None:
            if self._awaited is None:
                self._await_attachments()
            return
        self.server.tally.packets_in += 1
        _RECEIVE[packet.type](self, packet)

    def _connect(self, packet: socketio.Packet) -> None:
        name = packet.namespace
        if name in self.sockets:
            self._violation(f"a second CONNECT to {name!r:.100}")
            return
        limits = self.server.options.limits
        if len(name) > limits.name_length:
            self._turn_away(name, "Invalid namespace")
            self.reached("name_length", "rejected: the namespace %.100r has %d characters", name, len(name))
            return
        found = self.server.find_namespace(name)
        if found is None:
            self._turn_away(name, "Invalid namespace")
            self._notice(logging.INFO, f"namespace {name}", "rejected: nobody serves the namespace %.100r", name)
            return
        if len(self.sockets) >= limits.namespaces:
            self._turn_away(name, "Too many namespaces")
            self.reached("namespaces", "rejected from %.100r: the client is in %d namespaces", name, len(self.sockets))
            return
        routes, match = found
        if name in self._deserted:
            self._deserted = tuple(other for other in self._deserted if other != name)
        socket = Socket(new_sid(), self, routes, name, match, packet.data, self._bucket(name))
        self.sockets[name] = socket
        socket.lane.submit(partial(dispatch.handle_connect, socket, packet.data))

    def _turn_away(self, namespace: str, message: str) -> None:
        self.send_packet(socketio.Packet(PacketType.CONNECT_ERROR, namespace, {"message": message}))
        self.server.tally.refusals[message.lower()] += 1

    def _disconnect(self, packet: socketio.Packet) -> None:
        socket = self._find(packet.namespace, "a DISCONNECT packet")
        if socket is not None:
            socket.left(CLIENT_DISCONNECT)

    def _event(self, packet: socketio.Packet) -> None:
        self._handle(packet.namespace, packet.data, packet.id)

    def _handle(self, namespace: str, data: list[JSON], ack_id: int | None) -> None:
        """Let the handler of an event run."""
        socket = self.sockets.get(namespace) or self._find(namespace, "an event")
        if socket is None:
            return
        server = self.server
        server.tally.events_in += 1
        begin = None
        if socket.bucket is not None:
            begin = self._ration(socket.bucket)
            if self._ended:
                return
        name, *arguments = data
        event = name if type(name) is str else str(name)
        handler = self._handler(socket, event, len(arguments))
        if handler is None:
            if begin is not None:  # it counts all the same, and who sends too many has to wait
                socket.lane.submit(partial(dispatch.run_later, socket, begin, _nothing))
            return
        job = partial(dispatch.handle_event, socket, handler, event, arguments, ack_id)
        if begin is not None:
            job = partial(dispatch.run_later, socket, begin, job)
        if (handler.concurrent or server.options.concurrent) and socket.stage is Stage.CONNECTED:
            socket.lane.submit_concurrent(job)
        else:
            socket.lane.submit(job)

    def _handler(self, socket: Socket, event: str, count: int) -> Handler | None:
        """Return the handler of an event with so many arguments, or None if it is dropped."""
        handlers = socket.routes.handlers
        handler = handlers.find(event)
        if handler is None:
            logger.debug("no handler for the event %.100r in %s", event, socket.namespace)
            return None
        if handler is handlers.catch_all and len(event) > self.server.options.limits.name_length:
            self.reached(
                "name_length", "an event in %s whose name has %d characters was dropped", socket.namespace, len(event)
            )
            return None
        if not handler.least <= count + 1 <= handler.most:
            self.server.tally.refusals["wrong number of arguments"] += 1
            self._notice(
                logging.WARNING,
                f"event {event} in {socket.namespace}",
                "the event %.100r came with %d arguments, which %s does not take",
                event,
                count,
                handler.name,
            )
            return None
        return handler

    def _ack(self, packet: socketio.Packet) -> None:
        namespace = packet.namespace
        socket = self.sockets.get(namespace)
        if socket is None and namespace not in self._departed:
            self._find(namespace, "an acknowledgement")  # in vain; it says whether the peer is at fault
            return
        if socket is None or packet.id is None or not socket.acks.resolve(packet.id, socket.sid, packet.data):
            self.server.tally.unknown_acks += 1
            logger.debug("an unknown ack id in %s", namespace)

    def _refuse(self, packet: socketio.Packet) -> None:
        self._violation(f"a {packet.type.name} packet, which only a server sends")

    def _find(self, namespace: str, what: str) -> Socket | None:
        """Return the socket that something is for, or None if it has left; if there never was one, the peer is at fault."""
        socket = self.sockets.get(namespace)
        if socket is None and namespace not in self._deserted:
            self._violation(f"{what} for {namespace!r:.100}, which was not joined")
        return socket

    def _violation(self, detail: str, limit: str | None = None) -> None:
        self._ended = True
        self.live.violate(detail, limit)

    # The rate of events.

    def _bucket(self, namespace: str) -> Bucket | None:
        """Return what limits the rate of a new socket: who has left and comes back has no more than what is left."""
        rate = self.server.options.rate_limit
        if rate is None:
            return None
        now = trio.current_time()
        buckets = {name: bucket for name, bucket in (self._buckets or {}).items() if not bucket.full(now)}
        while len(buckets) >= self.server.options.limits.namespaces:
            del buckets[next(iter(buckets))]
        self._buckets = buckets
        return buckets.setdefault(namespace, Bucket(rate, now))

    def _ration(self, bucket: Bucket) -> float | None:
        """Return when an event may be handled, or None for now. It may cost the client its session."""
        now = trio.current_time()
        begin = bucket.take(now)
        rate = self.server.options.rate_limit
        if begin <= now or rate is None:
            return None
        detail = f"more than {rate.events_per_second:g} events per second, {rate.burst} at once"
        if rate.close:
            self.live.close(CloseReason.FORCED_CLOSE, detail, "rate_limit")
        else:
            self.reached("rate_limit", "a client from %s is held back: %s", self.handshake.address, detail)
        return begin

    # Limits.

    def reached(self, limit: str, message: str, *args: object) -> None:
        """Count that a limit was reached; the log is told once for each session, for a client may do it again and again.

        Args:
            limit: The name of the option.
            message: What happened, without anything of a payload.
            *args: What belongs into it.
        """
        if limit in self._told:
            self.server.tally.limits[limit] += 1
        else:
            self._told += (limit,)
            self.server.tally.reached(limit, message, *args)

    def _notice(self, level: int, key: str, message: str, *args: object) -> None:
        """Tell the log of something that a client may do with every packet: once for each key, and of `NOTICES` keys at most."""
        if key in self._told or len(self._told) >= NOTICES:
            level = logging.DEBUG
        else:
            self._told += (key,)
        logger.log(level, message, *args)

    # Out.

    def send_packet(self, packet: socketio.Packet) -> None:
        """Queue a packet of the protocol's own: CONNECT, CONNECT_ERROR or DISCONNECT."""
        self.live.send(Outbound.message(socketio.encode(packet)))

    def disconnect(self) -> None:
        """End every namespace and then the connection; everything that was sent before is delivered first."""
        for socket in list(self.sockets.values()):
            self._dismissed |= socket.stage is Stage.CONNECTED
            if socket.connecting:
                socket.reject(ConnectionRefused())
            else:
                socket.disconnect()
        self.live.close(CloseReason.FORCED_CLOSE, "the application disconnected the client")

    # Changes.

    def accepted(self, socket: Socket) -> None:  # noqa: ARG002  # which one does not matter
        """A socket has been accepted: the client has done what it must within ``connect_timeout``."""
        self._connect_by = None

    def parted(self, socket: Socket, *, by_server: bool) -> None:
        """A socket is not, or no longer, a member of its namespace.

        If the server ended it, what the client had sent before it knew is dropped; otherwise it would be a fault.
        """
        if self.sockets.get(socket.namespace) is socket:
            del self.sockets[socket.namespace]
        if by_server:
            self._deserted = self._with(self._deserted, socket.namespace)
        else:
            self._departed = self._with(self._departed, socket.namespace)

    def _with(self, names: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Return names with another one at the end, and no more than a client may be in."""
        names = (*(other for other in names if other != name), name)
        return names[-self.server.options.limits.namespaces :]

    def closed(self, reason: CloseReason, detail: str, limit: str | None) -> bool:
        """The session has ended: every socket leaves, and says so in the log; return whether there was any to do so."""
        self._ended = True
        told = self._dismissed
        for socket in list(self.sockets.values()):
            told |= socket.stage is Stage.CONNECTED
            socket.left(str(reason), detail, limit)
        self.progressed()
        return told

    # Time and back pressure.

    @property
    def next_deadline(self) -> float | None:
        """Until when the client must have joined a namespace, or sent what it has announced; None if it owes neither."""
        if self._ended:
            return None
        if self._awaited is None:
            return self._connect_by
        complete_by = self._awaited[1]
        return complete_by if self._connect_by is None else min(complete_by, self._connect_by)

    def tick(self, now: float) -> None:
        """Close the connection of a client that joins no namespace in time, or leaves a packet unfinished."""
        if self._awaited is not None and now >= self._awaited[1]:
            self._check_attachments()
        if self._ended or self._connect_by is None or now < self._connect_by:
            return
        timeout = self.server.options.connect_timeout
        if self.sockets:
            self._connect_by = now + timeout  # its connect handler still decides, which is not the client's fault
        else:
            self.live.close(CloseReason.FORCED_CLOSE, f"no namespace joined within {timeout:g} s", "connect_timeout")

    def _await_attachments(self) -> None:
        """Look in some time whether the attachments that have been announced have come."""
        complete_by = trio.current_time() + self.server.options.limits.attachment_timeout
        self._awaited = self._decoder.incomplete, complete_by
        self.live.schedule()

    def _check_attachments(self) -> None:
        """See whether the packet whose attachments were missing a while ago is complete; another one may be incomplete now."""
        incomplete, awaited = self._decoder.incomplete, self._awaited
        self._awaited = None
        if incomplete is None or self._ended:
            return
        if awaited is not None and awaited[0] is incomplete and not self.full:
            timeout = self.server.options.limits.attachment_timeout
            self._violation(f"attachments have not come within {timeout:g} s", "attachment_timeout")
        else:
            self._await_attachments()

    @property
    def full(self) -> bool:
        """Whether so many events wait for their handlers that no more should be read."""
        if self.waiting <= self._most_waiting or self._ended:
            return False
        return not self._calls or self.waiting > self._most_waiting * WHILE_CALLED

    async def ready(self) -> None:
        """Wait until there is room for more events."""
        if self.full:
            self.reached(
                "waiting_events",
                "a client from %s is held back: %d of its events wait for their handlers",
                self.handshake.address,
                self.waiting,
            )
        while self.full:
            if self._room is None:
                self._room = trio.Event()
                self.held_back = True
            await self._room.wait()

    def progressed(self) -> None:
        """A handler has ended, or something else has changed that `ready` should look at."""
        if self._room is not None:
            self._room.set()
            self._room = None
            self.held_back = False

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Count a task that awaits an acknowledgement of this client."""
        self._calls += 1
        self.progressed()
        try:
            yield
        finally:
            self._calls -= 1


async def _nothing() -> None:
    """What becomes of an event that nobody handles."""


_RECEIVE: Final[dict[PacketType, Callable[[Client, socketio.Packet], None]]] = {
    PacketType.CONNECT: Client._connect,
    PacketType.DISCONNECT: Client._disconnect,
    PacketType.EVENT: Client._event,
    PacketType.BINARY_EVENT: Client._event,
    PacketType.ACK: Client._ack,
    PacketType.BINARY_ACK: Client._ack,
    PacketType.CONNECT_ERROR: Client._refuse,
}
