"""The peer of `bench/engine.py`: the same transformer in eager PyTorch, written as peft runs it.

Training: adapters beside the frozen weights (y = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ on every linear layer),
scaled-dot-product attention, autograd. Sampling: merged weights and a preallocated cache of keys
and values. Both work on whole padded batches with as many threads as PyTorch is given.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from tinkex.local.engine import ModelConfig
from tinkex.local.engine.base import rope_frequencies

Batch = tuple[Tensor, Tensor, Tensor]
"""Tokens, targets and weights, each [B, L]; padded positions weigh nothing."""


def batch_of(tokens: list[np.ndarray], targets: list[np.ndarray]) -> Batch:
    """Right-pad sequences to the longest one."""
    shape = (len(tokens), max(map(len, tokens)))
    x, y, w = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for row, (own, wanted) in enumerate(zip(tokens, targets, strict=True)):
        x[row, : len(own)], y[row, : len(own)], w[row, : len(own)] = own, wanted, 1
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(w)


class EagerModel:
    """A Qwen3-shaped model; `weights` and `adapter` go by their Hugging Face and PEFT names."""

    def __init__(
        self,
        config: ModelConfig,
        weights: dict[str, np.ndarray],
        adapter: dict[str, np.ndarray],
        scale: float,
    ) -> None:
        self.config = config
        self.scale = scale
        self.weights = {name: torch.from_numpy(w.copy()) for name, w in weights.items()}
        self.weights.setdefault("lm_head.weight", self.weights["model.embed_tokens.weight"])
        self.lora = {
            name.removeprefix("base_model.model."): torch.from_numpy(w.copy()).requires_grad_()
            for name, w in adapter.items()
        }
        angles = np.outer(np.arange(config.max_context), rope_frequencies(config))
        both = np.concatenate([angles, angles], axis=1)
        self.cos = torch.from_numpy(np.cos(both).astype(np.float32))
        self.sin = torch.from_numpy(np.sin(both).astype(np.float32))

    def merge(self) -> None:
        """Put the adapters into the weights, for sampling."""
        with torch.no_grad():
            for name in {name.rsplit(".", 2)[0] for name in self.lora}:
                a, b = self.lora[f"{name}.lora_A.weight"], self.lora[f"{name}.lora_B.weight"]
                self.weights[f"{name}.weight"] = self.weights[f"{name}.weight"] + self.scale * (
                    b @ a
                )
        self.lora = {}

    def linear(self, name: str, x: Tensor) -> Tensor:
        """Apply a linear layer, and its adapter if it has one."""
        y = F.linear(x, self.weights[f"{name}.weight"])
        a = self.lora.get(f"{name}.lora_A.weight")
        if a is None:
            return y
        return y + F.linear(F.linear(x, a), self.lora[f"{name}.lora_B.weight"]) * self.scale

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Apply a root-mean-square norm over the last axis."""
        return F.rms_norm(x, (x.shape[-1],), self.weights[f"{name}.weight"], self.config.rms_eps)

    def heads(self, name: str, x: Tensor, count: int, norm: bool) -> Tensor:
        """Project to heads, [B, heads, L, width]; with `norm`, normed."""
        y = self.linear(name, x).unflatten(-1, (count, self.config.head_dim))
        if norm:
            y = self.norm(name.replace("_proj", "_norm"), y)
        return y.transpose(1, 2)

    def rotate(self, x: Tensor, begin: int) -> Tensor:
        """Apply rotary embeddings for positions from `begin` on."""
        span = slice(begin, begin + x.shape[2])
        a, b = x.chunk(2, dim=-1)
        return x * self.cos[span] + torch.cat([-b, a], dim=-1) * self.sin[span]

    def hidden(self, tokens: Tensor, begin: int = 0, cache: Tensor | None = None) -> Tensor:
        """Return the normed last hidden state, [B, L, D].

        `cache` is [layers, 2, B, kv heads, slots, width]: positions below `begin` are in it, and
        those of `tokens` are written to it.
        """
        config, end = self.config, begin + tokens.shape[1]
        x = F.embedding(tokens, self.weights["model.embed_tokens.weight"])
        for i in range(config.num_layers):
            p = f"model.layers.{i}"
            y = self.norm(f"{p}.input_layernorm", x)
            q = self.heads(f"{p}.self_attn.q_proj", y, config.num_heads, config.qk_norm)
            k = self.heads(f"{p}.self_attn.k_proj", y, config.num_kv_heads, config.qk_norm)
            v = self.heads(f"{p}.self_attn.v_proj", y, config.num_kv_heads, False)
            q, k = self.rotate(q, begin), self.rotate(k, begin)
            if cache is not None:
                cache[i, 0, :, :, begin:end] = k
                cache[i, 1, :, :, begin:end] = v
                k, v = cache[i, 0, :, :, :end], cache[i, 1, :, :, :end]
            o = F.scaled_dot_product_attention(
                q, k, v, is_causal=tokens.shape[1] > 1, enable_gqa=True
            )
            x = x + self.linear(f"{p}.self_attn.o_proj", o.transpose(1, 2).flatten(2))
            y = self.norm(f"{p}.post_attention_layernorm", x)
            y = F.silu(self.linear(f"{p}.mlp.gate_proj", y)) * self.linear(f"{p}.mlp.up_proj", y)
            x = x + self.linear(f"{p}.mlp.down_proj", y)
        return self.norm("model.norm", x)

    def forward_backward(self, batches: list[Batch]) -> float:
        """Add the gradient of the summed cross-entropy to the adapters; return the loss."""
        total = 0.0
        for tokens, targets, weights in batches:
            logits = self.linear("lm_head", self.hidden(tokens))
            nll = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            loss = (nll * weights.flatten()).sum()
            loss.backward()
            total += float(loss.detach())
        return total

    def clear(self) -> None:
        """Drop the gradients."""
        for tensor in self.lora.values():
            tensor.grad = None

    def gradients(self) -> dict[str, np.ndarray]:
        """Return the gradients by PEFT name."""
        found = {name: tensor.grad for name, tensor in self.lora.items()}
        return {f"base_model.model.{k}": v.numpy() for k, v in found.items() if v is not None}

    @torch.inference_mode()
    def sample(self, prompts: np.ndarray, count: int) -> tuple[Tensor, Tensor]:
        """Continue prompts of one length ([B, L]) by `count` tokens; return ids and logprobs."""
        c, tokens = self.config, torch.from_numpy(prompts)
        rows, length = tokens.shape
        shape = (c.num_layers, 2, rows, c.num_kv_heads, length + count, c.head_dim)
        cache = torch.empty(shape)
        begin, ids, logprobs = 0, [], []
        while len(ids) < count:
            last = self.hidden(tokens, begin, cache)[:, -1]
            begin += tokens.shape[1]
            scores = torch.log_softmax(self.linear("lm_head", last), dim=-1)
            tokens = torch.multinomial(scores.exp(), 1)
            ids.append(tokens)
            logprobs.append(scores.gather(1, tokens))
        return torch.cat(ids, 1), torch.cat(logprobs, 1)
