"""A hook of MkDocs: pages may link to files outside of docs/, as they do in the repository, and the site has those files as well.

What a page links to becomes a page under ``repository/``: Markdown as it is, a program as a listing, a folder as a list of its
files. That needs no address of a repository, and works without a network. What the navigation itself wants from outside stands
there as ``repository/CHANGELOG.md``.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.outside")

PREFIX: Final = "repository"
"""The folder of the site that holds the pages of files outside."""

LINK: Final = re.compile(
    r"(?P<code>^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|`[^`\n]+`)"
    r"|(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))",
    re.DOTALL | re.MULTILINE,
)
"""A relative link, or a piece of code, in which there are none."""

LANGUAGES: Final = {
    ".py": "python",
    ".js": "javascript",
    ".html": "html",
    ".json": "json",
    ".yml": "yaml",
    ".toml": "toml",
}

CONTENTS: Final = "index.md"
"""What a page is called that lists the files of a folder."""

IMAGES: Final = {".gif", ".jpg", ".png", ".svg", ".webp"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside of docs/ that is linked to, from docs/ or from one that was added."""
    root = Path(config.config_file_path).parent
    waiting = [(_place(file.src_uri), file.content_string) for file in files.documentation_pages()]
    named = {_place(uri) for uri in _of_navigation(config.nav) if uri.startswith(PREFIX + "/")}
    wanted = list(named)
    added: set[PurePosixPath] = set()
    while True:
        for path in wanted:
            if path in added or not ((root / path).is_file() or path.name == CONTENTS):
                continue
            added.add(path)
            if path.suffix in IMAGES:
                files.append(File.generated(config, _uri(path), content=(root / path).read_bytes()))
                continue
            text = _as_page(root, path)
            inclusion = InclusionLevel.INCLUDED if path in named else InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, _uri(path), content=text, inclusion=inclusion))
            waiting.append((path, text))
        if not waiting:
            return files
        place, text = waiting.pop()
        wanted = [target for target in _targets(root, place, text) if target.parts[0] not in ("docs", "..")]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page that lead out of docs/, or back into it, into links of the site."""
    root = Path(config.config_file_path).parent
    place = _place(page.file.src_uri)
    here = PurePosixPath(page.file.src_uri).parent
    moved = page.file.src_uri.startswith(PREFIX + "/")

    def replace(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        target = _resolve(root, place, match["target"])
        inside = target.parts[:1] == ("docs",)
        if inside and not moved:
            return match[0]
        uri = str(target.relative_to("docs")) if inside else _uri(target)
        if files.get_file_from_path(uri) is None:
            log.warning("%s: there is no file %s, to which it links", place, target)
            return match[0]
        return f"{match['before']}{os.path.relpath(uri, here)}{match['anchor'] or ''}{match['after']}"

    return LINK.sub(replace, markdown)


def _place(uri: str) -> PurePosixPath:
    """Return where in the repository the source of a page is."""
    path = PurePosixPath(uri)
    if path.parts[0] != PREFIX:
        return "docs" / path
    outside = path.relative_to(PREFIX)
    listing = outside.with_suffix("")
    return listing if listing.suffix else outside


def _uri(path: PurePosixPath) -> str:
    """Return the name, for MkDocs, of the page that shows a file outside; an image is no page."""
    return str(PREFIX / (path if path.suffix in {".md", *IMAGES} else path.with_name(path.name + ".md")))


def _as_page(root: Path, path: PurePosixPath) -> str:
    if path.name == CONTENTS:
        names = sorted(entry.name for entry in (root / path.parent).iterdir() if entry.is_file())
        return f"# {path.parent}\n\n" + "".join(f"- [{name}]({name})\n" for name in names if not name.startswith("."))
    text = (root / path).read_text()
    if path.suffix == ".md":
        return text
    return f"# {path}\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n````\n"


def _resolve(root: Path, place: PurePosixPath, target: str) -> PurePosixPath:
    """Return what a link means in the repository; a folder means its README.md, or else a list of its files."""
    path = PurePosixPath(os.path.normpath(place.parent / target))
    if not (root / path).is_dir():
        return path
    return path / ("README.md" if (root / path / "README.md").is_file() else CONTENTS)


def _targets(root: Path, place: PurePosixPath, text: str) -> Iterator[PurePosixPath]:
    for match in LINK.finditer(text):
        if not match["code"]:
            yield _resolve(root, place, match["target"])


def _of_navigation(entries: object) -> Iterator[str]:
    """Return the files that the navigation names, at any depth."""
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, dict | list):
        for entry in entries.values() if isinstance(entries, dict) else entries:
            yield from _of_navigation(entry)
