"""Telemetry that a session sends to its server: opt-in, and limited to the fields listed here."""

from tinkex.observability.telemetry.capture import capture_exceptions
from tinkex.observability.telemetry.reporter import TelemetryReporter

__all__ = ["TelemetryReporter", "capture_exceptions"]
