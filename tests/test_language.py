"""The language of the code: the terms of the field, and docstrings of one form."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REVIEWED = ["codegen", "tinkex"]
# Instead: again, continue or resume, response, the caller, indefinitely, during, the result, atomic,
# emitted or subscribed, custom, invalid, available.
WORDS = re.compile(
    r"\b(anew|once more|afresh|taken up|(?:go|going|went) on (?:with|from|as)|goes on|answer(?:s|ed|ing)?"
    r"|whoever|whomever|nobody|somebody|anybody|for ever|in the midst|(?:came|comes?|become) of"
    r"|whole or not at all|in one piece|heard|hears? of|(?:is|are|was|were) told|of one's own"
    r"|cannot be right|is to be had)\b",
    re.IGNORECASE,
)
# A class is a thing, so its docstring is a noun phrase or, for errors and events, what happened.
OF_A_CLASS = re.compile(
    r"(Be|Hold|Tell|Say|Let|Give|Make|Keep|Set|Bring|Name|Describe|Report|Return)\b"
)
OF_A_FUNCTION = re.compile(r"(Be|Tell|Say|Let|Give|Whether)\b")
# A model answers, and so does a user at a prompt: here the word is of the subject.
ANSWERS = ("tinkex/recipes", "tinkex/cli", "tinkex/local/page")
# Lines in which such a word is the right one: the file, and the line without its indentation.
RIGHT: set[tuple[str, str]] = {("tinkex/local/routes/keys.py", '"nobody@localhost"')}


def files() -> list[Path]:
    """Return the modules whose language was reviewed."""
    paths = [ROOT / name for name in REVIEWED]
    return [
        file
        for path in paths
        for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))
    ]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments and the string literals of a module, each line by itself."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING) or token.type == getattr(
            tokenize, "FSTRING_MIDDLE", -1
        ):
            for offset, line in enumerate(token.string.split("\n")):
                yield token.start[0] + offset, line.strip()


def docstrings(source: str) -> Iterator[tuple[int, str, re.Pattern[str]]]:
    """Yield each docstring with the pattern of the words that may not begin it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                is_class = isinstance(node, ast.ClassDef)
                yield node.lineno, text, OF_A_CLASS if is_class else OF_A_FUNCTION


def is_wrong(word: str, name: str) -> bool:
    return not (word.lower().startswith("answer") and name.startswith(ANSWERS))


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_speaks_the_language_of_the_field(path: Path) -> None:
    """No word that has a usual term is in its comments, docstrings and messages."""
    name = path.relative_to(ROOT).as_posix()
    source = path.read_text("utf-8")
    found = [
        f"{name}:{number}: {line}"
        for number, line in prose(source)
        if any(is_wrong(match.group(), name) for match in WORDS.finditer(line))
        and (name, line) not in RIGHT
    ]
    found += [
        f"{name}:{number}: {text.splitlines()[0]}"
        for number, text, pattern in docstrings(source)
        if pattern.match(text)
    ]
    assert found == []
