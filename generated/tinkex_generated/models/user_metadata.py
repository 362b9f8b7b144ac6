# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Labels of the caller: any keys, string values."""

from __future__ import annotations

from typing import TypeAlias

UserMetadata: TypeAlias = dict[str, str]
