"""Who may connect from a browser, and the CORS headers that say so.

A browser names the page that asks in the ``Origin`` header. For polling it enforces the answer itself (the Fetch
standard, "CORS protocol"), but a page of any site may open a WebSocket anywhere and its cookies go along. So the server
refuses, and it refuses polling and WebSocket alike. A request without the header is no cross-origin request of a script
in a browser and is allowed.

Nothing that a client sends reaches a response header or a log unchecked: an origin is echoed only if it has the form of
one, and log sentences carry the `repr` of anything else.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trio_socketio.engine.config import TOKEN, EngineConfig, normalise_origin
from trio_socketio.engine.proxies import LOCAL

if TYPE_CHECKING:  # request.py calls this module; only the name of its type is needed here
    from trio_socketio.engine.request import Request

Headers = tuple[tuple[str, str], ...]

NULL_ORIGIN = "null"
"""The origin of sandboxed frames, of local files and of some redirects: it tells nothing about who asks."""

_ALLOWED_METHODS = "GET, POST, OPTIONS"
_MAX_AGE = "600"  # seconds; the longest that WebKit keeps a preflight, and a changed option is felt soon
_MAX_REQUESTED_HEADERS = 1024  # characters; the list is echoed, and no application has that many


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may come from where it comes."""

    allowed: bool
    origin: str | None = None
    """The origin that the response may name; None if the request has none or is refused."""
    log: str | None = None
    """Why it was refused, as a sentence with the option to set; None if it was not."""


_NO_ORIGIN = Verdict(allowed=True)


def allowed_origin(request: "Request", config: EngineConfig) -> Verdict:
    """Judge the ``Origin`` header of a request by ``cors_allowed_origins``.

    A function given as that option is the application's: what it raises is raised here too.
    """
    origin = request.by_name.get("origin")
    if origin is None:
        return _NO_ORIGIN
    known = normalise_origin(origin)
    if known is None and origin != NULL_ORIGIN:
        return Verdict(allowed=False, log=f"refused the Origin header {origin[:100]!r}: it is not an origin")

    policy = config.cors_allowed_origins
    if callable(policy):
        answer: object = policy(origin)
        if answer is True:
            return Verdict(allowed=True, origin=origin)
        why = "" if answer is False else f" with {type(answer).__name__} where True or False is expected"
        return Verdict(
            allowed=False, log=f"refused origin {origin!r}: the function cors_allowed_origins declined it{why}"
        )
    if policy == "*" or known in config.origin_set:
        return Verdict(allowed=True, origin=origin)
    if policy is None and known is not None and known == normalise_origin(_own_origin(request)):
        return Verdict(allowed=True, origin=origin)
    return Verdict(
        allowed=False, log=f"refused origin {origin!r} for {_own_origin(request)}: {_remedy(known, request, config)}"
    )


def cors_headers(verdict: Verdict, config: EngineConfig) -> Headers:
    """Return the CORS headers of a response; none if the request was refused or names no origin."""
    if verdict.origin is None:
        return ()
    if config.cors_credentials:
        return (
            ("Access-Control-Allow-Origin", verdict.origin),
            ("Vary", "Origin"),
            ("Access-Control-Allow-Credentials", "true"),
        )
    if config.cors_allowed_origins == "*":
        return (("Access-Control-Allow-Origin", "*"),)
    return (("Access-Control-Allow-Origin", verdict.origin), ("Vary", "Origin"))


def preflight_headers(verdict: Verdict, request: "Request", config: EngineConfig) -> Headers:
    """Return the CORS headers of the answer to a preflight; none if it was refused or names no origin."""
    if verdict.origin is None:
        return ()
    headers = (
        *cors_headers(verdict, config),
        ("Access-Control-Allow-Methods", _ALLOWED_METHODS),
        ("Access-Control-Max-Age", _MAX_AGE),
    )
    requested = request.header("access-control-request-headers") or ""
    names = [name.strip(" \t") for name in requested.split(",")]
    if len(requested) <= _MAX_REQUESTED_HEADERS and all(TOKEN.fullmatch(name) for name in names):
        headers += (("Access-Control-Allow-Headers", ", ".join(names)),)
    return headers


def _own_origin(request: "Request") -> str:
    return f"{request.scheme}://{request.host}"


def _remedy(known: str | None, request: "Request", config: EngineConfig) -> str:
    if known is None:
        return "to allow sandboxed pages and local files, pass a function as cors_allowed_origins that accepts 'null'"
    if config.cors_allowed_origins is not None:
        return f'to allow it, add "{known}" to cors_allowed_origins'
    advice = f'to allow it, pass cors_allowed_origins="{known}" (or a list with it)'
    if known == normalise_origin(f"https://{request.host}"):
        proxy = '"local"' if request.address == LOCAL else "its address"
        return f"{advice}; if a proxy in front of this server speaks TLS, name {proxy} in trusted_proxies instead"
    return advice
