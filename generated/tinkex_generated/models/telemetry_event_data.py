# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Details of a telemetry event; any JSON."""

from __future__ import annotations

from typing import Any, TypeAlias

TelemetryEventData: TypeAlias = dict[str, Any]
