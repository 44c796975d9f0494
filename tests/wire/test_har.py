"""HAR files: what browsers export becomes the records of a conversation, in the order of time and in little memory."""

import base64
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio_socketio.protocol.trace import TracedFrame

from trio_socketio.wire import har
from trio_socketio.wire.conversation import Conversation, Kind, Line
from trio_socketio.wire.har import read_har
from trio_socketio.wire.record import RecordingError
from trio_socketio.wire.values import Note, Record

SAMPLES = Path(__file__).parent / "har"
START = 1_700_000_000.0
OPEN = '0{"sid":"S1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).isoformat(timespec="milliseconds")


def request(
    began: float,
    method: str = "GET",
    *,
    sid: str = "S1",
    posted: str | None = None,
    answer: str | None = None,
    status: int = 200,
    took: float = 0.01,
    url: str = "http://h/socket.io/?EIO=4&transport=polling&t=1",
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "startedDateTime": moment(began),
        "time": took * 1000,
        "request": {"method": method, "url": url + (f"&sid={sid}" if sid else "")},
        "response": {"status": status, "content": {"mimeType": "text/plain"}},
        "timings": {"blocked": 1, "dns": -1, "connect": -1, "ssl": -1, "send": 1, "wait": 5, "receive": 0},
    }
    if posted is not None:
        entry["request"]["postData"] = {"mimeType": "text/plain", "text": posted}
    if answer is not None:
        entry["response"]["content"]["text"] = answer
    return entry


def websocket(
    began: float, *messages: tuple[float, str, str | bytes], sid: str = "S1", status: int = 101, scale: float = 1
) -> dict[str, Any]:
    """A WebSocket; a message is its time in seconds from the start, its type, and what it carries."""
    entry = request(began, sid=sid, status=status, url="ws://h/socket.io/?EIO=4&transport=websocket")
    entry["_resourceType"] = "websocket"
    entry["_webSocketMessages"] = [
        {
            "type": direction,
            "time": (START + at) * scale,
            "opcode": 1 if isinstance(data, str) else 2,
            "data": data if isinstance(data, str) else base64.b64encode(data).decode(),
        }
        for at, direction, data in messages
    ]
    return entry


def har_bytes(*entries: object) -> bytes:
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "x"}, "pages": [], "entries": entries}}).encode()


def read(*entries: object) -> list[Record]:
    return list(read_har(io.BytesIO(har_bytes(*entries))))


def frames(records: list[Record]) -> list[tuple[str, str, str, str | bytes]]:
    return [(one.sid, one.transport, one.sender.value, one.frame) for one in records if isinstance(one, TracedFrame)]


def texts(records: list[Record]) -> list[str]:
    return [one.text for one in records if isinstance(one, Note)]


# Entries


def test_polling_requests_give_the_packets_of_their_bodies() -> None:
    records = read(
        request(0, sid="", answer=OPEN),
        request(1, "POST", posted='40\x1e42["a","ü"]\x1ebAAEC', answer="ok"),
        request(2, answer='40{"sid":"x"}\x1e42["b"]', took=0.5),
    )
    assert frames(records) == [
        ("S1", "polling", "server", OPEN),
        ("S1", "polling", "client", "40"),
        ("S1", "polling", "client", '42["a","ü"]'),
        ("S1", "polling", "client", b"\x00\x01\x02"),
        ("S1", "polling", "server", '40{"sid":"x"}'),
        ("S1", "polling", "server", '42["b"]'),
    ]
    assert [round(record.time - START, 3) for record in records] == [0.01, 1.002, 1.002, 1.002, 2.5, 2.5]


def test_an_answer_in_base64_is_decoded() -> None:
    entry = request(0)
    entry["response"]["content"] |= {"encoding": "base64", "text": base64.b64encode('42["ü"]'.encode()).decode()}
    assert frames(read(entry)) == [("S1", "polling", "server", '42["ü"]')]


def test_websocket_messages_become_frames() -> None:
    records = read(websocket(0, (0.1, "send", '42["a"]'), (0.2, "receive", b"\x00\xff"), (0.3, "receive", "2")))
    assert frames(records) == [
        ("S1", "websocket", "client", '42["a"]'),
        ("S1", "websocket", "server", b"\x00\xff"),
        ("S1", "websocket", "server", "2"),
    ]
    assert [record.time for record in records] == pytest.approx([START + 0.1, START + 0.2, START + 0.3])


def test_a_websocket_without_a_sid_in_its_address_has_the_one_of_the_handshake() -> None:
    records = read(websocket(0, (0.1, "receive", OPEN.replace("S1", "S9")), (0.2, "send", "40"), sid=""))
    assert {record.sid for record in records} == {"S9"}


def test_times_in_milliseconds_are_understood() -> None:
    (record,) = read(websocket(0, (0.25, "send", "40"), scale=1000))
    assert record.time == pytest.approx(START + 0.25)


def test_answers_other_than_200_become_notes() -> None:
    records = read(
        request(0, answer='{"code":1,"message":"Session ID unknown"}', status=400),
        request(1, "POST", posted="40", status=413),
        request(2, answer="<html>", status=502),
        websocket(3, status=400),
    )
    assert texts(records) == [
        "HTTP 400 answered a GET: Session ID unknown",
        "HTTP 413 answered a POST",
        "HTTP 502 answered a GET",
        "HTTP 400 refused the WebSocket",
    ]
    assert frames(records) == [("S1", "polling", "client", "40")]


def test_what_the_file_does_not_have_becomes_a_note() -> None:
    aborted = request(2, status=0)
    aborted["response"]["_error"] = "net::ERR_ABORTED"
    failed = websocket(4)
    failed["_webSocketMessages"] = [
        {"type": "error", "time": START + 4, "opcode": -1, "data": "failed"},
        {"type": "receive", "time": START + 5, "opcode": 2, "data": "no base64!"},
        {"type": "receive", "time": START + 6, "opcode": 9, "data": ""},
        {"type": "receive", "time": START + 7, "opcode": 8, "data": ""},
    ]
    assert texts(read(request(0), request(1, "POST"), aborted, websocket(3), failed)) == [
        "The answer of a GET is not in the file",
        "The body of a POST is not in the file",
        "A GET got no answer: net::ERR_ABORTED",
        "There are no messages of the WebSocket in the file",
        "The WebSocket failed: failed",
        "A binary message is not in the file: what is there is no base64",
        "The server closed the WebSocket",
    ]


def test_other_requests_are_skipped_and_counted() -> None:
    entries = [
        request(0, url="http://h/app.js?"),
        request(1, url="http://h/?EIO=4&transport=sse"),
        request(2, url="http://[broken/?EIO=4&transport=polling"),
        request(3, "OPTIONS", status=204),
        request(4, answer="6"),
        "no entry",
    ]
    records = read_har(io.BytesIO(har_bytes(*entries)))
    assert [record.time for record in records] == pytest.approx([START + 4.01])
    assert (records.entries, records.skipped) == (6, 4)


def test_any_path_will_do() -> None:
    assert frames(read(request(0, answer="6", url="https://h/deep/engine?EIO=4&transport=polling")))


def test_bodies_of_revision_3_are_taken_apart() -> None:
    url = "http://h/?EIO=3&transport=polling"
    good = read(request(0, answer='9:42["äöü"]2:40', url=url), request(1, "POST", posted="6:b4AAEC", url=url))
    assert [frame for *_, frame in frames(good)] == ['42["äöü"]', "40", b"\x00\x01\x02"]
    counted_as_javascript_does = read(request(0, "POST", posted='8:42["😀"]1:2', url=url))
    assert [frame for *_, frame in frames(counted_as_javascript_does)] == ['42["😀"]', "2"]
    broken = read(request(0, answer='8:42["äöü"]2:40', url=url))
    assert [frame for *_, frame in frames(broken)] == ['42["äöü"', "]2:40"]


def test_a_broken_packet_stays_as_it_is_and_is_a_fault_of_the_conversation() -> None:
    conversation = Conversation()
    lines = [line for record in read(request(0, answer="b*\x1e\x1e2")) for line in conversation.observe(record)]
    assert [line.kind for line in lines] == [Kind.FAULT, Kind.FAULT, Kind.PING]


# The order


def test_messages_of_a_websocket_and_requests_are_merged_by_time() -> None:
    records = read(
        request(0, sid="", answer=OPEN),
        websocket(1, (1.1, "send", "2probe"), (1.2, "receive", "3probe"), (3, "send", "5"), (9, "receive", "2")),
        request(1.15, answer="6", took=0.01),
        request(2, "POST", posted='42["late"]'),
        websocket(4, (5, "send", "other"), sid="S2"),
    )
    assert [one.time for one in records] == sorted(one.time for one in records)
    assert [frame for *_, frame in frames(records)] == [OPEN, "2probe", "6", "3probe", '42["late"]', "5", "other", "2"]


def test_records_leave_as_soon_as_no_later_entry_can_come_before_them() -> None:
    beginning = har_bytes(request(0, answer="2"), request(5, answer="6"))[:-3]
    records = read_har(EndsEarly(beginning))
    assert next(records).time == pytest.approx(START + 0.01)
    with pytest.raises(RecordingError, match="ends too early"):
        next(records)


class EndsEarly(io.BytesIO):
    """Gives its bytes one after another, so that nothing is parsed before it is needed."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(1 if size else 0)


def test_many_websockets_at_once_do_not_wait_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har, "_SMALLEST_WAITING", 1000)
    sockets = [
        websocket(n, *((n + 100 + i, "send", f'42["{n}",{i}]') for i in range(50)), sid=f"S{n}") for n in range(20)
    ]
    records = read(*sockets)
    assert len(records) == 1000
    for n in range(20):  # within one connection the order is exact all the same
        own = [one.time for one in records if one.sid == f"S{n}"]
        assert own == sorted(own)


# Files


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file ends too early|The file is no HAR"),
        (b"hello", "The file is no HAR: it is not valid JSON"),
        (b"\x89PNG\r\n", "The file is no HAR: it is not valid JSON"),
        (har_bytes(request(0))[:-20], "The file ends too early"),
        (b"[]", "no list of entries in its log"),
        (b'"har"', "no list of entries in its log"),
        (b'{"log":{}}', "no list of entries in its log"),
        (b'{"log":{"entries":{}}}', "no list of entries in its log"),
        (b'{"trio-socketio-recording":1}\n{}', "The file is no HAR"),
    ],
)
def test_a_file_that_is_no_har_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        list(read_har(io.BytesIO(data)))


def test_a_har_file_without_entries_has_no_records() -> None:
    assert read() == []


def test_a_byte_order_mark_does_no_harm() -> None:
    assert len(list(read_har(io.BytesIO(b"\xef\xbb\xbf" + har_bytes(request(0, answer="6")))))) == 1


def test_without_ijson_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har, "ijson", None)
    with pytest.raises(RecordingError, match=r"pip install 'trio-socketio\[har\]'"):
        list(read_har(io.BytesIO(har_bytes())))


def test_progress_is_told_as_the_file_is_read() -> None:
    data = har_bytes(*(request(n, answer="6" + "x" * 1000) for n in range(500)))
    told: list[int] = []
    assert len(list(read_har(io.BytesIO(data), told.append))) == 500
    assert told == sorted(told)
    assert told[-1] == len(data)
    assert len(told) > 5


def test_the_python_backend_of_ijson_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sample("upgrade.har")
    monkeypatch.setattr(har, "ijson", ijson.get_backend("python"))
    monkeypatch.setattr(har.ijson, "JSONError", ijson.JSONError, raising=False)
    assert sample("upgrade.har") == expected
    for data in (b"", b"hello", har_bytes(request(0))[:-20]):
        with pytest.raises(RecordingError):
            list(read_har(io.BytesIO(data)))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PATHS = [
    ("startedDateTime",), ("time",), ("timings",), ("timings", "send"), ("request",), ("request", "method"),
    ("request", "url"), ("request", "postData"), ("request", "postData", "text"), ("response",),
    ("response", "status"), ("response", "content"), ("response", "content", "text"),
    ("response", "content", "encoding"), ("_webSocketMessages",), ("_webSocketMessages", 0),
]  # fmt: skip


@settings(max_examples=200)
@given(st.sampled_from(["POST", "GET", "websocket"]), st.lists(st.tuples(st.sampled_from(PATHS), junk), max_size=4))
def test_whatever_the_values_are_nothing_else_is_raised(kind: str, changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    entry: Any = websocket(0, (0, "send", "40")) if kind == "websocket" else request(0, kind, posted="40", answer="6")
    for path, value in changes:
        target = entry
        for key in path[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if isinstance(target, dict if isinstance(path[-1], str) else list) and (isinstance(target, dict) or target):
            target[path[-1]] = value
    for record in read(entry):
        Conversation().observe(record)


@given(st.integers(0, 60), st.binary(max_size=3))
def test_a_file_that_is_damaged_anywhere_raises_nothing_else(position: int, damage: bytes) -> None:
    data = har_bytes(request(0, answer="6"))
    place = position * len(data) // 60
    with contextlib.suppress(RecordingError):
        list(read_har(io.BytesIO(data[:place] + damage + data[place + len(damage) :])))


# Real files, made by har/record.py with Chromium


def sample(name: str) -> list[Record]:
    with (SAMPLES / name).open("rb") as file:
        return list(read_har(file))


def lines_of(records: list[Record]) -> list[Line]:
    conversation = Conversation()
    return [line for record in records for line in conversation.observe(record)]


@pytest.mark.parametrize(
    ("name", "transports"), [("upgrade.har", ("polling", "websocket")), ("polling.har", ("polling",))]
)
def test_a_real_chat_is_understood(name: str, transports: tuple[str, ...]) -> None:
    conversation = Conversation()
    records = sample(name)
    lines = [line for record in records for line in conversation.observe(record)]
    summary = conversation.summary()
    assert summary.fault_count == 0
    assert [session.transports for session in summary.sessions] == [transports, transports]
    assert all(session.opened is not None and session.ended for session in summary.sessions)
    (chat,) = summary.namespaces
    assert (chat.name, chat.connections) == ("/chat", 2)
    assert {event.name for event in chat.events} == {"join", "say", "image", "message", "people", "rooms"}
    assert (summary.acks.asked, summary.acks.answered) == (5, 5)
    assert [record.time for record in records] == sorted(record.time for record in records)
    images = [line for line in lines if line.event == "image" and line.kind is Kind.EVENT]
    assert [line.payload[-1][:4] for line in images] == [b"\x89PNG"]
    said = [line.payload[1] for line in lines if line.event == "say" and line.kind is Kind.EVENT]
    assert said == ["Is anyone here? 🙂", "I am."]


def test_a_real_upgrade_is_seen_step_by_step() -> None:
    lines = lines_of(sample("upgrade.har"))
    first = lines[0].sid
    kinds = [line.kind for line in lines if line.sid == first]
    steps = [kind for kind in kinds if kind in (Kind.OPEN, Kind.CONNECT, Kind.PROBE, Kind.UPGRADE)]
    assert steps[0] is Kind.OPEN
    assert steps[-3:] == [Kind.PROBE, Kind.PROBE, Kind.UPGRADE]


# A large file

LARGE = 50_000_000 if ijson.backend in ("yajl2_c", "yajl2_cffi") else 5_000_000
"""Bytes; without a backend in C the parser takes twenty times as long."""

LARGEST_ENTRY = 1_000_000


def write_large(file: BinaryIO) -> None:
    """A file of many requests, of other things that are large, and of one WebSocket that has megabytes to say."""
    file.write(b'{"log":{"version":"1.2","entries":[')
    entries = iterate_large()
    file.write(json.dumps(next(entries)).encode())
    while file.tell() < LARGE:
        file.write(b",\n" + json.dumps(next(entries)).encode())
    file.write(b"]}}")


def iterate_large() -> Iterator[dict[str, Any]]:
    padding = "x" * 50
    messages = [(1 + n / 10, "receive", f'42["tick",{n},"{padding}"]') for n in range(LARGEST_ENTRY // 150)]
    yield websocket(0, *messages)
    n = 0
    while True:
        n += 1
        yield request(n / 10, answer='42["news","%s"]' % ("y" * 20_000), sid="S2")
        if n % 20 == 0:
            yield request(n / 10, answer="z" * (LARGEST_ENTRY - 1000), url="http://h/picture?")


MEASURE = """
import re, sys
from trio_socketio.wire.conversation import Conversation
from trio_socketio.wire.har import read_har

def run(path):
    told = []
    conversation = Conversation()
    with open(path, "rb") as file:
        records = read_har(file, told.append)
        count = sum(len(conversation.observe(record)) for record in records)
    return count, len(told), records.skipped

def peak():  # not getrusage: there a process begins with the peak of the one that started it
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1]) * 1024

run(sys.argv[2])  # what is imported and allocated once
before = peak()
count, told, skipped = run(sys.argv[1])
print(count, told, skipped, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux' /proc")
def test_a_large_file_takes_little_memory_and_tells_its_progress(tmp_path: Path, record_property: Any) -> None:
    path = tmp_path / "large.har"
    with path.open("wb") as file:
        write_large(file)
    began = time.monotonic()
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, path, SAMPLES / "upgrade.har"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    ).stdout
    count, told, skipped, memory = map(int, output.split())
    record_property("seconds", time.monotonic() - began)
    record_property("memory", memory)
    assert count > LARGE // 50_000
    assert skipped > LARGE // 5_000_000
    assert told >= path.stat().st_size // 65_536
    # The largest entry is parsed (a message of 60 bytes is a dict of four values), and its records wait to be merged.
    assert memory < 12 * LARGEST_ENTRY
