"""Multi-turn reinforcement learning with a tool: look up a price, then answer with it.

    python examples/rl_tool_use.py
    python examples/rl_tool_use.py --model Qwen/Qwen3-8B --learning-rate 4e-5 --base-url URL

Each prompt is a short text, and the price of what it is about is only in a table. A response that is the
name of an entry calls the tool, which replies with the entry; any other response is the final answer and
ends the episode. Only the correct price is rewarded, and each prompt has a table of its own, so a model
that guesses or remembers earns nothing. One advantage applies to all tokens that the model
sampled in an episode; what the tool says is context. `tinkex.recipes.grpo` does the same with `respond`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tinkex
from tinkex import losses, recipes
from tinkex.recipes import Prompt

MAX_TURNS = 3


@dataclass
class Episode:
    """One attempt at a prompt: the conversation so far, and the tokens of each of its turns."""

    prompt: Prompt
    messages: list[Any]
    turns: list[tuple[list[int], tinkex.SampledSequence]] = field(default_factory=list)
    reward: float = 0.0
    is_over: bool = False

    def read(self, text: str) -> None:
        """Take a response: call the tool if it is the name of an entry, else end the episode."""
        prices = self.prompt.row["prices"]
        self.messages.append({"role": "assistant", "content": text})
        if text in prices and len(self.turns) < MAX_TURNS:
            # Models that know the role "tool" get their results in it.
            result = f"{text}: {prices[text]}\nWhat is the price?"
            self.messages.append({"role": "user", "content": result})
        else:
            self.reward = float(text == self.prompt.answer)
            self.is_over = True


def play(sampler: tinkex.SamplingClient, prompts: Sequence[Prompt], seed: int) -> list[Episode]:
    """Sample an episode of each prompt; a turn of all of them at a time."""
    tokenizer = sampler.get_tokenizer()
    episodes = [Episode(one, list(one.messages or [])) for one in prompts]
    while running := [one for one in episodes if not one.is_over]:
        inputs = [
            tokenizer.apply_chat_template(one.messages, add_generation_prompt=True)
            for one in running
        ]
        futures = []
        for tokens in inputs:
            seed += 1  # the same prompt and seed would give the same response
            params = tinkex.SamplingParams(
                max_tokens=16, temperature=1.0, stop=[tokenizer.eos_token_id], seed=seed
            )
            futures.append(sampler.sample(tinkex.ModelInput.from_ints(tokens), 1, params))
        for one, tokens, future in zip(running, inputs, futures, strict=True):
            [sequence] = future.result().sequences
            one.turns.append((tokens, sequence))
            one.read(tokenizer.decode(sequence.tokens, skip_special_tokens=True).strip())
    return episodes


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/prices.jsonl"
    add("data", nargs="?", default=data, help="prompts, prices and answers (data/prices.jsonl)")
    add("--model", default="tinkex/tiny-chat", help="base model (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=12, help="optimizer steps (%(default)s)")
    add("--batch-size", type=int, default=8, help="prompts per step (%(default)s)")
    add("--group-size", type=int, default=8, help="episodes per prompt (%(default)s)")
    add("--learning-rate", type=float, default=3e-3, help="falls linearly to zero (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Play, reward and train, and measure the reward on held-out prompts before and after."""
    args = parse_arguments()
    prompts = recipes.read_examples(args.data, form="prompts").examples
    seen, held_out = recipes.split(prompts, share=0.2, seed=0)
    batches = recipes.Batches(seen, args.batch_size, seed=0)
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        training = service.create_lora_training_client(args.model, rank=16, seed=0)

        def validate() -> float:
            sampler = training.save_weights_and_get_sampling_client()
            episodes = play(sampler, held_out * 2, seed=0)
            for message in episodes[0].messages:
                print(f"    {message['role']}: {message['content']!r}")
            calls = np.mean([len(one.turns) > 1 for one in episodes])
            rewards = float(np.mean([one.reward for one in episodes]))
            print(
                f"  {len(held_out)} held-out prompts: reward {rewards:.2f}, tool called {calls:.0%}"
            )
            return rewards

        before = validate()
        for step in range(args.steps):
            sampler = training.save_weights_and_get_sampling_client()
            groups = [one for one in batches[step] for _ in range(args.group_size)]
            episodes = play(sampler, groups, seed=1000 * (step + 1))
            rewards = np.array([one.reward for one in episodes]).reshape(-1, args.group_size)
            spread = rewards.std(axis=1, keepdims=True) + 1e-6
            advantages = (rewards - rewards.mean(axis=1, keepdims=True)) / spread / rewards.size
            data = [
                losses.importance_sampling_datum(prompt, one.tokens, one.logprobs or [], advantage)
                for episode, advantage in zip(episodes, advantages.ravel(), strict=True)
                for prompt, one in episode.turns
                if advantage
            ]
            rate = args.learning_rate * (1 - step / args.steps)
            if data:
                adam = tinkex.AdamParams(learning_rate=rate)
                training.train_step(data, "importance_sampling", adam)
            print(f"  step {step + 1:3}/{args.steps}  mean reward {rewards.mean():.2f}", flush=True)
        after = validate()
    print(f"Mean reward on held-out prompts: {before:.2f} -> {after:.2f}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
