"""Whole HTTP answers as values, as bytes, and their compression (RFC 9110, section 12.5.3)."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from trio_socketio.engine.origins import Headers
from wsproto.utilities import generate_accept_token

LEVEL: Final = 6
"""The default of zlib: higher levels cost time and gain little."""
NO_BODY: Final = (204, 304)
"""Statuses whose answers have neither a body nor a length (RFC 9110, section 8.6)."""

_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response whose body is known."""

    status: int
    body: bytes
    headers: Headers = ()
    close: bool = False
    """Whether the connection must end with it."""


_REASONS: Final = {int(status): status.phrase.encode("ascii") for status in HTTPStatus}


def reason(status: int) -> bytes:
    """Return the words behind a status; clients need not read them (RFC 9112, section 4), and some do."""
    return _REASONS.get(status, b"")


def complete(answer: Answer, date: Headers, *, close: bool) -> Headers:
    """Return all headers of an answer.

    Args:
        answer: The answer.
        date: The Date header.
        close: Whether the connection ends with it.
    """
    headers = _without_length(answer.headers, date, close=close)
    if answer.status in NO_BODY or any(name == "content-length" for name, _ in answer.headers):
        return headers
    return (*headers, ("content-length", str(len(answer.body))))


def render(answer: Answer, date: Headers, *, close: bool) -> bytes:
    """Return an answer of our own, whose headers have no length yet, as it goes on the wire."""
    head = _render_head(answer.status, answer.headers, date, close)
    if answer.status in NO_BODY:
        return head + b"\r\n"
    body = answer.body
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


def render_switching(key: str) -> bytes:
    """Return the answer that accepts a WebSocket as it goes on the wire (RFC 6455, section 4.2.2).

    Args:
        key: The ``Sec-WebSocket-Key`` of the request.
    """
    return _SWITCHING % generate_accept_token(key.encode("ascii"))


@lru_cache(maxsize=256)
def _render_head(status: int, headers: Headers, date: Headers, close: bool) -> bytes:  # noqa: FBT001  # a keyword costs a cache more
    lines = "".join([f"{name}: {value}\r\n" for name, value in _without_length(headers, date, close=close)])
    return b"HTTP/1.1 %d %b\r\n%b" % (status, reason(status), lines.encode("latin-1"))


def _without_length(headers: Headers, date: Headers, *, close: bool) -> Headers:
    return (*headers, *date, ("connection", "close")) if close else (*headers, *date)


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, LEVEL, mtime=0)


def _deflate(body: bytes) -> bytes:
    return zlib.compress(body, LEVEL)


_CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": _gzip, "deflate": _deflate}
"""By preference; ``deflate`` is the zlib format, whatever its name says (RFC 9110, section 8.4.1.2)."""


def compress(answer: Answer, accepted: str | None) -> Answer:
    """Return an answer compressed as the request's ``Accept-Encoding`` allows, or as it is."""
    varies = replace(answer, headers=(*answer.headers, ("vary", "Accept-Encoding")))
    coding = choose_coding(accepted or "")
    if coding is None:
        return varies
    return replace(varies, body=_CODINGS[coding](answer.body), headers=(*varies.headers, ("content-encoding", coding)))


def choose_coding(accepted: str) -> str | None:
    """Return the coding that an ``Accept-Encoding`` header likes best among ours, or None for no coding."""
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        name, *parameters = [part.strip() for part in item.split(";")]
        weights[name] = _weight(parameters)
    best = max(_CODINGS, key=lambda coding: weights.get(coding, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) > 0 else None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
