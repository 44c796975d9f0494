"""Opening a session: the query, the headers, and the opening handshake of a WebSocket."""

from support.hostile import (
    JOINED,
    KEY,
    OPENED,
    POLLING,
    SECRET,
    UPGRADE,
    WEBSOCKET,
    Close,
    End,
    Entry,
    Reply,
    Send,
    Text,
    get,
    joined,
    polling,
    post,
    request,
    served,
    text,
    upgrade,
)
from trio_socketio.conformance.peer import frame

TRANSPORT = b'{"code":0,"message":"Transport unknown"}'
UNKNOWN = b'{"code":1,"message":"Session ID unknown"}'
METHOD = b'{"code":2,"message":"Bad handshake method"}'
BAD = b'{"code":3,"message":"Bad request"}'
FORBIDDEN = b'{"code":4,"message":"Forbidden"}'
REVISION = b'{"code":5,"message":"Unsupported protocol version"}'


def _refused(name: str, what: str, data: bytes, body: bytes, status: int = 400) -> Entry:
    return Entry(f"handshake.{name}", what, (Send(data), Reply(status, body)))


def _query(name: str, what: str, query: str, body: bytes) -> Entry:
    return _refused(name, what, get(f"/socket.io/?{query}", f"Authorization: Bearer {SECRET}"), body)


def _without(name: str, *others: str) -> bytes:
    lines = [line for line in UPGRADE if not line.startswith(name)]
    return request("GET", WEBSOCKET, *lines, *others)


ENTRIES = (
    _query("eio.none", "A request without a revision.", "transport=polling", REVISION),
    _query("eio.old", "A client of Socket.IO 2.", "EIO=3&transport=polling", REVISION),
    _query("eio.blank", "A revision with a blank behind it.", "EIO=4%20&transport=polling", REVISION),
    _query("eio.digit", "A four in another script.", "EIO=%D9%A4&transport=polling", REVISION),
    _query("eio.semicolon", "Fields that a semicolon separates.", "EIO=4;transport=polling", REVISION),
    _query("transport.none", "No transport.", "EIO=4", TRANSPORT),
    _query("transport.case", "A transport in capitals.", "EIO=4&transport=Polling", TRANSPORT),
    _query("transport.nul", "A transport with a NUL.", "EIO=4&transport=polling%00", TRANSPORT),
    _query("transport.invalid", "A transport that is no UTF-8.", "EIO=4&transport=%ff%fe", TRANSPORT),
    _query("transport.attribute", "The name of an attribute.", "EIO=4&transport=__class__", TRANSPORT),
    Entry(
        "handshake.transport.twice",
        "Two transports: the first counts.",
        (Send(get("/socket.io/?EIO=4&transport=polling&transport=websocket")), Reply(200, OPENED)),
        alive=1,
    ),
    _refused("method.post", "A POST that opens.", post(SECRET.encode(), target=POLLING), METHOD),
    _refused("method.delete", "A DELETE that opens.", request("DELETE", POLLING), METHOD),
    _refused("method.case", "Methods have a case.", request("get", POLLING), METHOD),
    _refused("method.trace", "A TRACE gets no echo.", request("TRACE", POLLING, f"Cookie: sid={SECRET}"), METHOD),
    Entry(
        "handshake.method.head",
        "A HEAD opens nothing, and its answer has no body.",
        (Send(request("HEAD", POLLING) + get("/")), Reply(400, b"", bodiless=True), Reply(404, b"no such page")),
    ),
    Entry(
        "handshake.method.options",
        "An OPTIONS without an origin promises nothing.",
        (Send(request("OPTIONS", POLLING)), Reply(204, headers={"access-control-allow-origin": None})),
    ),
    _query(
        "sid.long", "A sid of thousands of characters.", f"EIO=4&transport=polling&sid={SECRET * 500}"[:9000], UNKNOWN
    ),
    _query("sid.nul", "A sid with a NUL and a line break.", f"EIO=4&transport=polling&sid={SECRET}%00%0d%0a", UNKNOWN),
    _query("sid.prototype", "The name of an attribute.", "EIO=4&transport=polling&sid=__proto__", UNKNOWN),
    _query("sid.percent", "A percent sign that escapes nothing.", "EIO=4&transport=polling&sid=%zz%", UNKNOWN),
    _refused("sid.websocket", "A WebSocket for an unknown sid.", upgrade(f"{WEBSOCKET}&sid={SECRET}"), UNKNOWN),
    Entry(
        "handshake.sid.empty",
        "An empty sid is none.",
        (Send(upgrade(f"{WEBSOCKET}&sid=")), Reply(101), Text(OPENED)),
        alive=1,
    ),
    _refused("websocket.no-upgrade", "A WebSocket without an upgrade.", get(WEBSOCKET), BAD),
    _refused("websocket.polling", "An upgrade for polling.", upgrade(POLLING), BAD),
    _refused("websocket.no-connection", "No Connection header.", _without("Connection"), BAD),
    _refused("websocket.h2c", "An upgrade to something else.", _without("Upgrade", "Upgrade: h2c"), BAD),
    _refused(
        "websocket.post", "An upgrade by POST.", request("POST", WEBSOCKET, *UPGRADE, "Content-Length: 0"), METHOD
    ),
    _refused("websocket.no-key", "No key.", _without("Sec-WebSocket-Key"), BAD),
    _refused("websocket.short-key", "A short key.", _without("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAA"), BAD),
    _refused(
        "websocket.odd-key",
        "A key that is no base64.",
        _without("Sec-WebSocket-Key", "Sec-WebSocket-Key: " + "!" * 24),
        BAD,
    ),
    _refused("websocket.two-keys", "Two keys.", upgrade(WEBSOCKET, f"Sec-WebSocket-Key: {KEY}"), BAD),
    Entry(
        "handshake.websocket.version",
        "An older WebSocket is told which version is spoken.",
        (
            Send(_without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8")),
            Reply(426, b"", {"sec-websocket-version": "13", "sec-websocket-accept": None}),
        ),
    ),
    Entry(
        "handshake.websocket.no-version",
        "A WebSocket without a version.",
        (Send(_without("Sec-WebSocket-Version")), Reply(426, b"", {"sec-websocket-version": "13"})),
    ),
    Entry(
        "handshake.websocket.http-1.0",
        "HTTP/1.0 has no upgrade: the header must be ignored (RFC 9110, section 7.8).",
        (Send(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0")), Reply(400, BAD), End()),
    ),
    Entry(
        "handshake.websocket.body",
        "A body that comes along is not read as frames.",
        (
            Send(request("GET", WEBSOCKET, *UPGRADE, "Content-Length: 8", body=text("1") + b"x") + text("40")),
            Reply(101),
            Text(OPENED),
            Text(JOINED),
            *served(),
        ),
        alive=1,
    ),
    Entry(
        "handshake.websocket.half-a-body",
        "A body that has not come would be read as frames.",
        (Send(request("GET", WEBSOCKET, *UPGRADE, "Content-Length: 80", body=text("40"))), Reply(400, BAD), End()),
    ),
    Entry(
        "handshake.websocket.deflate",
        "Compression is offered and not accepted.",
        (
            Send(upgrade(WEBSOCKET, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")),
            Reply(101, headers={"sec-websocket-extensions": None}),
            Text(OPENED),
            *joined()[3:],
            *served(),
        ),
        alive=1,
    ),
    Entry(
        "handshake.websocket.deflate-damaged",
        "A crowd of offers that make no sense.",
        (
            Send(
                upgrade(
                    WEBSOCKET,
                    *['Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99; x="\\"", ,;=;'] * 60,
                )
            ),
            Reply(101, headers={"sec-websocket-extensions": None}),
            Text(OPENED),
        ),
        alive=1,
    ),
    Entry(
        "handshake.websocket.protocol",
        "A subprotocol, which browsers use to carry tokens, is not chosen.",
        (
            Send(upgrade(WEBSOCKET, f"Sec-WebSocket-Protocol: chat, {SECRET}")),
            Reply(101, headers={"sec-websocket-protocol": None}),
            Text(OPENED),
        ),
        alive=1,
    ),
    Entry(
        "handshake.websocket.frames-behind",
        "Frames that come with the opening handshake count.",
        (
            Send(upgrade() + text("40") + text('42["message",1]')),
            Reply(101),
            Text(OPENED),
            Text(JOINED),
            Text('42["message-back",1]'),
        ),
        alive=1,
        called=("connect", "message"),
    ),
    Entry(
        "handshake.websocket.garbage-behind",
        "So does what is no frame.",
        (Send(upgrade() + frame(1, SECRET.encode(), masked=False)), Reply(101), Close(1002, loose=True), End()),
        closes={"transport error": 1},
    ),
    Entry(
        "handshake.too-many",
        "There are as many sessions as there may be.",
        (
            *polling() * 3,
            Send(get()),
            Reply(503, b"Service Unavailable"),
            Send(upgrade()),
            Reply(503, b"Service Unavailable"),
            Send(post(b"1")),
            Reply(200, b"ok"),
        ),
        closes={"transport close": 1},
        alive=2,
        options={"max_connections": 3},
    ),
    Entry(
        "handshake.jsonp",
        "What JSONP would need is no part of this revision; nothing of it comes back.",
        (Send(get(f"{POLLING}&j=0&callback=alert&b64=1", f"Cookie: {SECRET}")), Reply(200, OPENED)),
        alive=1,
    ),
    Entry(
        "handshake.host.absolute",
        "A target with an authority is one for a server, whatever Host says.",
        (Send(get(f"http://other.example{POLLING}")), Reply(200, OPENED)),
        alive=1,
    ),
)
