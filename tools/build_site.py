"""Build the documentation site into build/site: `make docs`.

python tools/build_site.py             builds it, and fails on any warning
python tools/build_site.py --stage     only puts the pages together, in build/site-source

The pages of docs/ link to files beside it, as they must on a code host. Here README.md, CHANGELOG.md and
others become pages of the site, links to them follow, and other files that a page names are copied.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import reference
import yaml
from latex2mathml.converter import convert

from tinkex._base.version import __version__

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "site-source"
PAGES = SOURCE / "docs"
SITE = ROOT / "build" / "site"
# Pages that lie elsewhere in the repository, by their place on the site.
ELSEWHERE = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "codegen.md": "codegen/README.md",
    "benchmarks.md": "bench/README.md",
    "results.md": "bench/RESULTS.md",
    "examples.md": "examples/README.md",
}
# A folder that a page links to is shown by this page.
FOLDERS = {"examples": "examples.md", "bench": "benchmarks.md", "codegen": "codegen.md"}
LINK = re.compile(r"(\]\(|\]: |(?:href|src|srcset)=\")(?![a-z]+:|#)([^)\s#\"]+)")
FENCE = re.compile(r"^(```.*?^```|    .*?$)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(^```.*?^```|^    .*?$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
# As code hosts find them: $inline$ and $$in a line of its own$$.
FORMULA = re.compile(r"(?<![\w$])(\$\$?)(?!\s)([^$\n]+?)(?<!\s)\1(?![\w$])")


class SiteError(Exception):
    """A problem that prevents building the site."""


def origins() -> dict[str, Path]:
    """Return for each page of the site the file that it is made from."""
    own = {str(page.relative_to(ROOT / "docs")): page for page in (ROOT / "docs").rglob("*.md")}
    return {**own, **{place: ROOT / file for place, file in ELSEWHERE.items()}}


def with_links_that_lead(text: str, place: str, origin: Path, places: dict[Path, str]) -> str:
    """Point the links of a page at where their targets lie on the site, copying files that need it."""
    here = (PAGES / place).parent

    def moved(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(origin.parent / match[2]))
        if target in places:
            found = PAGES / places[target]
        elif target.is_relative_to(ROOT / "docs") and target.is_file():
            found = PAGES / target.relative_to(ROOT / "docs")
        elif target.is_dir() and target.name in FOLDERS:
            found = PAGES / FOLDERS[target.name]
        elif target.is_file() and target.is_relative_to(ROOT):
            found = PAGES / "files" / target.relative_to(ROOT)
            found.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, found)
        else:
            raise SiteError(f"{origin.relative_to(ROOT)} links to {match[2]}, which is not there")
        return match[1] + os.path.relpath(found, here)

    # Links are looked for outside code alone.
    parts = FENCE.split(text)
    return "".join(part if i % 2 else LINK.sub(moved, part) for i, part in enumerate(parts))


def with_formulas(text: str) -> str:
    """Write the LaTeX of a page as MathML, which browsers draw without a script or a font."""

    def drawn(match: re.Match[str]) -> str:
        if match[1] == "$$":
            return str(convert(match[2], display="block"))
        # At the beginning of a line Markdown takes <math> alone for a block.
        return f"<span>{convert(match[2])}</span>"

    # Every second part is code.
    parts = CODE.split(text)
    return "".join(part if i % 2 else FORMULA.sub(drawn, part) for i, part in enumerate(parts))


def index_with_links(text: str) -> str:
    """Link the names of the index of docs/api.md to their places in the reference."""
    places = reference.anchors()
    lines, owner = [], ""
    for line in text.splitlines():
        shown = line
        heading, item = re.match(r"### (\w+)$", line), re.match(r"- (`(\w+)[^`]*`)(.*)", line)
        if heading:
            owner = heading[1]
            shown = f"### [{owner}](reference/{places[owner]})"
        elif item and (place := places.get(f"{owner}.{item[2]}", places.get(item[2]))):
            shown = f"- [{item[1]}](reference/{place}){item[3]}"
        lines.append(shown)
    return "\n".join(lines) + "\n"


def with_reference(entries: list[Any], reference_pages: list[dict[str, str]]) -> list[Any]:
    """Return the navigation with the pages of the reference where it says so."""
    kept: list[Any] = []
    for entry in entries:
        if entry == "reference":
            kept.extend(reference_pages)
            continue
        [(title, value)] = entry.items()
        inside = with_reference(value, reference_pages) if isinstance(value, list) else value
        kept.append({title: inside})
    return kept


def repository_url() -> str | None:
    """Return the web address of the repository that this clone is of, None if it has none."""
    command = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.fullmatch(
        r"(?:https://(?:[^@/]*@)?|git@)([\w.-]+)[/:](.+?)(?:\.git)?", done.stdout.strip()
    )
    return f"https://{found[1]}/{found[2]}" if found else None


def write_examples(places: dict[Path, str]) -> set[str]:
    """Write a page with the source of each example, so that links to it show it; return the pages."""
    (PAGES / "examples").mkdir(parents=True)
    for file in sorted((ROOT / "examples").glob("*.py")):
        place = places[file] = f"examples/{file.stem}.md"
        source = file.read_text(encoding="utf-8")
        text = f"# {file.name}\n\n[All examples](../examples.md)\n\n```python\n{source}```\n"
        (PAGES / place).write_text(text, encoding="utf-8")
    return {place for place in places.values() if place.startswith("examples/")}


def listed(entries: list[Any]) -> set[str]:
    """Return every page that a navigation names."""
    found: set[str] = set()
    for entry in entries:
        for value in entry.values():
            found |= listed(value) if isinstance(value, list) else {value}
    return found


def stage() -> None:
    """Put all pages, and a configuration that fits them, into build/site-source."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES, ignore=shutil.ignore_patterns("*.md"))
    pages = origins()
    places = {origin: place for place, origin in pages.items()}
    texts = {place: origin.read_text(encoding="utf-8") for place, origin in pages.items()}
    examples = write_examples(places)
    for place, text in texts.items():
        (PAGES / place).parent.mkdir(parents=True, exist_ok=True)
        moved = with_formulas(with_links_that_lead(text, place, pages[place], places))
        if place == "api.md":
            moved = index_with_links(moved)
        (PAGES / place).write_text(moved, encoding="utf-8")
    titles = reference.write(PAGES / "reference")

    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages_of_it = [{title: f"reference/{file}"} for title, file in titles]
    settings["nav"] = with_reference(settings["nav"], pages_of_it)
    there = {str(page.relative_to(PAGES)) for page in PAGES.rglob("*.md")}
    named = listed(settings["nav"]) | examples
    if there != named:
        raise SiteError(f"the nav of mkdocs.yml and the pages differ in {sorted(there ^ named)}")
    settings["copyright"] = f"tinkex {__version__}"
    if repository := repository_url():
        settings["repo_url"], settings["repo_name"] = repository, "Source"
    (SOURCE / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def prefer_guides(index: Path) -> None:
    """Say in the search which hits are of the reference; a longer title also ranks below a guide's.

    The one-line index of docs/api.md, whose names are all in the reference, is left out, and so is
    a second entry of one place.
    """
    search = json.loads(index.read_text(encoding="utf-8"))
    places = {item["location"]: item for item in reversed(search["items"])}
    kept = [item for place, item in places.items() if not place.startswith("api.html#")][::-1]
    for item in kept:
        if item["location"].startswith("reference/"):
            item["title"] += " (reference)"
    index.write_text(json.dumps({**search, "items": kept}), encoding="utf-8")


def main() -> int:
    """Stage and build."""
    try:
        stage()
    except SiteError as error:
        print(f"error: {error}")
        return 1
    if "--stage" in sys.argv:
        return 0
    shutil.rmtree(SITE, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=SOURCE, check=False)
    if done.returncode == 0:
        shutil.move(SOURCE / "site", SITE)  # zensical writes inside its project alone
        prefer_guides(SITE / "search.json")
        place = SITE.relative_to(ROOT)
        print(f"The site is {place}/index.html; its search works where it is served:")
        print(f"  python3 -m http.server --directory {place}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
