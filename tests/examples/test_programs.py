"""The examples as programs: each says where it is, ends cleanly, and is listed."""

import re
import signal
import subprocess
import sys

import pytest
from examples.programs import EXAMPLES, process
from interop.peers import running

SERVERS = [
    "api",
    "auth_cookies",
    "auth_jwt",
    "auth_namespaces",
    "chat",
    "dashboard",
    "drawing",
    "flask_after",
    "presence",
    "progress",
]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", SERVERS)
def test_it_says_where_it_is_and_ends_without_a_word(name, ending):
    program = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert re.fullmatch(
            r"\w+ on http://127\.0\.0\.1:\d+(/\w+\.html)? \(Ctrl-C ends it\)\n", program.stdout.readline()
        )
        program.send_signal(ending)
        assert program.communicate(timeout=20) == ("", None)
        assert program.returncode == 0
    finally:
        program.kill()
        program.communicate()


@pytest.mark.parametrize("name", [name for name in SERVERS if name != "flask_after"])
def test_its_address_is_that_of_its_page(name, tmp_path):
    with running(process(name, tmp_path)) as server:
        assert f"/{name}.html " in server.text()
    assert (EXAMPLES / "static" / f"{name}.html").is_file()


def test_the_list_has_every_example_and_no_other():
    listed = re.findall(r"^\| \[(\w+\.py)\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert all(shown == linked for shown, linked in listed)
    assert sorted(shown for shown, _ in listed) == sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_every_example_says_how_to_run_it():
    for path in EXAMPLES.glob("*.py"):
        assert re.search(rf"^    .*python (examples/)?{path.name}", path.read_text(), re.MULTILINE), path
