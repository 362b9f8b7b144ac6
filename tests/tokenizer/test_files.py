"""A tokenizer's files: bounded, checked, and never obeyed where ids would be lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.made_tokenizers import made

from tinkex import get_tokenizer
from tinkex.errors import TokenizerError
from tinkex.tokenizer import files

BPE: dict[str, Any] = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}


def added(content: str, id_: int) -> dict[str, Any]:
    flags = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized"), False)
    return {"id": id_, "content": content, "special": True, **flags}


def frame(id_: int) -> dict[str, Any]:
    mark = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [mark, text],
        "pair": [text],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [id_], "tokens": ["<s>"]}},
    }


def write(folder: Path, config: Any = None, **parts: Any) -> Path:
    folder.joinpath("tokenizer.json").write_text(
        json.dumps({"version": "1.0", "model": BPE, **parts})
    )
    if config is not None:
        folder.joinpath("tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b'{"version": "1.0", "model": {"type": "BPE", "vocab": {"a"', "cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"{}", "newer version"),
        (b'{"version": "9.9", "model": {"type": "Later"}}', "newer version"),
        (b"[" * 100_000, "cannot be read"),
        (b"\xff\xfe", "is not JSON"),
        (json.dumps({"version": "1.0", "model": {**BPE, "merges": ["a c"]}}).encode(), "`c`"),
    ],
)
def test_a_malformed_tokenizer_is_told_with_its_path(
    tmp_path: Path, content: bytes, said: str
) -> None:
    """What is wrong, and what it may come from."""
    tmp_path.joinpath("tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match="cannot be read") as caught:
        get_tokenizer(tmp_path)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"added_tokens": [added("<s>", 7)]}, "'<s>' the id 7, and its vocabulary 2"),
        ({"added_tokens": [added("a", 7)]}, "'a' the id 7, and its vocabulary 0"),
        ({"post_processor": frame(77)}, "adds the token id 77"),
        ({"model": {**BPE, "unk_token": "<unk>"}}, "'<unk>' for unknown text"),
    ],
)
def test_special_tokens_that_are_not_there_are_told(
    tmp_path: Path, parts: dict[str, Any], said: str
) -> None:
    """The tokenizers package takes such files, and gives other ids than they say."""
    with pytest.raises(TokenizerError) as caught:
        get_tokenizer(write(tmp_path, **parts))
    assert said in str(caught.value)


@pytest.mark.parametrize("token", ["</s>", {"content": "</s>", "special": True}])
def test_a_configuration_of_another_tokenizer_is_told(tmp_path: Path, token: Any) -> None:
    """It names an end that the vocabulary does not have."""
    with pytest.raises(TokenizerError, match=r"names the eos_token '</s>', which the vocab.* of 2"):
        get_tokenizer(write(tmp_path, {"eos_token": token}))


def test_a_malformed_configuration_is_told(tmp_path: Path) -> None:
    """It is named by its path."""
    write(tmp_path, [1])
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json is malformed"):
        get_tokenizer(tmp_path)
    tmp_path.joinpath("tokenizer_config.json").write_text("{")
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json is malformed"):
        get_tokenizer(tmp_path)


@pytest.mark.parametrize("name", sorted(files.LARGEST))
def test_a_file_beyond_its_bound_is_not_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file has a bound, several times what is in use."""
    if name != "tiktoken.model":
        write(tmp_path, {})
    tmp_path.joinpath(name).write_bytes(b"{}" + b" " * 5000)
    monkeypatch.setattr(files, "LARGEST", {**files.LARGEST, name: 5000})
    with pytest.raises(TokenizerError, match=rf"{name} has 5,002 bytes, and the limit is 5,000"):
        get_tokenizer(tmp_path)


def test_texts_are_neither_cut_off_nor_filled_up(tmp_path: Path) -> None:
    """Files of models for other purposes ask for both."""
    write(
        tmp_path,
        truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        padding={
            "strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "a",
        },
    )  # fmt: skip
    assert get_tokenizer(tmp_path).encode_batch(["abab", "b"]) == [[0, 1, 0, 1], [1]]


def test_roles_come_from_either_file(tmp_path: Path) -> None:
    """special_tokens_map.json is the older place; tokenizer_config.json stands above it."""
    tokens = [added("<s>", 2), added("</s>", 3)]
    write(tmp_path, {"eos_token": "</s>", "bos_token": None}, added_tokens=tokens)
    tmp_path.joinpath("special_tokens_map.json").write_text(
        json.dumps({"bos_token": {"content": "<s>"}, "eos_token": "<s>"})
    )
    tokenizer = get_tokenizer(tmp_path)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (2, 3)
    assert (tokenizer.pad_token, tokenizer.pad_token_id, tokenizer.unk_token_id) == (None,) * 3
    assert tokenizer.special_tokens == {"<s>": 2, "</s>": 3}


@pytest.mark.holds("S13")
def test_code_beside_a_tokenizer_is_never_run(tmp_path: Path) -> None:
    """Whatever the configuration says about it."""
    write(tmp_path, {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}})
    ran = tmp_path / "ran"
    tmp_path.joinpath("evil.py").write_text(f"open({str(ran)!r}, 'w')")
    assert get_tokenizer(tmp_path).encode("ab") == [0, 1]
    assert not ran.exists()


@pytest.mark.parametrize("path", ["./missing", "~/missing-tinkex", "missing.json"])
def test_a_path_that_is_not_there_is_no_name(path: str) -> None:
    """It is told at once, and no hub is asked for it."""
    with pytest.raises(TokenizerError, match="there is no file or folder"):
        get_tokenizer(path)


def test_a_folder_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    """The two files that would do are named."""
    with pytest.raises(TokenizerError, match=r"neither tokenizer\.json nor tiktoken\.model"):
        get_tokenizer(tmp_path)


def test_what_cannot_be_encoded_is_an_error_of_tinkex() -> None:
    """A model that knows no unknown token fails on one, with the tokenizer's name."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    backend = Backend(models.Unigram([("a", 0.0)]))
    with pytest.raises(TokenizerError, match="'an object' cannot encode this"):
        get_tokenizer(backend).encode("b")
    assert made("unigram").token_to_id("<unk>") is not None
