"""Lines and summaries as text: what a reader sees, in columns, within a width, and safe for a terminal."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio.wire import preview
from trio_socketio.wire.conversation import Conversation, Kind, Line, Note
from trio_socketio.wire.json_lines import json_of_line, json_of_summary
from trio_socketio.wire.lines import format_header, format_line, format_summary

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
START = 1_700_000_000.0
OPEN = '0{"sid":"Vx3kQ2abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
TALK = [
    (0.0, "polling", SERVER, OPEN),
    (0.004, "polling", CLIENT, '40/chat,{"token":"t"}'),
    (0.012, "polling", SERVER, '40/chat,{"sid":"abc"}'),
    (0.02, "websocket", CLIENT, "2probe"),
    (0.0204, "websocket", SERVER, "3probe"),
    (0.03, "websocket", CLIENT, "5"),
    (1.5, "websocket", CLIENT, '42/chat,7["say","Hello"]'),
    (1.512, "websocket", SERVER, '43/chat,7["delivered"]'),
    (2, "websocket", CLIENT, '451-/chat,["image","cat.png",{"_placeholder":true,"num":0}]'),
    (2, "websocket", CLIENT, bytes(1500)),
    (25, "websocket", SERVER, "2"),
    (25.001, "websocket", CLIENT, "3"),
    (26, "websocket", CLIENT, "40/nobody"),
    (26.01, "websocket", SERVER, '44/nobody,{"message":"Invalid namespace"}'),
    (27, "websocket", CLIENT, "4zzz"),
    (90, "websocket", SERVER, "41/chat"),
    (90, "websocket", SERVER, "1"),
]


def talk() -> tuple[Conversation, list[Line]]:
    conversation = Conversation()
    lines = []
    for time, transport, sender, frame in TALK:
        lines += conversation.observe(TracedFrame(START + time, "Vx3kQ2abc", transport, sender, frame))
    lines += conversation.observe(Note(START + 91, "", "", None, "The recording breaks off in line 20"))
    return conversation, lines


def line_of(frame: str, sender: Sender = SERVER) -> Line:
    conversation = Conversation()
    conversation.observe(TracedFrame(START, "s", "websocket", CLIENT, '42["fine"]'))
    (line,) = conversation.observe(TracedFrame(START, "s", "websocket", sender, frame))
    return line


def test_the_lines_of_a_talk_read_like_this() -> None:
    _, lines = talk()
    text = [format_header(color=False, width=100, start=START)]
    text += [format_line(line, color=False, width=100, start=START) for line in lines]
    assert "\n".join(text).splitlines() == [
        "→ to the server   ← to the client   time: seconds since 2023-11-14 22:13:20 UTC",
        "    time    since session via      size packet",
        "   0.000          Vx3kQ2a poll ←  107 B open       ping every 25 s, timeout 20 s; may upgrade to we…",
        '   0.004    +4 ms Vx3kQ2a poll →   21 B connect    /chat: {"token":"t"}',
        '   0.012    +8 ms Vx3kQ2a poll ←   21 B connected  /chat, after 8 ms: {"sid":"abc"}',
        "   0.020    +8 ms Vx3kQ2a ws   →    6 B probe      tries the WebSocket",
        "   0.020  +0.4 ms Vx3kQ2a ws   ←    6 B probe      the WebSocket works, after 0.4 ms",
        "   0.030   +10 ms Vx3kQ2a ws   →    1 B upgrade    moves to the WebSocket",
        '   1.500   +1.5 s Vx3kQ2a ws   →   24 B event      /chat say, wants ack 7: "Hello"',
        '   1.512   +12 ms Vx3kQ2a ws   ←   22 B ack        /chat say, ack 7 after 12 ms: "delivered"',
        '   2.000  +488 ms Vx3kQ2a ws   → 1.6 kB event      /chat image: "cat.png", <1.5 kB binary>',
        "  25.000  +23.0 s Vx3kQ2a ws   ←    1 B ping",
        "  25.001    +1 ms Vx3kQ2a ws   →    1 B pong       after 1 ms",
        "  26.000  +999 ms Vx3kQ2a ws   →    9 B connect    /nobody",
        "  26.010   +10 ms Vx3kQ2a ws   ←   41 B refused    /nobody, after 10 ms: Invalid namespace",
        "  27.000  +990 ms Vx3kQ2a ws   →    4 B fault      There is no packet type 'z' at position 1: \"4zzz\"",
        "  90.000 +1.1 min Vx3kQ2a ws   ←    7 B disconnect /chat",
        "  90.000    +0 ms Vx3kQ2a ws   ←    1 B close",
        "  91.000          -                     note       The recording breaks off in line 20",
    ]


def test_the_summary_of_a_talk_reads_like_this() -> None:
    conversation, _ = talk()
    assert format_summary(conversation.summary(), color=False, width=100).splitlines() == [
        "Summary",
        "  1 session in 1.5 min",
        "  → 8 packets (1.6 kB) to the server, ← 8 packets (206 B) to the client",
        "",
        "Sessions",
        "  Vx3kQ2a  polling, then websocket; opened at 0.000, lasted 1.5 min; → 8 (1.6 kB), ← 8 (206 B)",
        "           The server disconnected from /chat",
        "",
        "Namespaces",
        "  /chat  1 connection",
        "    event           → to server           ← to client",
        "    image            1 (1.6 kB)                     -",
        "    say                1 (24 B)                     -",
        "  /nobody  0 connections, 1 refusal",
        "",
        "Acknowledgements",
        "  1 of 1 event that wanted an ack got one; median 12 ms, slowest 12 ms",
        "",
        "Heartbeats",
        "  1 ping answered; median 1 ms, slowest 1 ms",
        "",
        "Faults",
        "  27.000  Vx3kQ2a  There is no packet type 'z' at position 1",
    ]


def test_the_summary_of_nothing_says_so() -> None:
    assert format_summary(Conversation().summary(), color=False, width=None).splitlines()[:2] == [
        "Summary",
        "  There is no Socket.IO traffic.",
    ]


def test_colours_change_nothing_but_the_colours() -> None:
    conversation, lines = talk()
    pairs = [
        (format_line(line, color=True, width=80, start=START), format_line(line, color=False, width=80, start=START))
        for line in lines
    ]
    summary = conversation.summary()
    pairs += [(format_summary(summary, color=True, width=80), format_summary(summary, color=False, width=80))]
    pairs += [(format_header(color=True, width=80, start=START), format_header(color=False, width=80, start=START))]
    for colored, plain in pairs:
        assert "\x1b[" in colored
        assert re.sub(r"\x1b\[\d*m", "", colored).rstrip() == plain


def test_without_a_width_nothing_is_shortened() -> None:
    line = line_of(f'42["chat","{"x" * 5000}"]')
    assert "x" * 5000 in format_line(line, color=False, width=None, start=START)


@pytest.mark.parametrize(
    "frame",
    [
        '42["\x1b[2J\u009b31m\u202e","\\u001b]0;title\\u0007"]',
        "40/\x1b[31m,",
        '44/n,{"message":"\\u001b[31m\\n\\r"}',
        "4\x1b[2J",
        '0{"sid":"\\u001b","upgrades":["\\u001b[31m"],"pingInterval":1,"pingTimeout":1}',
        "2\x1b",
    ],
)
def test_escape_sequences_of_peers_do_not_reach_the_terminal(frame: str) -> None:
    conversation = Conversation()
    lines = conversation.observe(TracedFrame(START, "\x1b[31m", "\x9b", SERVER, frame))
    lines += conversation.observe(Note(START, "\x1b", "", None, "\x1b[31m\n"))
    for line in lines:
        text = format_line(line, color=False, width=None, start=START)
        assert text.isprintable(), ascii(text)
    for row in format_summary(conversation.summary(), color=False, width=None).splitlines():
        assert row.isprintable(), ascii(row)


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        ),
        max_size=4,
    ),
    st.integers(70, 200),
)
def test_no_line_is_wider_than_asked_whatever_is_in_it(payload: list[object], width: int) -> None:
    line = Line(START, 0.5, "sid", "websocket", SERVER, Kind.EVENT, "/", "chat", 7, payload, asks=True, size=9)
    text = format_line(line, color=False, width=width, start=START)
    assert text.isprintable()
    assert preview.columns(text) <= width


def test_wide_characters_take_two_columns() -> None:
    text = format_line(line_of('42["chat","日本語日本語日本語日本語日本語"]'), color=False, width=90, start=START)
    assert preview.columns(text) <= 90
    assert text.endswith("…")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_value_that_is_not_shortened_is_json(value: object) -> None:
    assert preview.value(value, None) == preview.printable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.012, "12 ms"),
        (0.9999, "1.0 s"),
        (59.94, "59.9 s"),
        (90, "1.5 min"),
        (7200, "2.0 h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert preview.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (9990, "10 kB"), (999_700, "1.0 MB"), (2 * 10**12, "2000 GB")],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert preview.size(count) == text


def test_json_has_everything_with_bytes_in_base64() -> None:
    conversation, lines = talk()
    image = json.loads(json_of_line(next(line for line in lines if line.event == "image")))
    assert image["payload"][1] == {"base64": "A" * 2000}
    assert image["frames"][1] == {"base64": "A" * 2000}
    assert (image["kind"], image["sender"], image["namespace"]) == ("event", "client", "/chat")
    summary = json.loads(json_of_summary(conversation.summary()))["summary"]
    assert summary["sessions"][0]["ended"] == "The server disconnected from /chat"
    assert all("\n" not in json_of_line(line) for line in lines)
