"""docs/wire-format.md: every example is played against a real server, every table is compared with it, no block goes unchecked.

The notation is described in the document, under "How to read the examples". `Play` is the client of one example: it sends what
stands behind ``C>`` and compares what arrives with what stands behind ``S>``, until nothing is left on either side.
"""

import inspect
import json
import re
import runpy
import shlex
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from engineio.payload import Payload
from support.memory import MemoryListener
from trio.testing import wait_all_tasks_blocked
from trio_socketio.conformance import peer, sections
from trio_socketio.engine.request import RejectCode
from trio_socketio.protocol import engineio, explain, socketio

from trio_socketio import Server
from trio_socketio.cli import main

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGE = (DOCS / "wire-format.md").read_text()
BLOCKS = [
    (PAGE[: m.start()].count("\n") + 1, m[1], m[2]) for m in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", PAGE, re.M)
]
"""Each block's first line in the document, its kind and its content."""

make_server = runpy.run_path(str(ROOT / "examples" / "wire_server.py"))["make_server"]
diagrams = runpy.run_path(str(DOCS / "wire-format" / "make_diagrams.py"))

HOST = "Host: 127.0.0.1:3000"
WEBSOCKET = [
    HOST,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
"""The usual headers: of a request, and of one that asks for a WebSocket."""

OVER_A_WEBSOCKET = """\
C> GET /socket.io/?EIO=4&transport=websocket HTTP/1.1
C> …
C>
S> 101
S> 0{"sid":"<sid>",…}
"""
OVER_POLLING = """\
C0> GET /socket.io/?EIO=4&transport=polling HTTP/1.1
C0> …
C0>
S0> 200 0{"sid":"<sid>",…}
"""
BEGINNINGS = {
    "(over a WebSocket)": OVER_A_WEBSOCKET,
    "(joined, over a WebSocket)": OVER_A_WEBSOCKET + 'C> 40\nS> 40{"sid":"<sid in />"}\n',
    "(over polling)": OVER_POLLING,
    "(joined, over polling)": OVER_POLLING + 'C0> POST 40\nS0> 200 ok\nC0> GET\nS0> 200 40{"sid":"<sid in />"}\n',
}
"""Where an example may begin, played before it."""

TEXT, BINARY, CLOSE = 1, 2, 8
"""Kinds of WebSocket frames."""


def blocks(kind):
    return [pytest.param(text, id=f"line {line}") for line, found, text in BLOCKS if found == kind]


def rows(place, *, nth=0):
    """The cells of the nth table at or behind a text, row by row."""
    table = re.findall(r"(?:^\|.*\n)+", PAGE[PAGE.index(place) :], re.M)[nth]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def codes(cell):
    return re.findall(r"`([^`]+)`", cell)


def row_id(row):
    return re.sub("[` ]+", " ", row[0]).strip()[:90]


def bytes_of(frame):
    """The bytes that stand in angle brackets, or None."""
    found = re.fullmatch("<((?:[0-9a-f]{2} ?)+)>", frame)
    return found and bytes.fromhex(found[1])


class Connection:
    """One TCP connection. What arrives is kept as the document writes it: a response by its lines, a frame with its raw bytes."""

    def __init__(self, stream):
        self.stream = stream
        self.arrived = deque()
        self.is_websocket = False
        self._closed = False
        self._data = b""

    async def read(self):
        while not self._closed and (data := await self.stream.receive_some()):
            self._data += data
            while not self._closed and await (self._read_frame() if self.is_websocket else self._read_response()):
                pass
        if self.is_websocket and not self._closed:
            self.arrived.append(("(hangs up)", b""))

    async def _read_response(self):
        head, blank, rest = self._data.partition(b"\r\n\r\n")
        length = int((re.findall(rb"\ncontent-length: (\d+)", head) or [b"0"])[0])
        if not blank or len(rest) < length:
            return False
        lines = [line.rstrip() for line in head.decode().split("\r\n")]
        self.is_websocket = lines[0].split()[1] == "101"
        self.arrived.append(([*lines, "", rest[:length].decode()], b""))
        self._data = rest[length:]
        return True

    async def _read_frame(self):
        data = self._data
        size, begin = (data[1], 2) if len(data) > 1 else (0, 2)
        if size > 125:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(data[2:begin])
        raw, payload, self._data = data[: begin + size], data[begin : begin + size], data[begin + size :]
        if len(raw) < begin + size:
            self._data = data
            return False
        kind = raw[0] & 0x0F
        if kind == CLOSE:
            assert len(payload) == 2, "the reason of a Close frame is empty"
            self._closed = True
            self.arrived.append((f"(closes with {int.from_bytes(payload)})", raw))
            with suppress(trio.BrokenResourceError):  # the server need not wait for it
                await self.stream.send_all(peer.frame(CLOSE, payload))
        else:
            self.arrived.append((payload.decode() if kind == TEXT else f"<{payload.hex(' ')}>", raw))
        return True


class Play:
    """One client with any number of connections to a server of its own; used as an async context."""

    def __init__(self):
        self.values = {}
        self._connections = {}
        self._listener = MemoryListener()
        self._service = trio.CancelScope()
        self._now = trio.current_time()
        self._manager = trio.open_nursery()

    async def __aenter__(self):
        self._nursery = await self._manager.__aenter__()
        await self._nursery.start(self._serve)
        return self

    async def __aexit__(self, *exception):
        self._nursery.cancel_scope.cancel()
        return await self._manager.__aexit__(*exception)

    async def _serve(self, task_status):
        with self._service:
            await make_server().serve_listeners([self._listener], task_status=task_status)

    async def play(self, text):
        """Play an example to its end; nothing may arrive that it does not show."""
        lines = deque(re.sub(r"\s{2,}# .*", "", line) for line in text.splitlines())
        while lines:
            line = lines[0]
            if line.startswith("("):
                self.assert_that_nothing_else_arrived()
                await self._happen(lines.popleft())
            elif line.startswith("C"):
                self.assert_that_nothing_else_arrived()
                await self._send(lines)
            else:
                self._compare(lines)
        self.assert_that_nothing_else_arrived()

    def assert_that_nothing_else_arrived(self):
        left = [came for connection in self._connections.values() for came, _ in connection.arrived]
        assert left == [], "more arrived than the document shows"

    async def _happen(self, what):
        if what in BEGINNINGS:
            await self.play(BEGINNINGS[what])
        elif what == "(the server shuts down)":
            self._service.cancel()
        else:
            seconds = float(re.fullmatch(r"\(after ([\d.]+) s\)", what)[1])
            await trio.sleep_until(self._now + seconds - 0.001)
            await wait_all_tasks_blocked()
            self.assert_that_nothing_else_arrived()
            self._now += seconds
            await trio.sleep_until(self._now)
        await wait_all_tasks_blocked()

    # What the client says.

    async def _send(self, lines):
        name, line = self._take(lines)
        connection = await self._connection(name)
        if line.startswith("(bytes "):
            data = bytes.fromhex(line[7:-1])
        elif connection.is_websocket:
            data = self._frame(line)
        else:
            request = [line]
            while line.endswith(" HTTP/1.1") and lines and lines[0].startswith(f"C{name}>"):
                request.append(self._take(lines)[1])
            data = self.request(request)
        await connection.stream.send_all(data)
        await wait_all_tasks_blocked()

    def _frame(self, line):
        payload = bytes_of(line)
        return peer.frame(TEXT, self.filled(line).encode()) if payload is None else peer.frame(BINARY, payload)

    def request(self, lines):
        """The bytes of a request, written in full or in short."""
        if not lines[0].endswith(" HTTP/1.1"):
            method, _, body = lines[0].partition(" ")
            transport = "websocket" if method == "WebSocket" else "polling"
            target = f"/socket.io/?EIO=4&transport={transport}&sid=<sid>"
            lines = [f"{method.replace('WebSocket', 'GET')} {target} HTTP/1.1", "…", "", body]
        end = lines.index("")
        body = self.filled("".join(lines[end + 1 :]))
        usual = WEBSOCKET if "transport=websocket" in lines[0] else [HOST]
        if body or lines[0].startswith(("POST", "PUT")):
            usual = [*usual, f"Content-Length: {len(body.encode())}"]
        head = [self.filled(one) for line in lines[:end] for one in (usual if line == "…" else [line])]
        return "\r\n".join([*head, "", body]).encode()

    async def _connection(self, name):
        if name not in self._connections:
            self._connections[name] = Connection(await self._listener.dial())
            self._nursery.start_soon(self._connections[name].read)
        return self._connections[name]

    def filled(self, text):
        """What stands in the document, as a client sends it: values for names, characters for what stands for them."""
        text = re.sub(r"<(\d+) × (.)>", lambda match: match[2] * int(match[1]), text)
        for name, value in self.values.items():
            text = text.replace(f"<{name}>", value)
        assert not re.search("<[a-z ]+>|…", text), f"{text} is not what a client could send"
        return text.replace(r"\x1e", "\x1e")

    # What the server says.

    def _compare(self, lines):
        name, line = self._take(lines)
        connection = self._connections[name]
        assert connection.arrived, f"expected {line} and nothing came"
        came, raw = connection.arrived.popleft()
        if isinstance(came, str):
            self.expect(line, f"(bytes {raw.hex(' ')})" if line.startswith("(bytes ") else came)
        elif not line.startswith("HTTP/1.1 "):
            self.expect_response(line, came)
        else:
            shown = [line]
            while shown[-1] and lines:
                shown.append(self._take(lines)[1])
            if came[0].split()[1] != "101" and came[-1]:
                shown.append(self._take(lines)[1])
            self._expect_lines(shown, came)

    def expect_response(self, shown, came):
        """Compare a status, and maybe a body, with a response."""
        self.expect(shown, f"{came[0].split()[1]} {came[-1]}".rstrip(" "))

    def _expect_lines(self, shown, came):
        came = came if came[-1] else came[:-1]
        if "…" in shown:
            place = shown.index("…")
            behind = len(shown) - place - 1
            came = [*came[:place], "…", *came[len(came) - behind :]]
        assert len(shown) == len(came), f"expected {shown}\nand came {came}"
        for line, found in zip(shown, came, strict=True):
            self.expect(line, found)

    def expect(self, shown, came):
        """Compare a line of the document with what came, and keep the values of new names: they are sids, and all differ."""
        pattern, names = "", []
        for part in re.split("(<[^<>]+>|…)", shown):
            name = part[1:-1]
            if part == "…":
                pattern += ".*"
            elif not part.startswith("<") or bytes_of(part):
                pattern += re.escape(part.replace(r"\x1e", "\x1e").replace(r"\n", "\n"))
            elif name in self.values:
                pattern += re.escape(self.values[name])
            else:
                pattern += "([A-Za-z0-9_-]{20})"
                names.append(name)
        found = re.fullmatch(pattern, came, re.DOTALL)
        assert found, f"expected {shown}\nand came {came}"
        self.values.update(zip(names, found.groups(), strict=True))
        assert len(set(self.values.values())) == len(self.values)

    @staticmethod
    def _take(lines):
        """Take the next line; return the connection and what is said."""
        found = re.fullmatch("[CS]([0-9]?)> ?(.*)", lines.popleft())
        return found[1], found[2]


# The examples.


def test_no_block_is_of_an_unknown_kind():
    assert {kind for _, kind, _ in BLOCKS} == {"wire", "console"}
    assert PAGE.count("\n```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("text", blocks("wire"))
async def test_the_server_says_what_the_example_shows(text, autojump_clock):
    async with Play() as play:
        await play.play(text)


def test_the_examples_show_every_type_of_packet():
    said = re.findall(r"^[CS][0-9]?> (?:200 |POST )?([0-6][^ \n]*)", "".join(text for _, _, text in BLOCKS), re.M)
    packets = [packet for frames in said for packet in frames.split(r"\x1e") if packet[0].isdigit()]
    assert {packet[0] for packet in packets} == {str(int(packet_type)) for packet_type in engineio.PacketType}
    inner = {packet[1] for packet in packets if packet[0] == "4"}
    assert inner == {str(int(packet_type)) for packet_type in socketio.PacketType}


async def test_an_example_that_says_something_else_fails(autojump_clock):
    begin = "(joined, over a WebSocket)\n"
    for wrong in (
        'C> 42["echo",1]\nS> 42["echo",2]',
        'C> 42["echo",1]',
        "C> 41\nS> 41",
        "(after 24 s)\nS> 2",
        "(after 26 s)\nS> 2",
        "C> 1\nS> (closes with 1008)",
        "C> (bytes 81 81 00 00 00 00 31)\nS> (bytes 88 02 03 e9)",
    ):
        async with Play() as play:
            with pytest.raises(AssertionError):
                await play.play(begin + wrong)


@pytest.fixture(scope="module")
def wire_server():
    """The example as a program, and the line that it prints."""
    command = [sys.executable, "examples/wire_server.py", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("text", blocks("console"))
def test_the_command_prints_what_the_document_shows(text, wire_server, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    url = re.search(r"http://\S+", wire_server)[0]
    for command, shown in re.findall(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", text, re.M):
        program, *arguments = shlex.split(command.replace("http://127.0.0.1:3000", url))
        if program == "trio-socketio":
            assert arguments[0] == "explain"
            assert main(arguments) == 0
            assert capsys.readouterr().out.splitlines() == shown.splitlines()
        elif arguments == ["examples/wire_server.py"]:
            assert wire_server.replace(url, "http://127.0.0.1:3000") == shown.strip()
        else:
            assert (program, arguments[0]) == ("python", "examples/minimal_client.py")
            done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30)
            assert (done.returncode, done.stderr) == (0, "")
            pattern = re.sub("<[a-z ]+>", "[A-Za-z0-9_-]{20}", re.escape(shown).replace(r"\ ", " "))
            assert re.fullmatch(pattern, done.stdout), done.stdout


# The tables.


@pytest.mark.parametrize(("nth", "types", "place"), [(0, engineio.PacketType, 0), (1, socketio.PacketType, 1)])
def test_the_tables_of_packet_types_are_complete_and_their_examples_are_such_packets(nth, types, place):
    table = rows("## All packet types", nth=nth)
    assert [(int(digit), name) for digit, name, *_ in table] == [(int(one), one.name) for one in types]
    for digit, name, _, examples, _ in table:
        for example in codes(examples):
            assert example[place] == digit, name
            assert not explain.is_broken(explain.explain(example)), example


def test_the_table_of_the_open_packet_has_exactly_its_keys():
    handshake = engineio.Handshake("sid", (), 25, 20, 1)
    keys = [codes(key)[0] for key, _ in rows("| key of the open packet")]
    assert keys == list(json.loads(handshake.to_json()))


REFUSALS = rows("**A request is refused**")


def test_the_table_of_refusals_has_every_code():
    bodies = [json.loads(body) for _, _, answer, _ in REFUSALS for body in codes(answer) if body.startswith("{")]
    assert {body["code"] for body in bodies} == {int(code) for code in RejectCode}


@pytest.mark.parametrize("row", [pytest.param(row, id=row_id(row)) for row in REFUSALS])
async def test_a_request_is_refused_as_the_table_says(row, autojump_clock):
    request, _, answer, session = row
    said, _, body = request.partition(" with ")
    (line, *headers), body = codes(said), "".join(codes(body))
    async with Play() as play:
        await play.play("(joined, over polling)\nC1> WebSocket\nS1> 101\nC1> 2probe\nS1> 3probe\nC1> 5")
        play.values = {"upgraded": play.values["sid"]}
        await play.play("(joined, over polling)")
        if line.startswith(("POST", "PUT")):
            headers.append(f"Content-Length: {len(play.filled(body))}")
        head = "".join(f"C2> {one}\n" for one in (f"{line} HTTP/1.1", HOST, *headers, ""))
        await play.play(f"{head}C2> {body}\nS2> {answer.replace('`', '')}")
        assert (session == "") == ("sid=<" not in line)
        if session:
            await play.play(AFTERWARDS["upgraded" if "<upgraded>" in line else session])


AFTERWARDS = {
    "upgraded": 'C1> 42["hello","Ada"]\nS1> 42["greeting","Hello Ada"]',
    "goes on": "C3> POST 3\nS3> 200 ok",
    "closed": 'C3> POST 3\nS3> 400 {"code":1,"message":"Session ID unknown"}',
}
"""What shows whether a session still lives."""


@pytest.mark.parametrize(
    ("request_line", "code"),
    [
        ("GET /socket.io/?transport=pigeon&sid=gone HTTP/1.1", 5),
        ("PUT /socket.io/?EIO=4&transport=pigeon&sid=gone HTTP/1.1", 0),
        ("PUT /socket.io/?EIO=4&transport=websocket&sid=gone HTTP/1.1", 1),
        ("PUT /socket.io/?EIO=4&transport=polling&sid=<sid> HTTP/1.1", 3),
        ("PUT /socket.io/?EIO=4&transport=websocket HTTP/1.1", 2),
        ("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", 3),
    ],
)
async def test_of_several_faults_the_first_in_the_table_is_told(request_line, code, autojump_clock):
    listed = [json.loads(body)["code"] for _, _, answer, _ in REFUSALS[:8] for body in codes(answer)]
    assert listed == [4, 5, 0, 1, 3, 3, 2, 3]
    answer = {body["code"]: body for body in map(json.loads, (codes(row[2])[-1] for row in REFUSALS[:8]))}[code]
    body = json.dumps(answer, separators=(",", ":"))
    async with Play() as play:
        await play.play(f"(over polling)\nC> {request_line}\nC> {HOST}\nC>\nS> 400 {body}")
        await play.play(f"C1> {request_line}\nC1> Origin: https://elsewhere.example\nC1> {HOST}\nC1>\nS1> 403 …")


CLOSINGS = rows("**A frame is refused**")


@pytest.mark.parametrize("row", [pytest.param(row, id=row_id(row)) for row in CLOSINGS])
async def test_a_frame_closes_the_connection_as_the_table_says(row, autojump_clock):
    frames, code, _ = row
    said = "".join(f"C> {frame}\n" for frame in codes(frames))
    async with Play() as play:
        await play.play(f"(joined, over a WebSocket)\n{said}S> (closes with {code})")


async def test_a_server_that_shuts_down_closes_with_1001(autojump_clock):
    async with Play() as play:
        await play.play("(joined, over a WebSocket)\n(the server shuts down)\nS> (closes with 1001)")


def test_every_code_has_a_meaning():
    told = {code for cell, _ in rows("| code | meaning") for code in re.findall(r"\d+", cell)}
    assert told == {code for _, code, _ in CLOSINGS} | {"1000", "1001"}


def test_the_limits_are_the_defaults_of_the_server():
    options = inspect.signature(Server.__init__).parameters
    for option, limit, _ in rows("## Limits"):
        assert options[codes(option)[0]].default == float(re.match(r"\d+", limit)[0]), option


async def test_exactly_as_many_bytes_as_the_limit_are_fine(autojump_clock):
    message = '42["nobody handles this","<999972 × x>"]'
    async with Play() as play:
        assert len(play.filled(message)) == Server().config.max_payload
        await play.play(f"(joined, over a WebSocket)\nC> {message}\nC> 41\nC> 40\nS> 40…")
    async with Play() as play:
        await play.play(f"(joined, over polling)\nC> POST {message}\nS> 200 ok")


def test_the_python_client_takes_as_many_packets_as_the_document_says():
    assert Payload.max_decode_packets == Server().config.max_packets_per_poll == 16


@pytest.mark.parametrize("table", ["from Engine.IO 3 to 4", "from Socket.IO 4 to 5"])
def test_the_frames_of_both_revisions_are_what_they_are_called(table):
    for what, *cells in rows(table):
        for revision, cell in zip((3, 4), cells, strict=True):
            for frame in codes(cell):
                if re.match(r"[0-9<b]", frame):
                    text = frame.replace(r"\x1e", "\x1e")
                    payload = "in a body" in what or "polling" in what
                    explained = explain.explain_payload if payload else explain.explain
                    assert not explain.is_broken(explained(bytes_of(frame) or text, revision=revision)), frame


async def test_a_client_of_revision_3_is_told_so(autojump_clock):
    async with Play() as play:
        await play.play(
            f"C> GET /socket.io/?EIO=3&transport=polling HTTP/1.1\nC> {HOST}\nC>\n"
            'S> 400 {"code":5,"message":"Unsupported protocol version"}'
        )


# The page.


CITED_HERE_ALONE = {
    f"https://github.com/socketio/engine.io-protocol#{heading}" for heading in ("http-long-polling", "from-v3-to-v4")
}
"""Sections that no case of the conformance suite refers to."""


def test_every_link_leads_somewhere():
    headings = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    known = {section.url for section in vars(sections).values() if isinstance(section, sections.Section)}
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif not link.startswith("https://"):
            assert (DOCS / link).is_file(), link
        elif "#" in link and "socketio" in link:
            assert link in known | CITED_HERE_ALONE, link


def test_every_table_is_even():
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table.splitlines()[0]


@pytest.mark.parametrize("name", diagrams["SCRIPTS"])
def test_a_diagram_is_what_its_script_draws_now(name):
    committed = (DOCS / "wire-format" / f"{name}.svg").read_text()
    assert committed == diagrams["draw"](diagrams["SCRIPTS"][name]), "run docs/wire-format/make_diagrams.py"


def test_every_diagram_is_shown_and_described():
    shown = re.findall(r"!\[(.{40,})\]\(wire-format/(\w+)\.svg\)", PAGE)
    assert sorted(name for _, name in shown) == sorted(diagrams["SCRIPTS"])
