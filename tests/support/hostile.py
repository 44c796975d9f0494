"""What a hostile corpus is made of: entries, the steps they consist of, and how these are taken.

An `Entry` is a conversation with a server, written down: bytes to send, and what must come back. Its steps are taken over raw
connections, on which nothing is polite by itself. Before and after it, the server must be the same.

Bytes that are sent may hold ``<name>``, which stands for what an earlier answer has told under that name. `SECRET` stands in what
clients would not want to see in a log.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import trio
from trio_socketio.conformance.peer import frame

SECRET: Final = "hunter2-0ddc0ffee"
"""A password, a message, a token: it must not be logged."""

HOST: Final = "chat.example"
POLLING: Final = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET: Final = "/socket.io/?EIO=4&transport=websocket"
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE: Final = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)
MAX_PAYLOAD: Final = 10_000
"""The limit of the server that is attacked; small, so that what is too large costs little."""

Dial = Callable[[], Awaitable[trio.abc.HalfCloseableStream]]


# What can be sent.


def request(method: str, target: str, *lines: str, body: bytes = b"", host: str | None = HOST) -> bytes:
    """Return the bytes of a request; nothing announces the body but ``lines``."""
    hosts = [] if host is None else [f"Host: {host}"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *hosts, *lines, "", ""]).encode("latin-1") + body


def get(target: str = POLLING, *lines: str) -> bytes:
    """Return the bytes of a GET."""
    return request("GET", target, *lines)


def post(body: bytes, *lines: str, target: str = f"{POLLING}&sid=<sid>") -> bytes:
    """Return the bytes of a POST with a body of that length."""
    return request("POST", target, f"Content-Length: {len(body)}", *lines, body=body)


def chunked(body: bytes, *lines: str, target: str = f"{POLLING}&sid=<sid>") -> bytes:
    """Return the bytes of a POST whose body is said to be in chunks."""
    return request("POST", target, "Transfer-Encoding: chunked", *lines, body=body)


def upgrade(target: str = WEBSOCKET, *lines: str) -> bytes:
    """Return the bytes of the opening handshake of a WebSocket."""
    return request("GET", target, *UPGRADE, *lines)


def text(content: str) -> bytes:
    """Return a text frame."""
    return frame(1, content.encode("utf-8", "surrogatepass"))


# Steps. Each belongs to one of the connections of its entry, which is dialled when it is first needed.


@dataclass(frozen=True)
class Send:
    """Send bytes; the server may have closed the connection meanwhile."""

    data: bytes
    on: str = "a"


@dataclass(frozen=True)
class Drip:
    """Send bytes one by one, with a pause after each."""

    data: bytes
    pause: float
    on: str = "a"


@dataclass(frozen=True)
class Wait:
    """Do nothing for some seconds."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """The next HTTP response."""

    status: int
    body: bytes | re.Pattern[bytes] | None = None
    """What it must be; None if that does not matter. The named groups of a pattern tell what ``<name>`` is from now on."""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """What they must be; None for headers that must not be there."""
    bodiless: bool = False
    """Whether no body follows, whatever the headers say: it answers a HEAD."""
    on: str = "a"


@dataclass(frozen=True)
class Text:
    """The next frame is this text."""

    content: str | re.Pattern[bytes]
    on: str = "a"


@dataclass(frozen=True)
class Pong:
    """The next frame is a pong."""

    payload: bytes
    on: str = "a"


@dataclass(frozen=True)
class Close:
    """The next frame is a Close frame without a reason."""

    code: int | None
    """None if it has no code either."""
    on: str = "a"
    loose: bool = False
    """Whether other frames may come before it."""


@dataclass(frozen=True)
class End:
    """The connection ends, and nothing comes before that."""

    on: str = "a"


@dataclass(frozen=True)
class HalfClose:
    """Send nothing from now on, and say so."""

    on: str = "a"


@dataclass(frozen=True)
class HangUp:
    """End a connection without a word."""

    on: str = "a"


@dataclass(frozen=True)
class Idle:
    """Nothing is under way in the server, though connections may be open."""


Step = Send | Drip | Wait | Reply | Text | Pong | Close | End | HalfClose | HangUp | Idle

OPENED: Final = re.compile(rb'0\{"sid":"(?P<sid>[\w-]{20})",.*\}')
JOINED: Final = re.compile(rb'40\{"sid":"[\w-]{20}"\}')


def polling(*lines: str) -> tuple[Step, ...]:
    """Open a session over long-polling; ``<sid>`` is its sid."""
    return Send(get(POLLING, *lines)), Reply(200, OPENED)


def polling_joined() -> tuple[Step, ...]:
    """Open a session over long-polling and join the root namespace."""
    return *polling(), Send(post(b"40")), Reply(200, b"ok"), Send(get(f"{POLLING}&sid=<sid>")), Reply(200, JOINED)


def websocket(on: str = "a") -> tuple[Step, ...]:
    """Open a session over a WebSocket; ``<sid>`` is its sid."""
    return Send(upgrade(), on), Reply(101, on=on), Text(OPENED, on)


def joined(on: str = "a") -> tuple[Step, ...]:
    """Open a session over a WebSocket and join the root namespace."""
    return *websocket(on), Send(text("40"), on), Text(JOINED, on)


def attached() -> tuple[Step, ...]:
    """Open a session over long-polling, and a second connection, ``b``, with a WebSocket that could take over."""
    return *polling_joined(), Send(upgrade(f"{WEBSOCKET}&sid=<sid>"), "b"), Reply(101, on="b")


def served(on: str = "a") -> tuple[Step, ...]:
    """Show that a WebSocket session goes on: what it says is answered."""
    return Send(text('42["message","still here"]'), on), Text('42["message-back","still here"]', on)


def served_polling(on: str = "c") -> tuple[Step, ...]:
    """Show that a polling session goes on, by requests on a connection of their own."""
    return (
        Send(post(b'42["message","still here"]'), on),
        Reply(200, b"ok", on=on),
        Send(get(f"{POLLING}&sid=<sid>"), on),
        Reply(200, b'42["message-back","still here"]', on=on),
    )


@dataclass(frozen=True)
class Entry:
    """One hostile input, and what must become of it."""

    id: str
    what: str
    """Why it is there, as a sentence."""
    steps: tuple[Step, ...]
    closes: Mapping[str, int] = field(default_factory=dict)
    """The sessions that it has ended, by reason."""
    alive: int = 0
    """Sessions that live after it, until their client is missed."""
    called: tuple[str, ...] | None = None
    """The handlers that have run, in order; None if that does not matter."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the server, beside the usual ones."""
    memory: bool = True
    """Whether it means anything over a stream that is no socket."""


class Ended(Exception):  # noqa: N818  # reads as what it says
    """The connection has ended where something else was expected."""


class Line:
    """One connection to the server, read as far as the steps want it."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._data = b""

    async def send(self, data: bytes) -> None:
        """Send bytes, unless the server has closed the connection."""
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _more(self) -> None:
        try:
            data = bytes(await self.stream.receive_some(65536))
        except trio.BrokenResourceError:
            data = b""
        if not data:
            raise Ended(f"the connection has ended; what came before is {self._data!r}")
        self._data += data

    async def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            await self._more()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    async def response(self, *, bodiless: bool) -> tuple[int, dict[str, str], bytes]:
        """Return the status, the headers and the body of the next response."""
        while b"\r\n\r\n" not in self._data:
            await self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 [1-5][0-9][0-9] [\w -]*", first), first
        fields = [line.partition(": ") for line in lines]
        headers = {name.lower(): value for name, _, value in fields}
        assert len(headers) == len(fields), f"a header came twice: {lines}"
        status = int(first[9:12])
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        return status, headers, await self._take(length)

    async def frame(self) -> tuple[int, bytes]:
        """Return the opcode and the payload of the next frame."""
        first, length = await self._take(2)
        assert first & 0xF0 == 0x80, f"a frame begins with {first:#x}"
        assert length < 0x80, "the server masks a frame"
        if length >= 126:
            length = int.from_bytes(await self._take(2 if length == 126 else 8), "big")
        return first & 0x0F, await self._take(length)

    async def rest(self) -> bytes:
        """Return everything that comes before the connection ends."""
        try:
            while True:
                await self._more()
        except Ended:
            return self._data


class Conversation:
    """Takes the steps of an entry.

    Args:
        dial: Opens a connection to the server.
        busy: Tells how much is under way in the server.
    """

    def __init__(self, dial: Dial, busy: Callable[[], int]) -> None:
        self._dial = dial
        self._busy = busy
        self._lines: dict[str, Line] = {}
        self._known: dict[str, bytes] = {}
        self.sids: set[str] = set()
        """Every sid that the server has told."""

    async def take(self, step: Step) -> None:
        """Take a step.

        Raises:
            AssertionError: The server does something else.
            Ended: It has ended the connection.
        """
        if isinstance(step, Wait):
            await trio.sleep(step.seconds)
        elif isinstance(step, Idle):
            assert self._busy() == 0
        else:
            await self._take(step, await self._line(step.on))

    async def _take(self, step: Step, line: Line) -> None:
        match step:
            case Send(data):
                await line.send(self._filled(data))
            case Drip(data, pause):
                for byte in self._filled(data):
                    await line.send(bytes([byte]))
                    await trio.sleep(pause)
            case Reply():
                self._check(step, *await line.response(bodiless=step.bodiless))
            case Text(content):
                opcode, payload = await line.frame()
                assert opcode == 1, (opcode, payload)
                self._compare(content.encode() if isinstance(content, str) else content, payload)
            case Pong(payload):
                assert await line.frame() == (10, payload)
            case Close(code):
                opcode, payload = await line.frame()
                while step.loose and opcode != 8:
                    opcode, payload = await line.frame()
                assert (opcode, payload) == (8, b"" if code is None else code.to_bytes(2, "big"))
            case End():
                assert await line.rest() == b""
            case HalfClose():
                await line.stream.send_eof()
            case HangUp():
                await trio.aclose_forcefully(line.stream)

    async def hang_up(self) -> None:
        """End every connection without a word."""
        for line in self._lines.values():
            await trio.aclose_forcefully(line.stream)

    async def _line(self, name: str) -> Line:
        if name not in self._lines:
            self._lines[name] = Line(await self._dial())
        return self._lines[name]

    def _filled(self, data: bytes) -> bytes:
        for name, value in self._known.items():
            data = data.replace(f"<{name}>".encode(), value)
        return data

    def _check(self, step: Reply, status: int, headers: Mapping[str, str], body: bytes) -> None:
        assert status == step.status, (status, body)
        for name, value in step.headers.items():
            assert headers.get(name) == value, (name, headers)
        assert "injected" not in str(headers).lower()
        assert SECRET not in str(headers)
        self._note(body)
        if step.body is not None:
            self._compare(step.body, body)

    def _compare(self, expected: bytes | re.Pattern[bytes], came: bytes) -> None:
        self._note(came)
        if isinstance(expected, bytes):
            assert came == expected
            return
        match = expected.fullmatch(came)
        assert match is not None, came
        self._known |= match.groupdict()

    def _note(self, data: bytes) -> None:
        self.sids |= {sid.decode() for sid in re.findall(rb'"sid":"([\w-]{20})"', data)}
