"""Make preference data from samples: sample, rank by a reward, and write a file that DPO reads.

    python examples/preferences_from_samples.py
    python examples/preferences_from_samples.py questions.jsonl --model Qwen/Qwen3-8B --base-url URL

Several responses to each prompt are sampled and scored by a reward that can be checked. The best and the
worst become a pair; prompts whose responses all earn the same give none. The file has a line
{"prompt": [...], "chosen": [...], "rejected": [...]} per pair, for `tinkex train --method dpo`,
dpo_preferences.py and other libraries. To show what it is worth, `tinkex.recipes.dpo` then trains on it,
and the reward is measured on prompts that gave no pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tinkex
from tinkex import recipes
from tinkex.recipes import Prompt


def reward(text: str, answer: str | None) -> float:
    """Return 1 for the correct response and 0 for any other; replace it by your own."""
    return float(text.strip() == answer)


def sample(
    sampler: tinkex.SamplingClient, prompts: Sequence[Prompt], count: int
) -> list[list[str]]:
    """Return several responses to each prompt."""
    tokenizer = sampler.get_tokenizer()
    inputs = [
        tinkex.ModelInput.from_ints(
            tokenizer.apply_chat_template(one.messages or [], add_generation_prompt=True)
        )
        for one in prompts
    ]
    params = tinkex.SamplingParams(
        max_tokens=24, temperature=1.0, stop=[tokenizer.eos_token_id], seed=0
    )
    responses = dict(sampler.sample_many(inputs, count, params))
    return [
        [
            tokenizer.decode(one.tokens, skip_special_tokens=True)
            for one in responses[index].sequences
        ]
        for index in range(len(prompts))
    ]


def write_pairs(file: Path, prompts: Sequence[Prompt], samples: Sequence[Sequence[str]]) -> int:
    """Write the pairs of each prompt's responses, the best with the worst; return their number."""
    lines = []
    for prompt, texts in zip(prompts, samples, strict=True):
        ranked = sorted(dict.fromkeys(texts), key=lambda text: reward(text, prompt.answer))
        if reward(ranked[0], prompt.answer) < reward(ranked[-1], prompt.answer):
            pair = {"rejected": ranked[0], "chosen": ranked[-1]}
            sides = {name: [{"role": "assistant", "content": text}] for name, text in pair.items()}
            lines.append(json.dumps({"prompt": prompt.messages, **sides}) + "\n")
    file.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def mean_reward(prompts: Sequence[Prompt], samples: Sequence[Sequence[str]]) -> float:
    """Return the mean reward of all samples."""
    rewards = [
        reward(text, prompt.answer)
        for prompt, texts in zip(prompts, samples, strict=True)
        for text in texts
    ]
    return sum(rewards) / len(rewards)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/questions.jsonl"
    add("data", nargs="?", default=data, help="prompts with answers (data/questions.jsonl)")
    add("--output", type=Path, default=Path("pairs.jsonl"), help="file of pairs (%(default)s)")
    add("--samples", type=int, default=8, help="responses per prompt (%(default)s)")
    add("--model", default="tinkex/tiny-chat", help="base model (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=24, help="steps of DPO on the pairs; 0 for none (%(default)s)")
    add("--learning-rate", type=float, default=5e-4, help="of DPO (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Sample, write the pairs, train on them, and compare the reward of held-out prompts."""
    args = parse_arguments()
    prompts = recipes.read_examples(args.data, form="prompts").examples
    seen, held_out = recipes.split(prompts, share=0.2, seed=0)
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        sampler = service.create_sampling_client(base_model=args.model)
        count = write_pairs(args.output, seen, sample(sampler, seen, args.samples))
        print(
            f"{args.output}: {count} pairs from {len(seen)} prompts with {args.samples} samples each"
        )
        print(f"  {args.output.read_text(encoding='utf-8').partition(chr(10))[0]}")
        if not count or not args.steps:
            return
        before = mean_reward(held_out, sample(sampler, held_out, 4))
        with tempfile.TemporaryDirectory() as folder:
            outcome = recipes.dpo(
                args.output, base_model=args.model, steps=args.steps, batch_size=16, held_out=0,
                learning_rate=args.learning_rate, folder=Path(folder) / "run", service=service,
            )  # fmt: skip
        trained = service.create_sampling_client(outcome.sampler_path)
        after = mean_reward(held_out, sample(trained, held_out, 4))
    print(f"Mean reward on {len(held_out)} held-out prompts: {before:.2f} -> {after:.2f}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
