"""Where a body ends (RFC 9112, sections 6 and 7), and how much of one is read."""

from hostile.handshakes import UNKNOWN
from support.hostile import (
    JOINED,
    MAX_PAYLOAD,
    OPENED,
    POLLING,
    SECRET,
    End,
    Entry,
    HalfClose,
    HangUp,
    Reply,
    Send,
    Wait,
    chunked,
    get,
    polling,
    polling_joined,
    post,
    request,
    served_polling,
)

SESSION = f"{POLLING}&sid=<sid>"
MESSAGE = f'42["message","{SECRET}"]'.encode()
EFFECT = ("connect", "message")


def _refused(name: str, what: str, data: bytes, status: int = 400) -> Entry:
    """A request whose end is in doubt has no effect, and what follows it is not read; its session goes on."""
    return Entry(
        f"body.{name}",
        what,
        (*polling_joined(), Send(data + get()), Reply(status, b"", {"connection": "close"}), End(), *served_polling()),
        alive=1,
        called=EFFECT,
    )


def _taken(name: str, what: str, data: bytes) -> Entry:
    return Entry(
        f"body.{name}",
        what,
        (*polling_joined(), Send(data), Reply(200, b"ok"), *served_polling()[:2]),
        alive=1,
        called=("connect", "message", "message"),
    )


def _length(value: str) -> bytes:
    return request("POST", SESSION, f"Content-Length: {value}", body=MESSAGE)


def _coding(value: str, *lines: str) -> bytes:
    return request("POST", SESSION, f"Transfer-Encoding: {value}", *lines, body=_chunk(MESSAGE) + LAST)


def _chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


LAST = b"0\r\n\r\n"
SIZE = len(MESSAGE)

ENTRIES = (
    # Content-Length.
    _refused("length.negative", "A length below nothing.", _length("-1")),
    _refused("length.sign", "A length with a sign.", _length(f"+{SIZE}")),
    _refused("length.hexadecimal", "A length that is no decimal number.", _length(f"0x{SIZE:x}")),
    _refused("length.blank", "A length in two pieces.", _length("1 2")),
    _refused("length.empty", "No length at all.", _length("")),
    _refused("length.script", "Digits of another script.", _length("\xb2")),
    _refused("length.underscore", "A length as Python would write it.", _length("1_0")),
    _refused("length.point", "A length with a point.", _length(f"{SIZE}.0")),
    _refused("length.endless", "A length that nobody can count to.", _length("9" * 40)),
    _refused("length.list", "Two lengths in a list.", _length(f"{SIZE}, 5")),
    _refused(
        "length.two",
        "Two lengths.",
        request("POST", SESSION, "Content-Length: 5", f"Content-Length: {SIZE}", body=MESSAGE),
    ),
    _taken("length.alike", "The same length twice.", _length(f"{SIZE}, {SIZE}")),
    _taken("length.zeros", "Zeros in front of a length.", _length(f"000{SIZE}")),
    Entry(
        "body.length.too-large",
        "A body that is too large ends its session as soon as that is known.",
        (*polling(), Send(post(b"4" * (MAX_PAYLOAD + 1))), Reply(413, b"", {"connection": "close"}), End()),
        closes={"transport error": 1},
    ),
    Entry(
        "body.length.announced",
        "A body that says it is larger than any memory is not waited for.",
        (*polling(), Send(post(b"").replace(b"Length: 0", b"Length: 999999999999999")), Reply(413, b""), End()),
        closes={"transport error": 1},
    ),
    Entry(
        "body.length.just-fits",
        "A body as large as may be is read.",
        (*polling(), Send(post(b"3" * 2 + b"x" * (MAX_PAYLOAD - 2))), Reply(200, b"ok")),
        alive=1,
    ),
    Entry(
        "body.length.elsewhere",
        "The limit is that of the application's pages, too.",
        (Send(post(SECRET.encode() * MAX_PAYLOAD, target="/")), Reply(413, b""), End()),
    ),
    # Transfer-Encoding.
    _refused("smuggle.both", "A length and chunks.", _coding("chunked", f"Content-Length: {SIZE}")),
    _refused(
        "smuggle.hidden",
        "A request that only who believes the length would see.",
        request("POST", SESSION, "Content-Length: 5", "Transfer-Encoding: chunked", body=LAST + post(MESSAGE)),
    ),
    _refused("smuggle.both-odd", "A length, and chunks in capitals.", _coding("CHUNKED", f"Content-Length: {SIZE}")),
    _refused(
        "smuggle.blank", "A blank before the colon hides the coding.", _coding("x").replace(b"Encoding:", b"Encoding :")
    ),
    _refused("smuggle.tab", "A vertical tab hides the coding.", _coding("\vchunked")),
    _refused("coding.unknown", "A coding that nobody knows.", _coding(f"x{SECRET}"), 501),
    _refused("coding.identity", "A coding that is none any more.", _coding("identity"), 501),
    _refused("coding.two", "Two codings.", _coding("gzip, chunked"), 501),
    _refused("coding.chunked-first", "Chunks inside of something else.", _coding("chunked, identity"), 501),
    _refused("coding.twice", "The coding twice.", _coding("chunked", "Transfer-Encoding: chunked"), 501),
    Entry(
        "body.coding.http-1.0",
        "HTTP/1.0 has no chunks: its connection ends (RFC 9112, section 6.1).",
        (
            *polling_joined(),
            Send(_coding("chunked", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0") + get()),
            Reply(200, b"ok", {"connection": "close"}),
            End(),
        ),
        alive=1,
        called=EFFECT,
    ),
    # Chunks.
    _taken("chunk.one", "A body in a chunk.", chunked(_chunk(MESSAGE) + LAST)),
    _taken(
        "chunk.tiny", "A body in chunks of one byte.", chunked(b"".join(_chunk(bytes([b])) for b in MESSAGE) + LAST)
    ),
    _taken("chunk.zeros", "Zeros in front of a size.", chunked(b"000" + _chunk(MESSAGE) + LAST)),
    _taken("chunk.extension", "An extension that nobody knows.", chunked(_chunk(MESSAGE, b';a="b";c') + LAST)),
    _taken(
        "chunk.extensions",
        "Many of them.",
        chunked(b"".join(_chunk(bytes([b]), b";" + b"a" * 1000) for b in MESSAGE) + LAST),
    ),
    _taken(
        "chunk.trailer",
        "A trailer changes nothing.",
        chunked(_chunk(MESSAGE) + b"0\r\nContent-Length: 5\r\nHost: x\r\n\r\n"),
    ),
    _refused("chunk.word", "A size that is no number.", chunked(f"{SECRET}\r\nx\r\n".encode() + LAST)),
    _refused("chunk.negative", "A size below nothing.", chunked(b"-1\r\nx\r\n" + LAST)),
    _refused("chunk.prefix", "A size as Python would write it.", chunked(b"0x1\r\n3\r\n" + LAST)),
    _refused("chunk.empty", "No size.", chunked(b"\r\n3\r\n" + LAST)),
    _refused("chunk.digits", "A size of more digits than any has.", chunked(b"0" * 21 + b"1\r\n3\r\n" + LAST)),
    _refused("chunk.bare-lf", "A size that ends with LF alone.", chunked(b"1\n3\n0\n\n\r\n")),
    _refused("chunk.longer", "More than the size says.", chunked(b"1\r\n3" + SECRET.encode() + b"\r\n" + LAST)),
    _refused(
        "chunk.trailer-odd",
        "A trailer that is no header.",
        chunked(_chunk(MESSAGE) + f"0\r\n{SECRET}\r\n\r\n".encode()),
    ),
    _refused("chunk.extension-endless", "An extension without end.", chunked(b"1;" + SECRET.encode() * 4000), 431),
    _refused(
        "chunk.trailer-endless",
        "Trailers without end.",
        chunked(_chunk(MESSAGE) + b"0\r\n" + f"X: {SECRET}\r\n".encode() * 4000),
        431,
    ),
    Entry(
        "body.chunk.too-large",
        "Chunks that are too large together.",
        (*polling(), Send(chunked(_chunk(b"4" * 1000) * 11)), Reply(413, b"", {"connection": "close"}), End()),
        closes={"transport error": 1},
    ),
    Entry(
        "body.chunk.huge",
        "A chunk that says it is larger than any memory.",
        (*polling(), Send(chunked(b"f" * 16 + b"\r\n" + b"4" * 20_000)), Reply(413, b""), End()),
        closes={"transport error": 1},
    ),
    # Expect.
    Entry(
        "body.expect.continue",
        "The body is asked for, and then read.",
        (
            *polling_joined(),
            Send(post(b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: %d" % SIZE)),
            Reply(100),
            Send(MESSAGE),
            Reply(200, b"ok"),
        ),
        alive=1,
        called=EFFECT,
    ),
    Entry(
        "body.expect.refused",
        "No body is asked for that nobody wants.",
        (
            Send(request("POST", f"{POLLING}&sid=x", "Expect: 100-continue", "Content-Length: 9")),
            Reply(400, UNKNOWN, {"connection": "close"}),
            End(),
        ),
    ),
    Entry(
        "body.expect.unknown",
        "What else is expected need not be known (RFC 9110, section 10.1.1).",
        (Send(get(POLLING, f"Expect: {SECRET}")), Reply(200, OPENED)),
        alive=1,
    ),
    Entry(
        "body.expect.get",
        "There is no body to ask for.",
        (Send(get(POLLING, "Expect: 100-continue")), Reply(200, OPENED)),
        alive=1,
    ),
    # What belongs to no body.
    Entry(
        "body.get",
        "The body of a GET is not the next request.",
        (
            *polling(),
            Send(post(b"40")),
            Reply(200, b"ok"),
            Send(request("GET", SESSION, f"Content-Length: {SIZE}", body=MESSAGE) + get("/")),
            Reply(200, JOINED),
            Reply(404, b"no such page"),
        ),
        alive=1,
        called=("connect",),
    ),
    Entry(
        "body.behind",
        "What follows a body is the next request, or none.",
        (*polling(), Send(post(b"40") + SECRET.encode() + b"\r\n\r\n"), Reply(200, b"ok"), Reply(400, b""), End()),
        alive=1,
    ),
    Entry(
        "body.cut",
        "A body that was cut off has no effect.",
        (*polling_joined(), Send(post(MESSAGE)[:-1]), HangUp(), Wait(1), *served_polling()),
        alive=1,
        called=EFFECT,
    ),
    Entry(
        "body.cut-chunk",
        "Nor have chunks.",
        (*polling_joined(), Send(chunked(_chunk(MESSAGE))), HalfClose(), End(), *served_polling()),
        alive=1,
        called=EFFECT,
    ),
    Entry(
        "body.gzip",
        "A compressed body is not unpacked: it could be a bomb.",
        (
            *polling_joined(),
            Send(post(b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "Content-Encoding: gzip")),
            Reply(400),
        ),
        closes={"parse error": 1},
    ),
)
