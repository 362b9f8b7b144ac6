"""Get the log probabilities of a text by a forward pass, without gradients, as a numpy array.

    python examples/forward_inference.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT.
"""

from __future__ import annotations

import sys
import time

from connection import base_model, connect, setting

from tinkex import ForwardBackwardOutput, TinkexError, losses

SHOWN = 5


def show_tensor(output: ForwardBackwardOutput) -> None:
    """Print the log probabilities of the first datum, or what there is instead."""
    if not output.loss_fn_outputs:
        print("The server gave no outputs.")
        return
    first = output.loss_fn_outputs[0]
    if "logprobs" not in first:
        print(f"No logprobs among the outputs: {', '.join(first) or 'none'}")
        return
    values = first["logprobs"].numpy()
    print(f"Log probabilities: {values.dtype} {list(values.shape)}")
    print(f"  first {SHOWN}: {[round(float(value), 4) for value in values[:SHOWN]]}")
    print(f"  mean {values.mean():.4f}, min {values.min():.4f}, max {values.max():.4f}")


def main() -> None:
    """Run the forward pass, and print what came back."""
    prompt = setting("TINKER_PROMPT", "Hello from forward inference!", str)
    with connect() as service:
        model = base_model(service)
        print(f"Base model: {model} at {service.base_url}")
        training = service.create_lora_training_client(model, rank=16)
        datum = losses.cross_entropy_datum(training.get_tokenizer().encode(prompt))
        print(f"Prompt: {prompt!r}, {datum.model_input.length} targets")

        started = time.perf_counter()
        output = training.forward([datum], "cross_entropy").result()
        print(f"Forward pass in {(time.perf_counter() - started) * 1000:.0f} ms")
        print(f"Output type: {output.loss_fn_output_type}")
        print(f"Metrics: {dict(output.metrics)}")
        print(f"Outputs: {len(output.loss_fn_outputs)}")
        show_tensor(output)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
