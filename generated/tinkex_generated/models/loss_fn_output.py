# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""What the loss gives for one datum, by name. `logprobs` is always there: float32, of the
shape of `target_tokens`, the model's log-probability of each target token."""

from __future__ import annotations

from typing import TypeAlias

from .tensor_data import TensorData

LossFnOutput: TypeAlias = dict[str, TensorData]
