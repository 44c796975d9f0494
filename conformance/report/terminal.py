"""The report in the terminal: progress while the cases run, then the failures, then the table."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, TextIO

from trio_socketio.conformance.case import Case, Level, Need
from trio_socketio.conformance.results import Deviations, Outcome, Result, Tally, Verdict
from trio_socketio.conformance.target import Target

UNREACHABLE: Final = "The server could not be reached any more when the run ended: it may be why cases failed."
"""What is said in place of a verdict that means nothing."""

_LABEL: Final = 10
_TRANSCRIPT: Final = 40
"""Entries of a failure's transcript that the terminal shows: the last ones, for there it went wrong."""


class Style(StrEnum):
    """What is coloured, and how (ECMA-48, section 8.3.117)."""

    GOOD = "32"
    BAD = "31"
    WARNING = "33"
    STRONG = "1"
    FAINT = "2"


class Painter:
    """Colours text, or leaves it as it is.

    Args:
        color: Whether to colour.
    """

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, *styles: Style) -> str:
        """Return text in these styles."""
        return f"\033[{';'.join(styles)}m{text}\033[0m" if self._color and text else text


class Progress:
    """Shows how far a run is: one line that is rewritten on a terminal, otherwise a line for each tenth.

    Args:
        stream: Where to.
        total: How many cases there are.
        live: Whether the stream is a terminal.
    """

    def __init__(self, stream: TextIO, total: int, *, live: bool) -> None:
        self._stream = stream
        self._total = total
        self._live = live
        self._counts: Counter[Outcome] = Counter()
        self._tenth = 0

    def observe(self, result: Result) -> None:
        """Count a result."""
        self._counts[result.outcome] += 1
        done = self._counts.total()
        line = f"{done} of {self._total} cases"
        for outcome in (Outcome.FAILED, Outcome.SKIPPED):
            if self._counts[outcome]:
                line += f", {self._counts[outcome]} {outcome}"
        if self._live:
            self._stream.write(f"\r\033[K{line}")
            self._stream.flush()
        elif done * 10 // self._total > self._tenth:
            self._tenth = done * 10 // self._total
            self._stream.write(line + "\n")
            self._stream.flush()

    def finish(self) -> None:
        """Clear the line."""
        if self._live:
            self._stream.write("\r\033[K")
            self._stream.flush()


def render_list(cases: Iterable[Case], *, color: bool) -> str:
    """Return the cases as a list: id, level and title."""
    paint = Painter(color=color)
    lines = [f"{case.id:<46} {case.level:<7} {paint(case.title, Style.FAINT)}" for case in cases]
    return "\n".join(lines) + "\n"


def render_text(verdict: Verdict, *, color: bool, width: int, deviations: Deviations | None = None) -> str:
    """Return the report of a run.

    Args:
        verdict: What came of the cases.
        color: Whether to colour.
        width: Columns of the terminal.
        deviations: How it differs from what was expected, if there is a list; only what is new is then told in detail.
    """
    paint = Painter(color=color)
    told = [result for result in verdict.failures if deviations is None or result.case.id in deviations.new]
    parts = [_failure(result, paint, width) for result in told]
    if others := [result.case.id for result in verdict.failures if result not in told]:
        parts.append("\n".join(["failed, and known or optional:", *_listed(others, width)]))
    parts.append(_table(verdict, paint))
    if skipped := _skipped(verdict.results, width):
        parts.append(skipped)
    parts.append("\n".join(_closing(verdict, paint, deviations)))
    return "\n\n".join(parts) + "\n"


def render_head(server: str, target: Target, *, color: bool) -> str:
    """Return what is said before the cases run: the server, and what it offers."""
    paint = Painter(color=color)
    return f"{paint(server, Style.STRONG)}\n{paint(facts(target), Style.FAINT)}\n"


def facts(target: Target) -> str:
    """Return in one line what a server offers and announces."""
    transports = [
        name for name, need in (("polling", Need.POLLING), ("websocket", Need.WEBSOCKET)) if need not in target.lacks
    ]
    return (
        f"{' and '.join(transports)}; a ping every {target.ping_interval * 1000:g} ms, to be answered within "
        f"{target.ping_timeout * 1000:g} ms; messages of up to {target.max_payload} bytes"
    )


def _failure(result: Result, paint: Painter, width: int) -> str:
    case = result.case
    style = Style.BAD if case.level in (Level.MUST, Level.SHOULD) else Style.WARNING
    lines = [f"{paint(f'FAILED {case.level}', style, Style.STRONG)}  {paint(case.id, Style.STRONG)}", f"  {case.title}"]
    for label, text in (
        ("expected", result.expected or case.expected),
        ("got", result.got),
        ("why", case.why),
        ("read", f"{case.section} <{case.section.url}>"),
    ):
        lines.extend(_labelled(label, text, paint, width))
    entries = result.entries[-_TRANSCRIPT:]
    earlier = len(result.entries) - len(entries) + result.left_out
    if entries:
        lines.append(paint(f"  on the wire{f' ({earlier} earlier entries left out)' if earlier else ''}", Style.FAINT))
    lines.extend(_cut(f"  {entry}", width) for entry in entries)
    return "\n".join(lines)


def _labelled(label: str, text: str, paint: Painter, width: int) -> Iterator[str]:
    wrapped = textwrap.wrap(text, max(width - _LABEL - 2, 20), break_long_words=False, break_on_hyphens=False) or [""]
    yield f"  {paint(f'{label:<{_LABEL}}', Style.FAINT)}{wrapped[0]}"
    for line in wrapped[1:]:
        yield f"  {'':<{_LABEL}}{line}"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _table(verdict: Verdict, paint: Painter) -> str:
    areas = list(dict.fromkeys(result.case.area for result in verdict.results))
    rows = [paint(f"{'passed / run':<18}" + "".join(f"{level:>11}" for level in Level) + f"{'all':>11}", Style.FAINT)]
    rows.extend(
        _row(area.value, [verdict.tally(area=area, level=level) for level in Level], verdict.tally(area=area), paint)
        for area in areas
    )
    totals = [verdict.tally(level=level) for level in Level]
    rows.append(_row("all", totals, verdict.tally(), paint))
    return "\n".join(rows)


def _row(name: str, tallies: Sequence[Tally], whole: Tally, paint: Painter) -> str:
    return f"{name:<18}" + "".join(_cell(tally, paint) for tally in (*tallies, whole))


def _cell(tally: Tally, paint: Painter) -> str:
    text = f"{tally.passed}/{tally.run}" if tally.run else "-" if tally.skipped else ""
    style = Style.BAD if tally.failed else Style.GOOD if tally.run else Style.FAINT
    return " " * (11 - len(text)) + paint(text, style)


def _skipped(results: Sequence[Result], width: int) -> str:
    by_reason: dict[str, list[str]] = {}
    for result in results:
        if result.outcome is Outcome.SKIPPED:
            by_reason.setdefault(result.got, []).append(result.case.id)
    lines: list[str] = []
    for reason, ids in by_reason.items():
        lines.append(f"skipped, since {reason}:")
        lines.extend(_listed(ids, width))
    return "\n".join(lines)


def _listed(ids: Iterable[str], width: int) -> list[str]:
    return textwrap.wrap(
        ", ".join(ids),
        width - 2,
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _closing(verdict: Verdict, paint: Painter, deviations: Deviations | None) -> Iterator[str]:
    tally = verdict.tally()
    yield (
        f"{len(verdict.results)} cases in {verdict.seconds:.1f} s: "
        f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped"
    )
    if not verdict.complete:
        yield paint("The run was interrupted; these are the cases that had ended.", Style.WARNING)
    if not verdict.reachable:
        yield paint(UNREACHABLE, Style.BAD, Style.STRONG)
    again = [result for result in verdict.results if result.reruns]
    if again:
        yield f"{len(again)} of them ran again, because this machine or the server was late: " + ", ".join(
            r.case.id for r in again
        )
    binding = [verdict.tally(level=level) for level in (Level.MUST, Level.SHOULD)]
    if verdict.conforms:
        yield paint("Every MUST and SHOULD that was run holds.", Style.GOOD, Style.STRONG)
    else:
        yield paint(
            f"{binding[0].failed} of {binding[0].run} MUST and {binding[1].failed} of {binding[1].run} SHOULD do not hold.",
            Style.BAD,
            Style.STRONG,
        )
    if deviations is None:
        return
    if deviations.none:
        yield paint("The failures are those that were expected.", Style.GOOD)
    if deviations.new:
        yield paint(f"Not expected to fail: {', '.join(deviations.new)}", Style.BAD)
    if deviations.mended:
        yield paint(f"Expected to fail, and passed: {', '.join(deviations.mended)}; take them off the list", Style.BAD)
