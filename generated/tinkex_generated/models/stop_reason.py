# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Why a sequence ended: `length` when max_tokens or the context limit was reached, `stop` at a
stop token or stop string."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
StopReason: TypeAlias = Literal["length", "stop"]
