"""What a session tells its server about itself: only when asked to, and only what is listed here."""

from tinkex.observability.telemetry.capture import capture_exceptions
from tinkex.observability.telemetry.reporter import TelemetryReporter

__all__ = ["TelemetryReporter", "capture_exceptions"]
