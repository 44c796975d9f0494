"""The parts of the URL that a request of Engine.IO has (Engine.IO protocol, "Request path" and "Query parameters")."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from trio_socketio.protocol.explain_engineio import section
from trio_socketio.protocol.explain_spans import MAX_SPANS, Layer, Span, shown

_URL = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<host>[^/?#]*))?(?P<path>[^?#]*)(?P<mark>\??)(?P<query>[^#]*)(?P<fragment>.*)",
    re.DOTALL | re.IGNORECASE,
)
_SYNTAX = "RFC 3986, section 3"
_SCHEMES = {
    "http://": "plain HTTP",
    "https://": "HTTP in TLS",
    "ws://": "a WebSocket, which begins as an HTTP request",
    "wss://": "a WebSocket in TLS, which begins as an HTTP request",
}
_PATHS = {
    "/socket.io": "the path of Socket.IO, unless the application has chosen another",
    "/engine.io": "the path of Engine.IO without Socket.IO; that of Socket.IO is /socket.io/",
}
_UNSUPPORTED = 'a server answers 400 {"code":5,"message":"Unsupported protocol version"}'
_UNKNOWN = 'a server answers 400 {"code":0,"message":"Transport unknown"}'


@dataclass(frozen=True, slots=True)
class _Query:
    """What the parameters say together."""

    revision: int
    sid: str
    transport: str


def spans(target: str, revision: int) -> list[Span]:
    """Return the spans of a URL, or of the part of it that begins with the path or the query."""
    match = _URL.fullmatch(target)
    if match is None or not target:  # everything but the empty text matches
        return [Span(target, Layer.HTTP, "path", f"The URL is empty: {_UNSUPPORTED}", _SYNTAX, fault=True)]
    found = [*_before_query(match)]
    blamed = max(len(found) - 1, 0)  # what stands before the query, or the ? or the fragment if nothing does
    fields = match["query"].split("&", MAX_SPANS) if match["query"] else []
    first = dict(map(_field, reversed(fields)))
    if match["mark"]:
        found.append(Span("?", Layer.HTTP, "separator", "?: the query follows", _SYNTAX))
    query = _Query(revision, first.get("sid", ""), first.get("transport", ""))
    for index, text in enumerate(fields):
        if index:
            found.append(Span("&", Layer.HTTP, "separator", "&: another parameter follows", _SYNTAX))
        if index == MAX_SPANS:
            found.append(Span(text, Layer.HTTP, "rest", f"{len(text)} more characters, left whole", _SYNTAX))
        elif text:
            found.append(_parameter(text, query))
    if match["fragment"]:
        meaning = f"{shown(match['fragment'])}: the fragment, which is never sent to a server"
        found.append(Span(match["fragment"], Layer.HTTP, "fragment", meaning, _SYNTAX))
    if lacks := _lacking(first, revision):
        found[blamed] = replace(found[blamed], meaning=lacks, fault=True)
    return [span for span in found if span.content]


def _before_query(match: re.Match[str]) -> Iterator[Span]:
    if scheme := match["scheme"]:
        meaning = _SCHEMES.get(scheme.lower(), "a scheme that Engine.IO does not know")
        yield Span(scheme, Layer.HTTP, "scheme", f"{shown(scheme)}: {meaning}", _SYNTAX)
    if host := match["host"]:
        yield Span(host, Layer.HTTP, "host", f"{shown(host)}: where the server is", _SYNTAX)
    if path := match["path"]:
        meaning = _PATHS.get(path.rstrip("/"), "the path that the application has chosen; usual is /socket.io/")
        yield Span(path, Layer.HTTP, "path", f"{shown(path)}: {meaning}", section("Request path", 4))


def _field(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return unquote_plus(key), unquote_plus(value)


def _lacking(fields: dict[str, str], revision: int) -> str:
    if "EIO" not in fields:
        return f"The parameter EIO is missing: {_UNSUPPORTED}; usual is EIO={revision}"
    if "transport" not in fields:
        return f"The parameter transport is missing: {_UNKNOWN}; usual is transport=polling"
    return ""


def _parameter(text: str, query: _Query) -> Span:
    key, value = _field(text)
    fault = False
    match key:
        case "EIO":
            fault = value != str(query.revision)
            meaning = _revision(value, query.revision)
        case "transport":
            fault = value not in ("polling", "websocket")
            meaning = _transport(value, query.sid)
        case "sid":
            meaning = "the session, from the open packet" if value else "no session yet"
        case "t":
            meaning = "a stamp that keeps caches from answering; servers ignore it"
        case "b64":
            meaning = "the client cannot take bytes, they must come as base64; a parameter of revision 3"
        case "j":
            meaning = "the answer is wanted as JSONP, a script that calls this function; a parameter of revision 3"
        case _:
            meaning = "a parameter of the application's own"
    shown_value = shown(value)
    return Span(
        text, Layer.ENGINEIO, shown(key) or "parameter", f"{shown_value}: {meaning}", _section(key), fault=fault
    )


def _section(key: str) -> str:
    match key:
        case "t":
            return 'Socket.IO protocol, "Sample session"'
        case "b64" | "j":
            return section("URLs", 3)
        case _:
            return section("Query parameters", 4)


def _revision(value: str, revision: int) -> str:
    if value == str(revision):
        client = "Socket.IO 3 and later" if revision == 4 else "Socket.IO 2"
        return f"revision {value} of Engine.IO, as clients of {client} speak it"
    if value == "3":
        return f"revision 3, as clients of Socket.IO 2 speak it; where it is not allowed, {_UNSUPPORTED}"
    return f"not the revision {revision}: {_UNSUPPORTED}; usual is EIO={revision}"


def _transport(value: str, sid: str) -> str:
    match value:
        case "polling":
            return (
                "HTTP long-polling: GET to receive, POST to send"
                if sid
                else "the session begins with HTTP long-polling"
            )
        case "websocket":
            return "a WebSocket that is to take over the session" if sid else "the session begins with a WebSocket"
        case _:
            return f"no transport that servers know: {_UNKNOWN}; usual is polling or websocket"
