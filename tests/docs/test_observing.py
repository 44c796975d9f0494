"""docs/observing.md: its tables are those of the code, and every block runs and does what the page says."""

import ast
import inspect
import json
import logging
import re
import runpy
from pathlib import Path

import pytest
import trio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult
from prometheus_client.parser import text_string_to_metric_families
from support.memory import serving
from trio.testing import wait_all_tasks_blocked

from trio_socketio import CloseReason, ConnectionRefused, Server, Stats
from trio_socketio.testing import ConnectError, open_test_client

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observing.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SERVER = Path(inspect.getfile(Server)).parent
"""Where the package is installed; its sources are what the table of the log is compared with."""


def run_block(part, **names):
    (text,) = [block for block in BLOCKS if part in block]
    found = {"__name__": "observing", **names}
    text = text.replace('"127.0.0.1", 3000', '"127.0.0.1", 0')
    exec(compile(text, "docs/observing.md", "exec"), found)
    return found


def table(heading):
    """Return the rows of the table that begins so, each as its cells; an empty first cell is that of the row above."""
    lines = PAGE[PAGE.index(heading) :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for above, row in zip(rows, rows[1:], strict=False):
        row[0] = row[0] or above[0]
    return rows


def test_every_block_is_tested_and_every_link_leads_somewhere():
    assert len(BLOCKS) == 6
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)


# The log.

LEVELS = {"exception": "ERROR"}


def said():
    """Return what the sources say to loggers: logger, level, and the message up to the first value in it."""
    for path in sorted(SERVER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
        loggers = [call.args[0].value for call in calls if call.func.attr == "getLogger"]
        for call in calls:
            if ast.unparse(call.func.value) == "logger" and call.func.attr != "log":
                message = call.args[0].value if isinstance(call.args[0], ast.Constant) else ""
                level = LEVELS.get(call.func.attr, call.func.attr.upper())
                yield loggers[0], level, message.partition("%")[0]


def quoted(row):
    """Return the lines that a row of the table shows."""
    return re.findall(r"`([a-zA-Z_]+ [^`]+)`", row[2])


def is_of(line, message):
    """Whether a line of the table, which may break off, begins as a message does."""
    begin = line.removesuffix("...").rstrip()
    return bool(message) and (begin.startswith(message) or message.startswith(begin))


def test_the_table_has_every_line_whose_level_is_fixed():
    rows = table("| logger | level")
    for logger, level, message in said():
        shown = [line for row in rows if row[:2] == [f"`{logger}`", level] for line in quoted(row)]
        assert not message or any(is_of(line, message) for line in shown), (logger, level, message)


def test_the_table_has_every_logger_with_every_level():
    rows = table("| logger | level")
    shown = {(row[0].strip("`"), row[1]) for row in rows}
    real = {(logger, level) for logger, level, _ in said() if level != "DEBUG"}
    assert real <= shown
    assert {logger for logger, _ in shown} == {logger for logger, _, _ in said()}


def test_every_line_that_is_quoted_exists():
    sources = "".join(path.read_text() for path in SERVER.rglob("*.py"))
    elsewhere = re.findall(
        r'"((?:rejected: nobody|the event |shutting down|disconnected from |session closed).*?)%', sources
    )
    messages = [message for _, _, message in said()] + elsewhere
    lines = [line for row in table("| logger | level") for line in quoted(row)]
    assert len(lines) > 15
    for line in lines:
        assert any(is_of(line, message) for message in messages), line


async def test_the_fields_are_those_of_the_records(autojump_clock, caplog):
    caplog.set_level(logging.INFO, "trio_socketio")
    server = Server(max_payload=1000)

    @server.on("connect")
    async def connect(ctx, auth):
        if auth:
            raise ConnectionRefused("no such token")

    async with serving(server) as peer:
        await (await peer.open_socketio()).connect(auth={"token": "t"})
        await peer.request("GET", peer.target(transport="pigeon"))
        client = await peer.join()
        await client.transport.send("4" + "x" * 2000)
        await wait_all_tasks_blocked()
    fields = {}
    for record in caplog.records:
        if not record.name.startswith("trio_socketio"):
            continue
        found = {name for name in ("namespace", "reason", "limit") if hasattr(record, name)}
        fields.setdefault((record.name, record.getMessage().split()[0]), found)
    rows = [row for row in table("| logger | level") if row[1] == "INFO"]
    assert {word for _, word in fields} >= {"rejected", "refused", "connected", "disconnected"}
    for (logger, word), found in fields.items():
        shown = [row for row in rows if row[0] == f"`{logger}`" and row[2].startswith(f"`{word} ")]
        assert found in [set(re.findall(r"`(\w+)`", row[3])) for row in shown], (logger, word)


def test_the_first_block_sets_levels_of_loggers_that_exist(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **options: logging.Formatter(options["format"]))
    loggers = [logging.getLogger(name) for name in ("trio_socketio", "trio_socketio.http")]
    before = [logger.level for logger in loggers]
    try:
        run_block("basicConfig(format=")
        assert [logger.getEffectiveLevel() for logger in loggers] == [logging.INFO, logging.WARNING]
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


async def test_lines_of_json_have_the_user(autojump_clock, caplog):
    found = run_block("class JSONLines")
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(found["JSONLines"]())
    async with open_test_client(found["server"], auth={"user": "ada"}) as client:
        await client.emit("say", "hello")
        await wait_all_tasks_blocked()
    lines = [json.loads(line) for line in caplog.text.splitlines() if '"logger": "asyncio"' not in line]
    by_logger = {line["logger"]: line for line in lines}
    said = by_logger["chat"]
    assert (said["user"], said["level"], said["message"]) == ("ada", "INFO", "said something of 5 characters")
    left = by_logger["trio_socketio.sockets"]
    assert left["namespace"] == "/"
    assert left["reason"] in {*map(str, CloseReason), "client namespace disconnect"}
    assert "user" not in left


@pytest.mark.parametrize("auth", [None, {}, {"user": []}])
async def test_the_examples_look_at_what_a_client_sends_before_they_use_it(autojump_clock, caplog, auth):
    with pytest.raises(ConnectError, match="who are you"):
        async with open_test_client(run_block("class JSONLines")["server"], auth=auth):
            pass
    async with open_test_client(run_block("WATCHED = ")["server"], auth=auth):
        pass
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_line_of_json_has_the_traceback(caplog):
    caplog.handler.setFormatter(run_block("class JSONLines")["JSONLines"]())
    try:
        raise ValueError("on purpose")
    except ValueError:
        logging.getLogger("chat").exception("it failed")
    (line,) = caplog.text.splitlines()
    assert "ValueError: on purpose" in json.loads(line)["traceback"]


# The numbers.


def test_the_table_of_numbers_has_every_field_of_the_stats():
    rows = table("| field | kind")
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(Stats.__annotations__)
    for row in rows:
        (plain,) = {Stats.__annotations__[name] is int for name in re.findall(r"`(\w+)`", row[0])}
        assert plain == (" by " not in row[1])


def test_what_may_grow_are_fields_and_reasons_that_exist():
    refusals = re.findall(r'RejectCode\.\w+: "(.*?)"', (SERVER.parent / "engine" / "request.py").read_text())
    reasons = {*map(str, CloseReason), *refusals}
    for row in table("| what grows"):
        field, _, reason = row[0].strip("`").partition("[")
        assert field in Stats.__annotations__
        assert not reason or reason.strip('"]') in reasons


# Prometheus.


def test_the_sample_is_what_the_example_renders():
    sample = PAGE.split("```\n# HELP", 1)[1].split("```")[0]
    stats = {**Server().stats(), "sessions": {"websocket": 2}, "events_in": 14}
    rendered = runpy.run_path(str(ROOT / "examples" / "metrics.py"))["render"](stats)
    assert all(line in rendered.splitlines() for line in ("# HELP" + sample).splitlines())


def test_the_alerts_are_about_metrics_that_exist():
    names = {family.name for family in runpy.run_path(str(ROOT / "examples" / "metrics.py"))["FAMILIES"]}
    assert {name for name in re.findall(r"trio_socketio_\w+", PAGE) if not name.endswith("_")} <= names


async def test_a_port_of_its_own_has_the_numbers_and_no_clients(autojump_clock):
    found = run_block("inside = ")
    async with serving(found["inside"]) as peer:
        answer = await peer.request("GET", "/metrics")
        assert [family.name for family in text_string_to_metric_families(answer.text)] == ["trio_socketio_rooms"]
        assert (await peer.request("GET", "/")).status == 404
        assert (await peer.request("GET", peer.target(transport="polling"))).status == 503


# OpenTelemetry.


async def test_opentelemetry_observes_every_number():
    found = run_block("def instrument")
    assert found["GAUGES"].keys() | found["COUNTERS"].keys() == Stats.__annotations__.keys()
    server = Server()
    reader = InMemoryMetricReader()
    found["instrument"](server, MeterProvider([reader]).get_meter("chat"))
    async with open_test_client(server) as client:
        await client.emit("hello")
        await wait_all_tasks_blocked()
        data = await trio.to_thread.run_sync(reader.get_metrics_data)
        metrics = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
        (sessions,) = metrics["trio_socketio.sessions"].data.data_points
        assert (sessions.value, dict(sessions.attributes)) == (1, {"transport": "websocket"})
        (events,) = metrics["trio_socketio.events_in"].data.data_points
        assert events.value == 1
        assert metrics["trio_socketio.events_in"].data.is_monotonic
        (rooms,) = metrics["trio_socketio.rooms"].data.data_points
        assert rooms.value == 0


def test_after_the_end_of_trio_nothing_is_observed():
    reader = InMemoryMetricReader()

    async def main():
        run_block("def instrument")["instrument"](Server(), MeterProvider([reader]).get_meter("chat"))

    trio.run(main)
    assert reader.get_metrics_data() is None or not reader.get_metrics_data().resource_metrics


class Exporter(MetricExporter):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.exported = []

    def export(self, metrics_data, timeout_millis=10_000, **options):
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **options):
        pass


async def test_a_server_that_is_cancelled_exports_a_last_time():
    exporter = Exporter()
    instrument = run_block("def instrument")["instrument"]
    found = run_block("async def serve_observed", server=Server(), instrument=instrument)
    found["ConsoleMetricExporter"] = lambda: exporter
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found["serve_observed"])
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    (last,) = exporter.exported
    names = {metric.name for metric in last.resource_metrics[0].scope_metrics[0].metrics}
    assert "trio_socketio.rooms" in names


# Frames.


async def test_the_frames_of_one_user_are_shown_and_no_others(autojump_clock, capsys):
    found = run_block("WATCHED = ")
    server = found["server"]
    server.namespace("/game")
    async with open_test_client(server, auth={"user": "bob"}) as other:
        await other.emit("say", "of bob")
        async with open_test_client(server, auth={"user": "ada"}) as client:
            await client.emit("say", "of ada")
            await other.emit("say", "of bob again")
            await client.connect("/game")
            await client.emit("say", "of the game", namespace="/game")
            await wait_all_tasks_blocked()
            assert list(found["sessions"]) == [client.sid]
        await wait_all_tasks_blocked()
        assert found["sessions"] == {}
        await other.emit("say", "of bob at last")
        await wait_all_tasks_blocked()
    shown = capsys.readouterr().out
    assert "of ada" in shown
    assert "of the game" in shown
    assert "bob" not in shown
    assert all(re.match(r"\d+\.\d{3} (client|server) websocket '", line) for line in shown.splitlines())
