"""The engine against transformers and peft, where those are installed.

They come with torch, which is large, and so are no development dependencies; `make interop-peft` runs
these tests in an environment that has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinkex.local.engine import Base, Example, LoraSpec, Trainer

pytestmark = pytest.mark.filterwarnings("ignore")

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TOKENS = np.random.default_rng(0).integers(0, 97, 150)
SHAPE = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def build(folder: Path, kind: str, *, tied: bool, dtype: str, shards: bool, rope: Any) -> Any:
    """Save a random model as transformers does, and return it as transformers reads it back."""
    torch.manual_seed(0)
    more = {} if rope is None else {"rope_scaling": rope, "rope_theta": rope["rope_theta"]}
    config = getattr(transformers, f"{kind}Config")(**SHAPE, tie_word_embeddings=tied, **more)
    model = getattr(transformers, f"{kind}ForCausalLM")(config).to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size="40KB" if shards else "1GB")
    again = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return again.eval()


def all_logprobs(trainer: Trainer) -> np.ndarray:
    """Return the log-probabilities of every token at every position, by [N, K] targets."""
    targets = np.tile(np.arange(97), (len(TOKENS), 1))
    inputs = {"target_tokens": targets, "weights": np.ones(targets.shape, np.float32)}
    return trainer.forward([Example(TOKENS, inputs)], "cross_entropy", None).logprobs[0]


def reference(model: Any) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.tensor(TOKENS)[None]).logits[0]
    return torch.log_softmax(logits.float(), -1).numpy()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(
    ("kind", "rope"), [("Qwen3", None), ("Llama", None), ("Llama", LLAMA3)],
    ids=["qwen3", "llama", "llama3-rope"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("dtype", "shards"), [("float32", False), ("bfloat16", True)], ids=["f32", "bf16-sharded"]
)
def test_logits_are_those_of_transformers(
    tmp_path: Path, kind: str, rope: Any, tied: bool, dtype: str, shards: bool
) -> None:
    """Normalised logits of a random model agree within 1e-4 at every position and token."""
    model = build(tmp_path, kind, tied=tied, dtype=dtype, shards=shards, rope=rope)
    assert (tmp_path / "model.safetensors.index.json").exists() == shards
    ours = all_logprobs(Trainer(Base.load(tmp_path), LoraSpec(rank=2, seed=0)))
    difference = float(np.abs(ours - reference(model)).max())
    print(f"largest difference {difference:.2e}")
    assert difference < 1e-4


@pytest.mark.parametrize("unembed", [True, False], ids=["unembed", "body"])
@pytest.mark.parametrize(("kind", "tied"), [("Qwen3", False), ("Llama", False), ("Qwen3", True)])
def test_peft_reads_a_trained_adapter(tmp_path: Path, kind: str, tied: bool, unembed: bool) -> None:
    """A saved adapter gives the same logits in peft as in the engine."""
    peft = pytest.importorskip("peft")
    from engine.reference import scramble

    model = build(tmp_path / "base", kind, tied=tied, dtype="float32", shards=False, rope=None)
    spec = LoraSpec(rank=4, seed=0, train_unembed=unembed)
    trainer = Trainer(Base.load(tmp_path / "base"), spec)
    before = all_logprobs(trainer)
    scramble(trainer, size=0.1)
    (tmp_path / "adapter").mkdir()
    trainer.save(tmp_path / "adapter", optimizer=False)
    ours = all_logprobs(trainer)
    theirs = reference(peft.PeftModel.from_pretrained(model, tmp_path / "adapter").eval())
    difference = float(np.abs(ours - theirs).max())
    print(f"largest difference {difference:.2e}, moved by {np.abs(ours - before).max():.2f}")
    assert np.abs(ours - before).max() > 0.05
    assert difference < 1e-4
