"""Whatever comes as Socket.IO packets: JSON that parsers choke on, and text that is more than it seems."""

import json

from trio_socketio.conformance.case import Level, Need, case
from trio_socketio.conformance.hostile import settled
from trio_socketio.conformance.peer import WebSocketPeer
from trio_socketio.conformance.sections import SIO_ENCODING, rfc
from trio_socketio.conformance.trial import Trial

JSON_GRAMMAR = rfc(8259, "2")
JSON_NUMBERS = rfc(8259, "6")
JSON_STRINGS = rfc(8259, "7")
JSON_OBJECTS = rfc(8259, "4")
JSON_LIMITS = rfc(8259, "9")

NOBODY = "nobody-listens"
"""An event that the server has no handler for: what is in it is parsed, and not sent back."""


async def _say(trial: Trial, *frames: str | bytes) -> WebSocketPeer | None:
    """Send frames to the root namespace; return the session if it goes on, None if the server has ended it.

    Whatever the server has sent back must be Socket.IO: text that is JSON, and no NaN or Infinity.
    """
    websocket = await trial.open("websocket")
    assert isinstance(websocket, WebSocketPeer)  # noqa: S101  # asked for
    for frame in frames:
        await websocket.send(frame)
    goes_on = await settled(websocket, trial)
    for sent in websocket.frames:
        if isinstance(sent, str) and sent.startswith("42["):
            _check_json(trial, sent)
    return websocket if goes_on else None


def _check_json(trial: Trial, frame: str) -> None:
    def refuse(literal: str) -> None:
        trial.fail(
            f"the server sent {literal}, which is no JSON", "what the server sends is JSON, which every client can read"
        )

    try:
        json.loads(frame[2:], parse_constant=refuse, parse_int=float)
    except (ValueError, RecursionError):
        trial.fail(
            f"the server sent {frame:.80}, which is no JSON",
            "what the server sends is JSON, which every client can read",
        )


def _sent_back(websocket: WebSocketPeer) -> list[object]:
    """Return the arguments of the first `message-back` after the greeting: what the server made of a `message`."""
    backs = [json.loads(frame[2:]) for frame in websocket.frames if isinstance(frame, str) and frame.startswith("42[")]
    arguments = [back[1:] for back in backs if back[0] == "message-back" and back[1:] != ["ready"]]
    return list(arguments[0])


@case(
    "robust.socketio.json.deep",
    Level.ROBUST,
    JSON_LIMITS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="JSON that is nested 100,000 levels deep is taken, or ends the connection",
    expected="a message comes back, or the connection has ended, for arrays, objects, and brackets that are never closed; as an "
    "event, as an acknowledgement and as a CONNECT",
    why="Parsers that call themselves for each level exhaust the stack, which ends some processes on the spot.",
)
async def deep_json(trial: Trial) -> None:
    depth = 100_000
    arrays = "[" * depth + "]" * depth
    objects = '{"a":' * depth + "1" + "}" * depth
    for frame in (f'42["{NOBODY}",{arrays}]', f'42["{NOBODY}",{objects}]', "42" + "[" * depth, f"431[{arrays}]"):
        await _say(trial, frame)
    await _say(trial, f'40/nowhere,{{"token":{arrays}}}')


@case(
    "robust.socketio.json.integer",
    Level.ROBUST,
    JSON_NUMBERS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An integer of 100,000 digits is taken, or ends the connection",
    expected="a message comes back, or the connection has ended; nothing but JSON is sent back",
    why="Reading such a number takes some languages seconds, and others raise what nobody expects.",
)
async def long_integer(trial: Trial) -> None:
    digits = "9" * 100_000
    for number in (digits, f"-{digits}", f"0.{digits}"):
        await _say(trial, f'42["message",{number}]')


@case(
    "robust.socketio.json.exponent",
    Level.ROBUST,
    JSON_NUMBERS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Numbers beyond all bounds do not come back as something that is no JSON",
    expected="a number, null, an error or the end of the connection for 1e999999; never Infinity",
    why="One client could make the server send all others a text at which their parsers fail, so that they disconnect.",
)
async def huge_exponent(trial: Trial) -> None:
    for number in ("1e999999", "-1e999999", "1e-999999", f"1e{'9' * 1000}", "123456789e400"):
        await _say(trial, f'42["message",{number}]')


@case(
    "robust.socketio.json.literals",
    Level.ROBUST,
    JSON_GRAMMAR,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Literals that are JavaScript and no JSON do not come back",
    expected="the end of the connection, or silence, for NaN, Infinity, undefined, single quotes, comments and trailing commas",
    why="One client could make the server send all others a text at which their parsers fail, so that they disconnect.",
)
async def literals(trial: Trial) -> None:
    for literal in (
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "'a'",
        "/* a */1",
        "0x10",
        "01",
        "1.",
        "+1",
        "True",
        "1,",
    ):
        websocket = await _say(trial, f'42["message",{literal}]')
        backs = websocket.frames if websocket else []
        got = [frame for frame in backs if isinstance(frame, str) and literal in frame]
        trial.equal(got, [], f"what came back for the literal {literal}")


@case(
    "robust.socketio.json.string",
    Level.ROBUST,
    JSON_STRINGS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A string of 900 KB comes back, or ends the connection",
    expected="the same string, or the end of the connection",
    why="Pasted pictures are as long as that; a server that copies it for each step is busy for seconds.",
)
async def long_string(trial: Trial) -> None:
    size = min(900_000, trial.target.max_payload - 100)
    content = "aé" * (size // 3)
    websocket = await _say(trial, f'42["message","{content}"]')
    if websocket:
        trial.check(_sent_back(websocket) == [content], "another string came back")


@case(
    "robust.socketio.json.escapes",
    Level.ROBUST,
    JSON_STRINGS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="A string of nothing but escapes is taken, or ends the connection",
    expected="a message comes back, or the connection has ended, for escapes that are right, cut off, or unknown",
    why="Each of them takes a parser its slow path.",
)
async def escapes(trial: Trial) -> None:
    for text in ("\\u0000" * 20_000, "\\n" * 50_000, "\\\\" * 50_000 + '\\"', "\\u00", "\\x41", "\\", "\\ud83d\\u0041"):
        await _say(trial, f'42["{NOBODY}","{text}"]')


@case(
    "robust.socketio.json.surrogates",
    Level.ROBUST,
    JSON_STRINGS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Half of a surrogate pair, which JSON can say and UTF-8 cannot, comes back as valid text, or ends the connection",
    expected="an escape, U+FFFD, or the end of the connection; never a frame that is no UTF-8",
    why="A cut-off emoji is such a half; the browsers of all who get it would end their connections.",
)
async def surrogates(trial: Trial) -> None:
    for text in ("\\ud800", "\\udc00", "a\\udbffb", "\\udc00\\ud800", "\\ud83d\\ude00"):
        await _say(trial, f'42["message","{text}",{{"{text}":1}}]')


@case(
    "robust.socketio.json.surrogates-polling",
    Level.ROBUST,
    JSON_STRINGS,
    Need.POLLING,
    Need.ECHO,
    title="Half of a surrogate pair comes back as valid text over long-polling too, or ends the session",
    expected="an escape, U+FFFD, or the end of the session; never a body that is no UTF-8",
    why="A cut-off emoji is such a half; a server that fails to encode it answers with status 500, or not at all.",
)
async def surrogates_over_polling(trial: Trial) -> None:
    session = await trial.open("polling")
    await session.send('42["message","a\\ud800"]')
    await settled(session, trial)


@case(
    "robust.socketio.json.keys",
    Level.ROBUST,
    JSON_OBJECTS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An object with 50,000 keys is taken, or ends the connection",
    expected="a message comes back, or the connection has ended",
    why="Tables with bad luck in their hashes, or validators with a rule for each key, are busy for seconds.",
)
async def many_keys(trial: Trial) -> None:
    keys = ",".join(f'"k{number}":0' for number in range(50_000))
    await _say(trial, f'42["{NOBODY}",{{{keys}}}]')


@case(
    "robust.socketio.json.duplicate-keys",
    Level.ROBUST,
    JSON_OBJECTS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="An object that has a key twice is taken with one of the values, or ends the connection",
    expected="an object with one of the two values, or the end of the connection",
    why="What comes back with both is read in two ways by two clients.",
)
async def duplicate_keys(trial: Trial) -> None:
    websocket = await _say(trial, '42["message",{"a":1,"a":2}]')
    if websocket:
        trial.within(_sent_back(websocket), [[{"a": 1}], [{"a": 2}]], "what came back")


@case(
    "robust.socketio.json.prototype",
    Level.ROBUST,
    JSON_OBJECTS,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Keys that objects have by themselves are data like all others",
    expected="after `__proto__` and `constructor` as keys, an empty object of another client comes back empty",
    why="Merged into the object that all others inherit from, they change what the server does for everyone.",
)
async def prototype_keys(trial: Trial) -> None:
    polluted = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"__class__":{"polluted":1}}'
    await _say(trial, f'42["message",{polluted}]', f'42["{NOBODY}",{polluted}]', f"40/custom,{polluted}")
    websocket = await _say(trial, '42["message",{}]')
    trial.check(websocket is not None, "the connection of another client ended")
    if websocket:
        trial.equal(_sent_back(websocket), [{}], "what came back for an empty object")


@case(
    "robust.socketio.json.blanks",
    Level.ROBUST,
    JSON_GRAMMAR,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Blanks in a packet are taken, or end the connection",
    expected="a message comes back, or the connection has ended, for blanks before, within and behind the JSON, few and many",
    why="Some encoders write them; expressions that skip them one by one from each place are busy for minutes.",
)
async def blanks(trial: Trial) -> None:
    frames = (
        '42 ["message","a"]',
        '42[ "message" ,\n\t"a" ]',
        '42["message","a"]\r\n',
        ' 42["message","a"]',
        "42" + " " * 100_000 + '["message","a"]',
        '42["message"' + " " * 100_000,
        '42\u00a0["message","a"]',
    )
    for frame in frames:
        await _say(trial, frame)


@case(
    "robust.socketio.json.byte-order-mark",
    Level.ROBUST,
    rfc(8259, "8.1"),
    Need.WEBSOCKET,
    Need.ECHO,
    title="A byte order mark is passed over, or ends the connection",
    expected="a message comes back, or the connection has ended, for a mark at the start of the packet and of its JSON",
    why="Some encoders write it, and parsers raise an error of its own for it.",
)
async def byte_order_mark(trial: Trial) -> None:
    for frame in ('42\ufeff["message","a"]', '\ufeff42["message","a"]', '4\ufeff2["message","a"]'):
        await _say(trial, frame)


@case(
    "robust.socketio.name.event",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Events with odd names are passed over, or end the connection",
    expected="a message comes back, or the connection has ended, for names with NUL and line ends, an empty one, one of 100 KB, "
    "and names that objects have by themselves",
    why="Handlers are looked up by name; what an object has by itself is no handler, and must not be called.",
)
async def event_names(trial: Trial) -> None:
    names = ("", "\x00", "a\r\nb", "x" * 100_000, "\u202e", "*", "error", "__proto__", "constructor", "toString")
    for name in (*names, "hasOwnProperty", "__class__", "__init__", "on_connect", "trigger_event", "emit", "close"):
        await _say(trial, f"42{json.dumps([name, 1])}", f"427{json.dumps([name])}")


@case(
    "robust.socketio.name.event-type",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Events whose name is no text are passed over, or end the connection",
    expected="a message comes back, or the connection has ended, for objects with a `toString`, arrays, null, true, numbers",
    why="A server has been ended by an object with a `toString` that is no function in place of a name.",
)
async def event_name_types(trial: Trial) -> None:
    for name in ('{"toString":"a"}', '{"toString":1,"valueOf":1}', "[]", "null", "true", "-0", "1e400", "[[]]", "{}"):
        await _say(trial, f"42[{name}]")


@case(
    "robust.socketio.name.namespace",
    Level.ROBUST,
    SIO_ENCODING,
    Need.WEBSOCKET,
    Need.ECHO,
    title="Odd names of namespaces are refused, or end the connection",
    expected="a message comes back, or the connection has ended, for names with NUL and line ends, one of 100 KB, paths, "
    "queries, and names that objects have by themselves",
    why="Namespaces are looked up by name, and some servers make them when asked.",
)
async def namespace_names(trial: Trial) -> None:
    names = (
        "/\x00",
        "/a\r\nb",
        "/" + "x" * 100_000,
        "/../..",
        "/%2e",
        "//",
        "/ ",
        "/?",
        "/?" + "a=1&" * 1000,
        "/__proto__",
    )
    for name in (*names, "/constructor", "/toString", "/__class__", "/\U0001f600", "/(a+)+$", "/*"):
        await _say(trial, f"40{name},", f'42{name},["a"]')
