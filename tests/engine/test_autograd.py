"""The engine against torch's automatic differentiation, where torch is installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.reference import (
    LOSS_DEFAULTS,
    SHAPES,
    adapter_tensors,
    base_tensors,
    examples,
    gradients,
    toy_base,
    toy_trainer,
)

from tinkex.local.engine import AdamSpec
from tinkex.local.engine.base import rope_frequencies

torch = pytest.importorskip("torch")


def torch_logprobs(
    config: Any, w: dict[str, Any], lora: dict[str, Any], scale: float, ids: Any
) -> Any:
    """Return log p over the vocabulary, written with torch's own parts."""
    functional = torch.nn.functional

    def linear(name: str, x: Any, weight: Any = None) -> Any:
        y = functional.linear(x, w[f"{name}.weight"] if weight is None else weight)
        prefix = f"base_model.model.{name}"
        low = functional.linear(x, lora[f"{prefix}.lora_A.weight"])
        return y + scale * functional.linear(low, lora[f"{prefix}.lora_B.weight"])

    def norm(name: str, x: Any) -> Any:
        # torch has functions for this and for shared heads only from 2.5 on.
        size = (x.square().mean(-1, keepdim=True) + config.rms_eps).sqrt()
        return x / size * w[f"{name}.weight"]

    def heads(x: Any, count: int) -> Any:
        return x.view(len(ids), count, config.head_dim)

    angle = torch.outer(
        torch.arange(len(ids), dtype=torch.float64), torch.from_numpy(rope_frequencies(config))
    )
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]

    def rope(x: Any) -> Any:
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).transpose(0, 1)

    x = w["model.embed_tokens.weight"][ids]
    for i in range(config.num_layers):
        p = f"model.layers.{i}"
        y = norm(f"{p}.input_layernorm", x)
        q = heads(linear(f"{p}.self_attn.q_proj", y), config.num_heads)
        k = heads(linear(f"{p}.self_attn.k_proj", y), config.num_kv_heads)
        v = heads(linear(f"{p}.self_attn.v_proj", y), config.num_kv_heads).transpose(0, 1)
        if config.qk_norm:
            q, k = norm(f"{p}.self_attn.q_norm", q), norm(f"{p}.self_attn.k_norm", k)
        each = config.num_heads // config.num_kv_heads
        keys, values = (part.repeat_interleave(each, dim=0) for part in (rope(k), v))
        o = functional.scaled_dot_product_attention(
            rope(q)[None], keys[None], values[None], is_causal=True
        )
        o = o[0].transpose(0, 1).reshape(len(ids), -1)
        x = x + linear(f"{p}.self_attn.o_proj", o)
        y = norm(f"{p}.post_attention_layernorm", x)
        gated = functional.silu(linear(f"{p}.mlp.gate_proj", y)) * linear(f"{p}.mlp.up_proj", y)
        x = x + linear(f"{p}.mlp.down_proj", gated)
    head = w["model.embed_tokens.weight"] if config.tie_embeddings else w["lm_head.weight"]
    return linear("lm_head", norm("model.norm", x), head).log_softmax(-1)


def torch_loss(name: str, p: Any, inputs: dict[str, Any], config: dict[str, float]) -> Any:
    """Return a loss as its definition reads, stop-gradients as `detach`."""
    if name == "cross_entropy":
        return -(inputs["weights"] * p).sum()
    q, a = inputs["logprobs"], inputs["advantages"]
    ratio = (p - q).exp()
    if name == "importance_sampling":
        return -(ratio * a).sum()
    if name == "dro":
        return -(p * a - 0.5 * config["beta"] * (p - q) ** 2).sum()
    low, high = config["clip_low_threshold"], config["clip_high_threshold"]
    if name == "cispo":
        return -(ratio.clamp(low, high).detach() * p * a).sum()
    if name == "gspo":
        mask = inputs["sequence_ratio_mask"] != 0
        mean = (p - q)[mask].sum() / max(1, int(mask.sum()))
        ratio = mean.exp().detach() * (p - p.detach()).exp()
    return -torch.minimum(ratio * a, ratio.clamp(low, high) * a).sum()


@pytest.mark.parametrize("loss", LOSS_DEFAULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_losses_and_gradients_equal_autograd(shape: str, loss: str, tmp_path: Path) -> None:
    """Every loss's value and every adapter's gradient agree with torch in float64."""
    base = toy_base(**SHAPES[shape])
    trainer = toy_trainer(base)
    weights = {k: torch.from_numpy(v) for k, v in base_tensors(base, tmp_path / "b").items()}
    lora = {
        name: torch.from_numpy(tensor).requires_grad_()
        for name, tensor in adapter_tensors(trainer, tmp_path / "a").items()
    }
    data = examples((7, 20, 1, 12), loss=loss, seed=8)
    total = 0.0
    for example in data:
        inputs = {k: torch.from_numpy(v) for k, v in example.loss_inputs.items()}
        table = torch_logprobs(
            base.config, weights, lora, trainer.lora.scale, torch.from_numpy(example.tokens)
        )
        p = table.gather(1, inputs["target_tokens"][:, None])[:, 0]
        total = total + torch_loss(loss, p, inputs, LOSS_DEFAULTS[loss])
    total.backward()
    metrics = trainer.forward_backward(data, loss).metrics
    assert math.isclose(metrics["loss:sum"], float(total.detach()), rel_tol=1e-6)
    for name, found in gradients(trainer).items():
        expected = lora[name].grad.numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6 * max(1.0, np.abs(expected).max()))


def test_steps_equal_torch_adamw(tmp_path: Path) -> None:
    """Clipping, decay and moments over several steps are torch's."""
    trainer = toy_trainer(toy_base())
    spec = AdamSpec(learning_rate=0.01, weight_decay=0.1, grad_clip_norm=0.5, eps=1e-8)
    parameter = torch.from_numpy(trainer._flat.copy()).requires_grad_()
    adam = torch.optim.AdamW([parameter], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    for seed in range(5):
        trainer.forward_backward(examples((6, 3), seed=seed), "cross_entropy")
        assert trainer._accumulated is not None
        parameter.grad = torch.from_numpy(trainer._accumulated.copy())
        norm = torch.nn.utils.clip_grad_norm_([parameter], 0.5)
        adam.step()
        metrics = trainer.optim_step(spec)
        assert math.isclose(metrics["unclipped_grad_l2:mean"], float(norm), rel_tol=1e-9)
        np.testing.assert_allclose(trainer._flat, parameter.detach().numpy(), rtol=1e-9, atol=1e-12)
