"""What an ASGI host tells of a request, read as this server reads requests (ASGI specification, "HTTP & WebSocket").

An ASGI application is any callable that takes a scope, a function to receive messages and one to send them. All three are
dictionaries and plain functions; hosts and frameworks have types of their own for them, and `Any` fits all.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from trio_socketio.engine.origins import Headers
from trio_socketio.engine.proxies import LOCAL, TrustedProxies
from trio_socketio.engine.request import Request, parse_request

Scope: TypeAlias = Any
"""What is known of a connection or a request before its first message: a dictionary with string keys."""
Message: TypeAlias = Any
"""What is sent and received: a dictionary with string keys, ``type`` among them."""
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_SECURE: Final = ("https", "wss")
_UNQUOTED: Final = "!$&'()*+,;=:@/"
"""What a path may hold as it is (RFC 3986, section 3.3), besides what is never quoted."""


def path_below(scope: Scope) -> str:
    """Return the path of a request below the one at which this application is mounted, not percent-decoded.

    A scope's ``path`` includes its ``root_path``. A proxy that takes the root path away before the host sees it
    is common as well, so a path that does not begin with it is taken as it is.
    """
    path = sent_path(scope)
    if not path.startswith("/"):  # absolute-form (RFC 9112, section 3.2.2), or ``*``
        path = _path_of_url(path)
    root = scope.get("root_path", "").rstrip("/")
    if not root:
        return path
    depth = root.count("/") + 1
    parts = path.split("/", depth)
    if unquote("/".join(parts[:depth])) != root:
        return path
    return "/" + parts[depth] if len(parts) > depth else ""


def sent_path(scope: Scope) -> str:
    """Return the path of a request as the client sent it, as far as the host tells that.

    Middleware that rewrites the path often leaves ``raw_path`` as it was: what was rewritten counts.
    """
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    if raw is not None:
        sent = raw.decode("latin-1").partition("?")[0]
        if unquote(sent) == path:
            return sent
    return quote(path, _UNQUOTED)


def _path_of_url(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return url


def read_request(scope: Scope, trusted_proxies: TrustedProxies) -> Request:
    """Return the request that a scope tells of.

    Raises:
        BadRequest: It breaks HTTP in a way that the host has let pass, or its query has too many fields.
    """
    query = scope.get("query_string", b"").decode("latin-1")
    path = sent_path(scope)
    return parse_request(
        scope.get("method", "GET"),  # a WebSocket has none: HTTP/1.1 begins it with GET, HTTP/2 with CONNECT
        f"{path}?{query}" if query else path,
        _headers(scope),
        peer_address=address_of(scope),
        secure=scope.get("scheme", "http") in _SECURE,
        trusted_proxies=trusted_proxies,
    )


def address_of(scope: Scope) -> str:
    """Return the address of a connection's peer; one that has none, such as a unix socket's, is ``local``."""
    client = scope.get("client")
    return str(client[0]) if client else LOCAL


def _headers(scope: Scope) -> Headers:
    """Return the headers. A WebSocket has those that say so, also if it came by HTTP/2, which has others (RFC 8441)."""
    headers = [
        (bytes(name).decode("latin-1").lower(), bytes(value).decode("latin-1"))
        for name, value in scope["headers"]
        if name != b"upgrade" or scope.get("http_version") != "1.0"  # which knows none (RFC 9110, section 7.8)
    ]
    if scope["type"] == "websocket" and not any(name == "upgrade" for name, _ in headers):
        headers += [("connection", "Upgrade"), ("upgrade", "websocket")]
    return tuple(headers)


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return headers as a message has them, whose names are in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
