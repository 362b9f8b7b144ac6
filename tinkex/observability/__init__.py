"""Observability: events, metrics, telemetry, training logs and logging.

>>> from tinkex.observability import events, metrics
"""
