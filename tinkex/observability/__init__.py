"""Events, metrics, telemetry, the training log and logging: what the SDK did, and how long it took.

>>> from tinkex.observability import events, metrics
"""
