"""The documentation as a site: it is built without a warning, needs nothing from elsewhere, and every link leads somewhere."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from interop import peers

import trio_socketio

ROOT = Path(__file__).parent.parent.parent
HOOK = ROOT / "docs" / "hooks" / "outside.py"
REFERENCE = {
    "server.html": "trio_socketio.Server",
    "context.html": "trio_socketio.Context",
    "namespace.html": "trio_socketio.Namespace",
}
EMITTING = [
    "emit",
    "emit_nowait",
    "send",
    "call",
    "call_all",
    "join_room",
    "leave_room",
    "close_room",
    "rooms",
    "disconnect",
]
FUNCTIONS = {*EMITTING, "current_context"}


def build(site, folder):
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        peers.missing("MkDocs is not installed (mkdocs-material and mkdocstrings[python])")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder, ROOT)
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout
    assert "ERROR" not in done.stdout
    return folder


class Page(HTMLParser):
    """What a page refers to, and what it can be referred to by."""

    def __init__(self, text):
        super().__init__()
        self.ids = set()
        self.links = []
        self.loaded = []
        """What the browser fetches by itself."""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "link" and found.get("href"):
            self.loaded.append(found["href"])
        if found.get("src"):
            self.loaded.append(found["src"])
        self.loaded += re.findall(r"url\(['\"]?([^'\")]+)", found.get("style") or "")


@cache
def read_page(path):
    return Page(path.read_text())


def pages(site):
    found = sorted(site.rglob("*.html"))
    assert len(found) > 30
    return found


def is_elsewhere(reference):
    return bool(urlsplit(reference).scheme or urlsplit(reference).netloc) and not reference.startswith("data:")


def test_nothing_is_fetched_from_elsewhere(site):
    for path in pages(site):
        assert [each for each in read_page(path).loaded if is_elsewhere(each)] == [], path
        assert 'class="mermaid"' not in path.read_text(), "the theme would fetch what draws it"
    for path in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", path.read_text()) == [], path


def test_every_link_leads_somewhere(site):
    broken = []
    for path in pages(site):
        page = read_page(path)
        for reference in page.links + page.loaded:
            if is_elsewhere(reference) or reference.startswith("data:"):
                continue
            parts = urlsplit(reference)
            target = site / unquote(parts.path[1:]) if parts.path.startswith("/") else path.parent / unquote(parts.path)
            target = path if not parts.path else target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                target.suffix == ".html"
                and parts.fragment
                and unquote(parts.fragment) not in read_page(target.resolve()).ids
            ):
                broken.append(f"{path.relative_to(site)}: {reference}")
    assert broken == []


def test_every_page_of_docs_is_in_the_navigation_and_in_the_search(site):
    home = read_page(site / "index.html")
    found = {
        entry["location"].partition("#")[0]
        for entry in json.loads((site / "search" / "search_index.json").read_text())["docs"]
    }
    reached = {link.partition("#")[0] for path in pages(site) for link in read_page(path).links}
    assert home.links
    for path in (ROOT / "docs").rglob("*.md"):
        place = path.relative_to(ROOT / "docs").with_suffix(".html")
        assert place.as_posix() in found | {"index.html"}, f"{place} is not in the search"
        assert any(link.endswith(place.name) for link in reached), f"nothing leads to {place}"


def test_the_screenshots_are_there(site):
    shown = [each for path in pages(site) for each in read_page(path).loaded if "screenshots/" in each]
    assert shown
    assert (site / "screenshots" / "demo-desktop.png").stat().st_size > 10_000


def test_programs_of_the_repository_are_pages_of_the_site(site):
    text = (site / "repository" / "examples" / "restart.py.html").read_text()
    assert "serve_listeners" in text
    assert not list(site.rglob("*.py")), "the hooks and what draws the diagrams are no part of the site"


@pytest.mark.parametrize(("page", "name"), REFERENCE.items())
def test_the_reference_has_what_is_inherited(site, page, name):
    ids = read_page(site / "api" / page).ids
    assert name in ids
    shown = {each.rpartition(".")[2] for each in ids}
    assert set(EMITTING) <= shown


def test_every_public_name_is_in_the_reference(site):
    ids = {each for path in (site / "api").glob("*.html") for each in read_page(path).ids}
    public = {name for name in vars(trio_socketio) if not name.startswith("_")} - FUNCTIONS
    public = {name for name in public if not isinstance(getattr(trio_socketio, name), type(sys))}
    assert {name for name in public if not any(each.endswith(f".{name}") for each in ids)} == set()
    functions = read_page(site / "api" / "functions.html").ids
    assert all(any(each.endswith(f".{name}") for each in functions) for name in FUNCTIONS)


# The hook that brings in what is outside of docs/.


@pytest.fixture
def repository(tmp_path):
    """A small repository, with a page that links to a program, and to a page beside it that links back."""
    files = {
        "mkdocs.yml": f"site_name: x\nuse_directory_urls: false\nplugins: []\nhooks: ['{HOOK}']\n",
        "docs/index.md": (
            "# Home\n\n[a program](../tools/run.py), [its page](../tools/README.md#how), [its folder](../tools/)\n\n"
            "`[x](../code.py)`\n"
        ),
        "tools/run.py": "print('```')\n",
        "tools/README.md": (
            "# Tools\n\n## How\n\n[home](../docs/index.md), [run.py](run.py), [more](more/notes.md), [all](more), ![](a.svg)\n"
        ),
        "tools/a.svg": "<svg/>",
        "tools/more/notes.md": "# Notes\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_files_outside_become_pages_and_links_lead_to_them(repository, tmp_path):
    site = tmp_path / "out"
    done = build(site, repository)
    assert done.returncode == 0, done.stdout
    assert [link for link in read_page(site / "index.html").links if "repository" in link] == [
        "repository/tools/run.py.html",
        "repository/tools/index.html#how",
        "repository/tools/index.html",
    ]
    assert "print(&#39;```&#39;)" in (site / "repository/tools/run.py.html").read_text().replace("'", "&#39;")
    links = read_page(site / "repository/tools/index.html").links
    assert {"../../index.html", "run.py.html", "more/notes.html", "more/index.html"} <= set(links)
    assert "notes.html" in read_page(site / "repository/tools/more/index.html").links
    assert "a.svg" in read_page(site / "repository/tools/index.html").loaded
    assert (site / "repository/tools/a.svg").read_text() == "<svg/>"


def test_a_link_to_a_file_that_is_not_there_fails(repository, tmp_path):
    (repository / "tools" / "more" / "notes.md").unlink()
    done = build(tmp_path / "out", repository)
    assert done.returncode != 0
    assert "there is no file tools/more/notes.md" in done.stdout
