"""Examples read from wherever people have them, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tinkex.errors import ValidationError
from tinkex.recipes.examples import ExampleFile
from tinkex.recipes.mistakes import Mistake, WrongFieldError, error_of
from tinkex.recipes.shapes import Shaper
from tinkex.recipes.sources import Data, rows_of

Form = Literal["examples", "pairs", "prompts"]


_SUCH_AS = {
    "examples": '{"prompt": "2+2=", "completion": "4"}',
    "pairs": '{"prompt": "2+2=", "chosen": "4", "rejected": "5"}',
    "prompts": '{"prompt": "2+2=", "answer": "4"}',
}


def read_examples(
    source: Data,
    *,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    form: Form = "examples",
) -> ExampleFile:
    """Read examples and check every one of them.

    >>> read_examples("orders.jsonl").examples[0]
    Completion(line=1, prompt='2 red cups to Rome', completion='{"count": 2}')

    An example is an object with ``messages``, with ``prompt`` and ``completion``, or with
    ``text``. The shapes of ShareGPT (``conversations``), Alpaca (``instruction``, ``input``,
    ``output``), Ultrachat, preference pairs (``chosen``, ``rejected``) and of TRL are read as well;
    for others name the columns. Shapes may be mixed; blank lines count nothing.

    Args:
        source: A file: JSON lines, a JSON array, CSV, TSV, Parquet or lines of text, each also
            compressed (gzip, zstd), recognized by its content; a folder that ``datasets`` saved; the
            name of a data set on the Hugging Face hub; "-" for standard input; or a list or an
            iterator of dicts, a pandas frame, a ``datasets.Dataset``.
        columns: Which column is what, by role: "prompt" and "completion"; "text"; "messages";
            "user", "assistant" and "system". Columns that are not named are ignored.
        split: The split of a data set on disk or on the hub; None is "train".
        form: What each row is to be: "examples" to imitate, "pairs" of a preferred and a rejected
            response, or "prompts", whose response, if there is one, is the reference answer.

    Raises:
        ValidationError: There are mistakes; each is named with file, line and field, or there is
            no example at all.
        MissingDependencyError: The format takes an extra that is not installed.
        OSError: The file cannot be read.
    """
    rows = rows_of(source, columns=columns, split=split)
    shaper = Shaper(columns)
    make = {"examples": shaper.example, "pairs": shaper.pair, "prompts": shaper.prompt}[form]
    examples: list[Any] = []
    mistakes: list[Mistake] = []
    for number, record in rows.records:
        try:
            if isinstance(record, WrongFieldError):
                raise record
            examples.append(make(number, record))
        except WrongFieldError as error:
            mistakes.append(Mistake(number, str(error)))
    if mistakes:
        raise error_of(mistakes, rows.name, rows.unit)
    if not examples:
        raise ValidationError(
            f"holds no example; write one JSON object a line, such as {_SUCH_AS[form]}",
            path=rows.name,
        )
    return ExampleFile(
        name=rows.name,
        examples=examples,
        ignored=dict(shaper.ignored),
        sha256=rows.sha256,
        unit=rows.unit,
        origin=rows.origin,
        notices=[*rows.notices, *shaper.notices],
        columns=columns,
        split=split,
    )
