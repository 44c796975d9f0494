"""What two ends say to each other, learned from the bytes that pass between them.

A `Sniffer` listens to both directions of one connection. It follows HTTP/1.1 until an answer switches to WebSocket, and
WebSocket from there on, and returns a record for each Engine.IO packet: those in the bodies of polling requests and
answers, those in WebSocket messages. Requests without ``EIO`` in their query are none of Engine.IO and passed over. What
happens beside the packets, an HTTP error or a Close frame, becomes a note.

It never says anything itself and never raises: when it meets bytes that it cannot follow, it says so in one note and
ignores the rest of the connection. However the bytes are cut into pieces, the records are the same. Memory is bounded:
a body or a message over `polling_bodies.MAX_CONTENT` bytes is told by its size.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qs, urlsplit

from trio_socketio.protocol.engineio import SEPARATOR
from trio_socketio.protocol.trace import Sender, TracedFrame
from trio_socketio.wire import http_messages as http
from trio_socketio.wire import polling_bodies as polling
from trio_socketio.wire import websocket_messages as websocket
from trio_socketio.wire.values import Note, Record

MAX_PENDING = 1_024
"""Requests that may wait for their answers on one connection; browsers send one at a time."""

MAX_HELD = 1024 * 1024
"""Bytes from a client that has asked for a WebSocket and goes on without its answer, which no client does."""

POLLING, WEBSOCKET = "polling", "websocket"

CLOSE_CODES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no code",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "extension missing",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
}
"""RFC 6455, section 7.4.1, and the registry that continues it."""


class _Stage(Enum):
    """What is spoken on the connection."""

    HTTP = "both sides speak HTTP"
    WEBSOCKET = "both sides speak WebSocket"
    OPAQUE = "something that is not followed"


@dataclass(slots=True)
class _Content:
    """The body of a message, kept within the bound."""

    data: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= polling.MAX_CONTENT:
            self.data += data
        else:
            self.data.clear()

    @property
    def lost(self) -> bool:
        return self.size > polling.MAX_CONTENT


@dataclass(slots=True, eq=False)
class _Exchange:
    """A request and its answer."""

    method: str = "GET"
    watched: bool = False
    """Whether it is one of Engine.IO."""
    sid: str = ""
    transport: str = POLLING
    upgrade: bool = False
    """Whether it asks for a WebSocket."""
    revision_3: bool = False
    """Whether the client speaks the revision of Engine.IO that Socket.IO 2 has."""
    foreign: str = ""
    """Why its bodies cannot be taken apart, as a sentence; empty when they can."""
    coding: str = ""
    """The Content-Encoding of the request."""
    asked: _Content = field(default_factory=_Content)
    answer: http.ResponseHead | None = None
    answered: _Content = field(default_factory=_Content)

    @classmethod
    def of(cls, head: http.RequestHead) -> "_Exchange":
        query = _query(head.target)
        upgrade = WEBSOCKET in head.headers.words("upgrade")
        foreign = ""
        if query.get("EIO") != "4":
            foreign = f"The client speaks revision {query.get('EIO', '')!r:.20} of Engine.IO, whose polling bodies are not shown"
        elif "j" in query:
            foreign = "The client polls with JSONP, whose bodies are not shown"
        return cls(
            method=head.method,
            watched="EIO" in query,
            sid=query.get("sid", ""),
            transport=WEBSOCKET if upgrade or query.get("transport") == WEBSOCKET else POLLING,
            upgrade=upgrade,
            revision_3=query.get("EIO") == "3",
            foreign=foreign,
            coding=head.headers.get("content-encoding").lower(),
        )


class Sniffer:
    """Listens to one connection: `receive` what passes, in order, and `close` each direction once when it ends."""

    def __init__(self) -> None:
        self._stage = _Stage.HTTP
        self._requests = http.MessageReader(http.parse_request, http.request_framing)
        self._answers = http.MessageReader(http.parse_response, self._answer_framing)
        self._messages: dict[Sender, websocket.MessageReader] = {}
        self._pending: deque[_Exchange] = deque()
        self._asking: _Exchange | None = None
        self._paused = False
        self._sid = ""
        self._revision_3 = False
        self._closing = False
        self._told: set[str] = set()
        self._closed: list[Sender] = []

    def receive(self, sender: Sender, data: bytes, time: float) -> list[Record]:
        """Take bytes that pass, and return the records that they complete.

        Args:
            sender: Who sent them.
            data: The bytes.
            time: When they passed, in seconds since the epoch: it becomes the time of the records.
        """
        if self._stage is _Stage.OPAQUE:
            return []
        records: list[Record] = []
        try:
            for record in self._read(sender, data, time):
                records.append(record)  # noqa: PERF402 - what came before an error is to be kept
        except (http.UnreadableError, websocket.UnreadableError) as error:
            records.append(self._give_up(sender, str(error), time))
        return records

    def close(self, sender: Sender, time: float) -> list[Record]:
        """Note that a side sends nothing more, and return the records that this completes.

        Args:
            sender: The side whose direction has ended, by the end of its stream or by an error.
            time: When that was, in seconds since the epoch.
        """
        if sender in self._closed:
            return []
        self._closed.append(sender)
        if self._stage is _Stage.WEBSOCKET:
            return [] if self._closing or len(self._closed) > 1 else [self._broken_websocket(sender, time)]
        if self._stage is _Stage.OPAQUE or sender is Sender.CLIENT:
            return []  # a client that has sent all of its request may still wait for the answer
        self._answers.close()
        records = self.receive(sender, b"", time)
        if self._stage is _Stage.HTTP:
            records.extend(self._unanswered(exchange, time) for exchange in self._pending if exchange.watched)
        return records

    def _read(self, sender: Sender, data: bytes, time: float) -> Iterator[Record]:
        if self._stage is _Stage.WEBSOCKET:
            self._messages[sender].receive(data)
            yield from self._read_messages(sender, time)
        elif sender is Sender.CLIENT:
            self._requests.receive(data)
            yield from self._read_requests(time)
            if self._paused and self._requests.unread > MAX_HELD:
                raise http.UnreadableError(f"More than {MAX_HELD} bytes came behind a request for a WebSocket")
        else:
            self._answers.receive(data)
            yield from self._read_answers(time)

    # HTTP ------------------------------------------------------------------------------------------------------------

    def _read_requests(self, time: float) -> Iterator[Record]:
        while not self._paused and (event := self._requests.next_event()) is not None:
            match event:
                case http.RequestHead():
                    self._asking = exchange = _Exchange.of(event)
                    if len(self._pending) >= MAX_PENDING:
                        raise http.UnreadableError(f"More than {MAX_PENDING} requests wait for their answers")
                    self._pending.append(exchange)
                case http.Body(data=data) if self._asking is not None and self._asking.watched:
                    self._asking.asked.add(data)
                case http.End() if self._asking is not None:
                    exchange, self._asking = self._asking, None
                    if exchange.watched and exchange.method == "POST":
                        yield from self._payload(exchange, Sender.CLIENT, exchange.asked, exchange.coding, time)
                    exchange.asked = _Content()
                    # What follows may be WebSocket: the answer will say.
                    self._paused = exchange.upgrade and exchange in self._pending

    def _read_answers(self, time: float) -> Iterator[Record]:
        while self._stage is _Stage.HTTP and (event := self._answers.next_event()) is not None:
            exchange = self._pending[0] if self._pending else _Exchange()
            match event:
                case http.ResponseHead():
                    exchange.answer = event
                case http.Body(data=data) if exchange.watched:
                    exchange.answered.add(data)
                case http.End() if exchange.answer is not None:
                    if exchange.answer.interim:
                        exchange.answer = None
                        continue
                    if self._pending:
                        self._pending.popleft()
                    yield from self._answered(exchange, exchange.answer, time)

    def _answered(self, exchange: _Exchange, answer: http.ResponseHead, time: float) -> Iterator[Record]:
        """Go on behind a complete answer."""
        if answer.status == 101 and exchange.upgrade and exchange.watched:
            yield from self._switch(exchange, answer, time)
            return
        if answer.status == 101 or (exchange.method == "CONNECT" and 200 <= answer.status < 300):
            self._stage = _Stage.OPAQUE  # another protocol, of other people
            return
        if exchange.watched:
            if answer.status != 200:
                if exchange.method != "OPTIONS" or answer.status >= 300:
                    yield self._refusal(exchange, answer, time)
            elif exchange.method == "GET":
                coding = answer.headers.get("content-encoding").lower()
                yield from self._payload(exchange, Sender.SERVER, exchange.answered, coding, time)
        if exchange.upgrade:
            self._paused = False
            yield from self._read_requests(time)

    def _payload(
        self, exchange: _Exchange, sender: Sender, content: _Content, coding: str, time: float
    ) -> Iterator[Record]:
        """Take a polling body apart."""
        who = f"A polling {'request' if sender is Sender.CLIENT else 'answer'}"
        if exchange.foreign:
            yield from self._once(exchange.foreign, exchange.sid, POLLING, sender, time)
            return
        if content.lost:
            yield Note(time, exchange.sid, POLLING, sender, f"{who} has {content.size} bytes, too many to show")
            return
        try:
            data = polling.decompress(bytes(content.data), coding)
        except ValueError as error:
            yield Note(time, exchange.sid, POLLING, sender, f"{who} cannot be shown: {error}")
            return
        text = data.decode(errors="replace")
        if text.count(SEPARATOR) >= polling.MAX_PACKETS:
            count = text.count(SEPARATOR) + 1
            yield Note(time, exchange.sid, POLLING, sender, f"{who} has {count} packets, too many to show")
            return
        sid = exchange.sid or (polling.sid_of(text.partition(SEPARATOR)[0]) if sender is Sender.SERVER else "")
        if not polling.is_utf8(data):
            yield Note(time, sid, POLLING, sender, f"{who} is not valid UTF-8: what is not is shown as U+FFFD")
        for frame in polling.frames_of(text):
            yield TracedFrame(time, sid, POLLING, sender, frame)

    def _refusal(self, exchange: _Exchange, answer: http.ResponseHead, time: float) -> Note:
        text = f"HTTP {answer.status} answered {_a(exchange)}"
        if (why := _explanation(exchange.answered, answer)) != "":
            text += f": {why}"
        return Note(time, exchange.sid, exchange.transport, Sender.SERVER, text)

    def _unanswered(self, exchange: _Exchange, time: float) -> Note:
        """Say that the connection has ended before an answer did."""
        if self._closed[0] is Sender.CLIENT:
            text = f"The client gave up {_a(exchange)} that was waiting for its answer"
        elif exchange.answer is not None:
            text = f"The connection ended within the answer to {_a(exchange)}, after {exchange.answered.size} bytes of its body"
        else:
            text = f"The server closed the connection and left {_a(exchange)} without an answer"
        return Note(time, exchange.sid, exchange.transport, self._closed[0], text)

    def _answer_framing(self, head: http.ResponseHead) -> http.Framing:
        return http.response_framing(head, self._pending[0].method if self._pending else "GET")

    # WebSocket -------------------------------------------------------------------------------------------------------

    def _switch(self, exchange: _Exchange, answer: http.ResponseHead, time: float) -> Iterator[Record]:
        self._stage = _Stage.WEBSOCKET
        self._sid = exchange.sid
        self._revision_3 = exchange.revision_3
        deflate = websocket.agreed_deflate(answer.headers.words("sec-websocket-extensions"))
        for sender, rest in ((Sender.SERVER, self._answers.rest()), (Sender.CLIENT, self._requests.rest())):
            reader = websocket.MessageReader(deflate and deflate[sender is Sender.SERVER], polling.MAX_CONTENT)
            self._messages[sender] = reader
            reader.receive(rest)
        for sender in self._messages:
            yield from self._read_messages(sender, time)

    def _read_messages(self, sender: Sender, time: float) -> Iterator[Record]:
        reader = self._messages[sender]
        while (event := reader.next_event()) is not None:
            match event:
                case websocket.Text(data=text, valid=valid):
                    if not self._sid and sender is Sender.SERVER:
                        self._sid = polling.sid_of(text)
                    if not valid:
                        fault = "A WebSocket message is not valid UTF-8: what is not is shown as U+FFFD"
                        yield Note(time, self._sid, WEBSOCKET, sender, fault)
                    yield TracedFrame(time, self._sid, WEBSOCKET, sender, text)
                case websocket.Binary(data=data):
                    if self._revision_3:
                        data = data.removeprefix(b"\x04")  # there a type byte stands before the message
                    yield TracedFrame(time, self._sid, WEBSOCKET, sender, data)
                case websocket.TooLarge(size=size, compressed=compressed):
                    what = "compressed bytes" if compressed else "bytes"
                    text = f"A WebSocket message has {size} {what}, too many to show"
                    yield Note(time, self._sid, WEBSOCKET, sender, text)
                case websocket.Close():
                    self._closing = True
                    yield Note(time, self._sid, WEBSOCKET, sender, _farewell(event, sender))

    def _broken_websocket(self, sender: Sender, time: float) -> Note:
        within = " within a message" if self._messages[sender].inside else ""
        return Note(
            time, self._sid, WEBSOCKET, sender, f"The {sender} ended the connection{within}, without a Close frame"
        )

    # Both ------------------------------------------------------------------------------------------------------------

    def _give_up(self, sender: Sender, why: str, time: float) -> Note:
        transport = WEBSOCKET if self._stage is _Stage.WEBSOCKET else ""
        self._stage = _Stage.OPAQUE
        self._pending.clear()
        self._messages.clear()
        self._requests.rest()
        self._answers.rest()
        return Note(
            time, self._sid, transport, sender, f"{why}; the rest of this connection is passed on and not shown"
        )

    def _once(self, text: str, sid: str, transport: str, sender: Sender, time: float) -> Iterator[Note]:
        if text not in self._told:
            self._told.add(text)
            yield Note(time, sid, transport, sender, text)


def _query(target: str) -> dict[str, str]:
    """Return the parameters of a request target; of repeated ones the last."""
    try:
        query = urlsplit(target).query
    except ValueError:  # an absolute target with brackets that are no address
        return {}
    return {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}


def _a(exchange: _Exchange) -> str:
    """Return what was asked for, with its article."""
    if exchange.upgrade:
        return "the opening of a WebSocket"
    return f"{'an' if exchange.method[:1] in 'AEIOU' else 'a'} {exchange.method:.20}"


def _explanation(content: _Content, answer: http.ResponseHead) -> str:
    """Return what an error says about itself: the message of Engine.IO, or the beginning of a text."""
    coding = answer.headers.get("content-encoding").lower()
    try:
        text = polling.decompress(bytes(content.data), coding).decode()
        values = json.loads(text) if text.startswith("{") else {}
    except (ValueError, RecursionError):
        return ""
    if isinstance(message := values.get("message"), str):
        return message
    return " ".join(text[:400].split())[:100] if "<" not in text else ""


def _farewell(close: websocket.Close, sender: Sender) -> str:
    text = f"The {sender} closed the WebSocket"
    if close.code is not None:
        meaning = CLOSE_CODES.get(close.code)
        text += f" with code {close.code}" + (f" ({meaning})" if meaning else "")
    return f"{text}: {close.reason}" if close.reason else text
