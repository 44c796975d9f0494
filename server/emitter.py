"""``emit`` and its relatives: one implementation for contexts, servers and namespaces, which differ in their defaults only."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import trio
from trio_socketio.engine.config import check_seconds
from trio_socketio.engine.outbound import Outbound
from trio_socketio.protocol import socketio
from trio_socketio.protocol.errors import SocketIOError
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType
from trio_socketio.rooms import Audience, Default, address
from trio_socketio.server.acks import Answer, Pending
from trio_socketio.server.errors import AckTimeout, Disconnected, TooManyAcks
from trio_socketio.server.handlers import Handler, Kind
from trio_socketio.server.limits import check_attachments
from trio_socketio.server.membership import Membership, Names

if TYPE_CHECKING:
    from trio_socketio.server.app import Options
    from trio_socketio.server.context import Context
    from trio_socketio.server.socket import Socket


class Queued(NamedTuple):
    """What became of an emit."""

    recipients: int
    """The number of local connections that it was queued for."""
    slow: "Socket | None"
    """The only recipient, for whose buffer the emitter waits."""


class Emitter(Membership):
    """What can address clients, beside managing them. Subclasses say where the call is made and what its defaults are.

    Every keyword means the same everywhere; ``docs/emit-rules.md`` has the rules.
    """

    __slots__ = ()

    _default: Default

    # Events.

    async def emit(
        self,
        event: str,
        *args: JSON,
        namespace: str | None = None,
        to: Names | None = None,
        room: Names | None = None,
        broadcast: bool = False,
        include_self: bool = True,
        skip_sid: Names | None = None,
        callback: Callable[..., Any] | None = None,
        volatile: bool = False,
        ignore_queue: bool = False,  # noqa: ARG002  # acts in a cluster only
    ) -> int:
        """Send an event to clients (Socket.IO protocol, "EVENT").

        The recipients are fixed and the packet is encoded before anything is awaited. If there is exactly one recipient and its
        buffer is full, the call waits until there is space; it never waits for anybody otherwise. If it is cancelled while it
        waits, the packet is queued all the same.

        It is always a point of cancellation. Letting other tasks run costs as much as a small emit, so only some of the calls
        do (`trio_socketio.server.pace`): a loop that emits starves nobody, and a handler that emits once is not interrupted.

        Args:
            event: The name of the event.
            *args: What its handlers get: anything that JSON has a form for, with bytes at any depth. A tuple as the only
                argument is spread.
            namespace: The namespace of the recipients.
            to: One or several rooms or sids; their union is meant.
            room: The same as ``to``.
            broadcast: Everyone in the namespace, unless ``to`` is given.
            include_self: Whether the current connection may be among the recipients.
            skip_sid: One or several sids to leave out.
            callback: Called once for each client that acknowledges, with the arguments of its acknowledgement.
            volatile: Leave out the clients to which it cannot leave at once, because they have not read what was sent before
                or have no GET pending. The call never waits then.
            ignore_queue: Act on the connections of this process only.

        Returns:
            The number of connections of this process that the packet was queued for.

        Raises:
            TypeError: A target or a value has the wrong type.
            ValueError: A name is empty or reserved, a number is NaN or infinite, or the target makes no sense.
            RuntimeError: The call needs a current connection and there is none.
            TooManyAcks: A recipient owes too many acknowledgements; nothing was sent to anybody.
        """
        if (
            namespace is None
            and to is None
            and room is None
            and skip_sid is None
            and callback is None
            and not broadcast
            and include_self
            and not volatile
            and (socket := self._self()) is not None
        ):
            server = socket.server
            outbound = _message(event, args, socket.namespace, server.options, True)  # noqa: FBT003  # by position it is faster
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
            except RuntimeError:
                _check_in_trio()
                raise
            live = socket.live
            if live.pass_on(outbound):
                recipients = 1
            else:
                recipients = int(live.queue(outbound))
                await live.space()
            server.tally.events_out += recipients
        else:
            queue = self._prepare(
                event,
                args,
                namespace,
                to,
                room,
                broadcast,
                include_self,
                skip_sid,
                callback,
                patient=not volatile,
                volatile=volatile,
            )
            await trio.lowlevel.checkpoint_if_cancelled()
            server = self.server
            recipients, slow = queue()
            if slow is not None:
                await slow.live.space()
        pace = server.pace
        pace.left -= 1 + recipients
        if pace.left < 0:
            await pace.rest()
        return recipients

    def emit_nowait(
        self,
        event: str,
        *args: JSON,
        namespace: str | None = None,
        to: Names | None = None,
        room: Names | None = None,
        broadcast: bool = False,
        include_self: bool = True,
        skip_sid: Names | None = None,
        callback: Callable[..., Any] | None = None,
        volatile: bool = False,
        ignore_queue: bool = False,  # noqa: ARG002  # acts in a cluster only
    ) -> int:
        """Send an event to clients without waiting: the synchronous twin of `emit`.

        A client whose buffer overflows is disconnected as too slow, even if it is the only recipient.
        """
        queue = self._prepare(
            event,
            args,
            namespace,
            to,
            room,
            broadcast,
            include_self,
            skip_sid,
            callback,
            patient=False,
            volatile=volatile,
        )
        return queue().recipients

    async def send(
        self,
        data: JSON,
        *,
        json: bool = False,
        namespace: str | None = None,
        to: Names | None = None,
        room: Names | None = None,
        broadcast: bool = False,
        include_self: bool = True,
        skip_sid: Names | None = None,
        callback: Callable[..., Any] | None = None,
        volatile: bool = False,
        ignore_queue: bool = False,
    ) -> int:
        """Emit the event ``message``, or ``json`` with ``json=True``; everything else is as in `emit`."""
        return await self.emit(
            "json" if json else "message",
            data,
            namespace=namespace,
            to=to,
            room=room,
            broadcast=broadcast,
            include_self=include_self,
            skip_sid=skip_sid,
            callback=callback,
            volatile=volatile,
            ignore_queue=ignore_queue,
        )

    async def call(
        self,
        event: str,
        *args: JSON,
        to: str | None = None,
        namespace: str | None = None,
        timeout: float = 60.0,
        ignore_queue: bool = False,  # noqa: ARG002  # acts in a cluster only
    ) -> JSON:
        """Send an event to exactly one client and return what it acknowledges.

        Args:
            event: The name of the event.
            *args: Its arguments.
            to: The sid of the client; the current connection by default.
            namespace: The namespace of the client.
            timeout: Seconds to wait for the acknowledgement.
            ignore_queue: Ask a connection of this process only.

        Returns:
            None, the value, or a tuple, for none, one or several acknowledged arguments.

        Raises:
            AckTimeout: No acknowledgement in time.
            Disconnected: The client is not connected, or left before it acknowledged.
            RuntimeError: No client is named and there is no current connection, or the client is not accepted yet.
            TooManyAcks: The client owes ``max_pending_acks`` acknowledgements already; nothing is sent.
            TypeError: The timeout is no number.
            ValueError: ``to`` means several clients, or the timeout is negative.
        """
        check_seconds("timeout", timeout, least=0, most=math.inf)
        audience, template = self._address_call(event, args, to, namespace)
        sockets = self._recipients(audience)
        if not sockets:
            whom = "the current connection has left" if to is None else f"{to!r} is not connected to"
            raise Disconnected(f"nobody to call: {whom} {audience.namespace!r}")
        if len(sockets) > 1:
            raise ValueError(f"call() asks exactly one client, and to={to!r} means {len(sockets)}; use call_all()")
        if sockets[0].connecting:
            raise RuntimeError(
                "a connect handler cannot call() its own client: it is not accepted yet, and could not answer"
            )
        return await _ask(sockets[0], event, template, timeout)

    async def call_all(
        self,
        event: str,
        *args: JSON,
        to: Names | None = None,
        namespace: str | None = None,
        timeout: float = 60.0,
    ) -> dict[str, JSON | SocketIOError]:
        """Send an event to several clients and gather what they acknowledge.

        Args:
            event: The name of the event.
            *args: Its arguments.
            to: One or several rooms or sids; None means everyone in the namespace.
            namespace: The namespace of the clients.
            timeout: Seconds to wait for all acknowledgements together.

        Returns:
            For each sid that was asked its answer, as `call` returns it, or the `AckTimeout`, `Disconnected` or
            `TooManyAcks` that stands for it.

        Raises:
            TypeError: The timeout is no number, or a target or a value has the wrong type.
            ValueError: The timeout is negative, or a name or a value cannot be sent.
        """
        check_seconds("timeout", timeout, least=0, most=math.inf)
        here = self._here()
        audience = address(
            here=here, default=self._default, namespace=self._target(namespace), to=to, broadcast=to is None
        )
        template = _template(event, args, audience.namespace, self.server.options)
        answers: dict[str, JSON | SocketIOError] = {}

        async def ask(socket: "Socket") -> None:
            try:
                answers[socket.sid] = await _ask(socket, event, template, timeout)
            except (AckTimeout, Disconnected, TooManyAcks) as error:
                answers[socket.sid] = error

        async with trio.open_nursery() as nursery:
            for socket in self._recipients(audience):
                if socket.connecting:  # it could not answer
                    continue
                answers[socket.sid] = None  # so that the answers come in the order of the clients
                nursery.start_soon(ask, socket)
        return answers

    # How it is done.

    def _self(self) -> "Socket | None":
        """Return the only recipient of an emit without keywords, if it is the current connection and can be reached.

        It is what `_prepare` would find, sooner: answering whoever has asked is the commonest emit of all.
        """
        return None

    def _prepare(
        self,
        event: str,
        args: tuple[JSON, ...],
        namespace: str | None,
        to: Names | None,
        room: Names | None,
        broadcast: bool,  # noqa: FBT001  # handed through from the keywords of emit
        include_self: bool,  # noqa: FBT001  # handed through from the keywords of emit
        skip_sid: Names | None,
        callback: Callable[..., Any] | None,
        *,
        patient: bool,
        volatile: bool,
    ) -> Callable[[], Queued]:
        """Do everything that can fail, and return what queues the packet."""
        _check_in_trio()
        here = self._here()
        audience = address(
            here=here,
            default=self._default,
            namespace=self._target(namespace),
            to=to,
            room=room,
            broadcast=broadcast,
            include_self=include_self,
            skip_sid=skip_sid,
        )
        sockets = self._recipients(audience)
        patient = patient and len(sockets) == 1
        if callback is None:
            outbound = _message(event, args, audience.namespace, self.server.options, patient)

            def queue() -> Queued:
                if volatile:
                    return self._queued(
                        sum([socket.send_volatile(outbound) for socket in sockets]), sockets, patient=False
                    )
                return self._queued(sum([socket.send(outbound) for socket in sockets]), sockets, patient=patient)

            return queue

        template = _template(event, args, audience.namespace, self.server.options)
        handler = Handler.of(callback, Kind.CALLBACK)
        for socket in sockets:
            socket.acks.check()

        def queue_with_ids() -> Queued:
            count = 0
            for socket in sockets:
                ack_id = socket.acks.register(Callback(socket, handler, here))
                outbound = Outbound.message(template.frames(ack_id), patient=patient)
                if not volatile:
                    count += socket.send(outbound)
                elif socket.send_volatile(outbound):
                    count += 1
                else:
                    socket.acks.forget(ack_id)  # nobody will use it
            return self._queued(count, sockets, patient=patient)

        return queue_with_ids

    def _queued(self, count: int, sockets: "list[Socket]", *, patient: bool) -> Queued:
        self.server.tally.events_out += count
        return Queued(count, sockets[0] if patient else None)

    def _recipients(self, audience: Audience) -> "list[Socket]":
        adapter = self.server.find_adapter(audience.namespace)
        sockets = [] if adapter is None else adapter.recipients(audience)
        pending = self._pending(audience.namespace)
        if pending is not None and pending.sid not in audience.skip:
            rooms = audience.rooms
            if rooms is None or not set(rooms).isdisjoint(pending.rooms()):
                sockets.append(pending)
        return sockets

    def _address_call(
        self, event: str, args: tuple[JSON, ...], to: str | None, namespace: str | None
    ) -> tuple[Audience, socketio.Template]:
        here = self._here()
        target = self._target(namespace)
        if to is None and (here is None or self._default is Default.EVERYONE):
            where = "outside a handler" if here is None else "of a server or a namespace"
            raise RuntimeError(f"call() {where} must name the one client that it asks, with to=...")
        audience = address(here=here, default=Default.SELF, namespace=target, to=to)
        return audience, _template(event, args, audience.namespace, self.server.options)


class Callback(Pending):
    """The callback of an emit, for one of its recipients."""

    __slots__ = ("_handler", "_here", "_socket")

    def __init__(self, socket: "Socket", handler: Handler, here: "Context | None") -> None:
        self._socket = socket
        self._handler = handler
        self._here = here

    def answered(self, sid: str, arguments: Sequence[JSON]) -> None:
        """Run the callback in a task of its own, in the context of the emitter."""
        self._socket.run_callback(self._handler, self._here, sid, arguments)

    def dropped(self) -> None:
        """Nothing: a callback whose client leaves is forgotten."""


def _check_in_trio() -> None:
    if not trio.lowlevel.in_trio_run():
        raise RuntimeError("emit() works in trio only; from another thread use trio.from_thread.run(server.emit, ...)")


def _message(
    event: str,
    args: tuple[JSON, ...],
    namespace: str,
    options: "Options",
    patient: bool,  # noqa: FBT001  # by position it is faster
) -> Outbound:
    """Encode an event that nobody acknowledges."""
    if not isinstance(event, str):
        raise _no_name(event)
    if len(args) == 1 and isinstance(args[0], tuple):  # it stands for several arguments (D3)
        args = args[0]
    frames = socketio.encode_event(namespace, event, args, None, options.json)
    if len(frames) > 1:
        check_attachments(len(frames) - 1, options.max_attachments)
    return Outbound.message(frames, patient)


def _template(event: str, args: tuple[JSON, ...], namespace: str, options: "Options") -> socketio.Template:
    """Encode an event of which each recipient acknowledges its own."""
    if not isinstance(event, str):
        raise _no_name(event)
    if len(args) == 1 and isinstance(args[0], tuple):
        args = args[0]
    template = socketio.Template.of(socketio.Packet(PacketType.EVENT, namespace, [event, *args]), options.json)
    check_attachments(len(template.attachments), options.max_attachments)
    return template


def _no_name(event: object) -> TypeError:
    return TypeError(f"an event's name is a str, not {type(event).__name__}: {event!r}")


async def _ask(socket: "Socket", event: str, template: socketio.Template, timeout: float) -> JSON:
    await trio.lowlevel.checkpoint_if_cancelled()
    answer = Answer()
    ack_id = socket.acks.register(answer)
    live = socket.live
    try:
        with trio.fail_after(timeout), socket.client.calling():
            if not socket.send(Outbound.message(template.frames(ack_id), patient=True)):
                raise Disconnected("the client left before it could be asked")
            await live.space()
            return await answer.wait()
    except trio.TooSlowError:
        raise AckTimeout(f"no acknowledgement of {event!r} within {timeout:g} s") from None
    finally:
        socket.acks.forget(ack_id)
