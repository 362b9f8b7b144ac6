"""Ids and texts beside those of transformers' fast tokenizers, where transformers is installed.

It is no development dependency (it is large). To run these tests:

    python -m venv /somewhere/peers && /somewhere/peers/bin/pip install transformers
    PYTHONPATH=/somewhere/peers/lib/python3.11/site-packages python -m pytest tests/tokenizer/test_peers.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extent import examples
from support.made_tokenizers import CORPUS, MAKERS, made

from tinkex import Tokenizer, get_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore")

transformers = pytest.importorskip("transformers")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
TEMPLATE = (
    "{{ bos_token }}{%- for m in messages %}\n  {% if m.role != 'tool' %}\n[{{ m.role }}] "
    "{{ m.content | tojson }}{{ m | tojson(indent=1) }}\n  {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}>{% endif %}"
)


@pytest.fixture(scope="module", params=MAKERS)
def both(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    """Read one folder with tinkex and with transformers."""
    folder: Path = tmp_path_factory.mktemp("peers")
    backend = made(request.param)
    folder.joinpath("tokenizer.json").write_text(backend.to_str())
    ends = [token for token in ("<|end|>", "</s>") if backend.token_to_id(token) is not None]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": ends[0],
        "bos_token": ends[0],
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
    }
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(config))
    return get_tokenizer(folder), transformers.PreTrainedTokenizerFast.from_pretrained(folder)


@settings(max_examples=examples(150))
@given(text=TEXT, framed=st.booleans())
def test_ids_are_those_of_transformers(
    both: tuple[Tokenizer, Any], text: str, framed: bool
) -> None:
    """With and without the frame."""
    ours, theirs = both
    assert ours.encode(text, framed) == theirs.encode(text, add_special_tokens=framed)


def test_batches_are_those_of_transformers(both: tuple[Tokenizer, Any]) -> None:
    """Long texts in many scripts, in one call."""
    ours, theirs = both
    assert ours.encode_batch(CORPUS) == theirs(CORPUS)["input_ids"]


@settings(max_examples=examples(150))
@given(numbers=st.lists(st.integers(0, 5000), max_size=30), skip=st.booleans())
def test_texts_are_those_of_transformers(
    both: tuple[Tokenizer, Any], numbers: list[int], skip: bool
) -> None:
    """Any ids give the same text, with special tokens and without."""
    ours, theirs = both
    ids = [number % ours.vocab_size for number in numbers]
    assert ours.decode(ids, skip_special_tokens=skip) == theirs.decode(
        ids, skip_special_tokens=skip
    )


def test_special_tokens_are_those_of_transformers(both: tuple[Tokenizer, Any]) -> None:
    """Their roles, their ids, and the size of the vocabulary."""
    ours, theirs = both
    assert ours.vocab_size == len(theirs)
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        assert getattr(ours, name) == getattr(theirs, name)
        assert getattr(ours, f"{name}_id") == getattr(theirs, f"{name}_id")


@pytest.mark.parametrize("prompt", [False, True])
def test_conversations_are_those_of_transformers(both: tuple[Tokenizer, Any], prompt: bool) -> None:
    """One template, one text, and the same ids of it."""
    ours, theirs = both
    messages = [{"role": "user", "content": "Grüße <b>"}, {"role": "tool", "content": "\n"}]
    options = {"add_generation_prompt": prompt, "tokenize": False}
    text = theirs.apply_chat_template(messages, **options)
    assert ours.apply_chat_template(messages, **options) == text
    ids = theirs.encode(text, add_special_tokens=False)
    assert ours.apply_chat_template(messages, add_generation_prompt=prompt) == ids


def test_an_object_of_transformers_is_taken(both: tuple[Tokenizer, Any]) -> None:
    """Its backend does the work."""
    ours, theirs = both
    assert get_tokenizer(theirs).encode("the fox") == ours.encode("the fox")
