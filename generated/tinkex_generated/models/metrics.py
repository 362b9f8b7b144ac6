# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Numbers by name. A name is `name:reduction`, with exactly one colon; the reduction (`sum`,
`mean`, `min`, `max`, `slack`, `unique`, ...) says how a client combines the values of
several requests that belong together."""

from __future__ import annotations

from typing import TypeAlias

Metrics: TypeAlias = dict[str, float]
