"""A training run of a few small steps, each on data that depend on the step alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinkex import AdamParams, Datum, ModelInput, TrainingClient

ADAM = AdamParams(learning_rate=1e-2)
NANO_RUN: dict[str, Any] = {"base_model": "tinkex/nano", "rank": 4, "seed": 11}


def batch(step: int) -> list[Datum]:
    """Return the data of a step."""
    tokens = np.random.default_rng(step).integers(1, 900, 12).tolist()
    return [
        Datum(
            ModelInput.from_ints(part),
            {"target_tokens": [token + 1 for token in part], "weights": [1.0] * len(part)},
        )
        for part in (tokens, tokens[:5])
    ]


def train(training: TrainingClient, step: int) -> float:
    """Take one step on its own data, and return the loss before it."""
    gradients, update = training.train_step(batch(step), "cross_entropy", ADAM)
    update.result()
    return gradients.result().loss
