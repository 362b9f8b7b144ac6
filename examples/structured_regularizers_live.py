"""Train one step with a loss of negative log likelihood and every regularizer.

    python examples/structured_regularizers_live.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from connection import base_model, connect

from tinkex import AdamParams, TinkexError, losses
from tinkex.regularizers import (
    L1,
    L2,
    Consistency,
    ElasticNet,
    Entropy,
    GradientPenalty,
    KLDivergence,
    Orthogonality,
    RegularizerSpec,
)

PANGRAM = "The quick brown fox jumps over the lazy dog."
LONGEST = 11
REFERENCE = "uniform"


def base_loss(_data: Any, logprobs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the mean negative log likelihood of all tokens."""
    loss = -sum(lp.sum() for lp in logprobs) / sum(lp.size for lp in logprobs)
    return loss, {"base_nll": loss, "custom_perplexity": np.exp(loss)}


def regularizers() -> list[RegularizerSpec]:
    """Return all kinds: means, so that weights do not depend on the length."""
    return [
        RegularizerSpec(L1(reduction="mean"), 0.01, "l1"),
        RegularizerSpec(L2(reduction="mean", center="mean"), 0.005, "l2"),
        RegularizerSpec(ElasticNet(reduction="mean", l1_ratio=0.6), 0.002, "elastic_net"),
        RegularizerSpec(Entropy(mode="maximize", temperature=0.5), 0.001, "entropy"),
        RegularizerSpec(KLDivergence(reference_field=REFERENCE), 0.01, "kl_forward"),
        RegularizerSpec(
            KLDivergence(reference_field=REFERENCE, direction="reverse"), 0.01, "kl_reverse"
        ),
        RegularizerSpec(
            KLDivergence(reference_field=REFERENCE, symmetric=True), 0.005, "kl_symmetric"
        ),
        RegularizerSpec(Consistency(pair_field="shifted"), 0.02, "consistency"),
        RegularizerSpec(Orthogonality(), 0.003, "orthogonality"),
        RegularizerSpec(GradientPenalty(loss_fn=np.sum), 0.001, "gradient_penalty"),
    ]


def main() -> None:
    """Compute the gradients of the whole loss, step, and print every metric."""
    with connect() as service:
        model = base_model(service)
        print(f"Base model: {model} at {service.base_url}")
        training = service.create_lora_training_client(model, rank=16)
        tokens = training.get_tokenizer().encode(PANGRAM)[: LONGEST + 1]

        # What the loss compares to travels in the data and stays on this machine.
        plain = losses.cross_entropy_datum(tokens)
        found = training.forward([plain], "cross_entropy").result()
        before = found.loss_fn_outputs[0]["logprobs"].numpy()
        count = len(tokens)
        datum = losses.custom_datum(
            tokens,
            uniform=np.full(count, -np.log(count - 1)),
            shifted=np.concatenate([[0.0], np.roll(before, 1)]),
        )
        print(f"Tokens: {count - 1} targets of {PANGRAM!r}")

        started = time.perf_counter()
        future = training.forward_backward_custom([datum], base_loss, regularizers())
        step = training.optim_step(AdamParams(learning_rate=1e-4))
        output = future.result()
        step.result()
        print(f"Custom loss and step in {(time.perf_counter() - started) * 1000:.0f} ms")
        for name, value in sorted(output.metrics.items()):
            print(f"  {name}: {value:.6f}")
    print("Done: the loss, ten regularizers, and one step of the optimizer.")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
