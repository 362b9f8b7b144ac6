"""Show how a large batch is cut into requests, and take one step with every setting of Adam.

    python examples/adam_and_chunking.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_CHUNK_COUNT (1025, how many data
to cut), TINKER_RUN_COUNT (128, how many of them to train on).
"""

from __future__ import annotations

import sys

from connection import base_model, connect, setting

from tinkex import AdamParams, Datum, ModelInput, TinkexError
from tinkex._core.wire.chunking import MAX_CHUNK_LEN, chunk_data
from tinkex.errors import TransportError


def one_token_data(count: int, vocabulary: int) -> list[Datum]:
    """Make tiny examples; plain lists become tensors of int64 and float32 by themselves."""
    tokens = [number % vocabulary for number in range(1, count + 1)]
    return [
        Datum(ModelInput.from_ints([token]), {"target_tokens": [token], "weights": [1.0]})
        for token in tokens
    ]


def main() -> None:
    """Cut the data, train on the first of them, and print what came back."""
    count = setting("TINKER_CHUNK_COUNT", 1025, int)
    run_count = min(setting("TINKER_RUN_COUNT", 128, int), count)
    if count < 1 or run_count < 1:
        sys.exit("error: TINKER_CHUNK_COUNT and TINKER_RUN_COUNT must be at least 1")
    with connect() as service:
        model = base_model(service)
        print(f"Base model: {model} at {service.base_url}")
        print(f"Cutting {count} data; a request holds at most {MAX_CHUNK_LEN}")
        training = service.create_lora_training_client(model, rank=8)
        data = one_token_data(count, training.get_tokenizer().vocab_size)

        # What `forward_backward` does by itself with a batch of any size.
        print(f"Sizes of the chunks: {[len(chunk) for chunk in chunk_data(data)]}")

        print(f"Sending {run_count} of them")
        gradients = training.forward_backward(data[:run_count], "cross_entropy")
        adam = AdamParams(learning_rate=2e-4, weight_decay=0.01, grad_clip_norm=1.0)
        update = training.optim_step(adam)
        try:
            output = gradients.result()
        except TransportError:
            print(
                "warning: the connection failed; with a large batch on a slow line, lower "
                "TINKER_RUN_COUNT and TINKER_CHUNK_COUNT",
                file=sys.stderr,
            )
            raise
        print(f"Outputs: {len(output.loss_fn_outputs)}, one for each datum")
        print(
            f"AdamW: learning rate {adam.learning_rate}, betas {adam.beta1} and {adam.beta2}, "
            f"eps {adam.eps}, weight decay {adam.weight_decay}, norm clipped at {adam.grad_clip_norm}"
        )
        print(f"Metrics of the step: {dict(update.result().metrics or {}) or 'none'}")
    print("Done.")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
