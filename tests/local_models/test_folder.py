"""The files of the shipped model agree with each other."""

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

FILES = {
    "MODEL_CARD.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def config(folder):
    return read(folder / "config.json")


@pytest.fixture(scope="module")
def tensors(folder):
    return load_file(folder / "model.safetensors")


def test_the_folder_holds_the_documented_files(folder):
    """Nothing is missing and no stray file is shipped."""
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_weights_fit_the_size_budget(folder):
    """The wheel carries at most 4 MB of weights."""
    assert (folder / "model.safetensors").stat().st_size <= 4_000_000


def test_the_card_states_the_hash_and_size_of_the_weights(folder):
    """The sha256 and the size in the card are those of the file."""
    content = (folder / "model.safetensors").read_bytes()
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert re.findall(r"\b[0-9a-f]{64}\b", card) == [hashlib.sha256(content).hexdigest()]
    assert f"{len(content):,} bytes" in card


def test_the_card_states_the_number_of_parameters(folder, tensors):
    """The parameter count in the card is that of the weights."""
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{sum(tensor.size for tensor in tensors.values()):,} parameters" in card


def expected_shapes(config):
    d, head = config["hidden_size"], config["head_dim"]
    q, kv = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    ff = config["intermediate_size"]
    layer = {
        "input_layernorm": (d,),
        "post_attention_layernorm": (d,),
        "self_attn.q_proj": (q, d),
        "self_attn.k_proj": (kv, d),
        "self_attn.v_proj": (kv, d),
        "self_attn.o_proj": (d, q),
        "self_attn.q_norm": (head,),
        "self_attn.k_norm": (head,),
        "mlp.gate_proj": (ff, d),
        "mlp.up_proj": (ff, d),
        "mlp.down_proj": (d, ff),
    }
    shapes = {
        f"model.layers.{i}.{name}.weight": shape
        for i in range(config["num_hidden_layers"])
        for name, shape in layer.items()
    }
    shapes["model.embed_tokens.weight"] = (config["vocab_size"], d)
    shapes["model.norm.weight"] = (d,)
    return shapes


def test_the_tensors_have_the_names_and_shapes_of_the_config(config, tensors):
    """Every tensor of a tied Qwen3 model is there, and no other."""
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected_shapes(config)
    assert config["model_type"] == "qwen3"
    assert config["tie_word_embeddings"] is True


def test_the_weights_are_finite_half_precision_numbers(tensors):
    """No tensor overflowed when it was narrowed to float16."""
    for name, tensor in tensors.items():
        assert tensor.dtype == np.float16, name
        assert np.isfinite(tensor).all(), name


def test_the_end_tokens_agree(folder, config):
    """config.json, generation_config.json and tokenizer_config.json name the same end and padding tokens."""
    generation = read(folder / "generation_config.json")
    tokenizer = read(folder / "tokenizer_config.json")
    ids = {token["content"]: int(i) for i, token in tokenizer["added_tokens_decoder"].items()}
    assert config["eos_token_id"] == ids[tokenizer["eos_token"]] == ids["<|im_end|>"]
    assert config["pad_token_id"] == ids[tokenizer["pad_token"]] == ids["<|endoftext|>"]
    assert generation["eos_token_id"] == [ids["<|im_end|>"], ids["<|endoftext|>"]]
    assert tokenizer["model_max_length"] == config["max_position_embeddings"]


def test_the_initial_loss_could_only_come_from_training(tensors):
    """The embedding has moved away from its initial standard deviation of 0.02."""
    spread = float(tensors["model.embed_tokens.weight"].astype(np.float32).std())
    assert math.isfinite(spread)
    assert spread > 0.03
