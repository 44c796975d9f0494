"""Socket.IO packets in numbers, and with numbers, that no client sends: ids, attachments, namespaces, floods."""

import re

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.hostile import drop, flood, neighbour, settled
from trio_socketio.conformance.peer import Closed, WebSocketPeer, frame
from trio_socketio.conformance.sections import SIO_ACK, SIO_CONNECT, SIO_DATA, SIO_DISCONNECT, SIO_ENCODING
from trio_socketio.conformance.trial import Trial

TEXT, BINARY = 0x1, 0x2
THOUSAND = 1000
NOBODY = "nobody-listens"
"""An event that the server has no handler for: what is in it is parsed, and not sent back."""


async def _open(trial: Trial) -> WebSocketPeer:
    session = await trial.open("websocket")
    assert isinstance(session, WebSocketPeer)  # noqa: S101  # asked for
    return session


def _frames(*texts: str) -> list[bytes]:
    return [frame(TEXT, text.encode()) for text in texts]


@case(
    "robust.socketio.id.long",
    Level.ROBUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Ack ids of 400 digits are taken, or end the connection",
    expected="a message comes back, or the connection has ended, for events and acknowledgements; no ack id but digits is sent",
    why="Numbers beyond all bounds become Infinity in some languages, and errors that nobody expects in others.",
)
async def long_ids(trial: Trial) -> None:
    for digits in ("9" * 400, "9" * 10_000, "0" * 400, str(2**53), str(2**64)):
        for text in (f'42{digits}["message-with-ack","a"]', f'43{digits}["a"]', f'42{digits}["{NOBODY}"]'):
            websocket = await _open(trial)
            await websocket.send(text)
            await settled(websocket, trial)
            acks = [sent for sent in websocket.frames if isinstance(sent, str) and sent.startswith("43")]
            for ack in acks:
                trial.check(
                    re.match(r"43\d+\[", ack) is not None, f"the acknowledgement is {ack:.60}", "its id is a number"
                )


@case(
    "robust.socketio.attachments.count",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A number of attachments beyond all bounds ends the connection, or is waited for at no cost",
    expected="a message comes back, or the connection has ended, or nothing more comes, for 400 digits, 10^9, a sign, a fraction",
    why="A list that is made for what was only announced takes all memory.",
)
async def attachment_counts(trial: Trial) -> None:
    for count in ("9" * 400, "1000000000", str(2**53), "-1", "1.5", "1e9", "", "0x1", "01"):
        await drop(await _open(trial), b"".join(_frames(f'45{count}-["{NOBODY}",{{"_placeholder":true,"num":0}}]')))
        websocket = await _open(trial)
        await flood(websocket, [*_frames(f'46{count}-1["a"]'), frame(BINARY, b"a"), *_frames('42["message","a"]')])
        await websocket.hang_up()


@case(
    "robust.socketio.attachments.missing",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A client that hangs up before all attachments have come harms nobody",
    expected="whatever has come, a client that is connected meanwhile is served, and so is the next",
    why="Phones lose their connection at any moment.",
)
async def missing_attachments(trial: Trial) -> None:
    header = f'453-["{NOBODY}"' + "".join(f',{{"_placeholder":true,"num":{number}}}' for number in range(3)) + "]"
    async with neighbour(trial):
        for attachments in range(3):
            await drop(await _open(trial), b"".join([*_frames(header), *[frame(BINARY, b"a" * 1000)] * attachments]))


@case(
    "robust.socketio.attachments.placeholders",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Placeholders that point to no attachment end the connection, or stay data",
    expected="a message comes back, or the connection has ended, for numbers out of range, fractions, texts, and no number",
    why="A server has been ended by a placeholder with a text for its number.",
)
async def placeholders(trial: Trial) -> None:
    numbers = (
        "-1",
        "1",
        "99999999999999999999",
        "0.5",
        '"0"',
        '"constructor"',
        '"__proto__"',
        "null",
        "{}",
        "true",
        "1e400",
    )
    for number in numbers:
        websocket = await _open(trial)
        await flood(
            websocket,
            [*_frames(f'451-["message",{{"_placeholder":true,"num":{number}}}]'), frame(BINARY, b"a")],
        )
        await settled(websocket, trial)
    for text in (
        '451-["message",{"_placeholder":true}]',
        '451-["message"]',
        '450-["message",{"_placeholder":true,"num":0}]',
    ):
        websocket = await _open(trial)
        await flood(websocket, [*_frames(text), frame(BINARY, b"a")])
        await settled(websocket, trial)


@case(
    "robust.socketio.attachments.repeated",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Thousands of placeholders for one attachment are taken, or end the connection",
    expected="a message comes back, or the connection has ended",
    why="A server that copies the attachment for each multiplies what a client has sent.",
)
async def repeated_placeholders(trial: Trial) -> None:
    websocket = await _open(trial)
    many = ",".join(['{"_placeholder":true,"num":0}'] * 5000)
    await flood(websocket, [*_frames(f'451-["{NOBODY}",[{many}]]'), frame(BINARY, b"a" * 1000)])
    await settled(websocket, trial)


@case(
    "robust.socketio.attachments.many",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event with a thousand attachments is taken, or ends the connection",
    expected="a message comes back, or the connection has ended",
    why="A server that goes through all that it has for each attachment is busy for seconds.",
)
async def many_attachments(trial: Trial) -> None:
    websocket = await _open(trial)
    many = ",".join(f'{{"_placeholder":true,"num":{number}}}' for number in range(THOUSAND))
    await flood(websocket, [*_frames(f'45{THOUSAND}-["{NOBODY}",{many}]'), *[frame(BINARY, b"a")] * THOUSAND])
    await settled(websocket, trial)


@case(
    "robust.socketio.flood.namespaces",
    Level.ROBUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A thousand namespaces that nobody serves are each refused, or end the connection",
    expected=f"an answer to each of {THOUSAND} CONNECT packets, in its namespace, or the end of the connection",
    why="Namespaces that are made because someone asked for them stay for ever.",
)
async def namespace_flood(trial: Trial) -> None:
    websocket = await _open(trial)
    names = [f"/nowhere-{number}" for number in range(THOUSAND)]
    async with neighbour(trial):
        await flood(websocket, _frames(*[f"40{name}," for name in names]))
        if await settled(websocket, trial):
            answered = [
                sent.partition(",")[0][2:] for sent in websocket.frames if isinstance(sent, str) and sent[:3] == "44/"
            ]
            trial.equal(len(answered), THOUSAND, "the number of CONNECT_ERROR packets")
            trial.check(set(answered) == set(names), "some namespaces were answered twice, and others never")


@case(
    "robust.socketio.flood.connects",
    Level.ROBUST,
    SIO_CONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Asking for the same namespace a thousand times is refused each time, or ends the connection",
    expected="a message comes back, or the connection has ended, for a namespace that nobody serves and for one that was joined",
    why="A client that retries without waiting must not take the others with it.",
)
async def connect_flood(trial: Trial) -> None:
    async with neighbour(trial):
        for text in ("40/nowhere,", "40", "40/custom,"):
            websocket = await _open(trial)
            await flood(websocket, _frames(*[text] * THOUSAND))
            await settled(websocket, trial)


@case(
    "robust.socketio.flood.rejoins",
    Level.ROBUST,
    SIO_DISCONNECT,
    Need.CUSTOM,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Joining and leaving a namespace in turns harms nobody",
    expected="after 200 turns, a message comes back, or the connection has ended",
    why="Pages of one application come and go like this for hours; what is left behind each time adds up.",
)
async def rejoin_flood(trial: Trial) -> None:
    websocket = await _open(trial)
    async with neighbour(trial):
        await flood(websocket, _frames("40/custom,", "41/custom,") * 200)
        await settled(websocket, trial)


@case(
    "robust.socketio.flood.events",
    Level.ROBUST,
    SIO_ACK,
    Need.FIXTURE,
    Need.WEBSOCKET,
    title="A thousand events that ask for an acknowledgement, sent at once, are each acknowledged once",
    expected=f"the ids 0 to {THOUSAND - 1}, each once, with its own argument, or the end of the connection",
    why="A client that was offline sends all it has at once.",
)
async def event_flood(trial: Trial) -> None:
    websocket = await _open(trial)
    async with neighbour(trial):
        await flood(websocket, _frames(*[f'42{number}["message-with-ack",{number}]' for number in range(THOUSAND)]))
        acks: list[str] = []
        try:
            while len(acks) < THOUSAND:
                sent = await trial.next(websocket)
                if isinstance(sent, str) and sent.startswith("43"):
                    acks.append(sent)
        except Closed:
            return
        expected = sorted(f"43{number}[{number}]" for number in range(THOUSAND))
        trial.check(sorted(acks) == expected, "the acknowledgements are not those of the events, each once")
        await trial.echo(websocket, "no more acknowledgements")


@case(
    "robust.socketio.flood.unheard",
    Level.ROBUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Thousands of events that nobody handles are passed over, or end the connection",
    expected="after 3000 of them, with new names and with ack ids, a message comes back, or the connection has ended",
    why="What a server keeps for each name or each acknowledgement is never used, and never freed.",
)
async def unheard_flood(trial: Trial) -> None:
    websocket = await _open(trial)
    await flood(websocket, _frames(*[f'42{number}["{NOBODY}-{number}"]' for number in range(3000)]))
    await settled(websocket, trial)


@case(
    "robust.socketio.flood.acks",
    Level.ROBUST,
    SIO_ACK,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A thousand acknowledgements that nobody waits for are ignored, or end the connection",
    expected="a message comes back, or the connection has ended, for text ones and binary ones",
    why="A client that answers after a reconnection does this; ids that are unknown must not be looked up in vain by an error.",
)
async def ack_flood(trial: Trial) -> None:
    websocket = await _open(trial)
    await flood(websocket, _frames(*[f'43{number}["a"]' for number in range(THOUSAND)]))
    await settled(websocket, trial)
    websocket = await _open(trial)
    binary = '{"_placeholder":true,"num":0}'
    acks = [[*_frames(f"461-{number}[{binary}]"), frame(BINARY, b"a")] for number in range(200)]
    await flood(websocket, [data for ack in acks for data in ack])
    await settled(websocket, trial)


@case(
    "robust.socketio.flood.disconnects",
    Level.ROBUST,
    SIO_DISCONNECT,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Leaving a namespace again and again is ignored, or ends the connection",
    expected="a client that is connected meanwhile is served, and so is the next, after a thousand DISCONNECT packets",
    why="Two reasons for one end must not end a connection twice.",
)
async def disconnect_flood(trial: Trial) -> None:
    async with neighbour(trial):
        for text in ("41", "41/custom,", "41/nowhere,"):
            websocket = await _open(trial)
            await flood(websocket, _frames(*[text] * THOUSAND, "40"))
            await websocket.hang_up()


@case(
    "robust.socketio.flood.after-hang-up",
    Level.ROBUST,
    SIO_DATA,
    Need.FIXTURE,
    Need.WEBSOCKET,
    title="Handlers that answer a client which has gone harm nobody",
    expected="while clients send events and hang up at once, a client that is connected stays so, and is served",
    why="This happens with every page that is closed; what a handler sends then goes nowhere.",
)
async def answers_to_nobody(trial: Trial) -> None:
    texts = ('42["message","a"]', '421["message-with-ack","a"]', '42["burst",50,true]', '42["join","a"]', '42["kick"]')
    async with neighbour(trial):
        for _ in range(10):
            await drop(await _open(trial), b"".join(_frames(*texts)))
