# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Per-token inputs of the loss by name; which names a loss takes is listed at LossFnType."""

from __future__ import annotations

from typing import TypeAlias

from .tensor_data import TensorData

LossFnInputs: TypeAlias = dict[str, TensorData]
