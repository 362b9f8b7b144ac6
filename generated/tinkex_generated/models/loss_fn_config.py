# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Settings of the loss by name: numbers, or strings where a loss takes them (`loss_id` of
`custom`)."""

from __future__ import annotations

from typing import TypeAlias

LossFnConfig: TypeAlias = dict[str, float | str]
