"""Evaluate models on a file: compare responses with reference answers, or score them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from tinkex.errors import DecodeError, ValidationError
from tinkex.recipes.batches import shuffled
from tinkex.recipes.formats import ChatKind
from tinkex.recipes.methods import context_length, tokenizer_of
from tinkex.recipes.prepare import Prepared, prepare
from tinkex.recipes.reading import read_examples
from tinkex.recipes.recipe import GrpoRecipe
from tinkex.recipes.rewards import Rewards, scored, weighted
from tinkex.recipes.rollouts import Rollouts, SamplingSettings, sampler_of
from tinkex.recipes.sources import Data
from tinkex.recipes.tokenizing import tokenize
from tinkex.types import ModelInput

if TYPE_CHECKING:
    from tinkex.sampling import SamplingClient
    from tinkex.service import ServiceClient

LOG_LIKELIHOOD = "loglikelihood"
# Prompts whose samples are in flight at a time; their responses are kept, their tokens are not.
_AT_ONCE = 512


@frozen
class Score:
    """The mean of one score over all prompts.

    Attributes:
        name: The score's name.
        mean: Its mean.
        low: The lower end of the 95% interval of the mean.
        high: The upper end.
    """

    name: str
    mean: float
    low: float
    high: float


@frozen
class ModelScores:
    """What one model scored.

    Attributes:
        model: The model, as it was named.
        count: The number of responses.
        scores: A score for each metric.
        responses: For each response its line, text and scores.
    """

    model: str
    count: int
    scores: Sequence[Score]
    responses: Sequence[dict[str, Any]] = field(repr=False)

    def __getitem__(self, name: str) -> float:
        """Return the mean of a score."""
        return next(one.mean for one in self.scores if one.name == name)


def evaluate(
    service: ServiceClient,
    models: str | Sequence[str],
    data: Data,
    metrics: Rewards = "exact",
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
    num_samples: int = 1,
    seed: int = 0,
    limit: int | None = None,
    columns: dict[str, str] | None = None,
    split: str | None = None,
    chat: ChatKind = "auto",
    tokenizer: str | None = None,
) -> list[ModelScores]:
    """Score models on the prompts of a file, one after the other.

    >>> from tinkex import recipes
    >>> [base, tuned] = recipes.evaluate(
    ...     service, ["Qwen/Qwen3-8B", path], "orders.jsonl", ["json", "loglikelihood"]
    ... )
    >>> base["json"] <= tuned["json"]
    True

    Args:
        service: The way to the server.
        models: Base models, or paths of weights to sample from.
        data: Prompts with reference answers; whatever `read_examples` takes.
        metrics: "exact", "contains", "regex", "json"; "loglikelihood", the mean log probability of
            a token of the reference answer, in nats; a function of an `Episode`; "module:function".
        max_tokens: Most tokens of a response.
        temperature: 0 takes the likeliest token each time.
        num_samples: Responses to each prompt.
        seed: Makes sampling repeatable, and fixes which prompts `limit` takes.
        limit: Most prompts; None takes all.
        columns: Which column is what; see `read_examples`.
        split: The split of a data set.
        chat: "auto", "template" or "plain"; see `chat_format`.
        tokenizer: Name or path of the tokenizer, if it is not the models' own.

    Raises:
        ValidationError: An argument or a row is invalid.
        TinkexError: The server refused.
    """
    named = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
    has_likelihood = LOG_LIKELIHOOD in named
    rest = [one for one in named if one != LOG_LIKELIHOOD]
    functions = weighted(rest) if rest else ()
    file = read_examples(data, columns=columns, split=split, form="prompts")
    if limit is not None and limit < len(file.examples):
        chosen = sorted(shuffled(len(file.examples), seed, "limit")[:limit])
        file = evolve(file, examples=[file.examples[one] for one in chosen])
    if has_likelihood and (missing := [one.line for one in file.examples if one.answer is None]):
        raise ValidationError(
            f"{file.unit} {missing[0]} has no reference answer, which loglikelihood needs",
            path=file.name,
        )
    settings = SamplingSettings(
        group_size=num_samples, max_tokens=max_tokens, temperature=temperature
    )
    found = []
    for model in [models] if isinstance(models, str) else models:
        sampler = sampler_of(service, model)
        prepared = written_for(service, sampler, file, chat=chat, tokenizer=tokenizer)
        rows = _responses(sampler, prepared, settings, functions, seed) if functions else []
        scores = [_score(one.name, [row[one.name] for row in rows]) for one in functions]
        if has_likelihood:
            scores.append(_score(LOG_LIKELIHOOD, log_likelihoods(sampler, prepared, file)))
        found.append(ModelScores(model, len(rows) or len(file.examples), scores, rows))
    return found


def written_for(
    service: ServiceClient,
    sampler: SamplingClient,
    file: Any,
    *,
    chat: ChatKind = "auto",
    tokenizer: str | None = None,
) -> Prepared:
    """Return the prompts of a file as a model reads them."""
    base = sampler.get_base_model()
    recipe = GrpoRecipe(base_model=base, held_out=0.0, chat_format=chat)
    return prepare(
        recipe,
        file,
        tokenizer_of(service, base, tokenizer),
        context_length=context_length(service, base),
    )


def _responses(
    sampler: SamplingClient,
    prepared: Prepared,
    settings: SamplingSettings,
    functions: Sequence[Any],
    seed: int,
) -> list[dict[str, Any]]:
    prompts = prepared.batches.examples
    parts = [prompts[at : at + _AT_ONCE] for at in range(0, len(prompts), _AT_ONCE)]
    rows = []
    for part in parts:
        for one in Rollouts(sampler, prepared, part, settings, f"{seed}/evaluate").result():
            values = scored(functions, one)
            rows.append({"line": one.prompt.line, "text": one.text, "answer": one.answer, **values})
    return rows


def log_likelihoods(sampler: SamplingClient, prepared: Prepared, file: Any) -> list[float]:
    """Return the mean log probability of a token of each reference answer, in nats."""
    answered = [one.answered(str(one.answer)) for one in file.examples]
    examples = tokenize(
        answered, prepared.tokenizer, prepared.chat, name=file.name, unit=file.unit
    ).examples
    futures = [sampler.compute_logprobs(ModelInput.from_ints(one.tokens)) for one in examples]
    found = []
    for one, future in zip(examples, futures, strict=True):
        values = [
            value
            for value, weight in zip(future.result()[1:], one.weights[1:], strict=True)
            if weight
        ]
        numbers = [value for value in values if value is not None]
        if not numbers:
            raise DecodeError("the server gave no log probabilities of a prompt")
        found.append(sum(numbers) / len(numbers))
    return found


def _score(name: str, values: Sequence[float]) -> Score:
    """Return the mean with its 95% interval: Wilson's (1927) for shares, else by the normal law."""
    count, z = len(values), 1.96
    mean = sum(values) / count
    if all(value in (0.0, 1.0) for value in values):
        middle = (mean + z**2 / (2 * count)) / (1 + z**2 / count)
        half = z * math.sqrt(mean * (1 - mean) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
        return Score(name, mean, max(0.0, middle - half), min(1.0, middle + half))
    variance = sum((value - mean) ** 2 for value in values) / max(1, count - 1)
    half = z * math.sqrt(variance / count)
    return Score(name, mean, mean - half, mean + half)
