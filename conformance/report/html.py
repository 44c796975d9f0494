"""The report as one page that needs nothing else: for people, in a browser or printed."""

import html
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Final

from trio_socketio.conformance.case import Area, Level
from trio_socketio.conformance.report.terminal import UNREACHABLE, facts
from trio_socketio.conformance.results import Outcome, Result, Tally, Verdict
from trio_socketio.conformance.transcript import Entry

_STYLE: Final = "report.css"
_SCRIPT: Final = "report.js"
_BINDING: Final = (Level.MUST, Level.SHOULD)


def render_html(verdict: Verdict) -> str:
    """Return the page: the verdict, the table by area and level, and every case with what was said on the wire."""
    title = f"Socket.IO conformance of {verdict.server}"
    areas = list(dict.fromkeys(result.case.area for result in verdict.results))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>",
        f"<style>{_resource(_STYLE)}</style></head><body>",
        *_header(verdict),
        *_table(verdict, areas),
        *_controls(verdict),
        "<main>",
        *(line for area in areas for line in _area(area, verdict)),
        "</main>",
        f"<script>{_resource(_SCRIPT)}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _resource(name: str) -> str:
    return files("trio_socketio.conformance.report").joinpath(name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    return html.escape(text)


def _header(verdict: Verdict) -> Iterator[str]:
    tally = verdict.tally()
    binding = [verdict.tally(level=level) for level in _BINDING]
    if verdict.conforms:
        state, sentence = "good", "Every MUST and SHOULD that was run holds."
    else:
        state = "bad"
        sentence = f"{binding[0].failed} of {binding[0].run} MUST and {binding[1].failed} of {binding[1].run} SHOULD do not hold."
    yield f'<header class="{state}">'
    yield f"<p class=what>Socket.IO conformance of</p><h1>{_text(verdict.server)}</h1>"
    yield f"<p class=verdict>{_text(sentence)}</p>"
    if not verdict.reachable:
        yield f"<p class=facts>{_text(UNREACHABLE)}</p>"
    yield f"<p class=facts>{_text(facts(verdict.target))}.</p>"
    yield (
        f"<p class=facts>{len(verdict.results)} cases in {verdict.seconds:.1f} s: {tally.passed} passed, "
        f"{tally.failed} failed, {tally.skipped} skipped.{'' if verdict.complete else ' The run was interrupted.'}</p>"
    )
    yield "</header>"


def _table(verdict: Verdict, areas: Sequence[Area]) -> Iterator[str]:
    yield '<div class="scroll"><table><caption>Passed of those that were run</caption><thead><tr><th scope=col>area</th>'
    yield "".join(f"<th scope=col>{level}</th>" for level in Level) + "<th scope=col>all</th></tr></thead><tbody>"
    for area in areas:
        name = f'<a href="#{area.name.lower()}">{_text(area.value)}</a>'
        yield _row(name, [verdict.tally(area=area, level=level) for level in Level], verdict.tally(area=area))
    yield "</tbody><tfoot>"
    yield _row("all", [verdict.tally(level=level) for level in Level], verdict.tally())
    yield "</tfoot></table></div>"


def _row(name: str, tallies: Sequence[Tally], whole: Tally) -> str:
    cells = "".join(map(_cell, (*tallies, whole)))
    return f"<tr><th scope=row>{name}</th>{cells}</tr>"


def _cell(tally: Tally) -> str:
    if not tally.run:
        return f"<td class=none>{'skipped' if tally.skipped else ''}</td>"
    state = "bad" if tally.failed else "good"
    return f'<td class="{state}">{tally.passed}<span>/{tally.run}</span></td>'


def _controls(verdict: Verdict) -> Iterator[str]:
    start = "failed" if verdict.failures else "all"
    yield '<form class="controls" role="search" onsubmit="return false">'
    yield '<input type="search" id="search" placeholder="Search cases, expectations, frames" aria-label="Search">'
    yield "<fieldset><legend>Show</legend>"
    for value in ("all", *map(str, Outcome)):
        checked = " checked" if value == start else ""
        yield f'<label><input type="radio" name="outcome" value="{value}"{checked}> {value}</label>'
    yield '</fieldset><output id="count" aria-live="polite"></output></form>'


def _area(area: Area, verdict: Verdict) -> Iterator[str]:
    yield f'<section id="{area.name.lower()}"><h2>{_text(area.value)}</h2>'
    for result in verdict.results:
        if result.case.area is area:
            yield from _case(result)
    yield "</section>"


def _case(result: Result) -> Iterator[str]:
    case = result.case
    is_open = " open" if result.outcome is Outcome.FAILED else ""
    weight = "" if case.level in _BINDING else " light"
    yield f'<details class="case {result.outcome}{weight}" id="{case.id}" data-outcome="{result.outcome}"{is_open}>'
    yield (
        f"<summary><span class=outcome>{result.outcome}</span> <span class=level>{case.level}</span> "
        f"<span class=title>{_text(case.title)}</span> <code>{case.id}</code></summary>"
    )
    yield "<dl>"
    if result.outcome is Outcome.SKIPPED:
        yield _row_of("skipped", f"since {result.got}")
    yield _row_of("expected", result.expected or case.expected)
    if result.outcome is Outcome.FAILED:
        yield _row_of("got", result.got)
    yield _row_of("why", case.why)
    link = f'<a href="{_text(case.section.url)}">{_text(str(case.section))}</a>'
    yield f"<div><dt>read</dt><dd>{link}</dd></div>"
    if result.reruns:
        yield _row_of("again", f"run {result.reruns + 1} times, because the machine or the server was late")
    yield "</dl>"
    if result.entries:
        yield from _transcript(result.entries, result.left_out)
    yield "</details>"


def _row_of(label: str, text: str) -> str:
    return f"<div><dt>{label}</dt><dd>{_text(text)}</dd></div>"


def _transcript(entries: Sequence[Entry], left_out: int) -> Iterator[str]:
    yield '<div class="scroll"><table class="wire"><caption>On the wire</caption><tbody>'
    half = len(entries) // 2
    for number, entry in enumerate(entries):
        if left_out and number == half:
            yield f"<tr><td colspan=4 class=gap>… {left_out} more …</td></tr>"
        arrow, name = ("→", "sent") if entry.sent else ("←", "received")
        yield (
            f'<tr class="{name}"><td class=at>{entry.at * 1000:.1f} ms</td><td class=connection>#{entry.connection}</td>'
            f'<td class=arrow title="{name}">{arrow} <span>{_text(entry.what)}</span></td>'
            f"<td class=frame><code>{_text(entry.text)}</code></td></tr>"
        )
    yield "</tbody></table></div>"
