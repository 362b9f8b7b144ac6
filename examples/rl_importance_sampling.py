r"""Reinforcement learning with a verifiable reward: extract a field from a short text.

    python examples/rl_importance_sampling.py
    python examples/rl_importance_sampling.py questions.jsonl --model Qwen/Qwen3-8B --learning-rate 4e-5 \
        --base-url URL

This is the loop of `tinkex train --method grpo` and `tinkex.recipes.grpo`, reduced to GRPO (Shao et al.
2024) with importance sampling: sample a group of responses to each prompt, reward the correct ones, and
raise the probability of those that did better than their group. The reward has no partial credit, so
nothing but the correct response earns it. The mean reward is measured on questions that are not trained on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import tinkex
from tinkex import losses, recipes
from tinkex.recipes import Prompt


def reward(text: str, answer: str | None) -> float:
    """Return 1 for the correct response and 0 for any other."""
    return float(text.strip() == answer)


def sample(
    sampler: tinkex.SamplingClient, prompts: Sequence[Prompt], group: int, seed: int
) -> list[tuple[list[int], list[tinkex.SampledSequence], list[float]]]:
    """Return each prompt's tokens, its sampled responses and their rewards."""
    tokenizer = sampler.get_tokenizer()
    tokens = [
        tokenizer.apply_chat_template(one.messages or [], add_generation_prompt=True)
        for one in prompts
    ]
    params = tinkex.SamplingParams(
        max_tokens=24, temperature=1.0, stop=[tokenizer.eos_token_id], seed=seed
    )
    responses = dict(sampler.sample_many(map(tinkex.ModelInput.from_ints, tokens), group, params))
    groups = []
    for index, one in enumerate(prompts):
        sequences = responses[index].sequences
        texts = [tokenizer.decode(each.tokens, skip_special_tokens=True) for each in sequences]
        rewards = [reward(text, one.answer) for text in texts]
        groups.append((tokens[index], list(sequences), rewards))
    return groups


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/questions.jsonl"
    add("data", nargs="?", default=data, help="prompts with answers (data/questions.jsonl)")
    add("--model", default="tinkex/tiny-chat", help="base model (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=20, help="optimizer steps (%(default)s)")
    add("--batch-size", type=int, default=12, help="prompts per step (%(default)s)")
    add("--group-size", type=int, default=8, help="responses per prompt (%(default)s)")
    add("--learning-rate", type=float, default=3e-3, help="of Adam (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Sample, reward and train, and measure the reward on held-out prompts before and after."""
    args = parse_arguments()
    prompts = recipes.read_examples(args.data, form="prompts").examples
    seen, held_out = recipes.split(prompts, share=0.15, seed=0)
    batches = recipes.Batches(seen, args.batch_size, seed=0)
    adam = tinkex.AdamParams(learning_rate=args.learning_rate)

    with tinkex.ServiceClient(base_url=args.base_url) as service:
        training = service.create_lora_training_client(args.model, rank=16, seed=0)

        def validation_reward() -> float:
            sampler = training.save_weights_and_get_sampling_client()
            return float(np.mean([group[2] for group in sample(sampler, held_out, 4, seed=0)]))

        before = validation_reward()
        print(f"{args.model}: mean reward on {len(held_out)} held-out prompts: {before:.2f}")
        for step in range(args.steps):
            # On-policy: every batch is sampled with the newest weights.
            sampler = training.save_weights_and_get_sampling_client()
            groups = sample(sampler, batches[step], args.group_size, seed=step + 1)
            data = []
            for prompt, sequences, rewards in groups:
                # A group whose responses are all correct or all wrong has advantages of zero.
                advantages = (np.array(rewards) - np.mean(rewards)) / (np.std(rewards) + 1e-6)
                data += [
                    losses.importance_sampling_datum(
                        prompt,
                        one.tokens,
                        one.logprobs or [],
                        advantage / args.batch_size / args.group_size,
                    )
                    for one, advantage in zip(sequences, advantages, strict=True)
                    if advantage
                ]
            if data:
                training.train_step(data, "importance_sampling", adam)
            mean = np.mean([rewards for _, _, rewards in groups])
            print(f"  step {step + 1:3}/{args.steps}  mean reward {mean:.2f}", flush=True)
        after = validation_reward()
    print(f"Mean reward on held-out prompts: {before:.2f} -> {after:.2f}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
