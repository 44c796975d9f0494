"""In which order events arrive, and over which transports; what is asked of one client, and what goes to many."""

import trio
from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.circle import Circle, Member
from trio_socketio.conformance.peer import Polling, SocketIOPeer, WebSocketPeer
from trio_socketio.conformance.sections import EIO_UPGRADE, SIO_ACK, SIO_ENCODING, SIO_ORDER, SIO_ROOMS
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType

BURST = 200
POLLED = 60
"""Events over long-polling: several answers, and few enough to be fetched before a ping timeout."""
MANY = 50
PER_SENDER = 30


@case(
    "sio.delivery.order",
    Level.MUST,
    SIO_ORDER,
    Need.FIXTURE,
    title="What is emitted to a client arrives in the order in which it was emitted",
    expected=f"{BURST} numbered events, none missing, in order",
    why="Socket.IO guarantees the order; moves of a game, or the letters of a text, would be applied in the wrong one.",
)
async def order(trial: Trial) -> None:
    circle = await Circle.of(trial, "client")
    await circle["client"].emit("burst", BURST)
    trial.equal(await _burst(circle["client"], BURST), [[number] for number in range(BURST)], "what arrived")


async def _burst(member: Member, count: int) -> list[list[JSON]]:
    """Return the arguments of that many events, and of all that came too many."""
    return [await member.await_event("burst") for _ in range(count)] + await member.heard("burst")


@case(
    "sio.delivery.order.polling",
    Level.MUST,
    SIO_ORDER,
    Need.FIXTURE,
    Need.POLLING,
    title="The order is kept over long-polling, across many answers",
    expected=f"{POLLED} numbered events, none missing, none twice, in order",
    why="What does not fit into one answer would be lost, or come late.",
)
async def order_over_polling(trial: Trial) -> None:
    circle = Circle(trial)
    await circle.add("client", transport="polling")
    await circle["client"].emit("burst", POLLED)
    trial.equal(await _burst(circle["client"], POLLED), [[number] for number in range(POLLED)], "what arrived")


@case(
    "sio.delivery.order.binary",
    Level.MUST,
    SIO_ENCODING,
    Need.FIXTURE,
    Need.WEBSOCKET,
    title="Nothing comes between a packet and its attachments, though another client emits meanwhile",
    expected=f"{BURST} binary events in order, each with its attachment right behind it, and {PER_SENDER} other events",
    why='A client that gets another packet in place of an attachment ends the connection with "parse error".',
)
async def order_of_frames(trial: Trial) -> None:
    circle = await Circle.of(trial, "client", "other")
    client = circle["client"]
    await client.emit("burst", BURST, True)  # noqa: FBT003  # an argument of an event
    for number in range(PER_SENDER):
        await circle["other"].emit("deliver", {"to": client.sid}, "burst", -1 - number)
    await circle["other"].fence()
    heard = await _burst(client, BURST + PER_SENDER)
    own = [args for args in heard if args[0] >= 0]
    trial.equal(own, [[number, number.to_bytes(4, "big")] for number in range(BURST)], "the binary events")
    trial.equal([args for args in heard if args[0] < 0], [[-1 - number] for number in range(PER_SENDER)], "the others")


@case(
    "sio.delivery.order.ack",
    Level.SHOULD,
    SIO_ORDER,
    Need.FIXTURE,
    title="Events and acknowledgements for one client keep their order",
    expected="the answers to `message`, `message-with-ack` and `deliver` to the own sid, sent in turns, in the same order",
    why='An "it is done" that arrives before what was done makes a client show an old state.',
)
async def order_of_acks(trial: Trial) -> None:
    client = (await Circle.of(trial, "client"))["client"]
    for number in range(20):
        await client.emit("message", number)
        await client.emit("message-with-ack", number, id=number)
        await client.emit("deliver", {"to": client.sid}, "delivered", number)
    got: list[JSON] = [
        ["ack", packet.id, *packet.data] if packet.type is PacketType.ACK else packet.data
        for packet in await client.fence()
    ]
    expected: list[JSON] = []
    for number in range(20):
        expected += [["message-back", number], ["ack", number, number], ["delivered", number]]
    trial.equal(got, expected, "what arrived")


@case(
    "sio.delivery.order.senders",
    Level.MUST,
    SIO_ORDER,
    Need.FIXTURE,
    title="What two clients send to a third at the same time arrives in the order of each",
    expected=f"{PER_SENDER} numbered events of each sender, none missing, each sender's in order",
    why="Lines of one speaker in a chat would change places.",
)
async def order_of_senders(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"first": [], "second": [], "reader": [room]})

    async def speak(name: str) -> None:
        for number in range(PER_SENDER):
            await circle[name].emit("deliver", {"to": room}, "said", name, number)
        await circle[name].fence()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak, "first")
        nursery.start_soon(speak, "second")
    reader = circle["reader"]
    heard = [await reader.await_event("said") for _ in range(2 * PER_SENDER)] + await reader.heard("said")
    for name in ("first", "second"):
        numbers = [args[1] for args in heard if args[0] == name]
        trial.equal(numbers, list(range(PER_SENDER)), f"what arrived of the {name} sender")


@case(
    "sio.delivery.transports.polling",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    Need.POLLING,
    title="Clients that use long-polling are reached like all others",
    expected="the event, once each, for two members of a room and then for one by its sid, all over polling",
    why="Behind some proxies all users are on long-polling.",
)
async def polling(trial: Trial) -> None:
    room = trial.unique("room")
    circle = Circle(trial)
    await circle.add("sender", transport="polling")
    await circle.add("first", [room], transport="polling")
    await circle.add("second", [room], transport="polling")
    await circle.deliver("sender", {"to": room}, "hello €", reaches=["first", "second"])
    await circle.deliver("sender", {"to": circle["second"].sid}, b"\x00\xff", reaches=["second"])


@case(
    "sio.delivery.transports.mixed",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    Need.UPGRADE,
    title="A room whose members use polling, WebSocket, and an upgraded session is reached as one",
    expected="a text event and a binary event, once each, for all three members",
    why="That is what every room looks like while pages load: clients begin with polling.",
)
async def mixed(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [], "websocket": [room]})
    await circle.add("polling", [room], transport="polling")
    peer = await trial.peer.join(transport="polling")
    await circle.adopt("upgraded", await _upgraded(trial, peer), [room])
    await circle.deliver("sender", {"to": room}, "hello €", reaches=["websocket", "polling", "upgraded"])
    await circle.deliver("sender", {"to": room}, b"\x1e\x00", reaches=["websocket", "polling", "upgraded"])


async def _upgraded(trial: Trial, peer: SocketIOPeer) -> SocketIOPeer:
    """Return a client of a polling session after its upgrade."""
    assert isinstance(peer.transport, Polling)  # noqa: S101  # the case has just opened it so
    peer.transport = await trial.upgrade(peer.transport)
    return peer


@case(
    "sio.delivery.binary",
    Level.MUST,
    SIO_ENCODING,
    Need.FIXTURE,
    title="A binary event to a room reaches each member with all its attachments",
    expected="the event, once each, for three members, with three byte strings in their places, one of them empty",
    why="A server that encodes once for all must not use up the attachments with the first recipient.",
)
async def binary(trial: Trial) -> None:
    room = trial.unique("room")
    circle = await Circle.of_rooms(trial, {"sender": [room], "first": [room], "second": [room]})
    args: list[JSON] = [b"\x01\x02", {"list": [b"", "text"], "deep": {"er": bytes(range(256))}}]
    await circle.deliver("sender", {"to": room}, *args, reaches=["sender", "first", "second"])


@case(
    "sio.delivery.binary.alike",
    Level.MAY,
    SIO_ENCODING,
    Need.FIXTURE,
    Need.WEBSOCKET,
    title="All recipients of an event get the same frames",
    expected="the same text frame and the same attachments, in the same order, for two members of a room",
    why="An event that is encoded anew for each recipient costs a server most of its time.",
)
async def alike(trial: Trial) -> None:
    room, event = trial.unique("room"), trial.unique("event")
    circle = await Circle.of_rooms(trial, {"sender": [], "first": [room], "second": [room]})
    args: list[JSON] = [{"b": b"\x01", "a": 1.5, "ü": "€"}, b"\x02"]
    await circle.deliver("sender", {"to": room}, *args, reaches=["first", "second"], event=event)
    first, second = (_frames_of(circle[name], event) for name in ("first", "second"))
    trial.equal(second, first, "what the second member got")


def _frames_of(member: Member, event: str) -> list[str | bytes]:
    transport = member.peer.transport
    frames = transport.frames if isinstance(transport, WebSocketPeer) else []
    begins = next(index for index, frame in enumerate(frames) if isinstance(frame, str) and event in frame)
    return [frame for frame in frames[begins : begins + 4] if isinstance(frame, bytes) or event in frame]


@case(
    "sio.delivery.ask",
    Level.MUST,
    SIO_ACK,
    Need.FIXTURE,
    title="An event with a callback reaches the client it is for, and the answer goes to who asked",
    expected="the event for the addressee, its answer, with all arguments, for the client that asked, and nothing for a third",
    why="Requests from server to client would never be answered, or by the wrong one.",
)
async def ask(trial: Trial) -> None:
    circle = await Circle.of(trial, "asker", "addressee", "other")
    request = await _ask(circle)
    trial.equal(request.data, ["question", 1, "two"], "what the addressee got")
    answer: list[JSON] = ["yes", {"and": [2, None]}]
    await circle["addressee"].send(Packet(PacketType.ACK, "/", answer, request.id))
    trial.equal(await circle["asker"].await_event("answer"), answer, "what the asker got")
    for name in ("asker", "addressee", "other"):
        trial.equal(await circle[name].fence(), [], f"what else {name!r} got")


async def _ask(circle: Circle) -> Packet:
    """Let the asker ask the addressee, and return what the addressee gets."""
    await circle["asker"].emit("ask", circle["addressee"].sid, "question", 1, "two")
    return await circle["addressee"].next()


@case(
    "sio.delivery.ask.self",
    Level.MUST,
    SIO_ACK,
    Need.FIXTURE,
    title="A handler can ask its own client, and gets the answer",
    expected="the event with an ack id, and then the answer for the same client",
    why="Requests from server to client would never be answered.",
)
async def ask_self(trial: Trial) -> None:
    client = (await Circle.of(trial, "client"))["client"]
    await client.emit("ask", None, "question")
    request = await client.next()
    trial.equal(request.data, ["question"], "what the client got")
    trial.check(request.id is not None, "the event has no ack id")
    await client.send(Packet(PacketType.ACK, "/", [], request.id))
    trial.equal(await client.await_event("answer"), [], "the answer")


@case(
    "sio.delivery.ask.twice",
    Level.SHOULD,
    SIO_ACK,
    Need.FIXTURE,
    title="A second answer to the same request is ignored",
    expected="the first answer, and no other",
    why="A handler that runs twice pays out twice.",
)
async def ask_answered_twice(trial: Trial) -> None:
    circle = await Circle.of(trial, "asker", "addressee")
    request = await _ask(circle)
    for answer in ("first", "second"):
        await circle["addressee"].send(Packet(PacketType.ACK, "/", [answer], request.id))
    await circle["addressee"].fence()
    trial.equal(await circle["asker"].await_event("answer"), ["first"], "the answer")
    trial.equal(await circle["asker"].heard("answer"), [], "what else came as an answer")


@case(
    "sio.delivery.ask.forged",
    Level.SHOULD,
    SIO_ACK,
    Need.FIXTURE,
    title="Only the client that was asked can answer",
    expected="no answer from another client that uses the same ack id; then the answer of the addressee",
    why="Ack ids are small numbers; anyone could answer for anyone.",
)
async def ask_answered_by_another(trial: Trial) -> None:
    circle = await Circle.of(trial, "asker", "addressee", "forger")
    request = await _ask(circle)
    await circle["forger"].send(Packet(PacketType.ACK, "/", ["forged"], request.id))
    await circle["forger"].fence()
    await circle["addressee"].send(Packet(PacketType.ACK, "/", ["true"], request.id))
    await circle["addressee"].fence()
    trial.equal(await circle["asker"].await_event("answer"), ["true"], "the answer")
    trial.equal(await circle["asker"].heard("answer"), [], "what else came as an answer")


@case(
    "sio.delivery.ask.left",
    Level.SHOULD,
    SIO_ACK,
    Need.FIXTURE,
    title="A client that leaves before it has answered causes no answer, and cannot answer when it is back",
    expected="no answer for the asker, not even when the client, back in the namespace, uses the old ack id",
    why="A request would be taken for answered though nobody was there.",
)
async def ask_one_that_leaves(trial: Trial) -> None:
    circle = await Circle.of(trial, "asker", namespace="/custom")
    asker = circle["asker"]
    in_root = await Circle(trial).add("client")
    client = in_root.at("/custom")
    await client.connect()
    await client.fence()
    await asker.emit("ask", client.sid, "question")
    request = await client.next()
    await client.send(Packet(PacketType.DISCONNECT, "/custom"))
    await in_root.fence()
    trial.equal(await asker.heard("answer"), [], "what came as an answer after the client had left")
    await client.connect()
    await client.send(Packet(PacketType.ACK, "/custom", ["late"], request.id))
    await client.fence()
    trial.equal(await asker.heard("answer"), [], "what came as an answer when the client was back")


@case(
    "sio.delivery.many",
    Level.MUST,
    SIO_ROOMS,
    Need.FIXTURE,
    title="An event to a room of many clients reaches each once",
    expected=f"two events for each of {MANY} members, once each and in order, and none for those who are skipped",
    why="Someone in a large room would miss what all others have seen.",
)
async def many(trial: Trial) -> None:
    room, event = trial.unique("room"), trial.unique("event")
    circle = await Circle.of(trial, "sender")
    names = [f"member {number}" for number in range(MANY)]
    for name in names:
        await circle.add(name, [room])
    skipped = [circle[name].sid for name in names[:2]]
    await circle["sender"].emit("deliver", {"to": room}, event, "all")
    await circle["sender"].do("deliver", {"to": room, "skip": skipped}, event, "most")
    for name in names:
        expected = [["all"], ["most"]] if name in names[2:] else [["all"]]
        trial.equal(await circle[name].heard(event), expected, f"what {name} got")


@case(
    "sio.delivery.upgrade",
    Level.MUST,
    EIO_UPGRADE,
    Need.FIXTURE,
    Need.UPGRADE,
    title="What is emitted to a room while a member upgrades reaches it once, in order",
    expected="the three events that were emitted before the probe, after it, and right after the upgrade, on the WebSocket",
    why="Every page upgrades just when it has loaded, and would miss or double what is said at that moment.",
)
async def during_upgrade(trial: Trial) -> None:
    room, event = trial.unique("room"), trial.unique("event")
    circle = await Circle.of(trial, "sender")
    peer = await trial.peer.join(transport="polling")
    await peer.emit("join", room)
    await trial.fence(peer)
    await circle["sender"].do("deliver", {"to": room}, event, "before the probe")
    assert isinstance(peer.transport, Polling)  # noqa: S101  # opened so above
    websocket = await trial.probe(peer.transport)
    await circle["sender"].do("deliver", {"to": room}, event, "after the probe")
    await websocket.send("5")
    await circle["sender"].do("deliver", {"to": room}, event, "after the upgrade")
    peer.transport = websocket
    events = await trial.fence(peer)
    expected = ["before the probe", "after the probe", "after the upgrade"]
    trial.equal(events, [[event, what] for what in expected], "what arrived")


@case(
    "sio.delivery.upgrade.polled",
    Level.MUST,
    EIO_UPGRADE,
    Need.FIXTURE,
    Need.UPGRADE,
    title="What is emitted while a member upgrades with a poll pending reaches it once, in order",
    expected="the events that were emitted around the probe, once each, some as answers to polls and the rest on the WebSocket",
    why="Every official client upgrades like this; an event that goes the old way and the new way is shown twice.",
)
async def during_upgrade_with_a_poll(trial: Trial) -> None:
    room, event = trial.unique("room"), trial.unique("event")
    circle = await Circle.of(trial, "sender")
    peer = await trial.peer.join(transport="polling")
    await peer.emit("join", room)
    await trial.fence(peer)
    session = peer.transport
    assert isinstance(session, Polling)  # noqa: S101  # opened so above
    got: list[str | bytes] = []
    paused = trio.Event()
    polling_has_ended = trio.Event()

    async def poll() -> None:
        while not paused.is_set():
            frames = await session.poll()
            got.extend(frames)
            if "2" in frames:
                await session.send("3")
        polling_has_ended.set()

    trial.nursery.start_soon(poll)
    await circle["sender"].do("deliver", {"to": room}, event, 1)
    websocket = await trial.peer.upgrade(session)
    await circle["sender"].do("deliver", {"to": room}, event, 2)
    await websocket.send("2probe")
    await circle["sender"].do("deliver", {"to": room}, event, 3)
    trial.equal(await websocket.receive(), "3probe", "the answer to the probe")
    paused.set()
    await circle["sender"].do("deliver", {"to": room}, event, 4)
    await polling_has_ended.wait()
    await websocket.send("5")
    await circle["sender"].do("deliver", {"to": room}, event, 5)
    peer.transport = websocket
    events = [frame for frame in got if isinstance(frame, str) and event in frame]
    numbers = [int(frame.partition(",")[2].rstrip("]")) for frame in events]
    numbers += [data[1] for data in await trial.fence(peer) if data[0] == event]
    trial.equal(numbers, [1, 2, 3, 4, 5], "what arrived")
