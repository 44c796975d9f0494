"""docs/conformance.md: what it says about cases is true of the cases that there are."""

import re
from pathlib import Path

import pytest
from trio_socketio.conformance import cases as _  # noqa: F401  # fills the register
from trio_socketio.conformance.case import REGISTER
from trio_socketio.conformance.expectations import read_expectations
from trio_socketio.conformance.fixture import _EVENTS
from trio_socketio.conformance.matrix import BEGIN, DOCUMENT, END, MatrixError, brief, insert

TEXT = DOCUMENT.read_text(encoding="utf-8")
FIXTURES = Path(__file__).parents[2] / "conformance" / "fixtures"


def test_every_case_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`((?:eio|sio|robust)\.[a-z0-9.-]+)`", TEXT))
    assert named
    assert sorted(case_id for case_id in named if REGISTER.get(case_id) is None) == []


@pytest.mark.parametrize(("start", "count"), [("The Engine.IO suite, 24", 24), ("The Socket.IO suite, 32", 32)])
def test_every_case_of_the_published_suites_has_a_row(start: str, count: int) -> None:
    rows = TEXT[TEXT.index(start) :].split("| --- |")[0].split("|---|---|---|\n", 1)[1].split("\n\n")[0].splitlines()
    assert len(rows) == count


def test_every_event_of_the_fixture_is_in_its_contract() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", TEXT[TEXT.index("### Events") : TEXT.index("### For Engine.IO")], re.M)
    assert sorted(listed) == sorted(_EVENTS)


@pytest.mark.parametrize("server", ["node", "python"])
def test_the_lists_of_known_deviations_can_be_read(server: str) -> None:
    file = FIXTURES / server / "deviations.txt"
    assert read_expectations(file.read_text().splitlines(), REGISTER, str(file))


def test_only_what_is_between_the_markers_is_replaced() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert insert(document, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert insert(insert(document, "new"), "new") == insert(document, "new")


@pytest.mark.parametrize("document", ["", f"{BEGIN}", f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_document_without_one_pair_of_markers_is_left_alone(document: str) -> None:
    with pytest.raises(MatrixError):
        insert(document, "new")


def test_what_differs_from_run_to_run_is_left_out() -> None:
    assert brief("status 400: unknown 7tZU8SGqm5croOfhAAAF after 1.204 s in room-dec6f258dd09") == (
        "status 400: unknown … after … s in room-…"
    )
