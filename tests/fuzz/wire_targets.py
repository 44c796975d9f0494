"""What reads and shows recorded traffic: files of other programs, and bytes that pass between others."""

import io
import json
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterable, Iterator

from fuzz import protocol_targets, seeds, server_targets
from fuzz.target import MARK, Numbers, Target, text, values
from trio_socketio.protocol import explain
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio.wire.conversation import Conversation
from trio_socketio.wire.diagram import render_svg
from trio_socketio.wire.drawing import draw
from trio_socketio.wire.har import read_har
from trio_socketio.wire.json_lines import json_of_line, json_of_summary
from trio_socketio.wire.lines import format_header, format_line, format_summary
from trio_socketio.wire.page import render_page
from trio_socketio.wire.polling_bodies import decompress
from trio_socketio.wire.record import HEADER, RecordingError, read_records, write_record
from trio_socketio.wire.sniffing import Sniffer
from trio_socketio.wire.values import Line, Note, Record

MANY = 50
"""Records of an input that are shown in all ways; the pictures of more take long and show nothing else."""

NO_PAGE = render_page([], Conversation().summary(), "title")


def read_hars(data: bytes) -> None:
    """A file: it is a HAR with records that can be shown, or one error says what it is."""
    found: list[Record] = []
    try:
        for record in read_har(io.BytesIO(data)):
            found.append(record)
    except RecordingError as error:
        assert str(error)
    _show(found)


def read_recordings(data: bytes) -> None:
    """The lines of a file: a recording with records that can be shown, or one error that says which line is to blame."""
    found: list[Record] = []
    lines = text(data).splitlines(keepends=True)
    try:
        for record in read_records(lines):
            found.append(record)
    except RecordingError as error:
        assert error.line is None or 1 <= error.line <= len(lines)
    again = list(read_records([HEADER, *map(write_record, found)]))
    assert again == found
    _show(found)


def sniff(data: bytes) -> None:
    """What both sides send, in turns: whatever it is, the frames in it are found wherever it is cut, and can be shown."""
    turns = [
        (Sender.CLIENT if number % 2 == 0 else Sender.SERVER, part)
        for number, part in enumerate(data.replace(b"\xff\xfd", MARK * 2).split(MARK * 2))
    ]
    whole = _sniffed(turns)
    for size in (1, 7):
        cut = [(sender, part[start : start + size]) for sender, part in turns for start in range(0, len(part), size)]
        in_pieces = _sniffed(cut)
        for sender in Sender:
            some, others = _frames_of(sender, in_pieces), _frames_of(sender, whole)
            if _given_up(whole) or _given_up(in_pieces):  # how much of it was shown before is the network's doing
                short, long = sorted((some, others), key=len)
                assert short == long[: len(short)]
            else:
                assert some == others
    _show(whole)


def _sniffed(turns: Iterable[tuple[Sender, bytes]]) -> list[Record]:
    sniffer = Sniffer()
    found: list[Record] = []
    for sender, part in turns:
        found += sniffer.receive(sender, part, 1.0)
    for sender in (Sender.SERVER, Sender.CLIENT):
        found += sniffer.close(sender, 2.0)
    return found


def _frames_of(sender: Sender, found: list[Record]) -> list[Record]:
    return [record for record in found if isinstance(record, TracedFrame) and record.sender is sender]


def _given_up(found: list[Record]) -> bool:
    return any(isinstance(record, Note) and record.text.endswith("passed on and not shown") for record in found)


def converse(data: bytes) -> None:
    """Frames of a few sessions by either side: everything is understood somehow, and can be shown."""
    numbers = Numbers(data[:20])
    found: list[Record] = []
    for frame in values(data[20:]):
        way = numbers.below(8)
        sender = (Sender.CLIENT, Sender.SERVER)[way & 1]
        found.append(
            TracedFrame(len(found) / 8, ("a", "b")[way >> 1 & 1], ("polling", "websocket")[way >> 2], sender, frame)
        )
    _show(found)


def _show(found: list[Record]) -> None:
    conversation = Conversation()
    lines: list[Line] = []
    for record in found:
        lines += conversation.observe(record)
    lines += conversation.finish()
    summary = conversation.summary()
    assert json.loads(json_of_summary(summary)).keys() == {"summary"}
    for line in lines[:MANY]:
        assert isinstance(json.loads(json_of_line(line)), dict)
        for color, width in ((False, None), (False, 60), (True, 100)):
            shown = format_line(line, color=color, width=width, start=lines[0].time)
            assert "\n" not in shown
            assert color or shown.isprintable(), repr(shown)
            shown.encode()
    format_header(color=False, width=80, start=lines[0].time if lines else 0.0).encode()
    format_summary(summary, color=False, width=80).encode()
    page = render_page(lines[:MANY], summary, "title")
    assert page.count("</script") == NO_PAGE.count("</script"), "something of the peer's ends a script"
    page.encode()
    ET.fromstring(render_svg(lines[:MANY]).encode())


def draw_frames(data: bytes) -> None:
    """A width, and a frame: its drawing fits, and a terminal can show it."""
    width = data[0] if data else 0
    for frame in values(data[1:])[:1]:
        spans = explain.explain(frame)
        for ascii_only in (False, True):
            drawing = draw(spans, width=width, color=False, ascii_only=ascii_only)
            assert all(line.isprintable() for line in drawing.split("\n"))
            assert drawing.isascii() or not ascii_only


def unpack(data: bytes) -> None:
    """A number for the coding, and the body of an answer: it can be unpacked or it is no such body."""
    coding = ("", "gzip", "deflate", "br", "gzip, gzip", "identity")[data[0] % 6 if data else 0]
    try:
        decompress(data[1:], coding)
    except ValueError as error:
        assert str(error)


def _entries() -> Iterator[bytes]:
    """Each entry of a recorded HAR file for itself, without what nobody reads."""
    for path in seeds.HARS:
        for entry in json.loads(path.read_text("utf-8"))["log"]["entries"]:
            entry["request"] = {
                key: entry["request"][key] for key in ("method", "url", "postData") if key in entry["request"]
            }
            if len(messages := entry.get("_webSocketMessages", ())) > 4:
                entry["_webSocketMessages"] = messages[:4]
            kept = ("startedDateTime", "time", "timings", "request", "response", "_webSocketMessages")
            whole = {"log": {"entries": [{key: entry[key] for key in kept if key in entry}]}}
            yield json.dumps(whole, separators=(",", ":")).encode()
    yield b'{"log":{"entries":[]}}'


def _recordings() -> Iterator[bytes]:
    frames = [TracedFrame(1.5 * n, "sid", "websocket", Sender.SERVER, frame) for n, frame in enumerate(_frames())]
    for start in range(0, len(frames), 3):
        yield (HEADER + "".join(map(write_record, frames[start : start + 3]))).encode()
    yield (HEADER + write_record(Note(1.0, "a", "polling", None, "a note"))).encode()[:-9]


def _frames() -> Iterator[str | bytes]:
    for data in seeds.engine_frames():
        yield from (
            frame
            for frame in values(data)
            if isinstance(frame, bytes) or not any("\ud800" <= c <= "\udfff" for c in frame)
        )


def _conversations() -> Iterator[bytes]:
    ways = (bytes(range(20)), bytes(20), bytes([0, 1] * 10), bytes([4, 5] * 10))
    for number, data in enumerate(seeds.engine_frames()):
        yield ways[number % len(ways)] + data
    opened = b'0{"sid":"x","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":3}'
    yield (
        b"\1\0\1\0\1\0\1\0\1\0\1\0"
        + bytes(8)
        + MARK.join(
            (
                opened,
                b"40",
                b'40{"sid":"y"}',
                b'427["a",1]',
                b"437[2]",
                b"2probe",
                b"3probe",
                b"5",
                b"2",
                b"3",
                b"41",
                b"1",
            )
        )
    )


SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
)
OPENED = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 88\r\n\r\n"
    b'0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n4\r\n2;x=y\r\nab\r\n0\r\nTrailer: x\r\n\r\n"


def _passing() -> Iterator[bytes]:
    packed = zlib.compressobj(wbits=-15)
    deflated = (packed.compress(b'42["hello"]') + packed.flush(zlib.Z_SYNC_FLUSH))[:-4]
    answers = (
        OPENED,
        CHUNKED,
        SWITCHED,
        b'HTTP/1.1 400 Bad Request\r\n\r\n{"code":1}',
        b"HTTP/1.1 204 x\r\n\r\n" + OPENED,
    )
    for number, data in enumerate(seeds.conversations()):
        if MARK not in data:
            yield data + MARK * 2 + answers[number % len(answers)]
    compressed = bytes([0xC1, len(deflated)]) + deflated
    yield (
        seeds.UPGRADE
        + MARK * 2
        + SWITCHED
        + b"\x81\x0240"
        + compressed * 2
        + b"\x88\x02\x03\xe8"
        + MARK * 2
        + b"\x81\x80aaaa"
    )


HAR_WORDS = (
    b'"request":{', b'"response":{', b'"url":"', b"EIO=4&transport=polling", b"EIO=3&transport=polling",
    b"EIO=4&transport=websocket", b"&sid=x", b'"method":"POST"', b'"postData":{"text":"', b'"content":{"text":"',
    b'"encoding":"base64"', b'"status":200', b'"status":0', b'"startedDateTime":"2024-01-01T00:00:00.000Z"',
    b'"startedDateTime":"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-23:59"', b'"time":', b"1e400", b"-1",
    b"1.5", b"null", b"true", b"[]", b"{}", b",", b'"', b"\\ud800", b"\\u0000", b"[" * 50, b'"timings":{"send":',
    b'{"type":"send","time":1,"opcode":1,"data":"40"}', b'"opcode":2', b'"opcode":8', b'"type":"error"',
    b"\xef\xbb\xbf", b"\xff", b"http://[",
)  # fmt: skip
LINE_WORDS = (
    b"\n", b'{"time":', b'"sid":"', b'"transport":"', b'"sender":"client"', b'"sender":null', b'"text":"',
    b'"base64":"', b'"note":"', b"1e308", b"1" * 400, b"NaN", b"-1", b"\xff", b"\\ud800", b"\x85", b"\xe2\x80\xa8",
    b"AAEC", b"=", b"\x1b[31m", b"}", b"{", b'"', b",",
)  # fmt: skip

SHOWING = ("trio_socketio.wire", "trio_socketio.protocol")
TARGETS = (
    Target("har", read_hars, _entries, HAR_WORDS, ("trio_socketio.wire.har",), 100, 1500),
    Target("recording", read_recordings, _recordings, LINE_WORDS, ("trio_socketio.wire.record",), 100, 600),
    Target(
        "sniffing",
        sniff,
        _passing,
        (
            MARK * 2,
            *server_targets.HTTP_WORDS,
            *server_targets.FRAME_WORDS,
            SWITCHED,
            OPENED,
            CHUNKED,
            b"\r\n",
            b"gzip",
            b"0\r\n\r\n",
        ),
        ("trio_socketio.wire",),
        100,
        1200,
    ),
    Target("conversation", converse, _conversations, protocol_targets.FRAME_WORDS, SHOWING, 100, 400),
    Target(
        "drawing",
        draw_frames,
        seeds.json_texts,
        protocol_targets.FRAME_WORDS,
        ("trio_socketio.wire.drawing",),
        100,
        300,
    ),
    Target(
        "unpacking",
        unpack,
        lambda: [b"\0abc", b"\2" + zlib.compress(b"abc")],
        (b"\x1f\x8b",),
        ("trio_socketio.wire.polling_bodies",),
        50,
        200,
    ),
)
