"""Reinforcement learning with a reward that can be checked: read a field out of a short text.

    python examples/rl_importance_sampling.py

Each step samples a group of answers to some questions, rewards those that are exactly right, and raises
the probability of what did better than its group (the advantages of GRPO, Shao et al. 2024). The loss
is importance_sampling: -sum of ratio x advantage over the sampled tokens. There is nothing to imitate
and no partial credit, so the reward cannot be had by anything but the right answer. It is measured on
questions that are not trained on; the curves are drawn to rl_importance_sampling.svg. About half a minute
on the local server.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_STEPS (20), TINKER_PROMPTS (12, a
step), TINKER_GROUP_SIZE (8, samples of each), TINKER_HELD_OUT (40 questions), TINKER_LEARNING_RATE,
TINKER_PLOT (rl_importance_sampling.svg).
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
from connection import base_model, connect, learning_rate, setting
from conversation import Exchange, Format
from drawing import Panel, Points, draw

from tinkex import AdamParams, Datum, SampleResponse, SamplingClient, TinkexError
from tinkex.losses import importance_sampling_datum

PROMPTS = max(1, setting("TINKER_PROMPTS", 12, int))
GROUP = max(1, setting("TINKER_GROUP_SIZE", 8, int))
HELD_OUT = max(1, setting("TINKER_HELD_OUT", 40, int))
EVALUATE_EVERY = 5

VALUES = {
    "town": ["Paris", "London", "Rome", "Berlin", "Madrid", "Tokyo", "Oslo", "Cairo"],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "colour": ["red", "blue", "green", "black", "white", "yellow"],
    "number": [str(number) for number in range(2, 100)],
}
TEXTS = [
    "{day}: {town}, {number} {colour} {thing}.",
    "On {day} {number} {colour} {thing} went to {town}.",
    "{number} {thing} for {town}. They are {colour}. Send them on {day}.",
]
THINGS = ["lamps", "chairs", "books", "coats", "cups", "hats", "clocks"]


def make_questions(count: int, seed: int) -> list[Exchange]:
    """Make distinct questions about texts, with their only right answers."""
    draw_from = random.Random(seed)
    made: dict[str, Exchange] = {}
    while len(made) < count:
        fields = {name: draw_from.choice(values) for name, values in VALUES.items()}
        text = draw_from.choice(TEXTS).format(**fields, thing=draw_from.choice(THINGS))
        asked = draw_from.choice(list(VALUES))
        question = f"Text: {text}\nExtract the {asked}."
        made[question] = Exchange(question, fields[asked])
    return list(made.values())


def reward(form: Format, tokens: list[int], wanted: str) -> float:
    """Return 1 for the right answer, and 0 for any other."""
    return float(form.text(tokens) == wanted)


def group_data(
    form: Format, one: Exchange, response: SampleResponse, scale: float
) -> tuple[list[Datum], list[float]]:
    """Return a datum for each sample, with its advantage over the group, and all rewards."""
    rewards = np.array([reward(form, each.tokens, one.answer) for each in response.sequences])
    # A group that is all right or all wrong says nothing about what is better.
    advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6) * scale
    prompt = form.question(one.question)
    data = [
        importance_sampling_datum(prompt, each.tokens, each.logprobs or [], float(advantage))
        for each, advantage in zip(response.sequences, advantages, strict=True)
        if each.tokens and advantage
    ]
    return data, list(rewards)


def evaluate(form: Format, sampler: SamplingClient, held_out: list[Exchange]) -> float:
    """Return how often held-out questions are answered rightly, as the model samples."""
    futures = [
        form.ask(sampler, one.question, 4, temperature=1.0, seed=number)
        for number, one in enumerate(held_out)
    ]
    rewards = [
        reward(form, each.tokens, one.answer)
        for one, future in zip(held_out, futures, strict=True)
        for each in future.result().sequences
    ]
    return sum(rewards) / len(rewards)


def collect(
    form: Format, sampler: SamplingClient, asked: list[Exchange], seed: int
) -> tuple[list[Datum], float]:
    """Sample groups of answers, and return what to train on and the mean reward."""
    futures = [
        form.ask(sampler, one.question, GROUP, temperature=1.0, seed=seed + number)
        for number, one in enumerate(asked)
    ]
    data: list[Datum] = []
    rewards: list[float] = []
    for one, future in zip(asked, futures, strict=True):
        more, got = group_data(form, one, future.result(), 1 / (len(asked) * GROUP))
        data += more
        rewards += got
    return data, float(np.mean(rewards))


def show_some(form: Format, sampler: SamplingClient, held_out: list[Exchange]) -> None:
    """Print the likeliest answers to a few questions."""
    print("Some held-out answers now:")
    answers = form.answers(sampler, [one.question for one in held_out[:3]])
    for said, one in zip(answers, held_out, strict=False):
        print(f"  {one.question!r}: {said!r}, wanted {one.answer!r}")


def main() -> None:
    """Train, evaluate now and then, and draw."""
    steps = max(1, setting("TINKER_STEPS", 20, int))
    plot = Path(setting("TINKER_PLOT", "rl_importance_sampling.svg", str))
    questions = make_questions(HELD_OUT + steps * PROMPTS, seed=3)
    held_out, seen = questions[:HELD_OUT], questions[HELD_OUT:]
    with connect() as service:
        model = base_model(service)
        adam = AdamParams(learning_rate=learning_rate(model, small=2e-3, large=4e-5))
        print(f"{model}: {steps} steps of {PROMPTS} questions x {GROUP} samples")
        training = service.create_lora_training_client(model, rank=16, seed=0)
        form = Format(training.get_tokenizer())
        rewards: list[float] = []
        tested: list[tuple[float, float]] = []
        for step in range(steps):
            sampler = training.save_weights_and_get_sampling_client()
            if step % EVALUATE_EVERY == 0:
                tested.append((step, evaluate(form, sampler, held_out)))
                print(f"  held-out questions right: {tested[-1][1]:.3f}")
            asked = seen[step * PROMPTS : (step + 1) * PROMPTS]
            data, reward_now = collect(form, sampler, asked, seed=1000 * step)
            rewards.append(reward_now)
            if data:
                training.train_step(data, "importance_sampling", adam)
            print(f"step {step + 1:3}/{steps}  reward {rewards[-1]:.3f}", flush=True)
        sampler = training.save_weights_and_get_sampling_client()
        tested.append((steps, evaluate(form, sampler, held_out)))
        show_some(form, sampler, held_out)
    print(f"Measured: held-out questions right, sampled: {tested[0][1]:.3f} -> {tested[-1][1]:.3f}")
    curves: dict[str, Points] = {f"trained on, {GROUP} samples each": rewards, "held out": tested}
    panel = Panel("share of right answers", "step", curves=curves, y_range=(0, 1))
    draw(plot, f"Reinforcement learning of {model}", [panel])
    print(f"Picture: {plot}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
