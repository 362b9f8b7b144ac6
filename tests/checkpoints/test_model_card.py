"""A model card is what it is meant to be, whatever the server's strings hold."""

from __future__ import annotations

import ast
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tinkex.checkpoints.model_card import LONGEST_TEXT, model_card
from tinkex.types import CheckpointPath, WeightsInfoResponse

INFO = WeightsInfoResponse(base_model="org/base", is_lora=True, lora_rank=8)
PATH = CheckpointPath.parse("tinker://run-1:train:0/sampler_weights/final")
HOSTILE = [
    'x"\nlicense: mit',
    "x: y\n---\n# Mine",
    "`</code><script>alert(1)</script>",
    "```\n[click](https://evil.example)",
    "!!python/object/apply:os.system ['true']",
    "a\u2028b\x1b[2J\u202e",
    "x" * 100_000,
    "{{ template }} ${env}",
    "\U0001f600 'quoted' \\",
    "",
]


def parts_of(card: str) -> tuple[dict[str, object], str]:
    """Return front matter and page, as a reader of the format takes them apart."""
    found = re.fullmatch(r"---\n(.*?)\n---\n(.*)", card, re.DOTALL)
    assert found
    return yaml.safe_load(found[1]), found[2]


def hold(card: str, path: CheckpointPath) -> None:
    """Hold what is so of every card."""
    front, page = parts_of(card)
    assert set(front) <= {"base_model", "library_name", "tags", "tinker_path"}
    assert front["library_name"] == "peft"
    assert front["tags"] == ["tinker", "peft", "lora"]
    assert str(front["tinker_path"]).startswith("tinker://")
    assert max(map(len, card.splitlines())) < 10 * LONGEST_TEXT + 500
    # Exactly our own headings and our own block of code, and no text of theirs outside of spans.
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings[1:] == ["## Usage", "## Details"]
    assert page.count("```") == 2
    code = re.search(r"```python\n(.*?)\n```", page, re.DOTALL)
    assert code
    calls = [node for node in ast.walk(ast.parse(code[1])) if isinstance(node, ast.Call)]
    assert len(calls) == 2
    prose = re.sub(r"```python\n.*?\n```", "", page, flags=re.DOTALL)
    assert prose.count("`") % 2 == 0
    outside = re.sub(r"`[^`\n]*`", "", prose)
    assert not re.search(r"[<>\[\]!{}$|\\\"']", outside)
    assert all(letter.isprintable() or letter == "\n" for letter in card)


@pytest.mark.holds("S20")
@pytest.mark.parametrize("text", HOSTILE, ids=[f"hostile {i}" for i in range(len(HOSTILE))])
def test_hostile_text_stays_text(text: str) -> None:
    """S20: it adds no key to the front matter, and no heading, link, or markup to the page."""
    info = WeightsInfoResponse(base_model=text, is_lora=True)
    hold(model_card(PATH, info, text, "me/adapter", [text]), PATH)


@pytest.mark.holds("S20")
@given(st.text(max_size=300), st.lists(st.text(max_size=40), max_size=40))
def test_any_text_stays_text(text: str, modules: list[str]) -> None:
    """S20: whatever the base model and the layers are called, the card has the same parts."""
    hold(model_card(PATH, INFO, text, "me/adapter", modules), PATH)


@pytest.mark.holds("S20")
@given(st.text(min_size=1, max_size=80))
@example('a"b')
@example("a':b#{}")
def test_any_checkpoint_name_comes_back_from_the_front_matter(name: str) -> None:
    """S20: a path that is printable and short is read back as it is."""
    try:
        path = CheckpointPath("run", "weights", name)
    except ValueError:
        return
    card = model_card(path, INFO, "org/base", "me/adapter")
    hold(card, path)
    front, _ = parts_of(card)
    if name.isprintable() and not name.isspace():
        assert front["tinker_path"] == str(path)


def test_a_base_model_that_is_no_repository_is_not_linked() -> None:
    """The hub refuses a card whose base model cannot be a repository; it stands in the page alone."""
    for base, linked in (("org/base", True), ("/srv/models/base", False), ("unknown model", False)):
        front, page = parts_of(model_card(PATH, INFO, base, "me/adapter"))
        assert ("base_model" in front) == linked
        assert f"`{base}`" in page
