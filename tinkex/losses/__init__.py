"""Custom losses, and data for the built-in losses of the service.

>>> from tinkex import losses
>>> datum = losses.cross_entropy_datum([5, 6, 7, 8], weights=[0, 0, 1, 1])

A custom loss is a function from data and log probabilities to a number; pass it to
`TrainingClient.forward_backward_custom`. For terms to add to it, see `tinkex.regularizers`.
"""

from tinkex.losses.data import (
    cispo_datum,
    completion_datum,
    cross_entropy_datum,
    custom_datum,
    dro_datum,
    gspo_datum,
    importance_sampling_datum,
    ppo_datum,
    soft_target_datum,
    stable_reinforce_datum,
)
from tinkex.losses.gradients import Evaluation, detect_backend, evaluate
from tinkex.losses.loss_function import Backend, LossFunction
from tinkex.losses.outputs import BaseLossOutput, CustomLossOutput, RegularizerOutput

__all__ = [
    "Backend",
    "BaseLossOutput",
    "CustomLossOutput",
    "Evaluation",
    "LossFunction",
    "RegularizerOutput",
    "cispo_datum",
    "completion_datum",
    "cross_entropy_datum",
    "custom_datum",
    "detect_backend",
    "dro_datum",
    "evaluate",
    "gspo_datum",
    "importance_sampling_datum",
    "ppo_datum",
    "soft_target_datum",
    "stable_reinforce_datum",
]
