# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Signed URLs by the file's path relative to the root of the checkpoint."""

from __future__ import annotations

from typing import TypeAlias

FileUrls: TypeAlias = dict[str, str]
