"""Regularizers for custom losses, with exact gradients.

>>> from tinkex.regularizers import L1, Entropy, Pipeline, RegularizerSpec
>>> L1().value([-0.5, -1.5])
2.0
>>> L1().gradient([-0.5, -1.5])
array([-1., -1.])

Pass them to `TrainingClient.forward_backward_custom(data, loss_fn, regularizers=[...])`, or
compute their values with `Pipeline`.
"""

from tinkex.regularizers.base import Regularizer
from tinkex.regularizers.consistency import Consistency
from tinkex.regularizers.distributions import Entropy, KLDivergence
from tinkex.regularizers.events import Observer, log_events
from tinkex.regularizers.gradient_penalty import GradientPenalty
from tinkex.regularizers.norms import L1, L2, ElasticNet
from tinkex.regularizers.orthogonality import Orthogonality
from tinkex.regularizers.pipeline import Pipeline, gradient_norm
from tinkex.regularizers.spec import RegularizerSpec

__all__ = [
    "L1",
    "L2",
    "Consistency",
    "ElasticNet",
    "Entropy",
    "GradientPenalty",
    "KLDivergence",
    "Observer",
    "Orthogonality",
    "Pipeline",
    "Regularizer",
    "RegularizerSpec",
    "gradient_norm",
    "log_events",
]
