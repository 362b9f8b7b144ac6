"""The mock data of behaviour.md A26, and what each regularizer gives there."""

from __future__ import annotations

import numpy as np

from tinkex import Datum, ModelInput
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

LOGPROBS = np.array([-0.5, -1.2, -0.8, -2.1, -0.3, -1.5, -0.9, -1.8, -0.6, -1.1], np.float32)
REFERENCE = np.log([0.22, 0.18, 0.12, 0.10, 0.08, 0.07, 0.06, 0.06, 0.06, 0.05])
PAIR = np.array([-0.45, -1.05, -0.75, -2.05, -0.25, -1.35, -0.85, -1.65, -0.55, -1.05])
DATUM = Datum(
    ModelInput.from_ints(range(10)), {"reference_logprobs": REFERENCE, "original_logprobs": PAIR}
)

# name, regularizer, weight, value, norm of the gradient
ROWS = [
    ("l1_sparsity", L1(), 0.01, 10.8, 3.1623),
    ("entropy", Entropy(mode="maximize"), 0.001, -3.1972, 0.6867),
    ("entropy_sharp", Entropy(mode="maximize", temperature=0.5), 0.001, -1.9354, 0.4833),
    ("l2_weight_decay", L2(center="mean"), 0.005, 3.036, 3.4848),
    ("elastic_net", ElasticNet(l1_ratio=0.6), 0.002, 12.36, 4.8349),
    ("kl_forward", KLDivergence(reference_field="reference_logprobs"), 0.01, 6.087, 3.7822),
    (
        "kl_reverse",
        KLDivergence(reference_field="reference_logprobs", direction="reverse"),
        0.01,
        -1.1569,
        0.3603,
    ),
    (
        "kl_symmetric",
        KLDivergence(reference_field="reference_logprobs", symmetric=True),
        0.01,
        2.465,
        1.7687,
    ),
    ("consistency", Consistency(), 0.02, 0.0085, 0.0583),
    ("orthogonality", Orthogonality(), 0.003, 0.0, 0.0),
    ("gradient_penalty", GradientPenalty(loss_fn=np.sum), 0.001, 4.6754, 0.0),
]
SPECS = [RegularizerSpec(fn, weight, name) for name, fn, weight, _, _ in ROWS]


def base_loss(data, logprobs):
    loss = -logprobs.mean()
    return loss, {"perplexity": 2.9447}
