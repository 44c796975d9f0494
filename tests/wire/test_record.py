"""Recordings: what is written is read back, and what is broken is told with its place."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio_socketio.protocol import SocketIOError
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio.wire.record import HEADER, RecordingError, read_records, write_record
from trio_socketio.wire.values import Note, Record

FRAME = TracedFrame(1700000000.25, "Vx3k", "websocket", Sender.CLIENT, '42["hello"]')
BINARY = TracedFrame(1700000000.5, "Vx3k", "websocket", Sender.SERVER, b"\x00\x01\x02")
NOTE = Note(1700000001.0, "Vx3k", "polling", None, "The connection was lost")


def lines_of(*records: Record) -> list[str]:
    return [HEADER, *map(write_record, records)]


def test_a_recording_looks_as_the_documentation_shows() -> None:
    assert lines_of(FRAME, BINARY, NOTE) == [
        '{"trio-socketio-recording":1}\n',
        '{"time":1700000000.25,"sid":"Vx3k","transport":"websocket","sender":"client","text":"42[\\"hello\\"]"}\n',
        '{"time":1700000000.5,"sid":"Vx3k","transport":"websocket","sender":"server","base64":"AAEC"}\n',
        '{"time":1700000001.0,"sid":"Vx3k","transport":"polling","sender":null,"note":"The connection was lost"}\n',
    ]


def test_what_was_written_is_read_back() -> None:
    assert list(read_records(lines_of(FRAME, BINARY, NOTE))) == [FRAME, BINARY, NOTE]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.lists(
        st.builds(
            TracedFrame,
            st.floats(allow_nan=False, allow_infinity=False),
            texts,
            texts,
            st.sampled_from(Sender),
            texts | st.binary(max_size=20),
        )
        | st.builds(Note, st.floats(0, 2e9), texts, texts, st.none() | st.sampled_from(Sender), texts)
    )
)
def test_any_records_are_read_back_from_the_bytes_of_a_file(records: list[Record]) -> None:
    data = "".join(lines_of(*records)).encode()
    assert list(read_records(line.decode() for line in data.splitlines(keepends=True))) == records


def test_lines_may_come_without_their_ends_and_with_blank_ones_between() -> None:
    lines = "".join(lines_of(FRAME, NOTE)).splitlines()
    assert list(read_records(["", lines[0], "  ", lines[1], "", lines[2], ""])) == [FRAME, NOTE]


def test_keys_that_are_not_known_are_ignored() -> None:
    values = json.loads(write_record(FRAME)) | {"more": [1]}
    header = json.dumps({"trio-socketio-recording": 1, "made by": "hand"})
    assert list(read_records([header, json.dumps(values)])) == [FRAME]


@pytest.mark.parametrize("cut", [1, 20, -3])
def test_a_last_line_that_breaks_off_becomes_a_note(cut: int) -> None:
    lines = [*lines_of(FRAME), write_record(BINARY)[:cut]]
    frame, note = read_records(lines)
    assert frame == FRAME
    assert note == Note(FRAME.time, "", "", None, "The recording breaks off in line 3, which is left out")


def test_a_last_line_that_breaks_off_inside_a_character_becomes_a_note() -> None:
    data = "".join(lines_of(FRAME, TracedFrame(1.0, "s", "polling", Sender.CLIENT, "42🙂"))).encode()
    cut = data[: data.index("🙂".encode()) + 2]
    lines = [line.decode("utf-8", "surrogateescape") for line in cut.splitlines(keepends=True)]
    assert isinstance(list(read_records(lines))[-1], Note)


def test_a_line_that_breaks_off_before_the_last_is_an_error() -> None:
    with pytest.raises(RecordingError, match=r"The line is no JSON: .* \(line 2\)"):
        list(read_records([HEADER, write_record(FRAME)[:20], write_record(NOTE)]))


def test_the_records_before_a_broken_line_are_read() -> None:
    records = read_records([HEADER, write_record(FRAME), "{}\n"])
    assert next(records) == FRAME
    with pytest.raises(RecordingError) as raised:
        next(records)
    assert raised.value.line == 3
    assert isinstance(raised.value, SocketIOError)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "The file is empty"),
        (["\n", " \n"], "The file is empty"),
        (["hello\n"], "The file is no recording"),
        (["[1]\n"], "The file is no recording"),
        (["{}\n"], "The file is no recording"),
        (['{"log":{"entries":[]}}'], "The file is no recording"),
        (['{"trio-socketio-recording":2}\n'], "The recording has version 2, and this program reads version 1"),
        (['{"trio-socketio-recording":true}\n'], "The recording has version True"),
    ],
)
def test_a_file_that_is_no_recording_of_this_version_is_an_error(lines: list[str], message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        list(read_records(lines))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": None}, "has no time in seconds"),
        ({"time": True}, "has no time in seconds"),
        ({"time": 10**400 - 1}, "has no time in seconds"),
        ({"sid": 5}, "The sid of the record is not a string"),
        ({"transport": None}, "The transport of the record is not a string"),
        ({"sender": "me"}, "The sender of the record is 'me', neither client nor server"),
        ({"sender": [1]}, "neither client nor server"),
        ({"sender": None}, "The frame has no sender"),
        ({"text": 5}, "The text of the record is not a string"),
        ({"text": "\udc80"}, "The line is not UTF-8"),
        ({"note": 5}, "The note of the record is not a string"),
    ],
)
def test_a_record_with_a_wrong_value_is_an_error(change: dict[str, object], message: str) -> None:
    line = json.dumps(json.loads(write_record(FRAME)) | change, ensure_ascii=False) + "\n"
    with pytest.raises(RecordingError, match=rf"{message}.*\(line 2\)"):
        list(read_records([HEADER, line]))


@pytest.mark.parametrize(("line", "message"), [("[]", "not an object"), ("7", "not an object"), ("nul", "no JSON")])
def test_a_line_that_is_no_object_is_an_error(line: str, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        list(read_records([HEADER, line + "\n"]))


def test_a_record_without_content_or_with_broken_base64_is_an_error() -> None:
    values = json.loads(write_record(BINARY))
    for base64 in ("AA=A", "ä"):
        with pytest.raises(RecordingError, match="The frame is not valid base64"):
            list(read_records([HEADER, json.dumps(values | {"base64": base64}) + "\n"]))
    del values["base64"]
    with pytest.raises(RecordingError, match="neither text nor base64 nor a note"):
        list(read_records([HEADER, json.dumps(values) + "\n"]))


@given(
    st.lists(st.text(max_size=10) | st.sampled_from([write_record(FRAME), "{", '{"time":1}\n', "[" * 300]), max_size=4)
)
def test_whatever_the_lines_are_nothing_else_is_raised(lines: list[str]) -> None:
    for beginning in ([], [HEADER]):
        with contextlib.suppress(RecordingError):
            list(read_records([*beginning, *lines]))
