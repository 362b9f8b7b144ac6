"""Low-rank adapters: which matrices carry one, and where its numbers live.

LoRA (Hu et al. 2021): W' = W + (alpha / rank)·B·A with A [rank, in] and B [out, rank].
All numbers of an adapter live in one flat vector, so that the optimizer, gradient sums and norms
are single vector operations; `ParameterLayout` cuts the vector into matrices. The A matrices of
projections that share their input stand together, so that one product serves them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from attrs import define, frozen

from tinkex.local.engine.arena import Array
from tinkex.local.engine.base import Base, rotary_order
from tinkex.local.engine.config import ModelConfig
from tinkex.local.engine.errors import EngineError


@frozen
class LoraSpec:
    """What an adapter trains: its rank and the groups of matrices.

    `seed` fixes the random A matrices (None: fresh entropy); B starts at zero, so that a new
    adapter is the base model. The public API has no alpha; 32 is what its servers use.
    """

    rank: int
    seed: int | None = None
    alpha: float = 32.0
    train_attn: bool = True
    train_mlp: bool = True
    train_unembed: bool = True

    def __attrs_post_init__(self) -> None:
        if self.rank < 1:
            raise EngineError(f"rank is {self.rank}, expected at least 1")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise EngineError(f"alpha is {self.alpha}, expected a positive number")
        if not (self.train_attn or self.train_mlp or self.train_unembed):
            raise EngineError("at least one of train_attn, train_mlp and train_unembed is needed")

    @property
    def scale(self) -> float:
        """Factor of B·A: alpha / rank."""
        return self.alpha / self.rank


@frozen(eq=False)
class Lora:
    """The adapters of one fused projection: views into a flat vector."""

    a: Array
    """[projections · rank, in]: the A matrices, stacked."""
    b: tuple[Array, ...]
    """B of each projection, [out, rank]."""
    rows: tuple[slice, ...]
    """The outputs of the fused weight each projection has."""


@frozen
class _Site:
    """One fused projection and the projections it is made of."""

    key: str
    width: int
    parts: tuple[tuple[str, int, int], ...]
    """(module name, rows, heads whose rows are in rotary order or 0)."""


def _sites(config: ModelConfig, spec: LoraSpec) -> Iterator[_Site]:
    d, f = config.hidden_size, config.intermediate_size
    q, kv = config.query_width, config.kv_width
    for i in range(config.num_layers):
        attn, mlp = f"model.layers.{i}.self_attn", f"model.layers.{i}.mlp"
        if spec.train_attn:
            parts = (
                (f"{attn}.q_proj", q, config.num_heads),
                (f"{attn}.k_proj", kv, config.num_kv_heads),
                (f"{attn}.v_proj", kv, 0),
            )
            yield _Site(f"{i}.qkv", d, parts)
            yield _Site(f"{i}.o", q, ((f"{attn}.o_proj", d, 0),))
        if spec.train_mlp:
            yield _Site(f"{i}.gate_up", d, ((f"{mlp}.gate_proj", f, 0), (f"{mlp}.up_proj", f, 0)))
            yield _Site(f"{i}.down", f, ((f"{mlp}.down_proj", d, 0),))
    if spec.train_unembed:
        yield _Site("head", d, (("lm_head", config.vocab_size, 0),))


@define(eq=False)
class ParameterLayout:
    """Where each LoRA matrix lives in the flat vector of an adapter."""

    config: ModelConfig
    spec: LoraSpec

    @cached_property
    def sites(self) -> tuple[_Site, ...]:
        """The fused projections that carry adapters, in the order of the vector."""
        return tuple(_sites(self.config, self.spec))

    @cached_property
    def size(self) -> int:
        """Number of trainable parameters."""
        rank = self.spec.rank
        return sum(
            rank * (len(site.parts) * site.width + sum(rows for _, rows, _ in site.parts))
            for site in self.sites
        )

    def views(self, flat: Array) -> dict[str, Lora]:
        """Cut a flat vector into the adapters of each fused projection."""
        rank = self.spec.rank
        offset = 0

        def take(rows: int, columns: int) -> Array:
            nonlocal offset
            begin, offset = offset, offset + rows * columns
            return flat[begin:offset].reshape(rows, columns)

        found: dict[str, Lora] = {}
        for site in self.sites:
            a = take(len(site.parts) * rank, site.width)
            b = tuple(take(rows, rank) for _, rows, _ in site.parts)
            ends = np.cumsum([rows for _, rows, _ in site.parts]).tolist()
            slices = tuple(slice(e - m.shape[0], e) for e, m in zip(ends, b, strict=True))
            found[site.key] = Lora(a, b, slices)
        return found

    def initial(self, base: Base) -> Array:
        """Return a fresh adapter: A uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5), B zero."""
        flat = np.zeros(self.size, base.dtype)
        rng = np.random.default_rng(
            self.spec.seed if self.spec.seed is None else self.spec.seed % 2**63
        )
        for lora in self.views(flat).values():
            bound = 1.0 / math.sqrt(lora.a.shape[1])
            lora.a[...] = rng.uniform(-bound, bound, lora.a.shape)
        return flat

    def named(self, flat: Array) -> Iterator[tuple[str, Array, Array, Array | None]]:
        """Yield (module name, A, B, rotary order of B's rows or None) for every projection."""
        rank = self.spec.rank
        views = self.views(flat)
        for site in self.sites:
            lora = views[site.key]
            for i, (name, _, heads) in enumerate(site.parts):
                order = rotary_order(self.config, heads) if heads else None
                yield name, lora.a[i * rank : (i + 1) * rank], lora.b[i], order
