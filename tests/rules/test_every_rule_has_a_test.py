"""The table of docs/emit-rules.md and the tests beside this file name the same rules."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "emit-rules.md"
COUNTS = {"A": 9, "B": 18, "C": 8, "D": 9, "E": 13, "F": 8, "G": 9, "H": 13}


def rows() -> list[str]:
    return re.findall(r"^\| ([A-I]\d*) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def rules_of_tests() -> dict[str, str]:
    """The tests that name a rule: from the name of the test to the id in it."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                match = re.match(r"test_([A-Z]\d*)_", node.name)
                if match is not None:
                    found[f"{path.name}::{node.name}"] = match[1]
    return found


def test_the_table_has_each_row_once_and_in_order():
    expected = [f"{section}{number}" for section, count in COUNTS.items() for number in range(1, count + 1)]
    assert rows() == [*expected, "I"]


def test_every_rule_has_a_test():
    assert sorted(set(rows()) - set(rules_of_tests().values())) == []


def test_every_test_names_a_rule_that_exists():
    known = set(rows())
    assert {name: rule for name, rule in rules_of_tests().items() if rule not in known} == {}


def test_every_test_of_a_section_names_a_rule_of_it():
    wrong = [name for name, rule in rules_of_tests().items() if not name.startswith(f"test_{rule[0]}_")]
    assert wrong == []
