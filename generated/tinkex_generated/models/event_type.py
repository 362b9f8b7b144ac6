# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Kind of telemetry event."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
EventType: TypeAlias = Literal[
    "GENERIC_EVENT", "SESSION_END", "SESSION_START", "UNHANDLED_EXCEPTION"
]
