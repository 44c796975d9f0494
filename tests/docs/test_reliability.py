"""docs/reliability.md: every promise has a test, and every test and program that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from hostile.test_hostile import CORPUS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@cache
def names_in(file):
    defined = ast.walk(ast.parse((ROOT / file).read_text()))
    return {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_every_test_that_it_names_exists(file, name):
    assert name in names_in(file)


def test_no_test_is_named_twice():
    assert len(set(TESTS)) == len(TESTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_promise_says_where_it_is_shown(row):
    assert len(row) == (3 if "benchmarks/" in row[1] else 2), "what is measured says what came of it"
    assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`|`benchmarks/\w+\.py`", row[1])


def test_the_programs_that_it_names_are_run_by_the_continuous_integration():
    programs = re.findall(r"`(benchmarks/\w+\.py)`", PAGE)
    assert programs
    steps = (ROOT / ".ci" / "run").read_text()
    assert all((ROOT / program).is_file() and f"{program} --quick" in steps for program in programs)


def test_the_numbers_that_it_names_are_not_exaggerated():
    assert "Five hundred hostile inputs" in PAGE
    assert len(CORPUS) >= 500


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)
