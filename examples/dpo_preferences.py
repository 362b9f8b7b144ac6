"""Train on preference pairs: direct preference optimization (DPO) as a custom loss.

    python examples/dpo_preferences.py
    python examples/dpo_preferences.py pairs.jsonl --model Qwen/Qwen3-8B --learning-rate 1e-5 --base-url URL

This is the loop of `tinkex train --method dpo` and `tinkex.recipes.dpo`. In the file, the chosen response
is a full sentence and the rejected one a bare word; both are correct. The loss is -log sigmoid(beta *
margin), where the margin is how much more the model prefers the chosen response than it did before training
(Rafailov et al. 2023). It is measured on held-out pairs, next to what the model then says: with four times
the learning rate the margin grows tenfold and the responses fall apart, so the loss alone shows nothing.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinkex
from tinkex import recipes


def pair_data(pairs: Sequence[Any], tokenizer: tinkex.Tokenizer) -> list[tinkex.Datum]:
    """Return two examples for each pair: chosen and rejected in turn."""
    sides = [side for pair in pairs for side in (pair.chosen, pair.rejected)]
    return [one.datum() for one in recipes.tokenize(sides, tokenizer).examples]


def margins(data: Sequence[tinkex.Datum], logprobs: Sequence[Any]) -> list[Any]:
    """Return log p(chosen) - log p(rejected) of each pair."""
    # The weights are 1 along the response and 0 along the prompt.
    weights = [datum.loss_fn_inputs["weights"].numpy() for datum in data]
    sums = [(each * weight).sum() for each, weight in zip(logprobs, weights, strict=True)]
    return [chosen - rejected for chosen, rejected in zip(sums[::2], sums[1::2], strict=True)]


def dpo_loss(
    data: Sequence[tinkex.Datum], logprobs: Sequence[Any], *, reference: Any, beta: float
) -> tuple[Any, dict[str, Any]]:
    """Return the loss of a batch, as `forward_backward_custom` takes it: numpy code, by autograd."""
    gains = [now - before for now, before in zip(margins(data, logprobs), reference, strict=True)]
    return sum(np.log1p(np.exp(-beta * gain)) for gain in gains) / len(gains), {}


def current_margins(training: tinkex.TrainingClient, data: Sequence[tinkex.Datum]) -> Any:
    """Return the margins of the current weights, without gradients."""
    outputs = training.forward(data, "cross_entropy").result().loss_fn_outputs
    return np.array(margins(data, [output["logprobs"].numpy() for output in outputs]))


def respond(sampler: tinkex.SamplingClient, pairs: Sequence[Any]) -> list[str]:
    """Return the likeliest response to each pair's prompt."""
    tokenizer = sampler.get_tokenizer()
    params = tinkex.SamplingParams(max_tokens=32, temperature=0, stop=[tokenizer.eos_token_id])
    inputs = [
        tinkex.ModelInput.from_ints(
            tokenizer.apply_chat_template(pair.chosen.messages[:-1], add_generation_prompt=True)
        )
        for pair in pairs
    ]
    responses = dict(sampler.sample_many(inputs, 1, params))
    return [
        tokenizer.decode(responses[index].sequences[0].tokens, skip_special_tokens=True)
        for index in range(len(pairs))
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    data = Path(__file__).parent / "data/preferences.jsonl"
    add("data", nargs="?", default=data, help="prompt, chosen, rejected (data/preferences.jsonl)")
    add("--model", default="tinkex/tiny-chat", help="base model (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=20, help="optimizer steps (%(default)s)")
    add("--batch-size", type=int, default=12, help="pairs per step (%(default)s)")
    add("--beta", type=float, default=0.1, help="how much a margin counts (%(default)s)")
    add("--learning-rate", type=float, default=5e-4, help="falls linearly to zero (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Train on the pairs, and measure margins and responses of held-out ones."""
    args = parse_arguments()
    pairs = recipes.read_examples(args.data, form="pairs").examples
    seen, held_out = recipes.split(pairs, share=0.4, seed=0)
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        training = service.create_lora_training_client(args.model, rank=16, seed=0)
        tokenizer = training.get_tokenizer()
        data, validation = (pair_data(part, tokenizer) for part in (seen, held_out))
        # The reference is the untrained model: its margins are computed once.
        reference = current_margins(training, data)
        reference_held_out = current_margins(training, validation)
        before = respond(training.save_weights_and_get_sampling_client(), held_out)

        batches = recipes.Batches(range(len(seen)), args.batch_size, seed=0)
        for step in range(args.steps):
            chosen = batches[step]
            batch = [data[2 * pair + side] for pair in chosen for side in (0, 1)]
            loss = functools.partial(dpo_loss, reference=reference[chosen], beta=args.beta)
            output = training.forward_backward_custom(batch, loss)
            rate = args.learning_rate * (1 - step / args.steps)
            training.optim_step(tinkex.AdamParams(learning_rate=rate))
            print(f"  step {step + 1:3}/{args.steps}  loss {output.result().loss:.4f}", flush=True)

        gains = current_margins(training, validation) - reference_held_out
        after = respond(training.save_weights_and_get_sampling_client(), held_out)
    for pair, was, now in list(zip(held_out, before, after, strict=True))[:3]:
        print(f"{pair.chosen.messages[-2]['content']} {was!r} -> {now!r}")
    wanted = [pair.chosen.messages[-1]["content"] for pair in held_out]
    print(
        f"Margin of held-out pairs: 0.0 -> {gains.mean():.1f} nats, positive for {np.mean(gains > 0):.0%}"
    )
    shares = [
        np.mean([a == b for a, b in zip(said, wanted, strict=True)]) for said in (before, after)
    ]
    print(f"Held-out responses that are the chosen one: {shares[0]:.0%} -> {shares[1]:.0%}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
