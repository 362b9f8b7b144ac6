"""Running prompts through the model once: caches, last hidden rows, prompt logprobs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.decode import Prefix
from tinkex.local.engine.head import chunks, final_norm, shifted_logits
from tinkex.local.engine.model import Trace, forward
from tinkex.local.engine.network import Network
from tinkex.local.engine.pool import plan, run_in_order

TopK = list[list[tuple[int, float]] | None]


@frozen(eq=False)
class PrefillResult:
    """A prompt's cache and, where asked for, its logprobs (first entry None)."""

    prefix: Prefix
    logprobs: list[float | None] | None
    topk: TopK | None


def prefill(
    network: Network,
    prompts: Sequence[Array],
    wanted: Sequence[tuple[bool, int]],
    workers: int,
) -> list[PrefillResult]:
    """Run each distinct prompt once; `wanted` says of each job (logprobs?, how many top ones)."""
    keys = [prompt.tobytes() for prompt in prompts]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    distinct = sorted(first.values())
    asked = {
        i: _union([w for w, key in zip(wanted, keys, strict=True) if key == keys[i]])
        for i in distinct
    }
    batches = [[distinct[j] for j in batch] for batch in plan([len(prompts[i]) for i in distinct])]
    found: dict[bytes, PrefillResult] = {}

    def work(b: int, arena: Arena) -> list[PrefillResult]:
        members = batches[b]
        return _run(network, [prompts[i] for i in members], [asked[i] for i in members], arena)

    def take(b: int, results: list[PrefillResult]) -> None:
        found.update(zip((keys[i] for i in batches[b]), results, strict=True))

    run_in_order(len(batches), work, take, workers)
    return [_trim(found[key], *want) for key, want in zip(keys, wanted, strict=True)]


def _union(wants: Sequence[tuple[bool, int]]) -> tuple[bool, int]:
    return any(logprobs for logprobs, _ in wants), max(k for _, k in wants)


def _trim(result: PrefillResult, logprobs: bool, k: int) -> PrefillResult:
    """Leave what one job asked for of what all jobs with its prompt asked for."""
    topk = None
    if k > 0 and result.topk is not None:
        topk = [None if row is None else row[:k] for row in result.topk]
    return PrefillResult(result.prefix, result.logprobs if logprobs else None, topk)


def _run(
    network: Network, prompts: list[Array], asked: list[tuple[bool, int]], arena: Arena
) -> list[PrefillResult]:
    config, dtype = network.config, network.base.dtype
    length = max(len(prompt) for prompt in prompts)
    tokens = np.zeros((len(prompts), length), np.int64)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = prompt
    caches = [
        np.empty((2, config.num_layers, config.num_kv_heads, len(prompt), config.head_dim), dtype)
        for prompt in prompts
    ]

    def sink(layer: int, keys: Array, values: Array) -> None:
        for row, cache in enumerate(caches):
            cache[0, layer] = keys[row, :, : cache.shape[3]]
            cache[1, layer] = values[row, :, : cache.shape[3]]

    trace = forward(network, tokens, arena, sink=sink)
    ends = np.array([row * length + len(prompt) - 1 for row, prompt in enumerate(prompts)])
    last = final_norm(network, trace.out[ends], arena)[0].copy()
    results = []
    for row, (prompt, (logprobs, k)) in enumerate(zip(prompts, asked, strict=True)):
        prefix = Prefix(caches[row][0], caches[row][1], last[row])
        lists: tuple[list[float | None] | None, TopK | None] = (None, None)
        if logprobs or k > 0:
            lists = _prompt_logprobs(network, trace, row, prompt, k, arena)
        results.append(PrefillResult(prefix, *lists))
    return results


def _prompt_logprobs(
    network: Network, trace: Trace, row: int, prompt: Array, k: int, arena: Arena
) -> tuple[list[float | None], TopK]:
    """Return the logprob of each prompt token, and the `k` most likely ones in its place."""
    begin = row * trace.shape[1]
    normed, _ = final_norm(network, trace.out[begin : begin + len(prompt) - 1], arena)
    chosen: list[float | None] = [None]
    best: TopK = [None]
    k = min(k, network.head.width)
    for some in chunks(len(normed), network.head.width):
        z = arena.take("prefill.z", (some.stop - some.start, network.head.width), normed.dtype)
        shifted_logits(network, normed[some], z)
        norm = np.log(np.exp(z).sum(axis=1, keepdims=True))
        z -= norm
        targets = prompt[1 + some.start : 1 + some.stop]
        chosen += z[np.arange(len(z)), targets].tolist()
        if k > 0:
            order = np.argsort(-z, axis=1, kind="stable")[:, :k]
            values = np.take_along_axis(z, order, axis=1)
            best += [
                list(zip(ids, lps, strict=True))
                for ids, lps in zip(order.tolist(), values.tolist(), strict=True)
            ]
    return chosen, best
