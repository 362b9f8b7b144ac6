"""What a model is trained on: conversations, completions, documents, preferences and prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from tinkex._base.notebook import Prose, table

# Examples of a file that a notebook shows.
_FIRST = 5


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

    def _repr_html_(self) -> str:
        rows = [
            (message.get("role"), _prose(message.get("content")), weight)
            for message, weight in zip(self.messages, self.weights, strict=True)
        ]
        return table(("role", "content", "weight"), rows)


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

    def _repr_html_(self) -> str:
        return table(("prompt", "completion"), [(_prose(self.prompt), _prose(self.completion))])


@frozen
class Document:
    """A text that is learned from its beginning to its end.

    Attributes:
        line: Its number in the file, from 1.
        text: What the model is to write, all of it.
    """

    line: int
    text: str

    def _repr_html_(self) -> str:
        return table(("text",), [(_prose(self.text),)])


Example = Conversation | Completion | Document


@frozen
class Preference:
    """Two responses to one prompt, one of which is preferred.

    Attributes:
        line: Its number in the file, from 1.
        chosen: The prompt with the preferred response.
        rejected: The prompt with the other one.
    """

    line: int
    chosen: Example
    rejected: Example

    def _repr_html_(self) -> str:
        return (
            f"<p>chosen</p>{self.chosen._repr_html_()}<p>rejected</p>{self.rejected._repr_html_()}"
        )


@frozen
class Prompt:
    """What a model is to respond to, and what is known of a right response.

    Attributes:
        line: Its number in the file, from 1.
        messages: The conversation so far; None for a prompt that is a text.
        text: The text; None for a conversation.
        answer: The reference response, if the row has one: the assistant's last message, a
            ``completion`` or an ``answer``.
        row: The whole row, as it was read.
        tools: Descriptions of functions that the model may call.
    """

    line: int
    messages: Sequence[Mapping[str, Any]] | None
    text: str | None
    answer: str | None
    row: Mapping[str, Any]
    tools: Sequence[Mapping[str, Any]] | None = None

    def _repr_html_(self) -> str:
        messages = self.messages or [{"role": "prompt", "content": self.text}]
        rows = [(one.get("role"), _prose(one.get("content"))) for one in messages]
        return table(("role", "content"), [*rows, ("reference answer", _prose(self.answer))])

    def answered(self, answer: str) -> Example:
        """Return the example that a response makes of the prompt."""
        if self.messages is None:
            return Completion(self.line, str(self.text), answer)
        messages = [*self.messages, {"role": "assistant", "content": answer}]
        weights = [0.0] * len(self.messages) + [1.0]
        return Conversation(self.line, messages, weights, self.tools)


@frozen
class ExampleFile:
    """The examples of a file, a data set or a list.

    Attributes:
        name: What messages call it.
        examples: One for each line that is not blank: each an `Example`, a `Preference` or a
            `Prompt`, as was asked for.
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
    examples: Sequence[Any] = field(repr=lambda examples: f"<{len(examples)}>")
    ignored: Mapping[str, int]
    sha256: str
    unit: str = "line"
    origin: str | None = None
    notices: Sequence[str] = ()
    columns: Mapping[str, str] | None = None
    split: str | None = None

    def _repr_html_(self) -> str:
        """Return a table for notebooks: the first examples, a row each, and how many there are."""
        rows = [(one.line, type(one).__name__, *_ends(one)) for one in self.examples[:_FIRST]]
        count = f"<p>{len(self.examples)} examples; the first {len(rows)}:</p>"
        return count + table((self.unit, "form", "begins", "ends"), rows)


def _ends(example: Any) -> tuple[str, str]:
    """Return what an example begins and ends with, for a row of a table."""
    match example:
        case Conversation(messages=messages):
            return str(messages[0].get("content")), str(messages[-1].get("content"))
        case Completion(prompt=prompt, completion=completion):
            return prompt, completion
        case Document(text=text):
            return text, ""
        case Preference(chosen=chosen):
            return _ends(chosen)
    messages = example.messages or [{"content": example.text}]
    return str(messages[0].get("content")), str(example.answer or "")


def _prose(value: Any) -> Any:
    return Prose(value) if isinstance(value, str) else value


def count_forms(examples: Sequence[Any]) -> dict[str, int]:
    """Return how many examples there are of each form, by the name of the form's class."""
    return dict(Counter(type(one).__name__.lower() for one in examples))
