"""Events: whatever JSON can say arrives as it was sent, once, and in order."""

from typing import Final, cast

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.peer import Polling, SocketIOPeer
from trio_socketio.conformance.sections import SIO_DATA, SIO_ENCODING, SIO_ORDER, SIO_SAMPLE
from trio_socketio.conformance.trial import Trial
from trio_socketio.protocol.jsontext import JSON
from trio_socketio.protocol.socketio import PacketType

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that a JavaScript peer can count to."""


async def comes_back(trial: Trial, client: SocketIOPeer, *args: JSON) -> None:
    """Send an event, and fail unless its arguments come back, as an event in the main namespace."""
    await client.emit("message", *args)
    await expect_back(trial, client, *args)


async def expect_back(trial: Trial, client: SocketIOPeer, *args: JSON) -> None:
    """Fail unless the next packet carries these arguments back."""
    packet = await client.receive()
    trial.equal(packet.type, PacketType.EVENT, "the type of the answer")
    trial.equal(packet.namespace, "/", "its namespace")
    trial.equal(packet.id, None, "its ack id")
    trial.same(packet.data, ["message-back", *args], "the event")


@case(
    "sio.event.ok",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event reaches its handler, and an event of the handler reaches the client",
    expected='42["message-back",1,"2",{"3":[true]}] for 42["message",1,"2",{"3":[true]}]',
    why="This is what the protocol is for.",
)
async def ok(trial: Trial) -> None:
    client = await trial.join()
    await client.transport.send('42["message",1,"2",{"3":[true]}]')
    await expect_back(trial, client, 1, "2", {"3": [True]})


@case(
    "sio.event.arguments.none",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event may have no arguments",
    expected='42["message-back"] for 42["message"]',
    why="Many events say all with their name.",
)
async def no_arguments(trial: Trial) -> None:
    await comes_back(trial, await trial.join())


@case(
    "sio.event.arguments.many",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event may have many arguments",
    expected="forty arguments come back in the same order",
    why="Arguments that are cut off, or packed into one list, reach the wrong parameters.",
)
async def many_arguments(trial: Trial) -> None:
    await comes_back(trial, await trial.join(), *range(40))


@case(
    "sio.event.arguments.list",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A list is one argument",
    expected="[1,2], [] and [[3]] come back as one argument each",
    why="A server that takes a list for the arguments hands over the wrong ones.",
)
async def list_is_one_argument(trial: Trial) -> None:
    client = await trial.join()
    for value in ([1, 2], [], [[3]]):
        await comes_back(trial, client, value)


@case(
    "sio.event.values",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Every kind of JSON value is an argument",
    expected="null, booleans, numbers, an empty string, an empty array and an empty object come back as they are",
    why="A null that becomes nothing, or a 0 that becomes false, changes what the application sees.",
)
async def values(trial: Trial) -> None:
    client = await trial.join()
    every: list[JSON] = [None, True, False, 0, 1, -1, "", "0", [], {}, [None], {"a": None}]
    await comes_back(trial, client, *every)
    for value in every:
        await comes_back(trial, client, value)


@case(
    "sio.event.numbers",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Fractions, negative and very large or small numbers keep their value",
    expected="0.1, -2.5, 1e-7, 1.5e300, 1e21 and others come back equal",
    why="Amounts and coordinates would change on the way.",
)
async def numbers(trial: Trial) -> None:
    await comes_back(trial, await trial.join(), 0.1, -2.5, 1e-7, 1.5e300, 1e21, 5e-324, 3.141592653589793, 1234567.875)


@case(
    "sio.event.integers",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Integers are exact up to what a JavaScript peer can count to",
    expected="9007199254740991, its negative and 2147483648 come back exactly",
    why="Ids and times in milliseconds do not fit in 32 bits.",
)
async def integers(trial: Trial) -> None:
    exact = (MAX_SAFE_INTEGER, -MAX_SAFE_INTEGER, 2**31, 2**32 + 1, 1_700_000_000_000)
    await comes_back(trial, await trial.join(), *exact)


@case(
    "sio.event.unicode",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Every script arrives",
    expected="letters, ideographs, emoji, combining and right-to-left characters come back as they are",
    why="People write in their own language.",
)
async def unicode(trial: Trial) -> None:
    client = await trial.join()
    await comes_back(
        trial, client, "Grüße", "日本語", "🎉👩‍👩‍👧", "e\u0301", "שלום", "\ufeff", "\x7f\x80", "\U0010ffff"
    )


@case(
    "sio.event.unicode.polling",
    Level.MUST,
    SIO_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="Every script arrives over long-polling",
    expected="letters, ideographs and emoji come back as they are",
    why="A server that decodes the body as anything but UTF-8 garbles them.",
)
async def unicode_over_polling(trial: Trial) -> None:
    await comes_back(trial, await trial.join(transport="polling"), "Grüße", "日本語", "🎉")


@case(
    "sio.event.escapes",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Escapes in strings mean what they mean in JSON",
    expected=r"the characters that \" \\ \/ \b \f \n \r \t \u0041 \u0000 \u001e and \ud83d\ude00 stand for come back",
    why="Encoders differ in what they escape.",
)
async def escapes(trial: Trial) -> None:
    client = await trial.join()
    await client.transport.send(r'42["message","\"\\\/\b\f\n\r\t\u0041\u0000\u001e\ud83d\ude00"]')
    await expect_back(trial, client, '"\\/\b\f\n\r\tA\x00\x1e😀')


@case(
    "sio.event.separators",
    Level.MUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Characters that mean something elsewhere are plain text inside of strings",
    expected="U+2028, U+2029, commas, slashes, brackets, hyphens and digits in strings come back as they are",
    why="A parser that looks for separators in the whole frame cuts such strings apart.",
)
async def separators(trial: Trial) -> None:
    client = await trial.join()
    await comes_back(
        trial, client, "\u2028\u2029", "/custom,", "1-", "51-/a,2[", '["', "]}", "},{", "?a=1,", "2", "\\u0041"
    )


@case(
    "sio.event.record-separator.polling",
    Level.MUST,
    SIO_ENCODING,
    Need.POLLING,
    Need.ECHO,
    title="The character that separates packets over long-polling may stand in a string",
    expected="a string with U+001E, which JSON escapes, comes back whole",
    why="A server that sends it unescaped breaks its own payload in two.",
)
async def record_separator_over_polling(trial: Trial) -> None:
    await comes_back(trial, await trial.join(transport="polling"), "a\x1eb\x1e4")


@case(
    "sio.event.whitespace",
    Level.SHOULD,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="White space in the payload is none of its meaning",
    expected='["message-back",1,{"a":2}] for 42[ "message" , 1,\\n{ "a" : 2 } ]',
    why="Some encoders put blanks behind commas and colons.",
)
async def whitespace(trial: Trial) -> None:
    client = await trial.join()
    await client.transport.send('42[ "message" , 1,\n{ "a"\t: 2 } ]')
    await expect_back(trial, client, 1, {"a": 2})


@case(
    "sio.event.nested",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Values may be nested fifty levels deep",
    expected="fifty arrays and objects in one another come back as they are",
    why="Trees and documents are nested.",
)
async def nested(trial: Trial) -> None:
    value: JSON = "core"
    for level in range(25):
        value = {"level": level, "child": [value]}
    await comes_back(trial, await trial.join(), value)


@case(
    "sio.event.keys",
    Level.SHOULD,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Any string is a key of an object",
    expected='"", "__proto__", "constructor", "length", "0", keys with quotes and of other scripts come back',
    why="Keys that mean something to the language of the server are lost, or worse, obeyed.",
)
async def any_key(trial: Trial) -> None:
    names = ("", "__proto__", "constructor", "__class__", "length", "0", 'a"b', "naïve", "_placeholder", "num", "sid")
    await comes_back(trial, await trial.join(), {name: position for position, name in enumerate(names)})


@case(
    "sio.event.large",
    Level.MUST,
    SIO_DATA,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An event of a hundred kilobytes arrives whole",
    expected="100 KB of text, or half of what the server announces as its limit, come back",
    why="Documents and pictures in text form are that large, and clients trust the announced limit.",
)
async def large(trial: Trial) -> None:
    size = min(100_000, trial.target.max_payload // 2)
    await comes_back(trial, await trial.join(), "0123456789" * (size // 10), "end")


@case(
    "sio.event.polling",
    Level.MUST,
    SIO_SAMPLE,
    Need.POLLING,
    Need.ECHO,
    title="Events travel over long-polling",
    expected='42["message-back",1,{"a":[null]}] in the next GET',
    why="Clients behind proxies have nothing else.",
)
async def polling(trial: Trial) -> None:
    await comes_back(trial, await trial.join(transport="polling"), 1, {"a": [None]})


@case(
    "sio.event.polling.several",
    Level.MUST,
    SIO_SAMPLE,
    Need.POLLING,
    Need.ECHO,
    title="Several events in one POST are handled one after another",
    expected="five messages come back in the order they had",
    why="Clients send all that has gathered in one request.",
)
async def several_in_one_post(trial: Trial) -> None:
    client = await trial.join(transport="polling")
    body = "\x1e".join(f'42["message",{number}]' for number in range(5))
    polling = cast("Polling", client.transport)
    trial.equal((await polling.post(body)).status, 200, "the status")
    for number in range(5):
        await expect_back(trial, client, number)


@case(
    "sio.event.order",
    Level.SHOULD,
    SIO_ORDER,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Events arrive in the order they were sent, each once",
    expected="a hundred numbered messages come back in order",
    why="A chat or an editor whose events overtake one another shows what nobody wrote.",
)
async def order(trial: Trial) -> None:
    client = await trial.join()
    for number in range(100):
        await client.emit("message", number)
    for number in range(100):
        await expect_back(trial, client, number)
