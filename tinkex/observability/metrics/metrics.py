"""Counters, gauges and histograms, filled by the event bus."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any, Self

from tinkex._core.events.bus import Event, Subscription, subscribe
from tinkex._core.events.types import (
    FutureStart,
    FutureStop,
    HttpRequestException,
    HttpRequestStop,
    RetryAttemptRetry,
    TokensUsed,
)
from tinkex.observability.metrics.histogram import Histogram
from tinkex.observability.metrics.ledger import TokenLedger
from tinkex.observability.metrics.prometheus import Series, exposition, series

REQUEST_DURATION = "tinkex_request_duration_ms"


class Metrics:
    """Metrics of this process's requests, retries, calls and tokens, while it is open.

    >>> with Metrics() as metrics:
    ...     sampler.sample(prompt).result()
    ...     print(metrics.snapshot()["histograms"]["tinkex_request_duration_ms"]["p95"])

    It records:

    - ``tinkex_requests_total``, ``_success``, ``_failure``, ``tinkex_retries_total``;
    - ``tinkex_request_duration_ms``, and by call ``tinkex_call_duration_ms{operation="sample"}``;
    - ``tinkex_calls_total{operation=…,outcome=…}`` and the gauge ``tinkex_calls_in_flight``;
    - ``tinkex_tokens_total{kind=…,model=…}``, and the `ledger`.

    Args:
        is_listening: Whether to subscribe to the SDK's events; otherwise it only has your own values.

    Attributes:
        ledger: Tokens and bytes, by operation and model.
    """

    def __init__(self, *, is_listening: bool = True) -> None:
        self.ledger = TokenLedger()
        self._lock = threading.Lock()
        self._counters: dict[Series, float] = {}
        self._gauges: dict[Series, float] = {}
        self._histograms: dict[Series, Histogram] = {}
        self._subscriptions: list[Subscription] = []
        if is_listening:
            self._subscriptions = [
                subscribe(self._on_response, HttpRequestStop),
                subscribe(self._on_silence, HttpRequestException),
                subscribe(self._on_retry, RetryAttemptRetry),
                subscribe(self._on_call, FutureStart),
                subscribe(self._on_end, FutureStop),
                subscribe(self._on_tokens, TokensUsed),
            ]

    def increment(self, name: str, delta: float = 1, **labels: str) -> None:
        """Add to a counter.

        >>> metrics.increment("my_steps_total", 1, phase="warmup")
        """
        with self._lock:
            key = series(name, labels)
            self._counters[key] = self._counters.get(key, 0) + delta

    def set_gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._gauges[series(name, labels)] = value

    def record_histogram(self, name: str, milliseconds: float, **labels: str) -> None:
        """Add a duration in milliseconds; values that are not finite are ignored."""
        is_number = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
        if not is_number or not math.isfinite(milliseconds):
            return
        with self._lock:
            self._histograms.setdefault(series(name, labels), Histogram()).add(milliseconds)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return all current values: counters and gauges by name, and the statistics of each histogram.

        A name with labels reads ``tinkex_call_duration_ms{operation="sample"}``.
        """
        with self._lock:
            return {
                "counters": {str(key): value for key, value in self._counters.items()},
                "gauges": {str(key): value for key, value in self._gauges.items()},
                "histograms": {
                    str(key): histogram.snapshot() for key, histogram in self._histograms.items()
                },
            }

    def prometheus(self) -> str:
        """Return all values in Prometheus's text format.

        >>> Path("tinkex.prom").write_text(metrics.prometheus())
        """
        with self._lock:
            return exposition(self._counters, self._gauges, self._histograms)

    def reset(self) -> None:
        """Reset all values, including the ledger."""
        with self._lock:
            self._counters.clear()
            self._gauges.clear()
            self._histograms.clear()
        self.ledger.reset()

    def flush(self) -> None:
        """Wait until all events so far are counted.

        Events are counted on the threads that emit them, so this only waits for one that is in
        progress.
        """
        with self._lock:
            pass

    def close(self) -> None:
        """Unsubscribe; the values are kept."""
        for subscription in self._subscriptions:
            subscription.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _on_response(self, event: HttpRequestStop) -> None:
        self._count_request(event, "success" if event.result == "ok" else "failure", event.duration)

    def _on_silence(self, event: HttpRequestException) -> None:
        self._count_request(event, "failure", event.duration)

    def _count_request(self, event: Event, result: str, duration: float) -> None:
        self.increment("tinkex_requests_total")
        self.increment(f"tinkex_requests_{result}")
        self.record_histogram(REQUEST_DURATION, duration * 1000)
        self.ledger.note(event)

    def _on_retry(self, event: RetryAttemptRetry) -> None:
        self.increment("tinkex_retries_total", operation=event.operation)

    def _on_call(self, _: FutureStart) -> None:
        self._add_to_gauge("tinkex_calls_in_flight", 1)

    def _on_end(self, event: FutureStop) -> None:
        self._add_to_gauge("tinkex_calls_in_flight", -1)
        self.increment("tinkex_calls_total", operation=event.operation, outcome=event.outcome)
        self.record_histogram(
            "tinkex_call_duration_ms", event.duration * 1000, operation=event.operation
        )

    def _on_tokens(self, event: TokensUsed) -> None:
        counts: Mapping[str, int] = {
            "trained": event.trained,
            "prompted": event.prompted,
            "sampled": event.sampled,
        }
        for kind, count in counts.items():
            if count:
                model = event.model or "unknown"
                self.increment("tinkex_tokens_total", count, kind=kind, model=model)
        self.ledger.note(event)

    def _add_to_gauge(self, name: str, delta: int) -> None:
        with self._lock:
            key = series(name, {})
            # A call from before a reset, or before the subscription, is not counted.
            self._gauges[key] = max(0, self._gauges.get(key, 0) + delta)
