"""The unembedding: log-softmax of chosen tokens, and its backward pass.

Rows go in chunks, so that a row of logits is exponentiated while it is still in the cache and a
large vocabulary does not need memory for all of them. Softmax terms are kept for the backward
pass unless they would take more than `KEPT_ELEMENTS`; then they are computed again.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.lora import Lora
from tinkex.local.engine.model import Trace
from tinkex.local.engine.network import Network
from tinkex.local.engine.ops import rms_norm, rms_norm_backward

CHUNK_ELEMENTS = 1 << 18
MIN_CHUNK_ROWS = 256
KEPT_ELEMENTS = 1 << 26


@frozen(eq=False)
class HeadState:
    """What `head_backward` needs. N = number of real (not padded) positions."""

    rows: Array
    """Index of each real position among the T rows of the trace."""
    x: Array
    rstd: Array
    normed: Array
    targets: Array
    exps: Array | None
    """exp(logit - max), [N, V], or None where it is computed again."""
    sums: Array
    """Σ exps, [N, 1]."""


def final_norm(network: Network, x: Array, arena: Arena) -> tuple[Array, Array]:
    """Return the normed rows and their rstd."""
    normed = arena.take("head.normed", x.shape, x.dtype)
    rstd = arena.take("head.rstd", x.shape[:1], x.dtype)
    rms_norm(x, network.base.weights.final_norm, network.config.rms_eps, normed, rstd)
    return normed, rstd


def chunks(rows: int, vocab: int) -> list[slice]:
    """Cut rows of logits into chunks."""
    step = max(MIN_CHUNK_ROWS, CHUNK_ELEMENTS // vocab)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def shifted_logits(network: Network, normed: Array, out: Array) -> None:
    """Write logits minus each row's largest into `out`."""
    network.head.forward(normed, out)
    out -= out.max(axis=1, keepdims=True)


def target_logprobs(
    network: Network, trace: Trace, rows: Array, targets: Array, arena: Arena, *, keep: bool
) -> tuple[Array, HeadState]:
    """Return log p(target) for the rows given ([N, K], as targets), and the state for backward."""
    x = arena.take("head.x", (len(rows), trace.out.shape[1]), trace.out.dtype)
    np.take(trace.out, rows, axis=0, out=x)
    normed, rstd = final_norm(network, x, arena)
    count, vocab = len(rows), network.head.width
    kept = keep and count * vocab <= KEPT_ELEMENTS
    exps = arena.take("head.exps", (count, vocab), x.dtype) if kept else None
    sums = arena.take("head.sums", (count, 1), x.dtype)
    logprobs = np.empty(targets.shape, x.dtype)
    for some in chunks(count, vocab):
        size = some.stop - some.start
        z = arena.take("head.z", (size, vocab), x.dtype) if exps is None else exps[some]
        shifted_logits(network, normed[some], z)
        chosen = z[np.arange(size)[:, None], targets[some]]
        np.exp(z, out=z)
        np.sum(z, axis=1, keepdims=True, out=sums[some])
        np.subtract(chosen, np.log(sums[some]), out=logprobs[some])
    return logprobs, HeadState(rows, x, rstd, normed, targets, exps, sums)


def head_backward(
    network: Network,
    trace: Trace,
    state: HeadState,
    d_logprobs: Array,
    grad: Lora | None,
    arena: Arena,
) -> Array:
    """Return the gradient of the trace's `out` ([T, D]) from that of the logprobs ([N, K]).

    d logit_v = Σ_k d_k·(1[v = target_k] - p_v).
    """
    count, vocab = len(state.rows), network.head.width
    d_normed = arena.take("head.d", state.normed.shape, state.normed.dtype)
    if grad is not None:
        grad.a[...] = 0
        for b in grad.b:
            b[...] = 0
    for some in chunks(count, vocab):
        d, targets = d_logprobs[some], state.targets[some]
        size = some.stop - some.start
        if state.exps is None:
            z = arena.take("head.z", (size, vocab), d_normed.dtype)
            shifted_logits(network, state.normed[some], z)
            np.exp(z, out=z)
        else:
            z = state.exps[some]
        z *= -d.sum(axis=1, keepdims=True) / state.sums[some]
        index = np.arange(size)
        for k in range(targets.shape[1]):  # one at a time: a row may name a token twice
            z[index, targets[:, k]] += d[:, k]
        network.head.backward(z, state.normed[some], grad, d_normed[some], arena, add=True)
    rms_norm_backward(d_normed, state.x, network.base.weights.final_norm, state.rstd, arena)
    dx = arena.take("head.dx", trace.out.shape, d_normed.dtype)
    dx[...] = 0
    dx[state.rows] = d_normed
    return dx
