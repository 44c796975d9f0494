"""The HTTP/1.1 messages of one direction of a connection, read by somebody who only listens (RFC 9112).

A `MessageReader` is fed the bytes that one side sends and returns `RequestHead` or `ResponseHead`, `Body` and `End`, one
message after another. It differs from a server's or a client's reader in two ways: it is as lenient as the most lenient of
the two ends, because what they agree on is none of its business, and it can stop behind any message, because what
follows may be another protocol. It keeps no body; its memory is bounded by the longest head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_HEAD = 65_536
"""Bytes of a message's head or trailers; h11 and Node refuse far smaller ones."""

MAX_CHUNK_LINE = 16_384
"""Bytes of a line that announces a chunk, with its extensions."""

MAX_SIZE_DIGITS = 18
"""Digits of a length; more would be no length of anything real."""

TLS_HANDSHAKE = 0x16
"""The first byte of a TLS connection (RFC 8446, section 5.1)."""

BODYLESS = frozenset({204, 304})
"""Answers without a body, whatever their headers say (RFC 9112, section 6.3)."""


class UnreadableError(Exception):
    """The bytes are not HTTP/1.1; the text is a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields of a message, in their order; names are in lower case."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return the value of a field, repeated ones joined by commas; empty when there is none."""
        return ", ".join(value for key, value in self.fields if key == name)

    def words(self, name: str) -> list[str]:
        """Return the comma-separated words of a field in lower case."""
        return [word.strip().lower() for word in self.get(name).split(",") if word.strip()]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request begins with."""

    method: str
    target: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What a response begins with."""

    status: int
    reason: str
    headers: Headers

    @property
    def interim(self) -> bool:
        """Whether another answer to the same request follows: all of 1xx but 101."""
        return 100 <= self.status < 200 and self.status != 101


@dataclass(frozen=True, slots=True)
class Body:
    """A piece of the body, without its chunk framing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The message is complete."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How to find the end of a body: it is chunked, or has a length, or, with neither, ends with the connection."""

    chunked: bool = False
    length: int | None = None


NO_BODY = Framing(length=0)
CHUNKED = Framing(chunked=True)
UNTIL_THE_END = Framing()

H = TypeVar("H", RequestHead, ResponseHead)


class MessageReader(Generic[H]):
    """Reads the messages of one direction.

    Feed it with `receive`, then call `next_event` until it returns None; `close` when the side has sent its last byte.

    Args:
        parse: What makes a head of its lines: `parse_request` or `parse_response`.
        framing: Says how the body behind a head is framed. It is called once for each head, before `next_event` returns it.
    """

    __slots__ = ("_buffer", "_ended", "_framing", "_left", "_parse", "_searched", "_state")

    def __init__(self, parse: Callable[[list[str]], H], framing: Callable[[H], Framing]) -> None:
        self._parse: Callable[[list[str]], H] = parse
        self._framing: Callable[[H], Framing] = framing
        self._buffer = bytearray()
        self._searched = 0
        self._left = 0
        self._ended = False
        self._state: Callable[[], H | Body | End | None] = self._head

    def receive(self, data: bytes) -> None:
        """Take what the side has sent next."""
        self._buffer += data

    def close(self) -> None:
        """Note that the side sends nothing more."""
        self._ended = True

    @property
    def unread(self) -> int:
        """How many bytes have been received and are in no event yet."""
        return len(self._buffer)

    def rest(self) -> bytes:
        """Return what has not been read, which is then somebody else's."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def next_event(self) -> H | Body | End | None:
        """Return what comes next, or None when more bytes are needed.

        Raises:
            UnreadableError: The bytes are not HTTP/1.1. Nothing can be read from this reader any more.
        """
        return self._state()

    def _head(self) -> H | Body | End | None:
        if not self._searched:  # empty lines before a start line are nothing (RFC 9112, section 2.2)
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))]
            if self._buffer and not chr(self._buffer[0]).isalpha():  # told at once, for nothing may follow it
                raise UnreadableError(_stranger(self._buffer))
        lines = self._lines_until_empty("head of a message")
        if lines is None:
            return None
        head = self._parse(lines)
        framing = self._framing(head)
        if framing.chunked:
            self._state = self._chunk_line
        elif framing.length is None:
            self._state = self._body_until_the_end
        else:
            self._left = framing.length
            self._state = self._body_of_length
        return head

    def _body_of_length(self) -> H | Body | End | None:
        if not self._left:
            return self._end()
        return self._take_body()

    def _body_until_the_end(self) -> H | Body | End | None:
        if self._buffer:
            return Body(self.rest())
        return self._end() if self._ended else None

    def _chunk_line(self) -> H | Body | End | None:
        line = self._line()
        if line is None:
            return None
        digits = line.partition(b";")[0].strip()
        if not digits or len(digits) > MAX_SIZE_DIGITS or digits.strip(b"0123456789abcdefABCDEF"):
            raise UnreadableError(f"A chunk begins with {bytes(line)!r:.60}, which is no size")
        self._left = int(digits, 16)
        self._state = self._chunk if self._left else self._trailers
        return self._state()

    def _chunk(self) -> H | Body | End | None:
        if self._left:
            return self._take_body()
        line = self._line()
        if line is None:
            return None
        if line:
            raise UnreadableError(f"A chunk ends with {bytes(line)!r:.60} instead of an empty line")
        self._state = self._chunk_line
        return self._state()

    def _trailers(self) -> H | Body | End | None:
        if self._buffer.startswith((b"\r\n", b"\n")):
            self._line()
            return self._end()
        if len(self._buffer) < 2:
            return None
        return None if self._lines_until_empty("trailers of a message") is None else self._end()

    def _take_body(self) -> Body | None:
        if not self._buffer:
            return None
        data = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(data)
        return Body(data)

    def _end(self) -> End:
        self._state = self._head
        return End()

    def _line(self) -> bytearray | None:
        """Take a line without its end, or None when it is not complete."""
        end = self._buffer.find(b"\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(self._buffer) >= MAX_CHUNK_LINE:
                raise UnreadableError(f"A line of a chunked body has more than {MAX_CHUNK_LINE} bytes")
            return None
        line = self._buffer[:end]
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _lines_until_empty(self, what: str) -> list[str] | None:
        """Take the lines before the first empty one, or None when that has not come yet."""
        start = max(0, self._searched - 3)
        ends = [
            position + len(mark)
            for mark in (b"\n\r\n", b"\n\n")
            if (position := self._buffer.find(mark, start, MAX_HEAD)) >= 0
        ]
        if not ends:
            if len(self._buffer) >= MAX_HEAD:
                raise UnreadableError(f"The {what} has more than {MAX_HEAD} bytes")
            self._searched = len(self._buffer)
            return None
        text = self._buffer[: min(ends)].decode("latin-1")
        del self._buffer[: min(ends)]
        self._searched = 0
        return [line.removesuffix("\r") for line in text.split("\n")][:-2]


def parse_request(lines: list[str]) -> RequestHead:
    """Return the head of a request.

    Raises:
        UnreadableError: Its first line is none of HTTP/1.
    """
    parts = lines[0].split(" ") if lines else []
    if len(parts) != 3 or not all(parts) or not parts[2].startswith("HTTP/1."):
        raise UnreadableError(f"The client does not speak HTTP/1.1: {_quoted(lines)}")
    return RequestHead(parts[0], parts[1], _headers(lines))


def parse_response(lines: list[str]) -> ResponseHead:
    """Return the head of a response.

    Raises:
        UnreadableError: Its first line is none of HTTP/1.
    """
    version, _, rest = (lines[0] if lines else "").partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or len(status) != 3 or not (status.isascii() and status.isdigit()):
        raise UnreadableError(f"The server does not speak HTTP/1.1: {_quoted(lines)}")
    return ResponseHead(int(status), reason.strip(), _headers(lines))


def request_framing(head: RequestHead) -> Framing:
    """Return how the body of a request is framed (RFC 9112, section 6.3).

    Raises:
        UnreadableError: The headers contradict themselves.
    """
    framing = _framing_of(head.headers)
    return NO_BODY if framing == UNTIL_THE_END else framing


def response_framing(head: ResponseHead, method: str) -> Framing:
    """Return how the body of the answer to a request is framed (RFC 9112, section 6.3).

    Args:
        head: The head of the answer.
        method: The method of the request.

    Raises:
        UnreadableError: The headers contradict themselves.
    """
    if method == "HEAD" or head.status in BODYLESS or 100 <= head.status < 200:
        return NO_BODY
    return _framing_of(head.headers)


def _framing_of(headers: Headers) -> Framing:
    codings = headers.words("transfer-encoding")
    if codings:  # it overrides a Content-Length
        return CHUNKED if codings[-1] == "chunked" else UNTIL_THE_END
    lengths = set(headers.words("content-length"))
    if not lengths:
        return UNTIL_THE_END
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > MAX_SIZE_DIGITS:
        raise UnreadableError(f"Content-Length is {headers.get('content-length')!r:.60}, which is no length")
    return Framing(length=int(length))


def _headers(lines: list[str]) -> Headers:
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise UnreadableError(f"A header has no colon: {line!r:.60}")
        fields.append((name.strip().lower(), value.strip()))
    return Headers(tuple(fields))


def _stranger(data: bytearray) -> str:
    if data[0] == TLS_HANDSHAKE:
        return (
            "This is TLS, which only its two ends can read: connect with http:// or ws:// instead of https:// or wss://"
        )
    return f"A message begins with the byte 0x{data[0]:02x}, so this is not HTTP"


def _quoted(lines: list[str]) -> str:
    return f"{lines[0] if lines else ''!r:.60}"
