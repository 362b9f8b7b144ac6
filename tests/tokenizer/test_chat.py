"""Chat templates: what they write, and what they cannot do."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from support.made_tokenizers import made

from tinkex import Tokenizer, get_tokenizer
from tinkex.errors import MissingDependencyError, TokenizerError, ValidationError
from tinkex.tokenizer import chat

MESSAGES = [{"role": "user", "content": "Hi <b>&"}, {"role": "assistant", "content": "Yes?"}]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    chat._environment.cache_clear()
    chat._compiled.cache_clear()


def with_template(folder: Path, template: Any, **config: Any) -> Tokenizer:
    folder.joinpath("tokenizer.json").write_text(made("byte level").to_str())
    config["chat_template"] = template
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(config))
    return get_tokenizer(folder)


def written(folder: Path, template: Any, **variables: Any) -> str:
    tokenizer = with_template(folder, template, bos_token="<|bos|>")
    return tokenizer.apply_chat_template(MESSAGES, tokenize=False, **variables)


def test_the_shipped_template_writes_chatml() -> None:
    """The model that comes with tinkex is spoken to in its own form, as text or as ids."""
    tokenizer = get_tokenizer("tinkex/tiny-chat")
    text = tokenizer.apply_chat_template(MESSAGES[:1], add_generation_prompt=True, tokenize=False)
    assert text == "<|im_start|>user\nHi <b>&<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer.apply_chat_template(MESSAGES[:1], add_generation_prompt=True)
    assert ids == tokenizer.encode(text)
    assert ids[0] == tokenizer.special_tokens["<|im_start|>"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}", "<|bos|>Hi <b>&"),
        ("{% for m in messages %}\n  {% if true %}\n{{ m.role }}\n  {% endif %}\n{% endfor %}",
         "user\nassistant\n"),
        ("{{ {'ü': '<'} | tojson }}", '{"ü": "<"}'),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{% for m in messages %}{{ m.role }}{% break %}{% endfor %}", "user"),
        ("{% generation %}{{ messages[1].content }}{% endgeneration %}", "Yes?"),
        ("{{ thinking or 'none' }}", "none"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ([{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}], "d"),
    ],
)  # fmt: skip
def test_templates_of_the_hub_are_understood(tmp_path: Path, template: Any, text: str) -> None:
    """Blocks are trimmed, JSON is plain, and the usual additions are there."""
    assert written(tmp_path, template) == text


def test_variables_and_tools_reach_the_template(tmp_path: Path) -> None:
    """Tools choose the template made for them; other words are passed on."""
    named = [
        {"name": "default", "template": "no tools"},
        {"name": "tool_use", "template": "{{ tools[0].name }} {{ thinking }}"},
    ]
    assert written(tmp_path, named, tools=[{"name": "f"}], thinking=True) == "f True"


def test_a_template_of_its_own_file_comes_first(tmp_path: Path) -> None:
    """chat_template.jinja is the newer form."""
    tmp_path.joinpath("chat_template.jinja").write_text("from the file")
    assert written(tmp_path, "from the configuration") == "from the file"


@pytest.mark.holds("S13")
@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ messages.append({}) }}",
        "{{ messages[0].update(role='x') }}",
        "{{ messages[0].__setitem__('role', 'x') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ range(1000000000) | list }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ 'x' * 999999 }}{% endfor %}{% endfor %}",
        "{{ raise_exception('roles must alternate') }}",
        "{{ messages[7].content.x }}",
        "{% for",
        "{{ undefined_function() }}",
    ],
)  # fmt: skip
def test_a_template_can_neither_reach_out_nor_change_what_it_is_given(
    tmp_path: Path, template: str
) -> None:
    """Whatever it tries is an error that names the tokenizer, and the messages stay as they were."""
    before = json.dumps(MESSAGES)
    with pytest.raises(TokenizerError, match=r"chat template of .* cannot render these messages"):
        written(tmp_path, template)
    assert json.dumps(MESSAGES) == before


def test_a_refusal_of_the_template_is_told_in_its_words(tmp_path: Path) -> None:
    """Templates say what they expect by raise_exception."""
    with pytest.raises(TokenizerError, match="roles must alternate"):
        written(tmp_path, "{{ raise_exception('roles must alternate') }}")


def test_a_tokenizer_without_a_template_says_so() -> None:
    """There is no common form that could be guessed."""
    with pytest.raises(TokenizerError, match="has no chat template"):
        get_tokenizer(made("byte level")).apply_chat_template(MESSAGES)


@pytest.mark.parametrize("messages", ["Hi", {"role": "user"}, ["Hi"], None])
def test_what_are_no_messages_is_refused(messages: Any) -> None:
    """A text or a single message is not a conversation."""
    with pytest.raises(ValidationError, match="messages"):
        get_tokenizer("tinkex/tiny-chat").apply_chat_template(messages)


def test_without_jinja_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else of the tokenizer works without it."""
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("jinja2"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"tinkex\[chat\]"):
        get_tokenizer("tinkex/tiny-chat").apply_chat_template(MESSAGES)
