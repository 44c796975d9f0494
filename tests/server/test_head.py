"""The fast reader of request heads against h11: what it reads h11 reads alike, and what h11 refuses it does not read."""

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio_socketio.server.net.head import MAX_FIELDS, MAX_HEAD, MOST_KNOWN, Fields, Head, Unread, read_fields, read_head

CHROME = (
    b"GET /socket.io/?EIO=4&transport=polling&t=PzX1a2b&sid=Zm9vYmFyYmF6cXV4MTIz HTTP/1.1\r\nHost: chat.example:3000\r\n"
    b'Connection: keep-alive\r\nsec-ch-ua-platform: "Linux"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0\r\n'
    b"Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nReferer: http://chat.example:3000/\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: a=b; io=c\r\n\r\n"
)
POST = (
    b"POST /socket.io/?EIO=4&transport=polling&sid=Zm9vYmFyYmF6cXV4MTIz HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-type: text/plain;charset=UTF-8\r\nContent-Length: 3\r\n\r\n"
)
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PREFLIGHT = (
    b"OPTIONS /socket.io/ HTTP/1.1\r\nhost: a\r\norigin: https://b.example\r\naccess-control-request-method: POST\r\n"
    b"connection: close\r\n\r\n"
)
USUAL = {"chrome": CHROME, "post": POST, "upgrade": UPGRADE, "preflight": PREFLIGHT}

ODD = {
    "another method": b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an older version": b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
    "a later version": b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
    "no version": b"GET /\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space at the end": b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
    "a target beyond ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nAccept: x\r\n\r\n",
    "no header at all": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "LF alone everywhere": b"GET / HTTP/1.1\nHost: x\n\n",
    "LF, CR, LF": b"GET / HTTP/1.1\nHost: x\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost: x\r\nAccept\r\n\r\n",
    "no colon after an unusual name": b"GET / HTTP/1.1\r\nHost: x\r\nX-Other\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "a vertical tab in a value": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x0bc\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "one length twice": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
    "a length with a sign": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
    "a length in other digits": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n",
    "an empty length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
    "a huge length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999\r\n\r\n",
    "Expect": b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    "an empty line first": b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02",
    "a large head": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * MAX_HEAD + b"\r\n\r\n",
    "a large head without an end": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * MAX_HEAD,
    "many lines": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * MAX_FIELDS + b"\r\n",
}


def by_h11(data: bytes) -> tuple[h11.Connection, h11.Request | None]:
    """Return what h11 reads from some bytes, or None if it waits for more.

    Raises:
        h11.RemoteProtocolError: It is no HTTP.
    """
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    http.receive_data(data)
    event = http.next_event()
    assert isinstance(event, h11.Request) or event is h11.NEED_DATA
    return http, event if isinstance(event, h11.Request) else None


def assert_read_alike(data: bytes) -> None:
    head = read_head(data, {})
    if head is Unread.ODD:
        return  # h11 may say what it likes
    if head is Unread.PARTIAL:
        assert not data or by_h11(data)[1] is None
        return
    assert isinstance(head, Head)
    body, following = b"x" * head.fields.length, b"GET"
    http, request = by_h11(data[: head.end] + body + following)
    assert request is not None
    assert (head.method.encode(), head.target.encode()) == (request.method, request.target)
    assert request.http_version == b"1.1"
    assert [(name.encode(), value.encode("latin-1")) for name, value in head.fields.headers] == list(request.headers)
    received = b""
    while isinstance(event := http.next_event(), h11.Data):
        received += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert received == body
    assert http.trailing_data[0] == following
    http.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
    http.send(h11.EndOfMessage())
    assert (http.our_state is h11.DONE) == head.fields.keep_alive
    for name, value in head.fields.by_name.items():
        assert value == ", ".join(text for key, text in head.fields.headers if key == name)


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL.keys())
def test_what_clients_send_is_read(data):
    head = read_head(data + b"more", {})
    assert isinstance(head, Head)
    assert head.end == len(data)
    assert_read_alike(data)


@pytest.mark.parametrize("data", USUAL.values(), ids=USUAL.keys())
def test_a_head_is_read_when_its_end_has_come_and_not_before(data):
    assert all(read_head(data[:size], {}) is Unread.PARTIAL for size in range(len(data)))
    assert isinstance(read_head(data, {}), Head)


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_everything_unusual_is_left_to_h11(data):
    assert read_head(data, {}) is Unread.ODD


def test_the_fields_say_how_long_the_body_is_and_whether_the_connection_goes_on():
    head = read_head(POST, {})
    assert isinstance(head, Head)
    assert (head.method, head.fields.length, head.fields.keep_alive) == ("POST", 3, True)
    closing = read_head(PREFLIGHT, {})
    assert isinstance(closing, Head)
    assert (closing.method, closing.fields.length, closing.fields.keep_alive) == ("OPTIONS", 0, False)


def test_header_lines_that_come_again_are_not_read_again():
    known: dict[bytes, Fields] = {}
    first, again = read_head(CHROME, known), read_head(CHROME, known)
    assert isinstance(first, Head)
    assert isinstance(again, Head)
    assert again.fields is first.fields
    assert again == read_head(CHROME, {})


def test_a_bounded_number_of_header_lines_is_kept():
    known: dict[bytes, Fields] = {}
    for number in range(50):
        head = read_head(b"GET / HTTP/1.1\r\nHost: x%d\r\n\r\n" % number, known)
        assert isinstance(head, Head)
        assert head.fields.by_name["host"] == f"x{number}"
        assert len(known) <= MOST_KNOWN


@pytest.mark.parametrize(
    ("connection", "kept"),
    [("keep-alive", True), ("close", False), ("Close", False), ("Upgrade, CLOSE", False), ("closed", True), ("", True)],
)
def test_close_counts_wherever_it_stands(connection, kept):
    fields = read_fields(b"Host: x\r\nConnection: " + connection.encode())
    assert fields is not None
    assert fields.keep_alive is kept


# Against h11.

NAMES = [
    b"Host", b"host", b"HOST", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Expect", b"Connection", b"Upgrade",
    b"Accept", b"X-Other", b"x", b"", b"a b", b"a\xe4", b"Ho\x00st", b" Accept", b"Accept ", b"\tx",
]  # fmt: skip
VALUES = [
    b"x", b"", b"0", b"1", b"10", b"+1", b"1_0", b" 1", b"1 ", b"1, 1", b"-1", b"00", b"chunked", b"100-continue", b"close",
    b"keep-alive", b"Upgrade", b"keep-alive, close", b"websocket", b"a\tb", b"a  b", b"\xe4\xff", b"a\x7fb", b"a\x00b", b"a\x0bb",
    b"a\x1cb", b"a\x85b", b"a:b", b"\xa0x\xa0",
]  # fmt: skip
ENDS = [b"\r\n"] * 20 + [b"\n", b"\r", b"\n\r", b"\r\n ", b""]


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A head that is right, or nearly."""
    method = draw(st.sampled_from([b"GET", b"POST", b"OPTIONS", b"HEAD", b"get", b"", b"GET ", b"G\xe4T"]))
    target = draw(
        st.sampled_from([b"/", b"/a?b=c&d=%20", b"*", b"http://x/y", b"", b"/ ", b"/\xe4", b"/\x7f", b"/#", b'/"'])
    )
    version = draw(st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 ", b""]))
    lines = [b"Host: x"] if draw(st.integers(0, 5)) else []
    pairs = st.tuples(
        st.sampled_from(NAMES), st.sampled_from([b": ", b":", b":\t ", b" : ", b""]), st.sampled_from(VALUES)
    )
    lines += [b"".join(pair) for pair in draw(st.lists(pairs, max_size=4))]
    lines = draw(st.permutations(lines))
    line_end = draw(st.sampled_from(ENDS))
    data = b" ".join((method, target, version)) + draw(st.sampled_from(ENDS))
    data += b"".join(line + (b"\r\n" if draw(st.integers(0, 9)) else line_end) for line in lines)
    data += draw(st.sampled_from(ENDS)) + draw(st.binary(max_size=4))
    if not draw(st.integers(0, 9)):
        position = draw(st.integers(0, len(data)))
        data = data[:position] + draw(st.binary(max_size=2)) + data[position + draw(st.integers(0, 2)) :]
    return data


@settings(max_examples=1500)
@given(heads())
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
@example(b"\n\r\n\r\n")
def test_what_is_read_is_what_h11_reads(data):
    assert_read_alike(data)


@settings(max_examples=300)
@given(st.sampled_from(sorted(USUAL)), st.data())
def test_one_changed_byte_never_makes_a_difference_to_h11(name, data):
    usual = USUAL[name]
    position = data.draw(st.integers(0, len(usual) - 1))
    changed = usual[:position] + bytes([data.draw(st.integers(0, 255))]) + usual[position + 1 :]
    head = read_head(changed, {})
    if not isinstance(head, Head) or head.fields.length < 1000:
        assert_read_alike(changed)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail(data):
    assert_read_alike(data)
    read_fields(data)
