"""The judge is judged: a server with a deliberate fault must fail the cases that are about it, and nothing unrelated."""

import pytest
from support.faults import FAULTS
from support.judging import judge
from trio_socketio.conformance.case import REGISTER
from trio_socketio.conformance.fixture import socketio_fixture


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_noticed(autojump_clock, monkeypatch, name):
    fault = FAULTS[name]
    fault.apply(monkeypatch)
    verdict = await judge(socketio_fixture())
    failed = {result.case.id: result for result in verdict.failures}
    overlooked = [case_id for case_id in fault.cases if case_id not in failed]
    assert not overlooked, f"the fault went unnoticed by {overlooked}; what failed: {list(failed)}"
    related = fault.areas | {REGISTER.get(case_id).area for case_id in fault.cases}
    strays = {case_id: result.got for case_id, result in failed.items() if result.case.area not in related}
    assert not strays, f"failed without a reason: {strays}"
