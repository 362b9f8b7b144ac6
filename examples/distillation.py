r"""Distill one model into another: the student learns the teacher's distribution, not only its samples.

    python examples/distillation.py
    python examples/distillation.py --teacher Qwen/Qwen3-32B --student Qwen/Qwen3-8B --learning-rate 2e-4 \
        --base-url URL

The teacher continues the openings in the file, and returns its K likeliest tokens with their probabilities
at each position of its texts. The student is trained on these as soft targets of cross_entropy: up to a
constant, that loss is the KL divergence from teacher to student (Hinton et al. 2015). The divergence is
measured on held-out texts; all tokens that are not among the K count as one. Both models must have the
same tokenizer. `tinkex.recipes.distill` learns from samples, the teacher's or the student's own.
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
from tinkex import losses, recipes


def write_texts(
    teacher: tinkex.SamplingClient, openings: Sequence[str], each: int
) -> list[list[int]]:
    """Let the teacher continue the openings; return the tokens of the texts."""
    prompts = [teacher.get_tokenizer().encode(opening) for opening in openings]
    params = tinkex.SamplingParams(max_tokens=64, temperature=1.0, seed=0)
    inputs = map(tinkex.ModelInput.from_ints, prompts)
    responses = dict(teacher.sample_many(inputs, each, params))
    return [
        [*prompt, *one.tokens]
        for index, prompt in enumerate(prompts)
        for one in responses[index].sequences
    ]


def soft_targets(
    teacher: tinkex.SamplingClient, texts: Sequence[list[int]], top_k: int
) -> list[tinkex.Datum]:
    """Return each text with the teacher's likeliest tokens at each position, and their probabilities."""
    inputs = map(tinkex.ModelInput.from_ints, texts)
    params = tinkex.SamplingParams(max_tokens=1)
    scored = dict(teacher.sample_many(inputs, 1, params, topk_prompt_logprobs=top_k))
    data = []
    for index, tokens in enumerate(texts):
        candidates = np.zeros((len(tokens), top_k), np.int64)
        probabilities = np.zeros((len(tokens), top_k), np.float32)
        rows = scored[index].topk_prompt_logprobs
        if rows is None:
            sys.exit("error: the server does not return the likeliest tokens of a prompt")
        for position, likeliest in enumerate(rows):
            for place, (token, logprob) in enumerate(
                likeliest or []
            ):  # the first position has none
                candidates[position, place], probabilities[position, place] = token, np.exp(logprob)
        data.append(losses.soft_target_datum(tokens, candidates, probabilities))
    return data


def divergence(student: tinkex.TrainingClient, data: Sequence[tinkex.Datum]) -> float:
    """Return the mean KL divergence from teacher to student per token, in nats."""
    outputs = student.forward(data, "cross_entropy").result().loss_fn_outputs
    terms = []
    for datum, output in zip(data, outputs, strict=True):
        p = with_rest(datum.loss_fn_inputs["weights"].numpy())
        q = with_rest(np.exp(output["logprobs"].numpy()))
        terms.append((p * np.log(p / q)).sum(axis=1))
    return float(np.concatenate(terms).mean())


def with_rest(probabilities: Any) -> Any:
    """Return rows that sum to 1, by a column for all tokens that are not among the K."""
    rest = 1 - probabilities.sum(axis=1, keepdims=True)
    return np.maximum(np.concatenate([probabilities, rest], axis=1), 1e-9)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/openings.jsonl"
    add("data", nargs="?", default=data, help="lines of {'prompt': ...} (data/openings.jsonl)")
    add("--teacher", default="tinkex/tiny-chat", help="base model (%(default)s)")
    add("--student", default="tinkex/nano", help="base model to train (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--texts", type=int, default=16, help="texts per opening (%(default)s)")
    add("--top-k", type=int, default=16, help="tokens per position (%(default)s)")
    add("--steps", type=int, default=60, help="optimizer steps (%(default)s)")
    add("--learning-rate", type=float, default=1.5e-2, help="falls linearly to zero (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Let the teacher write and judge, train the student, and measure the divergence."""
    args = parse_arguments()
    openings = [one.text for one in recipes.read_examples(args.data, form="prompts").examples]
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        teacher = service.create_sampling_client(base_model=args.teacher)
        texts = write_texts(teacher, openings, args.texts)
        print(
            f"{args.teacher} wrote {len(texts)} texts: {teacher.get_tokenizer().decode(texts[0])!r}"
        )
        seen, held_out = recipes.split(soft_targets(teacher, texts, args.top_k), 0.15, seed=0)

        student = service.create_lora_training_client(args.student, rank=32, seed=0)
        tokenizers = [teacher.get_tokenizer(), student.get_tokenizer()]
        if len({tuple(one.encode(openings[0])) for one in tokenizers}) > 1:
            sys.exit("error: teacher and student have different tokenizers")
        before = after = divergence(student, held_out)
        print(f"  step   0/{args.steps}  divergence {before:.3f} nats per token")
        batches = recipes.Batches(seen, batch_size=16, seed=0)
        for step in range(args.steps):
            rate = args.learning_rate * (1 - step / args.steps)
            adam = tinkex.AdamParams(learning_rate=rate)
            student.train_step(batches[step], "cross_entropy", adam)
            if (step + 1) % 15 == 0 or step + 1 == args.steps:
                after = divergence(student, held_out)
                print(
                    f"  step {step + 1:3}/{args.steps}  divergence {after:.3f} nats per token",
                    flush=True,
                )
    print(f"KL divergence on held-out texts: {before:.2f} -> {after:.2f} nats per token")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
