"""Packets of Socket.IO that no client sends, or not now (Socket.IO protocol, revision 5)."""

from support.hostile import (
    JOINED,
    MAX_PAYLOAD,
    SECRET,
    Close,
    End,
    Entry,
    Send,
    Step,
    Text,
    joined,
    served,
    text,
    websocket,
)
from trio_socketio.conformance.peer import frame

BROKEN = {"parse error": 1}
MESSAGE = f'42["message","{SECRET}"]'
DEEP = 3000
SLOT = '{"_placeholder":true,"num":%s}'


def _violation(name: str, what: str, *frames: str | bytes) -> Entry:
    """What breaks the protocol closes the connection, without a word of why; what follows it does nothing."""
    data = b"".join(text(f) if isinstance(f, str) else frame(2, f) for f in frames)
    return Entry(
        f"sio.{name}",
        what,
        (*joined(), Send(data + text(MESSAGE)), Close(1008), End()),
        closes=BROKEN,
        called=("connect", "disconnect"),
    )


def _first(name: str, what: str, packet: str) -> Entry:
    """The same, before any namespace was joined."""
    return Entry(
        f"sio.{name}",
        what,
        (*websocket(), Send(text(packet) + text("40")), Close(1008), End()),
        closes=BROKEN,
        called=(),
    )


def _passed(name: str, what: str, *steps: Step, called: tuple[str, ...] | None = None) -> Entry:
    return Entry(f"sio.{name}", what, (*joined(), *steps, *served()), alive=1, called=called)


def _echoed(name: str, what: str, arguments: str, back: str | None = None) -> Entry:
    """What is JSON comes back as the same JSON."""
    return _passed(
        name,
        what,
        Send(text(f'42["message",{arguments}]')),
        Text(f'42["message-back",{arguments if back is None else back}]'),
        called=("connect", "message", "message"),
    )


ENTRIES = (
    # Types.
    _violation("type.unknown", "A type that does not exist.", f"47{SECRET}"),
    _violation("type.letter", "A type that is no digit.", f"4x{SECRET}"),
    _violation("type.script", "A digit of another script.", "4\u0662" + MESSAGE[2:]),
    _violation("type.connect-error", "A refusal, which is the server's.", '44{"message":"' + SECRET + '"}'),
    _violation("type.connect-twice", "A second CONNECT.", f'40{{"token":"{SECRET}"}}'),
    _violation("type.connect-array", "A CONNECT with an array.", f'40/x,["{SECRET}"]'),
    _violation("type.connect-id", "A CONNECT with an ack id.", "40/x,7"),
    _violation("type.disconnect-payload", "A DISCONNECT that says more.", f'41["{SECRET}"]'),
    # Payloads.
    _violation("payload.none", "An event without anything.", "42"),
    _violation("payload.object", "An event that is an object.", f'42{{"message":"{SECRET}"}}'),
    _violation("payload.string", "An event that is a string.", f'42"{SECRET}"'),
    _violation("payload.empty", "An event without a name.", "42[]"),
    _violation("payload.behind", "Something behind the payload.", f'42["message","{SECRET}"]x'),
    _violation("payload.open", "An array that does not end.", f'42["message","{SECRET}"'),
    _violation("payload.comma", "A comma too many.", f'42["message","{SECRET}",]'),
    _violation("payload.quotes", "The quotes of Python.", f"42['message','{SECRET}']"),
    _violation("payload.control", "A control character in a string.", f'42["message","{SECRET}\n"]'),
    _violation("payload.escape", "An escape that does not exist.", f'42["message","{SECRET}\\x"]'),
    _violation("payload.bom", "A mark in front of the payload.", f'42\ufeff["message","{SECRET}"]'),
    # Names.
    *(
        _violation(f"name.{kind}", "A name that is neither a string nor a number.", f'42[{name},"{SECRET}"]')
        for kind, name in {"object": '{"a":1}', "array": "[]", "null": "null", "true": "true"}.items()
    ),
    *(
        _violation(
            f"name.{name.lower().replace('_', '-')}", "An event of the library's own.", f'42["{name}","{SECRET}"]'
        )
        for name in ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
    ),
    _violation("name.escaped", "One of them, in another spelling.", f'42["\\u0063onnect","{SECRET}"]'),
    _violation(
        "name.binary", "One of them, with an attachment.", '451-["disconnect",' + SLOT % 0 + "]", SECRET.encode()
    ),
    _passed("name.number", "A number may be a name.", Send(text(f'42[1,"{SECRET}"]')), called=("connect", "message")),
    _passed("name.empty", "So may nothing.", Send(text(f'42["","{SECRET}"]')), called=("connect", "message")),
    _passed(
        "name.attribute",
        "Names of attributes.",
        Send(text(f'42["__class__","{SECRET}"]')),
        called=("connect", "message"),
    ),
    _passed("name.long", "A name of thousands of characters.", Send(text(f'42["{"n" * 9000}","{SECRET}"]'))),
    _passed("name.surrogate", "A name that UTF-8 cannot hold.", Send(text(f'42["\\ud800","{SECRET}"]'))),
    _passed(
        "name.arguments",
        "Arguments that the handler does not take.",
        Send(text('42["one"]') + text(f'42["one","{SECRET}","{SECRET}"]')),
        called=("connect", "message"),
    ),
    # JSON.
    _violation("json.deep", "Arrays in arrays.", '42["message",' + "[" * DEEP + f'"{SECRET}"' + "]" * DEEP + "]"),
    _violation("json.deep-open", "Arrays that do not end.", "42" + "[" * 9000),
    _violation("json.deep-objects", "Objects in objects.", '42["message",' + '{"a":' * 1500 + "1" + "}" * 1500 + "]"),
    _violation("json.deep-auth", "Deep data to connect with.", "40/x," + '{"a":' * 1500 + "1" + "}" * 1500),
    _violation("json.integer", "An integer of thousands of digits.", '42["message",' + "7" * 9000 + "]"),
    _violation("json.exponent", "A number beyond all bounds.", f'42["message","{SECRET}",1e999]'),
    *(
        _violation(
            f"json.{word.lower().replace('-', 'minus-')}", "A word that is no JSON.", f'42["message","{SECRET}",{word}]'
        )
        for word in ("NaN", "Infinity", "-Infinity", "undefined", "None")
    ),
    _violation("json.hexadecimal", "A number that is no JSON.", '42["message",0x10]'),
    _violation("json.zero", "A number with a zero in front.", '42["message",007]'),
    _violation("json.digits", "Digits of another script.", '42["message",\u0661]'),
    _echoed("json.surrogate", "Half of a character.", '"\\ud800"'),
    _echoed("json.surrogates", "Two halves in the wrong order.", '"\\udc00\\ud800"'),
    _echoed("json.nul", "A NUL, and what separates packets.", '"\\u0000\\u001e"'),
    _echoed("json.prototype", "Names of attributes.", '{"__proto__":{"a":1},"constructor":1}'),
    _echoed("json.keys-twice", "Of two keys the last counts.", '{"a":1,"a":2}', '{"a":2}'),
    _echoed("json.big-integer", "An integer that JavaScript cannot hold.", "9" * 300),
    _echoed("json.brackets", "Brackets in a string are not deep.", '"' + "[{" * 2000 + '"'),
    # Ack ids.
    _violation("id.long", "An ack id that nobody can count to.", "42" + "9" * 400 + f'["message","{SECRET}"]'),
    _violation("id.too-large", "One that JavaScript cannot count to.", f'42{2**53}["message","{SECRET}"]'),
    _violation("id.script", "Digits of another script.", '42\u0661["message"]'),
    _violation("id.negative", "One below nothing.", '42-1["message"]'),
    _violation("ack.no-id", "An acknowledgement of nothing.", f'43["{SECRET}"]'),
    _violation("ack.object", "An acknowledgement that is no array.", f'430{{"a":"{SECRET}"}}'),
    _violation("ack.long", "One of more than there can be.", "43" + "9" * 300 + "[]"),
    _violation("ack.elsewhere", "One from a namespace that was not joined.", f'43/x,0["{SECRET}"]'),
    _passed("ack.forged", "One that nobody waits for.", Send(text(f'430["{SECRET}"]'))),
    _passed("ack.flood", "Thousands of them.", Send(b"".join(text(f'43{n}["{SECRET}"]') for n in range(3000)))),
    _passed(
        "ack.other-id",
        "A forged one answers no other question, and the right one counts once.",
        Send(text('42["ask"]')),
        Text('420["question"]'),
        Send(
            text(f'431["{SECRET}"]')
            + text(f'43{2**53 - 1}["{SECRET}"]')
            + text('430["yes"]')
            + text(f'430["{SECRET}"]')
        ),
        Text('42["answer","yes"]'),
    ),
    Entry(
        "sio.ack.owed",
        "A client that owes acknowledgements when it goes.",
        (*joined(), Send(text('42["ask"]')), Text('420["question"]'), Send(text("1")), Close(1000), End()),
        closes={"transport close": 1},
    ),
    # Attachments.
    _violation("attachments.no-count", "Attachments without their number.", '45-["message"]'),
    _violation("attachments.no-hyphen", "A number that is followed by nothing.", '451["message"]'),
    _violation("attachments.too-many", "More than there may be.", f'455-["message","{SECRET}"]'),
    _violation("attachments.endless", "More than there can be.", "45" + "9" * 500 + '-["message"]'),
    _violation("attachments.text", "A packet in the place of one.", '451-["message",' + SLOT % 0 + "]", MESSAGE),
    _violation("attachments.unannounced", "One more than was announced.", '450-["unheard",1]', SECRET.encode()),
    *(
        _violation(
            f"attachments.place-{kind}",
            "A placeholder of no attachment.",
            '451-["message",' + SLOT % number + "]",
            b"x",
        )
        for kind, number in {
            "beyond": "1",
            "negative": "-1",
            "string": '"0"',
            "fraction": "0.5",
            "float": "0.0",
            "true": "true",
            "null": "null",
            "array": "[0]",
        }.items()
    ),
    _violation(
        "attachments.large",
        "Attachments that are too large together.",
        '454-["message",' + SLOT % 0 + "]",
        *[b"x" * (MAX_PAYLOAD // 3)] * 4,
    ),
    _violation("attachments.name", "An attachment that is the name.", "451-[" + SLOT % 0 + "]", b"message"),
    _passed(
        "attachments.unused",
        "An attachment that stands nowhere.",
        Send(text(f'451-["message","{SECRET}"]') + frame(2, b"x")),
        Text(f'42["message-back","{SECRET}"]'),
    ),
    _echoed("attachments.lookalike", "What only looks like one is data.", SLOT % 0),
    # Namespaces.
    _first("connect.event-first", "An event before CONNECT.", MESSAGE),
    _first("connect.ack-first", "An acknowledgement before it.", f'430["{SECRET}"]'),
    _first("connect.disconnect-first", "A DISCONNECT before it.", "41"),
    _violation("namespace.event", "An event where nobody has joined.", f'42/x,["message","{SECRET}"]'),
    _violation("namespace.disconnect", "A DISCONNECT from there.", "41/x,"),
    _violation("namespace.left", "An event where the client has left.", "41", MESSAGE),
    _violation("namespace.separator", "A name that polling cannot carry.", "40/\x1e,"),
    _passed(
        "namespace.unknown",
        "A namespace that nobody serves.",
        Send(text('40/nowhere,{"token":"' + SECRET + '"}')),
        Text('44/nowhere,{"message":"Invalid namespace"}'),
    ),
    _passed(
        "namespace.query",
        "A query is no part of its name, nor does it come back.",
        Send(text(f"40/nowhere?token={SECRET},")),
        Text('44/nowhere,{"message":"Invalid namespace"}'),
    ),
    _passed(
        "namespace.flood",
        "Hundreds of them.",
        *(
            step
            for n in range(300)
            for step in (Send(text(f"40/n{n},")), Text(f'44/n{n},{{"message":"Invalid namespace"}}'))
        ),
    ),
    _passed(
        "namespace.pattern",
        "A name that is a pattern, or an attribute.",
        *(
            step
            for name in ("/*", "/.*", "/__class__", "/../", "/%s", "/{0}")
            for step in (Send(text(f"40{name},")), Text(f'44{name},{{"message":"Invalid namespace"}}'))
        ),
    ),
    _passed(
        "namespace.long",
        "A name of thousands of characters.",
        Send(text("40/" + "n" * 9000 + ",")),
        Text("44/" + "n" * 9000 + ',{"message":"Invalid namespace"}'),
    ),
    _passed(
        "namespace.rejoin",
        "Joining and leaving, again and again.",
        *(step for _ in range(100) for step in (Send(text("41") + text("40")), Text(JOINED))),
    ),
    # Floods.
    _passed(
        "flood.events",
        "Thousands of events at once.",
        Send(text('42["message",1]') * 2000),
        *(Text('42["message-back",1]'),) * 2000,
    ),
    _passed("flood.unheard", "Thousands that nobody hears.", Send(text(f'42["unheard","{SECRET}"]') * 3000)),
    _passed(
        "flood.acks-asked",
        "Thousands of acknowledgements that are asked for.",
        Send(b"".join(text(f'42{n}["one",1]') for n in range(1000))),
        *(Text(f"43{n}[]") for n in range(1000)),
    ),
    _passed(
        "flood.questions",
        "Questions that wait for the client, one after another.",
        Send(text('42["ask"]') * 50),
        *(
            step
            for n in range(50)
            for step in (Text(f'42{n}["question"]'), Send(text(f"43{n}[{n}]")), Text(f'42["answer",{n}]'))
        ),
    ),
)
