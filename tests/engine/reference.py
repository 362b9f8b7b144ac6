"""Plain float64 implementations, written for clearness and apart from the engine, to test it by."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tinkex.local.engine import (
    Base,
    Example,
    LoraSpec,
    ModelConfig,
    RopeScaling,
    Trainer,
    save_base,
)

SHAPES = {
    "gqa-qknorm-tied": {"num_heads": 4, "num_kv_heads": 2, "qk_norm": True, "tie_embeddings": True},
    "mha-plain-untied": {
        "num_heads": 2,
        "num_kv_heads": 2,
        "qk_norm": False,
        "tie_embeddings": False,
    },
    "mqa-llama3-untied": {
        "num_heads": 3,
        "num_kv_heads": 1,
        "qk_norm": False,
        "tie_embeddings": False,
        "rope_scaling": RopeScaling(8.0, 1.0, 4.0, 16),
    },
}


def toy_config(**changes: Any) -> ModelConfig:
    """Return a shape small enough for finite differences."""
    shape: dict[str, Any] = {
        "vocab_size": 23,
        "hidden_size": 12,
        "num_layers": 2,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 6,
        "intermediate_size": 20,
        "max_context": 64,
        "eos_token_ids": (0,),
    }
    return ModelConfig(**(shape | changes))


def toy_base(seed: int = 0, dtype: Any = np.float64, **changes: Any) -> Base:
    """Return a random base of the toy shape."""
    return Base.random(toy_config(**changes), seed=seed, dtype=dtype)


def scramble(trainer: Trainer, seed: int = 0, size: float = 0.3) -> None:
    """Give A and B random values: at B = 0 the gradient of A would be zero and prove nothing."""
    rng = np.random.default_rng(seed)
    trainer._flat[...] = rng.normal(0, size, trainer._flat.shape)
    trainer._stale = True


def toy_trainer(base: Base, rank: int = 3, **options: Any) -> Trainer:
    """Return a scrambled trainer."""
    flags = {k: options.pop(k) for k in list(options) if k.startswith("train_")}
    trainer = Trainer(base, LoraSpec(rank=rank, alpha=6.0, seed=1, **flags), **options)
    scramble(trainer)
    return trainer


def gradients(trainer: Trainer) -> dict[str, np.ndarray]:
    """Return what is accumulated, as PEFT names it."""
    from tinkex.local.engine.adapter import named_tensors

    assert trainer._accumulated is not None
    return named_tensors(trainer._layout, trainer._accumulated, prefix="")


def examples(
    lengths: tuple[int, ...],
    vocab: int = 23,
    loss: str = "cross_entropy",
    seed: int = 0,
    k: int = 0,
) -> list[Example]:
    """Return random examples with the tensors a loss takes."""
    rng = np.random.default_rng(seed)
    made = []
    for n in lengths:
        shape = (n, k) if k else (n,)
        inputs: dict[str, np.ndarray] = {"target_tokens": rng.integers(0, vocab, shape)}
        if loss == "cross_entropy":
            inputs["weights"] = rng.normal(size=shape).astype(np.float32)
            inputs["weights"][rng.random(shape) < 0.2] = 0
        else:
            drawn = -math.log(vocab) + rng.normal(0, 0.5, shape)
            inputs["logprobs"] = drawn.astype(np.float32)
            inputs["advantages"] = rng.normal(size=shape).astype(np.float32)
            inputs["advantages"][rng.random(shape) < 0.2] = 0
        if loss == "gspo":
            inputs["sequence_ratio_mask"] = (rng.random(n) < 0.7).astype(np.float32)
        if loss == "stable_reinforce":
            inputs["sampled_mask"] = (rng.random(n) < 0.7).astype(np.float32)
        made.append(Example(rng.integers(0, vocab, n), inputs))
    return made


def base_tensors(base: Base, folder: Path) -> dict[str, np.ndarray]:
    """Return a base's weights under their Hugging Face names, in float64."""
    save_base(base, folder)
    return {k: v.astype(np.float64) for k, v in load_file(folder / "model.safetensors").items()}


def adapter_tensors(trainer: Trainer, folder: Path) -> dict[str, np.ndarray]:
    """Return an adapter's weights under their PEFT names, in float64."""
    trainer.save(folder, optimizer=False)
    loaded = load_file(folder / "adapter_model.safetensors")
    return {k: v.astype(np.float64) for k, v in loaded.items()}


class PlainModel:
    """The textbook transformer, one sequence at a time, adapters applied as x·Aᵀ·Bᵀ."""

    def __init__(
        self,
        config: ModelConfig,
        weights: dict[str, np.ndarray],
        lora: dict[str, np.ndarray] | None = None,
        scale: float = 1.0,
    ) -> None:
        self.config, self.weights, self.lora, self.scale = config, weights, lora or {}, scale

    def linear(self, name: str, x: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Apply a projection and its adapter."""
        y = x @ (self.weights[f"{name}.weight"] if weight is None else weight).T
        a = self.lora.get(f"base_model.model.{name}.lora_A.weight")
        if a is not None:
            b = self.lora[f"base_model.model.{name}.lora_B.weight"]
            y = y + self.scale * (x @ a.T @ b.T)
        return y

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        """RMSNorm."""
        mean = (x**2).mean(-1, keepdims=True)
        return x / np.sqrt(mean + self.config.rms_eps) * self.weights[f"{name}.weight"]

    def frequencies(self) -> list[float]:
        """Rotary frequencies, with Llama 3 scaling written as its authors did."""
        c, found = self.config, []
        for i in range(c.head_dim // 2):
            f = c.rope_theta ** (-2 * i / c.head_dim)
            if c.rope_scaling is not None:
                s = c.rope_scaling
                wavelength = 2 * math.pi / f
                if wavelength > s.original_max_position / s.low_freq_factor:
                    f /= s.factor
                elif wavelength >= s.original_max_position / s.high_freq_factor:
                    smooth = (s.original_max_position / wavelength - s.low_freq_factor) / (
                        s.high_freq_factor - s.low_freq_factor
                    )
                    f = (1 - smooth) * f / s.factor + smooth * f
            found.append(f)
        return found

    def rope(self, x: np.ndarray) -> np.ndarray:
        """Rotate the halves of one head, [L, h]."""
        half = x.shape[1] // 2
        angle = np.outer(np.arange(len(x)), self.frequencies())
        cos, sin = np.cos(angle), np.sin(angle)
        a, b = x[:, :half], x[:, half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=1)

    def attention(self, prefix: str, x: np.ndarray) -> np.ndarray:
        """Causal grouped-query attention."""
        c = self.config
        q = self.linear(f"{prefix}.q_proj", x).reshape(len(x), c.num_heads, c.head_dim)
        k = self.linear(f"{prefix}.k_proj", x).reshape(len(x), c.num_kv_heads, c.head_dim)
        v = self.linear(f"{prefix}.v_proj", x).reshape(len(x), c.num_kv_heads, c.head_dim)
        if c.qk_norm:
            q, k = self.norm(f"{prefix}.q_norm", q), self.norm(f"{prefix}.k_norm", k)
        outs = []
        for h in range(c.num_heads):
            g = h // (c.num_heads // c.num_kv_heads)
            scores = self.rope(q[:, h]) @ self.rope(k[:, g]).T / math.sqrt(c.head_dim)
            scores[np.triu_indices(len(x), 1)] = -np.inf
            p = np.exp(scores - scores.max(1, keepdims=True))
            outs.append(p / p.sum(1, keepdims=True) @ v[:, g])
        return self.linear(f"{prefix}.o_proj", np.concatenate(outs, axis=1))

    def logprobs(self, tokens: np.ndarray) -> np.ndarray:
        """Return log p over the vocabulary at each position, [L, V]."""
        embed = self.weights["model.embed_tokens.weight"]
        x = embed[tokens]
        for i in range(self.config.num_layers):
            p = f"model.layers.{i}"
            x = x + self.attention(f"{p}.self_attn", self.norm(f"{p}.input_layernorm", x))
            y = self.norm(f"{p}.post_attention_layernorm", x)
            gate, up = self.linear(f"{p}.mlp.gate_proj", y), self.linear(f"{p}.mlp.up_proj", y)
            x = x + self.linear(f"{p}.mlp.down_proj", gate / (1 + np.exp(-gate)) * up)
        head = embed if self.config.tie_embeddings else self.weights["lm_head.weight"]
        logits = self.linear("lm_head", self.norm("model.norm", x), head)
        logits = logits - logits.max(1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def plain_loss(
    name: str, logprobs: np.ndarray, inputs: dict[str, np.ndarray], config: dict[str, float]
) -> tuple[float, np.ndarray]:
    """Return (loss, dL/dl) of one example, token by token."""
    gradient = np.zeros(logprobs.shape)
    total = 0.0
    sequence_ratio = 1.0
    if name == "gspo":
        kept = [i for i in range(len(logprobs)) if inputs["sequence_ratio_mask"][i] != 0]
        gaps = [logprobs[i] - float(inputs["logprobs"][i]) for i in kept]
        sequence_ratio = math.exp(sum(gaps) / len(gaps)) if gaps else 1.0
    for i in np.ndindex(logprobs.shape):
        p = float(logprobs[i])
        if name == "cross_entropy":
            w = float(inputs["weights"][i]) if "weights" in inputs else 1.0
            total, gradient[i] = total - w * p, -w
            continue
        q, a = float(inputs["logprobs"][i]), float(inputs["advantages"][i])
        r = sequence_ratio if name == "gspo" else math.exp(p - q)
        low, high = config.get("clip_low_threshold", 0.0), config.get("clip_high_threshold", 0.0)
        clipped = min(max(r, low), high)
        if name == "importance_sampling":
            total, gradient[i] = total - r * a, -r * a
        elif name in ("ppo", "gspo"):
            total -= min(r * a, clipped * a)
            gradient[i] = -r * a if r * a <= clipped * a else 0.0
        elif name == "cispo":
            total, gradient[i] = total - clipped * p * a, -clipped * a
        elif name == "dro":
            beta = config["beta"]
            total -= p * a - 0.5 * beta * (p - q) ** 2
            gradient[i] = -a + beta * (p - q)
        elif name == "stable_reinforce" and inputs["sampled_mask"][i] != 0:
            truncated, kl = min(r, 1.0), config["kl_coeff"]
            total += -truncated * p * a + kl * (p - q) ** 2 / 2
            gradient[i] = -truncated * a + kl * (p - q)
    return total, gradient


LOSS_DEFAULTS: dict[str, dict[str, float]] = {
    "cross_entropy": {},
    "importance_sampling": {},
    "ppo": {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2},
    "cispo": {"clip_low_threshold": 0.0, "clip_high_threshold": 4.0},
    "dro": {"beta": 0.05},
    "gspo": {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2},
    "stable_reinforce": {"kl_coeff": 0.0},
}
