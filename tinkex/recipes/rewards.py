"""Rewards: what a response is worth, by name or as a function."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.recipes.examples import Prompt

Message = Mapping[str, Any]


@frozen(eq=False)
class Turn:
    """What a model read and wrote once.

    Attributes:
        prompt: Token ids that it read.
        tokens: Token ids that it sampled.
        logprobs: The log probability of each of them; empty if the server gives none.
        sequence_id: The server's name of the sequence.
    """

    prompt: Sequence[int]
    tokens: Sequence[int]
    logprobs: Sequence[float]
    sequence_id: str | None = None


@frozen(eq=False)
class Episode:
    """One attempt at a prompt.

    Attributes:
        prompt: The prompt.
        messages: The conversation up to now, with the model's responses.
        turns: The same as tokens, one for each response.
        text: The last response, without the token that ends it.
        stop_reason: Why it ended: "stop" or "length".
    """

    prompt: Prompt
    messages: Sequence[Message]
    turns: Sequence[Turn]
    text: str
    stop_reason: str = "stop"

    @property
    def answer(self) -> str | None:
        """Return the reference answer, if the data has one."""
        return self.prompt.answer

    @property
    def row(self) -> Mapping[str, Any]:
        """Return the row of the data, with all its columns."""
        return self.prompt.row


Reward = Callable[[Episode], float]
"""From an episode to what it is worth."""
Rewards = Reward | str | Mapping[Any, float] | Iterable[Any]
"""A function or a name; or several, with weights if they are the keys of a mapping."""


def exact(episode: Episode) -> float:
    """Return 1 for the reference answer, up to white space around it, and 0 for any other."""
    return float(episode.text.strip() == _answer(episode).strip())


def contains(episode: Episode) -> float:
    """Return 1 for a response that contains the reference answer."""
    return float(_answer(episode).strip() in episode.text)


def regex(episode: Episode) -> float:
    """Return 1 for a response in which the reference answer, a regular expression, is found."""
    try:
        return float(re.search(_answer(episode), episode.text) is not None)
    except re.error as error:
        raise ValidationError(
            f"{_answer(episode)!r:.60} is no regular expression: {error}",
            path=f"line {episode.prompt.line}",
        ) from None


def json_equal(episode: Episode) -> float:
    """Return 1 for the JSON value that the reference answer is, however it is written."""
    try:
        return float(json.loads(episode.text) == json.loads(_answer(episode)))
    except ValueError:
        return 0.0


NAMED: Mapping[str, Reward] = {
    "exact": exact,
    "contains": contains,
    "regex": regex,
    "json": json_equal,
}


def _answer(episode: Episode) -> str:
    if episode.answer is None:
        raise ValidationError(
            "has no reference answer to compare with: give each row an answer, a completion or an "
            "assistant's message, or use a reward of your own",
            path=f"line {episode.prompt.line}",
        )
    return episode.answer


@frozen
class WeightedReward:
    """A reward with its name and its weight in the sum."""

    name: str
    function: Reward = field(repr=False)
    weight: float = 1.0


def weighted(rewards: Rewards) -> tuple[WeightedReward, ...]:
    """Return rewards with names and weights.

    >>> [(one.name, one.weight) for one in weighted({"exact": 1.0, "contains": 0.2})]
    [('exact', 1.0), ('contains', 0.2)]

    Args:
        rewards: A function; "exact", "contains", "regex" or "json"; "module:function"; or several,
            with weights if they are the keys of a mapping.

    Raises:
        ValidationError: There is none of that name, or two have the same.
    """
    if isinstance(rewards, str) or callable(rewards):
        pairs: list[tuple[Any, float]] = [(rewards, 1.0)]
    elif isinstance(rewards, Mapping):
        pairs = list(rewards.items())
    else:
        pairs = [(one, 1.0) for one in rewards]
    found = []
    for one, weight in pairs:
        if (
            isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not math.isfinite(weight)
        ):
            raise ValidationError(f"must be a number, not {weight!r:.40}", path=f"rewards[{one!r}]")
        name, function = _named(one)
        found.append(WeightedReward(name, function, float(weight)))
    if not found:
        raise ValidationError("there is none; name one, such as 'exact'", path="rewards")
    if len({one.name for one in found}) < len(found):
        raise ValidationError("two have the same name", path="rewards")
    return tuple(found)


def _named(one: Any) -> tuple[str, Reward]:
    if callable(one):
        name = getattr(one, "__qualname__", type(one).__name__)
        return next((k for k, v in NAMED.items() if v is one), name), one
    if not isinstance(one, str):
        raise ValidationError(f"must be a function or a name, not {one!r:.60}", path="rewards")
    return one, NAMED[one] if one in NAMED else load_function(one)


def load_function(name: str) -> Callable[..., Any]:
    """Return the function that "module:function" names; modules in the current folder are found.

    Raises:
        ValidationError: There is no such module or function.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValidationError(
            f"{name!r:.60} is none of {', '.join(NAMED)}; name a function of your own as "
            "module:function",
            path="reward",
        )
    here = os.getcwd()  # noqa: PTH109 - an entry of sys.path is a string
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValidationError(f"{name!r} cannot be imported: {error}", path="reward") from error
    if not callable(found):
        raise ValidationError(f"{name!r} is no function", path="reward")
    return found  # type: ignore[no-any-return]


def scored(rewards: Sequence[WeightedReward], episode: Episode) -> dict[str, float]:
    """Return what each reward gives an episode.

    Raises:
        ValidationError: A reward gave no finite number.
    """
    found = {}
    for one in rewards:
        value = one.function(episode)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValidationError(
                f"gave {value!r:.60} for line {episode.prompt.line}; a reward is a finite number",
                path=f"reward {one.name}",
            )
        found[one.name] = number
    return found


def total(rewards: Sequence[WeightedReward], values: Mapping[str, float]) -> float:
    """Return the weighted sum of what rewards gave."""
    return sum(one.weight * values[one.name] for one in rewards)
