"""The layers: who may import whom, and that each folder is installed with its types.

protocol <- engine <- server <- trio_socketio, and rooms <- server. `conformance` judges from outside.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "trio_socketio"
FOLDERS = ["protocol", "engine", "rooms", "server", "conformance", PACKAGE]

STANDARD_LIBRARY = sys.stdlib_module_names
WORLD = {"trio", "anyio", "asyncio", "time", "datetime", "threading", "socket", "select", "ssl", "h11", "wsproto"}
"""What has a clock, a task or a wire in it; the pure folders take time as a number and bytes as values."""
CHANCE = {"random", "secrets"}
OTHER_IMPLEMENTATIONS = {"socketio", "engineio", "flask_socketio"}

FOREIGN = (ROOT / "conformance" / "fixtures", ROOT / "examples" / "flask_before.py")
"""Programs for other servers; no part of the package."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What the modules of one folder may import, besides the standard library and their own folder."""

    ours: frozenset[str] = frozenset()
    """Other folders of the project."""
    installed: frozenset[str] = frozenset()
    """Packages that pip installs."""
    pure: bool = False
    """Neither `WORLD` nor `CHANCE`."""


LAYERS = {
    "protocol": Layer(pure=True),
    "engine": Layer(ours=frozenset({"protocol"}), pure=True),
    "rooms": Layer(pure=True),
    "server": Layer(ours=frozenset({"protocol", "engine", "rooms"}), installed=frozenset({"trio"})),
    "server/net": Layer(
        ours=frozenset({"server", "protocol", "engine", "rooms"}), installed=frozenset({"trio", "h11", "wsproto"})
    ),
    PACKAGE: Layer(
        ours=frozenset({"server", "protocol", "engine", "rooms", "conformance"}), installed=frozenset({"trio"})
    ),
    # Whoever uses its fixtures has pytest; the plugin is loaded by nobody else.
    f"{PACKAGE}/testing/pytest_plugin.py": Layer(
        ours=frozenset({"server", PACKAGE}), installed=frozenset({"trio", "pytest"})
    ),
    # ijson is an optional extra: HAR files are larger than what one wants in memory.
    f"{PACKAGE}/wire": Layer(ours=frozenset({"protocol", PACKAGE}), installed=frozenset({"trio", "ijson"})),
    "conformance": Layer(ours=frozenset({"protocol"}), installed=frozenset({"trio", "h11", "wsproto"})),
    # The servers that suites expect are servers: the one exception among the judges.
    "conformance/fixture.py": Layer(
        ours=frozenset({"protocol", "engine", "server", PACKAGE}), installed=frozenset({"trio"})
    ),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, `from x import y` read as both `x` and `x.y`."""

    path: Path
    line: int
    module: str
    level: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {'.' * self.level}{self.module}"

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    @property
    def folder(self) -> str:
        """The folder of ours that is imported: `trio_socketio.engine.session` lives in `engine`."""
        parts = self.module.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in LAYERS else PACKAGE


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a module, also those inside functions and under TYPE_CHECKING."""
    yield from imports_in(path.read_text(), path)


def imports_in(source: str, path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source, str(path))):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(path, node.lineno, alias.name, 0)
            case ast.ImportFrom(module=module, names=names, level=level):
                # `from trio_socketio import engine` imports the folder, not something of the facade.
                for alias in names:
                    full = f"{module}.{alias.name}" if module == PACKAGE and alias.name in LAYERS else module or ""
                    yield Import(path, node.lineno, full, level)


def layer_of(path: Path) -> Layer:
    """The most exact entry of the table: the file, its folder, or a folder above."""
    relative = path.relative_to(ROOT)
    return next(LAYERS[str(key)] for key in (relative, *relative.parents) if str(key) in LAYERS)


def modules(*folders: str) -> list[Path]:
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if not any(path.is_relative_to(foreign) for foreign in FOREIGN))


def complaint(found: Import) -> str | None:
    """Why an import breaks the layering, or None."""
    layer = layer_of(found.path)
    home = found.path.relative_to(ROOT).parts[0]
    if found.level:
        return "imports are absolute"
    if found.top in FOLDERS and found.top != PACKAGE:
        return f"a bare import makes a second copy of every class: import {PACKAGE}.{found.module}"
    if found.top == PACKAGE:
        return None if found.folder == home or found.folder in layer.ours else f"{home} must not know {found.folder}"
    if found.top in OTHER_IMPLEMENTATIONS:
        return "the project depends on no other Socket.IO implementation"
    if layer.pure and found.top in WORLD | CHANCE:
        return f"{home} has no clock, no tasks, no I/O and no chance"
    if found.top in STANDARD_LIBRARY or found.top in layer.installed:
        return None
    return f"{home} may import of the installed packages only {sorted(layer.installed) or 'none'}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    broken = [f"{found}: {why}" for path in modules(folder) for found in imports_of(path) if (why := complaint(found))]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("protocol/new.py", "import trio"),
        ("protocol/new.py", "from trio_socketio.engine import session"),
        ("protocol/new.py", "from trio_socketio import engine"),
        ("engine/new.py", "import time"),
        ("engine/new.py", "import secrets"),
        ("engine/new.py", "from trio_socketio import rooms"),
        ("engine/new.py", "from trio_socketio.server.net import connection"),
        ("rooms/new.py", "from trio_socketio.protocol import socketio"),
        ("rooms/new.py", "import attrs"),
        ("server/new.py", "import h11"),
        ("server/new.py", "from wsproto import frame_protocol"),
        ("server/new.py", "from trio_socketio import Server"),
        ("server/new.py", "from . import app"),
        ("server/new.py", "from protocol import engineio"),
        ("server/net/new.py", "import anyio"),
        ("trio_socketio/new.py", "import engineio"),
        ("trio_socketio/new.py", "import wsproto"),
        ("conformance/new.py", "from trio_socketio import Server"),
        ("conformance/new.py", "from trio_socketio.server import app"),
    ],
)
def test_the_rules_catch(place: str, line: str) -> None:
    """A rule that nothing can break protects nothing."""
    (found,) = imports_in(line, ROOT / place)
    assert complaint(found) is not None


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("protocol/new.py", "import json"),
        ("engine/new.py", "from trio_socketio.protocol import engineio"),
        ("engine/new.py", "from trio_socketio import protocol"),
        ("server/new.py", "import secrets"),
        ("server/net/new.py", "from wsproto.frame_protocol import FrameProtocol"),
        ("server/net/new.py", "from trio_socketio.server import errors"),
        ("trio_socketio/new.py", "from trio_socketio.server import app"),
        ("conformance/new.py", "from trio_socketio.protocol import socketio"),
        ("conformance/fixture.py", "from trio_socketio import Server"),
    ],
)
def test_the_rules_allow(place: str, line: str) -> None:
    (found,) = imports_in(line, ROOT / place)
    assert complaint(found) is None


def test_only_tests_and_benchmarks_know_other_implementations() -> None:
    aside = {"tests", "benchmarks"}
    strangers = [
        str(found)
        for path in sorted(ROOT.rglob("*.py"))
        if (top := path.relative_to(ROOT).parts[0]) not in aside and not top.startswith(".") and top != "build"
        if not any(path.is_relative_to(foreign) for foreign in FOREIGN)
        for found in imports_of(path)
        if found.top in OTHER_IMPLEMENTATIONS
    ]
    assert not strangers, "\n".join(strangers)


def test_every_folder_of_the_package_is_installed_with_its_types() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {}
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            relative = init.parent.relative_to(ROOT)
            name = ".".join(relative.parts)
            packages[name if folder == PACKAGE else f"{PACKAGE}.{name}"] = init.parent
    assert sorted(tool["packages"]) == sorted(packages)
    for name, folder in packages.items():
        assert (folder / "py.typed").is_file(), f"{folder} has no py.typed"
        assert "py.typed" in tool["package-data"].get(name, []), f"pyproject.toml does not install py.typed of {name}"


def test_every_folder_with_modules_is_a_package() -> None:
    orphans = {path.parent for path in modules(*FOLDERS) if not (path.parent / "__init__.py").is_file()}
    assert not orphans
