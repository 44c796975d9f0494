"""One HTTP request as a value, and what an Engine.IO server does with it.

`parse_request` turns what an HTTP parser has read into a `Request`. `admit` reads the query (Engine.IO protocol,
"Transports" and "Protocol"), finds the session and returns what the request is: the driver only acts on it. The checks
come in this order, and the first that fails answers:

1. The origin, for polling and WebSocket alike: status 403, code 4. An OPTIONS request ends here, with 204 or 400.
2. ``EIO`` is 4: otherwise code 5.
3. ``transport`` is known and served: otherwise code 0.
4. With ``sid``: the session lives (code 1); then the transport fits the headers and the session, the method is GET or,
   for polling, POST, and a WebSocket may take over (code 3).
5. Without ``sid``, which an empty one equals: the method is GET (code 2), and the transport fits the headers (code 3).

HEAD is a method like any other that is not GET.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from trio_socketio.engine.config import TOKEN, EngineConfig, Transport
from trio_socketio.engine.origins import Headers, allowed_origin, cors_headers, preflight_headers
from trio_socketio.engine.proxies import NOBODY, IPAddress, TrustedProxies, read_peer

MAX_QUERY_FIELDS = 64
"""Query fields of one request; the protocol needs four, and parsing stays cheap for any client."""

_TARGET = re.compile(r"[!-\"$-~]+")  # printable ASCII without "#": a fragment is never sent (RFC 9112, section 3.2)
_ABSOLUTE = re.compile(r"https?://([^/?]*)([^?]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.]+\])(?::[0-9]{0,5})?")
_FORBIDDEN_IN_VALUE = re.compile(r"[\0\r\n]")  # RFC 9110, section 5.5
_FORWARDED_SCHEMES = {"https": True, "wss": True, "http": False, "ws": False}
_TRANSPORTS: Final = {str(transport): transport for transport in Transport}


class BadRequest(ValueError):  # noqa: N818 - the name of status 400
    """What came is no HTTP request that can be understood; the answer is status 400."""


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request, with the proxies that are trusted already taken into account."""

    method: str
    path: str
    """As it was sent, not percent-decoded; ``*`` for a request about the server as a whole."""
    query_string: str
    """As it was sent, without the question mark."""
    query: Mapping[str, str] = field(hash=False)
    """The decoded fields. Of several with one name the first counts, as in the Python server."""
    headers: Headers
    """Names in lower case, in the order in which they came."""
    address: str
    """The client's IP address, or what the listener calls its peer."""
    secure: bool
    """Whether the client speaks TLS, to this server or to a trusted proxy."""
    host: str
    """Host and port that the client asked for; empty if it did not say."""
    _joined: Mapping[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def by_name(self) -> Mapping[str, str]:
        """The headers by name, repeated ones joined by ``", "``; not to be changed, for several requests may share it."""
        joined = self._joined
        if joined is None:
            joined = _join(self.headers)
            object.__setattr__(self, "_joined", joined)
        return joined

    def header(self, name: str) -> str | None:
        """Return the value of a header, repeated ones joined by ``", "``, or None; case does not matter."""
        return self.by_name.get(name.lower())

    @property
    def header_map(self) -> dict[str, str]:
        """The headers by name, repeated ones joined by ``", "``."""
        return dict(self.by_name)

    @property
    def scheme(self) -> str:
        """``https`` or ``http``."""
        return "https" if self.secure else "http"

    @property
    def url(self) -> str:
        """The whole URL that the client asked for."""
        path = "" if self.path == "*" else self.path
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.host}{path}{query}"

    @property
    def is_websocket(self) -> bool:
        """Whether the client asks to switch to WebSocket (RFC 6455, section 4.2.1)."""
        return _has_token(self.by_name.get("upgrade"), "websocket") and _has_token(
            self.by_name.get("connection"), "upgrade"
        )


def _has_token(value: str | None, token: str) -> bool:
    if value is None:
        return False
    value = value.lower()
    return value == token or token in [item.strip(" \t") for item in value.split(",")]


def _join(headers: Headers) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def parse_request(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    *,
    peer_address: str,
    secure: bool,
    trusted_proxies: TrustedProxies = NOBODY,
) -> Request:
    """Return a request from what an HTTP parser has read.

    If the peer is a trusted proxy, its ``X-Forwarded-For``, ``-Proto`` and ``-Host`` headers count: `TrustedProxies.follow` finds
    the client, and from a list of schemes or hosts the entry of the outermost trusted proxy is taken. Entries that make no
    sense are ignored.

    Args:
        method: The method; its case counts.
        target: The request target, in origin-form, absolute-form or ``*`` (RFC 9112, section 3.2).
        headers: Names and values, decoded as latin-1.
        peer_address: The address at the other end of the connection.
        secure: Whether that connection is TLS.
        trusted_proxies: The proxies to believe, such as `EngineConfig.proxies`.

    Raises:
        BadRequest: The method, target, host or a header breaks HTTP, the end of the body is ambiguous, or the query has more
            than 64 fields.
    """
    if not TOKEN.fullmatch(method):
        raise BadRequest(f"the method {method[:40]!r} is not a token")
    lowered = tuple((name.lower(), value) for name, value in headers)
    for name, value in lowered:
        if not TOKEN.fullmatch(name) or _FORBIDDEN_IN_VALUE.search(value):
            raise BadRequest(f"the header {name[:40]!r} has characters that HTTP forbids")
    names = [name for name, _ in lowered]
    if "content-length" in names and "transfer-encoding" in names:
        # A proxy in front may believe the other one, and see other requests than we do (RFC 9112, section 6.3).
        raise BadRequest("the request says twice, and differently, where its body ends")
    if names.count("host") > 1:
        raise BadRequest("the request has more than one Host header")
    return make_request(
        method,
        target,
        lowered,
        _join(lowered),
        peer_address=peer_address,
        secure=secure,
        trusted_proxies=trusted_proxies,
    )


def make_request(
    method: str,
    target: str,
    headers: Headers,
    by_name: Mapping[str, str],
    *,
    peer_address: str,
    secure: bool,
    trusted_proxies: TrustedProxies = NOBODY,
) -> Request:
    """As `parse_request`, when the method and every single header are known to be right, and one Host at most is among them.

    Args:
        method: The method.
        target: The request target.
        headers: Names in lower case, and values.
        by_name: The same by name, repeated ones joined by ``", "``; it is shared from now on, and must not be changed.
        peer_address: The address at the other end of the connection.
        secure: Whether that connection is TLS.
        trusted_proxies: The proxies to believe.

    Raises:
        BadRequest: The target or the host breaks HTTP, or the query has more than 64 fields.
    """
    authority, path, query_string = _split_target(method, target)
    host = authority or by_name.get("host", "").strip(" \t")
    if not _HOST.fullmatch(host):
        raise BadRequest(f"the host {_shown_target(host)} is not a host name")
    query = _parse_query(query_string)
    peer, address = read_peer(peer_address)
    request = Request(method, path, query_string, query, headers, address, secure, host)
    object.__setattr__(request, "_joined", by_name)
    return _behind_proxies(request, peer, trusted_proxies) if trusted_proxies else request


def _parse_query(query_string: str) -> dict[str, str]:
    if query_string.count("&") >= MAX_QUERY_FIELDS:
        raise BadRequest(f"the query has more than {MAX_QUERY_FIELDS} fields")
    if "%" in query_string or "+" in query_string:
        return dict(reversed(parse_qsl(query_string, keep_blank_values=True)))
    parts = [part.partition("=") for part in reversed(query_string.split("&")) if part]
    return {name: value for name, _, value in parts}


def _split_target(method: str, target: str) -> tuple[str, str, str]:
    """Return authority, path and query; the authority is empty unless the target is in absolute-form."""
    if not _TARGET.fullmatch(target):
        raise BadRequest(f"the request target {_shown_target(target)} has characters that HTTP forbids")
    before, _, query_string = target.partition("?")
    if before.startswith("/") or (target == "*" and method == "OPTIONS"):
        return "", before, query_string
    absolute = _ABSOLUTE.fullmatch(before)
    if absolute is None or not absolute[1]:
        raise BadRequest(f"the request target {_shown_target(target)} is neither a path nor a URL")
    return absolute[1], absolute[2] or "/", query_string


def _shown_target(text: str) -> str:
    """Return the beginning of a target or of a host for the log: without a query, and without a user and password."""
    user, _, rest = text.partition("?")[0].rpartition("@")
    return repr((f"...@{rest}" if user else rest)[:40])


def _behind_proxies(request: Request, peer: IPAddress | str, trusted: TrustedProxies) -> Request:
    client, proxies = trusted.follow(peer, _forwarded(request, "x-forwarded-for"))
    if not proxies:
        return request
    scheme = _forwarded(request, "x-forwarded-proto")[-proxies:][0].lower()
    host = _forwarded(request, "x-forwarded-host")[-proxies:][0]
    secure = _FORWARDED_SCHEMES.get(scheme, request.secure)
    return replace(
        request, address=str(client), secure=secure, host=host if host and _HOST.fullmatch(host) else request.host
    )


def _forwarded(request: Request, name: str) -> list[str]:
    """Return the items of a list header; one empty item if it is missing."""
    return [item.strip(" \t") for item in (request.header(name) or "").split(",")]


class SessionView(Protocol):
    """What `admit` needs to know of a session."""

    @property
    def sid(self) -> str:
        """Its id on the wire."""
        ...

    @property
    def transport(self) -> Transport:
        """The transport that it uses now; polling until an upgrade is complete."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        ...


S = TypeVar("S", bound=SessionView)
_S_co = TypeVar("_S_co", bound=SessionView, covariant=True)


class Sessions(Protocol[_S_co]):
    """Where sessions are found: a dictionary by sid will do."""

    def get(self, sid: str, /) -> _S_co | None:
        """Return the session with this id, or None."""
        ...


class RejectCode(IntEnum):
    """The numbers of the JSON body that refuses a request, as the Node server has them."""

    TRANSPORT_UNKNOWN = 0
    SESSION_ID_UNKNOWN = 1
    BAD_HANDSHAKE_METHOD = 2
    BAD_REQUEST = 3
    FORBIDDEN = 4
    UNSUPPORTED_PROTOCOL_VERSION = 5


_MESSAGES = {
    RejectCode.TRANSPORT_UNKNOWN: "Transport unknown",
    RejectCode.SESSION_ID_UNKNOWN: "Session ID unknown",
    RejectCode.BAD_HANDSHAKE_METHOD: "Bad handshake method",
    RejectCode.BAD_REQUEST: "Bad request",
    RejectCode.FORBIDDEN: "Forbidden",
    RejectCode.UNSUPPORTED_PROTOCOL_VERSION: "Unsupported protocol version",
}


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a session: answer with its handshake, over a WebSocket once that is accepted."""

    transport: Transport
    cors: Headers


@dataclass(frozen=True, slots=True)
class Poll(Generic[S]):
    """Answer with the packets of the session, as soon as there are any."""

    session: S
    cors: Headers


@dataclass(frozen=True, slots=True)
class Post(Generic[S]):
    """Read the packets in the body into the session and answer ``ok``."""

    session: S
    cors: Headers


@dataclass(frozen=True, slots=True)
class Upgrade(Generic[S]):
    """Accept a WebSocket that wants to take over a session."""

    session: S
    refused: bool
    """Whether to close the WebSocket at once: the session has one already, and clients expect a close then."""
    cors: Headers


@dataclass(frozen=True, slots=True)
class Preflight:
    """Answer an OPTIONS request, with an empty body."""

    status: int
    """204, or 400 if the origin is refused."""
    cors: Headers
    log: str | None = None
    """Why it was refused."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the request; a WebSocket upgrade is refused with the same response."""

    status: int
    code: RejectCode | None
    """None for a refusal that Engine.IO has no number for."""
    message: str
    cors: Headers = ()
    log: str | None = None
    """What was wrong, as a sentence for the log; the client is told no more than `message`."""
    limit: str | None = None
    """The option whose bound was reached, if that is why."""

    @property
    def body(self) -> bytes:
        """The body: JSON with code and message, or the bare message if there is no code."""
        if self.code is None:
            return self.message.encode("utf-8", "backslashreplace")
        return json.dumps({"code": int(self.code), "message": self.message}, separators=(",", ":")).encode("ascii")

    @property
    def content_type(self) -> str:
        """The media type of `body`."""
        return "text/plain; charset=UTF-8" if self.code is None else "application/json"


Admission: TypeAlias = Open | Poll[S] | Post[S] | Upgrade[S] | Preflight | Reject


def handles(path: str, config: EngineConfig) -> bool:
    """Return whether a path is the Engine.IO path, with or without the trailing slash."""
    return path == config.path or f"{path}/" == config.path


def admit(request: Request, sessions: Sessions[S], config: EngineConfig) -> Admission[S]:
    """Decide what a request to the Engine.IO path is; the order of the checks stands at the top of this module.

    It raises nothing of its own; what a function given as ``cors_allowed_origins`` raises is the application's.
    """
    verdict = allowed_origin(request, config)
    if request.method == "OPTIONS":
        return Preflight(204 if verdict.allowed else 400, preflight_headers(verdict, request, config), verdict.log)
    cors = cors_headers(verdict, config)
    if not verdict.allowed:
        return reject(RejectCode.FORBIDDEN, cors, verdict.log)

    revision = request.query.get("EIO")
    if revision != "4":
        detail = f"EIO is {_shown(revision)}, and only revision 4 is served (3 is a Socket.IO 2.x client)"
        return reject(RejectCode.UNSUPPORTED_PROTOCOL_VERSION, cors, detail)
    name = request.query.get("transport")
    transport = None if name is None else _TRANSPORTS.get(name)
    if transport is None or transport not in config.transports:
        detail = f"transport is {_shown(name)}, and served are {', '.join(config.transports)}"
        return reject(RejectCode.TRANSPORT_UNKNOWN, cors, detail)
    sid = request.query.get("sid")
    if sid:
        return _admit_known(request, sessions.get(sid), transport, config, cors)

    if request.method != "GET":
        return reject(RejectCode.BAD_HANDSHAKE_METHOD, cors, f"{request.method[:20]} without a sid")
    if request.is_websocket != (transport is Transport.WEBSOCKET):
        return reject(RejectCode.BAD_REQUEST, cors, _mismatch(transport))
    return Open(transport, cors)


def reject(code: RejectCode, cors: Headers = (), log: str | None = None) -> Reject:
    """Return the refusal with this code, its status and its usual message."""
    return Reject(403 if code is RejectCode.FORBIDDEN else 400, code, _MESSAGES[code], cors, log)


def _admit_known(
    request: Request, session: S | None, transport: Transport, config: EngineConfig, cors: Headers
) -> Admission[S]:
    """Continue `admit` for a request with a sid."""
    if session is None or session.closed:
        detail = "the sid is unknown: its session has ended, or it lives in another process"
        return reject(RejectCode.SESSION_ID_UNKNOWN, cors, detail)
    if request.is_websocket != (transport is Transport.WEBSOCKET):
        return reject(RejectCode.BAD_REQUEST, cors, _mismatch(transport))

    if transport is Transport.POLLING:
        if session.transport is not Transport.POLLING:
            return reject(RejectCode.BAD_REQUEST, cors, f"the session has left polling for {session.transport}")
        if request.method in ("GET", "POST"):
            return Poll(session, cors) if request.method == "GET" else Post(session, cors)
        return reject(RejectCode.BAD_REQUEST, cors, f"{request.method[:20]} for a session; polling uses GET and POST")

    if request.method != "GET":
        return reject(RejectCode.BAD_REQUEST, cors, f"{request.method[:20]} with a WebSocket; the method must be GET")
    if not config.allow_upgrades:
        return reject(RejectCode.BAD_REQUEST, cors, "a WebSocket for a polling session, and allow_upgrades is off")
    return Upgrade(session, session.transport is not Transport.POLLING, cors)


def _mismatch(transport: Transport) -> str:
    if transport is Transport.WEBSOCKET:
        return (
            "transport is websocket without a WebSocket upgrade: does a proxy drop the Upgrade and Connection headers?"
        )
    return "transport is polling, and the headers ask for a WebSocket"


def _shown(value: str | None) -> str:
    return "missing" if value is None else repr(value[:40])
