"""Sampling from a base model with any adapters."""

from __future__ import annotations

import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from attrs import define, field, frozen

from tinkex.local.engine.adapter import Adapter
from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.base import Base
from tinkex.local.engine.choose import Choices, choose
from tinkex.local.engine.decode import DecodeBatch, Prefix
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.examples import check_tokens
from tinkex.local.engine.network import Network, bind
from tinkex.local.engine.pauses import pause
from tinkex.local.engine.pool import blas_threads, default_workers, run_in_order
from tinkex.local.engine.prefill import (
    PrefillResult,
    PromptQuery,
    PromptScores,
    prefill,
    top_tokens,
)
from tinkex.local.engine.stops import Decode, StopFinder

OnToken = Callable[[int, int, float], None]

MAX_ROWS = 128
CACHE_BYTES = 1 << 30
# Threads trade the interpreter's lock at every small operation: below this many rows each, two
# batches side by side are no faster than one.
MIN_ROWS = 64
_NETWORKS_KEPT = 4
# Beyond every index of a sample, which is the second word of the other streams' seeds.
_ALTERNATIVES = 2**32
# Beyond every index of a sample, which is the second word of the other streams' seeds.
_ALTERNATIVES = 2**32


@frozen(eq=False)
class SampleJob:
    """One prompt to continue `num_samples` times.

    `stop_tokens` None stands for the model's end-of-sequence tokens, () for none at all. A
    sequence ends after the stop token or after the token that completes a stop string; both stay
    in `tokens`. `max_tokens` None continues to the context limit. `topk_sample_logprobs` asks for that many
    likeliest tokens at each sampled position; what may be asked about the prompt is said at
    `PromptQuery`. `on_token(sample, token, logprob)` is called as tokens come, one call at a time, from a worker's thread. When
    `cancelled()` turns true the job's sequences end where they stand, as by length.
    """

    prompt: Array
    adapter: Adapter | None = None
    num_samples: int = 1
    max_tokens: int | None = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0
    seed: int | None = None
    stop_tokens: tuple[int, ...] | None = None
    stop_strings: tuple[str, ...] = ()
    prompt_logprobs: bool = False
    topk_prompt_logprobs: int = 0
    topk_sample_logprobs: int = 0
    prompt_logprobs_last_n: int | None = None
    target_prompt_logprobs: Array | None = None
    prompt_alt_tokens_k: int = 0
    on_token: OnToken | None = None
    cancelled: Callable[[], bool] | None = None


@frozen
class SampledTokens:
    """One sequence; logprobs are those of the raw logits, before temperature and filters."""

    tokens: list[int]
    logprobs: list[float]
    stop_reason: str
    """stop or length."""
    topk: list[list[tuple[int, float]]] | None = None
    """The likeliest tokens at each position, if they were asked for."""


@frozen(eq=False)
class SampleResult:
    """The result of a job."""

    sequences: list[SampledTokens]
    prompt: PromptScores = field(factory=PromptScores)


OnResult = Callable[[int, SampleResult], None]


@define(eq=False)
class _Row:
    """A sequence being generated."""

    job: SampleJob
    index: int
    prefix: Prefix
    limit: int
    stops: frozenset[int]
    finder: StopFinder | None
    random: np.random.Generator
    tokens: list[int] = field(factory=list)
    logprobs: list[float] = field(factory=list)
    topk: list[list[tuple[int, float]]] = field(factory=list)
    reason: str | None = None
    # Called once, when the sequence has ended.
    ended: Callable[[], None] | None = None

    def accept(self, token: int, logprob: float, best: list[tuple[int, float]] | None) -> None:
        """Append a token and see whether the sequence ends with it."""
        self.tokens.append(token)
        self.logprobs.append(logprob)
        if best is not None:
            self.topk.append(best)
        if self.job.on_token is not None:
            self.job.on_token(self.index, token, logprob)
        if token in self.stops or (self.finder is not None and self.finder.feed(token)):
            self.reason = "stop"
        elif len(self.tokens) >= self.limit:
            self.reason = "length"

    def sampled(self) -> SampledTokens:
        """Return the sequence."""
        topk = self.topk if self.job.topk_sample_logprobs > 0 else None
        return SampledTokens(self.tokens, self.logprobs, self.reason or "length", topk)


class Sampler:
    """Samples from one base model; calls of `sample` from several threads run side by side.

    `decode` turns token ids into text and is needed for stop strings only. Random numbers belong
    to (seed, sample index), so a sample is the same alone and in any company, up to rounding.

    Example:
        >>> import numpy as np
        >>> from tinkex.local.engine import Base, SampleJob, Sampler, nano_config
        >>> sampler = Sampler(Base.random(nano_config()), None)
        >>> job = SampleJob(np.array([1, 2, 3]), num_samples=2, max_tokens=5, seed=7)
        >>> [len(sequence.tokens) for sequence in sampler.sample([job])[0].sequences]
        [5, 5]

    """

    def __init__(self, base: Base, decode: Decode | None, *, workers: int | None = None) -> None:
        self.base = base
        self._decode = decode
        self._workers = default_workers() if workers is None else workers
        self._plain = bind(base)
        self._networks: OrderedDict[Adapter, Network] = OrderedDict()
        self._callback_lock = threading.Lock()
        self._network_lock = threading.Lock()

    def check(self, job: SampleJob) -> None:
        """Refuse a job that `sample` would refuse.

        Raises:
            EngineError: naming the field at fault.

        """
        check_tokens(job.prompt, self.base.config, "prompt")
        if job.adapter is not None and job.adapter.base is not self.base:
            raise EngineError(f"adapter belongs to {job.adapter.base.name}, not {self.base.name}")
        if job.num_samples < 1:
            raise EngineError(f"num_samples is {job.num_samples}, expected at least 1")
        if job.max_tokens is not None and job.max_tokens < 0:
            raise EngineError(f"max_tokens is {job.max_tokens}, expected at least 0")
        if not (math.isfinite(job.temperature) and job.temperature >= 0):
            raise EngineError(f"temperature is {job.temperature}, expected a number of at least 0")
        if job.top_k < -1:
            raise EngineError(f"top_k is {job.top_k}, expected -1 (no limit) or more")
        if not 0 < job.top_p <= 1:
            raise EngineError(f"top_p is {job.top_p}, expected 0 < top_p <= 1")
        for name in ("topk_prompt_logprobs", "topk_sample_logprobs", "prompt_alt_tokens_k"):
            if getattr(job, name) < 0:
                raise EngineError(f"{name} is {getattr(job, name)}, expected at least 0")
        self._check_prompt_query(job)
        if any(not stop for stop in job.stop_strings):
            raise EngineError("stop has an empty string")
        if job.stop_strings and self._decode is None:
            raise EngineError("stop strings need a tokenizer; this model has none")

    def _check_prompt_query(self, job: SampleJob) -> None:
        count = len(job.prompt) - 1
        last_n = job.prompt_logprobs_last_n
        if last_n is not None and not job.prompt_logprobs:
            raise EngineError("prompt_logprobs_last_n needs prompt_logprobs")
        if last_n is not None and not 1 <= last_n <= count:
            raise EngineError(
                f"prompt_logprobs_last_n is {last_n}, expected 1 to {count} (prompt length - 1)"
            )
        targets = job.target_prompt_logprobs
        if targets is None:
            return
        if targets.ndim != 2 or targets.shape[0] != count:
            raise EngineError(
                f"target_prompt_logprobs has shape {targets.shape}, expected ({count}, K)"
            )
        vocab = self.base.config.vocab_size
        outside = (targets < -1) | (targets >= vocab)
        if outside.any():
            i, j = (int(at) for at in np.argwhere(outside)[0])
            raise EngineError(
                f"target_prompt_logprobs[{i}, {j}] is {int(targets[i, j])}, outside the vocabulary "
                f"of {vocab} tokens (-1 asks for nothing)"
            )

    def sample(self, jobs: Sequence[SampleJob], done: OnResult | None = None) -> list[SampleResult]:
        """Run all jobs together; results come in the order of the jobs.

        `done(index, result)` is called as soon as the last sequence of a job has ended, one call at
        a time, from a worker's thread.

        Raises:
            EngineError: for a job that is wrong; no job has run then.

        """
        for job in jobs:
            self.check(job)
        adapters = list(dict.fromkeys(job.adapter for job in jobs))
        results: dict[int, SampleResult] = {}
        for adapter in adapters:
            mine = [i for i, job in enumerate(jobs) if job.adapter is adapter]

            def take(i: int, result: SampleResult, mine: list[int] = mine) -> None:
                results[mine[i]] = result
                if done is not None:
                    done(mine[i], result)

            self._sample_group(self._network(adapter), [jobs[i] for i in mine], take)
        return [results[i] for i in range(len(jobs))]

    def _network(self, adapter: Adapter | None) -> Network:
        """Return the base with an adapter; the latest few stay merged."""
        if adapter is None:
            return self._plain
        with self._network_lock:
            network = self._networks.pop(adapter, None)
            if network is None:
                network = bind(self.base, adapter.layout, adapter.flat)
            self._networks[adapter] = network
            while len(self._networks) > _NETWORKS_KEPT:
                self._networks.popitem(last=False)
        return network

    def _sample_group(self, network: Network, jobs: list[SampleJob], take: OnResult) -> None:
        """Run jobs of one adapter."""
        prompts = [np.asarray(job.prompt, np.int64) for job in jobs]
        seeds = [secrets.randbits(63) if job.seed is None else job.seed % 2**63 for job in jobs]
        queries = [_query(job, seed) for job, seed in zip(jobs, seeds, strict=True)]
        prefilled = prefill(network, prompts, queries, self._workers)
        rows = [
            self._rows(job, found, seed)
            for job, found, seed in zip(jobs, prefilled, seeds, strict=True)
        ]

        def result(i: int) -> SampleResult:
            return SampleResult([row.sampled() for row in rows[i]], prefilled[i].scores)

        for i, own in enumerate(rows):
            _watch(own, partial(_hand_over, take, result, i))
        pending = [row for own in rows for row in own if row.reason is None]
        if not pending:
            return
        shards = _shards(pending, self._workers, self._row_limit(pending))

        def work(i: int, arena: Arena) -> None:
            del arena
            self._generate(network, shards[i])

        if len(shards) == 1:
            # A batch alone has the cores to itself: they share each matrix product.
            with blas_threads(self._workers):
                self._generate(network, shards[0])
        else:
            run_in_order(len(shards), work, lambda _i, _done: None, self._workers)

    def _row_limit(self, rows: list[_Row]) -> int:
        """Return how many sequences may share a batch without their caches filling the memory."""
        config = self.base.config
        longest = max((row.prefix.length + row.limit for row in rows), default=1)
        per_token = 2 * config.num_layers * config.kv_width * self.base.dtype.itemsize
        return max(1, min(MAX_ROWS, CACHE_BYTES // (per_token * longest)))

    def _rows(self, job: SampleJob, found: PrefillResult, seed: int) -> list[_Row]:
        config = self.base.config
        room = config.max_context - found.prefix.length
        limit = room if job.max_tokens is None else min(room, job.max_tokens)
        stops = config.eos_token_ids if job.stop_tokens is None else job.stop_tokens
        return [
            _Row(
                job=job,
                index=index,
                prefix=found.prefix,
                limit=limit,
                stops=frozenset(stops),
                finder=StopFinder(job.stop_strings, self._decode)
                if job.stop_strings and self._decode is not None
                else None,
                random=np.random.default_rng([seed, index]),
                reason=None if limit > 0 else "length",
            )
            for index in range(job.num_samples)
        ]

    def _generate(self, network: Network, rows: list[_Row]) -> None:
        """Generate some rows to their ends."""
        batch: DecodeBatch | None = None
        choices = _choices(rows, self.base.config.vocab_size)
        last = np.stack([row.prefix.last for row in rows])
        logits = np.empty((len(rows), network.head.width), last.dtype)
        network.head.forward(last, logits)
        while True:
            tokens = self._advance(rows, logits, choices)
            self._report_ended(rows)
            pause()
            alive = np.array([i for i, row in enumerate(rows) if row.reason is None], np.int64)
            if alive.size == 0:
                return
            if batch is None:
                batch = DecodeBatch(network, [row.prefix for row in rows])
            # Copying caches costs about a step, so ended rows ride along until a quarter ended.
            if alive.size <= 0.75 * len(rows):
                batch.keep(alive)
                rows = [rows[i] for i in alive]
                tokens, choices = tokens[alive], choices.select(alive)
            logits = batch.step(tokens)

    def _report_ended(self, rows: list[_Row]) -> None:
        with self._callback_lock:
            for row in rows:
                if row.reason is not None and row.ended is not None:
                    ended, row.ended = row.ended, None
                    ended()

    def _advance(self, rows: list[_Row], logits: Array, choices: Choices) -> Array:
        """Choose the next token of each row and hand it over; return the tokens."""
        logits -= logits.max(axis=1, keepdims=True)
        uniforms = np.array([row.random.random() if row.reason is None else 0.0 for row in rows])
        tokens = choose(logits, choices, uniforms)
        picked = logits[np.arange(len(rows)), tokens]
        best = _best(logits, max(row.job.topk_sample_logprobs for row in rows))
        logprobs = picked - np.log(np.exp(logits, out=logits).sum(axis=1))
        with self._callback_lock:
            for row, token, logprob, likeliest in zip(
                rows, tokens.tolist(), logprobs.tolist(), best, strict=True
            ):
                if row.reason is not None:
                    continue
                if row.job.cancelled is not None and row.job.cancelled():
                    row.reason = "length"
                else:
                    k = row.job.topk_sample_logprobs
                    row.accept(token, logprob, likeliest[:k] if k > 0 else None)
        return tokens


def _watch(rows: list[_Row], done: Callable[[], None]) -> None:
    """Call `done` once all rows have ended, which some may have already."""
    going_on = [row for row in rows if row.reason is None]
    left = len(going_on)

    def one_ended() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done()

    for row in going_on:
        row.ended = one_ended
    if not going_on:
        done()


def _hand_over(take: OnResult, result: Callable[[int], SampleResult], i: int) -> None:
    take(i, result(i))


def _query(job: SampleJob, seed: int) -> PromptQuery:
    return PromptQuery(
        logprobs=job.prompt_logprobs,
        topk=job.topk_prompt_logprobs,
        last_n=job.prompt_logprobs_last_n,
        targets=job.target_prompt_logprobs,
        alternatives=job.prompt_alt_tokens_k,
        temperature=job.temperature,
        # A separate stream, so that requesting alternatives changes no sample.
        random=np.random.default_rng([seed, _ALTERNATIVES]),
    )


def _best(logits: Array, k: int) -> list[list[tuple[int, float]]]:
    """Return the k likeliest tokens of each row of logits with their logprobs."""
    if k < 1:
        return [[] for _ in logits]
    return top_tokens(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), k)


def _choices(rows: list[_Row], vocab: int) -> Choices:
    top_k = [vocab if row.job.top_k < 1 else min(row.job.top_k, vocab) for row in rows]
    return Choices(
        np.array([row.job.temperature for row in rows], np.float64),
        np.array(top_k),
        np.array([row.job.top_p for row in rows], np.float64),
    )


def _shards(rows: list[_Row], workers: int, largest: int) -> list[list[_Row]]:
    """Cut rows into batches that generate side by side: alike in length, enough for each core."""
    if not rows:
        return []
    ordered = sorted(rows, key=lambda row: (-row.limit, -row.prefix.length))
    pieces = max(1, min(workers, len(ordered) // MIN_ROWS))
    size = min(largest, -(-len(ordered) // pieces))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
