"""Sensible inputs: the vectors, the hostile corpus, the examples of the documentation and the recordings of the other tests."""

import html
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.target import MARK, joined
from hostile import engine_packets, handshakes, http_bodies, http_heads, origins, socketio_packets, websocket_frames
from support.hostile import Drip, Send

TESTS = Path(__file__).parent.parent
DOCS = TESTS.parent / "docs" / "wire-format.md"
HARS = sorted((TESTS / "wire" / "har").glob("*.har"))

UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@cache
def _vectors() -> Any:
    def with_bytes(fields: dict[str, Any]) -> Any:
        return bytes.fromhex(fields["$bytes"]) if set(fields) == {"$bytes"} else fields

    path = TESTS / "protocol" / "vectors.json"
    return json.loads(path.read_text("utf-8"), object_hook=with_bytes)


def packet_frames() -> Iterator[bytes]:
    """The frames of Socket.IO packets: each packet for itself, and all that are valid after one another."""
    table = _vectors()["socketio"]
    for vector in (*table["valid"], *table["invalid"]):
        yield joined(vector["frames"])
    yield joined(frame for vector in table["valid"] for frame in vector["frames"])


def engine_frames() -> Iterator[bytes]:
    """Engine.IO packets as a WebSocket carries them."""
    for inputs in (packet_frames(), _examples()):
        for data in inputs:
            yield MARK.join(part if part.startswith(b"\xfe") else b"4" + part for part in data.split(MARK))
    table = _vectors()["engineio"]
    for vector in (*table["packets"]["valid"], *table["packets"].get("invalid", ())):
        yield joined([vector["frame"]])
    yield b'0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}'
    yield b'\xfe\x04abc\xff451-["a",{"_placeholder":true,"num":0}]\xff\xfe\x04abc'


def payloads() -> Iterator[bytes]:
    """Bodies of polling requests."""
    table = _vectors()["engineio"]["payloads"]
    for vector in (*table["valid"], *table.get("invalid", ())):
        yield vector["payload"].encode("utf-8", "surrogatepass")


def engine_texts() -> Iterator[bytes]:
    """Packets, bodies and handshakes."""
    yield from engine_frames()
    yield from payloads()
    table = _vectors()["engineio"]["handshakes"]
    for vector in (*table["valid"], *table.get("invalid", ())):
        yield vector["json"].encode("utf-8", "surrogatepass")


def json_texts() -> Iterator[bytes]:
    """A number of characters to leave alone, then a frame, or the JSON text in it."""
    for data in packet_frames():
        for part in data.split(MARK):
            if not part.startswith(b"\xfe"):
                start = re.search(rb'[\[{"]', part)
                yield bytes([start.start() if start else 0]) + part
    for content in (
        b'{"a":[1,-2.5e3,"\\u00e9\\ud83d\\ude00",null,true,false]}',
        b"[" * 128 + b"]" * 128,
        b"[" * 129 + b"]" * 129,
        b"[" + b"9" * 400 + b"]",
        b"[-" + b"9" * 401 + b"]",
        b"[[" + b"9" * 401 + b"]]",
        b'["' + b"\\\\" * 200 + b'",[[1e400]]]',
        b' [ "\xed\xa0\x80" ] ',
    ):
        yield b"\0" + content


def _examples() -> Iterator[bytes]:
    """The Socket.IO packets of the documentation."""
    for line in re.findall(r"^[CS]\d?> (4.*)$", DOCS.read_text("utf-8"), re.MULTILINE):
        yield html.unescape(line[1:]).encode()


def conversations() -> Iterator[bytes]:
    """What hostile clients send on one connection, whole."""
    for entries in (handshakes, http_heads, http_bodies, websocket_frames, engine_packets, socketio_packets, origins):
        for entry in entries.ENTRIES:
            data = b"".join(step.data for step in entry.steps if isinstance(step, Send | Drip) and step.on == "a")
            if len(data) < 3000:
                yield data


def heads() -> Iterator[bytes]:
    """Requests."""
    yield UPGRADE
    yield UPGRADE.replace(b"GET ", b"OPTIONS ").replace(b"\r\n\r\n", b"\r\nOrigin: https://a.example\r\n\r\n")
    yield UPGRADE.replace(b"GET ", b"POST ").replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc")
    yield UPGRADE.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 1.2.3.4, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n")
    for data in conversations():
        if b"HTTP/1" in data:
            yield data


def targets() -> Iterator[bytes]:
    """URLs."""
    yield b"https://chat.example:8443/socket.io/?EIO=4&transport=polling&t=abc&sid=Zm9v%20&b64=1#fragment"
    for data in heads():
        words = data.split(b" ", 2)
        if len(words) == 3:
            yield words[1]


def websocket_bytes() -> Iterator[bytes]:
    """What follows an opening handshake."""
    for entry in (*websocket_frames.ENTRIES, *socketio_packets.ENTRIES):
        sent = [step.data for step in entry.steps if isinstance(step, Send) and not step.data.startswith(b"GET")]
        if sum(map(len, sent)) < 3000:
            yield b"".join(sent)
