"""Medians, spreads and ratios of samples.

A ratio of two servers is the median of the ratios of their rounds: the two of one round were measured within seconds of each
other, so that what the machine did meanwhile touches both.
"""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from comparison.samples import Results, Sample
from comparison.servers import Family


@dataclass(frozen=True, slots=True)
class Median:
    """A figure over rounds."""

    value: float
    low: float
    high: float
    rounds: int

    @property
    def spread(self) -> float:
        """Half of what lies between the extremes, as a share of the median."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0


def median_of(values: Iterable[float]) -> Median | None:
    """Return the median of some values, or None if there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Median(statistics.median(ordered), ordered[0], ordered[-1], len(ordered))


def ratio_of(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Median | None:
    """Return the median of the ratios of the rounds that both have, or None if there are none."""
    return median_of(ours[number] / theirs[number] for number in ours.keys() & theirs.keys() if theirs[number] > 0)


class Figures:
    """What the samples of one run say."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._samples: dict[tuple[str, str], list[Sample]] = {}
        for sample in results.samples:
            self._samples.setdefault((sample.server, sample.load), []).append(sample)

    def samples(self, server: str, load: str) -> list[Sample]:
        """Return all samples of a server and a load, also those that do not count."""
        return self._samples.get((server, load), [])

    def values(self, server: str, load: str) -> dict[int, float]:
        """Return the figure of each round that counts."""
        return {
            sample.round: sample.value
            for sample in self.samples(server, load)
            if sample.counts and sample.value is not None
        }

    def median(self, server: str, load: str) -> Median | None:
        """Return the figure of a server and a load."""
        return median_of(self.values(server, load).values())

    def rate(self, server: str, load: str) -> Median | None:
        """Return the messages in a second."""
        return median_of(sample.rate for sample in self.samples(server, load) if sample.counts and sample.rate)

    def resident(self, server: str, load: str) -> Median | None:
        """Return the resident memory at the end of a load, in bytes."""
        return median_of(sample.resident for sample in self.samples(server, load) if sample.counts and sample.resident)

    def latency(self, server: str, load: str) -> tuple[Median, Median] | None:
        """Return the median and the 99th percentile of the latency in milliseconds, where it was measured."""
        counted = [sample for sample in self.samples(server, load) if sample.counts]
        p50 = median_of(sample.p50 for sample in counted if sample.p50 is not None)
        p99 = median_of(sample.p99 for sample in counted if sample.p99 is not None)
        return None if p50 is None or p99 is None else (p50, p99)

    def reason(self, server: str, load: str) -> str:
        """Return why a server has no figure for a load."""
        samples = self.samples(server, load)
        if not samples:
            return "not measured"
        return next((sample.fault for sample in samples if sample.fault), "the load generator was the bottleneck")

    def of_family(self, family: Family) -> list[str]:
        """Return the names of the servers made with something."""
        return [server.name for server in self._results.servers if server.family == family]

    def best(self, family: Family, load: str) -> str | None:
        """Return the server of a family with the lowest figure for a load, or None if none has one."""
        medians = {name: median.value for name in self.of_family(family) if (median := self.median(name, load))}
        return min(medians, key=medians.__getitem__, default=None)

    def ratio(self, load: str, family: Family, server: str = "ours") -> Median | None:
        """Return what one of ours costs against the best server of a family."""
        best = self.best(family, load)
        return None if best is None else ratio_of(self.values(server, load), self.values(best, load))

    def growth(self, load: str, base: str, server: str = "ours") -> Median | None:
        """Return what a load costs against another one on the same server."""
        return ratio_of(self.values(server, load), self.values(server, base))

    def codec_packets(self) -> list[tuple[str, str]]:
        """Return the directions and packets of the codec's measurements, in their order."""
        return list(dict.fromkeys((sample.direction, sample.packet) for sample in self._results.codec))

    def codec_values(self, implementation: str, direction: str, packet: str) -> dict[int, float]:
        """Return the microseconds of each round for one packet."""
        return {
            sample.round: sample.value
            for sample in self._results.codec
            if (sample.implementation, sample.direction, sample.packet) == (implementation, direction, packet)
        }

    def codec_speed(self, direction: str, packet: str) -> Median | None:
        """Return how many times python-socketio's rate ours has for one packet."""
        return ratio_of(
            self.codec_values("python-socketio", direction, packet), self.codec_values("ours", direction, packet)
        )

    def codec_speed_of(self, direction: str) -> Median | None:
        """Return the same over all packets in one direction: the geometric mean of each round, and then the median."""
        packets = [packet for each, packet in self.codec_packets() if each == direction]
        rounds: dict[int, list[float]] = {}
        for packet in packets:
            ours = self.codec_values("ours", direction, packet)
            for number, value in self.codec_values("python-socketio", direction, packet).items():
                if number in ours:
                    rounds.setdefault(number, []).append(value / ours[number])
        return median_of(statistics.geometric_mean(speeds) for speeds in rounds.values() if len(speeds) == len(packets))

    def disturbance(self) -> float:
        """Return the share of the time, in the median load, in which servers waited while other programs had their core."""
        shares = [sample.waited for sample in self._results.samples if sample.seconds]
        return statistics.median(shares) if shares else 0.0
