"""What the room registry costs as a namespace grows: joining, leaving and selecting must not depend on who else is there.

``python benchmarks/rooms.py`` prints one row for each number of registered sids: the median CPU time of an operation in
microseconds, over interleaved rounds. The exit status is 1 if an operation at the largest size costs more than
`LIMIT` times what it costs at the smallest. ``--quick`` takes fewer rounds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from trio_socketio.rooms import Audience, RoomRegistry

SIZES = (1_000, 10_000, 100_000)
MEMBERS = 100
"""Members of the room that is selected, whatever the size of the namespace."""
LIMIT = 2.0
"""What the largest namespace may cost, against the smallest; larger tables miss the processor's caches more often."""

Registry = RoomRegistry[int]
Operation = Callable[[Registry, int], None]


def build(size: int) -> Registry:
    """Return a namespace of so many sids, one hundred of which, spread evenly, are in one room."""
    registry = Registry()
    for number in range(size):
        registry.add(f"sid-{number}", number, ["everyone", f"room-{number // 10}"])
    for number in range(0, size, size // MEMBERS):
        registry.join(f"sid-{number}", "some")
    return registry


def join_and_leave(registry: Registry, _size: int) -> None:
    """Let one socket join a room and leave it."""
    registry.join("sid-7", "other")
    registry.leave("sid-7", "other")


def select_room(registry: Registry, _size: int) -> None:
    """Select one hundred members."""
    registry.select(Audience("/", ("some",)))


def select_but_two(registry: Registry, _size: int) -> None:
    """Select one hundred members without two of them."""
    registry.select(Audience("/", ("some",), frozenset({"sid-0", "sid-1"})))


def select_one(registry: Registry, _size: int) -> None:
    """Select one socket by its sid."""
    registry.select(Audience("/", ("sid-7",)))


def come_and_go(registry: Registry, _size: int) -> None:
    """Register a socket that joins two rooms, then forget it."""
    registry.add("new", -1, ["everyone", "some"])
    registry.leave_all("new")


OPERATIONS: dict[str, tuple[Operation, int]] = {
    "join + leave": (join_and_leave, 2000),
    "select 1 sid": (select_one, 2000),
    "select 100 of a room": (select_room, 1000),
    "select 100, skip 2": (select_but_two, 300),
    "add + leave_all": (come_and_go, 1000),
}


def measure(operation: Operation, registry: Registry, size: int, times: int) -> float:
    """Return the CPU time of one operation in microseconds."""
    started = time.process_time()
    for _ in range(times):
        operation(registry, size)
    return (time.process_time() - started) / times * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return whether the cost is flat."""
    parser = argparse.ArgumentParser(description="The cost of rooms as a namespace grows.")
    parser.add_argument("--quick", action="store_true", help="a few rounds only")
    rounds = 5 if parser.parse_args(arguments).quick else 25
    registries = {size: build(size) for size in SIZES}
    samples: dict[tuple[str, int], list[float]] = {(name, size): [] for name in OPERATIONS for size in SIZES}
    for _ in range(rounds):
        for name, (operation, times) in OPERATIONS.items():
            for size, registry in registries.items():
                samples[name, size].append(measure(operation, registry, size, times))
    print(f"{'µs, median of ' + str(rounds):24}" + "".join(f"{size:>10,} sids" for size in SIZES) + f"{'growth':>10}")
    flat = True
    for name in OPERATIONS:
        medians = [statistics.median(samples[name, size]) for size in SIZES]
        growth = medians[-1] / medians[0]
        flat = flat and growth <= LIMIT
        print(f"{name:24}" + "".join(f"{median:>15.2f}" for median in medians) + f"{growth:>9.2f}x")
    print("flat" if flat else f"NOT flat: something grows more than {LIMIT:g} times")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
