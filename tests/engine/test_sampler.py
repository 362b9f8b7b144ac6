"""Sampling: distributions, determinism, stops, logprobs, prompts, callbacks, validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from engine.reference import scramble, toy_base, toy_trainer
from hypothesis import given
from hypothesis import strategies as st

from tinkex.local.engine import (
    Adapter,
    Base,
    EngineError,
    Example,
    LoraSpec,
    SampleJob,
    Sampler,
    SampleResult,
    Trainer,
    nano_config,
    sampler,
)
from tinkex.local.engine.choose import Choices, choose

NANO = Base.random(nano_config(vocab_size=64, max_context=96, eos_token_ids=(0,)), seed=3)
PROMPT = np.array([5, 17, 33, 8])


def letters(tokens: Sequence[int]) -> str:
    return "".join(chr(ord("A") + token) for token in tokens)


def adapted(seed: int = 0) -> Adapter:
    trainer = Trainer(NANO, LoraSpec(rank=4, seed=0))
    scramble(trainer, seed, 0.1)
    return trainer.snapshot()


def run(*jobs: SampleJob, **options: Any) -> list[SampleResult]:
    return Sampler(NANO, letters, **options).sample(jobs)


def job(**changes: Any) -> SampleJob:
    return SampleJob(
        **({"prompt": PROMPT, "max_tokens": 12, "seed": 1, "stop_tokens": ()} | changes)
    )


def tokens(result: SampleResult) -> list[list[int]]:
    return [sequence.tokens for sequence in result.sequences]


def forward_logprobs(base: Base, adapter: Adapter | None, sequence: list[int]) -> np.ndarray:
    """Return log p of each token but the first, by a training forward pass."""
    trainer = Trainer(base, LoraSpec(rank=4, seed=0) if adapter is None else adapter.lora)
    if adapter is not None:
        trainer._flat[...] = adapter.flat
    ids = np.array(sequence)
    example = Example(ids[:-1], {"target_tokens": ids[1:]})
    return trainer.forward([example], "cross_entropy").logprobs[0]


@pytest.mark.parametrize("adapter", [None, adapted()], ids=["base", "adapter"])
@pytest.mark.parametrize("filters", [{}, {"temperature": 0.6, "top_k": 9, "top_p": 0.8}])
def test_logprobs_are_those_of_a_forward_pass(
    adapter: Adapter | None, filters: dict[str, float]
) -> None:
    """Sampled logprobs come from the raw logits, whatever temperature and filters did."""
    prompts = [PROMPT, PROMPT[:1], np.arange(40)]
    jobs = [job(prompt=p, adapter=adapter, num_samples=5, **filters) for p in prompts]
    for given_job, result in zip(jobs, run(*jobs), strict=True):
        for sequence in result.sequences:
            whole = [*given_job.prompt.tolist(), *sequence.tokens]
            expected = forward_logprobs(NANO, adapter, whole)[len(given_job.prompt) - 1 :]
            np.testing.assert_allclose(sequence.logprobs, expected, atol=1e-4)


@pytest.mark.parametrize(
    "changes", [{"qk_norm": False, "tie_embeddings": False}, {"num_kv_heads": 1}]
)
def test_decoding_equals_forward_on_other_shapes(changes: dict[str, Any]) -> None:
    """The cached path computes what the training path computes, in float64 to the last digits."""
    base = toy_base(**changes)
    trainer = toy_trainer(base, merge=False)
    result = Sampler(base, None).sample(
        [
            SampleJob(
                np.array([1, 2, 3]), trainer.snapshot(), max_tokens=None, stop_tokens=(), seed=4
            )
        ]
    )[0]
    (sequence,) = result.sequences
    assert len(sequence.tokens) == 61
    ids = np.array([1, 2, 3, *sequence.tokens])
    example = Example(ids[:-1], {"target_tokens": ids[1:]})
    expected = trainer.forward([example], "cross_entropy").logprobs[0][2:]
    np.testing.assert_allclose(sequence.logprobs, expected, atol=1e-6)


def test_same_seed_gives_the_same_sample_in_any_company() -> None:
    """A sample depends on its prompt, adapter, settings and (seed, index) alone."""
    adapter = adapted()
    mine = job(num_samples=3, adapter=adapter, seed=42)
    alone = tokens(run(mine)[0])
    others = [
        job(num_samples=7, seed=42),
        job(prompt=np.arange(30), adapter=adapter, num_samples=20, seed=3, max_tokens=40),
        job(prompt=PROMPT[:2], adapter=adapter, seed=42, temperature=0.5, top_k=3),
    ]
    assert tokens(run(*others, mine)[-1]) == alone
    assert tokens(run(*others, mine, workers=1)[-1]) == alone
    more = tokens(run(job(num_samples=9, adapter=adapter, seed=42))[0])
    assert more[:3] == alone
    assert len({tuple(sequence) for sequence in more}) == 9


def test_batches_are_cut_without_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """More samples than fit in a batch come out as they would together."""
    expected = tokens(run(job(num_samples=20))[0])
    monkeypatch.setattr(sampler, "MAX_ROWS", 6)
    assert tokens(run(job(num_samples=20))[0]) == expected


def test_seeds_may_be_any_integer_and_none_is_fresh() -> None:
    """Different seeds and no seed differ; negative and 64-bit seeds work."""
    seeds = [1, 2, -1, 2**64 - 1, None, None]
    found = [tuple(tokens(result)[0]) for result in run(*[job(seed=seed) for seed in seeds])]
    assert len(set(found)) >= 5


def test_temperature_zero_takes_the_most_likely_token() -> None:
    """Greedy decoding follows the argmax of a forward pass."""
    (sequence,) = run(job(temperature=0.0, topk_prompt_logprobs=1))[0].sequences
    again = run(job(prompt=np.array([*PROMPT, *sequence.tokens]), topk_prompt_logprobs=1))[0]
    assert again.prompt.topk is not None
    best = [row[0][0] for row in again.prompt.topk if row]
    assert sequence.tokens == best[len(PROMPT) - 1 :]


def expected_probabilities(logits: np.ndarray, temperature: float, k: int, p: float) -> np.ndarray:
    """Return the distribution after temperature, top-k and top-p, token by token."""
    weights = [float(np.exp(x / temperature)) for x in logits]
    ranked = sorted(range(len(weights)), key=lambda i: -weights[i])
    kept = ranked[: k if k > 0 else len(ranked)]
    total, mass, chosen = sum(weights[i] for i in kept), 0.0, []
    for i in kept:
        chosen.append(i)
        mass += weights[i]
        if mass >= p * total:
            break
    found = np.zeros(len(weights))
    for i in chosen:
        found[i] = weights[i] / mass
    return found


def chi_square_is_plausible(counts: np.ndarray, probabilities: np.ndarray) -> bool:
    """Tell whether counts fit, at five standard deviations of the statistic."""
    if counts[probabilities == 0].any():
        return False
    expected = probabilities * counts.sum()
    enough = expected >= 5
    statistic = (((counts - expected) ** 2)[enough] / expected[enough]).sum()
    freedom = max(1, int(enough.sum()) - 1)
    return bool(statistic < freedom + 5 * np.sqrt(2 * freedom))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize(
    ("k", "p"), [(-1, 1.0), (5, 1.0), (1, 1.0), (-1, 0.7), (-1, 1e-6), (8, 0.6), (200, 0.99)]
)
def test_filters_give_the_distribution_they_promise(temperature: float, k: int, p: float) -> None:
    """Counts of one step's samples fit temperature, top-k and top-p."""
    result = run(
        job(num_samples=3000, max_tokens=1, temperature=temperature, top_k=k, top_p=p, seed=11),
        job(prompt=np.array([*PROMPT, 0]), topk_prompt_logprobs=64, max_tokens=0),
    )
    table = result[1].prompt.topk
    assert table is not None
    assert table[-1] is not None
    logits = np.zeros(64)
    for token, logprob in table[-1]:
        logits[token] = logprob
    counts = np.bincount([sequence[0] for sequence in tokens(result[0])], minlength=64)
    assert chi_square_is_plausible(counts, expected_probabilities(logits, temperature, k, p))


@pytest.mark.parametrize(("p", "kept"), [(0.4999, 1), (0.5001, 2), (0.7999, 2), (0.8001, 3)])
def test_top_p_keeps_the_token_that_reaches_it_and_none_after(p: float, kept: int) -> None:
    """Of masses 0.5, 0.3 and 0.2, to a ten-thousandth; the largest uniform number takes the last that is kept."""
    shifted = np.log(np.array([[0.5, 0.3, 0.2]]) / 0.5).astype(np.float32)
    choices = Choices(np.array([1.0]), np.array([3]), np.array([p]))
    assert choose(shifted, choices, np.array([1 - 1e-9])) == kept - 1


@given(
    logits=st.lists(st.integers(-8, 0), min_size=2, max_size=12),
    k=st.integers(-1, 14),
    p=st.floats(0.01, 1.0),
    temperature=st.sampled_from([0.0, 1e-30, 0.3, 1.0, 50.0]),
    uniform=st.floats(0, 1, exclude_max=True),
)
def test_chosen_tokens_have_probability(
    logits: list[int], k: int, p: float, temperature: float, uniform: float
) -> None:
    """Whatever the settings, the token is one that the filters left, and greedy is the best."""
    row = np.array([logits], np.float32) - max(logits)
    top_k = len(logits) if k < 1 else min(k, len(logits))
    choices = Choices(np.array([temperature]), np.array([top_k]), np.array([p]))
    (token,) = choose(row, choices, np.array([uniform]))
    assert 0 <= token < len(logits)
    better = sum(x > logits[token] for x in logits)
    assert better < top_k
    if temperature < 1e-6:
        assert better == 0


def test_sequence_ends_with_its_stop_token() -> None:
    """The stop token is kept, and the reason is `stop`."""
    (free,) = run(job(max_tokens=30))[0].sequences
    stop = free.tokens[7]
    (sequence,) = run(job(max_tokens=30, stop_tokens=(stop,)))[0].sequences
    assert sequence.tokens == free.tokens[: free.tokens.index(stop) + 1]
    assert (free.stop_reason, sequence.stop_reason) == ("length", "stop")
    assert len(sequence.logprobs) == len(sequence.tokens)


def test_end_of_sequence_stops_unless_told_otherwise() -> None:
    """None stands for the model's own tokens, () for none."""
    result = run(
        job(num_samples=60, max_tokens=40, stop_tokens=None), job(num_samples=60, max_tokens=40)
    )
    for sequence, free in zip(result[0].sequences, result[1].sequences, strict=True):
        ended = 0 in free.tokens
        assert sequence.stop_reason == ("stop" if ended else "length")
        assert sequence.tokens == (
            free.tokens[: free.tokens.index(0) + 1] if ended else free.tokens
        )
    assert {sequence.stop_reason for sequence in result[0].sequences} == {"stop", "length"}


def test_sequence_ends_with_its_stop_string() -> None:
    """A stop string that spans tokens ends the sequence with the token that completes it."""
    (free,) = run(job(max_tokens=30))[0].sequences
    text = letters(free.tokens)
    stops = ("never", text[4:7])
    (sequence,) = run(job(max_tokens=30, stop_strings=stops))[0].sequences
    assert letters(sequence.tokens) == text[: text.index(text[4:7]) + 3]
    assert sequence.stop_reason == "stop"


def test_long_generation_outgrows_its_first_cache() -> None:
    """Caches grow as sequences do, and what they held stays right."""
    result = run(job(num_samples=3, max_tokens=None), job(prompt=PROMPT[:2], max_tokens=80))
    for prompt, found in ((PROMPT, result[0]), (PROMPT[:2], result[1])):
        for sequence in found.sequences:
            expected = forward_logprobs(NANO, None, [*prompt.tolist(), *sequence.tokens])
            np.testing.assert_allclose(sequence.logprobs, expected[len(prompt) - 1 :], atol=1e-4)


def test_memory_for_caches_bounds_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where caches would be too large, fewer sequences run at a time, with the same outcome."""
    expected = tokens(run(job(num_samples=9))[0])
    monkeypatch.setattr(sampler, "CACHE_BYTES", 20_000)
    assert tokens(run(job(num_samples=9))[0]) == expected


def test_many_adapters_share_a_sampler() -> None:
    """Adapters in any number come together or again later; each job gets its own."""
    adapters = [adapted(seed) for seed in range(6)]
    together = Sampler(NANO, letters)
    first = [tokens(r) for r in together.sample([job(adapter=adapter) for adapter in adapters])]
    assert [tokens(together.sample([job(adapter=a)])[0]) for a in adapters] == first
    assert len({str(found) for found in first}) == 6


def test_prompt_logprobs_are_those_of_a_forward_pass() -> None:
    """One entry per prompt token, the first None; lists come only where asked for."""
    prompts = [np.arange(3, 40), PROMPT]
    results = run(
        job(prompt=prompts[0], prompt_logprobs=True, max_tokens=1),
        job(prompt=prompts[1], prompt_logprobs=True, topk_prompt_logprobs=3),
        job(prompt=prompts[1]),
    )
    for prompt, result in zip(prompts, results, strict=False):
        assert result.prompt.logprobs is not None
        assert result.prompt.logprobs[0] is None
        expected = forward_logprobs(NANO, None, prompt.tolist())
        np.testing.assert_allclose(result.prompt.logprobs[1:], expected, atol=1e-5)
    assert results[0].prompt.topk is None
    top = results[1].prompt.topk
    assert top is not None
    assert top[0] is None
    assert [len(row) for row in top[1:] if row] == [3, 3, 3]
    for row, token, own in zip(top[1:], PROMPT[1:], results[1].prompt.logprobs[1:], strict=True):
        assert row is not None
        assert [lp for _, lp in row] == sorted((lp for _, lp in row), reverse=True)
        for candidate, logprob in row:
            assert candidate != token or logprob == pytest.approx(own, abs=1e-6)
    assert results[2].prompt.logprobs is None
    assert results[2].prompt.topk is None


def test_only_the_last_prompt_tokens_are_scored() -> None:
    """The entries before them are None, in the logprobs and in the likeliest tokens."""
    asked = {"prompt_logprobs": True, "topk_prompt_logprobs": 2, "max_tokens": 0}
    whole, last = run(job(**asked), job(**asked, prompt_logprobs_last_n=2))
    assert whole.prompt.logprobs is not None
    assert whole.prompt.topk is not None
    assert last.prompt.logprobs == [None, None, *whole.prompt.logprobs[2:]]
    assert last.prompt.topk == [None, None, *whole.prompt.topk[2:]]


def test_target_logprobs_are_those_of_the_tokens_asked_for() -> None:
    """Cell [i, j] is about position i + 1; -1 asks for nothing and gets 0."""
    targets = np.array([[PROMPT[1], -1, 3], [-1, 9, 9], [0, PROMPT[3], 63]])
    asked = {"prompt_logprobs": True, "topk_prompt_logprobs": 64, "max_tokens": 0}
    (result,) = run(job(**asked, target_prompt_logprobs=targets))
    found, topk = result.prompt.targets, result.prompt.topk
    assert found is not None
    assert topk is not None
    assert found.dtype == np.float32
    for i, row in enumerate(targets):
        table = dict(topk[i + 1] or [])
        expected = [0.0 if token < 0 else table[token] for token in row.tolist()]
        np.testing.assert_allclose(found[i], expected, rtol=1e-6)
    assert result.prompt.logprobs is not None
    assert found[0, 0] == pytest.approx(result.prompt.logprobs[1])


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_alternatives_are_drawn_from_the_distribution_at_each_position(temperature: float) -> None:
    """Their counts fit the temperature, their logprobs are those at temperature 1."""
    asked = {"topk_prompt_logprobs": 64, "max_tokens": 0, "temperature": temperature}
    (result,) = run(job(**asked, top_k=1, prompt_alt_tokens_k=3000))
    assert result.prompt.alternatives is not None
    drawn, logprobs = result.prompt.alternatives
    assert drawn.shape == logprobs.shape == (3, 3000)
    assert (drawn.dtype, logprobs.dtype) == (np.int64, np.float32)
    for i in range(3):
        table = dict((result.prompt.topk or [])[i + 1] or [])
        logits = np.array([table[token] for token in range(64)])
        counts = np.bincount(drawn[i], minlength=64)
        assert chi_square_is_plausible(counts, expected_probabilities(logits, temperature, -1, 1.0))
        np.testing.assert_allclose(logprobs[i], logits[drawn[i]], rtol=1e-6)
    assert len({tuple(row) for row in drawn.tolist()}) == 3


def test_alternatives_are_repeatable_and_greedy_at_temperature_zero() -> None:
    """The seed fixes them, they change no sample, and at temperature 0 they are the likeliest."""
    plain, first, again, other = run(
        job(),
        job(prompt_alt_tokens_k=2),
        job(prompt_alt_tokens_k=2),
        job(prompt_alt_tokens_k=2, seed=2),
    )
    found = [r.prompt.alternatives for r in (first, again, other)]
    assert found[0] is not None
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert (found[0][0] != found[2][0]).any()
    assert tokens(plain) == tokens(first)
    (cold,) = run(job(prompt_alt_tokens_k=2, temperature=0.0, topk_prompt_logprobs=1))
    likeliest = [row[0][0] for row in (cold.prompt.topk or [])[1:] if row]
    assert cold.prompt.alternatives is not None
    assert cold.prompt.alternatives[0].tolist() == [[token, token] for token in likeliest]


def test_likeliest_tokens_come_with_each_sampled_token() -> None:
    """They are those that a prompt of the same tokens would show, also where samples end early."""
    asked = job(topk_sample_logprobs=64, num_samples=4, stop_tokens=tuple(range(20)))
    result, beside = run(asked, job(num_samples=2))
    for sequence in result.sequences:
        assert sequence.topk is not None
        assert len(sequence.topk) == len(sequence.tokens)
        whole = np.array([*PROMPT, *sequence.tokens])
        (scored,) = run(job(prompt=whole, topk_prompt_logprobs=64, max_tokens=0))
        for own, expected in zip(sequence.topk, (scored.prompt.topk or [])[4:], strict=True):
            assert expected is not None
            np.testing.assert_allclose([lp for _, lp in own], [lp for _, lp in expected], atol=1e-5)
        for row, token, logprob in zip(
            sequence.topk, sequence.tokens, sequence.logprobs, strict=True
        ):
            assert dict(row)[token] == pytest.approx(logprob, abs=1e-6)
    assert [sequence.topk for sequence in beside.sequences] == [None, None]


def test_one_token_prompt_has_only_the_undefined_logprob() -> None:
    """Nothing precedes a single token."""
    (result,) = run(job(prompt=PROMPT[:1], prompt_logprobs=True, topk_prompt_logprobs=2))
    assert (result.prompt.logprobs, result.prompt.topk) == ([None], [None])
    empty = np.zeros((0, 3), np.int64)
    (other,) = run(job(prompt=PROMPT[:1], target_prompt_logprobs=empty, prompt_alt_tokens_k=2))
    assert other.prompt.targets is not None
    assert other.prompt.alternatives is not None
    assert (other.prompt.targets.shape, other.prompt.alternatives[0].shape) == ((0, 3), (0, 2))


def test_context_limit_ends_with_length() -> None:
    """Prompt and sample together fit the context; a full prompt leaves no room."""
    full = np.arange(96) % 64
    results = run(
        job(prompt=full[:90], max_tokens=None),
        job(prompt=full[:90], max_tokens=50),
        job(prompt=full, max_tokens=1, prompt_logprobs=True),
        job(max_tokens=0),
    )
    ends = [(len(r.sequences[0].tokens), r.sequences[0].stop_reason) for r in results]
    assert ends == [(6, "length"), (6, "length"), (0, "length"), (0, "length")]
    assert len(results[2].prompt.logprobs or []) == 96


def test_tokens_are_told_as_they_come() -> None:
    """The callback sees every token and logprob of every sample, in order."""
    seen: dict[int, list[tuple[int, float]]] = {}
    (result,) = run(
        job(
            num_samples=20,
            on_token=lambda index, token, logprob: seen.setdefault(index, []).append(
                (token, logprob)
            ),
        )
    )
    for index, sequence in enumerate(result.sequences):
        assert seen[index] == list(zip(sequence.tokens, sequence.logprobs, strict=True))


def test_cancelled_job_ends_where_it_stands() -> None:
    """The other jobs of the call go on."""
    count = 0

    def tell(*_: object) -> None:
        nonlocal count
        count += 1

    results = run(
        job(max_tokens=40, on_token=tell, cancelled=lambda: count >= 3), job(max_tokens=40, seed=2)
    )
    assert [len(result.sequences[0].tokens) for result in results] == [3, 40]


def test_error_in_a_callback_is_raised() -> None:
    """A callback's own error ends the call instead of being lost."""

    def fail(*_: object) -> None:
        raise RuntimeError("listener is gone")

    with pytest.raises(RuntimeError, match="listener is gone"):
        run(job(num_samples=20, on_token=fail))


def test_no_jobs_give_no_results() -> None:
    """An empty call is fine."""
    assert run() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": np.array([], np.int64)}, "prompt is empty"),
        ({"prompt": np.array([64])}, r"prompt\[0\] is 64, outside the vocabulary"),
        ({"prompt": np.zeros(97, np.int64)}, "prompt has 97 tokens, more than the context of 96"),
        ({"num_samples": 0}, "num_samples is 0"),
        ({"max_tokens": -1}, "max_tokens is -1"),
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -2}, "top_k is -2"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"topk_prompt_logprobs": -1}, "topk_prompt_logprobs is -1"),
        ({"topk_sample_logprobs": -1}, "topk_sample_logprobs is -1"),
        ({"prompt_alt_tokens_k": -1}, "prompt_alt_tokens_k is -1"),
        ({"prompt_logprobs_last_n": 1}, "last_n needs prompt_logprobs"),
        ({"prompt_logprobs_last_n": 4, "prompt_logprobs": True}, "is 4, expected 1 to 3"),
        (
            {"target_prompt_logprobs": np.zeros((4, 1), np.int64)},
            r"shape \(4, 1\), expected \(3, K\)",
        ),
        (
            {"target_prompt_logprobs": np.full((3, 2), 64)},
            r"\[0, 0\] is 64, outside the vocabulary",
        ),
        ({"stop_strings": ("",)}, "stop has an empty string"),
        ({"adapter": toy_trainer(toy_base()).snapshot()}, "adapter belongs to"),
    ],
)
def test_wrong_jobs_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each field is checked and named, by `check` and by `sample`."""
    bad = job(**changes)
    with pytest.raises(EngineError, match=message):
        Sampler(NANO, letters).check(bad)
    with pytest.raises(EngineError, match=message):
        run(job(), bad)


def test_stop_strings_need_a_tokenizer() -> None:
    """A sampler that cannot decode says so."""
    with pytest.raises(EngineError, match="stop strings need a tokenizer"):
        Sampler(NANO, None).check(job(stop_strings=("x",)))


def test_results_are_handed_over_as_they_end() -> None:
    """A short job does not wait for the long ones of its batch, and each is handed over once."""
    order: list[int] = []
    handed: dict[int, Any] = {}

    def done(index: int, result: Any) -> None:
        order.append(index)
        handed[index] = result

    jobs = [
        job(max_tokens=40, num_samples=3, stop_tokens=()),
        job(max_tokens=3, stop_tokens=()),
        job(max_tokens=0),
        job(max_tokens=20, num_samples=2, stop_tokens=()),
    ]
    results = Sampler(NANO, letters).sample(jobs, done)
    assert order == [2, 1, 3, 0]
    assert [handed[index] for index in range(4)] == results


def test_sampling_pauses_between_tokens() -> None:
    """What runs it may let others go first after each of them; the samples are the same."""
    from tinkex.local.engine.pauses import pausing

    pauses: list[int] = []
    expected = tokens(run(job(num_samples=200, max_tokens=10, stop_tokens=()))[0])
    with pausing(lambda: pauses.append(1)):
        found = tokens(run(job(num_samples=200, max_tokens=10, stop_tokens=()))[0])
    assert found == expected
    assert len(pauses) >= 10
