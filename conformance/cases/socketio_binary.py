"""Binary data beside JSON: placeholders, and the attachments that they stand for."""

import json
from typing import Final

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import SocketIOPeer
from trio_socketio.conformance.sections import SIO_ENCODING
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import Packet, PacketType

EVERY_BYTE: Final = bytes(range(256))


def placeholder(number: JSON) -> str:
    """Return what stands in JSON for an attachment."""
    return f'{{"_placeholder":true,"num":{json.dumps(number)}}}'


async def comes_back(trial: Trial, client: SocketIOPeer, *args: JSON) -> None:
    """Send an event with binary data, and fail unless its arguments come back in a binary event."""
    await client.emit("message", *args)
    await expect_back(trial, client, *args)


async def expect_back(trial: Trial, client: SocketIOPeer, *args: JSON) -> None:
    """Fail unless the next packet is a binary event that carries these arguments back."""
    packet = await client.receive()
    trial.equal(packet.type, PacketType.BINARY_EVENT, "the type of the answer")
    trial.same(packet.data, ["message-back", *args], "the event")


async def send(client: SocketIOPeer, *frames: str | bytes) -> None:
    """Send frames as they are."""
    for frame in frames:
        await client.transport.send(frame)


@case(
    "sio.binary.one",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event with one attachment comes back with it",
    expected='51-["message-back",{placeholder}] and a binary frame with the same bytes',
    why="This is how files travel.",
)
async def one(trial: Trial) -> None:
    await comes_back(trial, await trial.join(), b"\x01\x02\x03\x04")


@case(
    "sio.binary.two",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event with two attachments comes back with both, as the specification writes it",
    expected='452-["message-back",{placeholder 0},{placeholder 1}], then the two binary frames in this order',
    why="Clients read exactly as many binary frames as were announced, and put them where their placeholders are.",
)
async def two(trial: Trial) -> None:
    client = await trial.join()
    await send(client, f'452-["message",{placeholder(0)},{placeholder(1)}]', b"\x01\x02\x03", b"\x04\x05\x06")
    head = await trial.next(client.transport)
    trial.check(isinstance(head, str) and head.startswith("452-["), f"the first frame is {head!r:.200}", "452-[...]")
    slots = [{"_placeholder": True, "num": number} for number in range(2)]
    try:
        data = json.loads(head[4:])
    except ValueError:
        trial.fail(f"the payload of {head!r:.200} is no JSON")
    trial.same(data, ["message-back", *slots], "the payload")
    for attachment in (b"\x01\x02\x03", b"\x04\x05\x06"):
        trial.equal(await trial.next(client.transport), attachment, "the next frame")


@case(
    "sio.binary.nested",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Attachments may stand at any depth",
    expected="bytes in lists and objects come back in the same places",
    why="Files come with their names, in lists.",
)
async def nested(trial: Trial) -> None:
    files = [{"name": "a.txt", "content": b"first"}, {"name": "b.txt", "parts": [b"second", [[b"third"]]]}]
    await comes_back(trial, await trial.join(), {"files": files, "thumbnail": b"fourth"})


@case(
    "sio.binary.mixed",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Attachments and other values may stand side by side",
    expected="numbers, null, strings and objects between two attachments come back as they are",
    why="The arguments that are no attachments must not change because others are.",
)
async def mixed(trial: Trial) -> None:
    client = await trial.join()
    await comes_back(trial, client, 1, b"first", None, "1-", {"a": b"second", "b": [True, False]}, [])


@case(
    "sio.binary.bytes",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Every byte arrives as it was",
    expected="an attachment of all 256 values, and one that looks like text, come back as bytes",
    why="What is decoded and encoded as text on the way is no file any more.",
)
async def every_byte(trial: Trial) -> None:
    await comes_back(trial, await trial.join(), EVERY_BYTE, b'42["message"]', b"\x04\x00", "ü".encode())


@case(
    "sio.binary.empty",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An attachment may be empty",
    expected="no bytes come back where no bytes were sent, and those of the others beside them",
    why="Empty files exist; one that is passed over shifts all that follow.",
)
async def empty(trial: Trial) -> None:
    client = await trial.join()
    await comes_back(trial, client, b"")
    await comes_back(trial, client, b"", b"full", b"")


@case(
    "sio.binary.large",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An attachment of more than 64 KiB arrives whole",
    expected="100 kB of bytes, or half of what the server announces as its limit, come back",
    why="Pictures are that large; a WebSocket frame of that length has another header.",
)
async def large(trial: Trial) -> None:
    size = min(100_000, trial.target.max_payload // 2)
    await comes_back(trial, await trial.join(), (EVERY_BYTE * (size // 256 + 1))[:size])


@case(
    "sio.binary.eight",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event may have eight attachments",
    expected="eight attachments come back in their order",
    why="People drop several files at once; the reference server takes up to ten.",
)
async def eight(trial: Trial) -> None:
    await comes_back(trial, await trial.join(), *(bytes([number]) * number for number in range(8)))


@case(
    "sio.binary.many",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event may have more than nine attachments",
    expected="twelve attachments, a number of two digits, come back in their order",
    why="Lists of files are longer than that.",
)
async def many(trial: Trial) -> None:
    await comes_back(trial, await trial.join(), *(bytes([number]) for number in range(12)))


@case(
    "sio.binary.num",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="The number in a placeholder says which attachment it stands for",
    expected="placeholders 2, 0, 1 get the third, the first and the second attachment",
    why="Encoders that walk objects in another order than they write them number like this.",
)
async def number_decides(trial: Trial) -> None:
    client = await trial.join()
    event = f'453-["message",{placeholder(2)},[{placeholder(0)}],{placeholder(1)}]'
    await send(client, event, b"first", b"second", b"third")
    await expect_back(trial, client, b"third", [b"first"], b"second")


@case(
    "sio.binary.num.shared",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Two placeholders may stand for one attachment",
    expected="both places hold the same bytes",
    why="Encoders can send once what stands in two places.",
)
async def shared(trial: Trial) -> None:
    client = await trial.join()
    await send(client, f'451-["message",{placeholder(0)},{placeholder(0)}]', b"shared")
    await expect_back(trial, client, b"shared", b"shared")


@case(
    "sio.binary.placeholder.text-event",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="What looks like a placeholder in an event without attachments is an object like any other",
    expected='42["message-back",{"_placeholder":true,"num":0}]',
    why="Only binary events have placeholders; somebody may just write about them.",
)
async def placeholder_in_text(trial: Trial) -> None:
    client = await trial.join()
    await send(client, f'42["message",{placeholder(0)}]')
    trial.same(await client.event(), ["message-back", {"_placeholder": True, "num": 0}], "the event")


@case(
    "sio.binary.several",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Binary events may follow one another, and text events them",
    expected="ten binary events with two attachments each, and a text event after each of them, come back in order",
    why="An attachment that meets the packet before or after its own garbles both.",
)
async def several(trial: Trial) -> None:
    client = await trial.join()
    for number in range(10):
        await client.emit("message", number, bytes([number]), b"end")
        await client.emit("message", number)
    for number in range(10):
        await expect_back(trial, client, number, bytes([number]), b"end")
        trial.same(await client.event(), ["message-back", number], "the event after it")


@case(
    "sio.binary.burst",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="The attachments of an event follow it at once, whatever else the server sends",
    expected="fifty binary events of the server arrive with their own attachment each, in order",
    why="Clients take the next binary frame for the attachment.",
)
async def burst(trial: Trial) -> None:
    client = await trial.join()
    await client.send(Packet(PacketType.EVENT, "/", ["burst", 50, True]))
    for number in range(50):
        trial.same(await client.event(), ["burst", number, number.to_bytes(4, "big")], "the next event")


@case(
    "sio.binary.room",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.FIXTURE,
    title="An event with an attachment reaches every member of a room whole",
    expected="three members get the same event with the same bytes",
    why="A server that encodes once for all must send the attachments to all.",
)
async def to_a_room(trial: Trial) -> None:
    room = trial.unique("room")
    members = [await trial.join() for _ in range(3)]
    for member in members:
        await member.emit("join", room)
        await trial.fence(member)
    await members[0].emit("deliver", {"to": room}, "picture", EVERY_BYTE, {"small": b"\x00"})
    for member in members:
        trial.same(await member.event(), ["picture", EVERY_BYTE, {"small": b"\x00"}], "what a member got")


@case(
    "sio.binary.heartbeat",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A pong may come between an event and its attachment",
    expected="the event comes back with its attachment although a ping was answered in between",
    why="Clients answer a ping when it comes, and that is at any time.",
    waits=lambda target: target.ping_interval,
)
async def heartbeat(trial: Trial) -> None:
    websocket = await trial.open_websocket()
    websocket.wire.patience += trial.target.ping_interval
    client = SocketIOPeer(websocket, trial.handshake)
    await client.connect()
    await trial.fence(client)
    while await websocket.receive() != "2":
        pass
    await send(client, f'452-["message",{placeholder(0)},{placeholder(1)}]', "3", b"after the pong", b"last")
    await expect_back(trial, client, b"after the pong", b"last")


@case(
    "sio.binary.polling",
    Level.MUST,
    SIO_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="Attachments travel over long-polling as base64",
    expected="an event with three attachments, one of all byte values and one empty, comes back",
    why="Clients send files before they have upgraded, or where they cannot.",
)
async def polling(trial: Trial) -> None:
    await comes_back(trial, await trial.join(transport="polling"), EVERY_BYTE, {"b": b"\xff"}, b"")


@case(
    "sio.binary.polling.posts",
    Level.MUST,
    SIO_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="An event and its attachments may come in different POSTs",
    expected="the event comes back once the last POST with an attachment has come",
    why="Clients divide what is larger than maxPayload among several requests, wherever that may be.",
)
async def in_several_posts(trial: Trial) -> None:
    client = await trial.join(transport="polling")
    for frame in (f'452-["message",{placeholder(0)},{placeholder(1)}]', b"second POST", b"third POST"):
        await client.transport.send(frame)
    await expect_back(trial, client, b"second POST", b"third POST")
