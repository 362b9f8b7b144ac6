# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""A trace in the JSON form of Chrome's trace viewer, which Perfetto opens as well:
`traceEvents`, and `displayTimeUnit`."""

from __future__ import annotations

from typing import Any, TypeAlias

TraceFile: TypeAlias = dict[str, Any]
