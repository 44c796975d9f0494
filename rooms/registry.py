"""Who is in which room of one namespace.

Joining and leaving cost the same however many sockets and rooms there are; selecting costs as much as there are recipients
and exclusions. Rooms and members keep the order of joining.
"""

from collections.abc import Iterable, KeysView, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from trio_socketio.rooms.audience import Audience

Member = TypeVar("Member")


class RoomRegistry(Generic[Member]):
    """The members of one namespace, by sid, and the rooms they are in.

    A member is whatever its owner wants to find again, a connection for example. A room holds its members themselves, so that
    selecting them looks nothing up: of thousands of recipients, each lookup would miss the processor's caches.

    A sid is a room of its own with that one member; it is joined by `add`, left by `leave_all`, and never stored twice.
    """

    __slots__ = ("_joined", "_members", "_rooms", "everyone")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._joined: dict[str, dict[str, None]] = {}  # sid -> the rooms it joined
        self._rooms: dict[str, dict[str, Member]] = {}  # room -> its members by sid; an empty room does not exist
        self.everyone: Mapping[str, Member] = MappingProxyType(self._members)
        """All members by sid, as they are at any time."""

    def __contains__(self, sid: str) -> bool:
        return sid in self._members

    def __len__(self) -> int:
        return len(self._members)

    @property
    def room_count(self) -> int:
        """The number of rooms that somebody joined; the rooms that are sids do not count."""
        return len(self._rooms)

    def add(self, sid: str, member: Member, rooms: Iterable[str] = ()) -> None:
        """Register a member, with the rooms it starts in."""
        self._members[sid] = member
        self._joined[sid] = {}
        for room in rooms:
            self.join(sid, room)

    def join(self, sid: str, room: str) -> None:
        """Put a registered member into a room; twice is once.

        Raises:
            KeyError: No such sid is registered.
        """
        rooms = self._joined[sid]
        if room == sid:
            return
        rooms[room] = None
        self._rooms.setdefault(room, {})[sid] = self._members[sid]

    def leave(self, sid: str, room: str) -> None:
        """Take a member out of a room it joined; if it is not in it nothing happens."""
        members = self._rooms.get(room)
        if members is None or sid not in members:
            return
        del members[sid]
        if not members:
            del self._rooms[room]
        del self._joined[sid][room]

    def leave_all(self, sid: str) -> None:
        """Forget a member: it leaves every room, its own included. An unknown sid is ignored."""
        for room in list(self._joined.get(sid, ())):
            self.leave(sid, room)
        self._joined.pop(sid, None)
        self._members.pop(sid, None)

    def close(self, room: str) -> None:
        """Let every member of a room leave it."""
        for sid in self.members(room):
            self.leave(sid, room)

    def members(self, room: str) -> list[str]:
        """Return the sids in a room, in the order of joining; a sid is a room with itself as the only member."""
        return list(self._in(room))

    def rooms_of(self, sid: str) -> list[str]:
        """Return the rooms of a member, its own sid first; none if it is not registered."""
        rooms = self._joined.get(sid)
        return [] if rooms is None else [sid, *rooms]

    def joined(self, sid: str) -> KeysView[str]:
        """Return a view of the rooms that a registered member has joined, its own sid aside.

        Raises:
            KeyError: No such sid is registered.
        """
        return self._joined[sid].keys()

    def select(self, audience: Audience) -> list[Member]:
        """Return the members that an audience of this namespace means, each once, as they are at this moment."""
        rooms = audience.rooms
        if rooms is None:
            chosen = self._members
        elif len(rooms) == 1:
            chosen = self._in(rooms[0])
        else:
            chosen = {}
            for room in rooms:
                chosen |= self._in(room)
        skip = audience.skip
        return [member for sid, member in chosen.items() if sid not in skip] if skip else list(chosen.values())

    def _in(self, room: str) -> dict[str, Member]:
        """Return the members of a room by sid, not to be changed."""
        if room in self._members:
            return {room: self._members[room]}
        return self._rooms.get(room, {})
