"""The site in a real browser: chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
# Words of the tables that stand on more than one line.
BROKEN = r"""() => {
  const broken = [];
  for (const cell of document.querySelectorAll('.md-typeset table td, .md-typeset table th')) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode());) {
      for (const word of text.data.matchAll(/\w+/g)) {
        const range = document.createRange();
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
        if (lines.size > 1 && !text.parentElement.closest('math')) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Open one browser for all tests of the file."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def test_tables_break_no_word(browser: Browser, built_site: Path) -> None:
    """At 1,400 pixels every name in a table of the guides stands on one line."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    found = {}
    guides = sorted(built_site.glob("*.html"))
    with_tables = [file for file in guides if "<table" in file.read_text(encoding="utf-8")]
    assert with_tables
    for file in with_tables:
        page.goto(file.as_uri())
        if broken := page.evaluate(BROKEN):
            found[file.name] = broken
    page.close()
    assert found == {}


@pytest.mark.parametrize("width", [390, 1400])
def test_the_first_picture_fits(width: int, browser: Browser, built_site: Path) -> None:
    """It is seen as a whole, on a phone in the form that is made for it."""
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto((built_site / "index.html").as_uri())
    picture = page.locator(".md-content img").first
    picture.wait_for()
    box = picture.bounding_box()
    shown = str(picture.evaluate("image => image.currentSrc")).rpartition("/")[2]
    page.close()
    assert box is not None
    assert box["x"] + box["width"] <= width
    assert shown == ("training-run-narrow.svg" if width == 390 else "training-run.svg")
