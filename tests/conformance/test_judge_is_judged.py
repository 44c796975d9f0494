"""The judge is judged: a server with a deliberate fault must fail the cases that are about it, and nothing unrelated."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from support.faults import FAULTS, Judged, judge_fault
from trio_socketio.conformance.case import REGISTER

pytestmark = pytest.mark.timeout(900)  # the first test waits for all runs


@pytest.fixture(scope="module")
def judged():
    """What the suite makes of every fault, each in a process that knows no other."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as processes:
        runs = {name: processes.submit(judge_fault, name) for name in FAULTS}
        yield lambda name: runs[name].result()
        for run in runs.values():
            run.cancel()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed_where_it_belongs(judged, name):
    fault = FAULTS[name]
    found: Judged = judged(name)
    assert fault.cases, f"{name} names no case; what failed: {sorted(found.failed)}"
    overlooked = [case_id for case_id in fault.cases if case_id not in found.failed]
    assert not overlooked, f"the fault went unnoticed by {overlooked}; what failed: {found.failed}"
    related = fault.related
    strays = {case_id: got for case_id, got in found.failed.items() if REGISTER.get(case_id).area not in related}
    assert not strays, f"failed without a reason: {strays}"
