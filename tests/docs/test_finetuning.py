"""The guide to fine-tuning without Python: its commands, typed one after the other."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from support.extent import ALL
from support.pages import fenced, type_in

from tinkex.recipes import read_examples

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "finetuning.md"
METHODS = ROOT / "docs" / "recipes.md"


def test_the_commands_of_the_guide_work(tmp_path: Path) -> None:
    """From copying the data set to an order that is parsed correctly, as typed in a fresh clone.

    In the short form it is trained for three quarters of an epoch.
    """
    shutil.copytree(ROOT / "examples/data", tmp_path / "examples/data")
    commands = [block for block in fenced(PAGE, "sh") if not block.startswith("pip ")]
    typed = "".join(commands)
    if not ALL:
        assert typed.count(" --sample ") == 1
        typed = typed.replace(" --sample ", " --steps 18 --sample ")
    done = type_in(typed, tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    shown, _, rest = done.stdout.partition("folder: ")
    assert 'assistant\n⟦{"count": 9, "color": "white"' in shown
    assert "tokens: 57 to 69 in an example (line 113)" in shown
    assert 'after: {"count": 5, "color": "green", "item": "hat", "city": "Tokyo"}' in rest
    asked = json.loads(done.stdout.splitlines()[-1])
    assert asked == {"count": 4, "color": "black", "item": "lamp", "city": "Rome"}
    assert (tmp_path / "runs/orders/training.png").read_bytes().startswith(b"\x89PNG")


def test_the_commands_of_the_methods_work(tmp_path: Path) -> None:
    """Two methods, what they left on the server, and what their weights say; in the short form of the smallest model."""
    shutil.copy(ROOT / "examples/data/preferences.jsonl", tmp_path)
    questions = (ROOT / "examples/data/questions.jsonl").read_text().splitlines(keepends=True)
    asked = len(questions) if ALL else 24
    (tmp_path / "questions.jsonl").write_text("".join(questions[:asked]))
    typed, steps = "".join(fenced(METHODS, "sh")), 4 if ALL else 2
    assert typed.count(" --steps 4 ") == 1
    typed = typed.replace(" --steps 4 ", f" --steps {steps} ")
    if not ALL:
        typed = typed.replace("tinkex/tiny-chat", "tinkex/nano")
    done = type_in(typed, tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validation margin: " in done.stdout
    assert re.search(rf"\tpreferences\tdpo\t{steps}\t", done.stdout)
    assert len((tmp_path / "responses.jsonl").read_text().splitlines()) == asked


def test_the_lines_that_the_guide_shows_can_be_read(tmp_path: Path) -> None:
    """All three of them, as they are printed."""
    file = tmp_path / "forms.jsonl"
    (lines,) = fenced(PAGE, "json")
    file.write_text(lines)
    assert len(read_examples(file).examples) == 3


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z][a-z-]*", PAGE.read_text()))))
def test_every_option_that_the_guide_names_exists(option: str) -> None:
    """Of train or of chat."""
    from tinkex.cli.chat import command as chat
    from tinkex.cli.train import command as train

    known = {name for one in (train, chat) for param in one.params for name in param.opts}
    assert option in known
