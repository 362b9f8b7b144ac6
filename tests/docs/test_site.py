"""The documentation site builds without a warning, is complete, and needs no other host."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import reference

ROOT = Path(__file__).parents[2]

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """Collect the ids of a page, its links, and what a browser loads for it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if given.get(LOADED.get(tag, "")) and given.get("rel") != "canonical":
            self.loaded.append(given[LOADED[tag]] or "")


@pytest.fixture(scope="module")
def site(built_site: Path) -> dict[str, Page]:
    """Return the pages of the site by their place."""
    return {str(page.relative_to(built_site)): Page(page) for page in built_site.rglob("*.html")}


def test_every_page_of_docs_is_on_the_site(site: dict[str, Page]) -> None:
    """Nothing that was written is left out."""
    written = {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")}
    assert written | {"index.html", "changelog.html", "results.html"} <= site.keys()


def test_nothing_is_loaded_from_other_hosts(site: dict[str, Page]) -> None:
    """The site can be read offline: no font, script, style or picture of another host."""
    foreign = [
        url for page in site.values() for url in page.loaded if re.match("(https?:)?//", url)
    ]
    assert not foreign


def test_formulas_are_drawn_by_the_browser(built_site: Path) -> None:
    """The LaTeX of a page became MathML; none of it is left as it was written."""
    page = (built_site / "losses.html").read_text(encoding="utf-8")
    assert page.count("<math") > 40
    assert 'display="block"' in page
    text = re.sub("<(pre|code|script|style).*?</\\1>", "", page, flags=re.DOTALL)
    assert "$" not in text
    assert "\\sum" not in text


def test_links_lead_to_pages_and_headings(built_site: Path, site: dict[str, Page]) -> None:
    """Every link within the site names a file that is there and, after #, an id of that page."""
    for place, page in site.items():
        if place == "404.html":
            continue
        for link in page.links:
            target, _, anchor = html.unescape(link).partition("#")
            if re.match("[a-z]+:", target):
                continue
            file = (built_site / place).parent / target if target else built_site / place
            is_page = file.suffix or file.is_file()
            file = file.resolve() if is_page else file.resolve() / "index.html"
            assert file.exists(), f"{place} links to {link}"
            if anchor and anchor != "__skip" and file.suffix == ".html":
                ids = site[str(file.relative_to(built_site.resolve()))].ids
                assert anchor in ids, f"{place} links to {link}"


def test_every_public_name_has_its_place_in_the_reference(site: dict[str, Page]) -> None:
    """Each public name and each of its methods has a heading."""
    for place in set(reference.anchors().values()):
        file, _, anchor = place.partition("#")
        assert anchor in site[f"reference/{file.removesuffix('.md')}.html"].ids, place
