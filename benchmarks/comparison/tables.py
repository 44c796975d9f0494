"""The results as tables of words, which the terminal, the README and the page all show in their own ways."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from comparison.figures import Figures, Median
from comparison.loads import Figure, Group
from comparison.samples import LoadRow, Results
from comparison.servers import Family
from comparison.targets import Check, check

NOTHING: Final = "-"
BOUND: Final = "bound"
"""Stands where the load generator was the bottleneck in every round."""
FAULT: Final = "fault"
"""Stands where a server could not be measured."""


RESIDENT: Final = "Resident memory"
"""The title of the longest table that says the least."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of words; the first column says what a row is about."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def spread(median: Median) -> str:
    """Return a figure and by how many percent rounds differ from it, half of the whole way."""
    return f"{number(median.value)} ±{median.spread * 100:.0f}%"


def tables(results: Results, figures: Figures) -> Iterator[Table]:
    """Yield every table that the results fill."""
    yield from _costs(results, figures)
    yield from _others(results, figures)
    if results.codec:
        yield _codec(figures)
    yield targets_table(check(figures))


def _costs(results: Results, figures: Figures) -> Iterator[Table]:
    for group in Group:
        for unit in Figure:
            loads = [load for load in results.loads if load.group == group and load.unit == unit]
            if loads:
                yield _cost(results, figures, group, unit, loads)


def _cost(results: Results, figures: Figures, group: Group, unit: Figure, loads: Sequence[LoadRow]) -> Table:
    title = f"{group}: memory" if unit is Figure.MEMORY else str(group)
    what = "resident memory, KiB" if unit is Figure.MEMORY else "CPU time of the server, µs"
    per = " or ".join(dict.fromkeys(load.per for load in loads))
    rows = []
    for load in loads:
        cells = [_cell(figures, server.name, load.id, figures.median) for server in results.servers]
        ratios = [figures.ratio(load.id, family) for family in (Family.NODE, Family.PYTHON_SOCKETIO)]
        rows.append([load.title, *cells, *(number(ratio.value) if ratio else NOTHING for ratio in ratios)])
    head = ["", *(server.label for server in results.servers), "ours / Node", "ours / best python-socketio"]
    return Table(title, f"{what} for each {per}", head, rows)


def _cell(figures: Figures, server: str, load: str, get: Callable[[str, str], Median | None]) -> str:
    median = get(server, load)
    if median is not None:
        return spread(median)
    samples = figures.samples(server, load)
    if not samples:
        return NOTHING
    return FAULT if any(sample.fault for sample in samples) else BOUND


def _others(results: Results, figures: Figures) -> Iterator[Table]:
    latency = [load for load in results.loads if load.group == Group.LATENCY]
    driven = [load for load in results.loads if load.unit == Figure.CPU]
    head = ["", *(server.label for server in results.servers)]
    if latency:
        rows = []
        for load in latency:
            found = [figures.latency(server.name, load.id) for server in results.servers]
            rows.append([f"{load.title}: p50", *(spread(each[0]) if each else NOTHING for each in found)])
            rows.append([f"{load.title}: p99", *(spread(each[1]) if each else NOTHING for each in found)])
        yield Table("Latency", "in ms, from when an event was due to when its answer had come", head, rows)
    steady = {load.id for load in latency} | {load.id for load in driven if load.id.startswith("heartbeat-")}
    closed = [load for load in driven if load.id not in steady]
    if closed:
        rows = [
            [
                load.title,
                *(
                    number(rate.value) if (rate := figures.rate(server.name, load.id)) else NOTHING
                    for server in results.servers
                ),
            ]
            for load in closed
        ]
        yield Table("Throughput", "messages in a second, on one core", head, rows)
    if driven:
        rows = [
            [
                load.title,
                *(
                    number(size.value / 2**20) if (size := figures.resident(server.name, load.id)) else NOTHING
                    for server in results.servers
                ),
            ]
            for load in driven
        ]
        yield Table(RESIDENT, "MiB of the whole server after the load", head, rows)


def _codec(figures: Figures) -> Table:
    rows = []
    for direction, packet in figures.codec_packets():
        cells = []
        for implementation in ("ours", "python-socketio"):
            values = figures.codec_values(implementation, direction, packet).values()
            median = sorted(values)[len(values) // 2] if values else None
            cells.append(NOTHING if median is None else number(median))
        speed = figures.codec_speed(direction, packet)
        rows.append([f"{direction} {packet}", *cells, number(speed.value) if speed else NOTHING])
    for direction in dict.fromkeys(direction for direction, _packet in figures.codec_packets()):
        speed = figures.codec_speed_of(direction)
        rows.append([f"{direction}, geometric mean", "", "", number(speed.value) if speed else NOTHING])
    return Table(
        "Codec", "CPU time, µs for each packet", ["", "trio-socketio", "python-socketio", "times its rate"], rows
    )


def targets_table(checks: Sequence[Check]) -> Table:
    """Return the targets and whether they hold."""
    rows = [
        [
            each.load,
            each.against,
            f"{'at least' if each.at_least else 'at most'} {each.limit:g}",
            spread(each.got) if each.got else NOTHING,
            each.verdict.value,
        ]
        for each in checks
    ]
    note = (
        "what ours costs against another server, or against itself under another load; medians of the ratios of rounds"
    )
    return Table("Targets", note, ["load", "against", "limit", "measured", "verdict"], rows)


def faults(results: Results, figures: Figures) -> list[str]:
    """Return a sentence for each server and load without a figure, and for each round that does not count."""
    sentences = [f"{name} was not measured: {why}" for name, why in results.skipped.items()]
    for server in results.servers:
        for load in results.loads:
            samples = figures.samples(server.name, load.id)
            lost = [sample for sample in samples if sample.fault]
            bound = [sample for sample in samples if sample.bound]
            if lost:
                sentences.append(
                    f"{server.name}, {load.id}: {len(lost)} of {len(samples)} rounds failed: {lost[0].fault}"
                )
            if bound:
                sentences.append(
                    f"{server.name}, {load.id}: {len(bound)} of {len(samples)} rounds do not count, "
                    "because the load generator was the bottleneck"
                )
    return sentences


def circumstances(results: Results, figures: Figures) -> list[str]:
    """Return sentences about the run, the machine and the versions."""
    machine = results.machine
    hardware = ", ".join((machine["system"], machine["processor"], f"{machine['cores']} cores", machine["memory"]))
    disturbance = f"for {figures.disturbance() * 100:.1f}% of the time"
    rounds = "1 round" if results.rounds == 1 else f"{results.rounds} interleaved rounds"
    lines = [
        f"{rounds} in {results.seconds / 60:.0f} minutes on {hardware}.",
        f"Servers that were ready to run waited for their core {disturbance}.",
    ]
    if results.quick:
        lines.append("This was a quick run: everything is smaller and shorter, and the figures prove nothing.")
    for server in results.servers:
        versions = results.versions.get(server.name, {})
        if versions:
            lines.append(f"{server.label}: {', '.join(f'{name} {version}' for name, version in versions.items())}.")
    return lines
