"""Tokenizers: where they are looked for, and what they do."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.made_tokenizers import made
from support.nano import NANO
from support.scripted import Script, scripted_service

import tinkex.local
from tinkex import ModelInput, ServiceClient, Tokenizer, get_tokenizer
from tinkex.errors import ServerError, TokenizerError, ValidationError
from tinkex.tokenizer import once

FOLDER = Path(tinkex.local.__file__).parent / "models" / "tiny-chat"


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
    tokenizer = get_tokenizer(str(FOLDER))
    assert tokenizer.decode(np.array(tokenizer.encode("Hi"))) == "Hi"


def test_the_local_server_gives_its_models_tokenizers(nano_service: ServiceClient) -> None:
    """Sampling and training clients of one model share one tokenizer, got without the hub."""
    training = nano_service.create_lora_training_client(NANO, rank=1)
    sampler = nano_service.create_sampling_client(base_model=NANO)
    first = training.get_tokenizer()
    assert isinstance(first, Tokenizer)
    assert first.encode("the fox") == get_tokenizer(str(FOLDER)).encode("the fox")
    assert sampler.get_tokenizer() is sampler.get_tokenizer()


def test_a_tokenizer_is_loaded_once_until_its_files_change(tmp_path: Path) -> None:
    """The same object is given out, and another one for files that were written anew."""
    file = tmp_path / "tokenizer.json"
    file.write_bytes(FOLDER.joinpath("tokenizer.json").read_bytes())
    first = get_tokenizer(str(tmp_path))
    assert get_tokenizer(str(tmp_path)) is first
    file.write_text(made("byte level").to_str())
    assert get_tokenizer(tmp_path).vocab_size == made("byte level").get_vocab_size()


def test_a_tokenizer_that_is_nowhere_says_where_it_was_looked_for() -> None:
    """Without server, path and hub, the error names the model, the places and what to do."""
    with pytest.raises(TokenizerError, match="no tokenizer for 'no/such:rev'") as caught:
        get_tokenizer("no/such:rev")
    for said in (
        "not an existing path",
        "no/such at main",
        "huggingface",
        "tokenizer.json",
        "HF_HUB_OFFLINE",
    ):
        assert said in str(caught.value)


def test_a_server_without_the_route_is_passed_over() -> None:
    """The hosted service has no tokenizers; the search goes on to the hub."""
    script = Script().on("GET tokenizers", (404, {"detail": "Not Found"}))
    with (
        scripted_service(script) as service,
        pytest.raises(TokenizerError, match=r"the server http.* does not offer it"),
    ):
        get_tokenizer("no/such", transport=service._transport)
    assert "/api/v1/tokenizers?model=no%2Fsuch" in script.received[0].url


def test_a_failing_server_is_not_passed_over() -> None:
    """A server that fails may have had another tokenizer than the hub, so its failure is told."""
    script = Script().on("GET tokenizers", 500)
    with scripted_service(script, max_retries=1) as service, pytest.raises(ServerError):
        get_tokenizer("no/such", transport=service._transport)


def test_a_broken_tokenizer_file_is_named(tmp_path: Path) -> None:
    """A file that is no tokenizer is an error with its path."""
    for text in ("", "{}", json.dumps({"version": "1.0", "model": {"type": "None"}})):
        tmp_path.joinpath("tokenizer.json").write_text(text)
        with pytest.raises(TokenizerError, match="cannot be read") as caught:
            get_tokenizer(str(tmp_path))
        assert str(tmp_path) in str(caught.value)


def test_an_object_is_used_as_it_is(nano_service: ServiceClient) -> None:
    """A tokenizer, one of the tokenizers package, what holds one, and a client are taken."""
    ours = get_tokenizer(FOLDER)
    backend = ours.backend
    assert get_tokenizer(ours) is ours
    assert get_tokenizer(backend).backend is backend
    held = type("Fast", (), {"backend_tokenizer": backend, "name_or_path": "mine"})()
    assert get_tokenizer(held).name == "mine"
    sampler = nano_service.create_sampling_client(base_model=NANO)
    assert get_tokenizer(sampler).vocab_size == 1024
    with pytest.raises(ValidationError, match="model: must be a name"):
        get_tokenizer(3)  # type: ignore[arg-type]


def test_an_input_is_made_of_text(nano_service: ServiceClient) -> None:
    """ModelInput.from_text takes a model's name, a path, a tokenizer or a client."""
    ids = get_tokenizer(FOLDER).encode("the fox")
    sampler = nano_service.create_sampling_client(base_model=NANO)
    for source in ("tinkex/tiny-chat", FOLDER, get_tokenizer(FOLDER), sampler):
        assert ModelInput.from_text("the fox", source).to_ints() == ids
    with pytest.raises(ValidationError, match="text"):
        ModelInput.from_text(7, FOLDER)  # type: ignore[arg-type]


def test_the_local_server_gives_the_chat_template_too(nano_service: ServiceClient) -> None:
    """What a client gets from the server can write conversations and names the end of a turn."""
    tokenizer = nano_service.create_sampling_client(base_model=NANO).get_tokenizer()
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.chat_template == get_tokenizer(FOLDER).chat_template is not None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda t: t.encode(None), "text: must be a text, not NoneType"),
        (lambda t: t.encode("a\ud800"), "text: has half of a surrogate pair at position 1"),
        (lambda t: t.encode_batch(["a", 3]), r"texts\[1\]: must be a text, not int"),
        (lambda t: t.encode_batch("ab"), "texts: must be a list"),
        (lambda t: t.decode([1, -1]), r"tokens\[1\]: -1 is not a token id"),
        (lambda t: t.decode([1.5]), r"tokens\[0\]: 1.5 is not a token id"),
        (lambda t: t.decode("ab"), "tokens: must be a list of token ids"),
        (lambda t: t.decode(7), "tokens: must be a list of token ids"),
        (lambda t: t.decode([2**40]), r"tokens\[0\]"),
        (lambda t: t.decode_batch([[1], [2, "x"]]), r"sequences\[1\]\[1\]: 'x'"),
    ],
)
def test_what_is_no_text_and_no_id_is_refused_by_its_place(call: Any, said: str) -> None:
    """Bad arguments are told with the place of the value."""
    with pytest.raises(ValidationError, match=said):
        call(get_tokenizer(FOLDER))


def test_batches_are_as_the_single_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a batch is worked on in parts."""
    tokenizer = get_tokenizer(FOLDER)
    texts = ["Hello", "", "the fox " * 50, "<|im_end|>", "\N{WAVING HAND SIGN}"] * 3
    monkeypatch.setattr("tinkex.tokenizer.tokenizer._BATCH_CHARACTERS", 100)
    ids = tokenizer.encode_batch(texts)
    assert ids == [tokenizer.encode(text) for text in texts]
    assert tokenizer.decode_batch(ids) == texts
    assert tokenizer.encode_batch([]) == []
    assert tokenizer.decode_batch([]) == []


def test_threads_that_ask_at_once_get_one_object() -> None:
    """It is loaded by the first of them, and the others wait for it."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: get_tokenizer(FOLDER), range(32)))
    assert len(set(map(id, found))) == 1


def test_no_more_tokenizers_are_kept_than_are_useful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not asked for the longest is loaded anew."""
    monkeypatch.setattr(once, "MOST", 2)
    first = once.once("a", lambda: get_tokenizer(FOLDER))
    for key in "bc":
        once.once(key, lambda: get_tokenizer(FOLDER))
    loaded: list[str] = []

    def load() -> Tokenizer:
        loaded.append("again")
        return first

    assert once.once("a", load) is first
    assert loaded == ["again"]


def test_a_server_without_get_info_is_asked_by_the_models_name() -> None:
    """The base model that the client was made with says which tokenizer it is."""
    script = Script().on("POST get_info", (404, {"detail": "Not Found"}))
    script.on("POST create_model", {"model_id": "M", "type": "create_model"})
    content = FOLDER.joinpath("tokenizer.json").read_bytes()
    script.on("GET tokenizers", (200, content), (404, {"detail": "none"}))
    with scripted_service(script) as service:
        training = service.create_lora_training_client("some/model", rank=1)
        assert training.get_tokenizer().name == "some/model"
    assert "model=some%2Fmodel" in script.sent("tokenizers")[0].url


def test_the_names_of_transformers_are_taken() -> None:
    """Programs that know its tokenizers find what they call."""
    tokenizer = get_tokenizer(str(FOLDER))
    ids = tokenizer.encode("Hello")
    assert tokenizer("Hello") == {"input_ids": ids, "attention_mask": [1] * len(ids)}
    assert tokenizer(["Hello", ""])["input_ids"] == [ids, []]
    assert tokenizer.batch_decode([ids, ids]) == ["Hello", "Hello"]
    assert len(tokenizer) == tokenizer.vocab_size == len(tokenizer.get_vocab())
    assert tokenizer.convert_ids_to_tokens(ids) == [tokenizer.id_to_token(one) for one in ids]
    assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids)) == ids
    assert tokenizer.convert_ids_to_tokens(ids[0]) == tokenizer.id_to_token(ids[0])
    assert tokenizer.all_special_ids == [
        tokenizer.token_to_id(token) for token in tokenizer.all_special_tokens
    ]
    assert tokenizer
