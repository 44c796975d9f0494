"""What a sniffer makes of the bytes of a connection."""

import base64
import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trio_socketio.protocol.trace import Sender, TracedFrame
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameProtocol

from trio_socketio.wire import polling_bodies
from trio_socketio.wire.sniffing import Sniffer
from trio_socketio.wire.values import Note

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
NOW = 1_700_000_000.0
OPEN = '0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


def request(target="/socket.io/?EIO=4&transport=polling", method="GET", body=b"", **headers):
    fields = {"Host": "localhost", **headers}
    if body:
        fields["Content-Length"] = str(len(body))
    return message(f"{method} {target} HTTP/1.1", fields, body)


def answer(body=b"", status="200 OK", *, length=True, **headers):
    return message(f"HTTP/1.1 {status}", {**({"Content-Length": str(len(body))} if length else {}), **headers}, body)


def message(start, fields, body):
    lines = [start, *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(*chunks):
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\nTrailer: 1\r\n\r\n"


def upgrade(target="/socket.io/?EIO=4&transport=websocket", **headers):
    return request(target, Upgrade="websocket", Connection="Upgrade", **headers)


def switch(**headers):
    return answer(status="101 Switching Protocols", length=False, Upgrade="websocket", Connection="Upgrade", **headers)


def frames(sender, *payloads, **options):
    """WebSocket messages as a real implementation writes them."""
    protocol = FrameProtocol(client=sender is CLIENT, extensions=[])
    return b"".join(protocol.send_data(payload, True, **options) for payload in payloads)


def close(sender, code=CloseReason.NORMAL_CLOSURE, reason=None):
    return FrameProtocol(client=sender is CLIENT, extensions=[]).close(code, reason)


def raw(opcode, payload, first=0x80):
    """An unmasked frame of whatever kind."""
    assert len(payload) < 126
    return bytes([first | opcode, len(payload)]) + payload


def sniff(*passed, ends=()):
    sniffer = Sniffer()
    records = [record for sender, data in passed for record in sniffer.receive(sender, data, NOW)]
    return records + [record for sender in ends for record in sniffer.close(sender, NOW)]


def contents(records):
    return [record.frame if isinstance(record, TracedFrame) else record.text for record in records]


POLL = "/socket.io/?EIO=4&transport=polling&sid=abc"
POLLED = [
    (CLIENT, request()),
    (SERVER, answer(OPEN.encode(), Content_Type="text/plain; charset=UTF-8")),
    (CLIENT, request(POLL, "POST", b'40\x1e42["a","\xc3\xa9"]\x1ebAQID')),
    (SERVER, answer(b"ok")),
    (CLIENT, request(POLL)),
    (SERVER, answer(b"2")),
]  # fmt: skip
UPGRADED = [
    *POLLED,
    (CLIENT, upgrade("/socket.io/?EIO=4&transport=websocket&sid=abc")),
    (SERVER, switch()),
    (CLIENT, frames(CLIENT, "2probe")),
    (SERVER, frames(SERVER, "3probe")),
    (CLIENT, frames(CLIENT, "5", '42["hello"]', b"\x01\x02\x03")),
    (SERVER, frames(SERVER, "2", b"x" * 70_000) + raw(9, b"ping") + close(SERVER, CloseReason.GOING_AWAY, "bye")),
    (CLIENT, close(CLIENT)),
]


def test_polling_bodies_become_frames_of_the_session():
    assert sniff(*POLLED) == [
        TracedFrame(NOW, "abc", "polling", SERVER, OPEN),
        TracedFrame(NOW, "abc", "polling", CLIENT, "40"),
        TracedFrame(NOW, "abc", "polling", CLIENT, '42["a","é"]'),
        TracedFrame(NOW, "abc", "polling", CLIENT, b"\x01\x02\x03"),
        TracedFrame(NOW, "abc", "polling", SERVER, "2"),
    ]


def test_behind_an_upgrade_the_messages_are_frames_and_close_frames_are_notes():
    assert sniff(*UPGRADED)[5:] == [
        TracedFrame(NOW, "abc", "websocket", CLIENT, "2probe"),
        TracedFrame(NOW, "abc", "websocket", SERVER, "3probe"),
        TracedFrame(NOW, "abc", "websocket", CLIENT, "5"),
        TracedFrame(NOW, "abc", "websocket", CLIENT, '42["hello"]'),
        TracedFrame(NOW, "abc", "websocket", CLIENT, b"\x01\x02\x03"),
        TracedFrame(NOW, "abc", "websocket", SERVER, "2"),
        TracedFrame(NOW, "abc", "websocket", SERVER, b"x" * 70_000),
        Note(NOW, "abc", "websocket", SERVER, "The server closed the WebSocket with code 1001 (going away): bye"),
        Note(NOW, "abc", "websocket", CLIENT, "The client closed the WebSocket with code 1000 (normal closure)"),
    ]


def test_a_websocket_that_begins_a_session_learns_the_sid_from_the_open_packet():
    records = sniff((CLIENT, upgrade()), (SERVER, switch() + frames(SERVER, OPEN)), (CLIENT, frames(CLIENT, "40")))
    assert [(record.sid, record.frame) for record in records] == [("abc", OPEN), ("abc", "40")]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_however_the_bytes_are_cut_the_records_are_the_same(data):
    whole = sniff(*UPGRADED, ends=[CLIENT, SERVER])
    pieces = []
    for sender, content in UPGRADED:
        cuts = sorted(data.draw(st.sets(st.integers(0, min(len(content), 400)), max_size=8)))
        edges = [0, *cuts, len(content)]
        pieces += [(sender, content[start:end]) for start, end in zip(edges, edges[1:], strict=False)]
    assert sniff(*pieces, ends=[CLIENT, SERVER]) == whole


def test_one_byte_at_a_time_is_enough():
    pieces = [(sender, bytes([byte])) for sender, content in UPGRADED for byte in content]
    assert sniff(*pieces) == sniff(*UPGRADED)


@given(st.lists(st.tuples(st.sampled_from(Sender), st.binary(max_size=60)), max_size=8))
def test_garbage_is_noted_once_at_most_and_raises_nothing(passed):
    records = sniff(*passed, ends=[CLIENT, SERVER])
    assert len(records) <= 1
    assert all(isinstance(record, Note) for record in records)


@given(
    st.lists(st.tuples(st.sampled_from(Sender), st.binary(max_size=40)), max_size=6),
    st.sampled_from([POLLED, UPGRADED, UPGRADED[:8], UPGRADED[:7]]),
    st.integers(0, 600),
)
@settings(max_examples=300)
def test_garbage_within_a_conversation_raises_nothing(garbage, conversation, cut):
    sender, content = conversation[-1]
    sniff(*conversation[:-1], (sender, content[:cut]), *garbage, ends=[SERVER, CLIENT])


@given(st.binary(max_size=200), st.booleans(), st.sampled_from(Sender))
@settings(max_examples=300)
def test_garbage_in_websocket_frames_raises_nothing(content, compressed, sender):
    extensions = {"Sec_WebSocket_Extensions": "permessage-deflate"} if compressed else {}
    opened = [(CLIENT, upgrade()), (SERVER, switch(**extensions))]
    sniff(*opened, (sender, content), ends=[sender])
    framed = bytes([0xC1 if compressed else 0x81, min(len(content), 125)]) + content[:125]
    sniff(*opened, (sender, framed), ends=[sender])


@given(st.binary(max_size=300))
def test_garbage_in_polling_bodies_raises_nothing(body):
    sniff((CLIENT, request(POLL, "POST", body)), (SERVER, answer(body)))
    for coding in ("gzip", "deflate", "br", ""):
        sniff((CLIENT, request(POLL)), (SERVER, answer(body, Content_Encoding=coding)))


def test_pipelined_requests_and_answers_are_joined_in_order():
    records = sniff(
        (CLIENT, request(POLL) + request("/favicon.ico") + request(POLL, "POST", b"4x") + request(POLL)),
        (SERVER, answer(b"4a") + answer(b"icon") + answer(b"ok") + answer(b"4b")),
    )
    assert contents(records) == ["4x", "4a", "4b"]


def test_chunked_bodies_are_put_together_in_both_directions():
    post = message(f"POST {POLL} HTTP/1.1", {"Transfer-Encoding": "chunked"}, chunked(b"4he", b"llo\x1e", b"3"))
    got = answer(chunked(b"4a\x1e", b"4b"), length=False, Transfer_Encoding="chunked")
    records = sniff((CLIENT, post + request(POLL)), (SERVER, answer(b"ok") + got))
    assert contents(records) == ["4hello", "3", "4a", "4b"]


def test_a_body_without_a_length_ends_with_the_connection():
    passed = [(CLIENT, request(POLL)), (SERVER, answer(b"4a", length=False))]
    assert sniff(*passed) == []
    assert contents(sniff(*passed, ends=[SERVER])) == ["4a"]


def test_answers_without_bodies_do_not_swallow_what_follows():
    records = sniff(
        (CLIENT, request(POLL, "HEAD") + request("/a") + request("/b") + request(POLL, "OPTIONS") + request(POLL)),
        (SERVER, message("HTTP/1.1 200 OK", {"Content-Length": "5"}, b"")),
        (SERVER, message("HTTP/1.1 304 Not Modified", {"Content-Length": "5"}, b"")),
        (SERVER, message("HTTP/1.1 100 Continue", {}, b"") + answer(b"b")),
        (SERVER, message("HTTP/1.1 204 No Content", {}, b"")),
        (SERVER, answer(b"4a")),
    )
    assert contents(records) == ["4a"]


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("identity", lambda data: data),
    ],
)
def test_compressed_polling_answers_are_shown_as_what_they_mean(coding, compress):
    body = compress(b'42["a"]\x1e2')
    records = sniff((CLIENT, request(POLL)), (SERVER, answer(body, Content_Encoding=coding)))
    assert contents(records) == ['42["a"]', "2"]


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("br", b"whatever", "its encoding is 'br'"),
        ("gzip", b"whatever", "its gzip encoding is broken"),
        ("gzip", gzip.compress(b"4" * 5000)[:20], "its gzip encoding ends too early"),
    ],
)
def test_an_answer_that_cannot_be_decompressed_is_noted(coding, body, why):
    (note,) = sniff((CLIENT, request(POLL)), (SERVER, answer(body, Content_Encoding=coding)))
    assert f"A polling answer cannot be shown: {why}" in note.text


def test_a_bomb_of_compressed_zeros_is_not_inflated(monkeypatch):
    monkeypatch.setattr(polling_bodies, "MAX_CONTENT", 10_000)
    body = gzip.compress(b"4" * 10_001)
    (note,) = sniff((CLIENT, request(POLL)), (SERVER, answer(body, Content_Encoding="gzip")))
    assert note.text == "A polling answer cannot be shown: it has more than 10000 bytes when it is decompressed"


def test_content_over_the_bound_is_told_by_its_size(monkeypatch):
    monkeypatch.setattr(polling_bodies, "MAX_CONTENT", 1_000)
    monkeypatch.setattr(polling_bodies, "MAX_PACKETS", 10)
    records = sniff(
        (CLIENT, request(POLL, "POST", b"4" * 1_001)),
        (SERVER, answer(b"ok")),
        (CLIENT, request(POLL)),
        (SERVER, answer(b"\x1e".join([b"2"] * 11))),
        (CLIENT, upgrade()),
        (SERVER, switch() + frames(SERVER, OPEN, b"x" * 1_001, "4still here")),
    )
    assert contents(records) == [
        "A polling request has 1001 bytes, too many to show",
        "A polling answer has 11 packets, too many to show",
        OPEN,
        "A WebSocket message has 1001 bytes, too many to show",
        "4still here",
    ]


def test_an_error_is_noted_with_what_it_says_about_itself():
    records = sniff(
        (CLIENT, request(POLL, "POST", b"4")),
        (SERVER, answer(b'{"code":1,"message":"Session ID unknown"}', "400 Bad Request")),
        (CLIENT, upgrade()),
        (SERVER, answer(b"<h1>Bad gateway</h1>", "502 Bad Gateway")),
        (CLIENT, request(POLL, "OPTIONS")),
        (SERVER, answer(b"no\r\nway", "403 Forbidden")),
    )
    assert records == [
        TracedFrame(NOW, "abc", "polling", CLIENT, "4"),
        Note(NOW, "abc", "polling", SERVER, "HTTP 400 answered a POST: Session ID unknown"),
        Note(NOW, "", "websocket", SERVER, "HTTP 502 answered the opening of a WebSocket"),
        Note(NOW, "abc", "polling", SERVER, "HTTP 403 answered an OPTIONS: no way"),
    ]


def test_a_client_that_is_refused_a_websocket_goes_on_with_http():
    records = sniff(
        (CLIENT, upgrade() + request(POLL, "POST", b"4a")),
        (SERVER, answer(b"", "400 Bad Request") + answer(b"ok")),
        (CLIENT, request(POLL, "POST", b"4b")),
    )
    assert contents(records) == ["HTTP 400 answered the opening of a WebSocket", "4a", "4b"]


def test_bytes_that_hurry_ahead_of_the_answer_to_an_upgrade_are_read_behind_it():
    records = sniff((CLIENT, upgrade() + frames(CLIENT, "40")), (SERVER, switch() + frames(SERVER, OPEN)))
    assert contents(records) == [OPEN, "40"]


def test_other_requests_and_other_websockets_are_none_of_its_business():
    assert sniff(
        (CLIENT, request("/", "POST", b"\x1e" * 100)),
        (SERVER, answer(b"4a", "500 Oops")),
        (CLIENT, upgrade("/live")),
        (SERVER, switch() + b"\xff\xff\xff"),
        (CLIENT, b"\x00anything"),
        ends=[CLIENT, SERVER],
    ) == []  # fmt: skip


def test_fragments_are_joined_around_control_frames():
    pieces = [raw(1, b"4h\xc3", 0), raw(9, b"?"), raw(0, b"\xa9", 0), raw(10, b""), raw(0, b"!", 0x80)]
    records = sniff((CLIENT, upgrade()), (SERVER, switch() + b"".join(pieces)))
    assert contents(records) == ["4hé!"]


DEFLATE = {"Sec_WebSocket_Extensions": "permessage-deflate"}


def deflated(*messages, agreed="permessage-deflate"):
    """Compressed messages of a server as a real implementation writes them."""
    extension = PerMessageDeflate()
    extension.accept(agreed)
    protocol = FrameProtocol(client=False, extensions=[extension])
    return b"".join(protocol.send_data(message, True) for message in messages)


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_websocket_messages_are_inflated(takeover):
    agreed = "permessage-deflate" + ("" if takeover else "; server_no_context_takeover")
    messages = ["4hello hello hello", "4hello hello again", "4" + "x" * 200_000]
    content = deflated(*messages, agreed=agreed)
    records = sniff((CLIENT, upgrade()), (SERVER, switch(Sec_WebSocket_Extensions=agreed) + content))
    assert contents(records) == messages


def test_a_compressed_message_over_the_bound_is_told_by_its_size_and_so_is_what_refers_to_it(monkeypatch):
    monkeypatch.setattr(polling_bodies, "MAX_CONTENT", 10_000)
    content = deflated("4first", "4" * 100_000, "4third") + raw(1, b"4plain")
    records = sniff((CLIENT, upgrade()), (SERVER, switch(**DEFLATE) + content))
    first, large, third, plain = contents(records)
    assert (first, plain) == ("4first", "4plain")
    assert "compressed bytes, too many to show" in large
    assert "compressed bytes" in third


def test_broken_compression_is_noted_and_the_rest_passed_over():
    (note,) = sniff((CLIENT, upgrade()), (SERVER, switch(**DEFLATE) + raw(1, b"\xff" * 20, 0xC0) + raw(1, b"4a")))
    assert "cannot be inflated" in note.text
    assert note.text.endswith("the rest of this connection is passed on and not shown")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (raw(3, b""), "opcode 3"),
        (raw(1, b"4", 0xC0), "reserved bits"),
        (raw(0, b"4"), "has not begun"),
        (raw(1, b"4", 0) + raw(1, b"4"), "has ended"),
        (raw(9, b"", 0), "control frame is fragmented"),
        (b"\x82\x7f" + b"\xff" * 8, "2^63"),
    ],
)
def test_frames_that_break_the_websocket_protocol_are_noted(content, why):
    (note,) = sniff((CLIENT, upgrade()), (SERVER, switch() + content))
    assert why in note.text
    assert note.transport == "websocket"


@pytest.mark.parametrize(
    ("sender", "content", "why"),
    [
        (CLIENT, b"\x16\x03\x01\x02\x00", "This is TLS"),
        (CLIENT, b"\x00\x01", "0x00"),
        (CLIENT, b"SSH-2.0-OpenSSH\r\n\r\n", "The client does not speak HTTP/1.1: 'SSH-2.0-OpenSSH'"),
        (CLIENT, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "does not speak HTTP/1.1"),
        (CLIENT, b"GET / HTTP/1.1\r\nno colon\r\n\r\n", "no colon"),
        (CLIENT, b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "no length"),
        (CLIENT, b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "no length"),
        (CLIENT, b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "no size"),
        (CLIENT, b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n", "empty line"),
        (CLIENT, b"GET / HTTP/1.1\r\n" + b"a" * 70_000, "more than 65536 bytes"),
        (CLIENT, request() * 1_025, "More than 1024 requests"),
        (CLIENT, upgrade() + b"x" * (1024 * 1024 + 1), "behind a request for a WebSocket"),
        (SERVER, b"HTTP/2 200\r\n\r\n", "The server does not speak HTTP/1.1"),
    ],
)
def test_what_is_not_http_is_noted_once_and_passed_over(sender, content, why):
    (note,) = sniff((sender, content), (sender, content), (SERVER, answer(b"4a")), ends=[CLIENT, SERVER])
    assert why in note.text
    assert note.text.endswith("the rest of this connection is passed on and not shown")
    assert note.sender is sender


def test_invalid_utf8_is_noted_and_shown_as_far_as_it_goes():
    records = sniff(
        (CLIENT, request(POLL, "POST", b"4a\xff")),
        (SERVER, answer(b"ok")),
        (CLIENT, upgrade()),
        (SERVER, switch() + raw(1, b"4b\xff")),
    )
    note, polled, other, message = contents(records)
    assert "not valid UTF-8" in note
    assert "not valid UTF-8" in other
    assert (polled, message) == ("4a\ufffd", "4b\ufffd")


def test_a_packet_with_broken_base64_stays_as_it_stands():
    assert contents(sniff((CLIENT, request(POLL, "POST", b"b*\x1eb\x1e4")))) == ["b*", b"", "4"]


@pytest.mark.parametrize(("query", "why"), [("EIO=3", "revision '3'"), ("EIO=4&j=0", "JSONP")])
def test_polling_of_other_kinds_is_noted_once(query, why):
    target = f"/socket.io/?{query}&transport=polling"
    records = sniff((CLIENT, request(target) * 2), (SERVER, answer(b'85:0{"sid"') * 2))
    assert len(records) == 1
    assert why in records[0].text


@pytest.mark.parametrize(("revision", "data"), [("3", b"\x01\x02"), ("4", b"\x04\x01\x02")])
def test_bytes_over_a_websocket_have_a_type_in_revision_3_only(revision, data):
    target = f"/socket.io/?EIO={revision}&transport=websocket"
    sent = frames(CLIENT, b"\x04\x01\x02")
    assert contents(sniff((CLIENT, upgrade(target)), (SERVER, switch()), (CLIENT, sent))) == [data]


def test_an_unanswered_request_is_told_when_the_connection_ends():
    poll = (CLIENT, request(POLL))
    part = (SERVER, answer(b"4abc", length=False, Content_Length=10))
    other = (CLIENT, request("/"))
    assert contents(sniff(poll, other, ends=[SERVER, CLIENT])) == [
        "The server closed the connection and left a GET without an answer"
    ]
    assert contents(sniff(poll, ends=[CLIENT, SERVER])) == ["The client gave up a GET that was waiting for its answer"]
    assert contents(sniff(poll, part, ends=[SERVER])) == [
        "The connection ended within the answer to a GET, after 4 bytes of its body"
    ]
    assert sniff(*POLLED, other, ends=[SERVER, SERVER, CLIENT])[5:] == []


@pytest.mark.parametrize("sender", Sender)
def test_a_websocket_that_ends_without_a_close_frame_is_told_once(sender):
    other = SERVER if sender is CLIENT else CLIENT
    opened = [(CLIENT, upgrade()), (SERVER, switch() + frames(SERVER, OPEN))]
    (note,) = sniff(*opened, ends=[sender, other])[1:]
    assert note == Note(NOW, "abc", "websocket", sender, f"The {sender} ended the connection, without a Close frame")
    (note,) = sniff(*opened, (sender, b"\x81\x7f"), ends=[sender, other])[1:]
    assert "within a message" in note.text


@given(st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=6), st.integers(1, 7))
@settings(deadline=None)
def test_every_message_survives_both_transports(payloads, step):
    packets = [f"4{item}" if isinstance(item, str) else item for item in payloads]
    body = "\x1e".join(p if isinstance(p, str) else f"b{base64.b64encode(p).decode()}" for p in packets).encode()
    content = switch() + frames(SERVER, *packets)
    pieces = [(SERVER, content[at : at + step]) for at in range(0, len(content), step)]
    assert contents(sniff((CLIENT, upgrade()), *pieces)) == packets
    if packets and not any(isinstance(p, str) and "\x1e" in p for p in packets):
        assert contents(sniff((CLIENT, request(POLL)), (SERVER, answer(body)))) == packets


def test_nothing_is_kept_of_a_message_over_the_bound():
    sniffer = Sniffer()
    for sender, data in [(CLIENT, upgrade()), (SERVER, switch() + b"\x82\x7f" + (10**9).to_bytes(8))]:
        sniffer.receive(sender, data, NOW)
    tracemalloc.start()
    for _ in range(300):  # 19 MB
        sniffer.receive(SERVER, bytes(65_536), NOW)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 100_000


def test_a_deep_or_odd_open_packet_gives_no_sid():
    for text in ['0{"sid":1}', "0{", '0{"a":' + "[" * 100_000, '0{"sid":' + "9" * 10_000 + "}"]:
        (record,) = sniff((CLIENT, request()), (SERVER, answer(text.encode())))
        assert record.sid == ""
    assert json.loads(OPEN[1:])["sid"] == "abc"
