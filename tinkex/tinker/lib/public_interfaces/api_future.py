"""Results that are still being made."""

from __future__ import annotations

from tinkex.tinker._futures import APIFuture, AwaitableConcurrentFuture

__all__ = ["APIFuture", "AwaitableConcurrentFuture"]
