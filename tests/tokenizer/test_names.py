"""Model names and their tokenizers: the rules of the service, in a table."""

from __future__ import annotations

import pytest

from tinkex.errors import TokenizerError, ValidationError
from tinkex.tokenizer import TokenizerId, resolve

LLAMA = "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"
THINKING = "612681931a8c906ddb349f8ad0f582cb552189cd"
K25 = "4d01dfe0332d63057c186e0b262165819efb6611"
K26 = "b5aabbfb20227ed42becbf5541dbffd213942c58"
K3 = "f831ab66814297da540d832a5235f8e904f29d06"


@pytest.mark.parametrize(
    ("model", "name", "revision"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", "main"),
        ("gpt2", "gpt2", "main"),
        # What follows a colon is the service's own, also where there are several.
        ("Qwen/Qwen3-8B:main", "Qwen/Qwen3-8B", "main"),
        ("openai/gpt-oss-120b:peft:131072", "openai/gpt-oss-120b", "main"),
        # A third part is a variant; a second or a fourth is none.
        ("Qwen/Qwen3-8B/fast", "Qwen/Qwen3-8B", "main"),
        ("Qwen/Qwen3-8B/fast:v2", "Qwen/Qwen3-8B", "main"),
        # Nothing is cut off at a dash.
        ("Qwen/Qwen3-8B-Base", "Qwen/Qwen3-8B-Base", "main"),
        ("meta-llama/Llama-3.1-8B", LLAMA, "main"),
        ("meta-llama/Llama-3.3-70B-Instruct", LLAMA, "main"),
        ("meta-llama/Llama-3.2-1B:rev", LLAMA, "main"),
        ("meta-llama/Llama-3.1-8B/fast", LLAMA, "main"),
        ("meta-llama/Llama-2-7b", "meta-llama/Llama-2-7b", "main"),
        ("moonshotai/Kimi-K2-Thinking", "moonshotai/Kimi-K2-Thinking", THINKING),
        ("moonshotai/Kimi-K2-Thinking:peft:8", "moonshotai/Kimi-K2-Thinking", THINKING),
        ("moonshotai/Kimi-K2.5", "moonshotai/Kimi-K2.5", K25),
        ("moonshotai/Kimi-K2.5-Text-Only", "moonshotai/Kimi-K2.5", K25),
        ("moonshotai/Kimi-K2.6", "moonshotai/Kimi-K2.6", K26),
        ("moonshotai/Kimi-K3", "moonshotai/Kimi-K3", K3),
        ("moonshotai/Kimi-K2-Instruct", "moonshotai/Kimi-K2-Instruct", "main"),
    ],
)
def test_a_models_tokenizer_follows_the_services_rules(
    model: str, name: str, revision: str
) -> None:
    """Variants are cut off, Llama 3 has a tokenizer of its own, and Kimi's commits are pinned."""
    assert resolve(model) == TokenizerId(name, revision)


@pytest.mark.parametrize(
    ("tokenizer_id", "name", "revision"),
    [
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B", "main"),
        ("org/tokenizer:v1", "org/tokenizer", "main"),
        ("moonshotai/Kimi-K2.5-Text-Only", "moonshotai/Kimi-K2.5", K25),
    ],
)
def test_the_servers_word_stands_above_the_rules(
    tokenizer_id: str, name: str, revision: str
) -> None:
    """What get_info calls the tokenizer is taken as it is, up to the colon."""
    assert resolve("some/model", tokenizer_id=tokenizer_id) == TokenizerId(name, revision)


def test_a_revision_that_is_asked_for_wins() -> None:
    """Also over a pinned commit."""
    assert resolve("moonshotai/Kimi-K3", "abc/def").revision == "abc/def"


@pytest.mark.parametrize("model", ["TML/model", "thinkingmachines/Inkling-1", "TML/a/b:c"])
def test_the_vendors_own_tokenizers_are_told_from_others(model: str) -> None:
    """They are in no repository, so the hub is not asked; the error says what to do."""
    with pytest.raises(TokenizerError, match=r"not on the Hugging Face hub.*Pass a path"):
        resolve(model)


@pytest.mark.parametrize(
    ("model", "revision", "path"),
    [
        ("a/b/c/d", None, "model"),
        ("", None, "model"),
        ("../x", None, "model"),
        ("a/..", None, "model"),
        ("a/b c", None, "model"),
        ("a/b", "../../x", "revision"),
        ("a/b", "x/../y", "revision"),
        ("a/b", "", "revision"),
    ],
)
def test_what_can_be_no_name_is_refused(model: str, revision: str | None, path: str) -> None:
    """A name is never a way out of the cache's folder."""
    with pytest.raises(ValidationError, match=f"^{path}: "):
        resolve(model, revision)
