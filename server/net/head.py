"""The heads of ordinary HTTP/1.1 requests, read in a few steps of C speed.

Nearly every head that a client sends is of one kind: HTTP/1.1, lines that end with CRLF, one Host, no body or one whose length
is told once and in plain digits. These are read here. Every other head is `Unread.ODD` and is for h11, which gets the
same bytes from the beginning: what it finds wrong is wrong, and what is read here it would read alike.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from trio_socketio.engine.config import TOKEN
from trio_socketio.engine.origins import Headers

MAX_HEAD: Final = 16 * 1024
"""Bytes of a request's head, by default; Node has the same limit."""
MAX_FIELDS: Final = 100
"""Header lines of an ordinary head; the default of Apache's ``LimitRequestFields``. Browsers send about fifteen."""
MOST_KNOWN: Final = 2
"""Kinds of header lines that one connection repeats: those of its GETs, and those of a POST."""

_END: Final = b"\r\n\r\n"
_OTHER_END: Final = re.compile(rb"\n\r?\n")  # what h11 takes for the end of a head as well
_METHODS: Final = {b"GET": "GET", b"POST": "POST", b"OPTIONS": "OPTIONS"}
_REQUEST_LINE: Final = re.compile(rb"(GET|POST|OPTIONS) ([!-~]+) HTTP/1\.1\r\n")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")
_PLAIN: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
"""What header lines are made of: no control characters but the tab."""
_FIRST: Final = 0x21  # what begins below it is no request line, and h11 says so before the line has come to its end

_USUAL: Final = (
    "Host Connection Upgrade Origin Cookie User-Agent Accept Accept-Encoding Accept-Language Cache-Control Pragma Referer "
    "Content-Type Content-Length Sec-WebSocket-Key Sec-WebSocket-Version Sec-WebSocket-Extensions Sec-Fetch-Site "
    "Sec-Fetch-Mode Sec-Fetch-Dest sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform DNT Sec-GPC Priority "
    "X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Real-IP Authorization "
    "Access-Control-Request-Method Access-Control-Request-Headers Access-Control-Request-Private-Network"
)
_NAMES: Final = {spelt: name.lower() for name in _USUAL.split() for spelt in (name, name.lower())}
"""Names that need no look at their characters."""


class Unread(Enum):
    """Why there is no head."""

    PARTIAL = auto()
    """Its end has not come."""
    ODD = auto()
    """It is for h11, whether its end has come or not."""


@dataclass(slots=True)
class Fields:
    """The header lines of one head, or of all heads in which they are the same. Not to be changed."""

    headers: Headers
    """Names in lower case, decoded as latin-1, in the order in which they came."""
    by_name: dict[str, str]
    """The same by name; those that came repeatedly joined by ``", "``."""
    length: int
    """Bytes of the body."""
    keep_alive: bool
    """Whether the client may send another request on this connection."""


@dataclass(slots=True)
class Head:
    """The head of a request."""

    method: str
    target: str
    fields: Fields
    end: int
    """Where the body begins in the bytes that were read."""


def read_head(data: bytes, known: dict[bytes, Fields], most: int = MAX_HEAD) -> Head | Unread:
    """Read the head that some bytes begin with.

    Args:
        data: What has come so far.
        known: Header lines that have been read before, as they came: on one connection they are the same again and again,
            and are not read twice. `MOST_KNOWN` are kept.
        most: Bytes that it may have.
    """
    end = data.find(_END)
    if end < 0:
        odd = len(data) > most or (data and data[0] < _FIRST) or _OTHER_END.search(data) is not None
        return Unread.ODD if odd else Unread.PARTIAL
    line = _REQUEST_LINE.match(data)
    if line is None or end + len(_END) > most:
        return Unread.ODD
    start = line.end()
    if start > end:  # no header line at all
        return Unread.ODD
    raw = data[start:end]
    fields = known.get(raw)
    if fields is None:
        fields = read_fields(raw)
        if fields is None:
            return Unread.ODD
        if len(known) == MOST_KNOWN:
            known.clear()
        known[raw] = fields
    method, target = line.groups()
    return Head(_METHODS[method], target.decode("ascii"), fields, end + len(_END))


def read_fields(raw: bytes) -> Fields | None:
    """Read the header lines of a head; return None if there is anything unusual about them."""
    lines = raw.decode("latin-1").split("\r\n")
    if len(lines) > MAX_FIELDS or len(raw.translate(None, _PLAIN)) != 2 * (len(lines) - 1):
        return None  # a control character, or a CR or LF that stands alone
    headers: list[tuple[str, str]] = []
    by_name: dict[str, str] = {}
    for line in lines:
        spelt, colon, value = line.partition(":")
        name = _NAMES.get(spelt)
        if name is None:
            if not TOKEN.fullmatch(spelt):
                return None
            name = spelt.lower()
        if not colon:
            return None
        value = value.strip(" \t")
        headers.append((name, value))
        if name not in by_name:
            by_name[name] = value
        elif name in ("host", "content-length"):
            return None
        else:
            by_name[name] = f"{by_name[name]}, {value}"
    length = by_name.get("content-length", "0")
    if "host" not in by_name or "transfer-encoding" in by_name or "expect" in by_name or not _LENGTH.fullmatch(length):
        return None
    connection = by_name.get("connection")
    keep_alive = connection is None or "close" not in [token.strip(" \t") for token in connection.lower().split(",")]
    return Fields(tuple(headers), by_name, int(length), keep_alive)
