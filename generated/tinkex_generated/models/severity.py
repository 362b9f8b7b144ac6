# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Severity of a telemetry event."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
Severity: TypeAlias = Literal["CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING"]
