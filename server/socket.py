"""One client in one namespace: what Socket.IO calls a socket.

Its life is `Stage`. While its connect handler runs it is CONNECTING: nobody else can reach it, and what the handler
emits to it is
held until CONNECT has been sent. It leaves once, for one reason; then its rooms are still readable, its disconnect
handler runs, and it is forgotten.
"""

import contextvars
import logging
import re
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol import socketio
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.server import dispatch
from trio_socketio.server.acks import AckTable
from trio_socketio.server.context import current
from trio_socketio.server.errors import ConnectionRefused, TooManyRooms
from trio_socketio.server.handlers import Handler
from trio_socketio.server.handshake import Handshake
from trio_socketio.server.limits import Bucket, check_attachments
from trio_socketio.server.stage import Stage

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.client import Client
    from trio_socketio.server.context import Context
    from trio_socketio.server.namespace import Namespace

logger = logging.getLogger("trio_socketio.sockets")

_CONNECTED: Final = Stage.CONNECTED  # looking a member up in its class takes several times as long

CLIENT_DISCONNECT = "client namespace disconnect"
SERVER_DISCONNECT = "server namespace disconnect"


class Socket:
    """One member of one namespace; made by `Client` when a CONNECT arrives."""

    __slots__ = (
        "_disconnected",
        "_held",
        "_rooms",
        "acks",
        "auth",
        "bucket",
        "client",
        "data",
        "lane",
        "live",
        "match",
        "namespace",
        "rejected",
        "routes",
        "server",
        "sid",
        "stage",
    )

    def __init__(
        self,
        sid: str,
        client: "Client",
        routes: "Namespace",
        namespace: str,
        match: re.Match[str] | None,
        auth: JSON,
        bucket: Bucket | None = None,
    ) -> None:
        self.sid = sid
        self.client = client
        self.live = client.live
        self.server: Server = client.server
        self.routes = routes
        self.namespace = namespace
        self.match = match
        self.auth = auth
        self.bucket = bucket
        """What limits the rate of its events."""
        self.data: dict[Any, Any] = {}
        self.stage = Stage.CONNECTING
        self.rejected = False
        self.acks = AckTable(client.server.options.max_pending_acks, client, sid)
        self._disconnected: trio.Event | None = None  # as long as nobody has asked for it
        self.lane = dispatch.Lane(self.live.service, client)
        self._held: list[Outbound] = []
        self._rooms: dict[str, None] = {}  # while it is not in the registry: the rooms joined so far, or those it had

    @property
    def handshake(self) -> Handshake:
        """The request that opened the connection."""
        return self.client.handshake

    @property
    def disconnected(self) -> trio.Event:
        """Set once the socket has left, or was refused."""
        if self._disconnected is None:
            self._disconnected = trio.Event()
            if self.stage in (Stage.LEFT, Stage.FORGOTTEN):
                self._disconnected.set()
        return self._disconnected

    def _tell_disconnected(self) -> None:
        if self._disconnected is not None:
            self._disconnected.set()

    @property
    def connecting(self) -> bool:
        """Whether its connect handler still decides."""
        return self.stage is Stage.CONNECTING

    # Rooms.

    def join(self, rooms: Iterable[str]) -> None:
        """Join rooms; a socket that has left joins nothing.

        Raises:
            ValueError: A name is too long; nothing was joined.
            TooManyRooms: The socket would be in too many; nothing was joined.
        """
        if self.stage not in (Stage.CONNECTING, Stage.CONNECTED):
            return
        rooms = [room for room in rooms if room != self.sid]
        self._check_rooms(rooms)
        if self.stage is Stage.CONNECTED:
            for room in rooms:
                self.server.adapter(self.namespace).registry.join(self.sid, room)
        else:
            self._rooms.update(dict.fromkeys(rooms))

    def _check_rooms(self, rooms: Sequence[str]) -> None:
        limits = self.server.options.limits
        longest = max(map(len, rooms), default=0)
        if longest > limits.name_length:
            self.client.reached("name_length", "a room whose name has %d characters was not joined", longest)
            raise ValueError(
                f"a room's name has {longest} characters, and {limits.name_length} are allowed: Limits(name_length=...)"
            )
        if self.stage is Stage.CONNECTED:
            joined = self.server.adapter(self.namespace).registry.joined(self.sid)
        else:
            joined = self._rooms.keys()
        if len(joined) + len(rooms) > limits.rooms and len(joined | set(rooms)) > limits.rooms:
            self.client.reached("rooms", "a client in %s may not join more than %d rooms", self.namespace, limits.rooms)
            raise TooManyRooms(
                f"the client is in {len(joined)} rooms, and {limits.rooms} are allowed: Limits(rooms=...)"
            )

    def leave(self, rooms: Iterable[str]) -> None:
        """Leave rooms; a socket that has left keeps showing those it had."""
        for room in rooms:
            if self.stage is Stage.CONNECTED:
                self.server.adapter(self.namespace).registry.leave(self.sid, room)
            elif self.stage is Stage.CONNECTING:
                self._rooms.pop(room, None)

    def rooms(self) -> list[str]:
        """Return the rooms of this socket, its own sid first."""
        if self.stage is Stage.CONNECTED:
            return self.server.adapter(self.namespace).registry.rooms_of(self.sid)
        return [self.sid, *self._rooms]

    # Out.

    def send(self, outbound: Outbound) -> bool:
        """Queue a packet for the client, or hold it while the connect handler runs; return whether it was taken."""
        if self.stage is _CONNECTED:
            live = self.live
            return live.pass_on(outbound) or live.queue(outbound)  # `Live.send`, in this frame for every recipient
        if self.stage is Stage.CONNECTING:
            self._held.append(outbound)
            return True
        return False

    def send_volatile(self, outbound: Outbound) -> bool:
        """Send a packet if it can leave at once, which it cannot before CONNECT; otherwise drop it."""
        if self.stage is Stage.CONNECTED:
            return self.live.send_volatile(outbound)
        self.server.tally.events_dropped += 1
        return False

    def acknowledge(self, ack_id: int, result: JSON) -> None:
        """Send a handler's return value as the acknowledgement (Socket.IO protocol, "ACK").

        Raises:
            EncodeError: It holds something that has no form in JSON, or more than ``max_attachments`` attachments.
        """
        if result is None:
            arguments: tuple[JSON, ...] = ()
        elif isinstance(result, tuple):
            arguments = result
        else:
            arguments = (result,)
        options = self.server.options
        frames = socketio.encode_ack(self.namespace, ack_id, arguments, options.json)
        if len(frames) > 1:
            check_attachments(len(frames) - 1, options.max_attachments)
        outbound = Outbound.message(frames)
        if self.stage is _CONNECTED:
            self.live.send(outbound)

    def run_callback(self, handler: Handler, emitter: "Context | None", sid: str, arguments: Sequence[JSON]) -> None:
        """Run the callback of an emit in a task of its own, in the context of who emitted; it ends as handlers do."""
        self.lane.submit_concurrent(partial(dispatch.handle_answer, self, handler, emitter, sid, arguments))

    def start_soon(self, emitter: "Context", work: Awaitable[object], name: str) -> bool:
        """Run something in a task that ends when this socket leaves; return whether it was started, which it is until then."""
        inherited = contextvars.copy_context()
        inherited.run(current.set, emitter)
        return self.lane.accompany(partial(dispatch.handle_companion, emitter, name, work), inherited, name)

    # Stages.

    def accept(self) -> None:
        """Make the socket reachable and tell the client; what its connect handler emitted to it follows."""
        if self.stage is not Stage.CONNECTING:
            return
        self.stage = Stage.CONNECTED
        self.server.adapter(self.namespace).add(self, self._rooms)
        self.client.accepted(self)
        self._rooms = {}
        self.client.send_packet(socketio.Packet(PacketType.CONNECT, self.namespace, {"sid": self.sid}))
        held, self._held = self._held, []
        for outbound in held:
            self.live.send(outbound)
        logger.info(
            "connected to %s from %s", self.namespace, self.handshake.address, extra={"namespace": self.namespace}
        )

    def reject(self, refused: ConnectionRefused) -> None:
        """Tell the client that it is not accepted; nothing of its connect handler remains.

        Raises:
            EncodeError: The data of the refusal has no form in JSON; nothing has been done.
        """
        if self.stage is not Stage.CONNECTING:
            return
        payload = (
            {"message": refused.message} if refused.data is None else {"message": refused.message, "data": refused.data}
        )
        packet = socketio.encode(socketio.Packet(PacketType.CONNECT_ERROR, self.namespace, payload))
        self._withdraw()
        self.client.parted(self, by_server=True)
        self.server.tally.refusals["rejected by the application"] += 1
        self.live.send(Outbound.message(packet))
        logger.info("rejected from %s: %s", self.namespace, refused.message, extra={"namespace": self.namespace})

    def disconnect(self) -> None:
        """End this socket from the server's side: DISCONNECT after everything that was emitted before."""
        if self.stage is Stage.CONNECTING:
            self.rejected = True
        elif self.stage is Stage.CONNECTED:
            self.client.send_packet(socketio.Packet(PacketType.DISCONNECT, self.namespace))
            self.lane.clear()
            self.left(SERVER_DISCONNECT)

    def left(self, reason: str, detail: str = "", limit: str | None = None) -> None:
        """The socket is gone, whoever ended it: it cannot be reached from now on, and its disconnect handler will run.

        Args:
            reason: Why, as the disconnect handler is told.
            detail: More about it, for the log.
            limit: The name of the option whose bound was reached, if that is why.
        """
        if self.stage is Stage.CONNECTING:
            self._withdraw()
            self.client.parted(self, by_server=False)
        elif self.stage is Stage.CONNECTED:
            self._rooms = dict.fromkeys(self.rooms()[1:])
            self.stage = Stage.LEFT
            self.server.adapter(self.namespace).remove(self)
            self.server.drop_adapter(self.namespace)
            self.client.parted(self, by_server=reason == SERVER_DISCONNECT)
            self._tell_disconnected()
            self.acks.drop_all()
            self.server.tally.disconnects[reason] += 1
            logger.info(
                "disconnected from %s: %s (%s)" if detail else "disconnected from %s: %s%s",
                self.namespace,
                reason,
                detail,
                extra={"namespace": self.namespace, "reason": reason, "limit": limit},
            )
            last = partial(dispatch.handle_disconnect, self, self.routes.handlers.disconnect, reason)
            self.lane.close(last, self.live.service.grace)

    def forget(self) -> None:
        """The disconnect handler has ended."""
        self.stage = Stage.FORGOTTEN

    def _withdraw(self) -> None:
        """Undo a socket that was never accepted; its connect handler, if it still runs, may go on for the grace period."""
        self.stage = Stage.FORGOTTEN
        self._rooms = {}
        self._held.clear()
        self._tell_disconnected()
        self.acks.drop_all()
        self.lane.clear()
        self.lane.close(None, self.live.service.grace)
