"""Adapters merged into their base models, without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tinkex
from tinkex import AdamParams, ModelInput
from tinkex.checkpoints import download, merge
from tinkex.errors import CheckpointError
from tinkex.local import LocalServer
from tinkex.losses import cross_entropy_datum

SHIPPED = Path(tinkex.__file__).parent / "local/models/tiny-chat"
LAYER = "model.layers.0.self_attn.q_proj"


def adapter_in(folder: Path, layers: dict[str, tuple[int, int]], **config: Any) -> Path:
    """Write an adapter of rank 2 with some layers, as peft does."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    tensors = {}
    for name, (out, read) in layers.items():
        for side, shape in (("A", (2, read)), ("B", (out, 2))):
            key = f"base_model.model.{name}.lora_{side}.weight"
            tensors[key] = rng.normal(size=shape).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def base_in(folder: Path, **config: Any) -> Path:
    """Write a model of two files, in float32."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    first = {"model.embed_tokens.weight": rng.normal(size=(5, 3)).astype(np.float32)}
    second = {f"{LAYER}.weight": rng.normal(size=(4, 3)).astype(np.float32)}
    save_file(first, folder / "model-00001-of-00002.safetensors")
    save_file(second, folder / "model-00002-of-00002.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    places = dict.fromkeys(first, "model-00001-of-00002.safetensors")
    places |= dict.fromkeys(second, "model-00002-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def tensors_in(folder: Path) -> dict[str, np.ndarray]:
    return {
        name: one for file in folder.glob("*.safetensors") for name, one in load_file(file).items()
    }


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 2.0),
        ({"use_rslora": True}, 4 / 2**0.5),
        ({"alpha_pattern": {"q_proj": 1}}, 0.5),
        ({"alpha_pattern": {"k_proj": 1}}, 2.0),
    ],
)
def test_a_layer_becomes_the_sum(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    """W + scale * B @ A; the other tensors and files are what they were."""
    adapter = adapter_in(tmp_path / "a", {LAYER: (4, 3)}, **config)
    base = base_in(tmp_path / "b")
    merged = tensors_in(merge(adapter, base, tmp_path / "m"))
    before, parts = tensors_in(base), load_file(adapter / "adapter_model.safetensors")
    a, b = (parts[f"base_model.model.{LAYER}.lora_{side}.weight"] for side in "AB")
    np.testing.assert_allclose(
        merged[f"{LAYER}.weight"], before[f"{LAYER}.weight"] + scale * b @ a, rtol=1e-6
    )
    embedding = "model.embed_tokens.weight"
    np.testing.assert_array_equal(merged[embedding], before[embedding])
    assert (tmp_path / "m/tokenizer.json").read_text() == "{}"
    index = json.loads((tmp_path / "m/model.safetensors.index.json").read_text())
    assert (
        index["weight_map"]
        == json.loads((base / "model.safetensors.index.json").read_text())["weight_map"]
    )


def test_a_tied_unembedding_is_untied(tmp_path: Path) -> None:
    """The embedding, which was not trained, stays; the configuration says that there are two."""
    adapter = adapter_in(tmp_path / "a", {"lm_head": (5, 3)})
    base = base_in(tmp_path / "b", tie_word_embeddings=True)
    merge(adapter, base, tmp_path / "m")
    merged, before = tensors_in(tmp_path / "m"), tensors_in(base)
    np.testing.assert_array_equal(
        merged["model.embed_tokens.weight"], before["model.embed_tokens.weight"]
    )
    assert abs(merged["lm_head.weight"] - before["model.embed_tokens.weight"]).max() > 0.1
    assert json.loads((tmp_path / "m/config.json").read_text())["tie_word_embeddings"] is False
    index = json.loads((tmp_path / "m/model.safetensors.index.json").read_text())
    assert index["weight_map"]["lm_head.weight"] == "model-00001-of-00002.safetensors"


@pytest.mark.parametrize(
    ("layers", "config", "model", "said"),
    [
        ({LAYER: (4, 3)}, {"use_dora": True}, {}, "uses use_dora"),
        ({LAYER: (4, 3)}, {"peft_type": "IA3"}, {}, "uses IA3"),
        ({LAYER: (4, 9)}, {}, {}, r"has the shape \(4, 3\), and the adapter's is \(4, 9\)"),
        ({"model.layers.7.mlp": (4, 3)}, {}, {}, "1 of 1 adapted layers are missing"),
        (
            {"model.embed_tokens": (5, 3)},
            {},
            {"tie_word_embeddings": True},
            "changes the embedding of a model whose unembedding is the same",
        ),
    ],
)
def test_what_would_be_merged_wrongly_is_refused(
    tmp_path: Path,
    layers: dict[str, tuple[int, int]],
    config: dict[str, Any],
    model: dict[str, Any],
    said: str,
) -> None:
    """With the reason, and nothing is left in the output."""
    adapter, base = adapter_in(tmp_path / "a", layers, **config), base_in(tmp_path / "b", **model)
    with pytest.raises(CheckpointError, match=said):
        merge(adapter, base, tmp_path / "m")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b"]


def test_bfloat16_is_rounded_to_the_nearest(tmp_path: Path) -> None:
    """As every other tool rounds it: ties go to the even one."""
    from tinkex.checkpoints.merge import _written

    values = np.array([1.0, 1.00390625, 1.01171875, 1.005, -3.1], np.float32)
    wide = np.frombuffer(_written(values, "BF16"), "<u2").astype(np.uint32) << 16
    assert wide.view(np.float32).tolist() == [1.0, 1.0, 1.015625, 1.0078125, -3.09375]


def test_a_merged_model_says_what_model_and_adapter_say(tmp_path: Path) -> None:
    """Also with an adapted unembedding, which is tied in the base model, up to its float16."""
    tokens = ModelInput.from_ints(list(range(5, 40)))
    with (
        LocalServer(data_dir=tmp_path / "data") as server,
        tinkex.ServiceClient(base_url=server.base_url) as service,
    ):
        training = service.create_lora_training_client("tinkex/tiny-chat", rank=4, seed=0)
        datum = cross_entropy_datum(tokens.to_ints())
        for _ in range(3):
            training.train_step([datum], "cross_entropy", AdamParams(learning_rate=1e-2))
        path = str(training.save_weights_for_sampler("a").result().path)
        wanted = service.create_sampling_client(path).compute_logprobs(tokens).result()
        before = service.create_sampling_client(base_model="tinkex/tiny-chat")
        untrained = before.compute_logprobs(tokens).result()
        adapter = download(service.create_rest_client(), path, tmp_path).folder
    merge(adapter, SHIPPED, tmp_path / "merged")
    shutil.rmtree(tmp_path / "data")
    with (
        LocalServer(data_dir=tmp_path / "data", models={"merged": tmp_path / "merged"}) as server,
        tinkex.ServiceClient(base_url=server.base_url) as service,
    ):
        sampler = service.create_sampling_client(base_model="merged")
        found = sampler.compute_logprobs(tokens).result()
    np.testing.assert_allclose(found[1:], wanted[1:], atol=0.05)
    assert abs(np.subtract(untrained[1:], wanted[1:])).max() > 1
