"""Evaluate a checkpoint against its base model: accuracy with intervals, likelihood, and the mistakes.

    python examples/evaluate_checkpoint.py
    python examples/evaluate_checkpoint.py tinker://.../sampler_weights/final --data test.jsonl --base-url URL

Both models respond to held-out lines of the file. Printed are the share of correct responses with its
95 % interval (Wilson 1927), the perplexity of the expected responses, which also measures
progress while no response is correct yet, and the checkpoint's mistakes. Without a checkpoint, one is
trained first, too briefly to be perfect. `tinkex evaluate` does this with more metrics.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tinkex
from tinkex import recipes
from tinkex.recipes import Prompt


def train_briefly(
    service: tinkex.ServiceClient, model: str, prompts: Sequence[Any], steps: int
) -> str:
    """Train a few steps, and return the path of the weights."""
    training = service.create_lora_training_client(model, rank=16, seed=0)
    examples = [one.answered(one.answer) for one in prompts]
    data = [one.datum() for one in recipes.tokenize(examples, training.get_tokenizer()).examples]
    batches = recipes.Batches(data, batch_size=16, seed=0)
    for step in range(steps):
        adam = tinkex.AdamParams(learning_rate=4e-3)
        training.train_step(batches[step], "cross_entropy", adam)
    return training.save_weights_for_sampler("to-evaluate", ttl_seconds=86_400).result().path or ""


def respond(sampler: tinkex.SamplingClient, prompts: Sequence[Prompt]) -> list[str]:
    """Return the likeliest response to each prompt."""
    tokenizer = sampler.get_tokenizer()
    inputs = [
        tinkex.ModelInput.from_ints(
            tokenizer.apply_chat_template(one.messages or [], add_generation_prompt=True)
        )
        for one in prompts
    ]
    params = tinkex.SamplingParams(max_tokens=64, temperature=0, stop=[tokenizer.eos_token_id])
    responses = dict(sampler.sample_many(inputs, 1, params))
    return [
        tokenizer.decode(responses[index].sequences[0].tokens, skip_special_tokens=True)
        for index in range(len(prompts))
    ]


def perplexity(sampler: tinkex.SamplingClient, prompts: Sequence[Any]) -> float:
    """Return exp of the mean negative log probability of the expected responses' tokens."""
    examples = [one.answered(one.answer) for one in prompts]
    tokenized = recipes.tokenize(examples, sampler.get_tokenizer()).examples
    futures = [
        sampler.compute_logprobs(tinkex.ModelInput.from_ints(one.tokens)) for one in tokenized
    ]
    logprobs = [
        logprob
        for one, future in zip(tokenized, futures, strict=True)
        for logprob, weight in zip(future.result(), one.weights, strict=True)
        if weight and logprob is not None
    ]
    return math.exp(-sum(logprobs) / len(logprobs))


def wilson(correct: int, count: int) -> tuple[float, float]:
    """Return the interval that contains the true share in 95 of 100 cases."""
    z, share = 1.96, correct / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("checkpoint", nargs="?", help="path of weights to sample from (one is trained)")
    data = Path(__file__).parent / "data/tickets.jsonl"
    add("--data", default=data, help="lines of {'messages': [...]} (data/tickets.jsonl)")
    add("--model", default="tinkex/tiny-chat", help="base model to train (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--share", type=float, default=0.3, help="of the lines to evaluate on (%(default)s)")
    add("--steps", type=int, default=12, help="of the brief training (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Find or train a checkpoint, evaluate both models, and compare."""
    args = parse_arguments()
    prompts = recipes.read_examples(args.data, form="prompts").examples
    seen, held_out = recipes.split(prompts, args.share, seed=0)
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        path = args.checkpoint or train_briefly(service, args.model, seen, args.steps)
        tuned = service.create_sampling_client(path)
        base = service.create_sampling_client(base_model=tuned.get_base_model())
        print(f"{path}, {len(held_out)} held-out prompts")
        correct = {}
        for name, sampler in (("base model", base), ("checkpoint", tuned)):
            responses = respond(sampler, held_out)
            correct[name] = [a == one.answer for a, one in zip(responses, held_out, strict=True)]
            count = sum(correct[name])
            low, high = wilson(count, len(held_out))
            print(
                f"{name}: {count} of {len(held_out)} correct = {count / len(held_out):.0%} "
                f"({low:.0%} to {high:.0%}), perplexity {perplexity(sampler, held_out):.2f}"
            )
    both = list(zip(correct["base model"], correct["checkpoint"], strict=True))
    print(f"Correct only with the checkpoint: {both.count((False, True))};", end=" ")
    print(f"only without it: {both.count((True, False))}")
    mistakes = Counter(
        (one.answer, response)
        for one, response in zip(held_out, responses, strict=True)
        if response != one.answer
    )
    for (answer, response), times in mistakes.most_common(5):
        print(f"  {times} x {response!r} in place of {answer!r}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
