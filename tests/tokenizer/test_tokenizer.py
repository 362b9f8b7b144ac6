"""Tokenizers: where they are looked for, and what they do."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
from support.nano import NANO
from support.scripted import Script, scripted_service

import tinkex.local
from tinkex import ServiceClient, Tokenizer, get_tokenizer
from tinkex.errors import ServerError, TinkexError
from tinkex.tokenizer import loading

FOLDER = Path(tinkex.local.__file__).parent / "models" / "tiny-chat"


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty cache and a hub that cannot be reached."""
    monkeypatch.setattr(loading, "_cache", {})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("model", "name", "revision"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None),
        ("Qwen/Qwen3-8B:main", "Qwen/Qwen3-8B", "main"),
        ("Qwen/Qwen3-8B/fast", "Qwen/Qwen3-8B", None),
        ("Qwen/Qwen3-8B/fast:v2", "Qwen/Qwen3-8B", "v2"),
        ("gpt2", "gpt2", None),
        ("a/b/c/d", "a/b/c/d", None),
        (
            "meta-llama/Llama-3.1-8B",
            "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer",
            None,
        ),
        (
            "meta-llama/Llama-3.2-1B:rev",
            "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer",
            None,
        ),
        ("meta-llama/Llama-2-7b", "meta-llama/Llama-2-7b", None),
    ],
)
def test_a_models_tokenizer_id_follows_the_services_rules(
    model: str, name: str, revision: str | None
) -> None:
    """Revisions and variants are cut off, and Llama 3 has a tokenizer of its own."""
    assert loading.tokenizer_id(model) == (name, revision)


def test_a_tokenizer_is_read_from_a_folder_or_a_file() -> None:
    """A path is a path, whether it names the folder or the file in it."""
    from_folder = get_tokenizer(str(FOLDER))
    from_file = get_tokenizer(str(FOLDER / "tokenizer.json"))
    text = "Hello, world! \N{WAVING HAND SIGN}"
    assert from_folder.decode(from_folder.encode(text)) == text
    assert from_file.encode(text) == from_folder.encode(text)
    assert "tiny-chat" in repr(from_folder)


def test_special_tokens_are_one_id_each_and_can_be_left_out() -> None:
    """A special token written in a text is its own id, and decoding can skip it."""
    tokenizer = get_tokenizer(str(FOLDER))
    end = tokenizer.token_to_id("<|im_end|>")
    assert end is not None
    assert tokenizer.encode("Hi<|im_end|>")[-1] == end
    assert tokenizer.decode([*tokenizer.encode("Hi"), end]) == "Hi<|im_end|>"
    assert tokenizer.decode([*tokenizer.encode("Hi"), end], skip_special_tokens=True) == "Hi"
    assert tokenizer.token_to_id("no such token") is None
    assert tokenizer.vocab_size == 1024


def test_numpy_ids_are_decoded() -> None:
    """Token ids out of an array are ids."""
    numpy = pytest.importorskip("numpy")
    tokenizer = get_tokenizer(str(FOLDER))
    assert tokenizer.decode(numpy.array(tokenizer.encode("Hi"))) == "Hi"


def test_the_local_server_gives_its_models_tokenizers(nano_service: ServiceClient) -> None:
    """Sampling and training clients of one model share one tokenizer, got without the hub."""
    training = nano_service.create_lora_training_client(NANO, rank=1)
    sampler = nano_service.create_sampling_client(base_model=NANO)
    first = training.get_tokenizer()
    assert isinstance(first, Tokenizer)
    assert first.encode("the fox") == get_tokenizer(str(FOLDER)).encode("the fox")
    assert sampler.get_tokenizer() is sampler.get_tokenizer()


def test_a_tokenizer_is_loaded_once(tmp_path: Path) -> None:
    """The second time, nothing is read."""
    file = tmp_path / "tokenizer.json"
    file.write_bytes(FOLDER.joinpath("tokenizer.json").read_bytes())
    first = get_tokenizer(str(tmp_path))
    file.unlink()
    assert get_tokenizer(str(tmp_path)) is first


def test_a_tokenizer_that_is_nowhere_says_where_it_was_looked_for() -> None:
    """Without server, path and hub, the error names the model, the places and what to do."""
    with pytest.raises(TinkexError, match="no tokenizer for 'no/such:rev'") as caught:
        get_tokenizer("no/such:rev")
    for said in ("no path", "Hugging Face", "tokenizer.json", "HF_TOKEN"):
        assert said in str(caught.value)


def test_a_server_without_the_route_is_passed_over() -> None:
    """The hosted service has no tokenizers; the search goes on to the hub."""
    script = Script().on("GET tokenizers", (404, {"detail": "Not Found"}))
    with (
        scripted_service(script) as service,
        pytest.raises(TinkexError, match="the server does not offer it"),
    ):
        get_tokenizer("no/such", transport=service._transport)
    assert script.received[0].url.endswith("/api/v1/tokenizers?model=no%2Fsuch")


def test_a_failing_server_is_not_passed_over() -> None:
    """A server that fails may have had another tokenizer than the hub, so its failure is told."""
    script = Script().on("GET tokenizers", 500)
    with scripted_service(script, max_retries=1) as service, pytest.raises(ServerError):
        get_tokenizer("no/such", transport=service._transport)


def test_a_broken_tokenizer_file_is_named(tmp_path: Path) -> None:
    """A file that is no tokenizer is an error with its path."""
    for text in ("", "{}", json.dumps({"version": "1.0", "model": {"type": "None"}})):
        tmp_path.joinpath("tokenizer.json").write_text(text)
        with pytest.raises(TinkexError, match="cannot be read") as caught:
            get_tokenizer(str(tmp_path))
        assert str(tmp_path) in str(caught.value)
