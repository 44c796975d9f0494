"""Acknowledgements of the client: what the server asks, and whose answer counts."""

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.socketio_acks import MAX_SAFE_INTEGER
from trio_socketio.conformance.peer import SocketIOPeer
from trio_socketio.conformance.sections import FIXTURE, SIO_ACK, SIO_ENCODING
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType


async def question(trial: Trial, client: SocketIOPeer, event: str = "question", *args: JSON) -> int:
    """Let the server ask a client something, and return the id that it wants back."""
    await client.emit("ask", None, event, *args)
    return await asked(trial, client, event, *args)


async def asked(trial: Trial, client: SocketIOPeer, event: str, *args: JSON) -> int:
    """Fail unless the next packet is an event that asks for an acknowledgement; return its id."""
    packet = await client.receive()
    trial.equal(packet.type, PacketType.EVENT, "the type of what the server asks with")
    trial.same(packet.data, [event, *args], "the event")
    if packet.id is None:
        trial.fail("the event has no id", "it has one")
    return packet.id


async def answer(client: SocketIOPeer, ack_id: int, *args: JSON, namespace: str = "/") -> None:
    """Send an acknowledgement."""
    await client.send(Packet(PacketType.ACK, namespace, list(args), ack_id))


@case(
    "sio.ack.server.id",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event of which the server wants an acknowledgement has an id",
    expected='42<id>["question",1,{"a":null}]',
    why="Without it a client does not know that it should answer.",
)
async def server_asks(trial: Trial) -> None:
    await question(trial, await trial.join(), "question", 1, {"a": None})


@case(
    "sio.ack.server.answer",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The acknowledgement of a client reaches the callback of the server, with all its arguments",
    expected='the event `answer` with 1, null and {"a":[true]}; then one with nothing',
    why="Servers ask clients, and wait for what they say.",
)
async def client_answers(trial: Trial) -> None:
    client = await trial.join()
    await answer(client, await question(trial, client), 1, None, {"a": [True]})
    trial.same(await client.event(), ["answer", 1, None, {"a": [True]}], "what the callback got")
    await answer(client, await question(trial, client))
    trial.same(await client.event(), ["answer"], "what the callback got")


@case(
    "sio.ack.server.binary",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The acknowledgement of a client may have binary data",
    expected="the event `answer` with the same bytes",
    why="Clients answer with files.",
)
async def client_answers_with_binary(trial: Trial) -> None:
    client = await trial.join()
    await answer(client, await question(trial, client), b"\x00\x01", {"file": b"\xff"})
    trial.same(await client.event(), ["answer", b"\x00\x01", {"file": b"\xff"}], "what the callback got")


@case(
    "sio.ack.server.polling",
    Level.MUST,
    SIO_ACK,
    Need.POLLING,
    Need.FIXTURE,
    title="The server can ask over long-polling",
    expected="the event with its id in a GET, and the event `answer` after the POST",
    why="Clients behind proxies have nothing else.",
)
async def server_asks_over_polling(trial: Trial) -> None:
    client = await trial.join(transport="polling")
    await answer(client, await question(trial, client), "polling")
    trial.same(await client.event(), ["answer", "polling"], "what the callback got")


@case(
    "sio.ack.server.ids",
    Level.MUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Questions that are open at the same time have different ids, and may be answered in any order",
    expected="three ids, and the answers in the order of the acknowledgements",
    why="Answers would be taken for those to other questions.",
)
async def ids_differ(trial: Trial) -> None:
    client = await trial.join()
    ids = [await question(trial, client, name) for name in ("one", "two", "three")]
    trial.equal(len(set(ids)), 3, "the number of different ids")
    for number in reversed(ids):
        await answer(client, number, f"to {number}")
        trial.same(await client.event(), ["answer", f"to {number}"], "what the callback got")


@case(
    "sio.ack.server.namespaces",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An acknowledgement in another namespace than its question answers nothing",
    expected="nothing upon an ACK in /custom with the id of a question in /, and the event `answer` upon one in /",
    why="Ids are counted in each namespace.",
)
async def answer_in_other_namespace(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    number = await question(trial, client)
    await answer(client, number, "elsewhere", namespace="/custom")
    strays = await trial.packets(client, "/custom") + await trial.packets(client)
    trial.check(not strays, f"{strays[:1]} came", "nothing comes")
    await answer(client, number, "here")
    trial.same(await client.event(), ["answer", "here"], "what the callback got")


@case(
    "sio.ack.server.left",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A question ends with the membership in the namespace it was asked in",
    expected="no event `answer` when the client has left, joined again and then acknowledges",
    why="Ids are counted anew: the acknowledgement may be meant for another question.",
)
async def answer_after_leaving(trial: Trial) -> None:
    client = await trial.join()
    await trial.also_join(client, "/custom")
    await client.emit("ask", None, "question", namespace="/custom")
    number = await asked(trial, client, "question")
    await client.transport.send("41/custom,")
    await trial.packets(client)
    await trial.also_join(client, "/custom")
    await answer(client, number, "late", namespace="/custom")
    packets = await trial.packets(client, "/custom")
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.ack.server.other",
    Level.SHOULD,
    FIXTURE,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The server can ask one client on behalf of another",
    expected="the question reaches the one, and its answer the other",
    why="Calls between clients are made of this.",
)
async def other_client_answers(trial: Trial) -> None:
    asker, other = await trial.join(), await trial.join()
    await asker.emit("ask", other.sids["/"], "question", "?")
    await answer(other, await asked(trial, other, "question", "?"), "!")
    trial.same(await asker.event(), ["answer", "!"], "what the asker got")


@case(
    "sio.ack.server.unknown",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An acknowledgement that nobody waits for does no harm",
    expected="nothing but the message that is sent after it comes back",
    why="Answers come late, after the server has stopped waiting.",
)
async def unknown_id(trial: Trial) -> None:
    client = await trial.join()
    for number in (0, 1, 4711, MAX_SAFE_INTEGER):
        await answer(client, number, "nobody asked")
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.ack.server.unknown.binary",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A binary acknowledgement that nobody waits for does no harm",
    expected="its attachments are passed over with it, and the message that is sent after it comes back",
    why="Attachments that are left over would be taken for those of the next packet.",
)
async def unknown_binary_id(trial: Trial) -> None:
    client = await trial.join()
    await answer(client, 4711, b"nobody", b"asked")
    packets = await trial.packets(client)
    trial.check(not packets, f"{packets[:1]} came", "nothing comes")


@case(
    "sio.ack.server.repeated",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="A question is answered once, whatever comes after that",
    expected="one event `answer` for two acknowledgements with the same id",
    why="A callback that a client can call as often as it likes does its work as often.",
)
async def repeated(trial: Trial) -> None:
    client = await trial.join()
    number = await question(trial, client)
    await answer(client, number, "first")
    trial.same(await client.event(), ["answer", "first"], "what the callback got")
    await answer(client, number, "second")
    trial.same(await trial.fence(client), [], "the list of events that follow")


@case(
    "sio.ack.server.foreign",
    Level.SHOULD,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="Nobody can answer what another client was asked",
    expected="an acknowledgement of another client with the same id is passed over",
    why="Ids are easily guessed: answers could be forged.",
)
async def foreign(trial: Trial) -> None:
    client, forger = await trial.join(), await trial.join()
    number = await question(trial, client)
    await answer(forger, number, "forged")
    forged = await trial.packets(forger) + await trial.packets(client)
    trial.check(not forged, f"{forged[:1]} came", "nothing comes")
    await answer(client, number, "true")
    trial.same(await client.event(), ["answer", "true"], "what the callback got")
