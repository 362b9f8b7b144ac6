"""The spans of the test process, whose provider OpenTelemetry lets be set only once."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

_exporter = InMemorySpanExporter()
_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(_exporter))


def span_exporter() -> InMemorySpanExporter:
    """Return where all spans of this process end, emptied."""
    if trace.get_tracer_provider() is not _provider:
        trace.set_tracer_provider(_provider)
    _exporter.clear()
    return _exporter
