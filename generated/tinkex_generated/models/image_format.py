# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Encoding of an image."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
ImageFormat: TypeAlias = Literal["jpeg", "png"]
