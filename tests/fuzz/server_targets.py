"""The edge of the server: what it reads by itself it reads as h11 and wsproto do, and no bytes make it hang or fall silent."""

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from unittest import mock

import h11
import trio
from fuzz import seeds
from fuzz.target import Numbers, Target
from support.memory import MemoryListener, read_to_end
from support.messages import comparable, read, read_by_wsproto
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_socketio.conformance.peer import frame
from trio_socketio.server.net.head import MAX_HEAD, Fields, Head, Unread, read_fields, read_head
from trio_socketio.server.net.incoming import LARGE, Fault, PeerClose
from trio_socketio.server.net.poller import SUPPORTED

from trio_socketio import HTTPResponse, Server

# Heads.


def read_heads(data: bytes) -> None:
    """The beginning of a connection: what the fast reader takes for a head h11 reads alike, its body included."""
    head = read_head(data, {})
    read_fields(data)
    if head is Unread.ODD:
        return
    if head is Unread.PARTIAL:
        assert not data or _by_h11(data)[1] is None
        return
    assert isinstance(head, Head)
    known: dict[bytes, Fields] = {}
    assert read_head(data, known) == head == read_head(data, known)
    for size in {head.end - 1, head.end // 2, head.end // 3}:
        assert read_head(data[:size], {}) is Unread.PARTIAL
    fields = head.fields
    _http, request = _by_h11(data[: head.end])
    assert request is not None
    assert (head.method.encode(), head.target.encode()) == (request.method, request.target)
    assert request.http_version == b"1.1"
    assert [(name.encode(), value.encode("latin-1")) for name, value in fields.headers] == list(request.headers)
    for name, value in fields.by_name.items():
        assert value == ", ".join(text for key, text in fields.headers if key == name)
    if fields.length > 10_000:
        return
    http, _request = _by_h11(data[: head.end] + b"x" * fields.length + b"GET")
    received = b""
    while isinstance(event := http.next_event(), h11.Data):
        received += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert len(received) == fields.length
    assert http.trailing_data[0] == b"GET"
    http.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
    http.send(h11.EndOfMessage())
    assert (http.our_state is h11.DONE) == fields.keep_alive


def _by_h11(data: bytes) -> tuple[h11.Connection, h11.Request | None]:
    """Return what h11 reads, or None if it waits for more. What it refuses, nobody else may take, nor wait for."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    http.receive_data(data)
    event = http.next_event()
    assert isinstance(event, h11.Request) or event is h11.NEED_DATA
    return http, event if isinstance(event, h11.Request) else None


# Frames.

LIMIT = 200
REST = bytes(LARGE + 16)
"""Completes a last frame. A frame that breaks the rules is told when it is whole; wsproto tells of some as soon as it can."""


def read_websockets(data: bytes) -> None:
    """Two numbers that say where to cut, and what follows an opening handshake: as wsproto reads it, whatever the chunks."""
    numbers, stream = Numbers(data[:2]), data[2:]
    size = 1 + numbers.below(60)
    start = numbers.below(60)
    cuts = [start, *range(start + size, len(stream), size)]
    whole = read(stream, [], LIMIT)
    assert comparable(read(stream, cuts, LIMIT)) == comparable(whole)
    assert comparable(read(stream, [*range(len(stream))], LIMIT)) == comparable(whole)
    over = [isinstance(item, Fault | PeerClose) for item in whole]
    assert not any(over[:-1]), "something came after the end"
    for item in whole:
        if isinstance(item, str | bytes):
            assert len(item if isinstance(item, bytes) else item.encode()) <= LIMIT
    expected = read_by_wsproto(stream)
    if whole and isinstance(whole[-1], Fault) and whole[-1].code == 1009:
        assert comparable(expected)[: len(whole) - 1] == comparable(whole)[:-1]
        return
    found = comparable(whole)
    if found != comparable(expected):
        found, expected = comparable(read(stream + REST, cuts, 1 << 62)), read_by_wsproto(stream + REST)
        assert found == comparable(expected)


# The whole edge.

LONG = 1000.0
"""Seconds after which every deadline of the server has passed."""

SID = "A" * 20
"""The session that is there already; inputs name it."""

LOGGED = (
    "an unknown ack id in ",
    "closed a WebSocket of a session that has one already",
    "connected to ",
    "connection over: ",
    "disconnected from ",
    "no handler for the event ",
    "refused ",
    "rejected: nobody serves the namespace ",
    "session closed: ",
    "upgrade failed: ",
)
"""What the lines begin with that the server may write about a client, whatever that does."""


@dataclass
class Outcome:
    """What a client saw of the server, and what the server says of the client, as far as they are the same each time."""

    answer: bytes
    refusals: dict[str, int]
    closes: dict[str, int]
    messages: list[str | bytes]
    log: list[str] = field(compare=False)


def talk(data: bytes) -> None:
    """Numbers that say where to cut and how to end, and what a client sends: every cut gets the same answer, and it ends."""
    numbers, sent = Numbers(data[:3]), data[3:].replace(b"<sid>", SID.encode())
    ends = numbers.below(2) == 1
    size, start = 1 + numbers.below(100) ** 2, numbers.below(200)
    places = [place for place in (start, *range(start + size, len(sent), size)) if 0 < place < len(sent)][:200]
    chunks = [sent[begin:end] for begin, end in zip([0, *places], [*places, len(sent)], strict=True)]
    whole = _converse([sent], ends=ends, sockets=False)
    _check_log(whole.log)
    cut = _converse(chunks, ends=ends, sockets=False)
    _check_log(cut.log)
    _compare(cut, whole, sent)
    if SUPPORTED:
        directly = _converse(chunks, ends=ends, sockets=True)
        _check_log(directly.log)
        _compare(directly, whole, sent)


_BODY = re.compile(rb"content-length|transfer-encoding", re.IGNORECASE)
_SWITCHED = re.compile(rb"HTTP/1\.1 101 .*?\r\n\r\n", re.DOTALL)


def _compare(one: Outcome, other: Outcome, sent: bytes) -> None:
    """Check that a client was told the same. Four things depend on time, and may:

    - A request that is refused before its body has come ends the connection; if the body is there already it does not.
    - Who leaves a namespace while it is still joining is not let in, and what it has sent there meanwhile does nothing.
    - If two rules are broken at once, one by what a frame says and one by the next frame, either code closes the WebSocket.
    - What waits to be written when a client closes or breaks a rule is dropped; how much waits is the network's doing.
    """
    if one == other:
        return
    if _BODY.search(sent):
        short, long = sorted((_answers(one), _answers(other)), key=len)
        assert short[:-1] == long[: len(short) - 1], (short, long)
        return
    (http, frames), (http_of_other, frames_of_other) = _parts(one.answer), _parts(other.answer)
    assert http == http_of_other
    if _granted(frames) != _granted(frames_of_other):
        return
    assert (one.refusals, one.closes, one.messages) == (other.refusals, other.closes, other.messages)
    if "parse error" not in one.closes:
        assert frames[-1:] == frames_of_other[-1:]
    ended = one.closes.keys() != {"ping timeout"}
    some, others = _lanes(frames), _lanes(frames_of_other)
    for lane in {*some, *others}:
        if ended:
            short, long = sorted((some.get(lane, [])[:-1], others.get(lane, [])[:-1]), key=len)
            assert short == long[: len(short)], (short, long)
        else:
            assert some.get(lane) == others.get(lane)


_GRANT = re.compile(rb"\x81.(?:..)?40", re.DOTALL)


def _granted(frames: list[bytes]) -> int:
    return sum(_GRANT.match(item) is not None for item in frames)


_LANE = re.compile(rb"\x81.(?:..)?4[0-6](?:[0-9]+-)?(/[^,]*),", re.DOTALL)


def _lanes(frames: list[bytes]) -> dict[bytes, list[bytes]]:
    """Sort frames into those that have an order: a pong may overtake others, and namespaces do not wait for each other."""
    lanes: dict[bytes, list[bytes]] = {}
    for item in frames:
        of_namespace = _LANE.match(item)
        lane = item[:1] if item[0] != 0x81 else of_namespace[1] if of_namespace else b"/"
        lanes.setdefault(lane, []).append(item)
    return lanes


def _answers(outcome: Outcome) -> list[bytes]:
    return outcome.answer.replace(b"connection: close\r\n", b"").split(b"HTTP/1.1 ")


def _parts(answer: bytes) -> tuple[bytes, list[bytes]]:
    """Return what was said in HTTP, and the frames that followed."""
    switched = _SWITCHED.search(answer)
    if switched is None:
        return answer, []
    frames = []
    rest = answer[switched.end() :]
    while rest:
        size = 2 + rest[1] if rest[1] < 126 else 4 + int.from_bytes(rest[2:4], "big")
        frames.append(rest[:size])
        rest = rest[size:]
    return answer[: switched.end()], frames


def _check_log(log: list[str]) -> None:
    for line in log:
        assert line.isprintable(), line
        assert len(line) < 1000, line


def _converse(chunks: list[bytes], *, ends: bool, sockets: bool) -> Outcome:
    with _predictable_sids(), _listening() as records:
        outcome = trio.run(partial(_client, chunks, ends=ends, sockets=sockets), clock=MockClock(autojump_threshold=0))
    for record in records:
        assert record.levelno < logging.ERROR, record.getMessage()
        line = record.getMessage()
        assert line.startswith(LOGGED), f"nobody knows this line of the log: {line}"
        outcome.log.append(line)
    return outcome


@contextmanager
def _predictable_sids() -> Iterator[None]:
    names = iter([SID, *(f"{number:020d}" for number in range(10_000))])
    with mock.patch.object(secrets, "token_urlsafe", lambda _size: next(names)):
        yield


@contextmanager
def _listening() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    logger = logging.getLogger("trio_socketio")
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


async def _client(chunks: list[bytes], *, ends: bool, sockets: bool) -> Outcome:
    """Be a client of a server that has one session by polling already."""
    messages: list[str | bytes] = []

    async def answer(request: object) -> HTTPResponse:
        return HTTPResponse.text("no such page", 404)

    server = Server(
        max_payload=2000, max_attachments=4, http=answer, cors_allowed_origins=["https://a.example"], cookie="io"
    )

    @server.on("message")
    async def message(ctx: object, *arguments: object) -> tuple[object, ...]:
        messages.append(repr(arguments))
        await server.emit("message-back", *arguments)
        return arguments

    listener = MemoryListener(sockets=sockets)
    received = b""
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve_listeners, [listener])
            opening = await listener.dial()
            await opening.send_all(
                b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            await read_to_end(opening)
            tasks = trio.lowlevel.current_statistics().tasks_living
            stream = await listener.dial()
            for chunk in filter(None, chunks):
                try:
                    await stream.send_all(chunk)
                except trio.BrokenResourceError:
                    break  # the server has closed the connection
                await wait_all_tasks_blocked()
            if ends and isinstance(stream, trio.SocketStream):
                await stream.send_eof()
            elif ends:
                await stream.send_stream.aclose()
            with trio.fail_after(LONG):
                received = await read_to_end(stream)
            await trio.aclose_forcefully(stream)
            await trio.sleep(LONG)
            assert not server.sessions, "a session lives on without a client"
            assert trio.lowlevel.current_statistics().tasks_living <= tasks, "a task lives on without a client"
            stats = server.stats()
            assert not stats["sockets"], stats
            assert not stats["pending_acks"], stats
            assert not stats["buffered_bytes"], stats
            nursery.cancel_scope.cancel()
    finally:
        for end in (*listener.client_ends, *listener.server_ends):
            await trio.aclose_forcefully(end)
    received = re.sub(rb"(?i)\r\ndate: [^\r]*", b"", received)
    return Outcome(received, dict(server.tally.refusals), dict(server.tally.closes), messages, [])


HTTP_WORDS = (
    b"\r\n", b"\r\n\r\n", b"GET ", b"POST ", b"OPTIONS ", b"HEAD ", b" HTTP/1.1", b" HTTP/1.0",
    b"/socket.io/?EIO=4&transport=polling", b"/socket.io/?EIO=4&transport=websocket", b"&sid=<sid>", b"<sid>",
    b"Host: x", b"Host: ", b"Content-Length: 3", b"Content-Length: 0", b"Transfer-Encoding: chunked",
    b"3\r\n40 \r\n0\r\n\r\n", b"0\r\n\r\n", b"Connection: close", b"Connection: Upgrade", b"Upgrade: websocket",
    b"Upgrade: h2c", b"Expect: 100-continue", b"Origin: https://a.example", b"Origin: null", b"Cookie: io=<sid>",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13", b"Accept-Encoding: gzip", b": ",
    b":", b"\n", b" ", b"\t", b"\x00", b"\xe4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01", b"40", b"4",
    b"1", b"2probe", b"5", b"\x1e",
)  # fmt: skip
SOCKETIO_FRAMES = (
    "40", '42["message","hello"]', '427["message",{"a":[1]}]', "3", "1", "41", "2probe", "5", "6",
    '451-["message",{"_placeholder":true,"num":0}]', "40/other,", "4", "", "0{}", '43["x"]', '430["x"]', "4\x1e",
)  # fmt: skip
FRAME_WORDS = (
    *(frame(1, content.encode()) for content in SOCKETIO_FRAMES), frame(2, b"\0\1"), frame(9, b"ping"), frame(10),
    frame(8, b"\x03\xe8bye"), frame(8), frame(1, b"42[", final=False), frame(0, b'"a"]'), frame(0, b"", final=False),
    frame(1, b"x", reserved=4), frame(1, b"x", masked=False), frame(3), frame(2, b"x" * 126), frame(1, b"\xff"),
    frame(1, b"", length=1 << 40), frame(9, b"x" * 126), frame(2, b"x" * 201), b"\x81", b"\x82", b"\x80", b"\xfe",
    b"\xff", b"\x00", b"\x7e",
)  # fmt: skip


def _websockets() -> Iterator[bytes]:
    for data in seeds.websocket_bytes():
        yield b"\x06\x02" + data
    yield b"\x03\x01" + b"".join(FRAME_WORDS[:20])
    yield b"\x00\x00" + frame(1, "ü€😀".encode(), final=False) + frame(9, b"p") + frame(0, b"!")


def _talks() -> Iterator[bytes]:
    ways = (b"\0\5\0", b"\1\3\1", b"\0\1\x10", b"\1\0\0")
    sent = [
        *seeds.conversations(),
        *(seeds.UPGRADE + b"".join(FRAME_WORDS[start : start + 4]) for start in range(0, len(FRAME_WORDS), 3)),
        seeds.UPGRADE.replace(b"websocket HTTP", b"websocket&sid=<sid> HTTP")
        + frame(1, b"2probe")
        + frame(1, b"5")
        + frame(1, b"40"),
        b"POST /socket.io/?EIO=4&transport=polling&sid=<sid> HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n40"
        b"GET /socket.io/?EIO=4&transport=polling&sid=<sid> HTTP/1.1\r\nHost: x\r\n\r\n" * 2,
    ]
    for number, data in enumerate(sent):
        yield ways[number % len(ways)] + data


TARGETS = (
    Target("head", read_heads, seeds.heads, HTTP_WORDS, ("trio_socketio.server.net.head",), examples=300),
    Target(
        "websocket",
        read_websockets,
        _websockets,
        FRAME_WORDS,
        ("trio_socketio.server.net.incoming",),
        examples=300,
        largest=1500,
    ),
    Target(
        "edge",
        talk,
        _talks,
        (*HTTP_WORDS, *FRAME_WORDS),
        ("trio_socketio.server.net", "trio_socketio.server.client", "trio_socketio.engine"),
        examples=25,
        largest=2000,
        every=9,
    ),
)
