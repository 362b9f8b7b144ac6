"""Conversations as text in which the answers are found, and what the text leaves out."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from tinkex.errors import TokenizerError
from tinkex.recipes.coverage import unwritten
from tinkex.recipes.examples import Conversation
from tinkex.recipes.formats import ChatFormat, end_of_answer
from tinkex.recipes.messages import REASONING, REASONING_NAMES
from tinkex.recipes.mistakes import WrongFieldError, ranges
from tinkex.recipes.texts import parsed

_QUESTION = {"role": "user", "content": "A question?"}
_OTHER_ANSWER = {"role": "assistant", "content": "\N{BLACK SQUARE}"}


@frozen
class Span:
    """A stretch of text and how much its tokens count.

    Attributes:
        begin: Its first character.
        end: The character after its last one.
        weight: The weight of each of its tokens.
    """

    begin: int
    end: int
    weight: float


@frozen
class Rendered:
    """A text and the answers in it.

    Attributes:
        text: All of it, as the template writes it.
        spans: The answers, in their order, each with the token that ends it.
    """

    text: str
    spans: tuple[Span, ...]


@frozen
class _Spelling:
    """What templates of different dialects call the same thing, found out by rendering.

    Attributes:
        arguments: Whether a call's arguments are an "object" or a "text".
        reasoning: The field of thoughts.
        developer: The role of the developer's message.
    """

    arguments: str = "object"
    reasoning: str = REASONING
    developer: str = "developer"

    def of(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return messages so spelled."""
        return [self._message(message) for message in messages]

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        made = {
            self.reasoning if name == REASONING else name: value for name, value in message.items()
        }
        if made["role"] == "developer":
            made["role"] = self.developer
        if "tool_calls" in made:
            made["tool_calls"] = [self._call(call) for call in made["tool_calls"]]
        return made

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = call.get("function", {})
        if "arguments" not in function:
            return dict(call)
        given = function["arguments"]
        if self.arguments == "object":
            given = parsed(given) if isinstance(given, str) else given
        elif not isinstance(given, str):
            given = json.dumps(given, ensure_ascii=False)
        return {**call, "function": {**function, "arguments": given}}


@frozen
class _Written:
    """A conversation as its template writes it.

    Attributes:
        rendered: Its texts.
        included: So many of its messages are in them.
        openings: What the template begins answers with when it asks for them, and these do not.
    """

    rendered: Sequence[Rendered]
    included: int
    openings: Collection[str]

    @property
    def texts(self) -> list[str]:
        """Return the texts without the spans."""
        return [one.text for one in self.rendered]


@frozen
class _Attempt:
    """A conversation in one spelling, and what is wrong with that.

    Attributes:
        written: What the template writes.
        problems: Fields that the template does not write, and values that it garbles.
        counted: Fields without a meaning for the model that it does not write.
    """

    written: _Written
    problems: Mapping[str, str]
    counted: Collection[str] = ()


class Renderer:
    """Renders conversations, and keeps count of what is worth a notice.

    Attributes:
        ignored: How many lines have each field that the template does not write.
        trailing: Lines whose last messages follow everything that is learned, and are left out.
        endless: Lines with an answer that no special token ends.
        repeated: Lines whose answers bring the end token along.
        controls: Control tokens that stand in messages, by token, with their lines.
        openings: What the template begins answers with when it asks for one, and the answers of
            these lines do not begin with, by text.
    """

    def __init__(
        self,
        chat: ChatFormat,
        special_tokens: Sequence[str],
        *,
        end: str = "",
        ignore_fields: Collection[str] = (),
        keeps_all: bool = False,
    ) -> None:
        self._chat = chat
        self._special = list(special_tokens)
        marks = "|".join(map(re.escape, sorted(special_tokens, key=len, reverse=True)))
        self._control = re.compile(marks) if marks else None
        self._accepted = {REASONING if name in REASONING_NAMES else name for name in ignore_fields}
        self._keeps_all = keeps_all
        self._ends = _ends(chat, self._special, end)
        self._spelling = _Spelling()
        self.ignored: Counter[str] = Counter()
        self.trailing: list[int] = []
        self.endless: list[int] = []
        self.repeated: list[int] = []
        self.controls: dict[str, list[int]] = {}
        self.openings: dict[str, list[int]] = {}

    def notices(self, unit: str) -> Iterator[str]:
        """Yield what to know of all conversations before training on them."""
        label = self._chat.label
        if self.endless:
            yield (
                f"{label} ends answers with no special token, so the model does not learn where to "
                f"stop ({ranges(self.endless, unit)})"
            )
        for opening, lines in self.openings.items():
            yield (
                f"{label} begins an answer with {opening!r} when it asks for one, and the answers of "
                f"{ranges(lines, unit)} do not begin so"
            )
        if self.repeated:
            yield (
                "an answer brings along the token that ends it, which is taken once "
                f"({ranges(self.repeated, unit)})"
            )
        if self.trailing:
            yield (
                "messages after the last answer are left out, since nothing after it is learned "
                f"({ranges(self.trailing, unit)})"
            )
        for token, lines in self.controls.items():
            yield (
                f"{token} stands in what is said, and is read as the control token that it is "
                f"({ranges(lines, unit)})"
            )

    def render(self, example: Conversation) -> list[Rendered]:
        """Return the texts of a conversation: one, as long as the template leaves earlier turns alone.

        Raises:
            WrongFieldError: The template leaves something out or refuses the conversation, or an
                answer would be nothing but its end.
        """
        example = self._without_ends(example)
        self._note_controls(example)
        found = self._best(example)
        for name, problem in found.problems.items():
            if name not in self._accepted:
                raise WrongFieldError("", problem)
        self.ignored.update(set(found.problems) | set(found.counted))
        written = found.written
        if written.included < len(example.messages):
            self.trailing.append(example.line)
        for opening in written.openings:
            self.openings.setdefault(opening, []).append(example.line)
        self._check_answers(example, written, {*found.problems, *found.counted})
        return list(written.rendered)

    def _best(self, example: Conversation) -> _Attempt:
        """Return the conversation in the spelling that loses nothing, or the least."""
        first_error: TokenizerError | WrongFieldError | None = None
        best: _Attempt | None = None
        for spelling in self._spellings(example):
            try:
                attempt = self._attempt(example, spelling)
            except (TokenizerError, WrongFieldError) as error:
                first_error = first_error or error
                continue
            if best is None or len(attempt.problems) < len(best.problems):
                best = attempt
                self._spelling = spelling if not attempt.problems else self._spelling
            if not attempt.problems:
                break
        if best is None:
            said = first_error.message if isinstance(first_error, TokenizerError) else first_error
            raise WrongFieldError("", str(said))
        return best

    def _spellings(self, example: Conversation) -> Iterator[_Spelling]:
        """Yield the spellings that make a difference, the one that was right last first."""
        has_calls = any("tool_calls" in one for one in example.messages)
        has_thoughts = any(REASONING in one for one in example.messages)
        has_developer = any(one["role"] == "developer" for one in example.messages)
        last = self._spelling
        last = _Spelling(
            arguments=last.arguments if has_calls else "object",
            reasoning=last.reasoning if has_thoughts else REASONING,
            developer=last.developer if has_developer else "developer",
        )
        yield last
        for arguments, reasoning, developer in itertools.product(
            ("object", "text") if has_calls else ("object",),
            REASONING_NAMES if has_thoughts else (REASONING,),
            ("developer", "system") if has_developer else ("developer",),
        ):
            spelling = _Spelling(arguments, reasoning, developer)
            if spelling != last:
                yield spelling

    def _attempt(self, example: Conversation, spelling: _Spelling) -> _Attempt:
        spelled = evolve(example, messages=spelling.of(example.messages))
        written = self._written(spelled)
        texts = written.texts
        lost = unwritten(spelled, texts, lambda one: self._written(one).texts, written.included)
        problems: dict[str, str] = {}
        for field in lost.ignored:
            name = REASONING if field.name == spelling.reasoning else field.name
            how = "writes only a part of" if field.is_partial else "ignores"
            problems.setdefault(
                name,
                f"{self._chat.label} {how} {field.shown}, so it would not be trained. Leave it out, use "
                f"another template, or accept that it is lost: --ignore-fields {name}",
            )
        if garbled := _garbled(spelled, "".join(texts)):
            problems["tool_calls"] = (
                f"{self._chat.label} writes {garbled} as no JSON; use another template"
            )
        return _Attempt(written, problems, lost.counted)

    def _written(self, example: Conversation) -> _Written:
        """Put all answers into one text as long as the template leaves earlier turns alone."""
        writer = _Writer(self._chat, example)
        done: list[Rendered] = []
        spans: list[Span] = []
        openings: set[str] = set()
        text, written, last = "", "", 0
        for index, weight in enumerate(example.weights):
            if not weight:
                continue
            begin, whole, opening = writer.turn(index)
            openings.add(opening)
            if spans and not whole[:begin].startswith(written):
                done.append(Rendered(text, tuple(spans)))
                spans = []
            answer = whole[begin:]
            end = begin + end_of_answer(answer, self._special)
            spans.append(Span(begin, end, weight))
            text, written, last = whole, whole[:end], index + 1
        if last < len(example.messages):
            whole = writer.whole(len(example.messages))
            if whole.startswith(written):
                text, last = whole, len(example.messages)
            elif self._keeps_all:
                done.append(Rendered(text, tuple(spans)))
                text, spans, last = whole, [], len(example.messages)
        done.append(Rendered(text, tuple(spans)))
        return _Written(done, last, openings - {""})

    def _check_answers(
        self, example: Conversation, written: _Written, lost: Collection[str]
    ) -> None:
        weighted = [index for index, weight in enumerate(example.weights) if weight]
        answers = [
            one.text[span.begin : span.end] for one in written.rendered for span in one.spans
        ]
        for index, answer in zip(weighted, answers, strict=True):
            end = next((token for token in self._special if answer.endswith(token)), "")
            message = example.messages[index]
            said = set(message) - {"role", "content", *lost}
            if not answer.removesuffix(end).strip() or not (message["content"].strip() or said):
                raise WrongFieldError(
                    f"messages[{index}]",
                    f"{self._chat.label} writes nothing of this answer but its end, so the model would "
                    "learn to answer nothing",
                )
            if not end and example.line not in self.endless[-1:]:
                self.endless.append(example.line)

    def _without_ends(self, example: Conversation) -> Conversation:
        """Return a conversation whose answers do not bring along the token that ends them."""
        messages = [
            {**one, "content": self._without_end(one["content"])}
            if one["role"] == "assistant"
            else one
            for one in example.messages
        ]
        if messages == list(example.messages):
            return example
        self.repeated.append(example.line)
        return evolve(example, messages=messages)

    def _without_end(self, text: str) -> str:
        for end in self._ends:
            while text.rstrip().endswith(end):
                text = text.rstrip().removesuffix(end)
        return text

    def _note_controls(self, example: Conversation) -> None:
        if self._control is None:
            return
        said = "\n".join(one["content"] for one in example.messages)
        for token in dict.fromkeys(self._control.findall(said)):
            self.controls.setdefault(token, []).append(example.line)


class _Writer:
    """Renders the beginnings of one conversation, each once."""

    def __init__(self, chat: ChatFormat, example: Conversation) -> None:
        self._chat = chat
        self._example = example
        self._wholes: dict[int, str] = {}

    def whole(self, count: int) -> str:
        """Return the text of the first messages."""
        if count not in self._wholes:
            self._wholes[count] = self._chat.whole(
                self._example.messages[:count], self._example.tools
            )
        return self._wholes[count]

    def turn(self, index: int) -> tuple[int, str, str]:
        """Return where an answer begins, the text that has it, and what else would ask for it."""
        whole = self.whole(index + 1)
        prompt = self._prompt(index)
        if prompt is None:
            begin = self._begin(index, self._header([_QUESTION]))
            if begin is not None:
                return begin, whole, ""
        elif whole.startswith(prompt):
            return len(prompt), whole, ""
        else:
            # Some templates open the answer with more (such as <think>) when they ask for one.
            common = _common(prompt, whole)
            before = self.whole(index) if index else ""
            if common >= len(before):
                return common, whole, prompt[common:]
            # Others write earlier turns differently once there is an answer. What the model will have
            # read is what asks for it.
            begin = self._begin(index, prompt[len(before) :] if prompt.startswith(before) else "")
            if begin is not None:
                return len(prompt), prompt + whole[begin:], ""
        raise WrongFieldError(
            f"messages[{index}]",
            f"{self._chat.label} writes what stands before this answer differently when it asks for "
            "it, so nothing can tell where the answer begins; try the plain format",
        )

    def _prompt(self, index: int) -> str | None:
        """Return what asks for an answer; None where the template needs a message before it."""
        try:
            return self._chat.prompt(self._example.messages[:index], self._example.tools)
        except TokenizerError:
            if index:
                raise
            return None

    def _header(self, before: Sequence[Mapping[str, Any]]) -> str:
        """Return what the template writes before an answer, and only there."""
        prompt, whole = self._chat.prompt(before), self._chat.whole(before)
        return prompt[len(whole) :] if prompt.startswith(whole) else ""

    def _begin(self, index: int, header: str) -> int | None:
        """Return where an answer begins in the text that ends with it."""
        whole, before = self.whole(index + 1), list(self._example.messages[:index])
        other = self._chat.whole([*before, _OTHER_ANSWER], self._example.tools)
        # What the answer says may look like a header; what both answers share does not.
        at = whole.rfind(header, 0, _common(whole, other)) if header else -1
        return None if at < 0 else at + len(header)


def _ends(chat: ChatFormat, special_tokens: Sequence[str], end: str) -> list[str]:
    """Return the tokens that end an answer, as texts."""
    answer = "An answer."
    said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": answer}]
    try:
        after = chat.whole(said).rpartition(answer)[2].strip()
    except TokenizerError:
        # It refuses this conversation; what it says of the lines' own is what counts.
        after = ""
    found = [token for token in special_tokens if after.startswith(token)]
    return [*found, *([end] if end and end not in found else [])]


def _garbled(example: Conversation, text: str) -> str | None:
    """Return the arguments that stand in a text as Python prints them, or as a quoted text."""
    for message in example.messages:
        for call in message.get("tool_calls") or ():
            given = call.get("function", {}).get("arguments")
            if isinstance(given, str):
                quoted = (json.dumps(given), json.dumps(given, ensure_ascii=False))
                if given.strip() != "{}" and any(one in text for one in quoted):
                    return "the text of a call's arguments"
            elif given and str(given) in text and str(given) != json.dumps(given):
                return "the arguments of a call"
    return None


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
