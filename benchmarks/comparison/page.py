"""The results as one page that needs nothing else: plots, the targets, and every table."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from comparison.figures import Figures, Median
from comparison.loads import Figure, Group
from comparison.plots import Bar, Line, bars, lines
from comparison.samples import LoadRow, Results
from comparison.tables import Table, circumstances, faults, tables, targets_table
from comparison.targets import Verdict, check

STYLE: Final = Path(__file__).with_name("page.css")

COLOURS: Final = 7
"""Colours of servers in the style sheet."""

EXPLANATION: Final = (
    "What one message costs: CPU time of the server process, measured by the operating system. Bars and dots are medians "
    "of interleaved rounds, whiskers reach from the lowest round to the highest. Shorter is better."
)

SHORT: Final = "python-socketio, "
"""What is left out of a label where there is little room."""


def render_page(results: Results) -> str:
    """Return the page."""
    figures = Figures(results)
    title = "Socket.IO servers compared"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>{EXPLANATION}</p>",
        *_legend(results),
        *_targets(figures),
        *_groups(results, figures),
        *_growth(results, figures),
        *_tables(results, figures),
        *_circumstances(results, figures),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _legend(results: Results) -> Iterator[str]:
    yield '<ul class="legend">'
    for number, server in enumerate(results.servers):
        yield f'<li class="s{number % COLOURS}">{escape(server.label)}</li>'
    yield "</ul>"


def _targets(figures: Figures) -> Iterator[str]:
    checks = [each for each in check(figures) if each.verdict is not Verdict.UNKNOWN]
    if checks:
        passed = sum(each.verdict is Verdict.PASS for each in checks)
        yield f"<h2>Targets: {passed} of {len(checks)} hold</h2>"
        yield from _table(targets_table(checks))


def _groups(results: Results, figures: Figures) -> Iterator[str]:
    for group in Group:
        loads = [load for load in results.loads if load.group == group and group is not Group.GROWTH]
        if loads:
            yield f'<h2>{escape(group)}</h2><div class="grid">'
            for load in loads:
                unit = f"{load.unit} for each {load.per}"
                yield f"<figure><h3>{escape(load.title)}</h3>{_bars(results, figures, load, unit)}"
                what = "resident memory, KiB" if load.unit == Figure.MEMORY else "CPU time, µs"
                yield f"<figcaption>{what} for each {escape(load.per)}</figcaption></figure>"
                if group is Group.LATENCY:
                    yield from _latency(results, figures, load)
            yield "</div>"


def _latency(results: Results, figures: Figures, load: LoadRow) -> Iterator[str]:
    for index, name in enumerate(("p50", "p99")):
        found = [figures.latency(server.name, load.id) for server in results.servers]
        plot = _bars(results, figures, load, "ms", [each[index] if each else None for each in found])
        yield f"<figure><h3>{escape(load.title)}: {name}</h3>{plot}<figcaption>latency, ms</figcaption></figure>"


def _bars(
    results: Results, figures: Figures, load: LoadRow, unit: str, medians: Sequence[Median | None] | None = None
) -> str:
    """Return the bars of a load: of its own figure, or of others that are given."""
    if medians is None:
        medians = [figures.median(server.name, load.id) for server in results.servers]
    rows = [
        Bar(
            server.label.removeprefix(SHORT).partition(",")[0],
            number % COLOURS,
            median,
            _reason(figures, server.name, load.id),
        )
        for number, (server, median) in enumerate(zip(results.servers, medians, strict=True))
    ]
    return bars(load.title, unit, rows)


def _reason(figures: Figures, server: str, load: str) -> str:
    samples = figures.samples(server, load)
    if not samples:
        return "not measured"
    return "failed" if any(sample.fault for sample in samples) else "generator-bound"


def _growth(results: Results, figures: Figures) -> Iterator[str]:
    curves = {load.curve: load.per for load in results.loads if load.curve}
    plots = [
        _curve(results, figures, curve, per)
        for curve, per in curves.items()
        if len([load for load in results.loads if load.curve == curve]) > 1
    ]
    if plots:
        yield '<h2>Growth: what a message costs as more is there</h2><div class="grid wide">'
        yield from plots
        yield "</div>"


def _curve(results: Results, figures: Figures, curve: str, per: str) -> str:
    series = []
    for number, server in enumerate(results.servers):
        loads = sorted((load for load in results.loads if load.curve == curve), key=lambda load: load.at)
        points = [(load.at, median) for load in loads if (median := figures.median(server.name, load.id))]
        if points:
            series.append(Line(server.label, number % COLOURS, points))
    if not series:
        return ""
    plot = lines(curve, f"µs for each {per}", curve, series)
    caption = f"<figcaption>CPU time, µs for each {escape(per)}</figcaption>"
    return f"<figure><h3>{escape(curve.capitalize())}</h3>{plot}{caption}</figure>"


def _tables(results: Results, figures: Figures) -> Iterator[str]:
    yield "<h2>All figures</h2>"
    for table in tables(results, figures):
        yield f"<details><summary>{escape(table.title)}</summary>"
        yield from _table(table)
        yield "</details>"


def _table(table: Table) -> Iterator[str]:
    yield f'<p class="note">{escape(table.note[:1].upper() + table.note[1:])}.</p><div class="scroll"><table>'
    yield "<thead><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in table.head) + "</tr></thead><tbody>"
    for row in table.rows:
        yield "<tr>" + "".join(map(_cell, row)) + "</tr>"
    yield "</tbody></table></div>"


def _cell(text: str) -> str:
    style = {Verdict.PASS.value: ' class="pass"', Verdict.FAIL.value: ' class="fail"'}.get(text, "")
    return f"<td{style}>{escape(text)}</td>"


def _circumstances(results: Results, figures: Figures) -> Iterator[str]:
    yield "<h2>Circumstances</h2>"
    yield from _list(circumstances(results, figures))
    if sentences := faults(results, figures):
        yield "<h2>What does not count</h2>"
        yield from _list(sentences)


def _list(sentences: Sequence[str]) -> Iterator[str]:
    yield "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
