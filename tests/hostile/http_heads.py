"""The head of a request: its syntax, its size, its target (RFC 9112, sections 2 to 5)."""

from hostile.handshakes import BAD, METHOD, REVISION, TRANSPORT, UNKNOWN
from support.hostile import (
    OPENED,
    POLLING,
    SECRET,
    WEBSOCKET,
    Drip,
    End,
    Entry,
    HalfClose,
    Reply,
    Send,
    get,
    polling,
    polling_joined,
    post,
    request,
    served_polling,
)

TOKEN = f"Authorization: Bearer {SECRET}"


def _broken(name: str, what: str, data: bytes, status: int = 400) -> Entry:
    """What is no HTTP is answered with an empty body and the end of the connection; what follows it is not read."""
    return Entry(f"http.{name}", what, (Send(data + get()), Reply(status, b"", {"connection": "close"}), End()))


def _legal(name: str, what: str, data: bytes) -> Entry:
    return Entry(f"http.{name}", what, (Send(data), Reply(200, OPENED)), alive=1)


def _elsewhere(name: str, what: str, target: str) -> Entry:
    """A path that is not ours is the application's, as it is."""
    return Entry(f"path.{name}", what, (Send(get(target)), Reply(404, b"no such page")))


def _line(line: bytes) -> bytes:
    """Return a request with a header line that is to be refused behind one that is right."""
    return get(POLLING, TOKEN)[:-2] + line + b"\r\n\r\n"


def _first(line: bytes) -> bytes:
    """Return a request with another request line."""
    return line + b"\r\nHost: chat.example\r\n" + TOKEN.encode() + b"\r\n\r\n"


LONG = "x" * 20_000

ENTRIES = (
    # Lines.
    _legal("lines.bare-lf", "Lines may end with LF alone (RFC 9112, section 2.2).", get().replace(b"\r\n", b"\n")),
    _broken("lines.bare-cr", "A CR alone ends no line.", _line(b"X-A: a\rX-Injected: 1")),
    _legal("lines.fold", "A folded line is one line (RFC 9112, section 5.2).", _line(b"X-A: a\r\n b")),
    _broken("lines.fold-first", "There is nothing to fold to.", request("GET", POLLING, " X-A: a", host=None)),
    _broken("lines.blank-before-colon", "A blank before the colon.", _line(f"X-Token : {SECRET}".encode())),
    _broken("lines.no-colon", "A line without a colon.", _line(SECRET.encode())),
    _broken("lines.no-name", "A line without a name.", _line(f": {SECRET}".encode())),
    _broken("lines.odd-name", "A name that is no token.", _line(f"X(Token): {SECRET}".encode())),
    _broken("lines.nul", "A NUL in a value.", _line(f"Cookie: {SECRET}\0".encode())),
    _broken("lines.vertical-tab", "A vertical tab in a value.", _line(f"Cookie: {SECRET}\v".encode())),
    _legal("lines.control", "Other control characters may be kept (RFC 9110, section 5.5).", _line(b"Cookie: a=\x01")),
    _legal("lines.obs-text", "Bytes that are no ASCII are opaque.", _line(b"Cookie: a=\xff\xfe")),
    _legal("lines.empty-first", "One empty line before a request is passed over (section 2.2).", b"\r\n" + get()),
    _legal("lines.empty-first-lf", "It may end with LF alone.", b"\n" + get()),
    _broken("lines.two-empty-first", "Two are not.", b"\r\n\r\n"),
    _broken("lines.cr-first", "A CR alone is no empty line.", b"\r"),
    Entry(
        "http.lines.empty-between",
        "An empty line may come behind a body, too: old clients send one.",
        (*polling(), Send(post(b"40") + b"\r\n" + get("/")), Reply(200, b"ok"), Reply(404, b"no such page")),
        alive=1,
    ),
    Entry(
        "http.lines.empty-dripped",
        "Whatever the chunks are.",
        (Drip(b"\r\n" + get("/"), 0.01), Reply(404, b"no such page")),
    ),
    Entry("http.lines.none", "Nothing but an empty line.", (Send(b"\r\n"), HalfClose(), End())),
    Entry("http.lines.half", "Half of one.", (Send(b"\r"), HalfClose(), Reply(400, b""), End())),
    # Versions and other protocols.
    _broken("version.0.9", "HTTP/0.9 has no version.", b"GET /socket.io/\r\n\r\n"),
    _broken("version.case", "HTTP is in capitals.", _first(b"GET /socket.io/ http/1.1")),
    _broken("version.long", "A version with too many digits.", _first(b"GET /socket.io/ HTTP/1.10")),
    _broken("version.preface", "A client that begins with HTTP/2.", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    _broken("version.tls", "A client that begins with TLS.", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    _legal("version.1.2", "A later minor version is answered.", get().replace(b"1.1\r\n", b"1.2\r\n")),
    Entry(
        "http.version.1.0",
        "HTTP/1.0 needs no Host, and its connection ends.",
        (Send(f"GET {POLLING} HTTP/1.0\r\n\r\n".encode()), Reply(200, OPENED, {"connection": "close"}), End()),
        alive=1,
    ),
    _legal(
        "version.h2c",
        "An upgrade to HTTP/2 is not taken.",
        get(POLLING, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    ),
    # Request lines and targets.
    _broken("line.blank-first", "A blank before the method.", _first(b" GET /socket.io/ HTTP/1.1")),
    _broken("line.two-blanks", "Two blanks.", _first(b"GET  /socket.io/ HTTP/1.1")),
    _broken("line.tab", "A tab for a blank.", _first(b"GET\t/socket.io/\tHTTP/1.1")),
    _broken("line.blank-in-target", "A blank in the target.", _first(f"GET /socket.io/?a= {SECRET} HTTP/1.1".encode())),
    _broken("line.method", "A method that is no token.", _first(f"G@T /?{SECRET} HTTP/1.1".encode())),
    _broken("line.no-method", "No method.", _first(b"/socket.io/ HTTP/1.1")),
    _broken("target.non-ascii", "A target that is no ASCII.", _first(b"GET /socket.io/\xc3\xa9 HTTP/1.1")),
    _broken("target.fragment", "A fragment is never sent.", get(f"/?t={SECRET}#x")),
    _broken("target.control", "A control character in the target.", _first(b"GET /socket.io/\x7f HTTP/1.1")),
    _broken("target.backslash", "A path that begins with a backslash.", get("\\socket.io\\?EIO=4")),
    _broken("target.relative", "A path that begins with nothing.", get(f"s?t={SECRET}")),
    _broken("target.asterisk", "An asterisk, and no OPTIONS.", get("*")),
    _broken("target.authority", "An authority alone.", get("chat.example:80")),
    _broken("target.connect", "A proxy is asked for.", request("CONNECT", "chat.example:443", TOKEN)),
    _broken("target.scheme", "A scheme that is not served.", get(f"ftp://u:{SECRET}@h/")),
    _broken("target.userinfo", "A name and a password.", get(f"http://u:{SECRET}@h/")),
    _broken("target.no-host", "A URL without a host.", get(f"http:///?t={SECRET}")),
    Entry(
        "http.target.options",
        "OPTIONS may be about the server as a whole, which is the application's.",
        (Send(request("OPTIONS", "*")), Reply(404, b"no such page")),
    ),
    # Host.
    _broken("host.none", "No Host.", request("GET", POLLING, TOKEN, host=None)),
    _broken("host.two", "Two Hosts.", get(POLLING, "Host: other.example")),
    _broken("host.two-alike", "The same Host twice.", get(POLLING, "Host: chat.example")),
    _broken("host.blank", "A blank in the Host.", request("GET", POLLING, host="chat example")),
    _broken("host.userinfo", "A password in the Host.", request("GET", POLLING, host=f"u:{SECRET}@h")),
    _broken("host.path", "A path in the Host.", request("GET", POLLING, host="chat.example/x")),
    _broken("host.list", "A list of hosts in absolute form.", get(f"http://a,b@c{POLLING}")),
    # Sizes.
    _broken("size.target", "A target that is too long (RFC 9112, section 3).", get(f"{POLLING}&t={SECRET}{LONG}"), 414),
    Entry(
        "http.size.target-endless",
        "A target that does not end.",
        (Send(f"GET /socket.io/?t={SECRET}{LONG}".encode()), Reply(414, b"", {"connection": "close"}), End()),
    ),
    _broken("size.field", "A field that is too long.", get(POLLING, f"Cookie: {SECRET}{LONG}"), 431),
    Entry(
        "http.size.field-endless",
        "A field that does not end.",
        (Send(get(POLLING, f"Cookie: {SECRET}{LONG}")[:-4]), Reply(431, b"", {"connection": "close"}), End()),
    ),
    _broken("size.fields", "Many fields.", get(POLLING, *[f"X-{n}: {SECRET}" for n in range(800)]), 431),
    Entry(
        "http.size.fields-endless",
        "Fields without end.",
        (Send(get(POLLING, *["X: y"] * 4000)[:-2]), Reply(431, b"", {"connection": "close"}), End()),
    ),
    _legal("size.small-fields", "A thousand fields that are small.", get(POLLING, *["x:"] * 1000)),
    _legal("query.bare-fields", "Fields without values.", get(f"{POLLING}&{'&'.join('ab' * 30)}")),
    # Queries.
    _broken("query.fields", "More fields than a client has.", get(POLLING + f"&t={SECRET}" * 63)),
    _legal("query.most-fields", "As many as are read.", get(POLLING + "&t=1" * 62)),
    _legal("query.attributes", "Names of attributes.", get(f"{POLLING}&__proto__=1&constructor=1&__class__=1")),
    _legal("query.no-names", "Fields without names.", get(f"{POLLING}&=&==&&=1&=")),
    Entry(
        "http.query.sid-twice",
        "Of two sids the first counts.",
        (*polling(), Send(get(f"{POLLING}&sid={SECRET}&sid=<sid>")), Reply(400, UNKNOWN)),
        alive=1,
    ),
    Entry(
        "http.query.sid-blank",
        "A sid is compared as it is.",
        (*polling(), Send(get(f"{POLLING}&sid=<sid>%20")), Reply(400, UNKNOWN)),
        alive=1,
    ),
    # Response headers.
    Entry(
        "inject.transport",
        "A line break in the query stays out of the answer.",
        (Send(get("/socket.io/?EIO=4&transport=polling%0d%0aX-Injected:%201")), Reply(400, TRANSPORT)),
    ),
    Entry(
        "inject.eio",
        "So does one in the revision.",
        (Send(get("/socket.io/?EIO=4%0d%0aX-Injected:%201")), Reply(400, REVISION)),
    ),
    Entry(
        "inject.cookie",
        "A cookie of the client says nothing about the server's.",
        (
            Send(get(POLLING, f"Cookie: io={SECRET}; Injected=1")),
            Reply(200, OPENED),
            Send(get(f"{POLLING}&sid={SECRET}", "Cookie: io=<sid>")),
            Reply(400, UNKNOWN, {"set-cookie": None}),
        ),
        alive=1,
        options={"cookie": "io"},
    ),
    _broken("inject.origin", "A line break in the origin.", _line(b"Origin: http://chat.example\rX-Injected: 1")),
    Entry(
        "inject.requested-headers",
        "Only names are echoed to a preflight.",
        (
            Send(
                request(
                    "OPTIONS",
                    POLLING,
                    "Origin: http://chat.example",
                    "Access-Control-Request-Headers: X-A, X-Injected: 1",
                )
            ),
            Reply(204, b"", {"access-control-allow-headers": None}),
        ),
    ),
    Entry(
        "inject.requested-headers-long",
        "A list without end is not echoed.",
        (
            Send(
                request(
                    "OPTIONS", POLLING, "Origin: http://chat.example", f"Access-Control-Request-Headers: {'X,' * 3000}X"
                )
            ),
            Reply(204, b"", {"access-control-allow-headers": None}),
        ),
    ),
    # Paths.
    _elsewhere("two-slashes", "Two slashes are not one.", f"/{POLLING}"),
    _elsewhere("slashes-behind", "Nor are they at the end.", "/socket.io//?EIO=4&transport=polling"),
    _elsewhere("parent", "A path is not made shorter.", "/socket.io/../?EIO=4&transport=polling"),
    _elsewhere("parent-and-back", "Not even if it would be ours.", "/x/../socket.io/?EIO=4&transport=polling"),
    _elsewhere("this", "Nor is a single point passed over.", "/./socket.io/?EIO=4&transport=polling"),
    _elsewhere("escape", "A path is not decoded.", "/%73ocket.io/?EIO=4&transport=polling"),
    _elsewhere("escaped-slash", "Nor is its slash.", "/socket.io%2f?EIO=4&transport=polling"),
    _elsewhere("nul", "Nor what ends strings elsewhere.", "/socket.io/%00?EIO=4&transport=polling"),
    _elsewhere("line-break", "Nor what ends headers.", "/%0d%0aX-Injected:%201"),
    _elsewhere("parameter", "A path has no parameters.", "/socket.io/;x=1?EIO=4&transport=polling"),
    _elsewhere("case", "A path has a case.", "/Socket.IO/?EIO=4&transport=polling"),
    _elsewhere("below", "What is below is not ours.", "/socket.io/socket.io.js"),
    _elsewhere("backslash", "A backslash is no slash.", "/socket.io\\?EIO=4&transport=polling"),
    _elsewhere("prefix", "A path that only begins alike.", "/socket.io.evil/?EIO=4&transport=polling"),
    _legal("path.short", "The last slash may be missing.", get(POLLING.replace(".io/", ".io"))),
    Entry(
        "path.two-questions", "The first question mark counts.", (Send(get("/socket.io/??EIO=4")), Reply(400, REVISION))
    ),
    # Several requests.
    Entry(
        "pipeline.flood",
        "Requests that do not wait for answers are answered in order.",
        (
            Send(get(f"{POLLING}&sid={SECRET}") * 150 + get("/")),
            *(Reply(400, UNKNOWN),) * 150,
            Reply(404, b"no such page"),
        ),
    ),
    Entry(
        "pipeline.sessions",
        "So are those that open sessions.",
        (Send(get() * 20), *(Reply(200, OPENED),) * 20),
        alive=20,
    ),
    Entry(
        "pipeline.behind-a-poll",
        "What is sent behind a GET that waits is not read without end.",
        (
            *polling_joined(),
            Send(get(f"{POLLING}&sid=<sid>") + get("/") * 4000),
            *served_polling()[:2],
            Reply(200, b'42["message-back","still here"]'),
            *(Reply(404, b"no such page"),) * 4000,
        ),
        alive=1,
    ),
    Entry(
        "pipeline.broken",
        "What is broken ends the row.",
        (Send(get("/") + b"NO HTTP\r\n\r\n" + get()), Reply(404), Reply(400, b""), End()),
    ),
    Entry(
        "pipeline.closed",
        "Nothing follows what said close.",
        (Send(get("/", "Connection: close") + get()), Reply(404, headers={"connection": "close"}), End()),
    ),
    Entry(
        "half-close.head",
        "A client that says no more in the middle of a head.",
        (Send(get(POLLING, TOKEN)[:-10]), HalfClose(), Reply(400, b""), End()),
    ),
    Entry(
        "half-close.whole",
        "A client that says no more after its request is answered.",
        (Send(get()), HalfClose(), Reply(200, OPENED), End()),
        alive=1,
    ),
    Entry("half-close.nothing", "A client that says nothing at all.", (HalfClose(), End())),
    Entry(
        "method.put",
        "A session has two methods.",
        (*polling(), Send(request("PUT", f"{POLLING}&sid=<sid>", "Content-Length: 0")), Reply(400, BAD)),
        alive=1,
    ),
    Entry(
        "method.post-without-sid",
        "The body of what is refused is not the next request.",
        (Send(post(get(), target=WEBSOCKET) + get("/")), Reply(400, METHOD), Reply(404, b"no such page")),
    ),
)
