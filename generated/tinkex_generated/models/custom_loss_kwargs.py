# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Keyword arguments of a node, encoded as its `args` are."""

from __future__ import annotations

from typing import Any, TypeAlias

CustomLossKwargs: TypeAlias = dict[str, Any]
