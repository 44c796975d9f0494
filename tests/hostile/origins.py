"""Pages of other sites: what a browser lets them send must open, take over and change nothing."""

from hostile.handshakes import FORBIDDEN
from support.hostile import (
    OPENED,
    POLLING,
    SECRET,
    WEBSOCKET,
    End,
    Entry,
    Reply,
    Send,
    Text,
    attached,
    get,
    polling_joined,
    post,
    request,
    served_polling,
    text,
    upgrade,
)

SESSION = f"{POLLING}&sid=<sid>"
CANDIDATE = f"{WEBSOCKET}&sid=<sid>"
NO_CORS = {"access-control-allow-origin": None, "access-control-allow-credentials": None}
GOOD = {"cors_allowed_origins": "http://good.example"}
MESSAGE = f'42["message","{SECRET}"]'.encode()


def _refused(name: str, what: str, origin: str, options: dict[str, object] = GOOD, *lines: str) -> Entry:
    """An origin that is refused for everything that it could ask for; the session of somebody else goes on."""
    lines = (f"Origin: {origin}", f"Cookie: token={SECRET}", *lines)
    return Entry(
        f"origin.{name}",
        what,
        (
            Send(get(POLLING, *lines)),
            Reply(403, FORBIDDEN, NO_CORS),
            Send(upgrade(WEBSOCKET, *lines)),
            Reply(403, FORBIDDEN, {**NO_CORS, "sec-websocket-accept": None}),
            Send(request("OPTIONS", POLLING, *lines, "Access-Control-Request-Method: POST")),
            Reply(400, b"", {**NO_CORS, "access-control-allow-methods": None}),
            *polling_joined(),
            Send(upgrade(CANDIDATE, *lines)),
            Reply(403, FORBIDDEN, NO_CORS),
            Send(post(MESSAGE, *lines)),
            Reply(403, FORBIDDEN, NO_CORS),
            Send(get(SESSION, *lines)),
            Reply(403, FORBIDDEN, NO_CORS),
            *served_polling(),
        ),
        alive=1,
        called=("connect", "message"),
        options=options,
    )


def _allowed(name: str, what: str, origin: str, options: dict[str, object] = GOOD) -> Entry:
    return Entry(
        f"origin.{name}",
        what,
        (
            Send(get(POLLING, f"Origin: {origin}")),
            Reply(200, OPENED, {"access-control-allow-origin": origin, "vary": "Origin"}),
            Send(upgrade(WEBSOCKET, f"Origin: {origin}")),
            Reply(101),
            Text(OPENED),
        ),
        alive=2,
        options=options,
    )


ENTRIES = (
    _refused("foreign", "A page of another site, where none is allowed.", "http://evil.example", {}),
    _refused("null", "A sandboxed page, where none is allowed.", "null", {}),
    _refused("own-port", "Another port of the same host.", "http://chat.example:8080", {}),
    _refused("own-scheme", "Another scheme of the same host.", "https://chat.example", {}),
    _refused("own-suffix", "A host that only begins alike.", "http://chat.example.evil.example", {}),
    _refused("own-prefix", "A host that only ends alike.", "http://evil-chat.example", {}),
    _refused(
        "forwarded",
        "Headers that only proxies may send.",
        "http://evil.example",
        {},
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: http",
    ),
    _allowed("own", "The server's own page.", "http://chat.example", {}),
    _refused("listed-null", "A sandboxed page.", "null"),
    _refused("listed-own", "A list says everything: the own page is not on it.", "http://chat.example"),
    _refused("suffix", "A host that only begins alike.", "http://good.example.evil.example"),
    _refused("prefix", "A host that only ends alike.", "http://evilgood.example"),
    _refused("below", "A host below.", "http://evil.good.example"),
    _refused("dot", "A host with a dot behind it.", "http://good.example."),
    _refused("port", "Another port.", "http://good.example:8080"),
    _refused("port-large", "A port that does not exist.", "http://good.example:65616"),
    _refused("port-word", "A port that is none.", "http://good.example:evil"),
    _refused("port-two", "Two ports.", "http://good.example:80:80"),
    _refused("scheme", "Another scheme.", "https://good.example"),
    _refused("userinfo", "A host in front of an at sign.", "http://good.example@evil.example"),
    _refused("userinfo-port", "The same with a port.", "http://good.example:80@evil.example"),
    _refused("path", "An origin with a path.", "http://good.example/"),
    _refused("query", "An origin with a query.", "http://good.example?evil.example"),
    _refused("escape", "An origin with an escape.", "http://good.example%2eevil.example"),
    _refused("backslash", "An origin with a backslash.", "http://good.example\\evil.example"),
    _refused("list", "Two origins in a list.", "http://good.example, http://evil.example"),
    _refused("blanks", "Two with a blank between.", "http://good.example http://evil.example"),
    _refused("twice", "Two headers.", "http://good.example", GOOD, "Origin: http://evil.example"),
    _refused("empty", "No origin in the header.", ""),
    _refused("asterisk", "The sign for all origins.", "*"),
    _refused("script", "A letter of another script that looks alike.", "http://g\xf6od.example"),
    _refused("long", "An origin of thousands of characters.", "http://good.example." + "x" * 5000),
    _refused(
        "function", "A function that says no.", "http://good.example", {"cors_allowed_origins": lambda origin: False}
    ),
    _refused(
        "function-odd",
        "A function that says neither.",
        "http://good.example",
        {"cors_allowed_origins": lambda origin: "yes"},
    ),
    _allowed("default-port", "The port that goes without saying.", "http://good.example:80"),
    _allowed("case", "A host has no case.", "HTTP://GOOD.EXAMPLE"),
    Entry(
        "origin.bound",
        "A session belongs to nobody's page: who may connect may take it over, and nobody else.",
        (
            *attached()[:-2],
            Send(upgrade(CANDIDATE, "Origin: http://evil.example"), "b"),
            Reply(403, FORBIDDEN, on="b"),
            Send(upgrade(CANDIDATE, "Origin: http://good.example"), "b"),
            Reply(101, on="b"),
            Send(text("2probe"), "b"),
            Text("3probe", "b"),
        ),
        alive=1,
        options=GOOD,
    ),
    Entry(
        "origin.old-websocket",
        "The header by its old name allows nothing and refuses nothing.",
        (Send(upgrade(WEBSOCKET, "Sec-WebSocket-Origin: http://evil.example")), Reply(101), Text(OPENED)),
        alive=1,
    ),
    Entry(
        "origin.http-1.0",
        "An older HTTP is no way around.",
        (
            Send(get(POLLING, "Origin: http://evil.example").replace(b"HTTP/1.1", b"HTTP/1.0")),
            Reply(403, FORBIDDEN, NO_CORS),
            End(),
        ),
    ),
)
