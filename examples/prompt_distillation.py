"""Prompt distillation: train a model to respond without a system prompt as it does with it.

    python examples/prompt_distillation.py
    python examples/prompt_distillation.py --system "Answer in a full sentence."

The teacher is the model with the system prompt: it responds to each question several times. The student
learns the responses to the questions alone, so the prompt's effect moves into the weights, and its tokens
need not be sent any more. On held-out questions, the student's responses are compared with the teacher's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tinkex
from tinkex import recipes
from tinkex.recipes import Prompt


def respond(
    sampler: tinkex.SamplingClient,
    prompts: Sequence[Prompt],
    system: str | None = None,
    count: int = 1,
    temperature: float = 0.0,
) -> list[list[str]]:
    """Return responses to each prompt, after a system prompt if there is one."""
    tokenizer = sampler.get_tokenizer()
    before = [{"role": "system", "content": system}] if system else []
    inputs = [
        tinkex.ModelInput.from_ints(
            tokenizer.apply_chat_template(
                [*before, *(one.messages or [])], add_generation_prompt=True
            )
        )
        for one in prompts
    ]
    params = tinkex.SamplingParams(
        max_tokens=48, temperature=temperature, stop=[tokenizer.eos_token_id], seed=0
    )
    responses = dict(sampler.sample_many(inputs, count, params))
    return [
        [
            tokenizer.decode(one.tokens, skip_special_tokens=True)
            for one in responses[index].sequences
        ]
        for index in range(len(prompts))
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/prompts.jsonl"
    add("data", nargs="?", default=data, help="lines of {'messages': [...]} (data/prompts.jsonl)")
    add("--system", default="You are a wizard.", help="the teacher's system prompt (%(default)r)")
    add("--samples", type=int, default=4, help="the teacher's responses per question (%(default)s)")
    add("--model", default="tinkex/tiny-chat", help="teacher and student (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=30, help="optimizer steps (%(default)s)")
    add("--learning-rate", type=float, default=2e-3, help="falls linearly to zero (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Ask the teacher, train the student, and compare their responses to held-out questions."""
    args = parse_arguments()
    prompts = recipes.read_examples(args.data, form="prompts").examples
    seen, held_out = recipes.split(prompts, share=0.25, seed=0)
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        teacher = service.create_sampling_client(base_model=args.model)
        samples = respond(teacher, seen, args.system, args.samples, temperature=1.0)
        wanted = [texts[0] for texts in respond(teacher, held_out, args.system)]

        training = service.create_lora_training_client(args.model, rank=16, seed=0)
        # The questions as they stand, without the system prompt.
        examples = [
            one.answered(text)
            for one, texts in zip(seen, samples, strict=True)
            for text in texts
            if text
        ]
        data = [
            one.datum() for one in recipes.tokenize(examples, training.get_tokenizer()).examples
        ]
        batches = recipes.Batches(data, batch_size=16, seed=0)
        before = respond(training.save_weights_and_get_sampling_client(), held_out)
        for step in range(args.steps):
            rate = args.learning_rate * (1 - step / args.steps)
            output, _ = training.train_step(
                batches[step], "cross_entropy", tinkex.AdamParams(learning_rate=rate)
            )
            if (step + 1) % 5 == 0:
                loss = output.result().mean_loss
                print(f"  step {step + 1:3}/{args.steps}  loss {loss:.3f}", flush=True)
        after = respond(training.save_weights_and_get_sampling_client(), held_out)

    for one, told, old, new in list(zip(held_out, wanted, before, after, strict=True))[:3]:
        print(f"{one.messages[-1]['content']}\n  teacher, with the system prompt: {told!r}")
        print(f"  student, without it:              {old[0]!r} -> {new[0]!r}")
    shares = [
        sum(text == told for [text], told in zip(texts, wanted, strict=True)) / len(wanted)
        for texts in (before, after)
    ]
    print(f"Held-out responses equal to the teacher's: {shares[0]:.0%} -> {shares[1]:.0%}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
