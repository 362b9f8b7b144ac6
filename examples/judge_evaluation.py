"""Compare two models by a judge: a third model that says which of two responses is better.

    python examples/judge_evaluation.py
    python examples/judge_evaluation.py --judge Qwen/Qwen3-32B --first PATH --second PATH --base-url URL

The judge reads a question with the responses A and B. Its verdict is how probable it finds "A" and "B" as
its next token: nothing is sampled or parsed. Judges tend to prefer a position, so each pair is judged in both
orders, and the two verdicts are averaged. How far the judge can be trusted is measured on held-out pairs whose
better response is known. By default tinkex/tiny-chat is trained three times on the other pairs: to judge, and
to respond, for 2 and for 12 steps.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tinkex
from tinkex import recipes

ASKED = "Question: {}\nA: {}\nB: {}\nWhich answer is better? Reply with A or B."


def prompt_of(question: str, a: str, b: str) -> list[dict[str, str]]:
    """Return what the judge reads."""
    return [{"role": "user", "content": ASKED.format(question, a, b)}]


def judge_pairs(
    judge: tinkex.SamplingClient, questions: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> list[tuple[float, float]]:
    """Return the probability that the first response is better, when it is A and when it is B."""
    tokenizer = judge.get_tokenizer()

    def logprobs(question: str, a: str, b: str) -> list[tinkex.Future[list[float | None]]]:
        prompt = tokenizer.apply_chat_template(
            prompt_of(question, a, b), add_generation_prompt=True
        )
        letters = [tokenizer.encode(letter, add_special_tokens=False) for letter in "AB"]
        inputs = [tinkex.ModelInput.from_ints([*prompt, *letter]) for letter in letters]
        return [judge.compute_logprobs(one) for one in inputs]

    def first_is_better(futures: Sequence[tinkex.Future[list[float | None]]]) -> float:
        a, b = (future.result()[-1] or 0.0 for future in futures)
        return 1 / (1 + math.exp(b - a))  # the probability of A, of the two

    asked = [
        (logprobs(question, first, second), logprobs(question, second, first))
        for question, (first, second) in zip(questions, pairs, strict=True)
    ]
    return [(first_is_better(one), 1 - first_is_better(swapped)) for one, swapped in asked]


def respond(sampler: tinkex.SamplingClient, questions: Sequence[str]) -> list[str]:
    """Return the likeliest response to each question."""
    tokenizer = sampler.get_tokenizer()
    inputs = [
        tinkex.ModelInput.from_ints(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": question}], add_generation_prompt=True
            )
        )
        for question in questions
    ]
    params = tinkex.SamplingParams(max_tokens=48, temperature=0, stop=[tokenizer.eos_token_id])
    responses = dict(sampler.sample_many(inputs, 1, params))
    return [
        tokenizer.decode(responses[index].sequences[0].tokens, skip_special_tokens=True)
        for index in range(len(questions))
    ]


def train(
    service: tinkex.ServiceClient, examples: Sequence[Any], steps: int
) -> tinkex.SamplingClient:
    """Train the small model on examples, and return a client that samples from the result."""
    training = service.create_lora_training_client("tinkex/tiny-chat", rank=16, seed=0)
    data = [one.datum() for one in recipes.tokenize(examples, training.get_tokenizer()).examples]
    batches = recipes.Batches(data, batch_size=16, seed=0)
    for step in range(steps):
        adam = tinkex.AdamParams(learning_rate=2e-3 * (1 - step / steps))
        training.train_step(batches[step], "cross_entropy", adam)
    return training.save_weights_and_get_sampling_client()


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/preferences.jsonl"
    add("data", nargs="?", default=data, help="prompt, chosen, rejected (data/preferences.jsonl)")
    add("--judge", help="base model or path of weights (one is trained)")
    add("--first", help="base model or path of weights to be judged (one is trained)")
    add("--second", help="base model or path of weights to compare it with (one is trained)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    return parser.parse_args()


def main() -> None:
    """Measure the judge on known pairs, and let it compare two models."""
    args = parse_arguments()
    pairs = recipes.read_examples(args.data, form="pairs").examples
    texts = [
        [pair.chosen.messages[-2]["content"], pair.chosen.messages[-1]["content"],
         pair.rejected.messages[-1]["content"]]
        for pair in pairs
    ]  # fmt: skip
    seen, held_out = recipes.split(range(len(pairs)), share=0.4, seed=0)
    questions = [texts[index][0] for index in held_out]
    known = [(texts[index][1], texts[index][2]) for index in held_out]

    with tinkex.ServiceClient(base_url=args.base_url) as service:

        def client(model: str) -> tinkex.SamplingClient:
            if model.startswith("tinker://"):
                return service.create_sampling_client(model)
            return service.create_sampling_client(base_model=model)

        def measure(name: str, judge: tinkex.SamplingClient) -> None:
            judged = judge_pairs(judge, questions, known)
            right = sum(sum(both) > 1 for both in judged) / len(judged)
            same = sum((a > 0.5) == (b > 0.5) for a, b in judged) / len(judged)
            print(f"{name}: {right:.0%} of {len(judged)} known pairs right,", end=" ")
            print(f"the same verdict in both orders for {same:.0%}", flush=True)

        if args.judge:
            judge = client(args.judge)
        else:
            measure("Judge before training", client("tinkex/tiny-chat"))
            rows = [
                {
                    "messages": [
                        *prompt_of(texts[index][0], a, b),
                        {"role": "assistant", "content": letter},
                    ]
                }
                for index in seen
                for a, b, letter in ((*texts[index][1:], "A"), (*texts[index][:0:-1], "B"))
            ]
            judge = train(service, recipes.read_examples(rows).examples, steps=20)
        measure("Judge", judge)

        chosen = [pairs[index].chosen for index in seen]
        first = client(args.first) if args.first else train(service, chosen, steps=12)
        second = client(args.second) if args.second else train(service, chosen, steps=2)
        responses = list(zip(respond(first, questions), respond(second, questions), strict=True))
        judged = judge_pairs(judge, questions, responses)
    for question, (one, other), both in list(zip(questions, responses, judged, strict=True))[:3]:
        print(f"{question} {one!r} or {other!r}: {sum(both) / 2:.0%} for the first")
    different = [sum(both) / 2 for both, (a, b) in zip(judged, responses, strict=True) if a != b]
    wins = sum(one > 0.5 for one in different)
    print(f"First model better {wins}, second better {len(different) - wins},", end=" ")
    print(f"same response {len(judged) - len(different)}, of {len(judged)} questions")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
