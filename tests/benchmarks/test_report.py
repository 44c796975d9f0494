from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from comparison.failure import BenchmarkError
from comparison.page import render_page
from comparison.samples import CodecSample, LoadRow, Results, Sample, ServerRow
from comparison.servers import Family
from comparison.tables import number
from comparison.text import BEGIN, END, for_readme, for_terminal, insert

VOID = {"meta", "path", "circle", "polyline"}


@pytest.fixture
def results() -> Results:
    loads = [
        LoadRow("echo-10-1", "ten <echoes>", "Echo", "message", "µs", "connections", 10),
        LoadRow("echo-100-1", "hundred echoes", "Echo", "message", "µs", "connections", 100),
        LoadRow("memory-100", "idle clients", "Coming, idling and polling", "client", "KiB", "", 0),
        LoadRow("latency-100", "steady", "Latency at a fixed load", "message", "µs", "", 0),
    ]
    samples = [
        Sample(server, load.id, number, 10.0 + number, 100, 1.0, 1.0, 0.1, 0.5, 2**20, 1.0, 2.0)
        for server in ("ours", "node")
        for load in loads
        for number in range(3)
    ]
    samples.append(Sample("aiohttp", "echo-10-1", 0, fault="it <closed> the connection"))
    samples.append(Sample("aiohttp", "echo-100-1", 0, 5.0, 100, 1.0, bound=True))
    servers = [
        ServerRow("ours", "trio-socketio", Family.OURS),
        ServerRow("node", "Node socket.io", Family.NODE),
        ServerRow("aiohttp", "python-socketio, aiohttp", Family.PYTHON_SOCKETIO),
    ]
    machine = {"system": "Linux 6", "processor": "a processor", "cores": "2", "memory": "8 GiB", "load": "0.1"}
    codec = [
        CodecSample(implementation, "encode", "small", 0, value)
        for implementation, value in (("ours", 1.0), ("python-socketio", 4.0))
    ]
    versions = {"ours": {"trio": "0.27"}}
    return Results(3, False, machine, servers, loads, versions, samples, codec, {"flask": "no Python"}, 90.0)


class Outline(HTMLParser):
    """Whether every element that opens also closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_results_come_back_from_a_file_as_they_were(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results


def test_a_run_goes_on_with_the_loads_that_are_not_complete(results: Results) -> None:
    results.servers.pop()  # which failed in one round and was not asked again
    results.samples = [sample for sample in results.samples if sample.server != "aiohttp"][:-1]
    again = Results(3, False, {**results.machine, "load": "0.7"}, results.servers, results.loads)
    assert again.resume(results) == {"echo-10-1", "echo-100-1", "memory-100"}
    assert len(again.samples) == 3 * 3 * 2
    assert again.seconds == results.seconds


@pytest.mark.parametrize(
    "change", [{"rounds": 5}, {"quick": True}, {"servers": []}, {"machine": {"system": "another"}}], ids=str
)
def test_a_run_of_another_kind_is_not_gone_on_with(results: Results, change: dict[str, object]) -> None:
    with pytest.raises(BenchmarkError, match="can be resumed"):
        replace(results, **change).resume(results)


def test_a_file_that_holds_something_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(BenchmarkError, match="format"):
        Results.load(tmp_path / "other.json")


def test_the_terminal_says_figures_ratios_and_what_does_not_count(results: Results) -> None:
    output = for_terminal(results)
    (row,) = [line for line in output.splitlines() if line.startswith("ten <echoes>") and "±" in line]
    assert row.split() == ["ten", "<echoes>", "11.0", "±9%", "11.0", "±9%", "fault", "1.00", "-"]
    assert "aiohttp, echo-10-1: 1 of 1 rounds failed: it <closed> the connection" in output
    assert "aiohttp, echo-100-1: 1 of 1 rounds do not count, because the load generator was the bottleneck" in output
    assert "flask was not measured: no Python" in output


def test_the_readme_gets_tables_between_its_markers(results: Results) -> None:
    generated = for_readme(results)
    document = insert(f"before\n{BEGIN}\nold\n{END}\nafter\n", generated)
    assert document.startswith(f"before\n{BEGIN}\n\n### Echo")
    assert document.endswith(f"\n\n{END}\nafter\n")
    assert "old" not in document
    assert "| ten &lt;echoes> | 11.0 ±9% |" in document
    assert insert(document, generated) == document


def test_a_document_without_markers_is_an_error() -> None:
    with pytest.raises(BenchmarkError, match="must have"):
        insert("nothing", "new")


def test_the_page_is_well_formed_and_needs_nothing_else(results: Results) -> None:
    page = render_page(results)
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert "ten &lt;echoes&gt;" in page
    assert "it &lt;closed&gt; the connection" in page
    assert "http:" not in page
    assert "https:" not in page
    assert "<polyline" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.50"),
        (9.994, "9.99"),
        (9.999, "10.0"),
        (12.34, "12.3"),
        (99.96, "100"),
        (123.4, "123"),
        (17667.2, "17,667"),
    ],
)
def test_a_figure_has_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text
