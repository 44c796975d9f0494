"""Frames of a WebSocket, after its opening handshake (RFC 6455, sections 5 to 8)."""

from support.hostile import MAX_PAYLOAD, SECRET, Close, End, Entry, HangUp, Pong, Send, Text, Wait, joined, served, text
from trio_socketio.conformance.peer import frame

MESSAGE = f'42["message","{SECRET}"]'.encode()
BACK = f'42["message-back","{SECRET}"]'
FAULT = {"transport error": 1}
GONE = {"transport close": 1}
MASK = b"\x37\xfa\x21\x3d"


def _fault(name: str, what: str, data: bytes, code: int = 1002) -> Entry:
    """What breaks the framing ends the connection with a code, and what follows it does nothing."""
    return Entry(
        f"frame.{name}",
        what,
        (
            *joined(),
            Send(data + text('42["message","too late"]')),
            Close(code),
            Send(frame(8, code.to_bytes(2, "big"))),
            End(),
        ),
        closes=FAULT,
        called=("connect", "disconnect"),
    )


def _legal(name: str, what: str, data: bytes) -> Entry:
    return Entry(f"frame.{name}", what, (*joined(), Send(data), *served()), alive=1)


def _heard(name: str, what: str, data: bytes) -> Entry:
    return Entry(f"frame.{name}", what, (*joined(), Send(data), Text(BACK), *served()), alive=1)


def _close(name: str, what: str, payload: bytes, code: int | None) -> Entry:
    """A Close frame is answered with its code, if it may have that, and the connection ends."""
    return Entry(
        f"close.{name}",
        what,
        (*joined(), Send(frame(8, payload) + text('42["message","too late"]')), Close(code), End()),
        closes=GONE if code == int.from_bytes(payload[:2], "big") or code is None else FAULT,
        called=("connect", "disconnect"),
    )


def _announced(first: int, length: int, size: int) -> bytes:
    """Return a frame whose length is told in so many bytes, of which none follows."""
    return bytes([first, 0x80 | {2: 126, 8: 127}[size]]) + length.to_bytes(size, "big") + MASK


def _invalid(name: str, what: str, octets: bytes) -> Entry:
    return _fault(f"utf-8.{name}", what, frame(1, b'42["message","' + octets + b'"]'), 1007)


ENTRIES = (
    _fault("unmasked", "A client masks what it sends.", frame(1, MESSAGE, masked=False)),
    _fault("unmasked.ping", "Its pings, too.", frame(9, masked=False)),
    _fault("compressed", "Compression was not agreed on.", frame(1, MESSAGE, reserved=4)),
    _fault(
        "compressed.deflated", "Not even if it is compressed.", frame(1, b"\xf2\x48\xcd\xc9\xc9\x07\x00", reserved=4)
    ),
    _fault("reserved.2", "A reserved bit.", frame(1, MESSAGE, reserved=2)),
    _fault("reserved.3", "Another.", frame(2, MESSAGE, reserved=1)),
    _fault("reserved.ping", "A reserved bit of a ping.", frame(9, reserved=4)),
    *(_fault(f"opcode.{code}", "A reserved opcode.", frame(code, MESSAGE)) for code in (3, 7, 11, 15)),
    _fault("http", "A request of HTTP.", b"GET / HTTP/1.1\r\nCookie: " + SECRET.encode() + b"\r\n\r\n"),
    # Lengths.
    _fault("length.too-large", "A message that is too large.", frame(1, b"4" * (MAX_PAYLOAD + 1)), 1009),
    _fault("length.announced", "One that only says so.", _announced(0x81, 1 << 40, 8), 1009),
    _fault("length.negative", "A length with its first bit set.", _announced(0x82, 1 << 63, 8)),
    _fault("length.long-form", "A length in more bytes than it needs.", _announced(0x81, 5, 2)),
    _fault("length.longest-form", "In many more.", _announced(0x81, 500, 8)),
    _fault("length.zero", "No length at all in eight bytes.", _announced(0x81, 0, 8)),
    _fault("length.ping", "A ping of more than 125 bytes.", frame(9, b"x" * 126)),
    _fault("length.close", "A Close frame of more than 125 bytes.", frame(8, b"\x03\xe8" + b"x" * 124)),
    _fault(
        "length.fragments",
        "Fragments that are too large together.",
        frame(1, b"4", final=False) + frame(0, b"x" * 1000, final=False) * 11,
        1009,
    ),
    _heard("length.mask", "A mask of zeros is one.", b"\x81" + bytes([0x80 | len(MESSAGE)]) + bytes(4) + MESSAGE),
    # Fragments.
    _fault("fragment.ping", "A ping in fragments.", frame(9, final=False)),
    _fault("fragment.close", "A Close frame in fragments.", frame(8, final=False)),
    _fault("fragment.no-beginning", "A continuation of nothing.", frame(0, MESSAGE)),
    _fault(
        "fragment.no-beginning-not-final", "A continuation of nothing that goes on.", frame(0, MESSAGE, final=False)
    ),
    _fault("fragment.text-in-text", "A message in the middle of another.", frame(1, b"42[", final=False) + text("3")),
    _fault("fragment.binary-in-text", "A binary one.", frame(1, b"42[", final=False) + frame(2, b"x")),
    _fault("fragment.begins-twice", "A second beginning.", frame(1, b"42[", final=False) * 2),
    _heard(
        "fragment.each-byte",
        "A message byte by byte.",
        frame(1, b"", final=False) + b"".join(frame(0, bytes([b]), final=False) for b in MESSAGE) + frame(0),
    ),
    _heard(
        "fragment.empty-flood",
        "A crowd of fragments that hold nothing.",
        frame(1, b"", final=False) + frame(0, b"", final=False) * 20_000 + frame(0, MESSAGE),
    ),
    Entry(
        "frame.fragment.ping-between",
        "A ping between fragments is answered first.",
        (
            *joined(),
            Send(frame(1, MESSAGE[:9], final=False) + frame(9, b"hello")),
            Pong(b"hello"),
            Send(frame(0, MESSAGE[9:])),
            Text(BACK),
        ),
        alive=1,
    ),
    Entry(
        "frame.fragment.close-between",
        "A Close frame between fragments ends the message with the connection.",
        (*joined(), Send(frame(1, MESSAGE, final=False) + frame(8, b"\x03\xe8") + frame(0)), Close(1000), End()),
        closes=GONE,
        called=("connect", "disconnect"),
    ),
    # Text.
    _invalid("byte", "A byte that stands nowhere in UTF-8.", b"\xff"),
    _invalid("overlong", "A slash in more bytes than it needs.", b"\xc0\xaf"),
    _invalid("surrogate", "A surrogate.", b"\xed\xa0\x80"),
    _invalid("beyond", "A character beyond the last.", b"\xf4\x90\x80\x80"),
    _invalid("cut", "A character that does not end.", b"\xe2\x82"),
    _fault("utf-8.cut-at-end", "A message that ends in a character.", frame(1, b'42["message","\xe2\x82'), 1007),
    _fault(
        "utf-8.cut-by-fragments",
        "One whose fragments do.",
        frame(1, b'42["message","\xe2\x82', final=False) + frame(0, b'"]'),
        1007,
    ),
    _fault("utf-8.early", "What is wrong already is not waited for.", frame(1, b"4\xff", final=False), 1007),
    Entry(
        "frame.utf-8.across-fragments",
        "A character may be in two fragments.",
        (
            *joined(),
            Send(frame(1, b'42["message","\xe2\x82', final=False) + frame(0, b'\xac"]')),
            Text('42["message-back","\u20ac"]'),
        ),
        alive=1,
    ),
    # Closing.
    _close("normal", "The usual end.", b"\x03\xe8", 1000),
    _close("no-code", "An end without a code.", b"", None),
    _close("reason", "A reason is not logged.", b"\x03\xe8" + SECRET.encode(), 1000),
    _close("application", "Codes of applications.", b"\x0f\xa0", 4000),
    _close("library", "Codes of libraries.", b"\x0b\xb8", 3000),
    _close("half-a-code", "Half a code.", b"\x03", 1002),
    _close("utf-8", "A reason that is no UTF-8.", b"\x03\xe8\xff", 1007),
    *(
        _close(f"code-{code}", "A code that is never sent.", code.to_bytes(2, "big"), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ),
    Entry(
        "close.twice",
        "The second Close frame is not answered.",
        (*joined(), Send(frame(8, b"\x03\xe8") * 2 + frame(9)), Close(1000), End()),
        closes=GONE,
    ),
    Entry(
        "close.unanswered",
        "Who takes no part in the closing handshake is cut off.",
        (*joined(), Send(text("9")), Close(1008), End()),
        closes={"parse error": 1},
    ),
    Entry(
        "close.flood",
        "What comes instead of an answer is dropped.",
        (*joined(), Send(text("9") + (frame(9) + text(MESSAGE.decode())) * 2000), Close(1008, loose=True), End()),
        closes={"parse error": 1},
        called=("connect", "disconnect"),
    ),
    # Floods.
    Entry(
        "flood.pings",
        "The latest ping answers for all (RFC 6455, section 5.5.3).",
        (*joined(), Send(b"".join(frame(9, b"%d" % n) for n in range(1000))), Pong(b"999"), *served()),
        alive=1,
    ),
    _legal("flood.pongs", "Pongs that nobody has asked for.", frame(10, SECRET.encode()) * 3000),
    Entry(
        "flood.cut",
        "A client that goes in the middle of a frame.",
        (*joined(), Send(frame(1, MESSAGE) + frame(1, MESSAGE)[:-1]), Text(BACK), HangUp(), Wait(1)),
        closes=GONE,
    ),
)
