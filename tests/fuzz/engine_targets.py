"""The engine: requests are admitted or refused and nothing else, and a session keeps its promises in any order of inputs."""

import json
import re
from dataclasses import dataclass

from fuzz import seeds
from fuzz.target import MARK, Numbers, Target, text
from trio_socketio.engine.config import EngineConfig, Transport, normalise_origin
from trio_socketio.engine.events import Closed, CloseReason, Conflict, Message, ProbeFailed, Upgraded
from trio_socketio.engine.outbound import Outbound, polling_text
from trio_socketio.engine.request import (
    BadRequest,
    Open,
    Poll,
    Post,
    Preflight,
    Reject,
    Upgrade,
    admit,
    make_request,
    parse_request,
)
from trio_socketio.engine.session import Session, State

POLLING, WEBSOCKET = Transport.POLLING, Transport.WEBSOCKET

# Requests.


@dataclass(frozen=True)
class Known:
    """A session that a request may be about."""

    sid: str
    transport: Transport
    closed: bool = False


SESSIONS = {
    known.sid: known for known in (Known("polls", POLLING), Known("streams", WEBSOCKET), Known("gone", POLLING, True))
}
CONFIGS = (
    EngineConfig(),
    EngineConfig(cors_allowed_origins="*", trusted_proxies=("10.0.0.0/8", "::1", "local")),
    EngineConfig(cors_allowed_origins="*", cors_credentials=False, allow_upgrades=False),
    EngineConfig(cors_allowed_origins=["https://a.example", "capacitor://localhost"], transports=["polling"]),
    EngineConfig(cors_allowed_origins=lambda origin: len(origin) % 2 == 0, transports=["websocket"]),
)
ADDRESSES = ("127.0.0.1", "10.1.2.3", "::1", "::ffff:10.0.0.1", "local")
_SAFE_VALUE = re.compile(r"[\t\x20-\x7e]*")


def admit_requests(data: bytes) -> None:
    """Numbers, a request line and header lines: a verdict, in which nothing of the client's can do harm."""
    numbers = Numbers(data[:3])
    config, address = CONFIGS[numbers.below(len(CONFIGS))], ADDRESSES[numbers.below(len(ADDRESSES))]
    secure = numbers.below(2) == 1
    line, *lines = data[3:].decode("latin-1").split("\r\n")
    method, _, target = line.partition(" ")
    target = target.removesuffix(" HTTP/1.1")
    headers = [(name, value.strip(" \t")) for name, _, value in (header.partition(":") for header in lines) if name]
    try:
        request = parse_request(
            method,
            target,
            headers,
            peer_address=address,
            secure=secure,
            trusted_proxies=config.proxies,
        )
    except BadRequest as error:
        _check_log(str(error))
        return
    again = make_request(
        method,
        target,
        request.headers,
        request.header_map,
        peer_address=address,
        secure=secure,
        trusted_proxies=config.proxies,
    )
    assert again == request
    assert again.query == request.query
    assert request.url.isascii()
    assert request.url.startswith(("http://", "https://"))
    assert request.is_websocket in (True, False)
    if not config.proxies:
        assert request.secure == secure
    admission = admit(request, SESSIONS, config)
    for name, value in admission.cors:
        assert name.isascii()
        assert _SAFE_VALUE.fullmatch(value), f"{name}: {value!r}"
    origin = request.header("origin")
    match admission:
        case Reject():
            assert admission.status in (400, 403)
            assert admission.code is not None
            assert json.loads(admission.body) == {"code": admission.code, "message": admission.message}
            assert admission.log
            _check_log(admission.log)
            return
        case Preflight():
            assert request.method == "OPTIONS"
            assert (admission.status == 204) == (admission.log is None)
            _check_log(admission.log or "")
            return
        case Open(transport):
            assert request.method == "GET"
            assert transport in config.transports
            assert request.is_websocket == (transport is WEBSOCKET)
        case Upgrade(found, refused):
            assert request.is_websocket
            assert not found.closed
            assert refused == (found.transport is WEBSOCKET)
        case Poll(found) | Post(found):
            assert (found.transport, found.closed) == (POLLING, False)
            assert request.method == ("GET" if isinstance(admission, Poll) else "POST")
    assert request.query["EIO"] == "4"
    if origin is not None:
        assert origin == "null" or normalise_origin(origin) is not None
        assert ("Access-Control-Allow-Origin", origin) in admission.cors or config.cors_allowed_origins == "*"


def _check_log(sentence: str) -> None:
    assert sentence.isprintable(), f"a log line with control characters: {sentence!r}"
    assert len(sentence) < 1000


def name_origins(data: bytes) -> None:
    """A text: what is an origin is one in its usual form, and that is the same in any case."""
    origin = text(data)
    known = normalise_origin(origin)
    if known is not None:
        assert _SAFE_VALUE.fullmatch(known)
        assert normalise_origin(known) == known
        assert normalise_origin(origin.swapcase()) == known


# Sessions.

SESSION_CONFIGS = tuple(
    EngineConfig(
        ping_interval=interval,
        ping_timeout=1.0,
        upgrade_timeout=0.5,
        max_packets_per_poll=per_poll,
        max_buffered_bytes=most,
        max_buffered_packets=packets,
    )
    for interval, per_poll, most, packets in ((2.0, 2, 10_000, 1000), (2.0, 16, 60, 1000), (0.3, 1, 10_000, 4))
)
FRAMES: tuple[str | bytes, ...] = (
    "4hello",
    b"\x00\xff",
    "3",
    "2probe",
    "5",
    "1",
    "2",
    "6",
    "0{}",
    "4",
    "",
    "x",
    "3probe",
)
BODIES: tuple[str | bytes, ...] = (
    "4hello", "4a\x1e4b\x1e3", "bAAE=", "3", b"4\xc3\xa9", "1", "4a\x1e1\x1e4b", "4a\x1ex", "2", "", b"\xff", "b=",
    "5", "2probe",
)  # fmt: skip
MOST_FRAMES = 4
"""Frames of the longest message that is sent."""

PASSING = (0.0, 0.05, 0.1, 0.3, 0.5, 1.0, 5.0)


class Driver:
    """Drives a session as lawfully as a server does, and knows what must come of it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.now = 100.0
        self.sent: list[str | bytes] = ["0" + session.handshake.to_json()]
        """What was queued, in order, and has not left."""
        self.taken: list[str | bytes] = []
        """What the WebSocket is writing."""
        self.answering: list[str | bytes] | None = None
        """The frames in the polling answer that is being written."""
        self.over = False
        self.owes_close = False
        """The close packet follows when all else has been written."""
        self.upgraded = session.transport is WEBSOCKET

    def see(self, events: object) -> None:
        """Check what an input has returned."""
        assert isinstance(events, (list, tuple))
        for position, event in enumerate(events):
            assert isinstance(event, (Message, Upgraded, ProbeFailed, Conflict, Closed))
            assert isinstance(event, Conflict) or not self.over, f"{event} came after the end"
            if isinstance(event, Closed):
                assert position == len(events) - 1
                self.over = True
            if isinstance(event, Upgraded):
                assert not self.upgraded
                self.upgraded = True
        assert self.over == self.session.ended
        if self.session.closed:
            self.sent.clear()
            self.taken.clear()

    def leave(self, frames: list[str | bytes]) -> None:
        """Check that frames leave in the order in which they were sent, and none twice."""
        expected = self.sent[: len(frames)]
        assert frames == expected, f"{frames} left where {expected} is due"
        del self.sent[: len(frames)]

    def check(self) -> None:
        """Check what holds at all times."""
        session = self.session
        assert (session.next_deadline is None) == session.closed
        assert session.ended == self.over
        assert not session.closed or (session.buffered_packets, session.buffered_bytes) == (0, 0)
        assert session.buffered_packets >= 0
        assert session.buffered_bytes >= 0
        assert session.clear <= (session.state is State.WEBSOCKET)
        if not session.closed:
            waiting = len(self.sent) + len(self.taken) + len(self.answering or ())
            # A message of which polling has carried away some frames counts whole until the last has left.
            assert waiting <= session.buffered_packets <= waiting + MOST_FRAMES - 1
            assert bool(waiting) == bool(session.buffered_packets)


def drive_sessions(data: bytes) -> None:
    """Numbers that say what happens to a session, one thing after another."""
    numbers = Numbers(data)
    config = SESSION_CONFIGS[numbers.below(len(SESSION_CONFIGS))]
    transport = (POLLING, WEBSOCKET)[numbers.below(2)]
    driver = Driver(Session("sid", config, transport, 100.0))
    steps = (*STEPS, *STEPS[:6])
    number = 0
    while numbers.more:
        steps[numbers.below(len(steps))](driver, numbers, number)
        driver.check()
        number += 1
    _run_out(driver)


def _frame(driver: Driver, numbers: Numbers, number: int) -> None:
    frame = FRAMES[numbers.below(len(FRAMES))]
    before, session = driver.session.state, driver.session
    if before is State.WEBSOCKET and (message := session.message(frame)) is not None:
        assert frame in (message, f"4{message!s}")
        return
    if session.pong(frame):
        assert (before, frame) == (State.WEBSOCKET, "3")
        return
    driver.see(session.receive(frame, WEBSOCKET, driver.now))


def _body(driver: Driver, numbers: Numbers, number: int) -> None:
    driver.see(driver.session.receive(BODIES[numbers.below(len(BODIES))], POLLING, driver.now))


def _send(driver: Driver, numbers: Numbers, number: int) -> None:
    parts: list[str | bytes] = [f"2[{number}]", *[bytes([number % 256])] * numbers.below(MOST_FRAMES)]
    outbound = Outbound.message(parts, patient=numbers.below(2) == 1)
    ended = driver.session.ended
    driver.see(driver.session.send(outbound))
    if not ended and not driver.session.ended:
        driver.sent += outbound.frames


def _poll(driver: Driver, numbers: Numbers, number: int) -> None:
    driver.see(driver.session.poll(driver.now))


def _answer(driver: Driver, numbers: Numbers, number: int) -> None:
    session = driver.session
    if driver.answering is not None:
        written = numbers.below(3) != 0
        closed = session.closed
        session.poll_done(written=written)
        if not written and not closed:
            driver.sent = [*driver.answering, *driver.sent]
        driver.answering = None
        driver.see(())
        return
    if session.poll_refused:
        session.poll_aborted()
        return
    payload = session.take_payload()
    if payload is None:
        return
    if payload == "6" or (session.closed and payload == "1"):
        driver.answering = []
        return
    if driver.owes_close and not driver.sent:
        driver.sent.append("1")
        driver.owes_close = False
    texts = payload.split("\x1e")
    assert len(texts) <= session._config.max_packets_per_poll
    driver.answering = driver.sent[: len(texts)]
    assert texts == [polling_text(frame) for frame in driver.answering]
    assert "1" not in texts or texts == ["1"], "a client handles the close before the messages beside it"
    driver.leave(driver.answering)


def _post(driver: Driver, numbers: Numbers, number: int) -> None:
    events = driver.session.post(driver.now)
    driver.see(events)
    if numbers.below(4) and not any(isinstance(event, Conflict) for event in events):
        driver.session.post_done()


def _attach(driver: Driver, numbers: Numbers, number: int) -> None:
    before = driver.session.state
    assert driver.session.attach(driver.now) == (before is State.POLLING)


def _lost(driver: Driver, numbers: Numbers, number: int) -> None:
    driver.see(driver.session.lost(CloseReason.TRANSPORT_CLOSE, "gone"))


def _take(driver: Driver, numbers: Numbers, number: int) -> None:
    session = driver.session
    frames = [frame for outbound in session.take() for frame in outbound.frames]
    if frames[:1] == ["3probe"]:
        del frames[0]
    assert not frames or session.transport is WEBSOCKET
    driver.leave(frames)
    driver.taken += frames
    if numbers.below(3):
        session.written()
        driver.taken.clear()
        driver.see(())


def _pass_time(driver: Driver, numbers: Numbers, number: int) -> None:
    driver.now += PASSING[numbers.below(len(PASSING))]
    _tick(driver)


def _tick(driver: Driver) -> None:
    session = driver.session
    before = session.buffered_packets
    ping = session.ping(driver.now) if session.clear else None
    if ping is None:
        driver.see(session.tick(driver.now))
        if session.buffered_packets > before:
            assert session.buffered_packets == before + 1
            driver.sent.append("2")
    else:
        assert ping.frames == ("2",)
    deadline = session.next_deadline
    assert deadline is None or deadline > driver.now, "what was due is not done"


def _close(driver: Driver, numbers: Numbers, number: int) -> None:
    session = driver.session
    way = numbers.below(8)
    if way == 0:
        driver.see(session.abort(CloseReason.FORCED_CLOSE, "at once"))
    elif way == 1:
        driver.see(session.violate("no Socket.IO"))
    elif way == 2:
        if session.state is State.PROBED:  # there may be no other GET
            driver.sent.append("1")
        else:
            driver.owes_close |= not session.ended and session.transport is POLLING
        driver.see(session.close(CloseReason.FORCED_CLOSE, "bye", driver.now))
    elif way == 3:
        session.poll_aborted()
    else:
        session.heard()


def _unsent(driver: Driver, numbers: Numbers, number: int) -> None:
    session = driver.session
    if session.clear and not driver.taken:
        outbound = Outbound((f"4{number}",))
        session.unsent([outbound])
        driver.taken += outbound.frames


STEPS = (_frame, _body, _send, _poll, _answer, _pass_time, _take, _attach, _post, _lost, _close, _unsent)


def _run_out(driver: Driver) -> None:
    """Whatever has happened: if nobody says anything any more, a session ends in time."""
    session = driver.session
    last = driver.now + 60
    while (deadline := session.next_deadline) is not None:
        assert deadline < last, "the session lives on without a peer"
        driver.now = max(driver.now, deadline)
        _tick(driver)
        driver.check()


REQUEST_WORDS = (
    b"\r\n", b"GET", b"POST", b"OPTIONS", b"HEAD", b" ", b"/socket.io/?", b"EIO=4", b"EIO=3", b"&",
    b"transport=polling", b"transport=websocket", b"sid=polls", b"sid=streams", b"sid=gone", b"%20", b"%", b"+",
    b"Host: a.example", b"Host: [::1]:80", b"Origin: https://a.example", b"Origin: null",
    b"Origin: capacitor://localhost", b"Origin: http://a.example:80", b"Upgrade: websocket", b"Connection: Upgrade",
    b"Connection: keep-alive, Upgrade", b"X-Forwarded-For: 1.2.3.4, 10.0.0.2",
    b"X-Forwarded-For: [::1]:99, ::ffff:10.0.0.1", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: b.example", b",",
    b"\t", b"Access-Control-Request-Headers: content-type, x-a", b"Content-Length: 1", b"Transfer-Encoding: chunked",
    b"http://a.example", b"\xe4", b"\0", b"*", b"#", b"://", b":65536",
)  # fmt: skip


def _requests() -> list[bytes]:
    numbers = (b"\0\0\0", b"\1\1\1", b"\2\2\0", b"\3\0\1", b"\4\3\0")
    return [numbers[index % len(numbers)] + data for index, data in enumerate(seeds.heads())]


def _origins() -> list[bytes]:
    found = [
        b"https://a.example",
        b"http://[::1]:8080",
        b"capacitor://localhost",
        b"file://",
        b"null",
        b"http://a:80",
        b"http://A:0065536",
    ]
    return found + re.findall(rb"Origin: ([^\r]*)", MARK.join(seeds.conversations()))


def _step_seeds() -> list[bytes]:
    by_name = {step: index for index, step in enumerate(STEPS)}
    upgrade = [_poll, _answer, _answer, _attach, (_frame, 3), _take, 1, (_frame, 4), _take, 1, (_send, 2, 0), _take, 1]
    ways = (
        [
            _poll,
            _answer,
            _answer,
            1,
            (_send, 3, 1),
            _poll,
            _answer,
            (_answer, 0),
            _answer,
            (_answer, 1),
            (_pass_time, 5),
            (_close, 2),
        ],
        upgrade,
        [*upgrade, (_close, 2), _take, 1],
        [_poll, _post, 1, _post, 0, (_body, 1), (_body, 5), _answer, _answer],
        [(_pass_time, 6), (_pass_time, 5), (_pass_time, 5)],
        [_unsent, _take, 1, (_frame, 2), _lost],
    )
    found = []
    for way in ways:
        steps = bytearray()
        for step in way:
            first, *rest = step if isinstance(step, tuple) else (step,)
            steps += bytes([first if isinstance(first, int) else by_name[first], *rest])
        found += [bytes([config, transport]) + bytes(steps) for config in range(3) for transport in range(2)]
    return found


TARGETS = (
    Target(
        "request",
        admit_requests,
        _requests,
        REQUEST_WORDS,
        ("trio_socketio.engine.request", "trio_socketio.engine.origins"),
    ),
    Target("origin", name_origins, _origins, REQUEST_WORDS, ("trio_socketio.engine.config",)),
    Target(
        "session",
        drive_sessions,
        _step_seeds,
        tuple(bytes([number]) for number in range(14)),
        ("trio_socketio.engine.session", "trio_socketio.engine.buffer", "trio_socketio.engine.heartbeat"),
        examples=400,
        largest=400,
    ),
)
