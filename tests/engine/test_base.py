"""Hugging Face folders: round trips, dtypes, shards, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.reference import SHAPES, examples, toy_base, toy_config
from safetensors.numpy import load_file, save_file

from tinkex.local.engine import (
    Base,
    EngineError,
    LoraSpec,
    ModelConfig,
    Trainer,
    nano_config,
    save_base,
)
from tinkex.local.engine.config import config_from_hf, config_to_hf
from tinkex.local.engine.tensors import TensorFile


def logprobs(base: Base) -> list[np.ndarray]:
    return (
        Trainer(base, LoraSpec(rank=2, seed=0)).forward(examples((20, 7)), "cross_entropy").logprobs
    )


def rewrite(folder: Path, **changes: Any) -> None:
    """Change keys of config.json; None removes one."""
    raw = json.loads((folder / "config.json").read_text()) | changes
    kept = {key: value for key, value in raw.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


def write_bf16(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a safetensors file of bfloat16 by hand: numpy has no such type."""
    header, blob = {}, b""
    for name, tensor in tensors.items():
        raw = (tensor.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {
            "dtype": "BF16",
            "shape": list(tensor.shape),
            "data_offsets": [len(blob), len(blob) + len(raw)],
        }
        blob += raw
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + blob)


def truncated(tensor: np.ndarray) -> np.ndarray:
    """Return the values bfloat16 keeps when the lower half is cut."""
    return (tensor.astype("<f4").view("<u4") & 0xFFFF0000).view("<f4")


@pytest.mark.parametrize("shape", SHAPES)
def test_saved_base_loads_as_it_was(shape: str, tmp_path: Path) -> None:
    """Configuration, weights and outputs survive a round trip."""
    base = toy_base(dtype=np.float32, **SHAPES[shape])
    save_base(base, tmp_path)
    again = Base.load(tmp_path, "copy")
    assert (again.config, again.name, again.folder) == (base.config, "copy", tmp_path)
    for one, other in zip(logprobs(base), logprobs(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_loads_as_float32(kind: str, tmp_path: Path) -> None:
    """float16 and bfloat16 files give exactly the values they hold."""
    base = toy_base(dtype=np.float32)
    save_base(base, tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    if kind == "float16":
        halves = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
        save_file(halves, path)
        expected = {name: tensor.astype(np.float32) for name, tensor in halves.items()}
    else:
        write_bf16(path, tensors)
        expected = {name: truncated(tensor) for name, tensor in tensors.items()}
    loaded = Base.load(tmp_path)
    assert loaded.dtype == np.float32
    save_base(loaded, tmp_path / "again")
    found = load_file(tmp_path / "again" / "model.safetensors")
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_shards_load_as_one(tmp_path: Path) -> None:
    """An index names the shard of each tensor."""
    base = toy_base(dtype=np.float32)
    save_base(base, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(tensors)
    placed = {}
    for i in range(3):
        file = f"model-0000{i + 1}-of-00003.safetensors"
        save_file({name: tensors[name] for name in names[i::3]}, tmp_path / file)
        placed |= dict.fromkeys(names[i::3], file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": placed}))
    for one, other in zip(logprobs(base), logprobs(Base.load(tmp_path)), strict=True):
        np.testing.assert_array_equal(one, other)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(EngineError, match=r"cannot read .*00002-of-00003"):
        Base.load(tmp_path)


def test_tokenizer_files_come_along(tmp_path: Path) -> None:
    """Saving a base that came from a folder copies its tokenizer."""
    save_base(toy_base(dtype=np.float32), tmp_path / "one")
    (tmp_path / "one" / "tokenizer.json").write_text("{}")
    save_base(Base.load(tmp_path / "one"), tmp_path / "two")
    assert (tmp_path / "two" / "tokenizer.json").read_text() == "{}"


def test_generation_config_names_the_stop_tokens(tmp_path: Path) -> None:
    """Chat models list more end tokens there than in config.json."""
    save_base(toy_base(dtype=np.float32), tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [3, 1]}')
    assert Base.load(tmp_path).config.eos_token_ids == (3, 1)
    (tmp_path / "generation_config.json").write_text("{}")
    assert Base.load(tmp_path).config.eos_token_ids == (0,)


def test_newer_spelling_of_rope_is_read() -> None:
    """`rope_parameters` holds what `rope_theta` and `rope_scaling` held."""
    config = toy_config(**SHAPES["mqa-llama3-untied"])
    raw = config_to_hf(config)
    raw["rope_parameters"] = raw.pop("rope_scaling") | {"rope_theta": raw.pop("rope_theta")}
    assert config_from_hf(raw) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2' is not supported"),
        ({"model_type": "qwen3_moe"}, "model_type 'qwen3_moe' is not supported"),
        ({"num_experts": 8}, "mixture-of-experts is not supported"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"use_sliding_window": True}, "use_sliding_window is True"),
        ({"layer_types": ["sliding_attention"]}, "layer_types may only hold 'full_attention'"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not supported"),
        ({"quantization_config": {"bits": 4}}, "quantized weights are not supported"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4}}, "rope type 'yarn' is not supported"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 4}}, "lacks 'low_freq_factor'"),
        ({"hidden_size": None}, "config.json lacks 'hidden_size'"),
        ({"num_key_value_heads": 3}, r"num_heads \(4\) is not a multiple"),
        ({"head_dim": 5}, "rotary embeddings need an even one"),
        ({"vocab_size": 24}, r"'model.embed_tokens.weight' has shape \(23, 12\)"),
        ({"tie_word_embeddings": False}, "has no tensor 'lm_head.weight'"),
    ],
)
def test_unsupported_folders_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """What the engine cannot do it says, instead of computing something else."""
    save_base(toy_base(dtype=np.float32), tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(EngineError, match=message):
        Base.load(tmp_path)


def test_folders_without_a_model_are_refused(tmp_path: Path) -> None:
    """The file that is missing or broken is named."""
    with pytest.raises(EngineError, match="is not a folder"):
        Base.load(tmp_path / "absent")
    with pytest.raises(EngineError, match=r"cannot read .*config.json"):
        Base.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EngineError, match=r"config.json is not valid JSON"):
        Base.load(tmp_path)
    save_base(toy_base(dtype=np.float32), tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EngineError, match=r"not a valid safetensors file.*is outside the file"):
        Base.load(tmp_path)
    path.unlink()
    with pytest.raises(EngineError, match=r"has neither model.safetensors nor"):
        Base.load(tmp_path)


def test_random_base_is_fixed_by_its_seed() -> None:
    """Same seed, same weights."""
    one, two, other = (Base.random(nano_config(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.weights.head, two.weights.head)
    assert (one.weights.head != other.weights.head).any()
    assert one.name == "tinkex/nano"


def test_parameter_count_counts_the_weights(tmp_path: Path) -> None:
    """The count is that of the saved tensors."""
    for changes in SHAPES.values():
        base = toy_base(dtype=np.float32, **changes)
        save_base(base, tmp_path)
        tensors = load_file(tmp_path / "model.safetensors").values()
        assert base.config.parameter_count == sum(tensor.size for tensor in tensors)


def test_senseless_shapes_are_refused() -> None:
    """Sizes below one are named."""
    with pytest.raises(EngineError, match="num_layers is 0"):
        ModelConfig(8, 8, 0, 1, 1, 8, 8)


def test_absent_tensor_is_named(tmp_path: Path) -> None:
    """A tensor file says which tensor it lacks."""
    save_file({"a": np.zeros(2)}, tmp_path / "t.safetensors")
    file = TensorFile(tmp_path / "t.safetensors")
    assert ("a" in file, "b" in file, file.keys()) == (True, False, ["a"])
    with pytest.raises(EngineError, match=r"t.safetensors has no tensor 'b'"):
        file["b"]
