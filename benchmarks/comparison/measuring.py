"""Measures one stage on one server: starts it, connects the clients, runs the loads, and reads the clocks around them."""

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from comparison import process as processes
from comparison.clients import Population
from comparison.failure import BenchmarkError
from comparison.frames import Packet
from comparison.generator import Outcome
from comparison.loads import SMALL_EVENT, Load, Scale, Stage, Step
from comparison.polling import Pollers
from comparison.process import Cores, Process, Reading
from comparison.samples import Sample, generator_bound
from comparison.servers import BUILD, Server

FIRST: Final = 50
"""Clients that connect before memory is measured, so that what a server loads for its first ones is not counted."""

SETTLING: Final = 1.0
"""Seconds between the last arrival and the look at the memory."""

WARMER: Final = 3
"""How many times as long the first load of a server is warmed up."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """What the clocks said."""

    wall: float
    server: Reading
    generator: Reading


def _now(process: Process) -> _Moment:
    return _Moment(time.monotonic(), process.read(), processes.read(os.getpid()))


class Measurement:
    """One stage on one server in one round; iterate to run it.

    Args:
        server: The server, which is installed.
        stage: What it meets.
        scale: How long it meets it.
        cores: Where it runs; this process must be on the other core already.
        number: The round.
    """

    def __init__(self, server: Server, stage: Stage, scale: Scale, cores: Cores, number: int) -> None:
        self._server = server
        self._stage = stage
        self._scale = scale
        self._cores = cores
        self._number = number
        self.versions: dict[str, str] = {}
        """What the server said that it is made of, once it has started."""

    def __iter__(self) -> Iterator[Sample]:
        """Yield a sample for each load; whatever goes wrong becomes the fault of those that are left."""
        left = self._stage.loads()
        try:
            for sample in self._run():
                del left[0]
                yield sample
        except BenchmarkError as error:
            for load in left:
                yield Sample(self._server.name, load.id, self._number, fault=str(error))

    def _run(self) -> Iterator[Sample]:
        log = BUILD / "bench-logs" / f"{self._server.name}.log"
        with processes.running(self._server.command(self._stage.options), self._cores.server, log) as process:
            self.versions = process.versions
            if self._stage.polling is not None:
                yield self._poll(process, self._stage.polling)
            else:
                yield from self._populate(process)
            process.check_clocks()

    def _populate(self, process: Process) -> Iterator[Sample]:
        stage = self._stage
        with Population(process.port, stage.namespace) as population:
            first = min(FIRST, stage.clients // 2)
            population.join(first)
            before = process.resident()
            population.join(stage.clients - first)
            if stage.memory is not None:
                population.idle(SETTLING)
                resident = process.resident()
                growth = (resident - before) / (stage.clients - first) / 1024
                yield Sample(
                    self._server.name,
                    stage.memory.id,
                    self._number,
                    growth,
                    stage.clients - first,
                    resident=resident,
                )
            for number, step in enumerate(stage.steps):
                yield self._step(process, population, step, self._scale.warming * (WARMER if number == 0 else 1))

    def _step(self, process: Process, population: Population, step: Step, warming: float) -> Sample:
        step.traffic.prepare(population)
        if step.settle:
            population.idle(step.settle)
        else:
            step.traffic.drive(population, warming)
        gc.collect()
        gc.disable()
        try:
            before = _now(process)
            outcome = step.traffic.drive(population, self._scale.seconds)
            after = _now(process)
        finally:
            gc.enable()
        return self._sample(step.load, outcome, before, after, process.resident())

    def _poll(self, process: Process, load: Load) -> Sample:
        answer = Packet(("message-back", *SMALL_EVENT.arguments[1:]))
        with Pollers(process.port, self._stage.clients, SMALL_EVENT, answer) as pollers:
            pollers.drive(self._scale.warming * WARMER)
            before = _now(process)
            outcome = pollers.drive(self._scale.seconds)
            after = _now(process)
        return self._sample(load, outcome, before, after, process.resident())

    def _sample(self, load: Load, outcome: Outcome, before: _Moment, after: _Moment, resident: int) -> Sample:
        seconds = after.wall - before.wall
        cpu = after.server.cpu - before.server.cpu
        waited = (after.server.waited - before.server.waited) / seconds
        busy = cpu / seconds + waited
        generator = (
            after.generator.cpu + after.generator.waited - before.generator.cpu - before.generator.waited
        ) / seconds
        if not outcome.messages:
            raise BenchmarkError(f"nothing came in {seconds:.1f} s of {load.title}")
        latencies = sorted(outcome.latencies)
        return Sample(
            self._server.name,
            load.id,
            self._number,
            cpu / outcome.messages * 1e6,
            outcome.messages,
            seconds,
            busy,
            waited,
            generator,
            resident,
            _percentile(latencies, 0.50),
            _percentile(latencies, 0.99),
            outcome.lateness * 1e3,
            generator_bound(busy, generator, outcome.lateness if latencies else None),
        )


def _percentile(ordered: list[float], share: float) -> float | None:
    """Return a percentile of some ordered seconds, in milliseconds."""
    if not ordered:
        return None
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3
