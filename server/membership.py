"""``join_room`` and its relatives, and ``disconnect``: who is in which room, and who is connected at all."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio
from trio_socketio.rooms import names, own_sid, resolve_namespace
from trio_socketio.server.errors import NotConnected

if TYPE_CHECKING:
    from trio_socketio.server.app import Server
    from trio_socketio.server.context import Context
    from trio_socketio.server.socket import Socket

Names = str | Iterable[str]
"""One name or several: rooms or sids."""


class Membership(ABC):
    """What can put clients into rooms and end their connections. Subclasses say where the call is made.

    Every keyword means the same everywhere; ``docs/emit-rules.md`` has the rules.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def server(self) -> "Server":
        """The server whose clients are meant."""

    @abstractmethod
    def _here(self) -> "Context | None":
        """Return the current connection, if there is one."""

    @abstractmethod
    def _home(self) -> str | None:
        """Return the namespace that ``namespace=None`` means; None is the current one, or the root outside."""

    # Rooms.

    async def join_room(self, room: Names, sid: str | None = None, namespace: str | None = None) -> None:
        """Put a client into one or several rooms.

        Args:
            room: One or several names.
            sid: The client; the current connection by default.
            namespace: The namespace of the client.

        Raises:
            NotConnected: Nobody has that sid.
            ValueError: A room's name is empty or too long, or is the sid of another client, whose private packets it would get.
            TooManyRooms: The client would be in too many rooms; none was joined.
        """
        target, rooms, socket = self._room_call(room, sid, namespace)
        adapter = self.server.find_adapter(target)
        for name in rooms:
            if adapter is not None and name != socket.sid and name in adapter.registry:
                raise ValueError(
                    f"{name!r} is the sid of another client: whoever joined it would get that client's private packets"
                )
        await trio.lowlevel.checkpoint_if_cancelled()
        socket.join(rooms)
        await self.server.pace.moved()

    async def leave_room(self, room: Names, sid: str | None = None, namespace: str | None = None) -> None:
        """Take a client out of one or several rooms; those it is not in are ignored.

        Args:
            room: One or several names.
            sid: The client; the current connection by default.
            namespace: The namespace of the client.

        Raises:
            NotConnected: Nobody has that sid.
            ValueError: A room's name is empty, or is the client's own sid, which it cannot leave.
        """
        _, rooms, socket = self._room_call(room, sid, namespace)
        if socket.sid in rooms:
            raise ValueError(
                f"{socket.sid!r} is the client's own sid: a client cannot leave the room of its sid, only disconnect"
            )
        await trio.lowlevel.checkpoint_if_cancelled()
        socket.leave(rooms)
        await self.server.pace.moved()

    async def close_room(self, room: str, namespace: str | None = None) -> None:
        """Let every member of a room leave it; they stay connected.

        Args:
            room: The name.
            namespace: The namespace of the room.

        Raises:
            ValueError: The name is empty, or is the sid of a client.
        """
        target = self._resolve(namespace)
        closing = names(room, "room")
        adapter = self.server.find_adapter(target)
        here = self._here()
        for name in closing:
            if (adapter is not None and name in adapter.registry) or (here is not None and name == here.sid):
                raise ValueError(
                    f"{name!r} is the sid of a client: the room of a sid cannot be closed; use disconnect()"
                )
        await trio.lowlevel.checkpoint_if_cancelled()
        for name in closing:
            if adapter is not None:
                adapter.registry.close(name)
        pending = self._pending(target)
        if pending is not None:
            pending.leave(closing)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def rooms(self, sid: str | None = None, namespace: str | None = None) -> list[str]:
        """Return the rooms of a client, its own sid first.

        Args:
            sid: The client; the current connection by default.
            namespace: The namespace of the client.

        Raises:
            NotConnected: Nobody has that sid.
        """
        return self._member(sid, self._resolve(namespace)).rooms()

    # Connections.

    async def disconnect(
        self,
        sid: str | None = None,
        namespace: str | None = None,
        *,
        close: bool = False,
        ignore_queue: bool = False,  # noqa: ARG002  # acts in a cluster only
    ) -> None:
        """End a client's membership of a namespace; what was emitted to it before is delivered first.

        In its own connect handler it is a rejection. A sid that nobody has is ignored: it is gone already.

        Args:
            sid: The client; the current connection by default.
            namespace: The namespace to end.
            close: End the whole connection, with all its namespaces.
            ignore_queue: End a connection of this process only.
        """
        target = self._resolve(namespace)
        try:
            socket = self._member(sid, target)
        except NotConnected:
            await trio.lowlevel.checkpoint()
            return
        await trio.lowlevel.checkpoint_if_cancelled()
        if close:
            socket.client.disconnect()
        else:
            socket.disconnect()
        await trio.lowlevel.cancel_shielded_checkpoint()

    # How it is done.

    def _target(self, namespace: str | None) -> str | None:
        return self._home() if namespace is None else namespace

    def _resolve(self, namespace: str | None) -> str:
        here = self._here()
        return resolve_namespace(self._target(namespace), here.namespace if here is not None else "/")

    def _pending(self, namespace: str) -> "Socket | None":
        """Return the current connection's socket if its connect handler runs: it is a target of that handler's own emits."""
        here = self._here()
        return None if here is None else here.connecting_in(namespace)

    def _room_call(self, room: Names, sid: str | None, namespace: str | None) -> "tuple[str, tuple[str, ...], Socket]":
        target = self._resolve(namespace)
        rooms = names(room, "room")
        return target, rooms, self._member(sid, target)

    def _member(self, sid: str | None, namespace: str) -> "Socket":
        """Return the socket that is meant: the current connection's, or that of a sid."""
        here = self._here()
        if sid is None and here is None:
            raise RuntimeError("outside a handler there is no current connection: name the client with sid=...")
        if sid is not None and not isinstance(sid, str):
            raise TypeError(f"a sid is a str, not {type(sid).__name__}: {sid!r}")
        if here is not None:
            if sid is None:
                sid = own_sid(here, namespace)
            own = here.socket_in(namespace)
            if own is not None and own.sid == sid:
                return own
        adapter = self.server.find_adapter(namespace)
        socket = None if adapter is None or sid is None else adapter.sockets.get(sid)
        if socket is None:
            raise NotConnected(f"nobody in {namespace!r} has the sid {sid!r}")
        return socket
