"""The bodies of polling requests and answers, taken apart for somebody who only listens.

Where the codec of `protocol.engineio` refuses a body as a whole, what is shown here is as much of it as there is: a fault
has to be seen to be found. All functions are pure.
"""

import json
import zlib
from collections.abc import Iterator

from trio_socketio.protocol.engineio import BINARY_PREFIX, SEPARATOR, decode_packet
from trio_socketio.protocol.errors import DecodeError

MAX_CONTENT = 16 * 1024 * 1024
"""Bytes of a body, decompressed, that is shown; servers allow 1 MB unless they are told otherwise."""

MAX_PACKETS = 65_536
"""Packets of one body that are shown; servers send 16, and more only if they are told to."""


def frames_of(text: str) -> Iterator[str | bytes]:
    """Return the packets of a payload as a WebSocket would carry them; what is broken stays as it is."""
    for part in text.split(SEPARATOR):
        if not part.startswith(BINARY_PREFIX):
            yield part
            continue
        try:
            yield decode_packet(part).data
        except DecodeError:
            yield part


def sid_of(frame: str) -> str:
    """Return the sid in an open packet, or nothing if it is none."""
    if not frame.startswith("0{"):
        return ""
    try:
        values = json.loads(frame[1:])
    except (ValueError, RecursionError):
        return ""
    sid = values.get("sid")
    return sid if isinstance(sid, str) else ""


def decompress(data: bytes, coding: str) -> bytes:
    """Undo a Content-Encoding.

    Raises:
        ValueError: It is unknown or broken, or the content is over the bound.
    """
    if coding in ("", "identity"):
        return data
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"its encoding is {coding!r:.40}")
    error: Exception | None = None
    # 47: gzip or zlib, by its head. Some senders take "deflate" for the bare format, which has no head.
    for window in (47, -15) if coding == "deflate" else (47,):
        inflater = zlib.decompressobj(window)
        try:
            content = inflater.decompress(data, MAX_CONTENT + 1)
        except zlib.error as broken:
            error = broken
            continue
        if len(content) > MAX_CONTENT:
            raise ValueError(f"it has more than {MAX_CONTENT} bytes when it is decompressed")
        if not inflater.eof:
            raise ValueError(f"its {coding} encoding ends too early")
        return content
    raise ValueError(f"its {coding} encoding is broken: {error}")


def is_utf8(data: bytes) -> bool:
    """Whether a body is text as it should be."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
