# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Whose fault a failure is: `user` (the request is wrong; sending it again will not help),
`server`, or `unknown`. Take a missing or unknown value for `unknown`."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
RequestErrorCategory: TypeAlias = Literal["server", "unknown", "user"]
