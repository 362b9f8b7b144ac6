"""Sample episodes: groups of responses to prompts, over one turn or several, with tools."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, frozen

from tinkex.errors import DecodeError, ValidationError
from tinkex.recipes.examples import Prompt
from tinkex.recipes.folder import checkpoint_path
from tinkex.recipes.formats import ChatFormat
from tinkex.recipes.prepare import TokenizedPrompt, prompt_tokens
from tinkex.recipes.rewards import Episode, Message, Turn
from tinkex.types import ModelInput, SampledSequence, SamplingParams

if TYPE_CHECKING:
    from tinkex._core.futures import Future
    from tinkex.sampling import SamplingClient
    from tinkex.service import ServiceClient
    from tinkex.tokenizer import Tokenizer
    from tinkex.types import SampleResponse

Respond = Callable[[Episode], Sequence[Message] | None]
"""From an episode to the messages that follow (a tool's result, a user's next words); none ends it."""


class _Written(Protocol):
    """What knows how prompts are written: a `Prepared`."""

    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def chat(self) -> ChatFormat: ...
    @property
    def context_length(self) -> int | None: ...


@frozen
class SamplingSettings:
    """How episodes are sampled.

    Attributes:
        group_size: Episodes of each prompt.
        max_tokens: Most tokens of a response.
        temperature: Temperature of sampling; 0 takes the likeliest token each time.
        max_turns: Most responses in an episode.
        respond: What follows a response, if anything does.
        record: Whether the server keeps what ``stable_reinforce`` needs.
    """

    group_size: int = 1
    max_tokens: int = 256
    temperature: float = 1.0
    max_turns: int = 1
    respond: Respond | None = None
    record: bool = False


class Rollouts:
    """Episodes under way: the first turns are being sampled, `result` does the rest.

    >>> file = read_examples("prompts.jsonl", form="prompts")
    >>> recipe = GrpoRecipe(base_model="Qwen/Qwen3-8B", rewards={"exact": 1.0})
    >>> prepared = prepare(recipe, file, tokenizer)
    >>> settings = SamplingSettings(group_size=4, max_tokens=16)
    >>> episodes = Rollouts(sampler, prepared, prepared.batches[0], settings, seed="0/1").result()

    Args:
        sampler: The weights to sample from.
        written: How prompts are written.
        prompts: The prompts.
        settings: How episodes are sampled.
        seed: Makes the sampling repeatable, as far as the server does.
    """

    def __init__(
        self,
        sampler: SamplingClient,
        written: _Written,
        prompts: Sequence[TokenizedPrompt],
        settings: SamplingSettings,
        seed: str,
    ) -> None:
        self._sampler = sampler
        self._written = written
        self._settings = settings
        self._seed = seed
        # Stop sequences by template are looked up once, and only where templates are used.
        self._stops: Any = written.chat.stops() or None
        self._first = [
            (one, self._sample(one.tokens, settings.group_size, f"{one.line}")) for one in prompts
        ]

    def result(self) -> list[Episode]:
        """Wait for all episodes: those of a prompt stand together, in the order of the prompts."""
        episodes = [
            self._begun(one.prompt, one.tokens, sequence)
            for one, future in self._first
            for sequence in future.result().sequences
        ]
        for turn in range(1, self._settings.max_turns if self._settings.respond else 1):
            waiting = list(self._continued(episodes, turn))
            for index, episode, tokens, future in waiting:
                [sequence] = future.result().sequences
                episodes[index] = self._extended(episode, tokens, sequence)
        return episodes

    def _continued(
        self, episodes: Sequence[Episode], turn: int
    ) -> Iterator[tuple[int, Episode, list[int], Future[SampleResponse]]]:
        """Begin the next turn of each episode that has one."""
        for index, episode in enumerate(episodes):
            if len(episode.turns) < turn or self._settings.respond is None:
                continue
            if not (more := self._settings.respond(episode)):
                continue
            if episode.prompt.messages is None:
                raise ValidationError(
                    "is a text; an episode of several turns begins with messages",
                    path=f"line {episode.prompt.line}",
                )
            following = evolve(episode, messages=[*episode.messages, *more])
            asked = evolve(episode.prompt, messages=following.messages)
            tokens = prompt_tokens(self._written.tokenizer, self._written.chat, asked)
            if self._room(tokens) > 0:
                yield index, following, tokens, self._sample(tokens, 1, f"{index}/{turn}")

    def _room(self, tokens: Sequence[int]) -> int:
        room = (self._written.context_length or self._settings.max_tokens + len(tokens)) - len(
            tokens
        )
        return min(self._settings.max_tokens, room)

    def _sample(self, tokens: Sequence[int], count: int, place: str) -> Future[SampleResponse]:
        params = SamplingParams(
            max_tokens=self._room(tokens),
            temperature=self._settings.temperature,
            stop=self._stops,
            seed=derived_seed(f"{self._seed}/{place}"),
        )
        more: dict[str, Any] = {"record_stability_info": True} if self._settings.record else {}
        return self._sampler.sample(ModelInput.from_ints(tokens), count, params, **more)

    def _begun(self, prompt: Prompt, tokens: Sequence[int], sequence: SampledSequence) -> Episode:
        return self._extended(
            Episode(prompt, list(prompt.messages or ()), (), ""), tokens, sequence
        )

    def _extended(
        self, episode: Episode, tokens: Sequence[int], sequence: SampledSequence
    ) -> Episode:
        text = self._written.tokenizer.decode(sequence.tokens, skip_special_tokens=True).strip()
        logprobs = sequence.logprobs or ()
        turn = Turn(tokens, sequence.tokens, logprobs, sequence.sequence_id)
        return evolve(
            episode,
            messages=[*episode.messages, {"role": "assistant", "content": text}],
            turns=[*episode.turns, turn],
            text=text,
            stop_reason=sequence.stop_reason,
        )


def sampler_of(service: ServiceClient, model: str) -> SamplingClient:
    """Return a sampler of a base model, of the weights at a path, or of those of a run's folder."""
    model = checkpoint_path(model)
    if model.startswith("tinker://"):
        return service.create_sampling_client(model_path=model)
    return service.create_sampling_client(base_model=model)


def derived_seed(text: str) -> int:
    """Return a seed that a text fixes."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) >> 1


def token_logprobs(sampler: SamplingClient, turns: Sequence[Turn]) -> list[list[float]]:
    """Return the log probability of each sampled token under other weights."""
    futures = [
        sampler.compute_logprobs(ModelInput.from_ints([*turn.prompt, *turn.tokens]))
        for turn in turns
    ]
    found = []
    for turn, future in zip(turns, futures, strict=True):
        values = future.result()[len(turn.prompt) :]
        if len(values) != len(turn.tokens) or None in values:
            raise DecodeError("the server gave no log probability for some tokens of a text")
        found.append([float(value) for value in values if value is not None])
    return found


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each number."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in (rows[0] if rows else ())}
