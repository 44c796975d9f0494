"""docs/tutorial: typed as it stands, in order, in two terminals and two windows of a browser; what is printed is what it says.

Two things differ from what a reader does. The port is a free one. And the package is not installed from the checkout, which would
need the network, but found where it is installed already; ``TRIO_SOCKETIO_TEST_INSTALL=1`` installs it as the tutorial says.
"""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme
from interop.test_browser import browser  # noqa: F401  # a fixture
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).parent.parent.parent
TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = re.findall(r"^\d+\. \[.*\]\((\S+\.md)\)$", (TUTORIAL / "index.md").read_text(), re.M)
PIECE = re.compile(
    r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>(?:.*\n)*?)```$|^(?P<prose>(?!```).+(?:\n.+)*)', re.M
)
"""A fenced block, or a paragraph."""

PATIENCE = 60.0
"""Seconds that anything may take on a slow machine."""

LOG = "INFO:"
"""How the lines of the log begin. The tutorial says that it leaves them out."""

INSTALL = os.environ.get("TRIO_SOCKETIO_TEST_INSTALL") == "1"


def pieces(page):
    return list(PIECE.finditer((TUTORIAL / page).read_text()))


class Running:
    """A program that runs in a terminal."""

    def __init__(self, command, folder, environment):
        self.process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)
        self.process.stdout.close()

    def next_line(self, *, of_the_log=False):
        """Return what is printed next, without the lines of the log, unless the tutorial shows one."""
        while True:
            line = self.lines.get(timeout=PATIENCE)
            if line is None or of_the_log or not line.startswith(LOG):
                return line

    def rest(self):
        return list(iter(self.next_line, None))

    def end(self, number):
        """Send a signal and return what is still printed."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        self.reader.join()
        return self.rest()


class Reader:
    """Somebody who reads the tutorial, and does what it says."""

    def __init__(self, folder, window):
        self.folder = folder
        self.browser = window
        self.windows = []
        self.running = None
        self.in_folder = {"Terminal 1": folder / "chat", "Terminal 2": folder}
        self.seen = {}
        """What ``…`` stood for, by what stands before it."""
        self.done = set()
        """The actions that were taken."""
        with socket.create_server(("127.0.0.1", 0)) as bound:
            self.port = bound.getsockname()[1]
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TRIO_SOCKETIO"))
        } | {"PYTHONUNBUFFERED": "1", "COLUMNS": "80"}

    def read(self, page):
        for piece in pieces(page):
            kind, title, text = piece["kind"], piece["title"], (piece["text"] or "").replace("3000", str(self.port))
            where = f"{page}: {(title or piece['prose'] or '')[:60]}"
            if kind == "console" and title in self.in_folder:
                self.type(title, text.splitlines(), where)
            elif kind and title and not title.startswith(("/", "On the server")):
                (self.folder / "chat" / title).write_text(text)
            elif piece["prose"]:
                for phrase, action in ACTIONS.items():
                    if phrase in piece["prose"]:
                        self.done.add(phrase)
                        action(self)

    # The terminals.

    def type(self, terminal, lines, where):
        """Type what stands behind the prompts, and compare what is printed with what stands below."""
        if lines[0] != "^C" and not lines[0].startswith("$ "):  # more of what the running program prints
            found = [self.running.next_line(of_the_log=line.startswith(LOG)) for line in lines]
            return self.compare(lines, found, where)
        while lines:
            typed = lines.pop(0)
            printed = []
            while lines and lines[0] != "^C" and not lines[0].startswith("$ "):
                printed.append(lines.pop(0))
            if typed == "^C":
                self.interrupt(printed, where)
            elif terminal == "Terminal 1":
                assert self.running is None, f"{where}: the last program runs still"
                self.running = Running(typed[2:], self.in_folder[terminal], self.environment)
                self.compare(printed, [self.running.next_line() for _ in printed], where)
            else:
                self.run(terminal, typed[2:], printed, where)
        return None

    def run(self, terminal, command, printed, where):
        folder = self.in_folder[terminal]
        if command.startswith("cd "):
            self.in_folder[terminal] = folder / command[3:]
            assert self.in_folder[terminal].is_dir()
        elif "venv" in command and not INSTALL and self.install(command, folder):
            assert printed == []
        else:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=self.environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE * 5,
            )
            assert done.returncode == 0, f"{where}: {command}: {done.stdout}"
            remarks = "WARNING:" if command.startswith("venv/bin/pip") else None  # of pip, on how it is configured here
            shown = [line for line in done.stdout.splitlines() if remarks is None or not line.startswith(remarks)]
            self.compare(printed, shown, where)

    def install(self, command, folder):
        """Do what a command that installs something would do, without the network; tell whether it was one."""
        venv = folder / "venv"
        if command == "python3 -m venv venv":
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
            (packages,) = venv.glob("lib/python*/site-packages")
            paths = [path for path in sys.path if path.endswith("site-packages")]
            (packages / "here.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in paths))
        elif command.startswith("venv/bin/pip install"):
            named = [word for word in command.split()[2:] if not word.startswith("-")]
            for package in named:
                assert package in ("../trio-socketio", "pytest", "pytest-trio")
            for program, module in {
                "../trio-socketio": ("trio-socketio", "trio_socketio"),
                "pytest": ("pytest",) * 2,
            }.items():
                if program in named:
                    script = venv / "bin" / module[0]
                    script.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/python" -m {module[1]} "$@"\n')
                    script.chmod(0o755)
        else:
            return False
        return True

    def interrupt(self, printed, where):
        rest = self.running.end(signal.SIGINT)
        self.running = None
        self.compare(printed, rest, where)

    def compare(self, expected, found, where):
        assert len(expected) == len(found), f"{where}: {found}"
        for line, real in zip(expected, found, strict=True):
            match = re.fullmatch("(.+)".join(map(re.escape, line.split("…"))), real)
            assert match, f"{where}: {real!r} instead of {line!r}"
            if match.groups():
                self.seen[line.split("…")[0]] = match[1]

    # The windows.

    def look_at(self, number):
        if number == len(self.windows):
            self.browser.switch_to.new_window("window")
            self.windows.append(self.browser.current_window_handle)
        self.browser.switch_to.window(self.windows[number])
        return self

    def open(self, number):
        self.look_at(number).browser.get(f"http://127.0.0.1:{self.port}/")

    def fill(self, form, **fields):
        for name, value in fields.items():
            field = self.browser.find_element(By.CSS_SELECTOR, f"#{form} [name={name}]")
            if field.tag_name == "select":
                self.wait(lambda field=field, value=value: value in field.text)
                Select(field).select_by_visible_text(value)
            else:
                field.clear()
                field.send_keys(value)
        self.browser.find_element(By.CSS_SELECTOR, f"#{form} button").click()

    def wait(self, condition):
        WebDriverWait(self.browser, PATIENCE).until(lambda _: condition())

    def wait_for_state(self, text):
        self.wait(lambda: self.browser.find_element(By.ID, "state").text == text)

    def messages(self):
        return [line.text for line in self.browser.find_elements(By.CSS_SELECTOR, "#messages li")]

    def wait_for_messages(self, *texts):
        self.wait(lambda: self.messages() == list(texts))


def two_windows(reader):
    for number in (0, 1):
        reader.open(number)
        reader.wait_for_state("connected")
    reader.fill("say", text="hello")
    for number in (0, 1):
        reader.look_at(number).wait_for_messages("hello")


def two_people(reader):
    for number, name in enumerate(["ada", "bert"]):
        reader.open(number)
        reader.wait_for_state("connected")
        reader.fill("enter", name=name, room="lobby")
        reader.wait_for_messages(f"* {name} is here")
    reader.fill("say", text="hello")
    reader.look_at(0).wait_for_messages("* ada is here", "* bert is here", "bert: hello")
    reader.look_at(1).fill("enter", name="bert", room="kitchen")
    reader.fill("say", text="is anybody here?")
    reader.wait_for_messages("* bert is here", "bert: hello", "* bert is here", "bert: is anybody here?")
    reader.look_at(0).wait_for_messages("* ada is here", "* bert is here", "bert: hello", "* bert has left")


def too_early(reader):
    reader.open(0)
    reader.wait_for_state("connected")
    reader.fill("say", text="hello")
    reader.wait_for_state("Enter a room first.")
    assert reader.browser.find_element(By.CSS_SELECTOR, "#say input").get_attribute("value") == "hello"
    reader.fill("enter", name="ada", room="garden")
    reader.wait_for_state("in the garden, with 0 others")
    reader.fill("say", text="hello")
    reader.wait_for_messages("* ada is here", "ada: hello")


def log_in(reader):
    reader.open(0)
    reader.fill("say", text="hello")
    reader.wait_for_state("Log in first.")
    reader.fill("login", name="ada", password="wrong")
    reader.wait_for_state("Wrong name or password.")
    reader.fill("login", name="ada", password=reader.seen["The password of ada is "])
    reader.wait_for_state("connected")
    reader.fill("enter", room="kitchen")
    reader.wait_for_state("in the kitchen, with 0 others")
    reader.fill("say", text="hello")
    reader.wait_for_messages("* ada is here", "ada: hello")


ACTIONS = {
    "Now open <http://127.0.0.1:3000> in two windows of the browser.": two_windows,
    "Reload both windows, enter the lobby as two people, and talk.": two_people,
    "Reload the page and say something before you enter a room": too_early,
    "Reload the page. With a wrong password it says": log_in,
}
"""What the reader does when a paragraph says so."""


def test_the_tutorial_can_be_done_as_it_stands(tmp_path, browser):  # noqa: F811
    if INSTALL:
        left_out = shutil.ignore_patterns(".venv", "node_modules", "build", ".git")
        shutil.copytree(ROOT, tmp_path / "trio-socketio", ignore=left_out, symlinks=True)
    else:
        (tmp_path / "trio-socketio").symlink_to(ROOT)
    reader = Reader(tmp_path, browser)
    try:
        for page in PAGES:
            reader.read(page)
    finally:
        if reader.running is not None:
            reader.running.end(signal.SIGKILL)
    assert reader.done == set(ACTIONS)


def test_no_block_is_passed_over():
    for page in PAGES:
        text = (TUTORIAL / page).read_text()
        blocks = [piece for piece in pieces(page) if piece["kind"]]
        assert len(re.findall(r"^```", text, re.M)) == 2 * len(blocks)
        for piece in blocks:
            if piece["kind"] == "console":
                assert piece["title"] in ("Terminal 1", "Terminal 2", "On the server")
            elif not piece["title"]:
                assert text.rindex("\n## ", 0, piece.start()) == text.index("\n## The official client\n"), (
                    "it is no file"
                )


# What is for the machine in the end.


def block(title):
    (found,) = [piece["text"] for piece in pieces("deploy.md") if piece["title"] == title]
    return found


def test_the_unit_is_one_that_systemd_understands(tmp_path):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "chat.service"
    unit.write_text(re.sub(r"ExecStart=.*", "ExecStart=/bin/true", block("/etc/systemd/system/chat.service")))
    command = [verify, "verify", "--man=no", "--recursive-errors=no", unit]
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ([line for line in done.stderr.splitlines() if "chat." in line], done.returncode) == ([], 0)


def test_the_configuration_is_one_that_nginx_understands(tmp_path):
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    issued = trustme.CA().issue_cert("chat.example")
    issued.private_key_pem.write_to_path(tmp_path / "chat.example.key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chat.example.pem")
    text = block("/etc/nginx/sites-available/chat").replace("/etc/ssl/", f"{tmp_path}/")
    text = text.replace("listen 443", "listen 127.0.0.1:8443").replace("listen 80;", "listen 127.0.0.1:8080;")
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{text}}}\n"
    )
    command = [nginx, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "errors"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_nginx_is_told_is_what_the_guide_says():
    guide = (ROOT / "docs" / "deploying.md").read_text()
    ours = set(map(str.strip, block("/etc/nginx/sites-available/chat").splitlines()))
    theirs = re.search(r"```nginx\nmap.*?```", guide, re.S)[0]
    told = {line.strip() for line in theirs.splitlines() if "proxy_" in line or "keepalive" in line}
    assert told <= ours
