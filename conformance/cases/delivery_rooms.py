"""Rooms: who is in them, and who is no longer."""

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.circle import Circle
from trio_socketio.conformance.sections import FIXTURE, SIO_DISCONNECT, SIO_ROOMS
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.socketio import Packet, PacketType

ODD_NAMES = ("__proto__", "constructor", "toString", "räume 部屋 \U0001f3e0", "/", "a,b", " ", "0", "-1", 'x"\\\n')
"""Names that a server may stumble over: those of a JavaScript object's own, and some that look like syntax."""


@case(
    "sio.delivery.rooms.listed",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="The server knows in which rooms a client is",
    expected="the names of the rooms that the client has joined and not left, none twice",
    why="Applications ask this to show who is where, and to clean up.",
)
async def listed(trial: Trial) -> None:
    one, two, three = (trial.unique(f"room-{number}") for number in range(3))
    circle = await Circle.of_rooms(trial, {"client": [one, two], "other": [three]})
    client = circle["client"]
    trial.equal(await client.rooms(), sorted([one, two]), "the rooms after joining two")
    await client.do("join", three)
    await client.do("leave", one)
    trial.equal(await client.rooms(), sorted([two, three]), "the rooms after joining a third and leaving the first")
    trial.equal(await circle["other"].rooms(), [three], "the rooms of another client")


@case(
    "sio.delivery.rooms.several",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="A client joins and leaves several rooms at once",
    expected="events to each of three rooms after joining a list of them, and to the one that is left after leaving two",
    why="Some of the rooms would be forgotten.",
)
async def several(trial: Trial) -> None:
    rooms = [trial.unique(f"room-{number}") for number in range(3)]
    circle = await Circle.of(trial, "sender", "client")
    await circle["client"].do("join", rooms)
    for room in rooms:
        await circle.deliver("sender", {"to": room}, reaches=["client"])
    await circle["client"].do("leave", rooms[:2])
    trial.equal(await circle["client"].rooms(), rooms[2:], "the rooms after leaving two of three")


@case(
    "sio.delivery.rooms.join-twice",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="Joining a room twice is like joining it once",
    expected="an event to the room once, and none after leaving once",
    why="Clients join again after each reconnection; they would get everything twice, or be unable to leave.",
)
async def join_twice(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [], "client": [room, room]})
    trial.equal(await circle["client"].rooms(), [room], "the rooms")
    await circle.deliver("sender", {"to": room}, reaches=["client"])
    await circle["client"].do("leave", room)
    await circle.deliver("sender", {"to": room}, reaches=[])


@case(
    "sio.delivery.rooms.leave",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="Who has left a room gets nothing of it any more, and the others stay",
    expected="an event to the room for the member that stayed alone; leaving again, or another room, changes nothing",
    why="Users would go on reading what is said where they no longer are.",
)
async def leave(trial: Trial) -> None:
    room, elsewhere = trial.unique("room"), trial.unique("elsewhere")
    circle = await Circle.of_rooms(trial, {"sender": [], "stays": [room], "leaves": [room, elsewhere]})
    await circle["leaves"].do("leave", room)
    await circle["leaves"].do("leave", room)
    await circle["leaves"].do("leave", trial.unique("never joined"))
    await circle.deliver("sender", {"to": room}, reaches=["stays"])
    await circle.deliver("sender", {"to": elsewhere}, reaches=["leaves"])


@case(
    "sio.delivery.rooms.emptied",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="A room that its last member has left can be joined anew, and begins empty",
    expected="no event while the room is empty, and then one for the new member alone",
    why="Old members would come back with a room, or a server would fail on the room that it has removed.",
)
async def emptied(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [], "old": [room], "new": []})
    await circle["old"].do("leave", room)
    await circle.deliver("sender", {"to": room}, reaches=[])
    await circle["new"].do("join", room)
    await circle.deliver("sender", {"to": room}, reaches=["new"])


@case(
    "sio.delivery.rooms.close",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="Closing a room lets all members leave it, and nothing else",
    expected="no event to the room; the members stay connected and in their other rooms",
    why="A game that is over would go on for some of its players, or they would be thrown out of the lobby too.",
)
async def close(trial: Trial) -> None:
    room, lobby = trial.unique("room"), trial.unique("lobby")
    circle = await Circle.of_rooms(trial, {"closer": [], "first": [room, lobby], "second": [lobby, room]})
    await circle["closer"].do("close-room", room)
    await circle.deliver("closer", {"to": room}, reaches=[])
    await circle.deliver("closer", {"to": lobby}, reaches=["first", "second"])
    trial.equal(await circle["first"].rooms(), [lobby], "the rooms of a member")
    await circle["second"].do("join", room)
    await circle.deliver("closer", {"to": room}, reaches=["second"])


@case(
    "sio.delivery.rooms.namespaces",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="Rooms of the same name in two namespaces are two rooms",
    expected="an event to the room of one namespace for its member alone, and none for the member of the other's",
    why="Namespaces separate parts of an application, often by permission; a leak shows users what is not for them.",
)
async def namespaces(trial: Trial) -> None:
    room = trial.unique("room")
    event = trial.unique("event")
    here = await Circle.of_rooms(trial, {"sender": [], "here": [room]})
    there = await Circle.of_rooms(trial, {"sender": [], "there": [room]}, "/custom")
    await here.deliver("sender", {"to": room}, reaches=["here"], event=event)
    trial.equal(await there["there"].fence(), [], "what the member of the other namespace got")
    await there.deliver("sender", {"to": room}, reaches=["there"], event=event)
    trial.equal(await here["here"].fence(), [], "what the member of the first namespace got")
    await here["here"].do("leave", room)
    await there.deliver("sender", {"to": room}, reaches=["there"])


@case(
    "sio.delivery.rooms.names",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="Any text can be the name of a room",
    expected="an event, once, for the member of rooms named `__proto__`, `constructor`, `0`, or with Unicode, commas and blanks",
    why="Applications name rooms after what users typed.",
)
async def names(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "client")
    for name in ODD_NAMES:
        await circle.deliver("sender", {"to": name}, reaches=[])
        await circle["client"].do("join", name)
        await circle.deliver("sender", {"to": name}, reaches=["client"])
    trial.equal(await circle["client"].rooms(), sorted(ODD_NAMES), "the rooms of the client")


@case(
    "sio.delivery.rooms.disconnected",
    Level.MUST,
    SIO_DISCONNECT,
    Need.FIXTURE,
    title="Who has left the namespace has left its rooms, and gets nothing of it",
    expected="no event to the room, to everyone, or to the old sid for the client, whose connection stays; none of its rooms "
    "after it has joined the namespace again",
    why="Users would go on reading after they have signed out, and find themselves in old rooms when they come back.",
)
async def disconnected(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [], "member": [room]}, "/broadcast")
    in_root = await Circle(trial).add("client")
    client = in_root.at("/broadcast")
    await client.connect()
    await client.do("join", room)
    old_sid = client.sid
    await client.send(Packet(PacketType.DISCONNECT, "/broadcast"))
    await in_root.fence()
    await circle.deliver("sender", {"to": room}, reaches=["member"])
    await circle.deliver("sender", {"to": old_sid}, reaches=[])
    await circle.deliver("sender", {}, reaches=["sender", "member"])
    trial.equal(await in_root.fence(), [], "what the client got in the namespace that it has left")
    await client.connect()
    await circle.welcome(client)
    trial.equal(await client.rooms(), [], "the rooms of the client when it is back")
    await circle.deliver("sender", {"to": room}, reaches=["member"])
    await circle.deliver("sender", {"to": old_sid}, reaches=[])


@case(
    "sio.delivery.rooms.hung-up",
    Level.MUST,
    FIXTURE,
    Need.FIXTURE,
    Need.WEBSOCKET,
    title="When the connection of a member breaks, the rest of the room is served as before",
    expected="the event `gone` for a watcher, then an event to the room for the member that stayed",
    why="Connections break all the time; one of them must not spoil what the others get.",
)
async def hung_up(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [], "breaks": [room], "stays": [room]})
    await circle["sender"].do("watch")
    sid = circle["breaks"].sid
    await circle.remove("breaks")
    with trio.move_on_after(trial.target.timeout):
        while (await circle["sender"].await_event("gone"))[:1] != [sid]:
            pass
        await circle.deliver("sender", {"to": [room, sid]}, reaches=["stays"])
        return
    trial.fail("the watcher was not told that the client has gone")
