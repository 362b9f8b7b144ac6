"""Reinforcement learning with the importance_sampling loss: teach the model to write a letter.

Each step samples some answers to a few prompts, rewards each by the share of the letter among its
letters, and raises the probability of what did better than its group. The local server does it in
about a minute; the reward is drawn to rl_importance_sampling.svg. Towards the end the model writes
little but the letter: it has found what the reward asks for, which is not what anybody wants to read.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from connection import base_model, connect, setting

import tinkex
from tinkex import AdamParams, Datum, ModelInput, SamplingParams

LETTER = setting("TINKER_LETTER", "e", str)
STEPS = setting("TINKER_STEPS", 30, int)
GROUP = setting("TINKER_GROUP_SIZE", 16, int)
TOKENS = setting("TINKER_MAX_TOKENS", 24, int)
LEARNING_RATE = setting("TINKER_LEARNING_RATE", 2e-3, float)
PLOT = Path(setting("TINKER_PLOT", "rl_importance_sampling.svg", str))
PROMPTS = [
    "The cat", "In the morning", "My friend", "A small house",
    "The sea", "When the rain", "She said", "One day",
]  # fmt: skip


def reward(text: str) -> float:
    """Return the share of the letter among the letters of a text."""
    letters = [character for character in text.lower() if character.isalpha()]
    return letters.count(LETTER) / max(1, len(letters))


def group_data(
    prompt: list[int], sequences: list[tinkex.SampledSequence], rewards: np.ndarray
) -> list[Datum]:
    """Return one datum for each sample, with its advantage over the group at every sampled token."""
    data = []
    for sequence, advantage in zip(sequences, rewards - rewards.mean(), strict=True):
        tokens = [int(token) for token in sequence.tokens]
        if not tokens:
            continue
        before = np.zeros(len(prompt) - 1, np.float32)
        inputs = {
            "target_tokens": np.array([*prompt[1:], *tokens], np.int64),
            "logprobs": np.concatenate([before, np.asarray(sequence.logprobs, np.float32)]),
            "advantages": np.concatenate(
                [before, np.full(len(tokens), advantage / (len(PROMPTS) * GROUP), np.float32)]
            ),
        }
        data.append(Datum(ModelInput.from_ints([*prompt, *tokens[:-1]]), inputs))
    return data


def plot(rewards: list[float], file: Path) -> None:
    """Draw the mean reward of each step as an SVG."""
    width, height, top = 640, 300, max(rewards) * 1.1 or 1.0
    across = (width - 80) / max(1, len(rewards) - 1)
    points = " ".join(
        f"{60 + step * across:.1f},{height - 40 - value / top * (height - 60):.1f}"
        for step, value in enumerate(rewards)
    )
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
        f'<rect width="{width}" height="{height}" fill="white"/>'
        f'<path d="M60 20V{height - 40}H{width - 20}" fill="none" stroke="#888"/>'
        f'<polyline points="{points}" fill="none" stroke="#0072b2" stroke-width="2"/>'
        f'<text x="54" y="24" text-anchor="end">{top:.2f}</text>'
        f'<text x="54" y="{height - 36}" text-anchor="end">0</text>'
        f'<text x="{width / 2}" y="{height - 12}" text-anchor="middle">step (0 to {len(rewards) - 1})</text>'
        f'<text x="66" y="16">mean reward: share of the letter {LETTER!r}</text></svg>\n',
        encoding="utf-8",
    )


def main() -> None:
    """Train, print the reward of each step, and draw it."""
    if len(LETTER) != 1 or not (LETTER.isascii() and LETTER.isalpha()):
        sys.exit("error: TINKER_LETTER must be one letter")
    with connect() as service:
        name = base_model(service)
        print(f"Teaching {name} to write the letter {LETTER!r}.")
        training = service.create_lora_training_client(name, rank=16, seed=0)
        tokenizer = training.get_tokenizer()
        prompts = [list(tokenizer.encode(text)) for text in PROMPTS]
        rewards: list[float] = []
        best: list[tuple[float, str]] = []
        for step in range(STEPS):
            sampler = training.save_weights_and_get_sampling_client()
            asked = [
                sampler.sample(
                    ModelInput.from_ints(prompt),
                    num_samples=GROUP,
                    sampling_params=SamplingParams(max_tokens=TOKENS, seed=1000 * step + index),
                )
                for index, prompt in enumerate(prompts)
            ]
            data: list[Datum] = []
            found: list[float] = []
            for prompt, future in zip(prompts, asked, strict=True):
                sequences = future.result().sequences
                texts = [tokenizer.decode(list(one.tokens)) for one in sequences]
                scores = np.array([reward(text) for text in texts])
                found.extend(scores)
                top = int(scores.argmax())
                best.append((float(scores[top]), f"{tokenizer.decode(prompt)}|{texts[top]}"))
                data.extend(group_data(prompt, sequences, scores))
            training.train_step(
                data, "importance_sampling", AdamParams(learning_rate=LEARNING_RATE)
            )
            rewards.append(float(np.mean(found)))
            print(f"step {step:2d}  reward {rewards[-1]:.3f}")
        print(f"Reward {rewards[0]:.3f} at the start, {rewards[-1]:.3f} at the end.")
        # What the reward likes best shows what it leads to.
        for when, group in (("start", best[: len(PROMPTS)]), ("end", best[-len(PROMPTS) :])):
            print(f"Its best at the {when}: {max(group)[1]!r} ({max(group)[0]:.2f})")
        print("Nothing in this reward asks for sense, so the model gives that up: reward hacking.")
        plot(rewards, PLOT)
        print(f"Plot: {PLOT}")


if __name__ == "__main__":
    main()
