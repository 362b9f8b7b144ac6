"""A base model with an adapter applied, for the forward and backward passes.

Small models get a merged copy of each weight, W + scale·B·A, so that forward and dx cost what
the base model costs. Above `LARGE_MODEL` weights the copy (and re-merging it after every step)
costs more than two thin products per projection, and the adapter stays apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attrs import evolve, frozen

from tinkex.local.engine.adapter import Adapter
from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.base import LARGE_MODEL, Base, with_vision
from tinkex.local.engine.config import ModelConfig
from tinkex.local.engine.lora import Lora, ParameterLayout
from tinkex.local.engine.tensors import TensorFile
from tinkex.local.engine.vision import VisionConfig

# Up to so many rows, BLAS does better with the larger operand on the left where W is transposed.
_FEW_ROWS = 64


@frozen(eq=False)
class Projection:
    """y = x·W for a fused weight [in, out], with its adapters merged into W or beside it."""

    weight: Array
    lora: Lora | None = None
    scale: float = 1.0
    merged: bool = True

    @property
    def width(self) -> int:
        """Number of outputs."""
        return int(self.weight.shape[1])

    def forward(self, x: Array, out: Array) -> None:
        """Write x·W into `out`."""
        if self.weight.flags.c_contiguous or x.shape[0] > _FEW_ROWS:
            np.matmul(x, self.weight, out=out)
        else:
            out[...] = (self.weight.T @ x.T).T
        lora = self.lora
        if lora is None or self.merged:
            return
        rank = lora.b[0].shape[1]
        xa = x @ lora.a.T
        xa *= self.scale
        for i, (b, rows) in enumerate(zip(lora.b, lora.rows, strict=True)):
            out[:, rows] += xa[:, i * rank : (i + 1) * rank] @ b.T

    def backward(
        self,
        dy: Array,
        x: Array,
        grad: Lora | None,
        dx: Array | None,
        arena: Arena,
        *,
        add: bool = False,
    ) -> None:
        """Write (or add) the adapters' gradients into `grad`, and dy·Wᵀ into `dx`.

        dA = scale·(dy·B)ᵀ·x and dB = scale·dyᵀ·(x·Aᵀ).
        """
        lora = self.lora
        dyb = None
        if lora is not None and grad is not None:
            dyb = self._gradients(dy, x, lora, grad, arena, add)
        if dx is None:
            return
        np.matmul(dy, self.weight.T, out=dx)
        if lora is not None and dyb is not None and not self.merged:
            dx += dyb @ lora.a

    def _gradients(
        self, dy: Array, x: Array, lora: Lora, grad: Lora, arena: Arena, add: bool
    ) -> Array:
        rank = lora.b[0].shape[1]
        thin = (x.shape[0], lora.a.shape[0])
        dyb = arena.take("lora.dyb", thin, x.dtype)
        xa = arena.take("lora.xa", thin, x.dtype)
        np.matmul(x, lora.a.T, out=xa)
        xa *= self.scale
        for i, (b, rows) in enumerate(zip(lora.b, lora.rows, strict=True)):
            part = slice(i * rank, (i + 1) * rank)
            np.matmul(dy[:, rows], b, out=dyb[:, part])
            _product(dy[:, rows].T, xa[:, part], grad.b[i], add)
        dyb *= self.scale
        _product(dyb.T, x, grad.a, add)
        return dyb


def _product(left: Array, right: Array, out: Array, add: bool) -> None:
    if add:
        out += left @ right
    else:
        np.matmul(left, right, out=out)


@frozen(eq=False)
class Layer:
    """One block with its adapters."""

    attention_norm: Array
    qk_norm: Array | None
    mlp_norm: Array
    qkv: Projection
    o: Projection
    gate_up: Projection
    down: Projection


@frozen(eq=False)
class Network:
    """A base model with one version of one adapter (or none)."""

    base: Base
    layers: tuple[Layer, ...]
    head: Projection

    @property
    def config(self) -> ModelConfig:
        """The base model's shape."""
        return self.base.config


def bind(
    base: Base,
    layout: ParameterLayout | None = None,
    flat: Array | None = None,
    merged: bool | None = None,
) -> Network:
    """Apply an adapter (a layout and its flat vector) to a base model.

    A merged network holds copies: it does not see later changes of `flat` until `refresh`.
    """
    loras = {} if layout is None or flat is None else layout.views(flat)
    scale = 1.0 if layout is None else layout.spec.scale
    merge = base.config.parameter_count <= LARGE_MODEL if merged is None else merged

    def project(weight: Array, key: str) -> Projection:
        lora = loras.get(key)
        if lora is None:
            return Projection(weight)
        own = np.empty(weight.shape, weight.dtype) if merge else weight
        projection = Projection(own, lora, scale, merge)
        if merge:
            _merge(projection, weight)
        return projection

    weights = base.weights
    layers = tuple(
        Layer(
            attention_norm=layer.attention_norm,
            qk_norm=layer.qk_norm,
            mlp_norm=layer.mlp_norm,
            qkv=project(layer.qkv, f"{i}.qkv"),
            o=project(layer.o, f"{i}.o"),
            gate_up=project(layer.gate_up, f"{i}.gate_up"),
            down=project(layer.down, f"{i}.down"),
        )
        for i, layer in enumerate(weights.layers)
    )
    return Network(base, layers, project(weights.head, "head"))


def load_seeing(folder: Path, vision: Path, name: str) -> Base:
    """Load a vision model: the folder of its base, and that of its vision weights.

    `vision` holds an adapter to the model in PEFT layout, which is worked into the weights, and
    visual.safetensors with the projection of image patches.
    """
    plain = Base.load(folder, name)
    base = merged(plain, Adapter.load(vision, plain))
    projection = TensorFile(vision / "visual.safetensors")["visual.projection"]
    return with_vision(base, VisionConfig(), projection, name)


def merged(base: Base, adapter: Adapter) -> Base:
    """Return a base model whose weights have an adapter worked in."""
    network = bind(base, adapter.layout, adapter.flat, merged=True)
    layers = tuple(
        evolve(
            weights,
            qkv=layer.qkv.weight,
            o=layer.o.weight,
            gate_up=layer.gate_up.weight,
            down=layer.down.weight,
        )
        for weights, layer in zip(base.weights.layers, network.layers, strict=True)
    )
    weights = evolve(base.weights, layers=layers, head=network.head.weight)
    return Base(base.config, weights, base.name, base.folder)


def refresh(network: Network) -> None:
    """Merge again after the adapter's flat vector has changed; no thread may be computing with it."""
    weights = network.base.weights
    for layer, frozen_layer in zip(network.layers, weights.layers, strict=True):
        _merge(layer.qkv, frozen_layer.qkv)
        _merge(layer.o, frozen_layer.o)
        _merge(layer.gate_up, frozen_layer.gate_up)
        _merge(layer.down, frozen_layer.down)
    _merge(network.head, weights.head)


def _merge(projection: Projection, weight: Array) -> None:
    lora = projection.lora
    if lora is None or not projection.merged:
        return
    rank = lora.b[0].shape[1]
    for i, (b, rows) in enumerate(zip(lora.b, lora.rows, strict=True)):
        target = projection.weight[:, rows]
        np.matmul(lora.a[i * rank : (i + 1) * rank].T, (b * projection.scale).T, out=target)
        target += weight[:, rows]
