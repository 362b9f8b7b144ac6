# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Details of an audit event; any JSON."""

from __future__ import annotations

from typing import Any, TypeAlias

AuditEventDetails: TypeAlias = dict[str, Any]
