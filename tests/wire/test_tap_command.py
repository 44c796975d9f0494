"""``trio-socketio tap`` as a user meets it: a process, its output, its files, its exit status."""

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import trio
from trio_socketio.conformance.peer import Peer, PeerError
from trio_socketio.protocol.socketio import Packet, PacketType
from trio_socketio.protocol.trace import Sender, TracedFrame

from trio_socketio import Server
from trio_socketio.wire import page, report, tap_command
from trio_socketio.wire.line_filter import LineFilter
from trio_socketio.wire.record import read_records
from trio_socketio.wire.report import Format, Mailbox, Report
from trio_socketio.wire.values import Kind, Line, Note

START = 20.0
"""Seconds for a process to begin, on a slow machine."""

PROGRAM = """
import argparse, sys
from trio_socketio.wire import tap_command
parser = argparse.ArgumentParser(prog="trio-socketio")
tap_command.add_command(parser.add_subparsers(required=True, metavar="command"))
options = parser.parse_args()
sys.exit(options.run(options))
"""


def echoing():
    server = Server(ping_interval=1000)

    @server.on("chat")
    async def chat(ctx, *args):
        await ctx.emit("chat", *args)
        return "delivered"

    return server


class Run:
    """A tap that runs as a process before a server of this one."""

    def __init__(self, process, port, output):
        self.process = process
        self.port = port
        self.output = output
        self.streams = []
        self.peer = Peer(self.dial)

    async def dial(self):
        self.streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self.streams[-1]

    @property
    def text(self):
        return self.output.decode()

    async def shows(self, text):
        """Wait until something is shown."""
        with trio.fail_after(10):
            while text not in self.text:
                self.output += await self.process.stdout.receive_some()

    async def end(self, number=signal.SIGINT):
        """End it with a signal; return its exit status, and what it has shown in all."""
        self.process.send_signal(number)
        with trio.fail_after(10):
            while chunk := await self.process.stdout.receive_some():
                self.output += chunk
            return await self.process.wait(), self.text, (await self.process.stderr.receive_some()).decode()


@asynccontextmanager
async def tapping(*arguments, upstream=None):
    """Run the command before a server that echoes."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(echoing().serve, "127.0.0.1", 0)
        upstream = upstream or f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", PROGRAM, "tap", "--listen", "127.0.0.1:0", "--to", upstream, *map(str, arguments)],
            stdout=-1,
            stderr=-1,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        try:
            output = b""
            with trio.fail_after(START):
                while b"\n" not in output:
                    chunk = await process.stdout.receive_some()
                    assert chunk, (await process.stderr.receive_some()).decode()
                    output += chunk
            port = int(re.search(rb"tap on http://127\.0\.0\.1:(\d+), in front of " + upstream.encode(), output)[1])
            run = Run(process, port, output)
            yield run
            for stream in run.streams:
                await trio.aclose_forcefully(stream)
        finally:
            if process.poll() is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await process.stdout.aclose()
                await process.stderr.aclose()
            nursery.cancel_scope.cancel()


async def talk(peer, *args):
    """Emit one event with an ack over a new WebSocket, and hang up."""
    client = await peer.join()
    await client.send(Packet(PacketType.EVENT, "/", ["chat", *args], 0))
    while (await client.receive()).type is not PacketType.ACK:
        pass
    await client.transport.hang_up()
    return client


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_each_packet_is_shown_as_it_happens_and_counted_at_the_end(number, tmp_path):
    recording, html = tmp_path / "session.jsonl", tmp_path / "session.html"
    async with tapping("--record", recording, "--html", html) as run:
        client = await talk(run.peer, "hi")
        await run.shows("without a Close frame")
        records = list(read_records(recording.read_text().splitlines(keepends=True)))  # complete while it runs
        assert [record.frame for record in records if isinstance(record, TracedFrame)][1:] == [
            "40", records[2].frame, '420["chat","hi"]', '42["chat","hi"]', '430["delivered"]',
        ]  # fmt: skip
        status, text, errors = await run.end(number)
    assert (status, errors) == (0, "")
    shown = text.splitlines()
    assert re.search(r'→ .*event .*chat.*"hi"', text)
    assert shown[-1].startswith("1 session, 6 packets (")
    assert shown[-1].endswith("1 connection")
    assert "\x1b" not in text
    assert client.handshake.sid in html.read_text()


async def test_a_tap_that_shows_nothing_still_counts_and_records(tmp_path):
    recording = tmp_path / "session.jsonl"
    async with tapping("--quiet", "--record", recording) as run:
        await talk(run.peer, "hi")
        status, text, _ = await run.end()
    assert status == 0
    assert len(text.splitlines()) == 2
    assert '"hi"' not in text
    assert "hi" in recording.read_text()


async def test_filters_colours_and_raw_frames_are_as_asked_for():
    async with tapping("--filter", "chat", "--filter", "!ack", "--raw", "--color", "always") as run:
        await talk(run.peer, "hi", b"\x00\xff")
        _, text, _ = await run.end()
    shown = re.sub(r"\x1b\[\d+m", "", text).splitlines()[3:-1]
    assert "\x1b[" in text
    assert len([line for line in shown if "event" in line]) == 2
    assert '    451-0["chat","hi",{"_placeholder":true,"num":0}]' in shown
    assert "    <2 bytes> 00 ff" in shown
    assert "delivered" not in text
    assert "connected" not in text


async def test_a_server_that_is_absent_is_shown_and_the_tap_goes_on():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with tapping(upstream=upstream) as run:
            for _ in range(2):
                stream = await trio.open_tcp_stream("127.0.0.1", run.port)
                assert await stream.receive_some() == b""
                await stream.aclose()
            await run.shows(f"{upstream} cannot be reached: Connection refused")
            status, text, errors = await run.end()
    assert (status, errors) == (0, "")
    assert text.splitlines()[-1] == "0 sessions, 0 packets (0 B to the server, 0 B to the client), 2 connections"


async def test_connected_clients_do_not_keep_it_from_ending(tmp_path):
    html = tmp_path / "session.html"
    html.write_text("what was there before")
    async with tapping("--html", html) as run:
        client = await run.peer.join()
        assert html.read_text() == "what was there before"
        status, text, _ = await run.end()
    assert status == 0
    assert "connected" in text
    assert client.handshake.sid in html.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["session.html"]
    assert html.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def test_when_nobody_reads_its_output_it_ends_and_completes_its_files(tmp_path):
    recording = tmp_path / "session.jsonl"
    async with tapping("--record", recording) as run:
        await run.process.stdout.aclose()
        with contextlib.suppress(PeerError):  # the tap may end before the server has answered
            await run.peer.join()
        with trio.fail_after(10):
            assert await run.process.wait() == 0
        errors = (await run.process.stderr.receive_some()).decode()
    assert "Traceback" not in errors
    assert any(
        isinstance(record, TracedFrame) for record in read_records(recording.read_text().splitlines(keepends=True))
    )


async def test_a_quiet_tap_writes_its_page_though_nobody_reads_its_output(tmp_path):
    html = tmp_path / "session.html"
    async with tapping("--quiet", "--html", html) as run:
        await run.process.stdout.aclose()
        client = await talk(run.peer, "hi")
        run.process.send_signal(signal.SIGINT)
        with trio.fail_after(10):
            assert await run.process.wait() == 0
        assert await run.process.stderr.receive_some() == b""
    assert client.handshake.sid in html.read_text()


def test_a_recording_that_is_there_stays_when_the_tap_cannot_listen(tmp_path):
    recording = tmp_path / "session.jsonl"
    recording.write_text("what was there before")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        status, _, errors = command("--listen", listen, "--record", str(recording))
    assert (status, errors) == (2, f"cannot listen on {listen}: Address already in use\n")
    assert recording.read_text() == "what was there before"


async def test_a_recording_on_a_full_disk_is_told_in_one_sentence():
    async with tapping("--record", "/dev/full") as run:
        await talk(run.peer, "hi")
        status, text, errors = await run.end()
    assert (status, errors) == (1, "the recording /dev/full stopped: No space left on device\n")
    assert "hi" in text


def command(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "tap", *arguments], capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "localhost:3000"], "'localhost:3000' is no address of a server: it must look like"),
        (["--to", "http://localhost:3000/chat"], "says more than a host and a port"),
        (["--listen", "3001"], "'3001' is no address to listen on: it must look like 127.0.0.1:3001"),
        (["--listen", "127.0.0.1:x"], "'x' is no port: it must be a number from 0 to 65535"),
        (["--listen", "127.0.0.1:70000"], "'70000' is no port"),
        (["--listen", "127.0.0.1:3000"], "the tap would connect to itself"),
        (["--listen", "127.0.0.1:3000", "--to", "http://localhost:3000"], "the tap would connect to itself"),
        (["--listen", "0.0.0.0:3000"], "the tap would connect to itself"),
        (["--listen", "a..b:0"], "'a..b' is no name of a host"),
        (["--html", "/tmp"], "no page can be written to /tmp: it is a directory"),
        (["--filter", "!"], "A filter is a word such as chat"),
        (["--record", "/no/such/folder/x"], "no recording can be written to /no/such/folder/x: No such file"),
        (["--html", "/no/such/folder/x"], "no page can be written to /no/such/folder/x"),
        (["--record", "/tmp/x", "--html", "/tmp/x"], "are the same file"),
        (["--color", "green"], "invalid choice: 'green'"),
        (["--listen", "203.0.113.1:0"], "cannot listen on 203.0.113.1:0: "),  # reserved for documentation
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_exit_status_2(arguments, sentence):
    status, out, errors = command(*arguments)
    assert (status, out) == (2, "")
    assert sentence in errors
    assert "Traceback" not in errors


def test_the_help_names_every_option():
    status, out, _ = command("--help")
    assert status == 0
    for option in ("--listen", "--to", "--filter", "--raw", "--record", "--html", "--color", "--quiet"):
        assert option in out


def test_the_addresses_have_defaults():
    parser = argparse.ArgumentParser()
    tap_command.add_command(parser.add_subparsers())
    options = parser.parse_args(["tap", "--listen", "[::1]:4000"])
    assert options.listen == ("::1", 4000)
    assert str(options.to) == "http://127.0.0.1:3000"


# The parts ----------------------------------------------------------------------------------------------------------


def line(kind=Kind.EVENT, **values):
    return Line(0.0, None, values.pop("sid", "abcdef"), "websocket", Sender.CLIENT, kind, **values)


@pytest.mark.parametrize(
    ("words", "accepted"),
    [
        ([], True),
        (["chat"], True),
        (["CHAT"], True),
        (["ch*"], True),
        (["cha"], False),
        (["/room"], True),
        (["event"], True),
        (["abc"], True),
        (["ping"], False),
        (["ping", "chat"], True),
        (["!ping"], True),
        (["!chat"], False),
        (["event", "!/room"], False),
    ],
)
def test_a_filter_matches_event_namespace_kind_and_session(words, accepted):
    assert LineFilter.of(words).accepts(line(event="chat", namespace="/room")) is accepted


def note(number, text="x"):
    return Note(float(number), "", "", None, text)


async def test_a_mailbox_keeps_order_and_says_what_it_left_out():
    mailbox = Mailbox(limit=3 * (report.RECORD_COST + 1))
    for number in range(5):
        mailbox.put(note(number))
    assert [record.time for record in await mailbox.take()] == [0, 1, 2]
    mailbox.put(note(5))
    told = await mailbox.take()
    assert [record.text for record in told] == ["2 records were left out, because the output did not keep up", "x"]
    mailbox.put(note(6, "a record over the limit is taken when nothing else waits" * 100))
    mailbox.put(note(7))
    mailbox.close()
    assert [record.text[:10] for record in await mailbox.take()] == ["a record o", "1 record w"]
    assert await mailbox.take() == []


async def test_a_mailbox_wakes_the_one_who_waits(autojump_clock):
    mailbox = Mailbox()
    taken = []

    async def take():
        while records := await mailbox.take():
            taken.extend(records)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await trio.sleep(1)
        mailbox.put(note(1))
        await trio.sleep(1)
        assert [record.time for record in taken] == [1]
        mailbox.close()


def frames(count):
    return [
        TracedFrame(float(number), "abc", "websocket", Sender.CLIENT, f'42["e{number}"]') for number in range(count)
    ]


def test_a_report_keeps_the_beginning_for_the_page_and_counts_the_rest(monkeypatch):
    monkeypatch.setattr(page, "MAX_LINES", 3)
    kept = Report(keep=True)
    kept.take(frames(5))
    assert [one.event for one in kept.kept] == ["e0", "e1", "e2"]
    assert kept.omitted == 2
    monkeypatch.setattr(page, "MAX_BYTES", 16)
    kept = Report(keep=True)
    kept.take(frames(5))
    assert (len(kept.kept), kept.omitted) == (2, 3)


def test_a_recording_that_cannot_go_on_does_not_stop_the_lines():
    class Full:
        def write(self, text):
            raise OSError(28, "No space left on device")

        def flush(self):
            raise AssertionError("nothing has been written")

        def close(self):
            raise OSError(28, "No space left on device")

    shown = []
    told = Report(show=shown.append, recording=Full())
    told.begin()
    told.take(frames(2))
    assert told.failure.errno == 28
    assert "e1" in shown[0]


def test_raw_frames_cannot_control_the_terminal_and_are_not_endless():
    shown = []
    told = Report(show=shown.append, format=Format(raw=True))
    told.take([
        TracedFrame(0.0, "abc", "websocket", Sender.CLIENT, "4\x1b[2J" + "x" * 20_000),
        TracedFrame(1.0, "abc", "websocket", Sender.CLIENT, b"y" * 1_000),
    ])  # fmt: skip
    text = "".join(shown)
    assert "\x1b" not in text
    assert "10005 more characters" in text
    assert "79 79 …" in text
