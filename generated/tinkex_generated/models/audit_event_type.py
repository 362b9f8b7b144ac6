# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Which audit events to list."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
AuditEventType: TypeAlias = Literal["all", "checkpoints", "organizations", "projects", "teams"]
