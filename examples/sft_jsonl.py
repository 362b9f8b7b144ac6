"""Supervised fine-tuning on a JSONL file: teach a model to sort customers' messages.

    python examples/sft_jsonl.py
    python examples/sft_jsonl.py chats.jsonl --model Qwen/Qwen3-8B --learning-rate 2e-4 --base-url URL

This is the loop of `tinkex train FILE` and `tinkex.recipes.sft`, without checkpoints. The validation loss
is computed on conversations that are not trained on, and the model responds to them before and after.
Each step is a line of the log, which `tinkex.training_log.plot` draws.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinkex
from tinkex import recipes


def accuracy(sampler: tinkex.SamplingClient, prompts: Sequence[Any]) -> float:
    """Return the share of prompts whose likeliest response is the one in the file."""
    tokenizer = sampler.get_tokenizer()
    inputs = [
        tinkex.ModelInput.from_ints(
            tokenizer.apply_chat_template(one.messages, add_generation_prompt=True)
        )
        for one in prompts
    ]
    params = tinkex.SamplingParams(max_tokens=64, temperature=0, stop=[tokenizer.eos_token_id])
    responses = dict(sampler.sample_many(inputs, 1, params))
    texts = [
        tokenizer.decode(responses[index].sequences[0].tokens, skip_special_tokens=True)
        for index in range(len(prompts))
    ]
    for one, text in list(zip(prompts, texts, strict=True))[:3]:
        print(f"  {one.messages[-1]['content']!r} -> {text!r}")
    return float(np.mean([text == one.answer for one, text in zip(prompts, texts, strict=True)]))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/tickets.jsonl"
    add("data", nargs="?", default=data, help="lines of {'messages': [...]} (data/tickets.jsonl)")
    add("--model", default="tinkex/tiny-chat", help="base model (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=40, help="optimizer steps (%(default)s)")
    add("--batch-size", type=int, default=16, help="examples per step (%(default)s)")
    add("--learning-rate", type=float, default=4e-3, help="falls linearly to zero (%(default)s)")
    add("--rank", type=int, default=16, help="rank of the LoRA adapter (%(default)s)")
    add("--log", default="sft.metrics.jsonl", help="file for each step's metrics (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train, validate, and compare the responses before and after."""
    args = parse_arguments()
    prompts = recipes.read_examples(args.data, form="prompts").examples
    seen, held_out = recipes.split(prompts, share=0.15, seed=0)
    with (
        tinkex.ServiceClient(base_url=args.base_url) as service,
        tinkex.training_log.TrainingLog(args.log) as log,
    ):
        training = service.create_lora_training_client(args.model, rank=args.rank, seed=0)
        tokenizer = training.get_tokenizer()
        # Written by the model's own chat template; only the responses' tokens count in the loss.
        data, validation = (
            [
                one.datum()
                for one in recipes.tokenize(
                    [p.answered(p.answer) for p in part], tokenizer
                ).examples
            ]
            for part in (seen, held_out)
        )
        print(
            f"{args.model}: {len(data)} conversations to train on, {len(validation)} for validation"
        )
        print("Before:")
        accuracy_before = accuracy(training.save_weights_and_get_sampling_client(), held_out)
        loss_before = training.forward(validation, "cross_entropy").result().mean_loss

        batches = recipes.Batches(data, args.batch_size, seed=0)
        for step in range(args.steps):
            rate = args.learning_rate * (1 - step / args.steps)
            output, _ = training.train_step(
                batches[step], "cross_entropy", tinkex.AdamParams(learning_rate=rate)
            )
            loss = output.result().mean_loss
            log.step(step + 1, loss=loss, learning_rate=rate)
            if (step + 1) % 4 == 0:
                print(f"  step {step + 1:3}/{args.steps}  loss {loss:.4f}", flush=True)

        loss_after = training.forward(validation, "cross_entropy").result().mean_loss
        saved = training.save_weights_for_sampler("tickets", ttl_seconds=86_400).result()
        print("After:")
        accuracy_after = accuracy(training.create_sampling_client(saved.path or ""), held_out)
    print(f"Validation loss per token: {loss_before:.3f} -> {loss_after:.3f}")
    print(f"Correct responses: {accuracy_before:.0%} -> {accuracy_after:.0%}")
    print(f"Saved for a day: {saved.path}; metrics: {args.log}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
