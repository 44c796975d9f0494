"""The options of an Engine.IO server as one frozen value, checked when it is made.

Every wrong value is refused with a sentence that names the option, the value and what is right, so that a mistake shows
at start-up and not with the first client. Times are seconds and sizes are bytes, everywhere.
"""

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trio_socketio.engine.proxies import IPAddress, IPNetwork, TrustedProxies

AllowedOrigins = str | Iterable[str] | Callable[[str], bool] | None
CookieAttributes = Mapping[str, str | int | bool | None]

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of HTTP (RFC 9110, section 5.6.2): a method, the name of a header or of a cookie."""

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,31})://(?P<host>[a-z0-9._~-]{0,255}|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{0,5}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SHORTEST = 0.001  # the handshake advertises whole milliseconds, and 0 would mean "at once"
_LONGEST = 2_147_483.0  # the JavaScript client waits with setTimeout, which fires at once above 2**31 - 1 ms

_COOKIE_TEXTS = {"path": "Path", "domain": "Domain", "expires": "Expires", "samesite": "SameSite"}
_COOKIE_FLAGS = {"httponly": "HttpOnly", "secure": "Secure", "partitioned": "Partitioned"}
_COOKIE_DEFAULTS: CookieAttributes = {"Path": "/", "HttpOnly": True, "SameSite": "Lax"}
_COOKIE_TEXT = re.compile(r"[\x20-\x3a\x3c-\x7e]+")  # printable, and no semicolon: it would begin another attribute


class Transport(StrEnum):
    """How the frames of a session travel: the words of the ``transport`` query parameter."""

    POLLING = "polling"
    """HTTP long polling: GET takes packets, POST brings them."""
    WEBSOCKET = "websocket"
    """One packet per WebSocket frame."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What an Engine.IO server allows and promises.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: An option has a value that cannot work.
    """

    ping_interval: float = 25.0
    """Seconds from one ping to the next. 25 is the default of the Node server: it stays below the idle timeouts of
    common proxies (60 s in nginx, 55 s at Heroku)."""
    ping_timeout: float = 20.0
    """Seconds in which a ping must be answered. 20 is the default of the Node server since revision 4: a browser tab
    that renders a heavy page may be silent for some seconds."""
    upgrade_timeout: float = 10.0
    """Seconds in which a probing WebSocket must complete the upgrade, as in the Node server."""
    max_payload: int = 1_000_000
    """Bytes of one inbound message or of one polling body; advertised as ``maxPayload``. The Node and the Python server
    have the same limit."""
    max_buffered_bytes: int = 4 * 1024 * 1024
    """Bytes that may wait for one slow client before its session is closed: room for four messages of the largest
    size, and 1000 stalled clients cost 4 GiB at worst."""
    max_buffered_packets: int = 4096
    """Packets that may wait for one slow client before its session is closed: small packets cost more memory than
    their bytes tell."""
    max_packets_per_poll: int = 16
    """Packets in one polling answer; the rest goes with the next. The Python client refuses more than 16."""
    transports: Iterable[str] = (Transport.POLLING, Transport.WEBSOCKET)
    """The transports that are served, by name; stored as a tuple of `Transport`."""
    allow_upgrades: bool = True
    """Whether a polling session may move to a WebSocket."""
    path: str = "/socket.io/"
    """The path of every request, the default of all clients; stored with a trailing slash and served without it too."""
    cors_allowed_origins: AllowedOrigins = None
    """Which origins a browser may connect from, by polling and by WebSocket alike.

    None allows only the origin of the server itself, which is the safe default of the Python server. ``"*"`` allows
    every origin. A string or several allow exactly these: an explicit list says everything, so the server's own origin
    counts only if it is listed (as in the Python server). A plain function is asked with the origin, or with
    ``"null"``, and answers True or False.

    With ``"*"`` and `cors_credentials` the answer echoes the origin of the request, because a browser accepts no
    ``*`` together with credentials: every page on the web can then act with the cookies of its visitor."""
    cors_credentials: bool = True
    """Whether a page of another origin may send its cookies. On, as in the Python server: load balancers keep a client
    on one worker by a cookie."""
    trusted_proxies: Iterable[str | IPAddress | IPNetwork] = ()
    """Addresses and networks (``"10.0.0.0/8"``) of the proxies whose ``X-Forwarded-*`` headers count, and ``"local"`` for one
    that connects over a unix socket. None by default: anyone can send these headers."""
    cookie: str | CookieAttributes | None = field(default=None, hash=False)
    """A cookie that carries the sid, for load balancers that need one: its name, or its attributes with ``"name"``
    (``path``, ``domain``, ``expires``, ``max_age`` in seconds, ``same_site``, ``http_only``, ``secure``,
    ``partitioned``; case, ``-`` and ``_`` do not matter; None or False leaves an attribute out). ``Path=/``,
    ``HttpOnly`` and ``SameSite=Lax`` hold unless they are given, as in the Node server. None sets no cookie: no client
    needs it."""

    origin_set: frozenset[str] = field(init=False, repr=False, compare=False)
    """The origins that are allowed by name, as `normalise_origin` returns them."""
    proxies: TrustedProxies = field(init=False, repr=False, compare=False)
    """`trusted_proxies`, parsed."""
    _cookie_parts: tuple[str, str] | None = field(init=False, repr=False, compare=False)
    """What stands before and behind the sid in the ``Set-Cookie`` header."""

    def __post_init__(self) -> None:
        for name in ("ping_interval", "ping_timeout", "upgrade_timeout"):
            check_seconds(name, getattr(self, name))
        if self.ping_interval + self.ping_timeout > _LONGEST:
            raise ValueError(
                f"ping_interval and ping_timeout are {self.ping_interval + self.ping_timeout:g} s together; "
                f"JavaScript clients can wait {_LONGEST:.0f} s at most"
            )
        for name in ("max_payload", "max_buffered_bytes", "max_buffered_packets", "max_packets_per_poll"):
            check_count(name, getattr(self, name))
        for name in ("allow_upgrades", "cors_credentials"):
            check_flag(name, getattr(self, name))
        cookie = self.cookie
        derived: dict[str, object] = {
            "transports": _transports(self.transports),
            "path": _path(self.path),
            "cors_allowed_origins": (origins := _origins(self.cors_allowed_origins)),
            "origin_set": frozenset(origins) if isinstance(origins, tuple) else frozenset(),
            "trusted_proxies": (proxies := _several("trusted_proxies", self.trusted_proxies, '("10.0.0.1",)')),
            "proxies": TrustedProxies.parse(proxies),
            "cookie": dict(cookie) if isinstance(cookie, Mapping) else cookie,
            "_cookie_parts": _cookie_parts(cookie),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def cookie_header(self, sid: str) -> str | None:
        """Return the value of the ``Set-Cookie`` header for the handshake of session ``sid``, or None for no header."""
        if self._cookie_parts is None:
            return None
        before, behind = self._cookie_parts
        return f"{before}{sid}{behind}"


def normalise_origin(origin: str) -> str | None:
    """Return an origin in the form in which two are compared (RFC 6454, section 6.2), or None if it is none.

    The host is in lower case and the scheme's default port is left out. Schemes of applications count
    (``capacitor://localhost``), and so does ``file://``; ``null`` does not.
    """
    match = _ORIGIN.fullmatch(origin.lower()) if origin.isascii() else None
    if match is None:
        return None
    scheme, host, port = match["scheme"], match["host"], match["port"]
    if not host and (scheme in _DEFAULT_PORTS or port):
        return None
    if not port or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}" if int(port) <= 65535 else None


def check_seconds(name: str, value: object, *, least: float = _SHORTEST, most: float = _LONGEST) -> None:
    """See whether an option is a time that can work.

    Raises:
        TypeError: It is no number.
        ValueError: It is too short or too long.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not least <= value <= most:
        bounds = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:.0f}"
        raise ValueError(f"{name} is {value!r}; it must be {bounds} seconds")


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """See whether an option is a number of things that can work.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is too low.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")


def check_flag(name: str, value: object) -> None:
    """See whether an option is a bool.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")


def check_function(name: str, value: object, *, awaited: bool) -> None:
    """See whether an option is a function, or is called like one, and async if what it returns is awaited.

    Raises:
        TypeError: It cannot be called, or is not async where it must be, or the reverse.
    """
    kind, other = ("an async", "a plain") if awaited else ("a plain", "an async")
    if not callable(value):
        raise TypeError(f"{name} must be {kind} function, not {value!r}")
    if _is_async(value) is (not awaited):
        raise TypeError(f"{name} is {other} function, {value!r}; it must be {kind} one")


def _is_async(function: object) -> bool | None:
    """Return whether a call must be awaited, or None if that cannot be known: not everything is written in Python."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    if inspect.iscoroutinefunction(function):
        return True
    if not hasattr(function, "__code__") or inspect.iscoroutinefunction(inspect.unwrap(function)):
        return None  # a decorator's plain function may return what the async one within returns
    return False


def _several(name: str, value: object, example: str) -> tuple[object, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be several values, such as {example}, not {value!r}")
    return tuple(value)


def _transports(value: object) -> tuple[Transport, ...]:
    names = _several("transports", value, '("polling", "websocket")')
    known = ", ".join(f'"{transport}"' for transport in Transport)
    for name in names:
        if name not in list(Transport):
            raise ValueError(f"transports holds {name!r}; what can be served is {known}")
    if not names:
        raise ValueError(f"transports is empty; name at least one of {known}")
    if len(set(names)) < len(names):
        raise ValueError(f"transports names one twice: {value!r}")
    return tuple(Transport(str(name)) for name in names)


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"path must be a string, not {value!r}")
    if not value.startswith("/"):
        raise ValueError(f"path is {value!r}; it must begin with a slash: {'/' + value!r}")
    if not re.fullmatch(r"[!-~]+", value) or "?" in value or "#" in value:
        raise ValueError(f"path is {value!r}; it must be printable ASCII without spaces, '?' and '#'")
    return value if value.endswith("/") else value + "/"


def _origins(value: object) -> object:
    """Return the policy in its stored form: None, ``"*"``, a function, or a tuple of normalised origins."""
    if value is None or value == "*":
        return value
    if isinstance(value, str):
        return (_origin(value),)
    if callable(value):
        check_function("cors_allowed_origins", value, awaited=False)
        return value
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise TypeError(f'cors_allowed_origins must be None, "*", an origin, several, or a function, not {value!r}')
    origins = tuple(_origin(origin) for origin in value)
    if not origins:
        raise ValueError('cors_allowed_origins is empty; None allows only the server\'s own origin, "*" allows all')
    return origins


def _origin(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"cors_allowed_origins holds {value!r}; each origin must be a string")
    origin = normalise_origin(value)
    if origin is not None:
        return origin
    if value == "*":
        raise ValueError('cors_allowed_origins holds "*" among others; to allow every origin, pass "*" alone')
    if "*" in value:
        raise ValueError(f"cors_allowed_origins holds {value!r}; patterns are not supported, pass a function instead")
    if value == "null":
        raise ValueError(
            'cors_allowed_origins holds "null", the origin of any sandboxed page; pass a function to allow it'
        )
    trimmed = normalise_origin("/".join(value.split("/")[:3]))
    if trimmed is not None:
        raise ValueError(
            f'cors_allowed_origins holds {value!r}; an origin ends with its host or port: write "{trimmed}"'
        )
    if "://" not in value and (guess := normalise_origin(f"https://{value.split('/')[0]}")) is not None:
        raise ValueError(f'cors_allowed_origins holds {value!r}, which has no scheme: write "{guess}"')
    raise ValueError(
        f'cors_allowed_origins holds {value!r}, which is no origin: write one as "https://example.com:8443"'
    )


def _cookie_parts(cookie: object) -> tuple[str, str] | None:
    if cookie is None:
        return None
    if isinstance(cookie, str):
        cookie = {"name": cookie}
    if not isinstance(cookie, Mapping):
        raise TypeError(f"cookie must be None, a name, or a mapping of attributes, not {cookie!r}")
    name = cookie.get("name")
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise ValueError(
            f'cookie has the name {name!r}; it needs a "name" of letters, digits and a few signs such as "_"'
        )
    written: dict[str, object] = dict(_COOKIE_DEFAULTS)
    for key, value in cookie.items():
        if key != "name":
            written.update([_cookie_attribute(key, value)])
    kept = {key: value for key, value in written.items() if value is not None and value is not False}
    if kept.get("SameSite") == "None" and "Secure" not in kept:
        raise ValueError('cookie has same_site="None", which browsers accept only together with secure=True')
    parts = (f"; {key}" if value is True else f"; {key}={value}" for key, value in kept.items())
    return f"{name}=", "".join(parts)


def _cookie_attribute(key: object, value: object) -> tuple[str, object]:
    """Return an attribute under its name on the wire (RFC 6265, section 4.1.1)."""
    word = str(key).lower().replace("-", "").replace("_", "")
    if word == "maxage":
        if isinstance(value, bool) or not isinstance(value, int | None):
            raise TypeError(f"cookie has {key}={value!r}; it must be a whole number of seconds")
        return "Max-Age", value
    if word in _COOKIE_FLAGS:
        if not isinstance(value, bool | None):
            raise TypeError(f"cookie has {key}={value!r}; it must be True or False")
        return _COOKIE_FLAGS[word], value
    if word not in _COOKIE_TEXTS:
        known = ", ".join(["name", "max_age", *_COOKIE_TEXTS, *_COOKIE_FLAGS])
        raise ValueError(f"cookie has an unknown attribute {key!r}; known are {known}")
    if value is None or value is False:
        return _COOKIE_TEXTS[word], None
    if not isinstance(value, str):
        raise TypeError(f"cookie has {key}={value!r}; it must be a string")
    if not _COOKIE_TEXT.fullmatch(value):
        raise ValueError(f"cookie has {key}={value!r}; it must be printable ASCII without a semicolon")
    if word == "samesite":
        value = value.capitalize()
        if value not in ("Strict", "Lax", "None"):
            raise ValueError(f'cookie has {key}={value!r}; it must be "Strict", "Lax" or "None"')
    return _COOKIE_TEXTS[word], value
