"""Chat templates: untrusted Jinja text that comes with a tokenizer."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import frozen

from tinkex.errors import MissingDependencyError, TokenizerError, ValidationError

if TYPE_CHECKING:
    import jinja2

# Longer output is not a conversation.
LONGEST_TEXT = 64 * 1024 * 1024
_LONGEST_PRODUCT = 1_000_000
_LARGEST_NUMBER = 1e18
# Arguments of transformers' apply_chat_template that have no effect here, or are set by the renderer.
_RESERVED = frozenset({
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation",
    "max_length", "messages", "padding", "return_assistant_tokens_mask", "return_dict",
    "return_tensors", "tokenize", "tokenizer", "tokenizer_kwargs", "tools", "truncation",
})  # fmt: skip


def check_variables(variables: Mapping[str, Any]) -> None:
    """Refuse invalid names of template variables.

    Raises:
        ValidationError: A variable would have no effect, or replace the conversation itself.
    """
    taken = sorted(_RESERVED & set(variables))
    if taken:
        raise ValidationError(
            f"{', '.join(taken)} cannot be a variable of a chat template: it is set by the renderer, or "
            "has no effect here",
            path="template_variables",
        )


@frozen
class ChatTemplate:
    """The chat templates of a tokenizer.

    Attributes:
        name: The tokenizer's name, for errors.
        sources: Jinja source by name: "default", and sometimes "tool_use" and others.
    """

    name: str
    sources: Mapping[str, str]

    @property
    def source(self) -> str:
        """Return the template that is used without tools."""
        return self.sources.get("default") or next(iter(self.sources.values()))

    @property
    def variables(self) -> frozenset[str]:
        """Return the variables that the templates read, besides the standard ones."""
        from jinja2 import meta

        environment = _environment()
        found: set[str] = set()
        for source in self.sources.values():
            found |= meta.find_undeclared_variables(environment.parse(source))
        return frozenset(found)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **variables: Any,
    ) -> str:
        """Return the text of a conversation.

        Raises:
            TokenizerError: The template is invalid, or refuses the messages.
            MissingDependencyError: The extra ``chat`` is not installed.
        """
        source = self.sources.get("tool_use", self.source) if tools else self.source
        try:
            template = _compiled(source)
            pieces = template.generate(messages=messages, tools=tools, **variables)
            return _joined(pieces)
        except (MissingDependencyError, TokenizerError):
            raise
        except Exception as error:
            # Any failure of a foreign template is reported as the template's error.
            why = f"{type(error).__name__}: {error}"
            raise TokenizerError(
                f"the chat template of {self.name!r} cannot render these messages: {why:.300}"
            ) from error


def _joined(pieces: Any) -> str:
    text: list[str] = []
    size = 0
    for piece in pieces:
        text.append(piece)
        size += len(piece)
        if size > LONGEST_TEXT:
            raise ValueError(f"it renders more than {LONGEST_TEXT:,} characters")
    return "".join(text)


@functools.lru_cache(maxsize=32)
def _compiled(source: str) -> jinja2.Template:
    return _environment().from_string(source)


@functools.cache
def _environment() -> jinja2.Environment:
    """Return the environment that templates of the hub expect.

    Its options and extensions are those of transformers' apply_chat_template.
    """
    try:
        from jinja2.ext import loopcontrols
    except ImportError as error:
        raise MissingDependencyError("rendering a chat template", "chat") from error
    sandbox, generation = _classes()
    environment: jinja2.Environment = sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, generation]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _classes() -> tuple[Any, Any]:
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """A sandbox that also refuses powers and products that would exhaust memory."""

        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sizes = [len(x) if isinstance(x, str | list | tuple) else x for x in (left, right)]
            numbers = all(isinstance(size, int | float) for size in sizes)
            bound = _LARGEST_NUMBER if sizes == [left, right] else _LONGEST_PRODUCT
            if operator == "**" or (numbers and abs(sizes[0] * sizes[1]) > bound):
                raise SecurityError(f"the template computes too large a product with {operator}")
            return super().call_binop(context, operator, left, right)

    class Generation(Extension):
        """Renders the content of ``{% generation %}``, which marks the assistant's text."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Sandbox, Generation


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    # Jinja's own filter writes HTML entities; models expect plain JSON.
    allowed = {name: options[name] for name in ("separators", "sort_keys") if name in options}
    ascii_only = bool(options.get("ensure_ascii", False))
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent, **allowed)


def _raise_exception(message: str) -> NoReturn:
    from jinja2.exceptions import TemplateError

    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    # Local time, as in transformers.
    return dt.datetime.now().astimezone().strftime(form)
