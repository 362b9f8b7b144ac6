"""Examples to fine-tune on, read from wherever people have them, and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.finetune.mistakes import Mistake, WrongFieldError, error_of

if TYPE_CHECKING:
    from tinkex.finetune.sources import Data


@frozen
class Conversation:
    """A conversation, with how much each message counts.

    Attributes:
        line: Its number in the file, from 1.
        messages: What was said, as chat templates take it; the contents are texts.
        weights: For each message, how much the tokens of an answer count; 0 for all but the
            assistant's. A message says it itself with a ``weight``, else it is 1.
        tools: Descriptions of functions that the model may call.
    """

    line: int
    messages: Sequence[Mapping[str, Any]]
    weights: Sequence[float]
    tools: Sequence[Mapping[str, Any]] | None = None


@frozen
class Completion:
    """A text and what the model is to write after it.

    Attributes:
        line: Its number in the file, from 1.
        prompt: What the model reads.
        completion: What it is to write after it.
    """

    line: int
    prompt: str
    completion: str


@frozen
class Document:
    """A text that is learned from its beginning to its end.

    Attributes:
        line: Its number in the file, from 1.
        text: What the model is to write, all of it.
    """

    line: int
    text: str


Example = Conversation | Completion | Document


@frozen
class ExampleFile:
    """The examples of a file, a data set or a list.

    Attributes:
        name: What messages call it.
        examples: One for each line that is not blank.
        ignored: How many lines have each field that means nothing here, such as an ``id``.
        sha256: The digest of the file's bytes (of the rows, where there is no file), in hex.
        unit: What an example's number counts: "line", "row" or "item".
        origin: Where it can be read again: an absolute path, the name of a data set, "-" for
            standard input; None for objects of the program.
        notices: What was read in another way than the file says it, one sentence each.
        columns: Which column is what, if columns were named.
        split: The split of the data set, if one was named.
    """

    name: str = field(converter=str)
    examples: Sequence[Example]
    ignored: Mapping[str, int]
    sha256: str
    unit: str = "line"
    origin: str | None = None
    notices: Sequence[str] = ()
    columns: Mapping[str, str] | None = None
    split: str | None = None


def read_examples(
    source: Data, *, columns: Mapping[str, str] | None = None, split: str | None = None
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

    Raises:
        ValidationError: There are mistakes; each is named with file, line and field, or there is
            no example at all.
        MissingDependencyError: The format takes an extra that is not installed.
        OSError: The file cannot be read.
    """
    from tinkex.finetune.shapes import Shaper
    from tinkex.finetune.sources import rows_of

    rows = rows_of(source, columns=columns, split=split)
    shaper = Shaper(columns)
    examples: list[Example] = []
    mistakes: list[Mistake] = []
    for number, record in rows.records:
        try:
            if isinstance(record, WrongFieldError):
                raise record
            examples.append(shaper.example(number, record))
        except WrongFieldError as error:
            mistakes.append(Mistake(number, str(error)))
    if mistakes:
        raise error_of(mistakes, rows.name, rows.unit)
    if not examples:
        raise ValidationError(
            'holds no example; write one JSON object a line, such as {"prompt": "2+2=", '
            '"completion": "4"}',
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


def count_forms(examples: Sequence[Example]) -> dict[str, int]:
    """Return how many examples there are of each form, by the name of the form's class."""
    return dict(Counter(type(one).__name__.lower() for one in examples))
