# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""`owned`: only what the caller owns. `accessible`: also what others share with the caller."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
AccessScope: TypeAlias = Literal["accessible", "owned"]
