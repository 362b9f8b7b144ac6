"""Causal grouped-query attention over a right-padded batch, forward and backward.

Queries are laid out [batch, kv head, position · group, head_dim], so that all query heads of one
kv head are rows of one matrix: one product serves them, and the sums over the group in dk and dv
come for free. Positions go in blocks of `BLOCK` rows that skip what lies above the diagonal. The
softmax is kept unnormalised (E = exp(S - max), with 1/ΣE beside it): o and do are scaled instead,
which are thinner. Padding needs no mask: it stands to the right of every real token.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.config import ModelConfig

BLOCK = 64
_GROUP_ELEMENTS = 1 << 16


@frozen(eq=False)
class AttentionState:
    """The values that the backward pass of attention needs."""

    q: Array
    """Rotated and scaled queries, [B, K, L·G, h]."""
    k: Array
    """Rotated keys, [B, K, L, h]."""
    v: Array
    """Values, [B, K, L, h] (a view of the projection)."""
    exps: tuple[Array, ...]
    """Per block of rows [start, end): exp(S - max), [B, K, rows·G, end]."""
    inverse: Array
    """1 / Σ exps, [B, K, L·G, 1]."""


@lru_cache(maxsize=8)
def _causal_mask(rows: int, group: int, dtype: np.dtype[Any]) -> Array:
    """Return 0 where query row (position · group) may see a key of its own block, else -inf."""
    mask = np.triu(np.full((rows, rows), -np.inf, dtype), 1)
    return np.repeat(mask, group, axis=0)


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, BLOCK):
        yield start, min(start + BLOCK, length)


def _sequences(batch: int, rows: int, columns: int, heads: int) -> Iterator[slice]:
    """Cut the batch so that the scores of one piece stay in the cache."""
    step = max(1, _GROUP_ELEMENTS // (rows * columns * heads))
    for start in range(0, batch, step):
        yield slice(start, min(start + step, batch))


def rotate(
    heads: Array, rotations: Array, config: ModelConfig, shape: tuple[int, int], q: Array, k: Array
) -> None:
    """Rotate queries and keys ([T, ≥Hq+Hk, h]) into `q` and `k`; queries are scaled by h^-1/2.

    RoPE (Su et al. 2021) on adjacent pairs, as a complex product.
    """
    batch, length = shape
    kv, group, half = (
        config.num_kv_heads,
        config.num_heads // config.num_kv_heads,
        rotations.shape[1],
    )
    pairs = heads.view(rotations.dtype).reshape(batch, length, -1, half)
    queries = pairs[:, :, : config.num_heads].reshape(batch, length, kv, group, half)
    keys = pairs[:, :, config.num_heads : config.num_heads + kv]
    turn = rotations * rotations.dtype.type(config.head_dim**-0.5)
    out = q.view(rotations.dtype).reshape(batch, kv, length, group, half)
    np.multiply(queries.transpose(0, 2, 1, 3, 4), turn[:, None], out=out)
    np.multiply(keys.transpose(0, 2, 1, 3), rotations, out=k.view(rotations.dtype))


def rotate_backward(
    dq: Array, dk: Array, rotations: Array, config: ModelConfig, shape: tuple[int, int], out: Array
) -> None:
    """Write the gradients of unrotated queries and keys into `out` ([T, ≥Hq+Hk, h])."""
    batch, length = shape
    kv, group, half = (
        config.num_kv_heads,
        config.num_heads // config.num_kv_heads,
        rotations.shape[1],
    )
    pairs = out.view(rotations.dtype).reshape(batch, length, -1, half)
    queries = pairs[:, :, : config.num_heads].reshape(batch, length, kv, group, half)
    keys = pairs[:, :, config.num_heads : config.num_heads + kv]
    back = rotations.conj()
    turn = back * rotations.dtype.type(config.head_dim**-0.5)
    turned = dq.view(rotations.dtype).reshape(batch, kv, length, group, half)
    np.multiply(turned, turn[:, None], out=queries.transpose(0, 2, 1, 3, 4))
    np.multiply(dk.view(rotations.dtype), back, out=keys.transpose(0, 2, 1, 3))


def attend(q: Array, k: Array, v: Array, out: Array, arena: Arena, tag: str) -> AttentionState:
    """Write softmax(q·kᵀ)·v into `out` ([B, L, Hq·h]); buffers to keep carry `tag`."""
    batch, kv, length, width = k.shape
    group = q.shape[2] // length
    heads = out.reshape(batch, length, kv, group, width).transpose(0, 2, 1, 3, 4)
    inverse = arena.take(f"{tag}att.inverse", (batch, kv, length * group, 1), q.dtype)
    exps = []
    for start, end in _blocks(length):
        rows = (end - start) * group
        span = slice(start * group, end * group)
        scores = arena.take(f"{tag}att.exp{start}", (batch, kv, rows, end), q.dtype)
        mask = _causal_mask(end - start, group, q.dtype)
        for some in _sequences(batch, rows, end, kv):
            s, sums = scores[some], inverse[some, :, span]
            np.matmul(q[some, :, span], k[some, :, :end].swapaxes(-1, -2), out=s)
            s[..., start:] += mask
            s -= s.max(axis=-1, keepdims=True)
            np.exp(s, out=s)
            np.sum(s, axis=-1, keepdims=True, out=sums)
            np.reciprocal(sums, out=sums)
            o = arena.take("att.o", (*s.shape[:3], width), q.dtype)
            np.matmul(s, v[some, :, :end], out=o)
            split = (*s.shape[:2], end - start, group)
            np.multiply(
                o.reshape(*split, width),
                sums.reshape(*split, 1),
                out=heads[some, :, start:end],
            )
        exps.append(scores)
    return AttentionState(q, k, v, tuple(exps), inverse)


def attend_backward(
    d_out: Array, out: Array, state: AttentionState, arena: Arena
) -> tuple[Array, Array, Array]:
    """Return dq [B, K, L·G, h], dk and dv [B, K, L, h], from the gradient of the output.

    With P = E/ΣE and do' = do/ΣE: dv = Eᵀ·do', dS = E·(do'·vᵀ - Σ do'·o).
    """
    q, k, v = state.q, state.k, state.v
    batch, kv, length, width = k.shape
    group = q.shape[2] // length
    split = (batch, length, kv, group, width)
    given = d_out.reshape(split).transpose(0, 2, 1, 3, 4)
    made = out.reshape(split).transpose(0, 2, 1, 3, 4)
    scaled = arena.take("att.do", (batch, kv, length, group, width), q.dtype)
    np.multiply(given, state.inverse.reshape(batch, kv, length, group, 1), out=scaled)
    delta = np.einsum("bklgh,bklgh->bklg", scaled, made).reshape(batch, kv, length * group, 1)
    do = scaled.reshape(batch, kv, length * group, width)
    dq = arena.take("att.dq", q.shape, q.dtype)
    dk = arena.take("att.dk", k.shape, q.dtype)
    dv = arena.take("att.dv", k.shape, q.dtype)
    # From the last block down: the last one reaches every key, and so initialises dk and dv.
    for block, (start, end) in reversed(list(enumerate(_blocks(length)))):
        rows = (end - start) * group
        span = slice(start * group, end * group)
        for some in _sequences(batch, rows, end, kv):
            e = state.exps[block][some]
            ds = arena.take("att.ds", e.shape, q.dtype)
            np.matmul(do[some, :, span], v[some, :, :end].swapaxes(-1, -2), out=ds)
            ds -= delta[some, :, span]
            ds *= e
            np.matmul(ds, k[some, :, :end], out=dq[some, :, span])
            back, weights = ds.swapaxes(-1, -2), e.swapaxes(-1, -2)
            if end == length:
                np.matmul(back, q[some, :, span], out=dk[some])
                np.matmul(weights, do[some, :, span], out=dv[some])
            else:
                dk[some, :, :end] += back @ q[some, :, span]
                dv[some, :, :end] += weights @ do[some, :, span]
    return dq, dk, dv
