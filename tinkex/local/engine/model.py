"""The transformer's forward pass over a right-padded batch, and its exact backward pass.

The backward pass yields gradients of the adapters alone: through the frozen weights only dx
travels, and it stops at the lowest projection that carries an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.attention import (
    AttentionState,
    attend,
    attend_backward,
    rotate,
    rotate_backward,
)
from tinkex.local.engine.lora import Lora
from tinkex.local.engine.network import Layer, Network
from tinkex.local.engine.ops import rms_norm, rms_norm_backward, swiglu, swiglu_backward


class KeyValueSink(Protocol):
    """Receives each layer's rotated keys and its values, [B, K, L, h]; must copy them."""

    def __call__(self, layer: int, keys: Array, values: Array, /) -> None:
        """Take one layer's keys and values."""


@frozen(eq=False)
class LayerState:
    """What one block leaves for its backward pass. T = batch · length rows."""

    x: Array
    normed: Array
    rstd: Array
    qkv: Array
    qk_rstd: Array | None
    attention: AttentionState
    attended: Array
    middle: Array
    mlp_normed: Array
    mlp_rstd: Array
    gate_up: Array
    sigmoid: Array
    activation: Array
    out: Array


@frozen(eq=False)
class Trace:
    """A finished forward pass: its output and the values that the backward pass needs."""

    shape: tuple[int, int]
    out: Array
    """Last residual stream, before the final norm: [T, D]."""
    states: tuple[LayerState, ...] = ()
    inputs: tuple[Array, ...] = ()
    """Each layer's input, where the rest is computed again in the backward pass."""


def _layer_forward(
    network: Network, layer: Layer, x: Array, shape: tuple[int, int], arena: Arena, tag: str
) -> LayerState:
    """Run one block; arrays that outlive it are named by `tag`."""
    config, rows = network.config, x.shape[0]
    batch, length = shape

    def take(name: str, *sizes: int) -> Array:
        return arena.take(tag + name, sizes, x.dtype)

    normed, rstd = take("normed", rows, config.hidden_size), take("rstd", rows)
    rms_norm(x, layer.attention_norm, config.rms_eps, normed, rstd)
    qkv = take("qkv", rows, layer.qkv.width)
    layer.qkv.forward(normed, qkv)
    heads, qk_rstd = _split_heads(qkv, config.head_dim), None
    values = heads[:, config.num_heads + config.num_kv_heads :]
    if layer.qk_norm is not None:
        count = layer.qk_norm.shape[0]
        qk_rstd = take("qk_rstd", rows, count)
        scaled = arena.take("qk_normed", (rows, count, config.head_dim), x.dtype)
        rms_norm(heads[:, :count], layer.qk_norm, config.rms_eps, scaled, qk_rstd)
        heads = scaled
    kv, head = config.num_kv_heads, config.head_dim
    q, k = (
        take("q", batch, kv, rows // batch * (config.num_heads // kv), head),
        take("k", batch, kv, length, head),
    )
    rotate(heads, network.base.rotations(length), config, shape, q, k)
    v = values.reshape(batch, length, kv, head).transpose(0, 2, 1, 3)
    attended = take("attended", rows, config.query_width)
    state = attend(q, k, v, attended, arena, tag)
    middle = take("middle", rows, config.hidden_size)
    layer.o.forward(attended, middle)
    middle += x

    mlp_normed, mlp_rstd = take("mlp_normed", rows, config.hidden_size), take("mlp_rstd", rows)
    rms_norm(middle, layer.mlp_norm, config.rms_eps, mlp_normed, mlp_rstd)
    gate_up = take("gate_up", rows, layer.gate_up.width)
    layer.gate_up.forward(mlp_normed, gate_up)
    activation = take("activation", rows, config.intermediate_size)
    sigmoid = take("sigmoid", rows, config.intermediate_size)
    swiglu(gate_up, sigmoid, activation)
    out = take("out", rows, config.hidden_size)
    layer.down.forward(activation, out)
    out += middle
    return LayerState(
        x, normed, rstd, qkv, qk_rstd, state, attended, middle, mlp_normed, mlp_rstd, gate_up,
        sigmoid, activation, out,
    )  # fmt: skip


def _split_heads(qkv: Array, head_dim: int) -> Array:
    return qkv.reshape(qkv.shape[0], -1, head_dim)


def forward(
    network: Network,
    tokens: Array,
    arena: Arena,
    *,
    keep: bool = False,
    recompute: bool = False,
    sink: KeyValueSink | None = None,
) -> Trace:
    """Run the blocks over `tokens` ([B, L], right-padded with any valid id).

    With `keep`, the trace can be given to `backward`; with `recompute` too, only each block's
    input is kept and the block runs again there. The trace lives in the arena.
    """
    batch, length = tokens.shape
    x = arena.take("embedded", (batch * length, network.config.hidden_size), network.base.dtype)
    np.take(network.base.weights.embed, tokens.ravel(), axis=0, out=x)
    states, inputs = [], []
    for i, layer in enumerate(network.layers):
        if keep and recompute:
            saved = arena.take(f"{i}.input", x.shape, x.dtype)
            saved[...] = x
            inputs.append(saved)
        # Without a need to keep, all layers share their buffers: `out` of one is `x` of the
        # next, and is overwritten only once `middle` has taken it in.
        tag = f"{i}." if keep and not recompute else ""
        state = _layer_forward(network, layer, x, (batch, length), arena, tag)
        if sink is not None:
            sink(i, state.attention.k, state.attention.v)
        if keep and not recompute:
            states.append(state)
        x = state.out
    return Trace((batch, length), x, tuple(states), tuple(inputs))


def backward(
    network: Network, trace: Trace, dx: Array, grads: Mapping[str, Lora], arena: Arena
) -> None:
    """Write the gradients of the blocks' adapters into `grads`; `dx` ([T, D]) is used up.

    `dx` is the gradient of the trace's `out`; `grads` is the gradient vector cut by
    `ParameterLayout.views`.
    """
    trained = [i for i in range(len(network.layers)) if f"{i}.qkv" in grads or f"{i}.down" in grads]
    if not trained:
        return
    for i in reversed(range(trained[0], len(network.layers))):
        layer = network.layers[i]
        if trace.states:
            state = trace.states[i]
        else:
            state = _layer_forward(network, layer, trace.inputs[i], trace.shape, arena, "again.")
        through = f"{i}.qkv" in grads or i > trained[0]
        _mlp_backward(layer, state, dx, i, grads, arena, through)
        if through:
            _attention_backward(network, layer, state, dx, i, grads, arena, i > trained[0])


def _mlp_backward(
    layer: Layer,
    state: LayerState,
    dx: Array,
    index: int,
    grads: Mapping[str, Lora],
    arena: Arena,
    through: bool,
) -> None:
    """Turn dx at the block's output into dx between attention and MLP, in place."""
    rows = dx.shape[0]
    d_act = arena.take("d.activation", (rows, layer.down.weight.shape[0]), dx.dtype)
    layer.down.backward(dx, state.activation, grads.get(f"{index}.down"), d_act, arena)
    d_gate_up = arena.take("d.gate_up", (rows, layer.gate_up.width), dx.dtype)
    swiglu_backward(d_act, state.gate_up, state.sigmoid, d_gate_up, arena)
    d_normed = arena.take("d.normed", dx.shape, dx.dtype) if through else None
    layer.gate_up.backward(
        d_gate_up, state.mlp_normed, grads.get(f"{index}.gate_up"), d_normed, arena
    )
    if d_normed is not None:
        rms_norm_backward(d_normed, state.middle, layer.mlp_norm, state.mlp_rstd, arena)
        dx += d_normed


def _attention_backward(
    network: Network,
    layer: Layer,
    state: LayerState,
    dx: Array,
    index: int,
    grads: Mapping[str, Lora],
    arena: Arena,
    through: bool,
) -> None:
    """Turn dx between attention and MLP into dx at the block's input, in place."""
    config = network.config
    batch, kv, length, head = state.attention.k.shape
    d_att = arena.take("d.attended", state.attended.shape, dx.dtype)
    layer.o.backward(dx, state.attended, grads.get(f"{index}.o"), d_att, arena)
    dq, dk, dv = attend_backward(d_att, state.attended, state.attention, arena)
    d_qkv = arena.take("d.qkv", state.qkv.shape, dx.dtype)
    d_heads, heads = _split_heads(d_qkv, head), _split_heads(state.qkv, head)
    count = config.num_heads + kv
    d_values = d_heads[:, count:].reshape(batch, length, kv, head)
    d_values[...] = dv.transpose(0, 2, 1, 3)
    rotate_backward(dq, dk, network.base.rotations(length), config, (batch, length), d_heads)
    if layer.qk_norm is not None and state.qk_rstd is not None:
        rms_norm_backward(d_heads[:, :count], heads[:, :count], layer.qk_norm, state.qk_rstd, arena)
    d_normed = arena.take("d.normed", dx.shape, dx.dtype) if through else None
    layer.qkv.backward(d_qkv, state.normed, grads.get(f"{index}.qkv"), d_normed, arena)
    if d_normed is not None:
        rms_norm_backward(d_normed, state.x, layer.attention_norm, state.rstd, arena)
        dx += d_normed
