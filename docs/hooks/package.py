"""A hook of MkDocs: the API reference finds the modules where they are imported from.

The folders of the repository become one package only when they are installed (``package-dir`` in pyproject.toml), and the
reference reads sources without importing them. So this puts the package together from links, in a folder that lasts as long as
the build.
"""

import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority

PACKAGE: Final = "trio_socketio"

folder: Final = TemporaryDirectory(prefix="trio-socketio-docs-")


@event_priority(100)  # before mkdocstrings looks at its paths
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the package together, and let mkdocstrings search there."""
    assemble(Path(config.config_file_path).resolve().parent, Path(folder.name))
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [folder.name]
    return config


def on_page_content(html: str, **_: object) -> str:
    """Remove the colons with which docstrings announce a literal block: the block is one by its indentation."""
    return html.replace("<p>::</p>\n", "")


def on_shutdown() -> None:
    """Remove the folder."""
    folder.cleanup()


def assemble(root: Path, place: Path) -> None:
    """Make ``place/trio_socketio``, whose entries are links to those of the package and to the folders that belong to it."""
    folders = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
    wanted = {entry.name: entry for entry in (root / folders.pop(PACKAGE)).iterdir() if entry.name != "__pycache__"}
    wanted |= {name.removeprefix(f"{PACKAGE}."): root / path for name, path in folders.items()}
    package = place / PACKAGE
    package.mkdir(exist_ok=True)
    for link in package.iterdir():  # of the build before, if this one is told that a file has changed
        link.unlink()
    for name, target in wanted.items():
        (package / name).symlink_to(target)
