# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Kind of a node in a traced graph."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
CustomLossOp: TypeAlias = Literal[
    "call_function", "call_method", "call_module", "get_attr", "output", "placeholder"
]
