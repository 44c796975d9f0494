"""Whole HTTP answers as values, and their compression (RFC 9110, section 12.5.3)."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from trio_socketio.engine.origins import Headers

LEVEL: Final = 6
"""The default of zlib: higher levels cost time and gain little."""


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
