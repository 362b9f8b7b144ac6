# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Number type of a tensor: 64-bit signed integers or 32-bit floats. Nothing else travels."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
TensorDtype: TypeAlias = Literal["float32", "int64"]
