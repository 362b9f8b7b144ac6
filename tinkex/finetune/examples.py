"""Examples to fine-tune on, read from the lines of a JSONL file and checked."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tinkex.errors import ValidationError

ROLES = ("system", "developer", "user", "assistant", "tool")
# As many mistakes are named at once; who has more made one of them in every line.
_SHOWN = 10


@frozen
class Conversation:
    """Hold a line of the form ``{"messages": [{"role": ..., "content": ...}, ...]}``.

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
    """Hold a line of the form ``{"prompt": "...", "completion": "..."}``.

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
    """Hold a line of the form ``{"text": "..."}``.

    Attributes:
        line: Its number in the file, from 1.
        text: What the model is to write, all of it.
    """

    line: int
    text: str


Example = Conversation | Completion | Document


@frozen
class ExampleFile:
    """Hold what a file says.

    Attributes:
        path: The file.
        examples: One for each line that is not blank.
        ignored: How often each field stood there that means nothing here, such as an ``id``.
        sha256: The digest of the file's bytes, in hex.
    """

    path: Path
    examples: Sequence[Example]
    ignored: Mapping[str, int]
    sha256: str


class _WrongFieldError(Exception):
    """Carry the place of a mistake within a line, and what is wrong there."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)


def read_examples(path: str | Path) -> ExampleFile:
    """Read a JSONL file of examples and check every line of it.

    >>> read_examples("orders.jsonl").examples[0]
    Completion(line=1, prompt='2 red cups to Rome', completion='{"count": 2}')

    Each line is a JSON object with ``messages``, with ``prompt`` and ``completion``, or with
    ``text``; the forms may be mixed. Blank lines count nothing.

    Args:
        path: A file in UTF-8.

    Raises:
        ValidationError: There are mistakes; each is named with file, line and field (the first ten
            of them), or there is no example at all.
        OSError: The file cannot be read.
    """
    file = Path(path)
    content = file.read_bytes()
    examples: list[Example] = []
    ignored: Counter[str] = Counter()
    mistakes: list[str] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = _record(line)
            examples.append(_example(number, record, ignored))
        except _WrongFieldError as error:
            mistakes.append(f"{file}:{number}: {error}")
    if mistakes:
        more = len(mistakes) - _SHOWN
        tail = [f"... and {more:,} more lines with mistakes"] if more > 0 else []
        raise ValidationError("\n".join([*mistakes[:_SHOWN], *tail]))
    if not examples:
        raise ValidationError(
            'holds no example; write one JSON object a line, such as {"prompt": "2+2=", '
            '"completion": "4"}',
            path=str(file),
        )
    return ExampleFile(file, examples, dict(ignored), hashlib.sha256(content).hexdigest())


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise _WrongFieldError("", f"byte {error.start + 1} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _WrongFieldError(
            "", f"no JSON: {error.msg} at column {error.colno}; each line is one whole object"
        ) from None
    except (RecursionError, ValueError) as error:
        raise _WrongFieldError("", f"no JSON that can be read: {error!s:.100}") from None
    if not isinstance(record, dict):
        raise _WrongFieldError("", f"is a JSON {_kind(record)}, and must be an object")
    return record


_FORMS: Mapping[str, frozenset[str]] = {
    "messages": frozenset({"messages", "tools"}),
    "completion": frozenset({"prompt", "completion"}),
    "prompt": frozenset({"prompt", "completion"}),
    "text": frozenset({"text"}),
}


def _example(number: int, record: dict[str, Any], ignored: Counter[str]) -> Example:
    forms = [name for name in _FORMS if name in record]
    if not forms:
        known = ", ".join(list(record)[:5]) or "nothing"
        raise _WrongFieldError(
            "", f"has neither messages, nor prompt and completion, nor text (it has {known})"
        )
    fields = _FORMS[forms[0]]
    if not set(forms) <= fields:
        raise _WrongFieldError(
            "", f"has {' and '.join(sorted(forms))}, which are different forms; keep one of them"
        )
    ignored.update(name for name in record if name not in fields)
    if "messages" in fields:
        return _conversation(number, record)
    if "text" in fields:
        return Document(number, _text(record["text"], "text"))
    for name in ("prompt", "completion"):
        if name not in record:
            raise _WrongFieldError(name, "is missing")
    prompt = _text(record["prompt"], "prompt", may_be_empty=True)
    return Completion(number, prompt, _text(record["completion"], "completion"))


def _conversation(number: int, record: dict[str, Any]) -> Conversation:
    messages = record["messages"]
    if not isinstance(messages, list) or not messages:
        raise _WrongFieldError("messages", "must be a list of at least one message")
    tools = record.get("tools")
    if tools is not None and not (
        isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)
    ):
        raise _WrongFieldError("tools", "must be a list of objects")
    read = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    weights = [weight for _, weight in read]
    if not any(weights):
        has_answer = any(message["role"] == "assistant" for message, _ in read)
        raise _WrongFieldError(
            "messages",
            "every message of the assistant has weight 0: nothing to learn"
            if has_answer
            else "no message has the role assistant: nothing to learn",
        )
    return Conversation(number, [message for message, _ in read], weights, tools or None)


def _message(message: Any, path: str) -> tuple[dict[str, Any], float]:
    if not isinstance(message, dict):
        raise _WrongFieldError(path, f"must be an object, not a {_kind(message)}")
    role = message.get("role")
    if role not in ROLES:
        given = f"not {role!r:.50}" if "role" in message else "and is missing"
        raise _WrongFieldError(f"{path}.role", f"must be one of {', '.join(ROLES)}, {given}")
    weight = message.get("weight", 1 if role == "assistant" else 0)
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not number or not 0 <= weight < math.inf:
        raise _WrongFieldError(f"{path}.weight", f"must be a number of at least 0, not {weight!r}")
    if weight and role != "assistant":
        raise _WrongFieldError(
            f"{path}.weight", f"must be 0 or left out: a {role} message is no answer to learn"
        )
    content = message.get("content")
    if content is None and role == "assistant" and message.get("tool_calls"):
        text = ""
    else:
        text = _content(content, f"{path}.content", may_be_empty=role != "assistant")
    kept = {name: value for name, value in message.items() if name != "weight"}
    return {**kept, "content": text}, float(weight)


def _content(value: Any, path: str, may_be_empty: bool) -> str:
    if not isinstance(value, list):
        return _text(value, path, may_be_empty)
    parts = []
    for index, part in enumerate(value):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise _WrongFieldError(
                f"{path}[{index}]", 'must be {"type": "text", "text": "..."}: only text is trained'
            )
        parts.append(_text(part.get("text"), f"{path}[{index}].text", may_be_empty=True))
    return _text("".join(parts), path, may_be_empty)


def _text(value: Any, path: str, may_be_empty: bool = False) -> str:
    if not isinstance(value, str):
        raise _WrongFieldError(path, f"must be a text, not {_kind(value)}")
    if not value and not may_be_empty:
        raise _WrongFieldError(path, "is empty: nothing to learn")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _WrongFieldError(
            path, f"holds half of a surrogate pair at position {error.start}, which is no character"
        ) from None
    return value


def _kind(value: Any) -> str:
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        ((int, float), "number"),
        (str, "string"),
        (list, "list"),
        (dict, "object"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def count_forms(examples: Sequence[Example]) -> dict[str, int]:
    """Return how many examples there are of each form, by the name of the form's class."""
    return dict(Counter(type(one).__name__.lower() for one in examples))
