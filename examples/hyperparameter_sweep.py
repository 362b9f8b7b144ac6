r"""Sweep learning rate and rank: one training client for each setting, all at the same time.

    python examples/hyperparameter_sweep.py
    python examples/hyperparameter_sweep.py chats.jsonl --model Qwen/Qwen3-8B --rates 1e-4 3e-4 1e-3 \
        --ranks 8 32 --base-url URL

The clients are created side by side. Then every step of every client is submitted before the first result
is waited for, so the server always has work, whatever the latency. All see the same data in the same order
and are compared by their validation loss. The hosted service trains them in parallel; the local server
trains one after the other.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tinkex
from tinkex import recipes


def train(
    training: tinkex.TrainingClient, batches: Sequence[list[tinkex.Datum]], learning_rate: float
) -> None:
    """Submit all steps; none of them is waited for."""
    for step, batch in enumerate(batches):
        rate = learning_rate * (1 - step / len(batches))
        training.train_step(batch, "cross_entropy", tinkex.AdamParams(learning_rate=rate))


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
    add(
        "--rates",
        type=float,
        nargs="+",
        default=[2e-3, 8e-3, 3.2e-2],
        help="learning rates (2e-3 8e-3 3.2e-2)",
    )
    add("--ranks", type=int, nargs="+", default=[4, 16], help="ranks of the LoRA adapters (4 16)")
    add("--steps", type=int, default=12, help="optimizer steps of each (%(default)s)")
    add("--batch-size", type=int, default=16, help="examples per step (%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Create, submit, wait, compare, and save the best."""
    args = parse_arguments()
    examples = recipes.read_examples(args.data).examples
    settings = list(itertools.product(args.rates, args.ranks))
    started = time.perf_counter()
    with tinkex.ServiceClient(base_url=args.base_url) as service:
        jobs = [
            service.submit(service.create_lora_training_client, args.model, rank=rank, seed=0)
            for _, rank in settings
        ]
        clients = [job.result() for job in jobs]
        tokenized = recipes.tokenize(examples, clients[0].get_tokenizer()).examples
        seen, held_out = recipes.split([one.datum() for one in tokenized], share=0.15, seed=0)
        shuffled = recipes.Batches(seen, args.batch_size, seed=0)
        batches = [shuffled[step] for step in range(args.steps)]
        futures = []
        for (rate, _), training in zip(settings, clients, strict=True):
            train(training, batches, rate)
            futures.append(training.forward(held_out, "cross_entropy"))
        print(f"{len(settings)} settings of {args.steps} steps submitted", end=" ")
        print(f"after {time.perf_counter() - started:.1f} s", flush=True)
        losses = {
            setting: future.result().mean_loss
            for setting, future in zip(settings, futures, strict=True)
        }
        print(f"All results after {time.perf_counter() - started:.1f} s")
        best = min(losses, key=losses.__getitem__)
        saved = clients[settings.index(best)].save_weights_for_sampler("best", 86_400).result()

    print("\nValidation loss per token\n" + "learning rate".rjust(15), end="")
    print("".join(f"rank {rank:3}".rjust(12) for rank in args.ranks))
    for rate in args.rates:
        cells = [f"{losses[rate, rank]:12.4f}" for rank in args.ranks]
        print(f"{rate:15g}" + "".join(cells))
    print(f"\nBest: learning rate {best[0]:g}, rank {best[1]}, validation loss {losses[best]:.4f}")
    print(f"Saved for a day: {saved.path}")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
