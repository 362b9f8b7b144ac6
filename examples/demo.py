"""Fine-tune a small model on a real task, from first step to downloaded checkpoint.

    make demo        (or: python examples/demo.py)

The task: read an order written in plain English and answer with its fields as JSON. The model has
never seen this format. A LoRA adapter is trained on generated orders and tried on orders that are
not among them. Everything runs on the embedded local server: no key, no network, no GPU.

Settings: TINKER_BASE_URL and TINKER_API_KEY (another server), TINKER_BASE_MODEL, DEMO_STEPS (40),
DEMO_OUTPUT_DIR (demo-output).
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from connection import base_model, connect, setting

from tinkex import (
    AdamParams,
    Datum,
    ModelInput,
    SamplingClient,
    SamplingParams,
    TinkexError,
    Tokenizer,
)
from tinkex.checkpoints import download

BATCH = 32
RANK = 32
LEARNING_RATE = 4e-3
HELD_OUT = 16

COLORS = ["red", "blue", "green", "black", "white", "yellow"]
ITEMS = ["lamp", "chair", "book", "coat", "cup", "box", "hat", "clock"]
CITIES = ["Paris", "London", "Rome", "Berlin", "Madrid", "Tokyo"]
PHRASES = [
    "Please send {count} {color} {item}s to {city}.",
    "I want {count} {color} {item}s in {city}.",
    "We need {count} {color} {item}s. Ship to {city}.",
    "Send to {city}: {count} {color} {item}s.",
]


def make_orders(count: int, seed: int) -> list[tuple[str, str]]:
    """Make distinct pairs of an order and its fields as JSON."""
    draw = random.Random(seed)
    orders: dict[str, str] = {}
    while len(orders) < count:
        fields = {
            "count": draw.randint(2, 9),
            "color": draw.choice(COLORS),
            "item": draw.choice(ITEMS),
            "city": draw.choice(CITIES),
        }
        orders[draw.choice(PHRASES).format(**fields)] = json.dumps(fields)
    return list(orders.items())


def chat_prompt(text: str) -> str:
    """Frame a message the way the model's chat format does."""
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


def training_datum(tokenizer: Tokenizer, order: str, answer: str) -> Datum:
    """Make an example whose loss counts the tokens of the answer alone."""
    prompt = tokenizer.encode(chat_prompt(order))
    completion = tokenizer.encode(f"{answer}<|im_end|>")
    tokens = prompt + completion
    weights = [0.0] * (len(prompt) - 1) + [1.0] * len(completion)
    return Datum(
        model_input=ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={"target_tokens": tokens[1:], "weights": weights},
    )


def answer(sampler: SamplingClient, tokenizer: Tokenizer, orders: list[str]) -> list[str]:
    """Ask for all orders at once and return the answers."""
    params = SamplingParams(max_tokens=48, temperature=0.0, stop=["<|im_end|>"])
    futures = [
        sampler.sample(ModelInput.from_ints(tokenizer.encode(chat_prompt(order))), 1, params)
        for order in orders
    ]
    return [
        tokenizer.decode(future.result().sequences[0].tokens, skip_special_tokens=True).strip()
        for future in futures
    ]


def show(title: str, orders: list[tuple[str, str]], answers: list[str]) -> None:
    """Print what the model says to some orders, and how many of all it reads right."""
    right = sum(said == wanted for said, (_, wanted) in zip(answers, orders, strict=True))
    print(f"\n{title}: {right} of {len(orders)} held-out orders right")
    for (order, _), said in list(zip(orders, answers, strict=True))[:3]:
        print(f"  order:  {order}\n  answer: {said}")


def show_progress(done: int, total: int | None) -> None:
    """Rewrite one line as bytes come, on a terminal; elsewhere print only the last state."""
    if sys.stdout.isatty() or done == total:
        print(f"\r  {done:,} of {total or 0:,} bytes", end="", flush=True)


def main() -> None:
    """Run the whole way once."""
    started = time.perf_counter()
    steps = setting("DEMO_STEPS", 40, int)
    orders = make_orders(BATCH * 8 + HELD_OUT, seed=7)
    held_out, training_set = orders[:HELD_OUT], orders[HELD_OUT:]

    with connect() as service:
        model = base_model(service)
        training = service.create_lora_training_client(model, rank=RANK, seed=1)
        tokenizer = training.get_tokenizer()
        print(f"Model {model} with a LoRA adapter of rank {RANK}, at {service.base_url}")

        before = training.save_weights_and_get_sampling_client()
        show("Before", held_out, answer(before, tokenizer, [order for order, _ in held_out]))

        print(f"\nTraining: {steps} steps of {BATCH} orders")
        data = [training_datum(tokenizer, *pair) for pair in training_set]
        tokens = BATCH * sum(datum.model_input.length for datum in data) // len(data)
        losses = []
        for step in range(steps):
            batch = [data[(step * BATCH + i) % len(data)] for i in range(BATCH)]
            rate = LEARNING_RATE * (1 - step / steps)
            begun = time.perf_counter()
            output, update = training.train_step(
                batch, "cross_entropy", AdamParams(learning_rate=rate)
            )
            counted = sum(sum(datum.loss_fn_inputs["weights"].data) for datum in batch)
            losses.append(output.result().loss / counted)
            update.result()
            seconds = time.perf_counter() - begun
            bar = "#" * round(30 * losses[-1] / losses[0])
            print(
                f"  step {step + 1:3}/{steps}  loss {losses[-1]:7.4f}  {bar:30}  "
                f"{seconds * 1000:4.0f} ms, {tokens / seconds:,.0f} tokens/s",
                flush=True,
            )
        print(f"\nLoss per token: {losses[0]:.4f} at the first step, {losses[-1]:.4f} at the last")

        name = f"orders-{int(time.time())}"
        state = training.save_state(name)
        weights = training.save_weights_for_sampler(name)
        print(
            f"Saved {state.result().path} (to train on)\n  and {weights.result().path} (to sample from)"
        )

        after = training.create_sampling_client(weights.result().path or "")
        show("After", held_out, answer(after, tokenizer, [order for order, _ in held_out]))

        print("\nDownloading the adapter")
        got = download(
            service.create_rest_client(),
            weights.result().path or "",
            setting("DEMO_OUTPUT_DIR", Path("demo-output"), Path),
            progress=show_progress,
        )
        print(f"\n  {got.folder}: {', '.join(file.name for file in got.files)}")
    print(f"\nDone in {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
