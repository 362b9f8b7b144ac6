"""Histograms of durations: buckets over all values, percentiles over the latest ones."""

from __future__ import annotations

import bisect
import math
from collections import deque

# Upper bounds in milliseconds; the last bucket has no bound.
BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
KEPT = 1000


class Histogram:
    """A histogram of durations in milliseconds.

    >>> histogram = Histogram()
    >>> for value in (10, 20, 40):
    ...     histogram.add(value)
    >>> histogram.snapshot()["p50"], histogram.snapshot()["p95"]
    (20, 40)

    Attributes:
        count: The number of values.
        total: Their sum.
        buckets: The number of values per bucket: at most 1 ms, 2, 5, 10, 20, 50, 100, 200, 500, 1,000,
            2,000, 5,000, and above.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)
        self._least = math.inf
        self._most = -math.inf
        self._latest: deque[float] = deque(maxlen=KEPT)

    def add(self, value: float) -> None:
        """Add one duration, in milliseconds."""
        self.count += 1
        self.total += value
        self._least = min(self._least, value)
        self._most = max(self._most, value)
        self.buckets[bisect.bisect_left(BUCKETS, value)] += 1
        self._latest.append(value)

    def snapshot(self) -> dict[str, float | None]:
        """Return count, sum, mean, min and max of all values, and p50, p95 and p99 of the last 1,000.

        p50 is the median; the others use the nearest rank. They are None without values.
        """
        latest = sorted(self._latest)
        return {
            "count": self.count,
            "sum": self.total,
            "mean": self.total / self.count if self.count else None,
            "min": self._least if self.count else None,
            "max": self._most if self.count else None,
            "p50": _median(latest),
            "p95": _nearest_rank(latest, 95),
            "p99": _nearest_rank(latest, 99),
        }


def _median(ordered: list[float]) -> float | None:
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def _nearest_rank(ordered: list[float], percent: int) -> float | None:
    if not ordered:
        return None
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
