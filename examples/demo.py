"""Fine-tune a small model on a real task, from first step to downloaded checkpoint.

    make demo        (or: python examples/demo.py)

The task: read an order in plain English and respond with its fields as JSON. The model has never seen this
format. A LoRA adapter is trained on the orders of a file and tried on orders that are not among them.
Everything runs on the embedded local server: no key, no network, no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tinkex
from tinkex import losses
from tinkex.checkpoints import download

ORDERS = Path(__file__).parent / "data/orders.jsonl"
BATCH = 32
RANK = 32
LEARNING_RATE = 4e-3
HELD_OUT = 16


def read_orders(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of an order and its fields as JSON."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line)["messages"] for line in lines]
    return [(asked["content"], answered["content"]) for asked, answered in pairs]


def prompt_tokens(tokenizer: tinkex.Tokenizer, order: str) -> list[int]:
    """Write an order by the model's chat template, up to where the response begins."""
    messages = [{"role": "user", "content": order}]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True)


def training_datum(tokenizer: tinkex.Tokenizer, order: str, answer: str) -> tinkex.Datum:
    """Return an example whose loss counts the response alone, with the token that ends it."""
    response = tokenizer.encode(f"{answer}{tokenizer.eos_token}", add_special_tokens=False)
    return losses.completion_datum(prompt_tokens(tokenizer, order), response)


def answer(
    sampler: tinkex.SamplingClient, tokenizer: tinkex.Tokenizer, orders: Sequence[str]
) -> list[str]:
    """Sample the likeliest responses to all orders at once."""
    inputs = [tinkex.ModelInput.from_ints(prompt_tokens(tokenizer, order)) for order in orders]
    params = tinkex.SamplingParams(max_tokens=48, temperature=0, stop=[tokenizer.eos_token_id])
    responses = dict(sampler.sample_many(inputs, 1, params))
    return [
        tokenizer.decode(responses[index].sequences[0].tokens, skip_special_tokens=True).strip()
        for index in range(len(orders))
    ]


def show(title: str, orders: Sequence[tuple[str, str]], answers: Sequence[str]) -> None:
    """Print some responses, and how many of all are right."""
    right = sum(said == wanted for said, (_, wanted) in zip(answers, orders, strict=True))
    print(f"\n{title}: {right} of {len(orders)} held-out orders right")
    for (order, _), said in list(zip(orders, answers, strict=True))[:3]:
        print(f"  order:    {order}\n  response: {said}")


def show_progress(done: int, total: int | None) -> None:
    """Rewrite one line as bytes come, on a terminal; elsewhere print only the last state."""
    if sys.stdout.isatty() or done == total:
        print(f"\r  {done:,} of {total or 0:,} bytes", end="", flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", default="tinkex/tiny-chat", help="base model (%(default)s)")
    url = os.environ.get("TINKER_BASE_URL", "local")
    add("--base-url", default=url, help="server (TINKER_BASE_URL, or the embedded local server)")
    add("--steps", type=int, default=40, help="optimizer steps (%(default)s)")
    add("--output-dir", type=Path, default=Path("demo-output"), help="(%(default)s)")
    return parser.parse_args()


def main() -> None:
    """Run the whole way once."""
    args = parse_arguments()
    started = time.perf_counter()
    orders = read_orders(ORDERS)
    held_out, training_set = orders[:HELD_OUT], orders[HELD_OUT:]

    with tinkex.ServiceClient(base_url=args.base_url) as service:
        training = service.create_lora_training_client(args.model, rank=RANK, seed=1)
        tokenizer = training.get_tokenizer()
        print(f"Model {args.model} with a LoRA adapter of rank {RANK}, at {service.base_url}")

        before = training.save_weights_and_get_sampling_client()
        show("Before", held_out, answer(before, tokenizer, [order for order, _ in held_out]))

        print(f"\nTraining: {args.steps} steps of {BATCH} orders")
        data = [training_datum(tokenizer, *pair) for pair in training_set]
        losses_so_far = []
        for step in range(args.steps):
            batch = [data[(step * BATCH + i) % len(data)] for i in range(BATCH)]
            rate = LEARNING_RATE * (1 - step / args.steps)
            begun = time.perf_counter()
            output, update = training.train_step(
                batch, "cross_entropy", tinkex.AdamParams(learning_rate=rate)
            )
            losses_so_far.append(output.result().mean_loss)
            update.result()
            seconds = time.perf_counter() - begun
            bar = "#" * round(30 * losses_so_far[-1] / losses_so_far[0])
            print(
                f"  step {step + 1:3}/{args.steps}  loss {losses_so_far[-1]:7.4f}  {bar:30}  "
                f"{seconds * 1000:4.0f} ms",
                flush=True,
            )
        first, last = losses_so_far[0], losses_so_far[-1]
        print(f"\nLoss per token: {first:.4f} at the first step, {last:.4f} at the last")

        name = f"orders-{int(time.time())}"
        state = training.save_state(name)
        weights = training.save_weights_for_sampler(name).result().path or ""
        print(f"Saved {state.result().path} (to train on)\n  and {weights} (to sample from)")
        after = training.create_sampling_client(weights)
        show("After", held_out, answer(after, tokenizer, [order for order, _ in held_out]))

        print("\nDownloading the adapter")
        rest = service.create_rest_client()
        got = download(rest, weights, args.output_dir, progress=show_progress)
        print(f"\n  {got.folder}: {', '.join(file.name for file in got.files)}")
    print(f"\nDone in {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, OSError) as error:
        sys.exit(f"error: {error}")
