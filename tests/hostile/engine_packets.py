"""Packets, payloads and requests of Engine.IO that no client sends, or not now (Engine.IO protocol, revision 4)."""

import re

from hostile.handshakes import BAD, UNKNOWN
from support.hostile import (
    OPENED,
    POLLING,
    SECRET,
    WEBSOCKET,
    Close,
    End,
    Entry,
    HangUp,
    Reply,
    Send,
    Step,
    Text,
    Wait,
    attached,
    get,
    joined,
    polling,
    polling_joined,
    post,
    request,
    served,
    served_polling,
    text,
    upgrade,
    websocket,
)
from trio_socketio.conformance.peer import frame

SESSION = f"{POLLING}&sid=<sid>"
CANDIDATE = f"{WEBSOCKET}&sid=<sid>"
BROKEN = {"parse error": 1}
REFUSED = Reply(400, BAD)
MESSAGE = f'42["message","{SECRET}"]'
JUST_CONNECT = ("connect",)


def _framed(name: str, what: str, data: bytes) -> Entry:
    """A packet that breaks the protocol ends the session; what follows it does nothing."""
    return Entry(
        f"eio.websocket.{name}",
        what,
        (*joined(), Send(data + text(MESSAGE)), Close(1008), End()),
        closes=BROKEN,
        called=("connect", "disconnect"),
    )


def _posted(name: str, what: str, body: bytes, answer: Reply = REFUSED) -> Entry:
    return Entry(
        f"eio.polling.{name}",
        what,
        (
            *polling_joined(),
            Send(post(body)),
            answer,
            Send(get(SESSION)),
            Reply(400, UNKNOWN),
            Send(post(MESSAGE.encode())),
            Reply(400, UNKNOWN),
        ),
        closes=BROKEN,
        called=("connect", "disconnect"),
    )


def _taken(name: str, what: str, body: bytes, *answers: Step) -> Entry:
    return Entry(
        f"eio.polling.{name}",
        what,
        (*polling_joined(), Send(post(body)), Reply(200, b"ok"), *answers, *served_polling()),
        alive=1,
    )


def _candidate(name: str, what: str, *steps: Step) -> Entry:
    """What a WebSocket does wrong before it takes over costs the client that WebSocket, and nothing else."""
    return Entry(
        f"eio.upgrade.{name}",
        what,
        (*attached(), *steps, Close(1000, "b", loose=True), End("b"), *served_polling()),
        alive=1,
        called=("connect", "message"),
    )


UPGRADED = (*attached(), Send(text("2probe"), "b"), Text("3probe", "b"), Send(text("5"), "b"), *served("b"))

ENTRIES = (
    # Over a WebSocket.
    _framed("unknown", "A type that does not exist.", text(f"7{SECRET}")),
    _framed("letter", "A type that is no digit.", text(f"x{SECRET}")),
    _framed("script", "A digit of another script.", text("\u0664" + MESSAGE[1:])),
    _framed("base64", "The form that binary data has over polling, and nothing has announced it.", text("bAQID")),
    _framed("base64.letters", "Letters that base64 does not have, in a text frame.", text("bA-_=")),
    _framed("empty", "A frame without anything.", text("")),
    _framed("open", "An open packet, which is the server's.", text('0{"sid":"' + SECRET + '"}')),
    _framed("ping", "A ping, which is the server's.", text("2")),
    _framed("probe", "A probe, and nothing to probe for.", text("2probe")),
    _framed("upgrade", "An upgrade, and nothing to upgrade from.", text("5")),
    Entry(
        "eio.websocket.noops",
        "Noops, which do nothing.",
        (*joined(), Send(text("6") * 3000 + text(f"6{SECRET}")), *served()),
        alive=1,
    ),
    _framed("separator", "A payload, which is a matter of polling.", text("4\x1e3")),
    _framed("binary", "Binary data that nothing has announced.", frame(2, SECRET.encode())),
    _framed("message-empty", "A message without anything.", text("4")),
    Entry(
        "eio.websocket.close",
        "A close packet ends the session, and what follows it does nothing.",
        (*joined(), Send(text("1") + text(MESSAGE)), Close(1000), End()),
        closes={"transport close": 1},
        called=("connect", "disconnect"),
    ),
    Entry(
        "eio.websocket.pongs",
        "Pongs that nobody has asked for.",
        (*joined(), Send(text("3") * 3000 + text(f"3{SECRET}")), *served()),
        alive=1,
    ),
    # Payloads.
    _posted("empty", "A body without anything.", b""),
    _posted("separator", "A separator, and nothing to separate.", b"\x1e"),
    _posted("separators", "A crowd of them.", b"\x1e" * 9000),
    _posted("separator-behind", "A separator, and nothing behind it.", b"3\x1e"),
    _posted("unknown", "A type that does not exist.", f"7{SECRET}".encode()),
    _posted("open", "An open packet.", b'0{"sid":"' + SECRET.encode() + b'"}'),
    _posted("ping", "A ping.", b"2"),
    _posted("probe", "A probe, which is a matter of WebSockets.", b"2probe"),
    _posted("upgrade", "An upgrade, too.", b"5"),
    _taken("noops", "Noops, which do nothing.", b"\x1e".join([b"6"] * 4500)),
    _posted("utf-8", "A body that is no UTF-8.", b'42["message","\xff"]'),
    _posted("bom", "A mark in front of the body.", b"\xef\xbb\xbf" + MESSAGE.encode()),
    _posted("jsonp", "The form that JSONP had.", b"d=4" + MESSAGE.encode()),
    _posted("revision-3", "The form that payloads had once.", b"24:" + MESSAGE.encode()),
    _taken(
        "base64.padding",
        "Base64 without its padding.",
        b'451-["message",{"_placeholder":true,"num":0}]\x1ebAQI',
        Send(get(SESSION)),
        Reply(200, b'451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQI='),
    ),
    _posted(
        "base64.letters",
        "Letters that base64 does not have.",
        b'451-["message",{"_placeholder":true,"num":0}]\x1ebA-_=',
    ),
    _taken(
        "base64.blank",
        "Thousands of line breaks and blanks in base64.",
        b'451-["message",{"_placeholder":true,"num":0}]\x1ebAQ' + b" \r\n\t" * 2000 + b"ID\n",
        Send(get(SESSION)),
        Reply(200, b'451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQID'),
    ),
    _posted("base64.unannounced", "Binary data that nothing has announced.", b"bAQID", Reply(200, b"ok")),
    _posted("not-whole", "What is wrong in the middle of a payload.", b"3\x1e" + b"8\x1e" + MESSAGE.encode()),
    _posted(
        "late", "A packet behind one that only Socket.IO refuses.", b"42\x1e" + MESSAGE.encode(), Reply(200, b"ok")
    ),
    _taken("many", "Thousands of packets in a body.", b"\x1e".join([b"3"] * 4500)),
    Entry(
        "eio.polling.many-events",
        "As many events as a body holds, one after another.",
        (
            *polling_joined(),
            Send(post(b"\x1e".join([b'42["message"]'] * 700))),
            Reply(200, b"ok"),
            *(Send(get(SESSION)), Reply(200, re.compile(rb'(?:42\["message-back"\]\x1e?){1,16}'))) * 43,
        ),
        alive=1,
        called=("connect", *("message",) * 700),
        memory=False,
    ),
    Entry(
        "eio.polling.close",
        "After a close packet the sid is unknown.",
        (
            *polling_joined(),
            Send(post(b"1\x1e" + MESSAGE.encode())),
            Reply(200, b"ok"),
            Send(post(b"3")),
            Reply(400, UNKNOWN),
        ),
        closes={"transport close": 1},
        called=("connect", "disconnect"),
    ),
    Entry(
        "eio.polling.close-pending",
        "A close packet frees the GET that waits.",
        (
            *polling_joined(),
            Send(get(SESSION)),
            Send(post(b"1"), "b"),
            Reply(200, b"ok", on="b"),
            Reply(200, b"6"),
            Send(get(SESSION)),
            Reply(400, UNKNOWN),
        ),
        closes={"transport close": 1},
    ),
    # Requests.
    Entry(
        "eio.polling.two-gets",
        "A second GET ends the session, and both are answered.",
        (
            *polling_joined(),
            Send(get(SESSION)),
            Wait(1),
            Send(get(SESSION), "b"),
            Reply(400, BAD, on="b"),
            Reply(200, b"1"),
        ),
        closes=BROKEN,
    ),
    Entry(
        "eio.polling.two-posts",
        "A second POST ends the session while the first is read.",
        (
            *polling_joined(),
            Send(post(MESSAGE.encode())[:-5]),
            Wait(1),
            Send(post(b"3"), "b"),
            Reply(400, BAD, on="b"),
            Send(MESSAGE.encode()[-5:]),
            Reply(400, UNKNOWN),
        ),
        closes=BROKEN,
        called=("connect", "disconnect"),
    ),
    Entry(
        "eio.polling.methods",
        "A session has two methods.",
        (
            *polling_joined(),
            *(
                step
                for method in ("DELETE", "PATCH", "PROPFIND", "get", "TRACE")
                for step in (Send(request(method, SESSION, f"X-Token: {SECRET}")), Reply(400, BAD))
            ),
            *served_polling(),
        ),
        alive=1,
    ),
    Entry(
        "eio.polling.head",
        "A HEAD takes no packets away.",
        (*polling_joined(), Send(request("HEAD", SESSION)), Reply(400, b"", bodiless=True), *served_polling()),
        alive=1,
    ),
    Entry(
        "eio.sid.guessed",
        "Guesses find no session, and change none.",
        (
            *polling_joined(),
            *(
                step
                for n in range(50)
                for step in (
                    Send(post(MESSAGE.encode(), target=f"{POLLING}&sid=AAAAAAAAAAAAAAAAAA{n:02}")),
                    Reply(400, UNKNOWN),
                )
            ),
            *served_polling(),
        ),
        alive=1,
        called=("connect", "message"),
    ),
    Entry(
        "eio.sid.of-websocket",
        "A session over a WebSocket cannot be polled, nor posted to.",
        (
            *joined(),
            Send(get(SESSION), "b"),
            Reply(400, BAD, on="b"),
            Send(post(MESSAGE.encode()), "b"),
            Reply(400, BAD, on="b"),
            *served(),
        ),
        alive=1,
        called=("connect", "message"),
    ),
    Entry(
        "eio.sid.second-websocket",
        "A session has one WebSocket, and the second is closed.",
        (
            *joined(),
            Send(upgrade(CANDIDATE) + text("2probe") + text("5") + text(MESSAGE), "b"),
            Reply(101, on="b"),
            Close(1000, "b"),
            End("b"),
            *served(),
        ),
        alive=1,
        called=("connect", "message"),
    ),
    Entry(
        "eio.sid.of-socket",
        "The sid of a socket, which others may know, opens nothing.",
        (
            *websocket(),
            Send(text("40")),
            Text(re.compile(rb'40\{"sid":"(?P<public>[\w-]{20})"\}')),
            Send(post(MESSAGE.encode(), target=f"{POLLING}&sid=<public>"), "b"),
            Reply(400, UNKNOWN, on="b"),
            Send(upgrade(f"{WEBSOCKET}&sid=<public>"), "b"),
            Reply(400, UNKNOWN, on="b"),
            *served(),
        ),
        alive=1,
    ),
    # The upgrade.
    _candidate("nothing", "A WebSocket that says nothing."),
    _candidate("no-upgrade", "A probe, and no upgrade.", Send(text("2probe"), "b"), Text("3probe", "b")),
    _candidate("no-probe", "An upgrade that comes before the probe.", Send(text("5") + text(MESSAGE), "b")),
    _candidate("two-probes", "Two probes.", Send(text("2probe"), "b"), Text("3probe", "b"), Send(text("2probe"), "b")),
    _candidate("other-probe", "A probe that says something else.", Send(text(f"2{SECRET}"), "b")),
    _candidate("message", "A message before the upgrade.", Send(text(MESSAGE), "b")),
    _candidate("message-probed", "A message after the probe.", Send(text("2probe") + text(MESSAGE), "b")),
    _candidate("close", "A close packet.", Send(text("1"), "b")),
    _candidate("pong", "A pong.", Send(text("3"), "b")),
    _candidate("unknown", "A type that does not exist.", Send(text(f"8{SECRET}"), "b")),
    Entry(
        "eio.upgrade.broken-frame",
        "A frame that is none.",
        (
            *attached(),
            Send(frame(1, MESSAGE.encode(), masked=False), "b"),
            Close(1002, "b"),
            End("b"),
            *served_polling(),
        ),
        alive=1,
        called=("connect", "message"),
    ),
    Entry(
        "eio.upgrade.hang-up",
        "A WebSocket that goes away in the middle.",
        (*attached(), Send(text("2probe"), "b"), Text("3probe", "b"), HangUp("b"), Wait(1), *served_polling()),
        alive=1,
    ),
    Entry(
        "eio.upgrade.two-candidates",
        "A second WebSocket is closed while the first probes, which then takes over.",
        (
            *attached(),
            Send(upgrade(CANDIDATE) + text("2probe"), "c"),
            Reply(101, on="c"),
            Close(1000, "c"),
            End("c"),
            Send(text("2probe"), "b"),
            Text("3probe", "b"),
            Send(text("5"), "b"),
            *served("b"),
        ),
        alive=1,
    ),
    Entry(
        "eio.upgrade.twice",
        "An upgrade of what is upgraded ends the session.",
        (*UPGRADED, Send(text("5") + text(MESSAGE), "b"), Close(1008, "b"), End("b")),
        closes=BROKEN,
        called=("connect", "message", "disconnect"),
    ),
    Entry(
        "eio.upgrade.polled-behind",
        "After the upgrade polling is over.",
        (
            *UPGRADED,
            Send(get(SESSION)),
            Reply(400, BAD),
            Send(post(MESSAGE.encode())),
            Reply(400, BAD),
            *served("b"),
        ),
        alive=1,
        called=("connect", "message", "message"),
    ),
    Entry(
        "eio.upgrade.forbidden",
        "No upgrade, where none is offered.",
        (
            Send(get()),
            Reply(200, OPENED),
            Send(upgrade(CANDIDATE), "b"),
            Reply(400, BAD, on="b"),
        ),
        alive=1,
        options={"allow_upgrades": False},
    ),
    Entry(
        "eio.upgrade.flood",
        "One WebSocket after another that does not probe.",
        (
            *polling_joined(),
            *(
                step
                for n in range(20)
                for step in (
                    Send(upgrade(CANDIDATE) + text("7"), f"w{n}"),
                    Reply(101, on=f"w{n}"),
                    Close(1000, f"w{n}"),
                    Send(frame(8, b"\x03\xe8"), f"w{n}"),
                    End(f"w{n}"),
                )
            ),
            *served_polling(),
        ),
        alive=1,
    ),
    Entry(
        "eio.sessions.flood",
        "Sessions that are opened and left.",
        (*(step for n in range(50) for step in polling()), *(step for n in range(20) for step in websocket(f"w{n}"))),
        alive=70,
    ),
)
