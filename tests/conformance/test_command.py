"""``trio-socketio conformance`` as a user meets it: what it prints, what it writes, how it ends."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import trio
import trustme
from trio_socketio.conformance import command
from trio_socketio.conformance.case import REGISTER, Level, Register
from trio_socketio.conformance.command import Address, UsageError
from trio_socketio.conformance.probing import Unusable, probe
from trio_socketio.conformance.sections import EIO_HANDSHAKE

from trio_socketio import Server
from trio_socketio.cli import main

QUICK = ["-k", "eio.handshake.polling.*"]


@pytest.fixture(scope="module")
def fixture_url():
    """The address of the fixture, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trio_socketio", "conformance", "serve", "--port", "0"], stdout=subprocess.PIPE
    )
    try:
        found = re.search(rb"http://\S+", process.stdout.readline())
        assert found
        yield found[0].decode()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def judge(*arguments):
    return main(["conformance", *arguments])


def test_a_server_that_conforms_ends_with_0_and_a_table(fixture_url, capsys):
    assert judge(fixture_url, *QUICK) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{fixture_url}/socket.io/\npolling and websocket; a ping every 300 ms")
    assert re.search(r"^handshake +\d+/\d+", out, re.MULTILINE)
    assert out.endswith("Every MUST and SHOULD that was run holds.\n")
    assert "cases" in err, "progress goes to standard error"
    assert "\033" not in out + err


def test_the_reports_say_the_same(fixture_url, tmp_path, capsys):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit", "html")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    assert judge(fixture_url, *QUICK, *options) == 0
    report = json.loads(files["json"].read_text())
    ids = [entry["id"] for entry in report["cases"]]
    assert ids == [case.id for case in REGISTER if case.id.startswith("eio.handshake.polling.")]
    assert report["conforms"]
    assert report["counts"] == {"passed": len(ids), "failed": 0, "skipped": 0}
    assert (report["pingInterval"], report["pingTimeout"], report["maxPayload"]) == (300, 200, 1_000_000)
    suites = ET.parse(files["junit"]).getroot()
    assert [element.get("name") for element in suites.iter("testcase")] == ids
    page = files["html"].read_text()
    assert all(f'id="{case_id}"' in page for case_id in ids)
    assert "src=" not in page, "the page needs nothing else"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "report.json", "report.junit"]


@pytest.fixture(scope="module")
def faulty_url():
    """The address of a server that answers POST requests with `OK` instead of `ok`, and one case fails."""
    program = (
        "import sys; from trio_socketio.server.net import decisions; from trio_socketio.server.net.responses import Answer;"
        "decisions.OK = Answer(200, b'OK', decisions.OK.headers);"
        "from trio_socketio.cli import main; main(['conformance', 'serve', '--port', '0'])"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        yield re.search(rb"http://\S+", process.stdout.readline())[0].decode()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


FAILS = "eio.polling.post.ok"


def test_a_server_that_deviates_ends_with_1_and_the_whole_story(faulty_url, tmp_path, capsys):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit", "html")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    assert judge(faulty_url, "-k", FAILS, *options) == 1
    case = REGISTER.get(FAILS)
    out, _ = capsys.readouterr()
    for part in (
        f"FAILED {case.level}  {FAILS}",
        case.title,
        "expected",
        "got",
        '"OK"',
        case.section.url,
        "→ HTTP",
        "POST",
    ):
        assert part in out
    assert f"1 of 1 {case.level}" in out
    (entry,) = json.loads(files["json"].read_text())["cases"]
    assert entry["outcome"] == "failed"
    assert '"OK"' in entry["got"]
    assert {"sent", "received"} == {line["direction"] for line in entry["transcript"]}
    failure = next(ET.parse(files["junit"]).getroot().iter("failure"))
    assert '"OK"' in failure.get("message")
    assert "POST /socket.io/" in failure.text
    assert 'data-outcome="failed" open' in files["html"].read_text()


def test_known_deviations_make_a_run_end_with_0_until_something_changes(faulty_url, fixture_url, tmp_path, capsys):
    known = tmp_path / "known.txt"
    known.write_text(f"# what we know\n{FAILS}  # shouts\n")
    assert judge(faulty_url, "-k", FAILS, "--expect", str(known)) == 0
    out = capsys.readouterr().out
    assert f"failed, and known or optional:\n  {FAILS}\n" in out
    assert "FAILED" not in out
    assert "The failures are those that were expected." in out
    assert judge(fixture_url, "-k", FAILS, "--expect", str(known)) == 1
    assert f"Expected to fail, and passed: {FAILS}" in capsys.readouterr().out
    known.write_text("")
    assert judge(faulty_url, "-k", FAILS, "--expect", str(known)) == 1
    out = capsys.readouterr().out
    assert "FAILED" in out
    assert f"Not expected to fail: {FAILS}" in out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("eio.polling.no-such-case", "line 1: there is no case"), (f"{FAILS}\n{FAILS}", "line 2: .* stands there twice")],
)
def test_a_list_of_deviations_with_a_mistake_is_refused(text, complaint, fixture_url, tmp_path, capsys):
    known = tmp_path / "known.txt"
    known.write_text(text)
    assert judge(fixture_url, "--expect", str(known)) == 2
    assert re.search(complaint, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name the address of a server"),
        (["ftp://127.0.0.1"], "'ftp://127.0.0.1' is no address of a server"),
        (["http://127.0.0.1:70000"], "the port in 'http://127.0.0.1:70000' is no number from 1 to 65535"),
        (["http://127.0.0.1:0"], "the port in 'http://127.0.0.1:0' is no number from 1 to 65535"),
        (["http://[::1"], r"'http://\[::1' is no address of a server: Invalid IPv6 URL"),
        (["http://[::zz]:3"], r"'http://\[::zz\]:3' is no address of a server: "),
        (["http://ü..x"], "'ü..x' is no name of a host"),
        ([f"http://{'x' * 80}.org"], "'xxxx.*' is no name of a host"),
        (["http://127.0.0.1:1"], "http://127.0.0.1:1/socket.io/ cannot be judged: .* cannot be reached"),
        (["http://127.0.0.1:1", "-k", "nothing.*"], "no case matches"),
        (["http://127.0.0.1:1", "--path", "chat"], "the path 'chat' does not begin with a slash"),
        (["http://127.0.0.1:1", "--expect", "/no/such/file"], "/no/such/file cannot be read"),
        (["http://127.0.0.1:1", "--html", "/no/such/folder/report.html"], "there is no folder /no/such/folder"),
        (["http://127.0.0.1:1", "--html", "/"], "/ cannot be written: it is a folder"),
        (["http://127.0.0.1:1", "--json", "/tmp/x", "--html", "/tmp/../tmp/x"], "two reports .* the same file"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_a_sentence(arguments, complaint, capsys):
    assert judge(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.match(complaint, err) or re.search(complaint, err)
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--jobs", "0"], ["--timeout", "-1"], ["--level", "WOULD"]])
def test_wrong_options_end_with_2_and_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        judge("http://127.0.0.1:1", *arguments)
    assert ended.value.code == 2
    assert "usage: trio-socketio conformance" in capsys.readouterr().err


def test_the_list_shows_every_case_and_can_be_narrowed(capsys):
    assert judge("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [case.id for case in REGISTER]
    assert judge("--list", "--level", "MAY", "--level", "ROBUST") == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"MAY", "ROBUST"}
    assert judge("--list", "--engine-only") == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("sio.")]


def test_colours_can_be_had(capsys):
    assert judge("--list", "--color", "always", *QUICK) == 0
    assert "\033[" in capsys.readouterr().out


def test_a_run_that_is_interrupted_reports_what_it_has(faulty_url, tmp_path):
    """The server does not answer a GET at once, so the run waits; Ctrl-C then ends it."""
    report = tmp_path / "report.json"
    with subprocess.Popen(
        [sys.executable, "-m", "trio_socketio", "conformance", faulty_url, "--jobs", "1", "--json", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().startswith("http://")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "The run was interrupted" in out
    assert json.loads(report.read_text())["complete"] is False


@pytest.mark.parametrize(
    ("url", "path", "whole"),
    [
        ("http://127.0.0.1:3000", None, "http://127.0.0.1:3000/socket.io/"),
        ("127.0.0.1:3000", None, "http://127.0.0.1:3000/socket.io/"),
        ("ws://localhost/chat", None, "http://localhost/chat/"),
        ("https://example.org", "/engine.io", "https://example.org/engine.io/"),
        ("wss://[::1]:8443/", None, "https://[::1]:8443/socket.io/"),
        ("http://bücher.example:8080", "/ü b/%20", "http://xn--bcher-kva.example:8080/%C3%BC%20b/%20/"),
    ],
)
def test_an_address_may_be_written_in_several_ways(url, path, whole):
    assert Address.parse(url, path).url == whole


async def test_a_certificate_that_is_not_trusted_is_told_in_a_sentence():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
        nursery.start_soon(Server().serve_listeners, listeners)
        address = Address.parse(f"https://127.0.0.1:{listeners[0].transport_listener.socket.getsockname()[1]}", None)
        with pytest.raises(Unusable, match="does not speak TLS that can be trusted: .*CERTIFICATE_VERIFY_FAILED"):
            await probe(address.dial(5.0), address.path, address.authority)
        nursery.cancel_scope.cancel()


async def test_a_port_that_says_nothing_keeps_a_tls_handshake_waiting_for_the_timeout_only(autojump_clock):
    autojump_clock.autojump_threshold = 0.1  # the kernel has the connection
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        address = Address.parse(f"https://127.0.0.1:{listener.socket.getsockname()[1]}", None)
        with pytest.raises(OSError, match="did not answer within 5 s"):
            await address.dial(5.0)()
    assert trio.current_time() < 20


def process(*arguments, **options):
    command = [sys.executable, "-m", "trio_socketio", "conformance", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_ctrl_c_ends_the_probing_of_a_silent_server():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        process(f"http://127.0.0.1:{silent.getsockname()[1]}") as run,
        silent.accept()[0],  # the run has begun
    ):
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    assert (run.returncode, out, err) == (130, "", "")


def test_reports_are_written_though_nobody_reads_the_output(fixture_url, tmp_path):
    report = tmp_path / "report.html"
    with process(fixture_url, *QUICK, "--html", str(report)) as run:
        run.stdout.close()
        err = run.stderr.read()
        assert run.wait(20) == 0
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert "Every MUST and SHOULD" in report.read_text()


def test_a_server_that_dies_while_it_is_judged_ends_the_run_with_2_and_a_sentence(capsys):
    """It bears being probed, and dies of the only case."""
    program = (
        "import os; from trio_socketio.conformance import fixture;"
        "serving = fixture.socketio_fixture();"
        "serving.on('die')(lambda ctx: os._exit(0));"
        "fixture.socketio_fixture = lambda: serving;"
        "from trio_socketio.cli import main; main(['conformance', 'serve', '--port', '0'])"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as server:
        url = re.search(rb"http://\S+", server.stdout.readline())[0].decode()
        register = Register()

        @register.case(
            "eio.handshake.dies", Level.MUST, EIO_HANDSHAKE, title="It lives", expected="life", why="It matters."
        )
        async def dies(trial):
            client = await trial.join()
            await client.emit("die")
            await client.transport.expect_close()
            trial.fail("it died")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "REGISTER", register)
            assert judge(url) == 2
    out, _ = capsys.readouterr()
    assert "The server could not be reached any more when the run ended" in out


def test_an_expectation_may_begin_with_a_byte_order_mark(faulty_url, tmp_path):
    known = tmp_path / "known.txt"
    known.write_text(FAILS, encoding="utf-8-sig")
    assert judge(faulty_url, "-k", FAILS, "--expect", str(known)) == 0


def test_what_cannot_be_written_leaves_nothing_unfinished(fixture_url, tmp_path, capsys, monkeypatch):
    report = tmp_path / "report.json"

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert judge(fixture_url, *QUICK, "--json", str(report)) == 2
    assert f"{report} cannot be written: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_a_host_is_refused():
    with pytest.raises(UsageError, match="no address of a server"):
        Address.parse("http://", None)
