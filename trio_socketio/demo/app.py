"""A chat whose page shows the wire: the demo, and the example to read first.

Clients join the namespace ``/chat`` with a name. What they may send, and what each is acknowledged with:

    join(room)                  {"ok": true, "room", "you", "people", "history"}
    leave(room)                 {"ok": true}
    say(room, text)             {"ok": true, "id", "time"}
    image(room, title, bytes)   {"ok": true, "id", "time"}
    typing(room, yes)           no acknowledgement: it is not worth one

or with ``{"ok": false, "error": "a sentence for people"}``. They are told ``message``, ``typing`` and ``people`` of the rooms
they are in, and ``rooms``, the list of all rooms. Nothing is stored: everything lives in memory, and all of it is bounded.
"""

import time
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import trio

from trio_socketio import ConnectionRefused, Context, Server, StaticFiles

PAGE = Path(__file__).parent / "static"

NAME_LENGTH = 24
"""Of a person and of a room, in characters."""
TEXT_LENGTH = 2_000
TITLE_LENGTH = 80
IMAGE_BYTES = 900_000
MAX_PAYLOAD = 1_250_000
"""An image of 900 kB is 1.2 MB of base64 when it travels over polling."""
HISTORY = 50
"""How many messages of each room a newcomer sees; of images only that they were sent."""
ROOMS = 100
"""How many rooms there may be; one that nobody is in gives way to a new one."""
ROOMS_PER_PERSON = 8
PEOPLE_SHOWN = 100

BURST, PER_SECOND = 30.0, 5.0
"""What one client may send: so many events at once, and so many a second in the long run."""

IMAGE_TYPES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
"""What an image is, by how it begins; what a client claims about it does not count."""


class Refused(Exception):  # noqa: N818  # it is an answer, not a failure
    """What a client asked for cannot be; the text tells its user why."""


@dataclass(slots=True)
class Room:
    """One room: who is in it, by sid, and what was said last."""

    people: dict[str, str] = field(default_factory=dict)
    history: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def names(self) -> list[str]:
        """Return the names of those in the room, sorted, the first hundred of them."""
        return sorted(self.people.values(), key=str.casefold)[:PEOPLE_SHOWN]


def clean(value: object, what: str, most: int) -> str:
    """Return a text from a client without its control characters.

    Raises:
        Refused: It is no text, or empty, or too long.
    """
    if not isinstance(value, str):
        raise Refused(f"{what} is missing.")
    text = "".join(c for c in value if c == "\n" or unicodedata.category(c) not in {"Cc", "Cs"}).strip()
    if not any(c.isprintable() and not c.isspace() for c in text):
        raise Refused(f"{what} is empty.")
    if len(text) > most:
        raise Refused(f"{what} is longer than {most} characters.")
    return text


def clean_name(value: object, what: str) -> str:
    """Return the name of a person or a room, on one line.

    Raises:
        Refused: It is no text, or empty, or too long.
    """
    return " ".join(clean(value, what, NAME_LENGTH).split())


def spend(ctx: Context, cost: float = 1.0) -> None:
    """Take what an event costs from what its client may send.

    Raises:
        Refused: The client sends too much.
    """
    now = trio.current_time()
    left, then = ctx.data.get("budget", (BURST, now))
    left = min(BURST, left + (now - then) * PER_SECOND)
    if left < cost:
        raise Refused("That was too fast. Wait a moment.")
    ctx.data["budget"] = (left - cost, now)


def address(room: str) -> str:
    """Return the Socket.IO room of a chat room; the prefix keeps it apart from the sids, which are rooms too."""
    return f"chat:{room}"


def create_server(**options: Any) -> Server:
    """Return the server of the demo; serve it with ``trio.run(create_server().serve, "127.0.0.1", 3000)``.

    Args:
        **options: Options of `Server`, in place of the demo's own.
    """
    server = Server(**{"http": StaticFiles(PAGE), "max_payload": MAX_PAYLOAD, **options})
    chat = server.namespace("/chat")
    names: dict[str, str] = {}
    rooms: dict[str, Room] = {}

    def room_of(ctx: Context, name: object) -> tuple[str, Room]:
        """Return a room that the client is in."""
        room = rooms.get(name) if isinstance(name, str) else None
        if room is None or ctx.sid not in room.people:
            raise Refused("You are not in that room.")
        return str(name), room

    def open_room(name: str) -> Room:
        """Return a room, a new one if need be and if there is space for it."""
        if name not in rooms and len(rooms) >= ROOMS:
            empty = next((other for other, room in rooms.items() if not room.people), None)
            if empty is None:
                raise Refused("There are too many rooms. Join one that exists.")
            del rooms[empty]
        return rooms.setdefault(name, Room())

    async def tell_people(name: str) -> None:
        """Tell a room who is in it, and everyone which rooms there are."""
        if name in rooms:
            await chat.emit("people", {"room": name, "people": rooms[name].names()}, to=address(name))
        await chat.emit(
            "rooms", [{"room": name, "people": len(room.people)} for name, room in rooms.items() if room.people]
        )

    async def publish(
        ctx: Context, name: str, room: Room, content: dict[str, Any], kept: dict[str, Any]
    ) -> dict[str, Any]:
        """Send a message to the others in a room, keep what a newcomer may see, and return the acknowledgement."""
        message = {"id": token_urlsafe(9), "room": name, "name": names[ctx.sid], "time": int(time.time() * 1000)}
        room.history.append(message | kept)
        await ctx.emit("message", message | content, to=address(name), include_self=False)
        return {"ok": True, "id": message["id"], "time": message["time"]}

    # A plain function: nothing can happen between taking a name and being accepted.
    @chat.on("connect")
    def connect(ctx: Context, auth: Any) -> None:
        try:
            name = clean_name(auth.get("name") if isinstance(auth, dict) else None, "Your name")
        except Refused as refused:
            raise ConnectionRefused(str(refused), {"field": "name"}) from None
        taken = set(names.values())
        names[ctx.sid] = next(free for n in count(1) if (free := name if n == 1 else f"{name} {n}") not in taken)

    @chat.on("disconnect")
    async def disconnect(ctx: Context) -> None:
        del names[ctx.sid]
        for name in [name for name, room in rooms.items() if room.people.pop(ctx.sid, None)]:
            await tell_people(name)

    @chat.on("join")
    async def join(ctx: Context, wish: Any = None) -> dict[str, Any]:
        spend(ctx, cost=3)
        name = clean_name(wish, "The room's name").lower()
        if sum(ctx.sid in room.people for other, room in rooms.items() if other != name) >= ROOMS_PER_PERSON:
            raise Refused(f"You are in {ROOMS_PER_PERSON} rooms. Leave one first.")
        room = open_room(name)
        room.people[ctx.sid] = names[ctx.sid]
        await ctx.join_room(address(name))
        await tell_people(name)
        return {"ok": True, "room": name, "you": names[ctx.sid], "people": room.names(), "history": list(room.history)}

    @chat.on("leave")
    async def leave(ctx: Context, wish: Any = None) -> dict[str, Any]:
        name, room = room_of(ctx, wish)
        del room.people[ctx.sid]
        await ctx.leave_room(address(name))
        await tell_people(name)
        return {"ok": True}

    @chat.on("say")
    async def say(ctx: Context, wish: Any = None, words: Any = None) -> dict[str, Any]:
        spend(ctx)
        name, room = room_of(ctx, wish)
        text = {"text": clean(words, "The message", TEXT_LENGTH)}
        return await publish(ctx, name, room, text, kept=text)

    @chat.on("image")
    async def image(ctx: Context, wish: Any = None, title: Any = None, data: Any = None) -> dict[str, Any]:
        spend(ctx, cost=5)
        name, room = room_of(ctx, wish)
        if not isinstance(data, bytes) or len(data) > IMAGE_BYTES:
            raise Refused(f"An image has at most {IMAGE_BYTES // 1000} kB.")
        kind = next((kind for start, kind in IMAGE_TYPES.items() if data.startswith(start)), None)
        if kind is None:
            raise Refused("That is not a PNG, JPEG, GIF or WebP image.")
        about = {"title": clean(title, "The image's title", TITLE_LENGTH), "type": kind}
        return await publish(ctx, name, room, about | {"image": data}, kept=about)

    @chat.on("typing")
    async def typing(ctx: Context, wish: Any = None, yes: Any = None) -> None:
        spend(ctx, cost=0.5)
        name, _ = room_of(ctx, wish)
        await ctx.emit(
            "typing", {"room": name, "name": names[ctx.sid], "typing": bool(yes)}, to=address(name), include_self=False
        )

    @chat.on_error
    def answer_refusal(ctx: Context, error: Exception) -> dict[str, Any]:  # noqa: ARG001
        if not isinstance(error, Refused):
            raise error  # a fault of ours: the server logs it
        return {"ok": False, "error": str(error)}

    return server
