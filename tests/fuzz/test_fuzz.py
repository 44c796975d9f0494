"""Every target holds for its seeds, for whatever has made it fail once, and for some inputs made of both. `run.py` makes more."""

from pathlib import Path

import pytest
from fuzz.catalogue import TARGETS
from fuzz.target import changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CRASHES = Path(__file__).parent / "crashes"
FOUND = {path.name: path for path in sorted(CRASHES.glob("*.*"))}

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())


@each_target
def test_a_target_holds_for_its_seeds(target):
    seeds = list(target.seeds())
    assert seeds
    for seed in seeds[:: target.every]:
        target.check(seed)


@pytest.mark.parametrize("path", FOUND.values(), ids=FOUND.keys())
def test_what_has_made_a_target_fail_does_so_no_more(path):
    TARGETS[path.name.partition(".")[0]].check(path.read_bytes())


@each_target
def test_a_target_holds_for_inputs_made_of_its_seeds(target):
    seeds = tuple(target.seeds())

    @settings(max_examples=target.examples, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=100) | changed(seeds, target.words))
    def holds(data):
        target.check(data[: target.largest])

    holds()
