"""The command that explains a recorded conversation: what it prints, and its exit status."""

import argparse
import io
import json
import subprocess
import sys
from codecs import BOM_UTF8
from pathlib import Path

import pytest
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio.wire import har, reading
from trio_socketio.wire.reading import open_recording
from trio_socketio.wire.record import HEADER, write_record
from trio_socketio.wire.values import Record

SAMPLES = Path(__file__).parent / "har"
EVENT = TracedFrame(1.0, "S1", "websocket", Sender.CLIENT, '42["hello","🙂"]')
FAULT = TracedFrame(2.0, "S1", "websocket", Sender.CLIENT, "x")
INCOMPLETE = TracedFrame(3.0, "S1", "websocket", Sender.CLIENT, '451-["image",{"_placeholder":true,"num":0}]')


def options(*, as_json: bool = False, color: str = "auto") -> argparse.Namespace:
    return argparse.Namespace(json=as_json, color=color)


def recording(folder: Path, *records: Record, end: str = "") -> Path:
    path = folder / "talk.jsonl"
    path.write_text(HEADER + "".join(map(write_record, records)) + end, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def no_wishes_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_a_recording_is_printed_with_its_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_recording(recording(tmp_path, EVENT), options()) == 0
    output, errors = capsys.readouterr()
    legend, titles, line, blank, *summary = output.splitlines()
    assert legend.startswith("→ to the server")
    assert titles.split() == ["time", "since", "session", "via", "size", "packet"]
    assert line.endswith('event      / hello: "🙂"')
    assert blank == ""
    assert summary[:2] == ["Summary", "  1 session in 0 ms"]
    assert errors == ""


def test_a_har_file_is_printed_and_what_was_skipped_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert open_recording(SAMPLES / "upgrade.har", options()) == 0
    output = capsys.readouterr().out
    assert "moves to the WebSocket" in output
    assert "/chat say, wants ack 1: " in output
    assert output.splitlines()[-1].endswith("requests in the file are no Socket.IO and were skipped.")


def test_json_has_one_object_per_line_and_the_summary_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_recording(recording(tmp_path, EVENT, FAULT), options(as_json=True)) == 1
    event, fault, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (event["kind"], event["event"], event["payload"]) == ("event", "hello", ["🙂"])
    assert fault["kind"] == "fault"
    assert summary["summary"]["fault_count"] == 1


def test_faults_give_the_exit_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_recording(recording(tmp_path, FAULT), options()) == 1
    assert "There is no packet type 'x' at position 0" in capsys.readouterr().out


def test_a_recording_that_ends_in_the_middle_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_recording(recording(tmp_path, EVENT, INCOMPLETE, end='{"time":'), options()) == 0
    output = capsys.readouterr().out
    assert "The recording breaks off in line 4, which is left out" in output
    assert "The end came first: 1 of 1 missing" in output


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing.jsonl", None, "No such file or directory"),
        ("missing.har", None, "No such file or directory"),
        ("empty.jsonl", b"", "The file is empty"),
        ("picture.jsonl", b"\x89PNG\r\n\x1a\n\xff", "The file is no recording"),
        ("picture.har", b"\x89PNG\r\n\x1a\n\xff", "The file is no HAR"),
        ("broken.jsonl", HEADER.encode() + b"{\n{}\n", "(line 2)"),
        ("other.HAR", b'{"log":{}}', "it has no list of entries in its log"),
    ],
)
def test_what_cannot_be_read_gives_one_line_and_the_exit_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, why: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert open_recording(path, options()) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"trio-socketio: cannot read {path}: ")
    assert why in errors
    assert errors.count("\n") == 1


def test_a_folder_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_recording(tmp_path, options()) == 2
    assert "cannot read" in capsys.readouterr().err


def test_without_ijson_the_line_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(har, "ijson", None)
    assert open_recording(SAMPLES / "upgrade.har", options()) == 2
    assert "pip install 'trio-socketio[har]'" in capsys.readouterr().err


@pytest.mark.parametrize(("wish", "colored"), [("always", True), ("never", False), ("auto", False)])
def test_colours_are_for_terminals_unless_they_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wish: str, colored: bool
) -> None:
    open_recording(recording(tmp_path, EVENT), options(color=wish))
    assert ("\x1b[" in capsys.readouterr().out) is colored


class Terminal(io.StringIO):
    """Standard output or error as a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_lines_fit_and_have_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = TracedFrame(1.0, "S1", "websocket", Sender.CLIENT, f'42["hello","{"x" * 1000}"]')
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "90")
    open_recording(recording(tmp_path, long), options())
    assert "\x1b[" in terminal.getvalue()
    assert "x" * 60 not in terminal.getvalue()


def test_no_color_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    open_recording(recording(tmp_path, EVENT), options())
    assert "\x1b[" not in terminal.getvalue()


@pytest.mark.parametrize("name", ["talk.jsonl", "upgrade.har"])
def test_progress_is_shown_on_a_terminal_and_wiped_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(reading, "_QUIET_FOR", 0)
    monkeypatch.setattr(reading, "_EVERY_ON_TERMINAL", 0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    open_recording(recording(tmp_path, EVENT) if name == "talk.jsonl" else SAMPLES / name, options())
    assert "(100 %)" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_progress_in_a_log_is_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, EVENT)
    open_recording(path, options())
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(reading, "_EVERY_IN_LOG", 0)
    open_recording(path, options())
    assert capsys.readouterr().err.splitlines()[-1] == "read 128 B of 128 B (100 %)"


def test_a_recording_may_begin_with_a_byte_order_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, EVENT)
    path.write_bytes(BOM_UTF8 + path.read_bytes())
    assert open_recording(path, options()) == 0
    assert "hello" in capsys.readouterr().out


PROGRAM = """
import argparse, sys
from pathlib import Path
from trio_socketio.wire.reading import open_recording
sys.exit(open_recording(Path(sys.argv[1]), argparse.Namespace(json=False, color="auto")))
"""


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    path = recording(tmp_path, *[EVENT] * 20_000)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")


def test_an_encoding_without_arrows_does_no_harm(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, recording(tmp_path, EVENT)],
        env={"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert rb"\u2192" in result.stdout
