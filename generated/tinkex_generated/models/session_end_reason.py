# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""How a client's work ended: normally, by an error, or by an interrupt."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
SessionEndReason: TypeAlias = Literal["errored", "interrupted", "success"]
