"""The Hugging Face hub, played on loopback, with the real huggingface_hub before it."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hub_standin import COMMIT, HubStandin
from support.made_tokenizers import kimi_config, made, trained_ranks, write_tiktoken

from tinkex import get_tokenizer
from tinkex.errors import MissingDependencyError, TokenizerError
from tinkex.tokenizer import files, once
from tinkex.tokenizer.names import PINNED

huggingface_hub = pytest.importorskip("huggingface_hub")

NAME = "org/model"
TOKEN = "hf_verySecretToken123"
CODE = b"raise SystemExit(9)"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, caches: Path) -> Iterator[HubStandin]:
    config = {"bos_token": "<|bos|>", "eos_token": {"content": "<|end|>"}, "unk_token": None}
    standin = HubStandin(
        NAME,
        {
            "tokenizer.json": made("byte level").to_str().encode(),
            "tokenizer_config.json": json.dumps(config).encode(),
            "chat_template.jinja": b"{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}",
            "tokenization_model.py": CODE,
            "model.safetensors": b"weights",
        },
    )
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setenv("HF_ENDPOINT", standin.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield standin
    standin.close()


def test_a_tokenizer_comes_from_the_hub_once(hub: HubStandin) -> None:
    """Its files are fetched, and nothing else; the next process reads them from the cache."""
    tokenizer = get_tokenizer(NAME)
    assert tokenizer.encode("Hi") == made("byte level").encode("Hi").ids
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token) == (
        "<|bos|>",
        "<|end|>",
        None,
    )
    messages = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<|bos|>Hi"
    asked = [path for _, _, path, _ in hub.seen]
    assert not any(path.endswith((".py", ".safetensors")) for path in asked)
    hub.seen.clear()
    once.forget()
    assert get_tokenizer(NAME).vocab_size == tokenizer.vocab_size
    assert hub.seen == []


def test_what_was_fetched_works_offline(hub: HubStandin, monkeypatch: pytest.MonkeyPatch) -> None:
    """TINKEX_OFFLINE=1 finds it in the cache and asks nobody."""
    first = get_tokenizer(NAME).encode("Hi")
    once.forget()
    hub.seen.clear()
    monkeypatch.setenv("TINKEX_OFFLINE", "1")
    assert get_tokenizer(NAME).encode("Hi") == first
    with pytest.raises(TokenizerError, match=r"org/other at main.*not asked") as caught:
        get_tokenizer("org/other")
    assert "TINKEX_OFFLINE" in str(caught.value)
    assert str(Path("huggingface") / "hub") in str(caught.value)
    assert hub.seen == []


def test_a_token_is_sent_to_the_hub_and_to_no_other_host(hub: HubStandin) -> None:
    """Large files lie elsewhere, and the redirect there goes without the token."""
    get_tokenizer(NAME)
    tokens = {
        kind: {token for k, _, _, token in hub.seen if k == kind} for kind in ("hub", "store")
    }
    assert tokens == {"hub": {f"Bearer {TOKEN}"}, "store": {None}}


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((401, "GatedRepo"), r"org/model is gated.*accept its terms at http.*org/model.*HF_TOKEN"),
        ((403, "GatedRepo"), r"org/model is gated.*accept its terms at http.*org/model.*HF_TOKEN"),
        ((401, "RepoNotFound"), "has no org/model: is the name right.*private.*HF_TOKEN"),
        ((404, "RepoNotFound"), "has no org/model: is the name right.*private.*HF_TOKEN"),
        ((403, ""), r"refused org/model \(HTTP 403\).*HF_TOKEN"),
        ((404, "RevisionNotFound"), "org/model has no revision 'main'"),
    ],
)
def test_a_refusal_says_how_to_get_access(
    hub: HubStandin, refusal: tuple[int, str], said: str
) -> None:
    """Gated, private, misnamed: each has its sentence, and none shows the token."""
    hub.refusal = refusal
    with pytest.raises(TokenizerError, match=said) as caught:
        get_tokenizer(NAME)
    assert caught.value.status_code == refusal[0]
    assert not caught.value.retryable
    assert "pass a path" in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert TOKEN not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_a_failure_is_tried_again_by_the_next_call(hub: HubStandin) -> None:
    """An error is not kept."""
    hub.refusal = (404, "RepoNotFound")
    with pytest.raises(TokenizerError):
        get_tokenizer(NAME)
    hub.refusal = None
    assert get_tokenizer(NAME).encode("Hi")


def test_a_hub_that_cannot_be_reached_is_an_error_that_passes(
    hub: HubStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the address, without the password in it."""
    monkeypatch.setenv("HF_ENDPOINT", "http://user:passphrase@127.0.0.1:9")
    with pytest.raises(TokenizerError, match="did not provide org/model") as caught:
        get_tokenizer(NAME)
    assert caught.value.retryable
    assert "passphrase" not in str(caught.value)


def test_a_revision_is_asked_for(hub: HubStandin) -> None:
    """A branch that is not there is told; one that is there is taken."""
    with pytest.raises(TokenizerError, match="has no revision 'v2'"):
        get_tokenizer(NAME, "v2")
    hub.revision = "v2"
    assert get_tokenizer(NAME, "v2").encode("Hi")


def test_too_large_a_file_is_not_fetched(hub: HubStandin) -> None:
    """The hub says how large it is, and it is refused before a byte of it has come."""
    hub.sizes["tokenizer.json"] = files.LARGEST["tokenizer.json"] + 1
    with pytest.raises(TokenizerError, match=r"tokenizer\.json has 134,217,729 bytes"):
        get_tokenizer(NAME)
    assert not any("resolve" in path for _, _, path, _ in hub.seen)


def test_a_repository_without_a_tokenizer_is_told(hub: HubStandin) -> None:
    """It may have one in a form that only its own code reads."""
    hub.files = {"spiece.model": b"x"}
    with pytest.raises(TokenizerError, match=r"neither tokenizer\.json nor tiktoken\.model"):
        get_tokenizer(NAME)


@pytest.mark.holds("S13")
def test_kimi_comes_from_its_pinned_commit_and_its_code_does_not(
    hub: HubStandin, tmp_path: Path
) -> None:
    """tiktoken.model and tokenizer_config.json are enough."""
    ranks = trained_ranks()
    folder = write_tiktoken(tmp_path / "kimi", ranks, kimi_config(len(ranks)))
    hub.name = "moonshotai/Kimi-K2-Thinking"
    hub.revision = PINNED[hub.name]
    hub.files = {file.name: file.read_bytes() for file in folder.iterdir()}
    tokenizer = get_tokenizer("moonshotai/Kimi-K2-Thinking:peft:8")
    assert tokenizer.encode("<|im_end|>") == [len(ranks) + 2]
    assert not any(path.endswith(".py") for _, _, path, _ in hub.seen)


def test_a_cache_with_part_of_the_files_is_completed(
    hub: HubStandin, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may have fetched tokenizer.json alone; offline that is still enough."""
    home = caches / "huggingface" / "hub" / "models--org--model"
    (home / "snapshots" / COMMIT).mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    (home / "snapshots" / COMMIT / "tokenizer.json").write_bytes(hub.files["tokenizer.json"])
    assert get_tokenizer(NAME, offline=True).bos_token is None
    once.forget()
    assert get_tokenizer(NAME).bos_token == "<|bos|>"


def test_a_missing_package_is_answered_with_its_extra(
    hub: HubStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without huggingface_hub, the command that installs it is told."""
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "huggingface_hub":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"tinkex\[hub\]"):
        get_tokenizer(NAME)
