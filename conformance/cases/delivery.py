"""Who gets an event: oneself, a client, a room, everyone, and who is left out."""

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.circle import Circle
from trio_socketio.conformance.sections import FIXTURE, SIO_BROADCAST, SIO_CONNECT, SIO_DATA, SIO_ROOMS
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.socketio import Packet, PacketType

BROADCAST = "/broadcast"
"""The namespace of the fixture in which events may go to everyone."""

DELAY = 0.1
"""Seconds that a connect handler is asked to take."""


@case(
    "sio.delivery.self",
    Level.MUST,
    SIO_DATA,
    Need.FIXTURE,
    title="An event that a handler emits to its own client reaches that client alone",
    expected="the event `message-back` for the client that sent `message`, and nothing for another one",
    why="Answers to one user would be shown to all users.",
)
async def to_self(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "other")
    await circle["sender"].emit("message", "for me")
    trial.equal(await circle["sender"].heard("message-back"), [["for me"]], "what the sender heard")
    trial.equal(await circle["other"].heard("message-back"), [], "what the other client heard")


@case(
    "sio.delivery.sid",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a client's sid reaches that client alone",
    expected="the event, once, for the client that has the sid, and for no other, the sender included",
    why="Private messages would be read by others, or by nobody.",
)
async def to_sid(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "addressee", "other")
    await circle.deliver("sender", {"to": circle["addressee"].sid}, "private", reaches=["addressee"])


@case(
    "sio.delivery.sid.own",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to the sender's own sid reaches the sender alone",
    expected="the event, once, for the sender, and for no other",
    why="An application that addresses users by sid would leave out the one who acts.",
)
async def to_own_sid(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "other")
    await circle.deliver("sender", {"to": circle["sender"].sid}, "note to self", reaches=["sender"])


@case(
    "sio.delivery.sid.several",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to several sids reaches these clients",
    expected="the event, once, for the two clients that were named, and for no other",
    why="A group that the application keeps by itself would be reached in part.",
)
async def to_sids(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "first", "second", "other")
    sids = [circle["first"].sid, circle["second"].sid]
    await circle.deliver("sender", {"to": sids}, reaches=["first", "second"])


@case(
    "sio.delivery.sid.unknown",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a sid that nobody has reaches nobody",
    expected="no event for anybody, and the sender is served as before",
    why="A message to a user who has just left would end the connection of the one who writes, or go to all.",
)
async def to_unknown_sid(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "other")
    await circle.deliver("sender", {"to": trial.unique("sid")}, reaches=[])


@case(
    "sio.delivery.sid.namespaces",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="The sid that a client has in one namespace addresses nobody in another",
    expected="no event for the client, which has a sid of its own in each of its two namespaces",
    why="An event would come in a namespace where the application has not let the client in.",
)
async def sid_of_another_namespace(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", namespace="/custom")
    in_root = await Circle(trial).add("client")
    client = in_root.at("/custom")
    await client.connect()
    trial.check(in_root.sid != client.sid, "the sid is the same in both namespaces")
    await circle.welcome(client)
    await circle.deliver("sender", {"to": in_root.sid}, reaches=[])
    await circle.deliver("sender", {"to": client.sid}, reaches=["client"])


@case(
    "sio.delivery.room",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a room reaches each of its members, and nobody else",
    expected="the event, once, for two members of the room, and for neither the sender, which is none, nor another client",
    why="Rooms are how applications separate their users; a leak shows one group what another says.",
)
async def to_room(trial: Trial) -> None:
    room, elsewhere = trial.unique("room"), trial.unique("elsewhere")
    circle = await Circle.of_rooms(trial, {"sender": [], "first": [room], "second": [room], "other": [elsewhere]})
    await circle.deliver("sender", {"to": room}, "hello", {"n": 1}, reaches=["first", "second"])


@case(
    "sio.delivery.room.sender",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a room reaches the sender too, if it is a member",
    expected="the event, once, for the sender and for the other member",
    why="The one who writes in a chat would not see the own message, where the application relies on the server to show it.",
)
async def to_room_of_sender(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [room], "member": [room], "other": []})
    await circle.deliver("sender", {"to": room}, reaches=["sender", "member"])


@case(
    "sio.delivery.room.union",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to several rooms reaches each client of any of them once",
    expected="the event, once each, for a member of the first, of the second and of both rooms, and for no other client",
    why="Who is in two of the rooms would see everything twice.",
)
async def to_rooms(trial: Trial) -> None:
    one, two = trial.unique("one"), trial.unique("two")
    circle = await Circle.of_rooms(trial, {"sender": [], "first": [one], "second": [two], "both": [one, two]})
    await circle.deliver("sender", {"to": [one, two]}, reaches=["first", "second", "both"])


@case(
    "sio.delivery.room.union-with-sid",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a room and to the sid of one of its members reaches that member once",
    expected="the event, once each, for the member and for a client that is addressed by its sid alone",
    why="Who is addressed by name and as a member would see everything twice.",
)
async def to_room_and_sids(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [], "member": [room], "guest": [], "other": []})
    to = [room, circle["member"].sid, circle["guest"].sid, room]
    await circle.deliver("sender", {"to": to}, reaches=["member", "guest"])


@case(
    "sio.delivery.room.unknown",
    Level.SHOULD,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a room that has no members reaches nobody",
    expected="no event for anybody, and the sender is served as before",
    why="Whoever is the first in a room would get an error, or what was meant for the room would go to all.",
)
async def to_unknown_room(trial: Trial) -> None:
    circle = await Circle.of_rooms(trial, {"sender": [trial.unique("room")], "other": []})
    await circle.deliver("sender", {"to": trial.unique("nowhere")}, reaches=[])


@case(
    "sio.delivery.room.none",
    Level.MAY,
    FIXTURE,
    Need.FIXTURE,
    title="An event to an empty list of rooms reaches nobody",
    expected="no event for anybody, the sender included",
    why="A list that a search left empty would turn a message to a few into one to everyone.",
)
async def to_no_room(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "other", namespace=BROADCAST)
    await circle.deliver("sender", {"to": []}, reaches=[])


@case(
    "sio.delivery.skip",
    Level.SHOULD,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="A client that is to be skipped gets nothing",
    expected="the event, once, for the members of a room but the one whose sid was given",
    why="Who must not see a message would see it.",
)
async def skip_one(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [room], "member": [room], "skipped": [room]})
    options = {"to": room, "skip": [circle["skipped"].sid]}
    await circle.deliver("sender", options, reaches=["sender", "member"])


@case(
    "sio.delivery.skip.several",
    Level.SHOULD,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="Several clients that are to be skipped get nothing, however they were addressed",
    expected="the event, once, for the one that is left of two rooms and a sid",
    why="Who must not see a message would see it by way of a second room.",
)
async def skip_several(trial: Trial) -> None:
    one, two = trial.unique("one"), trial.unique("two")
    circle = await Circle.of_rooms(trial, {"sender": [], "first": [one, two], "second": [], "member": [two]})
    first, second = circle["first"].sid, circle["second"].sid
    await circle.deliver("sender", {"to": [one, two, second], "skip": [first, second]}, reaches=["member"])


@case(
    "sio.delivery.others.room",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to the others of a room does not reach the sender",
    expected="the event, once, for the other member of the room, and for neither the sender nor a client outside",
    why="This is how chats and games send what the sender has shown already; it would be shown twice.",
)
async def others_of_room(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [room], "member": [room], "other": []})
    await circle.deliver("sender", {"to": room, "self": False}, reaches=["member"])


@case(
    "sio.delivery.others.everyone",
    Level.MUST,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="An event to everyone else does not reach the sender",
    expected="the event, once, for two other clients of the namespace, and not for the sender",
    why="Every application that broadcasts would show the sender its own message twice.",
)
async def everyone_else(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", "first", "second", namespace=BROADCAST)
    await circle.deliver("sender", {"self": False}, reaches=["first", "second"])


@case(
    "sio.delivery.others.skip",
    Level.SHOULD,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="The sender and the clients to be skipped are both left out",
    expected="the event, once, for the one client that is neither, to a room as well as to everyone",
    why="One of the two wishes would be forgotten, as servers that keep one list for both do.",
)
async def others_and_skip(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [room], "skipped": [room], "member": [room]}, BROADCAST)
    skip = [circle["skipped"].sid]
    await circle.deliver("sender", {"to": room, "self": False, "skip": skip}, reaches=["member"])
    await circle.deliver("sender", {"self": False, "skip": skip}, reaches=["member"])


@case(
    "sio.delivery.everyone",
    Level.MUST,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="An event to everyone reaches each client of the namespace once",
    expected="the event, once each, for the sender and two other clients, in rooms or not",
    why="Announcements would miss some clients, or come once for each of their rooms.",
)
async def to_everyone(trial: Trial) -> None:
    rooms = [trial.unique("room"), trial.unique("room")]
    circle = await Circle.of_rooms(trial, {"sender": [], "in rooms": rooms, "in none": []}, BROADCAST)
    await circle.deliver("sender", {}, "to all", reaches=["sender", "in rooms", "in none"])


@case(
    "sio.delivery.everyone.namespaces",
    Level.MUST,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="An event to everyone stays in its namespace",
    expected="the event, once, for the clients of the namespace, and nothing for clients of two others",
    why="Namespaces separate parts of an application, often by permission; a leak shows users what is not for them.",
)
async def everyone_in_one_namespace(trial: Trial) -> None:
    event = trial.unique("event")
    inside = await Circle.of(trial, "sender", "inside", namespace=BROADCAST)
    root, custom = await Circle.of(trial, "outside"), await Circle.of(trial, "outside", namespace="/custom")
    await inside.deliver("sender", {}, reaches=["sender", "inside"], event=event)
    for circle in (root, custom):
        packets = await circle["outside"].fence()
        got = [packet for packet in packets if isinstance(packet.data, list) and packet.data[:1] == [event]]
        trial.equal(len(got), 0, "how often a client of another namespace got the event")


@case(
    "sio.delivery.everyone.in-two-namespaces",
    Level.MUST,
    SIO_BROADCAST,
    Need.FIXTURE,
    title="A client that is in two namespaces gets an event to everyone of one of them once, in that one",
    expected="the event once, with the name of the namespace in which it was emitted",
    why="One connection carries all namespaces of a page; its other parts would react to the event.",
)
async def everyone_with_two_namespaces(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", namespace=BROADCAST)
    client = (await Circle(trial).add("in both")).at(BROADCAST)
    await client.connect()
    await circle.welcome(client)
    await circle.deliver("sender", {}, reaches=["sender", "in both"])


@case(
    "sio.delivery.everyone.refused",
    Level.SHOULD,
    SIO_CONNECT,
    Need.FIXTURE,
    title="A client whose connection to the namespace was refused gets nothing of it",
    expected="CONNECT_ERROR for the client, and no event that goes to everyone; once it is let in, it gets them",
    why="Who has no permission would read along.",
)
async def everyone_but_the_refused(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", namespace=BROADCAST)
    in_root = await Circle(trial).add("client")
    client = in_root.at(BROADCAST)
    answer = await client.connect({"reject": "not you"})
    trial.equal(answer.type, PacketType.CONNECT_ERROR, "the type of the answer")
    await circle.deliver("sender", {}, reaches=["sender"])
    trial.equal(await in_root.fence(), [], "what the refused client got")
    await client.connect()
    await circle.welcome(client)
    await circle.deliver("sender", {}, reaches=["sender", "client"])


@case(
    "sio.delivery.everyone.pending",
    Level.SHOULD,
    SIO_CONNECT,
    Need.FIXTURE,
    waits=lambda _: DELAY,
    title="A client that the connect handler has not let in yet gets nothing of the namespace before its CONNECT",
    expected="CONNECT as the first packet in the namespace, though an event went to everyone while the handler was busy",
    why="Clients drop, or fail on, an event of a namespace that they are not connected to, and it may not be for them at all.",
)
async def everyone_but_the_pending(trial: Trial) -> None:
    circle = await Circle.of(trial, "sender", namespace=BROADCAST)
    peer = await trial.peer.open_socketio(circle.transport)
    await peer.send(Packet(PacketType.CONNECT, BROADCAST, {"delay": round(DELAY * 1000)}))
    with trio.move_on_after(
        DELAY / 4
    ):  # the CONNECT must have arrived; nothing may come for as long as the handler is busy
        early = await peer.receive()
        trial.fail(f"{early} came before the handler was done", "nothing comes before the handler is done")
    await circle.deliver("sender", {}, reaches=["sender"])
    first = await peer.receive()
    trial.equal(first.type, PacketType.CONNECT, "the type of the first packet in the namespace")
