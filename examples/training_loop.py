"""Train a LoRA adapter for a few steps and save it.

    python examples/training_loop.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT, TINKER_STEPS (3),
TINKER_SAMPLE_AFTER_TRAIN (0 or 1), TINKER_SAMPLE_PROMPT.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from connection import base_model, connect, setting

from tinkex import AdamParams, Datum, ModelInput, SamplingClient, SamplingParams, TinkexError


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Print what begins, and how long it took."""
    print(f"[{step}] ...", flush=True)
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    took = f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
    print(f"[{step}] completed in {took}")


def next_token_datum(tokens: list[int]) -> Datum:
    """Make an example of a text: at each position, the target is the token that follows."""
    return Datum(
        model_input=ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={"target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)},
    )


def main() -> None:
    """Create a model, train it on one text, save its weights, and sample if asked to."""
    started = time.perf_counter()
    prompt = setting("TINKER_PROMPT", "Fine-tuning sample prompt", str)
    with connect() as service:
        model = base_model(service)
        print(f"Base model: {model} at {service.base_url}")
        with timed("create training client (the first time can take a minute or two)"):
            training = service.create_lora_training_client(model, rank=16)
        tokenizer = training.get_tokenizer()
        tokens = tokenizer.encode(prompt)
        print(f"Prompt: {prompt!r}, {len(tokens)} tokens: {tokens}")
        data = [next_token_datum(tokens)]

        for step in range(1, setting("TINKER_STEPS", 3, int) + 1):
            with timed(f"step {step}: forward_backward and optim_step"):
                # Both are on their way before the first result is waited for.
                gradients = training.forward_backward(data, "cross_entropy")
                update = training.optim_step(AdamParams(learning_rate=1e-3))
                output = gradients.result()
                metrics = update.result().metrics
            print(f"  loss per token {output.mean_loss:.4f}; metrics {dict(output.metrics)}")
            print(f"  optimizer metrics: {metrics or 'none'}")

        with timed("save weights for sampling"):
            saved = training.save_weights_for_sampler("sampler-weights").result()
        print(f"  {saved.path}")
        print(f"Total time: {time.perf_counter() - started:.2f} s")

        if setting("TINKER_SAMPLE_AFTER_TRAIN", "0", str).lower() not in ("0", "false", ""):
            sampler = training.create_sampling_client(saved.path or "")
            sample_once(
                sampler, setting("TINKER_SAMPLE_PROMPT", "Hello from fine-tuned weights!", str)
            )


def sample_once(sampler: SamplingClient, prompt: str) -> None:
    """Sample from the trained weights; a failure here is only a warning."""
    tokenizer = sampler.get_tokenizer()
    try:
        future = sampler.sample(
            ModelInput.from_ints(tokenizer.encode(prompt)),
            sampling_params=SamplingParams(max_tokens=32, temperature=0.7),
        )
        sequence = future.result(timeout=30).sequences[0]
    except TinkexError as error:
        print(f"warning: sampling failed: {error}", file=sys.stderr)
        return
    print(f"Sample: {prompt}|{tokenizer.decode(sequence.tokens, skip_special_tokens=True)}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
