"""From a row in one of the shapes in use to an example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinkex.errors import ValidationError
from tinkex.recipes.examples import (
    Completion,
    Conversation,
    Document,
    Example,
    Preference,
    Prompt,
)
from tinkex.recipes.messages import conversation_of, listed, text_of
from tinkex.recipes.mistakes import WrongFieldError

Record = Mapping[str, Any]

ROLES = ("prompt", "completion", "text", "messages", "system", "user", "assistant")
"""What a column can be named as."""

_TURNS = "conversations"
_FIRST = {"system", "tools", "functions"}
# Each shape by the fields that only it has, with all that it reads.
_SHAPES: Mapping[str, tuple[set[str], set[str]]] = {
    "messages": ({"messages"}, {"messages", *_FIRST}),
    _TURNS: ({_TURNS, "conversation"}, {_TURNS, "conversation", *_FIRST}),
    "preference": ({"chosen"}, {"prompt", "chosen", *_FIRST}),
    "completion": ({"prompt", "completion"}, {"prompt", "completion", *_FIRST}),
    "instruction": (
        {"instruction", "input", "output"},
        {"instruction", "input", "output", "history", *_FIRST},
    ),
    "text": ({"text"}, {"text"}),
    "columns": ({"user", "assistant"}, {"user", "assistant", "system"}),
}


_PAIR = ("prompt", "chosen", "rejected", "system", "tools", "functions")


class Shaper:
    """Makes examples of rows, and counts what it leaves out.

    Attributes:
        ignored: How many rows have each field that means nothing here.
    """

    def __init__(self, columns: Mapping[str, str] | None = None) -> None:
        self.ignored: Counter[str] = Counter()
        self._columns = _checked(columns)
        self._preferences = 0
        self._makers: Mapping[str, Callable[[int, Record], Example]] = {
            "messages": self._messages,
            _TURNS: self._messages,
            "preference": self._preference,
            "completion": self._completion,
            "instruction": self._instruction,
            "text": lambda number, row: Document(number, text_of(row["text"], "text")),
            "columns": self._from_columns,
        }

    @property
    def notices(self) -> list[str]:
        """Return what was read in another way than a row says it."""
        said = (
            f"preference pairs ({self._preferences:,}): the chosen answers are learned, and the rejected "
            "ones are left out"
        )
        return [said] if self._preferences else []

    def example(self, number: int, record: Record) -> Example:
        """Return the example that a row is.

        Raises:
            WrongFieldError: The row is none.
        """
        row = self._renamed(record) if self._columns else record
        shape, fields = _shape_of(row)
        example = self._makers[shape](number, row)
        if isinstance(example, Completion):
            # Texts have no place for what stands before a conversation.
            fields = fields - _FIRST
        if self._columns:
            ignored = [name for name in record if name not in self._columns.values()]
        else:
            ignored = [name for name in row if name not in fields]
        self.ignored.update(ignored)
        self._preferences += shape == "preference"
        return example

    def pair(self, number: int, record: Record) -> Preference:
        """Return the preference that a row is.

        Raises:
            WrongFieldError: The row is none.
        """
        for name in ("chosen", "rejected"):
            if record.get(name) is None:
                known = ", ".join(list(record)[:5]) or "nothing"
                raise WrongFieldError(
                    name,
                    f"is missing (the row has {known}); a preference has prompt, chosen and rejected",
                )
        swapped = {**record, "chosen": record["rejected"], "rejected": record["chosen"]}
        only = {name: record[name] for name in _PAIR if name in record}
        self.ignored.update(name for name in record if name not in _PAIR)
        return Preference(
            number,
            self._preference(number, only),
            self._preference(number, {**only, **{k: swapped[k] for k in ("chosen", "rejected")}}),
        )

    def prompt(self, number: int, record: Record) -> Prompt:
        """Return the prompt that a row is; what is its response there is the reference answer.

        Raises:
            WrongFieldError: The row is none.
        """
        row = self._renamed(record) if self._columns else record
        unanswered = _unanswered(row)
        filled = row if unanswered is None else {**row, **unanswered}
        filled = {name: value for name, value in filled.items() if name != "answer"}
        shape, _ = _shape_of(filled)
        if shape == "preference":
            example: Example = self._preference(number, filled)
        else:
            example = self._makers[shape](number, filled)
        if isinstance(example, Document):
            return Prompt(number, None, example.text, _answer_in(record), record)
        if isinstance(example, Completion):
            answer = _answer_in(record) if unanswered is not None else example.completion
            return Prompt(number, None, example.prompt, answer, record)
        *messages, last = example.messages
        if last["role"] != "assistant" or not messages:
            raise WrongFieldError("messages", "must hold something to respond to")
        answer = _answer_in(record) if unanswered is not None else str(last["content"])
        return Prompt(number, messages, None, answer, record, example.tools)

    def _renamed(self, record: Record) -> Record:
        row = {}
        for role, column in self._columns.items():
            if column not in record:
                known = ", ".join(list(record)[:10]) or "nothing"
                raise WrongFieldError(column, f"is missing; the row has {known}")
            row[role] = record[column]
        return row

    def _messages(self, number: int, row: Record) -> Conversation:
        field = next(name for name in ("messages", _TURNS, "conversation") if name in row)
        return _with_first(number, row, row[field], path=field)

    def _preference(self, number: int, row: Record) -> Example:
        prompt, chosen = row.get("prompt"), row["chosen"]
        if isinstance(chosen, str) and not _is_json_list(chosen):
            return self._completion(number, {"prompt": prompt, "completion": chosen}, "chosen")
        answers = listed(chosen, "chosen")
        if prompt is None:
            rejected = row.get("rejected")
            others = listed(rejected, "rejected") if rejected is not None else []
            context = _common(answers, others) if others else len(answers) - 1
            return _with_first(number, row, answers, path="chosen", context=context)
        before = _prompt_messages(prompt)
        if answers[: len(before)] == before:
            answers = answers[len(before) :]
        return _with_first(number, row, [*before, *answers], path="chosen", context=len(before))

    def _completion(self, number: int, row: Record, name: str = "completion") -> Example:
        for one in ("prompt", name):
            if one not in row and one != "chosen":
                raise WrongFieldError(one, "is missing")
        prompt, completion = row["prompt"], row["completion"]
        if _is_messages(prompt) or _is_messages(completion):
            before = _prompt_messages(prompt)
            after = (
                listed(completion, name)
                if _is_messages(completion)
                else [{"role": "assistant", "content": completion}]
            )
            return _with_first(number, row, [*before, *after], path=name, context=len(before))
        return Completion(
            number,
            text_of(prompt, "prompt", may_be_empty=True),
            text_of(completion, name, may_be_blank=False),
        )

    def _instruction(self, number: int, row: Record) -> Conversation:
        if "output" not in row:
            raise WrongFieldError("output", "is missing")
        parts = [
            text_of(row[name], name, may_be_empty=True)
            for name in ("instruction", "input")
            if row.get(name) is not None
        ]
        asked = "\n\n".join(part for part in parts if part)
        if not asked:
            raise WrongFieldError("instruction", "is empty, and so is input: nothing is asked")
        return _chat(number, row, asked, row["output"], "output")

    def _from_columns(self, number: int, row: Record) -> Conversation:
        for name in ("user", "assistant"):
            if name not in row:
                raise WrongFieldError(name, "is missing: a conversation has both columns")
        return _chat(number, row, text_of(row["user"], "user"), row["assistant"], "assistant")


def _checked(columns: Mapping[str, str] | None) -> Mapping[str, str]:
    for role in columns or {}:
        if role not in ROLES:
            raise ValidationError(f"must be among {', '.join(ROLES)}, not {role!r}", path="columns")
    found = dict(columns or {})
    kinds = [{"prompt", "completion"}, {"text"}, {"messages"}, {"user", "assistant"}]
    given = [kind for kind in kinds if kind & set(found)]
    if found and len(given) != 1:
        raise ValidationError(
            "must name one of: prompt and completion; text; messages; user and assistant",
            path="columns",
        )
    if found and (missing := given[0] - set(found)):
        raise ValidationError(f"also need a column for {min(missing)}", path="columns")
    if "system" in found and given[0] != {"user", "assistant"}:
        raise ValidationError("system goes with user and assistant", path="columns")
    return found


def _shape_of(row: Record) -> tuple[str, set[str]]:
    """Return the shape that a row has, and the fields that it reads."""
    shapes = [name for name, (own, _) in _SHAPES.items() if own & row.keys()]
    if not {"user", "assistant"} <= row.keys() and "columns" in shapes:
        shapes.remove("columns")
    if not shapes:
        known = ", ".join(list(row)[:5]) or "nothing"
        raise WrongFieldError(
            "",
            f"has neither messages, nor prompt and completion, nor text (it has {known}); name its "
            "columns (--prompt-column and --completion-column, for example), or rename them",
        )
    fields = {name: _SHAPES[name][1] for name in shapes}
    if len(shapes) > 1:
        _settle(row, shapes)
    if len(shapes) > 1:
        names = sorted({one for name in shapes for one in _SHAPES[name][0] & row.keys()})
        raise WrongFieldError(
            "",
            f"has {' and '.join(names)}, which are different forms; keep one of them, or name its "
            "columns",
        )
    return shapes[0], fields[shapes[0]]


def _settle(row: Record, shapes: list[str]) -> None:
    """Leave one shape where the others only say the same again, as some known data sets do."""
    if "preference" in shapes and "completion" in shapes and "completion" not in row:
        shapes.remove("completion")
    if {"preference", "messages"} <= set(shapes) and row["messages"] == row["chosen"]:
        shapes.remove("messages")
    if "completion" in shapes and "messages" in shapes and "completion" not in row:
        said = [
            one.get("content")
            for one in listed(row["messages"], "messages")
            if isinstance(one, dict)
        ]
        if row["prompt"] is None or row["prompt"] in said:
            shapes.remove("completion")
    if "instruction" in shapes and "text" in shapes and isinstance(row["text"], str):
        parts = [row.get(name) or "" for name in ("instruction", "output")]
        if all(isinstance(part, str) and part in row["text"] for part in parts):
            shapes.remove("text")


def _with_first(number: int, row: Record, turns: Any, path: str, context: int = 0) -> Conversation:
    """Return a conversation, after the system's message that has a field of its own."""
    messages = listed(turns, path)
    tools = row.get("tools") or row.get("functions")
    if row.get("tools") and row.get("functions"):
        raise WrongFieldError("functions", "is given, and so is tools; keep one of them")
    system = row.get("system")
    if system is not None and text_of(system, "system", may_be_empty=True):
        if any(isinstance(one, dict) and one.get("role") == "system" for one in messages):
            raise WrongFieldError("system", "is given, and so is a message with that role")
        messages = [{"role": "system", "content": system}, *messages]
        context += context > 0
    return conversation_of(number, messages, tools, path=path, context=context)


def _chat(number: int, row: Record, asked: str, answer: Any, path: str) -> Conversation:
    text_of(answer, path, may_be_blank=False)
    before: list[Any] = []
    for index, turn in enumerate(row.get("history") or []):
        if not isinstance(turn, list | tuple) or len(turn) != 2:
            raise WrongFieldError(f"history[{index}]", "must be a question and its answer")
        before.append({"role": "user", "content": turn[0]})
        before.append({"role": "assistant", "content": turn[1]})
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return _with_first(number, row, [*before, *said], path="messages")


def _prompt_messages(prompt: Any) -> list[Any]:
    if isinstance(prompt, str) and not _is_json_list(prompt):
        return [{"role": "user", "content": prompt}]
    return listed(prompt, "prompt")


def _is_messages(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and _is_json_list(value))


def _is_json_list(text: str) -> bool:
    """Return whether a text is a list of messages, as tables have them."""
    return text.lstrip().startswith("[{") and text.rstrip().endswith("}]") and '"role"' in text


def _unanswered(row: Record) -> Record | None:
    """Return the fields that complete a row which has nothing but a prompt; None if it has more."""
    for name in ("messages", _TURNS, "conversation"):
        turns = row.get(name)
        if isinstance(turns, str) and _is_json_list(turns):
            turns = listed(turns, name)
        if isinstance(turns, list) and turns and isinstance(turns[-1], dict):
            role = turns[-1].get("role", turns[-1].get("from"))
            if role in ("assistant", "gpt", "model", "bot"):
                return None
            key, content = ("from", "value") if "from" in turns[-1] else ("role", "content")
            return {name: [*turns, {key: "assistant" if key == "role" else "gpt", content: "?"}]}
    if "prompt" in row and not {"completion", "chosen"} & row.keys():
        return {"completion": "?"}
    if "user" in row and "assistant" not in row:
        return {"assistant": "?"}
    if "instruction" in row and "output" not in row:
        return {"output": "?"}
    return None


def _answer_in(row: Record) -> str | None:
    """Return the reference answer of a row whose prompt has none in its shape."""
    answer = row.get("answer")
    return None if answer is None else str(answer)


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
