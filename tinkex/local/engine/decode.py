"""Generating with a key-value cache: one position of many sequences at a time.

Sequences are right-aligned: all write their next key and value in the same slot, shorter ones
begin at a later slot, and what lies before is masked. Keys are cached [R, K, h, slots] and values
[R, K, slots, h], so that neither of the two thin products of attention meets a transposed operand:
that halves the time of the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.network import Layer, Network, Projection
from tinkex.local.engine.ops import rms_norm, swiglu


@frozen(eq=False)
class Prefix:
    """A prompt after prefill: keys and values [layers, K, L, h], and the last hidden row."""

    keys: Array
    values: Array
    last: Array

    @property
    def length(self) -> int:
        """Number of prompt tokens."""
        return int(self.keys.shape[2])


class DecodeBatch:
    """The caches of sequences that advance together."""

    def __init__(self, network: Network, prefixes: Sequence[Prefix]) -> None:
        self._network = network
        config = network.config
        self._end = max(prefix.length for prefix in prefixes)
        self._start = np.array([self._end - prefix.length for prefix in prefixes])
        capacity = self._end + 64
        rows, heads, width = len(prefixes), config.num_kv_heads, config.head_dim
        dtype = network.base.dtype
        self._keys = [np.zeros((rows, heads, width, capacity), dtype) for _ in network.layers]
        self._values = [np.zeros((rows, heads, capacity, width), dtype) for _ in network.layers]
        for row, prefix in enumerate(prefixes):
            span = slice(self._end - prefix.length, self._end)
            for i in range(config.num_layers):
                self._keys[i][row, :, :, span] = prefix.keys[i].swapaxes(1, 2)
                self._values[i][row, :, span] = prefix.values[i]
        self._arena = Arena()

    def keep(self, rows: Array) -> None:
        """Drop all sequences but these."""
        self._keys = [cache[rows] for cache in self._keys]
        self._values = [cache[rows] for cache in self._values]
        self._start = self._start[rows]

    def step(self, tokens: Array) -> Array:
        """Feed one token per sequence; return the logits of the next ones, [R, V]."""
        network, config = self._network, self._network.config
        self._make_room()
        slot, self._end = self._end, self._end + 1
        positions = slot - self._start
        turns = network.base.rotations(int(positions.max()) + 1)[positions]
        bias = self._bias()
        x = network.base.weights.embed[tokens]
        for i, layer in enumerate(network.layers):
            x = self._layer(i, layer, x, turns, slot, bias)
        normed, rstd = np.empty_like(x), np.empty(len(x), x.dtype)
        rms_norm(x, network.base.weights.final_norm, config.rms_eps, normed, rstd)
        return _project(network.head, normed)

    def _make_room(self) -> None:
        capacity = self._values[0].shape[2]
        if self._end < capacity:
            return
        more = (0, capacity // 2)
        none = (0, 0)
        self._keys = [np.pad(cache, (none, none, none, more)) for cache in self._keys]
        self._values = [np.pad(cache, (none, none, more, none)) for cache in self._values]

    def _bias(self) -> Array | None:
        """Return -inf before the start of a sequence, [R, 1, 1, slots]; None if all start at 0."""
        if not self._start.any():
            return None
        before = np.arange(self._end) < self._start[:, None]
        bias = np.where(before, -np.inf, 0.0).astype(self._network.base.dtype)
        return bias[:, None, None, :]

    def _layer(
        self, index: int, layer: Layer, x: Array, turns: Array, slot: int, bias: Array | None
    ) -> Array:
        config, rows = self._network.config, len(x)
        normed, rstd = np.empty_like(x), np.empty(rows, x.dtype)
        rms_norm(x, layer.attention_norm, config.rms_eps, normed, rstd)
        heads = _project(layer.qkv, normed).reshape(rows, -1, config.head_dim)
        turned = config.num_heads + config.num_kv_heads
        self._values[index][:, :, slot] = heads[:, turned:]
        heads = heads[:, :turned]
        if layer.qk_norm is not None:
            scaled = np.empty(heads.shape, x.dtype)
            rms_norm(
                heads, layer.qk_norm, config.rms_eps, scaled, np.empty(heads.shape[:2], x.dtype)
            )
            heads = scaled
        pairs = heads.view(turns.dtype) * turns[:, None]
        rotated = pairs.view(x.dtype)
        self._keys[index][..., slot] = rotated[:, config.num_heads :]
        group = config.num_heads // config.num_kv_heads
        q = rotated[:, : config.num_heads].reshape(rows, config.num_kv_heads, group, -1)
        q = q * x.dtype.type(config.head_dim**-0.5)
        attended = self._attend(index, q, bias).reshape(rows, config.query_width)
        x = x + _project(layer.o, attended)
        normed = np.empty_like(x)
        rms_norm(x, layer.mlp_norm, config.rms_eps, normed, rstd)
        gate_up = _project(layer.gate_up, normed)
        activation = np.empty((rows, config.intermediate_size), x.dtype)
        swiglu(gate_up, np.empty_like(activation), activation)
        x += _project(layer.down, activation)
        return x

    def _attend(self, index: int, q: Array, bias: Array | None) -> Array:
        scores = np.matmul(q, self._keys[index][..., : self._end])
        if bias is not None:
            scores += bias
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        sums = scores.sum(axis=-1, keepdims=True)
        out: Array = np.matmul(scores, self._values[index][:, :, : self._end])
        out /= sums
        return out


def _project(projection: Projection, x: Array) -> Array:
    out = np.empty((x.shape[0], projection.width), x.dtype)
    projection.forward(x, out)
    return out
