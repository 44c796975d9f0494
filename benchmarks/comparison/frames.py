"""The frames that the load generator sends and expects: prepared once, compared as bytes.

A request is masked here, as a client must, and sent as it is from then on. What a server answers to the first one is taken
apart and compared with what it should be; from then on it must be the same bytes, so that counting them counts messages.
"""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from comparison.failure import BenchmarkError

TEXT: Final = 1
BINARY: Final = 2

MASK: Final = bytes.fromhex("37fa213d")
"""Any mask does, as long as it is not zero, which a server could take as a reason not to unmask."""

_PACKET: Final = re.compile(
    r"4(?P<type>[0-6])(?:(?P<count>\d+)-)?(?:(?P<namespace>/[^,]*),)?(?P<id>\d+)?(?P<json>.*)", re.S
)

Message = str | bytes


def masked(message: Message) -> bytes:
    """Return the WebSocket frame of a client with one message."""
    payload = message.encode() if isinstance(message, str) else message
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | _opcode(message), 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | _opcode(message), 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | _opcode(message), 0x80 | 127, size)
    key = int.from_bytes((MASK * (size // 4 + 1))[:size], "big")
    return head + MASK + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


def _opcode(message: Message) -> int:
    return TEXT if isinstance(message, str) else BINARY


def split(data: bytes | bytearray) -> tuple[list[Message], int]:
    """Take the whole frames of a server off the front of what came; return their messages, and how many bytes they were.

    Raises:
        BenchmarkError: There is a frame that none of the loads should bring: fragmented, compressed, or a Close.
    """
    messages: list[Message] = []
    position = 0
    while len(data) - position >= 2:
        first, size = data[position], data[position + 1]
        start = position + 2
        if size == 126:
            start += 2
        elif size == 127:
            start += 8
        if len(data) < start:
            break
        if size > 125:
            size = int.from_bytes(data[position + 2 : start], "big")
        if first not in (0x80 | TEXT, 0x80 | BINARY):
            raise BenchmarkError(f"a frame began with 0x{first:02x} where a text or binary message was expected")
        if len(data) < start + size:
            break
        payload = bytes(data[start : start + size])
        messages.append(payload.decode() if first == 0x80 | TEXT else payload)
        position = start + size
    return messages, position


@dataclass(frozen=True, slots=True)
class Packet:
    """A Socket.IO event or acknowledgement, as it is written for the loads."""

    arguments: tuple[object, ...]
    """Of an event, its name first."""
    id: int | None = None
    """The acknowledgement that is asked for, or given."""
    acknowledges: bool = False
    namespace: str = "/"

    def messages(self) -> list[Message]:
        """Return the messages that carry it."""
        attachments = [value for value in self.arguments if isinstance(value, bytes)]
        numbers = iter(range(len(attachments)))
        data = [
            {"_placeholder": True, "num": next(numbers)} if isinstance(value, bytes) else value
            for value in self.arguments
        ]
        kind = (3 if self.acknowledges else 2) + (3 if attachments else 0)
        count = f"{len(attachments)}-" if attachments else ""
        namespace = "" if self.namespace == "/" else f"{self.namespace},"
        number = "" if self.id is None else str(self.id)
        text = f"4{kind}{count}{namespace}{number}{json.dumps(data, separators=(',', ':'))}"
        return [text, *attachments]

    def frames(self) -> bytes:
        """Return the frames in which a client sends it."""
        return b"".join(map(masked, self.messages()))


def attachments_of(message: Message) -> int:
    """Return how many attachments follow a message."""
    found = _PACKET.fullmatch(message) if isinstance(message, str) else None
    return int(found["count"] or 0) if found else 0


def understand(messages: Sequence[Message]) -> Packet:
    """Return the packet that some messages carry.

    Raises:
        BenchmarkError: They carry no event and no acknowledgement.
    """
    head, *attachments = messages
    found = _PACKET.fullmatch(head) if isinstance(head, str) else None
    if found is None or found["type"] not in "2356":
        raise BenchmarkError(f"an event or an acknowledgement was expected, not {head!r:.200}")
    data = json.loads(found["json"])
    values = tuple(
        attachments[value["num"]] if isinstance(value, dict) and value.get("_placeholder") else value for value in data
    )
    number = None if found["id"] is None else int(found["id"])
    return Packet(values, number, found["type"] in "36", found["namespace"] or "/")


LETTERS: Final = "the quick brown fox jumps over a lazy dog, and 0123456789 times so. "


def sized(size: int, *head: object, id: int | None = None, namespace: str = "/") -> Packet:  # noqa: A002  # as in a packet
    """Return an event whose text message has so many bytes, its last argument being the text that makes it so long."""
    bare = len(Packet((*head, ""), id, namespace=namespace).messages()[0])
    if size < bare:
        raise ValueError(f"{head!r} alone needs {bare} bytes, which is more than {size}")
    text = (LETTERS * ((size - bare) // len(LETTERS) + 1))[: size - bare]
    return Packet((*head, text), id, namespace=namespace)
