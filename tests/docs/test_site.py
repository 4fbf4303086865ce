"""The site that scripts/docs builds: no dead link, nothing loaded from elsewhere, and a search that works from a folder."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.browser import browser  # noqa: F401  a fixture
from support.paths import ROOT

# Attributes by which a page loads a file as it is shown.
LOADING = {
    ("script", "src"),
    ("img", "src"),
    ("source", "src"),
    ("iframe", "src"),
    ("video", "src"),
    ("object", "data"),
}


@dataclass
class Page(HTMLParser):
    """What one page of the site names and what it loads."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.loaded += [given[name] for name in given if (tag, name) in LOADING and given[name]]
        if tag == "link" and given.get("rel") not in ("prev", "next", "canonical"):
            self.loaded.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.alone.append(given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False
    )
    said = built.stdout + built.stderr
    assert built.returncode == 0, said
    assert not re.search("WARNING|ERROR", said), said
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    # 404.html is for servers, and its links begin at the server's root.
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_the_docs_is_in_the_site(site: Path, pages: dict[Path, Page]):
    sources = [path for kind in ("*.md", "*.ipynb") for path in (ROOT / "docs").rglob(kind)]
    expected = {site / path.relative_to(ROOT / "docs").with_suffix(".html") for path in sources}
    assert set(pages) == expected


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Page]):
    loaded = {address for page in pages.values() for address in page.loaded}
    assert len(loaded) > 10
    assert not [address for address in loaded if _is_elsewhere(address)]


def test_no_style_loads_anything_from_elsewhere(site: Path, pages: dict[Path, Page]):
    texts = [path.read_text("utf-8") for path in [*site.rglob("*.css"), *pages]]
    addresses = [address for text in texts for address in re.findall(r"""(?:@import\s+|url\()["']?([^"')]+)""", text)]
    assert addresses
    assert not [address for address in addresses if _is_elsewhere(address)]


def test_no_page_needs_a_script_that_the_theme_would_fetch(pages: dict[Path, Page]):
    # Material fetches Mermaid for diagrams, and facts of a repository for its header.
    assert not [
        path for path in pages if re.search(r'class="[^"]*mermaid|data-md-component="source"', path.read_text("utf-8"))
    ]


def test_no_link_of_the_site_is_dead(site: Path, pages: dict[Path, Page]):
    dead = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not _is_elsewhere(link) and not _leads_somewhere(path, link, pages)
    ]
    assert not dead


def test_every_loaded_file_is_in_the_site(pages: dict[Path, Page]):
    missing = [
        f"{path}: {address}"
        for path, page in pages.items()
        for address in page.loaded
        if not address.startswith("data:") and not (path.parent / _file_of(address)).is_file()
    ]
    assert not missing


def test_every_picture_has_a_description(pages: dict[Path, Page]):
    assert not {str(path): page.alone for path, page in pages.items() if page.alone}


def test_the_search_index_has_every_page(site: Path, pages: dict[Path, Page]):
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    found = {site / entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {path for path in pages if path.name != "index.html" or path.parent != site} <= found
    assert (site / "search" / "search_index.js").read_text("utf-8").startswith("var __index = ")


@pytest.fixture(scope="module")
def address(site: Path):
    """The site on a server of this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.browser
@pytest.mark.parametrize("opened", ["from its file", "from a server"])
def test_the_search_finds_pages(site: Path, address: str, browser, opened: str):  # noqa: F811
    browser.visit((site / "index.html").as_uri() if opened == "from its file" else f"{address}/index.html")
    browser.driver.execute_script("document.querySelector('#__search').click()")
    browser.find("input.md-search__input").send_keys("int8")
    browser.wait("return document.querySelectorAll('.md-search-result__item a').length > 0")
    script = "return [...document.querySelectorAll('.md-search-result__item a')].map((link) => link.href)"
    assert any("serving_graphs.html" in result for result in browser.driver.execute_script(script))


@pytest.mark.browser
@pytest.mark.parametrize("page", ["index.html", "reference/run_files.html"])
def test_a_shown_page_asks_no_other_host(address: str, browser, page: str):  # noqa: F811
    browser.visit(f"{address}/{page}")
    asked = browser.driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(asked) > 3
    assert not [resource for resource in asked if not resource.startswith((address, "data:"))]


def _is_elsewhere(address: str) -> bool:
    return re.match(r"(?:[a-z]+:)?//|mailto:", address) is not None


def _leads_somewhere(page: Path, link: str, pages: dict[Path, Page]) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / _file_of(path)).resolve() if path else page
    target = target / "index.html" if target.is_dir() else target
    if target not in pages:
        return target.is_file()
    return not anchor or anchor.startswith("__") or unquote(anchor) in pages[target].anchors


def _file_of(address: str) -> str:
    return unquote(address.partition("?")[0].partition("#")[0])
