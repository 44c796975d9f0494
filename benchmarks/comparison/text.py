"""The results for the terminal, and for the README."""

from collections.abc import Iterator, Sequence
from typing import Final

from comparison.failure import BenchmarkError
from comparison.figures import Figures
from comparison.samples import Results
from comparison.tables import RESIDENT, Table, circumstances, faults, tables

BEGIN: Final = "<!-- comparison: begin -->"
END: Final = "<!-- comparison: end -->"

FIRST: Final = 58
"""Characters that the first column has in a terminal."""


def for_terminal(results: Results) -> str:
    """Return all tables, each column as wide as it must be."""
    figures = Figures(results)
    parts = ["\n".join(_aligned(table)) for table in tables(results, figures)]
    return "\n\n".join([*parts, "\n".join([*circumstances(results, figures), *faults(results, figures)])]) + "\n"


def _aligned(table: Table) -> Iterator[str]:
    lines = [list(table.head), *(list(row) for row in table.rows)]
    lines = [[cell.replace("python-socketio, ", "") for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    widths[0] = max(widths[0], FIRST)
    yield f"{table.title} ({table.note})"
    for line in lines:
        first, *rest = line
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()


def for_readme(results: Results) -> str:
    """Return the part of ``benchmarks/README.md`` that is generated."""
    figures = Figures(results)
    parts = []
    for table in tables(results, figures):
        if table.title == RESIDENT:
            continue
        parts.append(f"### {table.title}\n\n{table.note[:1].upper()}{table.note[1:]}.")
        parts.append("\n".join(_markdown(table)))
    parts.append("### Circumstances\n\n" + "\n".join(f"- {line}" for line in circumstances(results, figures)))
    if sentences := faults(results, figures):
        parts.append("What does not count:\n\n" + "\n".join(f"- {_cell(line)}" for line in sentences))
    return "\n\n".join(parts)


def _markdown(table: Table) -> Iterator[str]:
    yield _row(table.head)
    yield _row(["---", *("---:" for _ in table.head[1:])])
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "¦").replace("<", "&lt;")


def insert(document: str, generated: str) -> str:
    """Return a document with its generated part replaced.

    Raises:
        BenchmarkError: It has not one pair of markers.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(END) < document.index(BEGIN):
        raise BenchmarkError(f"the document must have {BEGIN} and, below it, {END}, once each")
    head, rest = document.split(BEGIN)
    return f"{head}{BEGIN}\n\n{generated}\n\n{END}{rest.split(END)[1]}"
