"""What a release says of itself: one version everywhere, a changelog, the versions of Python, every package and every extra.

`.ci/release` builds the distributions and looks into them; here is what can be seen without.
"""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import trio_socketio

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
FOR_DEVELOPERS = {"test", "lint", "docs"}
"""Extras that are of no use to an application; `make` installs them."""


def folder_of(package: str) -> Path:
    """Return where a package lies in the checkout."""
    mapped = SETUPTOOLS["package-dir"].get(package)
    if mapped is not None:
        return ROOT / mapped
    parent, _, name = package.rpartition(".")
    return folder_of(parent) / name


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert SETUPTOOLS["dynamic"]["version"] == {"attr": "trio_socketio.__version__"}
    lines = (ROOT / "trio_socketio" / "__init__.py").read_text().splitlines()
    assert f'__version__ = "{trio_socketio.__version__}"' in lines, "setuptools reads a literal without importing"


def test_what_is_installed_has_that_version():
    assert metadata("trio-socketio")["Version"] == trio_socketio.__version__


def test_the_command_line_says_the_version():
    done = subprocess.run(
        [sys.executable, "-m", "trio_socketio", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert trio_socketio.__version__ in done.stdout


def test_the_changelog_begins_with_the_version():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(re.escape(trio_socketio.__version__) + r" \((unreleased|\d{4}-\d{2}-\d{2})\)", headings[0]), (
        "either the version that is being made, or the one that was released last"
    )


def test_the_classifiers_name_the_versions_of_python_that_a_release_is_tried_on():
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    (tried,) = re.findall(r"^versions=\((.*)\)$", (ROOT / ".ci" / "release").read_text(), re.MULTILINE)
    assert named == tried.split() == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_every_package_that_is_listed_exists_and_every_folder_of_modules_is_listed():
    assert all((folder_of(package) / "__init__.py").is_file() for package in SETUPTOOLS["packages"])
    tops = [folder_of(package) for package in SETUPTOOLS["package-dir"]]
    found = {init.parent for top in tops for init in top.rglob("__init__.py") if "node_modules" not in init.parts}
    assert {folder_of(package) for package in SETUPTOOLS["packages"]} == found


def test_every_package_ships_its_py_typed_and_every_file_that_is_no_module():
    for package in SETUPTOOLS["packages"]:
        folder = folder_of(package)
        patterns = SETUPTOOLS["package-data"][package]
        assert "py.typed" in patterns
        shipped = {path for pattern in patterns for path in folder.glob(pattern)}
        assert folder / "py.typed" in shipped
        data = {path for path in folder.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert data <= shipped, f"{package} has files that are not installed"
        assert all(list(folder.glob(pattern)) for pattern in patterns), f"{package} names files that are not there"
    assert SETUPTOOLS["package-data"].keys() == set(SETUPTOOLS["packages"])


def test_the_source_distribution_has_no_say_in_what_is_installed():
    assert SETUPTOOLS["include-package-data"] is False, "or the wheel has what MANIFEST.in names below a package"
    manifest = (ROOT / "MANIFEST.in").read_text()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    tops = {Path(name).parts[0] for name in tracked} - set(SETUPTOOLS["package-dir"].values())
    by_itself = {"LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
    for name in tops - by_itself - {".gitignore"}:
        assert re.search(rf"^(graft|include\b.*) {re.escape(name)}\b", manifest, re.MULTILINE), f"{name} is left out"


def test_every_extra_is_documented():
    pages = "\n".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
    extras = PROJECT["optional-dependencies"].keys() - FOR_DEVELOPERS
    missing = [extra for extra in sorted(extras) if not re.search(rf"trio-socketio\[[\w,]*\b{extra}\b", pages)]
    assert not missing, f"nobody is told of pip install 'trio-socketio[{','.join(missing)}]'"


def test_the_metadata_has_what_an_index_shows():
    assert len(PROJECT["description"]) < 120
    assert PROJECT["license"] == "MIT"
    assert (ROOT / PROJECT["license-files"][0]).is_file()
    assert (ROOT / PROJECT["readme"]).is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert PROJECT["scripts"] == {"trio-socketio": "trio_socketio.cli:main"}
