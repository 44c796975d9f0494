"""``trio-socketio explain`` as a user meets it."""

import argparse
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from trio_socketio.protocol.explain import explain
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio.wire import reading
from trio_socketio.wire.drawing import draw
from trio_socketio.wire.explain_command import add_command
from trio_socketio.wire.record import HEADER, write_record

PROGRAM = """
import argparse, sys
from trio_socketio.wire.explain_command import add_command
parser = argparse.ArgumentParser()
add_command(parser.add_subparsers())
options = parser.parse_args()
sys.exit(options.run(options))
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdin", Terminal())


def run(*arguments, open_recording=None):
    parser = argparse.ArgumentParser(prog="trio-socketio")
    add_command(parser.add_subparsers(required=True), open_recording)
    options = parser.parse_args(["explain", *arguments])
    return options.run(options)


def test_a_frame_is_drawn(capsys):
    assert run('42/admin,7["hi",{"a":1}]') == 0
    assert capsys.readouterr().out == draw(explain('42/admin,7["hi",{"a":1}]')) + "\n"


def test_a_broken_frame_gives_status_1(capsys):
    assert run("42", "2") == 1
    assert "✗" in capsys.readouterr().out


def test_frames_come_from_standard_input_one_a_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO('42["a"]\r\n\n0xdead\n2probe'))
    assert run("--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == ['42["a"]', {"hex": "dead"}, "2probe"]
    assert [line["broken"] for line in lines] == [False, True, False]


def test_standard_input_that_is_not_utf8_is_shown(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'42["\xff"]\n'), encoding="utf-8"))
    run()
    assert '42["\\udcff"]' in capsys.readouterr().out


def test_without_frames_at_a_terminal_there_is_nothing_to_do(capsys):
    assert run() == 2
    assert "no frame" in capsys.readouterr().err


def test_attachments_are_recognised_behind_their_packet(capsys):
    frame = '452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    assert run(frame, "--hex", "01 02", "0x03:04") == 0
    out = capsys.readouterr().out
    assert "attachment 0 of 2 · 2 bytes" in out
    assert "attachment 1 of 2 · 2 bytes" in out
    assert "did not follow" not in out


def test_attachments_that_are_missing_are_mentioned(capsys):
    assert run('451-["e",{"_placeholder":true,"num":0}]') == 0
    assert "One attachment of the last packet did not follow" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--hex", "0102"], ["--hex", "--color=never", "0102"], ["--hex=0102"], ["0x0102"]]
)
def test_hexadecimal_frames_are_binary(arguments, capsys):
    assert run(*arguments) == 0
    assert capsys.readouterr().out.startswith("01 02\n")


def test_what_is_not_hexadecimal_gives_status_2(capsys):
    assert run("--hex", "no") == 2
    assert run("--websocket", "42[]") == 2
    assert "'no' is not hexadecimal" in capsys.readouterr().err


def test_payloads_are_taken_into_packets(capsys):
    assert run("--payload", '42["a"]\x1e42["b"]') == 0
    assert '42["a"]␞\n' in capsys.readouterr().out


def test_a_payload_of_revision_3_has_lengths(capsys):
    assert run("--payload", "--revision", "3", '7:42["a"]') == 0
    assert "Engine.IO length" in capsys.readouterr().out


def test_websocket_frames_are_read_from_hexadecimal_and_each_side_has_its_own_conversation(capsys):
    announcement = b'451-["e",{"_placeholder":true,"num":0}]'
    from_client = b"\x81" + bytes([0x80 + len(announcement)]) + bytes(4) + announcement
    from_server = b'\x81\x0742["e"]'
    attachment = b"\x82\x81" + bytes(4) + b"\x01"
    assert run("--websocket", from_client.hex(), from_server.hex(), attachment.hex()) == 0
    assert "attachment 0 of 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/socket.io/?EIO=4&transport=polling", "/?EIO=4&transport=polling"]
)
def test_a_url_is_explained_as_the_request_that_it_is(url, capsys):
    assert run(url) == 0
    assert "Engine.IO EIO · 4: revision 4" in " ".join(capsys.readouterr().out.split())
    assert run(url.replace("EIO=4", "EIO=1")) == 1


def test_json_has_a_line_for_each_frame(capsys):
    assert run("--json", '42["\ud83d"]', "--hex", "ff") == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["frame"] == '42["\ud83d"]'
    assert [part["content"] for part in first["spans"]] == ["4", "2", "[", '"\ud83d"', "]"]
    assert second["spans"][0]["content"] == {"hex": "ff"}
    assert set(first["spans"][0]) == {"content", "layer", "name", "meaning", "section", "fault"}


def test_payload_and_websocket_exclude_each_other(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--payload", "--websocket", "2")
    assert ended.value.code == 2


def test_colours_are_for_terminals(capsys, monkeypatch):
    run("2")
    assert "\x1b" not in capsys.readouterr().out
    run("--color", "always", "2")
    assert "\x1b[36m" in capsys.readouterr().out
    for name, value, colored in [("TERM", "xterm", True), ("TERM", "dumb", False), ("NO_COLOR", "1", False)]:
        terminal = Terminal()
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdout", terminal)
        run("2")
        assert ("\x1b" in terminal.getvalue()) == colored
        monkeypatch.setenv("TERM", "xterm")
    run("--color=always", "2")
    assert "\x1b" in terminal.getvalue()


def test_a_terminal_without_unicode_gets_ascii(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    run('42["é"]')
    assert written.getvalue().startswith(b'42["\\xe9"]\n++++')


def test_a_recording_is_handed_on(tmp_path, capsys):
    recording = tmp_path / "session.har"
    recording.write_text("{}")
    opened = []

    def open_recording(path, options):
        opened.append((path, options.json))
        return 1

    assert run("--json", str(recording), "2", open_recording=open_recording) == 1
    assert opened == [(recording, True)]
    assert run(str(recording)) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["missing.har", "./missing.har", "/no/such/folder/missing.JSONL", "2024-05.har", "42-talk.jsonl"]
)
def test_the_name_of_a_recording_that_is_not_there_is_no_frame(name, capsys):
    assert run(name, open_recording=reading.open_recording) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"trio-socketio: cannot read {Path(name)}: No such file or directory\n")


def test_a_recording_has_its_name_in_any_case_and_is_no_folder(tmp_path, capsys):
    recording, folder = tmp_path / "session.JSONL", tmp_path / "session.har"
    recording.write_text(HEADER)
    folder.mkdir()
    assert run(str(recording), open_recording=reading.open_recording) == 0
    assert run(str(folder), open_recording=reading.open_recording) == 2
    assert f"cannot read {folder}: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        ("40/talk.har", 0),
        ('42["x.har', 1),
        ("/socket.io/?EIO=4&transport=polling&name=x.har", 0),
        ("http://a/x.har", 1),
    ],
)
def test_a_frame_may_end_like_the_name_of_a_recording(frame, status):
    assert run(frame, open_recording=pytest.fail) == status


def test_whoever_has_read_enough_may_go():
    command = [sys.executable, "-c", PROGRAM, "explain"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        process.stdin.write("2\n" * 10_000)  # what that prints fits in no pipe
        process.stdin.close()
        assert process.stdout.readline() == "2\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


def program(*arguments, redirect="", **options):
    words = " ".join(map(shlex.quote, [sys.executable, "-m", "trio_socketio", *arguments]))
    return subprocess.run(f"{words} {redirect}", shell=True, capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize("arguments", [("explain", "2"), ("explain", "--json", "2"), ("conformance", "--list")])
def test_an_output_that_is_full_is_told_in_a_sentence(arguments):
    done = program(*arguments, redirect="> /dev/full")
    assert (done.returncode, done.stderr) == (
        2,
        "trio-socketio: the output cannot be written: No space left on device\n",
    )


@pytest.mark.parametrize(
    ("arguments", "redirect"),
    [
        (("explain", "2"), ">&-"),
        (("explain",), "<&-"),
        (("explain", "2"), ">&- <&- 2>&-"),
        (("conformance", "--list"), ">&-"),
    ],
)
def test_streams_that_are_closed_are_empty_and_take_everything(arguments, redirect):
    done = program(*arguments, redirect=redirect)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["lines", "recording"])
def test_ctrl_c_ends_it_without_a_traceback(kind, tmp_path):
    arguments = []
    if kind == "recording":
        pipe = tmp_path / "endless.jsonl"
        os.mkfifo(pipe)
        arguments = [str(pipe)]
    command = [sys.executable, "-u", "-m", "trio_socketio", "explain", *arguments]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        if kind == "recording":
            with pipe.open("w") as writer:
                print(
                    HEADER + write_record(TracedFrame(1.0, "s", "websocket", Sender.CLIENT, "2")),
                    file=writer,
                    flush=True,
                )
                process.stdout.readline()
                process.send_signal(signal.SIGINT)
                process.wait(20)
        else:
            print("2", file=process.stdin, flush=True)
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait(20) == 130
