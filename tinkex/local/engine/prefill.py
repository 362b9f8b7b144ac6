"""Running prompts through the model once: caches, last hidden rows, and the log probabilities of the prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import define, field, frozen

from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.choose import draw
from tinkex.local.engine.decode import Prefix
from tinkex.local.engine.head import chunks, final_norm, shifted_logits
from tinkex.local.engine.model import Trace, forward
from tinkex.local.engine.network import Network
from tinkex.local.engine.pool import plan, run_in_order

TopTokens = list[list[tuple[int, float]] | None]


@frozen(eq=False)
class PromptQuery:
    """What a job wants to know of its prompt, of n tokens.

    `last_n` limits `logprobs` and `topk` to the last positions; the entries before are None.
    `targets` [n - 1, K] are token ids whose logprobs are wanted at each position after the first
    (-1 for none). `alternatives` tokens are drawn at each of these positions, at `temperature`, from
    `random`.
    """

    logprobs: bool = False
    topk: int = 0
    last_n: int | None = None
    targets: Array | None = None
    alternatives: int = 0
    temperature: float = 1.0
    random: np.random.Generator = field(factory=np.random.default_rng)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is requested."""
        return not (
            self.logprobs or self.topk > 0 or self.targets is not None or self.alternatives > 0
        )


@frozen(eq=False)
class PromptScores:
    """The result of a query; lists have an entry per prompt token, the first None."""

    logprobs: list[float | None] | None = None
    topk: TopTokens | None = None
    targets: Array | None = None
    """float32 [n - 1, K], 0 where nothing was asked for."""
    alternatives: tuple[Array, Array] | None = None
    """Token ids int64 and logprobs float32, both [n - 1, k]; row i is about position i + 1."""


@frozen(eq=False)
class PrefillResult:
    """A prompt's cache and the requested scores."""

    prefix: Prefix
    scores: PromptScores


def prefill(
    network: Network, prompts: Sequence[Array], queries: Sequence[PromptQuery], workers: int
) -> list[PrefillResult]:
    """Run each distinct prompt once, and return the result of each query."""
    keys = [prompt.tobytes() for prompt in prompts]
    sharing: dict[bytes, list[int]] = {}
    for i, key in enumerate(keys):
        sharing.setdefault(key, []).append(i)
    groups = list(sharing.values())
    batches = [
        [groups[j] for j in batch] for batch in plan([len(prompts[group[0]]) for group in groups])
    ]
    found: dict[int, PrefillResult] = {}

    def work(b: int, arena: Arena) -> list[PrefillResult]:
        members = batches[b]
        return _run(
            network,
            [prompts[group[0]] for group in members],
            [[queries[i] for i in group] for group in members],
            arena,
        )

    def take(b: int, results: list[PrefillResult]) -> None:
        found.update(zip((i for group in batches[b] for i in group), results, strict=True))

    run_in_order(len(batches), work, take, workers)
    return [found[i] for i in range(len(prompts))]


def _run(
    network: Network, prompts: list[Array], queries: list[list[PromptQuery]], arena: Arena
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
    for row, (prompt, asked) in enumerate(zip(prompts, queries, strict=True)):
        prefix = Prefix(caches[row][0], caches[row][1], last[row])
        if all(query.is_empty for query in asked):
            results += [PrefillResult(prefix, PromptScores()) for _ in asked]
            continue
        scored = [_Result.to(query, prompt) for query in asked]
        _score(network, trace, row, prompt, scored, arena)
        results += [PrefillResult(prefix, one.scores()) for one in scored]
    return results


def _score(
    network: Network, trace: Trace, row: int, prompt: Array, scored: list[_Result], arena: Arena
) -> None:
    """Compute the log-softmax at every position but the last, and fill the results from it."""
    begin = row * trace.shape[1]
    normed, _ = final_norm(network, trace.out[begin : begin + len(prompt) - 1], arena)
    widest = max(one.query.topk for one in scored)
    k = min(widest, network.head.width)
    for some in chunks(len(normed), network.head.width):
        z = arena.take("prefill.z", (some.stop - some.start, network.head.width), normed.dtype)
        shifted_logits(network, normed[some], z)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        best = top_tokens(z, k) if k > 0 else []
        for one in scored:
            one.take(some, z, best)


def top_tokens(logprobs: Array, k: int) -> list[list[tuple[int, float]]]:
    """Return the k likeliest tokens of each row with their logprobs, the likeliest first."""
    order = np.argsort(-logprobs, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(logprobs, order, axis=1)
    return [
        list(zip(ids, row, strict=True))
        for ids, row in zip(order.tolist(), values.tolist(), strict=True)
    ]


@define(eq=False)
class _Result:
    """The result of a query while it is computed, chunk by chunk."""

    query: PromptQuery
    prompt: Array
    chosen: list[float | None]
    best: TopTokens
    targets: Array | None
    alternatives: tuple[Array, Array] | None

    @classmethod
    def to(cls, query: PromptQuery, prompt: Array) -> _Result:
        count = len(prompt) - 1
        shape = (count, query.alternatives)
        return cls(
            query,
            prompt,
            [None],
            [None],
            None if query.targets is None else np.zeros(query.targets.shape, np.float32),
            (np.zeros(shape, np.int64), np.zeros(shape, np.float32))
            if query.alternatives > 0
            else None,
        )

    def take(self, some: slice, z: Array, best: list[list[tuple[int, float]]]) -> None:
        """Store the requested values of the logprobs z of some positions."""
        query, rows = self.query, np.arange(len(z))
        if query.logprobs:
            tokens = self.prompt[1 + some.start : 1 + some.stop]
            # The head knows no patches of an image.
            known = tokens < z.shape[1]
            found = z[rows, np.where(known, tokens, 0)].tolist()
            self.chosen += [
                p if is_token else None for p, is_token in zip(found, known, strict=True)
            ]
        if query.topk > 0:
            self.best += [row[: query.topk] for row in best]
        if query.targets is not None and self.targets is not None:
            wanted = query.targets[some]
            values = z[rows[:, None], np.maximum(wanted, 0)]
            self.targets[some] = np.where(wanted >= 0, values, 0.0)
        if self.alternatives is not None:
            tokens = draw(z, query.temperature, query.random.random((len(z), query.alternatives)))
            self.alternatives[0][some] = tokens
            self.alternatives[1][some] = z[rows[:, None], tokens]

    def scores(self) -> PromptScores:
        """Return the complete result."""
        query = self.query
        unscored = 0 if query.last_n is None else len(self.prompt) - query.last_n
        for row in range(unscored):
            if query.logprobs:
                self.chosen[row] = None
            if query.topk > 0:
                self.best[row] = None
        return PromptScores(
            self.chosen if query.logprobs else None,
            self.best if query.topk > 0 else None,
            self.targets,
            self.alternatives,
        )
