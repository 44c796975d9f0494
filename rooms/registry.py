"""Who is in which room of one namespace.

Joining and leaving cost the same however many sockets and rooms there are; selecting costs as much as there are recipients
and exclusions. Rooms and members keep the order of joining.
"""

from collections.abc import Iterable, KeysView, Sequence

from trio_socketio.rooms.audience import Audience


class RoomRegistry:
    """The sockets of one namespace, by sid, and the rooms they are in.

    A sid is a room of its own with that one member; it is joined by `add`, left by `leave_all`, and never stored twice.
    """

    __slots__ = ("_rooms", "_sids")

    def __init__(self) -> None:
        self._sids: dict[str, dict[str, None]] = {}  # sid -> the rooms it joined
        self._rooms: dict[str, dict[str, None]] = {}  # room -> its members; an empty room does not exist

    def __contains__(self, sid: str) -> bool:
        return sid in self._sids

    def __len__(self) -> int:
        return len(self._sids)

    @property
    def room_count(self) -> int:
        """The number of rooms that somebody joined; the rooms that are sids do not count."""
        return len(self._rooms)

    def add(self, sid: str, rooms: Iterable[str] = ()) -> None:
        """Register a socket, with the rooms it starts in."""
        self._sids[sid] = {}
        for room in rooms:
            self.join(sid, room)

    def join(self, sid: str, room: str) -> None:
        """Put a registered socket into a room; twice is once.

        Raises:
            KeyError: No such sid is registered.
        """
        rooms = self._sids[sid]
        if room == sid:
            return
        rooms[room] = None
        self._rooms.setdefault(room, {})[sid] = None

    def leave(self, sid: str, room: str) -> None:
        """Take a socket out of a room it joined; if it is not in it nothing happens."""
        members = self._rooms.get(room)
        if members is None or sid not in members:
            return
        del members[sid]
        if not members:
            del self._rooms[room]
        del self._sids[sid][room]

    def leave_all(self, sid: str) -> None:
        """Forget a socket: it leaves every room, its own included. An unknown sid is ignored."""
        for room in list(self._sids.get(sid, ())):
            self.leave(sid, room)
        self._sids.pop(sid, None)

    def close(self, room: str) -> None:
        """Let every member of a room leave it."""
        for sid in self.members(room):
            self.leave(sid, room)

    def members(self, room: str) -> list[str]:
        """Return the sids in a room, in the order of joining; a sid is a room with itself as the only member."""
        if room in self._sids:
            return [room]
        return list(self._rooms.get(room, ()))

    def rooms_of(self, sid: str) -> list[str]:
        """Return the rooms of a socket, its own sid first; none if it is not registered."""
        rooms = self._sids.get(sid)
        return [] if rooms is None else [sid, *rooms]

    def joined(self, sid: str) -> KeysView[str]:
        """Return a view of the rooms that a registered socket has joined, its own sid aside.

        Raises:
            KeyError: No such sid is registered.
        """
        return self._sids[sid].keys()

    def sids(self) -> list[str]:
        """Return every registered sid."""
        return list(self._sids)

    def select(self, audience: Audience) -> Sequence[str]:
        """Return the sids that an audience of this namespace means, each once, as they are at this moment."""
        rooms = audience.rooms
        if rooms is None:
            chosen = list(self._sids)
        elif len(rooms) == 1:
            chosen = self.members(rooms[0])
        else:
            chosen = list(dict.fromkeys(sid for room in rooms for sid in self.members(room)))
        skip = audience.skip
        return [sid for sid in chosen if sid not in skip] if skip else chosen
