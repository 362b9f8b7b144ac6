"""How a conversation is written for a model: by its chat template, or plainly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tinkex.errors import TokenizerError, ValidationError
from tinkex.tokenizer.chat import check_variables

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None
ChatKind = Literal["auto", "template", "plain"]


class ChatFormat(Protocol):
    """A way to write conversations as one model reads them.

    Attributes:
        name: "template" or "plain".
        label: What messages call it.
    """

    name: str
    label: str

    def prompt(self, messages: Messages, tools: Tools = None) -> str:
        """Return the text up to where the assistant is to answer."""

    def whole(self, messages: Messages, tools: Tools = None) -> str:
        """Return the text of a conversation that ends with an answer."""

    def stops(self) -> list[int] | list[str]:
        """Return what ends an answer, as `SamplingParams.stop` takes it: token ids, or texts."""


def chat_format(tokenizer: Tokenizer, kind: ChatKind = "auto", /, **variables: Any) -> ChatFormat:
    """Return the way to write conversations for a tokenizer's model.

    >>> chat_format(get_tokenizer("tinkex/tiny-chat")).name
    'template'

    Args:
        tokenizer: The model's tokenizer.
        kind: "template" for the tokenizer's chat template, "plain" for `PlainFormat`, "auto" for
            the template if there is one.
        variables: Whatever else the template knows, such as ``enable_thinking``.

    Raises:
        ValidationError: A variable is given that the template does not read.
        TokenizerError: The template is asked for, and the tokenizer has none.
        MissingDependencyError: The extra ``chat`` is not installed.
    """
    if kind == "plain" or (kind == "auto" and tokenizer.chat_template is None):
        if variables:
            raise ValidationError(
                f"{', '.join(sorted(variables))} has no effect: the plain format has no variables",
                path="template_variables",
            )
        return PlainFormat(tokenizer)
    return TemplateFormat(tokenizer, **variables)


class TemplateFormat:
    """Write conversations by the chat template that comes with the tokenizer."""

    name = "template"

    def __init__(self, tokenizer: Tokenizer, /, **variables: Any) -> None:
        if tokenizer.chat_template is None:
            raise TokenizerError(
                f"the tokenizer {tokenizer.name!r} has no chat template; the plain format writes "
                "conversations without one"
            )
        check_variables(variables)
        unread = sorted(set(variables) - tokenizer.template_variables) if variables else []
        if unread:
            raise ValidationError(
                f"{', '.join(unread)} has no effect: the chat template of {tokenizer.name!r} reads "
                f"{', '.join(sorted(tokenizer.template_variables))}",
                path="template_variables",
            )
        self._tokenizer = tokenizer
        self._variables = variables
        self.label = f"the chat template of {tokenizer.name!r}"

    def prompt(self, messages: Messages, tools: Tools = None) -> str:
        """Return the text up to where the assistant is to answer."""
        return self._render(messages, tools, add_generation_prompt=True)

    def whole(self, messages: Messages, tools: Tools = None) -> str:
        """Return the text of a conversation that ends with an answer."""
        return self._render(messages, tools, add_generation_prompt=False)

    def stops(self) -> list[int] | list[str]:
        """Return the tokens that end an answer: what the template writes after one, and the mark."""
        ids = [self._tokenizer.eos_token_id]
        answer = "An answer."
        said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": answer}]
        after = self.whole(said).rpartition(answer)[2].strip()
        for token, token_id in self._tokenizer.special_tokens.items():
            if after.startswith(token):
                ids.insert(0, token_id)
        return list(dict.fromkeys(one for one in ids if one is not None))

    def _render(self, messages: Messages, tools: Tools, add_generation_prompt: bool) -> str:
        return self._tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            tools=tools,
            add_generation_prompt=add_generation_prompt,
            **self._variables,
        )


class PlainFormat:
    r"""Write conversations as "User: ..." and "Assistant: ...", for models without a template.

    >>> PlainFormat(tokenizer).prompt([{"role": "user", "content": "Hi"}])
    'User: Hi\n\nAssistant:'

    An answer ends with the tokenizer's end-of-text token.
    """

    name = "plain"
    label = "the plain format"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._begin = tokenizer.bos_token or ""
        self._end = tokenizer.eos_token or ""

    def prompt(self, messages: Messages, tools: Tools = None) -> str:
        """Return the text up to where the assistant is to answer."""
        before = self.whole(messages, tools)
        return f"{before}\n\nAssistant:" if messages else f"{before}Assistant:"

    def whole(self, messages: Messages, tools: Tools = None) -> str:  # noqa: ARG002 - it has no place for them
        """Return the text of a conversation; tools and their calls are not written."""
        return self._begin + "\n\n".join(map(self._said, messages))

    def stops(self) -> list[int] | list[str]:
        """Return the end-of-text token, and where an untrained model would ask its own question."""
        return [*([self._end] if self._end else []), "\n\nUser:"]

    def _said(self, message: Mapping[str, Any]) -> str:
        role = str(message["role"])
        end = self._end if role == "assistant" else ""
        return f"{role.capitalize()}: {message['content']}{end}"


def end_of_answer(text: str, special_tokens: Sequence[str]) -> int:
    r"""Return where an answer ends in its text: after the token that ends it, if one does.

    >>> end_of_answer("Yes.<|im_end|>\n", ["<|im_end|>"])
    14

    What a template writes after that token is not the model's to write.
    """
    if not special_tokens:
        return len(text)
    marks = "|".join(re.escape(token) for token in special_tokens)
    found = re.search(rf"(?:{marks})(?=\s*\Z)", text)
    return found.end() if found else len(text)
