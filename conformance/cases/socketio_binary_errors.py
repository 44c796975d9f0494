"""What becomes of a peer that gets placeholders or attachments wrong."""

from collections.abc import Sequence

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.cases.socketio_binary import comes_back, placeholder, send
from trio_socketio.conformance.peer import Closed
from trio_socketio.conformance.sections import SIO_DATA, SIO_ENCODING
from trio_socketio.conformance.trial import Trial


async def expect_violations(trial: Trial, *attempts: Sequence[str | bytes]) -> None:
    """Fail unless each of several sequences of frames closes the connection it is sent on."""
    for frames in attempts:
        await trial.expect_violation(await trial.join(), *frames)


@case(
    "sio.binary.zero",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A binary event that announces no attachments waits for none",
    expected='it is handled as an event, or refused by closing the connection; 450-["message","zero"]',
    why="A server that waits for attachments takes the next packet, which is none, for one.",
)
async def zero(trial: Trial) -> None:
    client = await trial.join()
    try:
        await send(client, '450-["message","zero"]')
        events = await trial.fence(client)
    except Closed:
        return
    trial.same(events, [["message-back", "zero"]], "the list of events")


@case(
    "sio.binary.surplus",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An attachment that no placeholder stands for does not shift the others",
    expected="the event is handled with the attachment that has a placeholder, or refused by closing the connection",
    why="What is left over would be taken for the attachment of the next event.",
)
async def surplus(trial: Trial) -> None:
    client = await trial.join()
    try:
        await send(client, f'452-["message",{placeholder(1)}]', b"nobody's", b"second")
        packet = await client.receive()
        await comes_back(trial, client, b"next")
    except Closed:
        return
    trial.same(packet.data, ["message-back", b"second"], "the event")


@case(
    "sio.binary.error.text",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A packet that comes while attachments are awaited closes the connection",
    expected="the connection is closed upon a text packet after none, or one, of two attachments",
    why="Nobody can say which packet the attachments to come belong to.",
)
async def text_instead(trial: Trial) -> None:
    event = f'452-["message",{placeholder(0)},{placeholder(1)}]'
    await expect_violations(trial, [event, '42["message","text"]'], [event, b"one", '42["message","text"]'])


@case(
    "sio.binary.error.unannounced",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Binary data that no packet has announced closes the connection",
    expected="the connection is closed upon a binary frame after a text event, and upon a second one where one was announced",
    why="The peers do not agree about where packets begin.",
)
async def unannounced(trial: Trial) -> None:
    complete: list[str | bytes] = [f'451-["nobody",{placeholder(0)}]', b"announced"]
    await expect_violations(trial, [b"unannounced"], [*complete, b"unannounced"])


@case(
    "sio.binary.error.placeholder.range",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A placeholder for an attachment that does not exist closes the connection",
    expected="the connection is closed upon the numbers 1 and -1 where there is one attachment",
    why="The handler would get null, or another attachment, in place of a file.",
)
async def placeholder_out_of_range(trial: Trial) -> None:
    await expect_violations(trial, *((f'451-["message",{placeholder(number)}]', b"only") for number in (1, -1, 10**9)))


@case(
    "sio.binary.error.placeholder.number",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A placeholder whose number is none closes the connection",
    expected='the connection is closed upon "0", null and true as the number, and upon one without a number',
    why="A key into the attachments that is no number reaches what is no attachment.",
)
async def placeholder_without_number(trial: Trial) -> None:
    attempts = [f'451-["message",{placeholder(number)}]' for number in ("0", None, True, "length")]
    attempts.append('451-["message",{"_placeholder":true}]')
    await expect_violations(trial, *((attempt, b"only") for attempt in attempts))


@case(
    "sio.binary.error.placeholder.fraction",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A placeholder whose number is a fraction closes the connection",
    expected="the connection is closed upon the number 0.5",
    why="The handler would get null in place of a file.",
)
async def placeholder_with_fraction(trial: Trial) -> None:
    await expect_violations(trial, [f'452-["message",{placeholder(0.5)}]', b"first", b"second"])


@case(
    "sio.binary.error.count.missing",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A binary event that does not say how many attachments follow closes the connection",
    expected='the connection is closed upon 45["message",...] and 45-["message",...]',
    why="Nobody can say where the packet ends.",
)
async def count_is_missing(trial: Trial) -> None:
    await expect_violations(trial, [f'45["message",{placeholder(0)}]'], [f'45-["message",{placeholder(0)}]'])


@case(
    "sio.binary.error.count.invalid",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A number of attachments that is none closes the connection",
    expected="the connection is closed upon 45x-, 451.5- and 45--1-",
    why="Nobody can say where the packet ends.",
)
async def count_is_invalid(trial: Trial) -> None:
    await expect_violations(trial, *([f'45{count}-["message",{placeholder(0)}]'] for count in ("x", "1.5", "-1")))


@case(
    "sio.binary.error.count.huge",
    Level.MAY,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A number of attachments that no application can mean closes the connection",
    expected='the connection is closed upon 45100000000000-["message",...]',
    why="A server that waits for that many keeps in memory whatever comes.",
)
async def count_is_huge(trial: Trial) -> None:
    await expect_violations(trial, [f'45100000000000-["message",{placeholder(0)}]'])


@case(
    "sio.binary.error.payload",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A binary event whose payload is no array with something in it closes the connection",
    expected="the connection is closed upon a placeholder alone, an object, an empty array and invalid JSON as the payload",
    why="There is no name, so that no handler could be found.",
)
async def payload_is_no_event(trial: Trial) -> None:
    payloads = (placeholder(0), f'{{"message":{placeholder(0)}}}', "[]", f'["message",{placeholder(0)}')
    await expect_violations(trial, *((f"451-{payload}", b"only") for payload in payloads))


@case(
    "sio.binary.error.not-joined",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    Need.CUSTOM,
    title="A binary event for a namespace that was not joined closes the connection",
    expected="the connection is closed, at the latest when the last attachment has come",
    why="The peer believes that it is a member: its events would vanish.",
)
async def not_joined(trial: Trial) -> None:
    await expect_violations(trial, [f'451-/custom,["message",{placeholder(0)}]', b"only"])
