"""What a drawing looks like: the parts under the frame, aligned whatever the characters are."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol.explain import (
    Layer,
    Span,
    explain,
    explain_payload,
    explain_target,
    explain_websocket,
    is_broken,
)

from trio_socketio.wire.drawing import draw

ANSI = re.compile("\x1b\\[[0-9;]*m")


def cells(text):
    """How many cells a terminal gives a text."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def column_of(line, part):
    return cells(line[: line.index(part)])


EVENT = """\
42["hi",1]
┬┬┬┬─── ┬
││││    ╰─ JSON argument 1 · 1: a number
│││╰─ JSON event name · "hi": says which handlers are called
││╰─ JSON payload · [: the name of the event, then its arguments
│╰─ Socket.IO packet type · 2: EVENT, a name and its arguments
╰─ Engine.IO packet type · 4: a message, the payload of the layer above
See Engine.IO protocol "Message" · Socket.IO protocol "Sending and receiving
data\""""


def test_an_event_is_drawn_with_a_line_for_each_part():
    assert draw(explain('42["hi",1]')) == EVENT


def test_a_fault_is_underlined_and_crossed():
    drawing = draw(explain('42["x"'))
    lines = drawing.split("\n")
    assert lines[:2] == ['42["x"', "┬┬┬^^^"]
    assert lines[2].startswith("│││╰─ ✗ JSON event name · ")


@pytest.mark.parametrize("name", ["a", "😀", "日本語", "e\u0301", "ｗｉｄｅ", "👍🏽", "\u200d", "क्षि"])
def test_connectors_stand_under_their_parts_whatever_the_characters_are(name):
    text, underline, label, *_ = draw(explain(f'42["{name}",true]')).split("\n")
    column = column_of(text, "true")
    assert cells(underline[: underline.rindex("┬")]) == column
    assert cells(label[: label.index("╰")]) == column


def test_control_characters_are_made_visible():
    drawing = draw(explain_payload('2\x1e42["\x07\x7f\u202e\x9b"]'))
    assert "2␞" in drawing
    assert "␇␡\\u202e\\x9b" in drawing
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", drawing)


def test_bytes_are_drawn_in_hexadecimal():
    assert draw(explain(b"\x01\xff")).split("\n")[:2] == ["01 ff", "┬────"]
    assert "…194 bytes…" in draw(explain(bytes(200)))


def test_each_packet_of_a_payload_begins_on_a_line_of_its_own():
    lines = draw(explain_payload('42["a"]\x1e2\x1e3')).split("\n")
    assert {'42["a"]␞', "2␞", "3"} <= set(lines)
    assert "".join(lines).count("U+001E") == 1  # the second separator says nothing new


def test_each_websocket_frame_begins_on_a_line_of_its_own():
    lines = draw(explain_websocket(bytes.fromhex("810132 8900"))).split("\n")
    assert {"81 01 32", "89 00"} <= set(lines)


def test_long_parts_are_shortened_in_the_middle_with_a_count():
    frame = '42["' + "x" * 1000 + 'end"]'
    first = draw(explain(frame)).split("\n")[0]
    shown = re.fullmatch(r'42\["(x*)…(\d+) more…(x*)end"\]', first)
    assert shown
    assert len(shown[1]) + int(shown[2]) + len(shown[3]) == 1000
    assert "1,203 more" in draw(explain('42["' + "x" * 1220 + '"]'))


def test_of_very_many_parts_those_in_the_middle_are_left_out():
    drawing = draw(explain('42["e"' + ",1" * 500 + "]"))
    assert "… 478 parts left out …" in drawing
    assert "argument 500" in drawing
    assert len(drawing.split("\n")) < 40


PARAMETERS = "&".join(f"p{number}={number}" for number in range(60))


@pytest.mark.parametrize(
    "spans",
    [
        explain('42["e"' + ",1" * 5000 + ",x]"),
        *map(explain, ["42/admin,", "451-", "450-/a,", "42/admin?,", '42["a",', "42", ""]),
        *map(explain_target, ["/socket.io/?transport=polling", "/socket.io/?EIO=4", "?EIO=4", ""]),
        explain_target(f"/?EIO=4&{PARAMETERS}&transport=x&{PARAMETERS}"),
        explain_payload('7:42["a"]0:', revision=3),
    ],
)
def test_the_fault_is_always_drawn(spans):
    assert is_broken(spans)
    assert draw(spans).count("✗") == 1
    assert "^" in draw(spans)


def test_an_empty_frame_is_drawn():
    assert draw(explain("")).split("\n")[:2] == ["(empty)", "^^^^^^^"]


def test_colours_are_those_of_the_layers_and_change_nothing_else():
    spans = explain('42/a,["e","' + "x" * 100 + '"')
    colored = draw(spans, color=True)
    assert ANSI.sub("", colored) == draw(spans)
    assert "\x1b[36m4\x1b[0m" in colored
    assert "\x1b[32m/a\x1b[0m" in colored
    assert "\x1b[1;31m" in colored


def test_without_unicode_the_drawing_is_ascii():
    drawing = draw(explain('42["é\x07😀"]\x1e'), ascii_only=True)
    assert drawing.isascii()
    assert drawing.split("\n")[0] == '42["\\xe9\\x07\\U0001f600"]\\x1e'


def test_a_long_frame_goes_on_below():
    frame = (
        "0" + '{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":1,"pingTimeout":2,"maxPayload":3}'
    )
    lines = draw(explain(frame), width=70).split("\n")
    rows = [line for line, below in zip(lines, lines[1:], strict=False) if below.startswith(("┬", " ┬"))]
    assert len(rows) > 1
    assert "".join(rows) == frame


def anything():
    contents = st.text(max_size=60) | st.binary(max_size=40) | st.sampled_from(["\x1e", "e\u0301" * 300, "日" * 200])
    return st.lists(
        st.builds(
            Span,
            content=contents,
            layer=st.sampled_from(Layer),
            name=st.sampled_from(["packet type", "separator", "opcode", "a rather long name of a part"]),
            meaning=st.text(max_size=90) | st.text(alphabet="ab ", max_size=90),
            section=st.sampled_from(['Engine.IO protocol, "Heartbeat"', "RFC 8259, section 5", "RFC 8259"]),
            fault=st.booleans(),
        ),
        max_size=60,
    )


@given(anything(), st.integers(0, 130), st.booleans(), st.booleans())
def test_no_line_is_wider_than_the_terminal(spans, width, color, ascii_only):
    drawing = ANSI.sub("", draw(spans, width=width, color=color, ascii_only=ascii_only))
    assert not drawing.endswith("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", drawing)
    for line in drawing.split("\n"):
        assert cells(line) <= max(width, 40)
        assert color or line == line.rstrip(" ")


def test_a_megabyte_is_drawn_at_once():
    assert len(draw(explain('42["e","' + "e\u0301" * 500_000 + '"]'))) < 3000
