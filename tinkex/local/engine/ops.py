"""Elementwise parts of a block, each with its backward pass, in cache-sized row blocks."""

from __future__ import annotations

import math

import numpy as np

from tinkex.local.engine.arena import Arena, Array, row_blocks


def rms_norm(x: Array, weight: Array, eps: float, out: Array, rstd: Array) -> None:
    """Write x·rstd·weight into `out`, with rstd = (mean x² + eps)^-1/2 over the last axis.

    RMSNorm (Zhang and Sennrich 2019). x and out: [T, width] or [T, heads, width]; rstd: x's
    shape without the last axis.
    """
    for rows in row_blocks(x.shape[0], math.prod(x.shape[1:])):
        block, scale = x[rows], rstd[rows]
        np.einsum("...i,...i->...", block, block, out=scale)
        scale /= x.shape[-1]
        scale += eps
        np.sqrt(scale, out=scale)
        np.reciprocal(scale, out=scale)
        np.multiply(block, scale[..., None], out=out[rows])
        out[rows] *= weight


def rms_norm_backward(dy: Array, x: Array, weight: Array, rstd: Array, arena: Arena) -> None:
    """Turn dy into dx in place: rstd·g - x·rstd³·mean(g·x) with g = dy·weight."""
    for rows in row_blocks(x.shape[0], math.prod(x.shape[1:])):
        g, block, scale = dy[rows], x[rows], rstd[rows]
        g *= weight
        mean = np.einsum("...i,...i->...", g, block)
        mean *= scale * scale * scale / x.shape[-1]
        g *= scale[..., None]
        scratch = arena.take("norm.scratch", block.shape, x.dtype)
        np.multiply(block, mean[..., None], out=scratch)
        g -= scratch


def swiglu(gate_up: Array, sigmoid: Array, out: Array) -> None:
    """Write gate·sigmoid(gate)·up into `out` and keep the sigmoid (Shazeer 2020)."""
    width = out.shape[1]
    with np.errstate(over="ignore"):  # exp(-gate) = inf is a sigmoid of zero
        for rows in row_blocks(out.shape[0], width):
            gate, up, s = gate_up[rows, :width], gate_up[rows, width:], sigmoid[rows]
            np.negative(gate, out=s)
            np.exp(s, out=s)
            s += 1.0
            np.reciprocal(s, out=s)
            np.multiply(gate, s, out=out[rows])
            out[rows] *= up


def swiglu_backward(da: Array, gate_up: Array, sigmoid: Array, out: Array, arena: Arena) -> None:
    """Write d(gate_up) into `out`.

    d up = da·g·s and d gate = da·up·s·(1 + g·(1 - s)), for s = sigmoid(g).
    """
    width = da.shape[1]
    for rows in row_blocks(da.shape[0], width):
        gate, up, s, d = gate_up[rows, :width], gate_up[rows, width:], sigmoid[rows], da[rows]
        d_gate, d_up = out[rows, :width], out[rows, width:]
        silu = arena.take("swiglu.silu", s.shape, s.dtype)
        np.multiply(gate, s, out=silu)
        np.multiply(d, silu, out=d_up)
        # s·(1 + g·(1 - s)) = s + silu·(1 - s) = silu + s·(1 - silu)
        np.subtract(1.0, silu, out=d_gate)
        d_gate *= s
        d_gate += silu
        d_gate *= up
        d_gate *= d
