"""Downloaded adapters and merged models in peft and transformers, where those are installed.

They come with torch, which is large, and so are no development dependencies; `make interop-peft` runs
these tests in an environment that has them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from attrs import frozen
from safetensors.numpy import load_file

import tinkex
from tinkex import AdamParams, ModelInput, ServiceClient
from tinkex.checkpoints import download, merge
from tinkex.local import LocalServer
from tinkex.losses import cross_entropy_datum

pytestmark = pytest.mark.filterwarnings("ignore")

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

LLAMA_CPP = os.environ.get("LLAMA_CPP")
TINY_CHAT = Path(tinkex.__file__).parent / "local/models/tiny-chat"
SHAPE = {
    "vocab_size": 1024,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}
TOKENS = [int(one) for one in np.random.default_rng(0).integers(3, 1024, 60)]
Array = npt.NDArray[np.float64]


@frozen
class Trained:
    """A base model, its adapter as it was downloaded, and what the server says with and without it."""

    base: Path
    adapter: Path
    logprobs: Array
    untrained: Array


def model_in(folder: Path, kind: str, dtype: str, *, tied: bool) -> Path:
    """Save a random model as transformers does, with the tokenizer of the model that ships."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SHAPE, tie_word_embeddings=tied)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size="100KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((TINY_CHAT / name).read_bytes())
    return folder


def said_by(service: ServiceClient, model: str) -> Array:
    """Return the log probability of each token under a base model, or under weights at a path."""
    sampler = service.create_sampling_client(
        **{"model_path" if "://" in model else "base_model": model}
    )
    found = sampler.compute_logprobs(ModelInput.from_ints(TOKENS)).result()
    return np.array([float(one) for one in found[1:] if one is not None])


def trained_on(base: Path, folder: Path, **layers: bool) -> Trained:
    """Train an adapter on the local server, and download it."""
    with (
        LocalServer(data_dir=folder / "data", models={"base": base}) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        training = service.create_lora_training_client("base", rank=4, seed=0, **layers)
        datum = cross_entropy_datum(TOKENS[::-1])
        for _ in range(6):
            training.train_step([datum], "cross_entropy", AdamParams(learning_rate=2e-2))
        path = str(training.save_weights_for_sampler("a").result().path)
        got = download(service.create_rest_client(), path, folder)
        return Trained(base, got.folder, said_by(service, path), said_by(service, "base"))


def loaded(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logprobs_of(model: Any) -> Array:
    """Return the log probability of each token under a model of transformers."""
    with torch.no_grad():
        logits = model(torch.tensor(TOKENS)[None]).logits[0, :-1].float()
    every = torch.log_softmax(logits, -1).numpy()
    return np.array(every[np.arange(len(TOKENS) - 1), TOKENS[1:]], np.float64)


def by_peft(trained: Trained) -> Any:
    return peft.PeftModel.from_pretrained(loaded(trained.base), trained.adapter).eval()


@pytest.fixture(params=["Qwen3", "Llama"])
def untied(request: pytest.FixtureRequest, tmp_path: Path) -> Trained:
    return trained_on(model_in(tmp_path / "base", request.param, "float32", tied=False), tmp_path)


@pytest.fixture(params=["train_unembed", "no train_unembed"])
def tied(request: pytest.FixtureRequest, tmp_path: Path) -> Trained:
    base = model_in(tmp_path / "base", "Qwen3", "float32", tied=True)
    return trained_on(base, tmp_path, train_unembed=request.param == "train_unembed")


def test_peft_loads_a_downloaded_adapter(untied: Trained) -> None:
    """As it is; every token has the probability that the server gives it."""
    np.testing.assert_allclose(logprobs_of(by_peft(untied)), untied.logprobs, atol=1e-3)
    assert abs(untied.logprobs - untied.untrained).max() > 0.5


def test_peft_loads_an_adapter_of_a_model_with_tied_embeddings(tied: Trained) -> None:
    """Also one that adapts the unembedding, as long as it is not merged."""
    np.testing.assert_allclose(logprobs_of(by_peft(tied)), tied.logprobs, atol=1e-3)
    assert abs(tied.logprobs - tied.untrained).max() > 0.5


def test_a_merged_model_is_that_of_peft(untied: Trained, tmp_path: Path) -> None:
    """Tensor by tensor; and transformers loads it as it is."""
    merged = loaded(merge(untied.adapter, untied.base, tmp_path / "merged"))
    theirs = by_peft(untied).merge_and_unload().state_dict()
    ours = merged.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        np.testing.assert_allclose(tensor.numpy(), theirs[name].numpy(), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(logprobs_of(merged), untied.logprobs, atol=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_merged_model_of_half_precision_is_that_of_peft(dtype: str, tmp_path: Path) -> None:
    """Up to one rounding: peft rounds the product before it is added, and the sum again."""
    trained = trained_on(model_in(tmp_path / "base", "Qwen3", dtype, tied=False), tmp_path)
    merged = merge(trained.adapter, trained.base, tmp_path / "merged")
    ours = transformers.AutoModelForCausalLM.from_pretrained(merged)
    assert ours.dtype == getattr(torch, dtype)
    half = transformers.AutoModelForCausalLM.from_pretrained(trained.base)
    theirs = peft.PeftModel.from_pretrained(half, trained.adapter).merge_and_unload().state_dict()
    step = 2.0 ** (-8 if dtype == "bfloat16" else -11)
    for name, tensor in ours.state_dict().items():
        want, found = theirs[name].float().numpy(), tensor.float().numpy()
        np.testing.assert_allclose(found, want, rtol=2 * step, atol=2 * step, err_msg=name)


def test_a_merged_model_with_tied_embeddings_says_what_the_server_says(
    tied: Trained, tmp_path: Path
) -> None:
    """An adapted unembedding becomes a matrix of its own, where peft changes the embedding, too."""
    merged = loaded(merge(tied.adapter, tied.base, tmp_path / "merged"))
    np.testing.assert_allclose(logprobs_of(merged), tied.logprobs, atol=1e-3)
    off = abs(logprobs_of(by_peft(tied).merge_and_unload()) - tied.logprobs).max()
    adapts_unembedding = not merged.config.tie_word_embeddings
    assert (off > 0.1) == adapts_unembedding, f"peft's merged model is off by {off:.2g} nats"


@pytest.mark.skipif(LLAMA_CPP is None, reason="LLAMA_CPP names no folder of its source")
def test_llama_cpp_converts_a_downloaded_adapter(tied: Trained, tmp_path: Path) -> None:
    """As it is; every matrix is in the file, with the same numbers."""
    gguf = pytest.importorskip("gguf")
    program = Path(str(LLAMA_CPP)) / "convert_lora_to_gguf.py"
    file = tmp_path / "adapter.gguf"
    options = ["--base", tied.base, "--outfile", file, "--outtype", "f32"]
    done = subprocess.run(
        [sys.executable, program, tied.adapter, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    converted = {one.name: one.data for one in gguf.GGUFReader(file).tensors}
    tensors = load_file(tied.adapter / "adapter_model.safetensors")
    assert len(converted) == len(tensors)
    layer = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"
    np.testing.assert_array_equal(converted["blk.1.attn_q.weight.lora_a"], tensors[layer])
