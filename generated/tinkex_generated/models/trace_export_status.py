# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""`pending` (ask again in 5 s), `ready` or `failed`."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
TraceExportStatus: TypeAlias = Literal["failed", "pending", "ready"]
