"""The members of one namespace, and how a packet reaches those of them that an audience means."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from trio_socketio.rooms import Audience, RoomRegistry

if TYPE_CHECKING:
    from trio_socketio.server.socket import Socket


class LocalAdapter:
    """The accepted sockets of one namespace in this process."""

    __slots__ = ("registry",)

    def __init__(self) -> None:
        self.registry: RoomRegistry[Socket] = RoomRegistry()

    @property
    def sockets(self) -> "Mapping[str, Socket]":
        """The sockets by sid, as they are at any time."""
        return self.registry.everyone

    def add(self, socket: "Socket", rooms: Iterable[str]) -> None:
        """Take in a socket that has been accepted, with the rooms it joined before."""
        self.registry.add(socket.sid, socket, rooms)

    def remove(self, socket: "Socket") -> None:
        """Let go of a socket that has left."""
        self.registry.leave_all(socket.sid)

    def recipients(self, audience: Audience) -> "list[Socket]":
        """Return the sockets that an audience means, each once, as they are at this moment."""
        return self.registry.select(audience)
