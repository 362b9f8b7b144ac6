"""Train one step with a custom loss.

    python examples/custom_loss_training.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from connection import base_model, connect

from tinkex import AdamParams, TinkexError, losses

PROMPT = "Name three planets in the solar system."


def negative_log_likelihood(_data: Any, logprobs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the mean negative log probability of the targets, and the perplexity.

    It is numpy code, so its gradient comes from autograd; a function of torch tensors would do
    just as well.
    """
    loss = -logprobs[0].mean()
    return loss, {"custom_perplexity": np.exp(loss)}


def main() -> None:
    """Compute the gradients of the loss, apply them, and print what came back."""
    with connect() as service:
        model = base_model(service)
        print(f"Base model: {model} at {service.base_url}")
        training = service.create_lora_training_client(model, rank=16)
        datum = losses.custom_datum(training.get_tokenizer().encode(PROMPT))

        started = time.perf_counter()
        gradients = training.forward_backward_custom([datum], negative_log_likelihood)
        update = training.optim_step(AdamParams(learning_rate=1e-4))
        output = gradients.result()
        print(f"Custom loss in {(time.perf_counter() - started) * 1000:.0f} ms")
        update.result()

        print(f"Output type: {output.loss_fn_output_type}")
        print(f"Metrics: {dict(output.metrics)}")
        print(f"First output: {output.loss_fn_outputs[0]}")
    print("Success: a custom loss and a step of the optimizer.")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
