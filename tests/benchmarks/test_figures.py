import pytest
from comparison.figures import Figures, median_of, ratio_of
from comparison.loads import FULL, QUICK, select, stages
from comparison.samples import CodecSample, LoadRow, Results, Sample, ServerRow, generator_bound
from comparison.servers import Family
from comparison.targets import GROWTHS, TARGETS, Verdict, check

SERVERS = [
    ServerRow("ours", "trio-socketio", Family.OURS),
    ServerRow("node", "Node socket.io", Family.NODE),
    ServerRow("uvicorn", "python-socketio, uvicorn", Family.PYTHON_SOCKETIO),
    ServerRow("aiohttp", "python-socketio, aiohttp", Family.PYTHON_SOCKETIO),
]
LOAD = LoadRow("echo-100-1", "an echo", "Echo", "message", "µs", "connections", 100)


def results(**values: list[float]) -> Results:
    """Results with one load, in which each server has these figures round after round."""
    samples = [
        Sample(server, LOAD.id, number, value, messages=100, seconds=1.0)
        for server, each in values.items()
        for number, value in enumerate(each)
    ]
    return Results(3, quick=False, machine={}, servers=SERVERS, loads=[LOAD], samples=samples)


def test_a_median_comes_with_the_extremes_and_a_spread() -> None:
    median = median_of([3.0, 1.0, 2.0])
    assert median is not None
    assert (median.value, median.low, median.high, median.rounds) == (2.0, 1.0, 3.0, 3)
    assert median.spread == 0.5


def test_there_is_no_median_of_nothing() -> None:
    assert median_of([]) is None


def test_a_ratio_is_the_median_of_the_ratios_of_rounds_that_both_have() -> None:
    ratio = ratio_of({0: 1.0, 1: 30.0, 2: 3.0, 3: 7.0}, {0: 2.0, 1: 10.0, 2: 3.0, 4: 1.0})
    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 0.5, 3.0)


def test_the_best_of_a_family_has_the_lowest_median() -> None:
    figures = Figures(results(ours=[10, 10, 10], uvicorn=[50, 50, 1000], aiohttp=[60, 40, 60]))
    assert figures.best(Family.PYTHON_SOCKETIO, LOAD.id) == "uvicorn"
    ratio = figures.ratio(LOAD.id, Family.PYTHON_SOCKETIO)
    assert ratio is not None
    assert ratio.value == pytest.approx(0.2)


def test_a_server_that_was_not_measured_gives_no_ratio() -> None:
    assert Figures(results(ours=[10])).ratio(LOAD.id, Family.NODE) is None


def test_rounds_that_the_generator_decided_do_not_count() -> None:
    run = results(ours=[10, 12])
    run.samples.append(Sample("ours", LOAD.id, 2, 99.0, 100, 1.0, bound=True))
    run.samples.append(Sample("ours", LOAD.id, 3, fault="the server closed the connection"))
    figures = Figures(run)
    median = figures.median("ours", LOAD.id)
    assert median is not None
    assert (median.value, median.rounds) == (11.0, 2)
    assert "closed" in figures.reason("ours", LOAD.id)


@pytest.mark.parametrize(
    ("busy", "generator", "lateness", "bound"),
    [
        (1.0, 0.6, None, False),
        (0.5, 0.5, None, False),
        (1.0, 0.97, None, False),
        (0.7, 0.97, None, True),
        (0.3, 1.0, 0.0001, False),
        (0.3, 1.0, 0.01, True),
    ],
)
def test_the_generator_is_the_bottleneck_if_it_is_busy_and_the_server_waits(
    busy: float, generator: float, lateness: float | None, bound: bool
) -> None:
    assert generator_bound(busy, generator, lateness) is bound


def test_a_target_passes_fails_or_is_unknown() -> None:
    checks = {(each.load, each.against): each for each in check(Figures(results(ours=[10], node=[11], uvicorn=[20])))}
    assert checks["echo-100-1", "Node"].verdict is Verdict.PASS
    assert checks["echo-100-1", "python-socketio"].verdict is Verdict.FAIL
    assert checks["polling", "Node"].verdict is Verdict.UNKNOWN


def test_the_codec_is_judged_by_the_geometric_mean_of_its_packets() -> None:
    run = results()
    for packet, theirs in (("small", 8.0), ("large", 2.0)):
        run.codec.append(CodecSample("ours", "encode", packet, 0, 1.0))
        run.codec.append(CodecSample("python-socketio", "encode", packet, 0, theirs))
    speed = Figures(run).codec_speed_of("encode")
    assert speed is not None
    assert speed.value == pytest.approx(4.0)
    (encode,) = [each for each in check(Figures(run)) if each.load == "codec encode"]
    assert encode.verdict is Verdict.PASS


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_ids_of_loads_are_unique(scale: object) -> None:
    ids = [load.id for stage in stages(scale) for load in stage.loads()]
    assert len(ids) == len(set(ids))


def test_every_target_is_about_a_load_that_there_is() -> None:
    ids = {load.id for stage in stages(FULL) for load in stage.loads()}
    assert {load for target in TARGETS for load in target.loads} <= ids
    assert {load for pair in GROWTHS for load in pair} <= ids


def test_patterns_select_loads_and_drop_stages_that_are_empty() -> None:
    chosen = select(stages(FULL), ["memory-*", "echo-100-1"])
    assert [load.id for stage in chosen for load in stage.loads()] == ["echo-100-1", "memory-1000", "memory-10000"]
