"""Counters and durations of what the SDK does; see docs/observability.md.

>>> with Metrics() as metrics:
...     sampler.sample(prompt).result()
...     metrics.snapshot()["counters"]["tinkex_requests_total"]
4
>>> metrics.ledger.estimate({"Qwen/Qwen3-8B": Price(train=1.2, prompt=0.3, sample=0.9)}).total
0.00018
"""

from tinkex.observability.metrics.histogram import Histogram
from tinkex.observability.metrics.ledger import LedgerRow, TokenLedger
from tinkex.observability.metrics.metrics import Metrics
from tinkex.observability.metrics.prices import Estimate, EstimateLine, Price, load_prices

__all__ = [
    "Estimate",
    "EstimateLine",
    "Histogram",
    "LedgerRow",
    "Metrics",
    "Price",
    "TokenLedger",
    "load_prices",
]
