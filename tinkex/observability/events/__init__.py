"""Typed events for everything that the SDK does, emitted to subscribers in this process.

>>> from tinkex import events
>>> with events.subscribe(print, events.HttpRequestStop):
...     sampler.sample(prompt).result()

Without subscribers nothing is emitted, at no cost. The classes are defined in
`tinkex._core.events.types`; changes of a queue state are `tinkex.types.QueueStateChange`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinkex._core.events.bus import (
    Event,
    Subscription,
    emit,
    has_subscribers,
    has_subscribers_for,
    subscribe,
)

if TYPE_CHECKING:
    from tinkex._core.events.types import CustomLoss as CustomLoss
    from tinkex._core.events.types import CustomLossException as CustomLossException
    from tinkex._core.events.types import CustomLossStart as CustomLossStart
    from tinkex._core.events.types import CustomLossStop as CustomLossStop
    from tinkex._core.events.types import FutureApiError as FutureApiError
    from tinkex._core.events.types import FutureConnectionError as FutureConnectionError
    from tinkex._core.events.types import FutureEvent as FutureEvent
    from tinkex._core.events.types import FutureRequestFailed as FutureRequestFailed
    from tinkex._core.events.types import FutureStart as FutureStart
    from tinkex._core.events.types import FutureStop as FutureStop
    from tinkex._core.events.types import FutureTimeout as FutureTimeout
    from tinkex._core.events.types import FutureTrouble as FutureTrouble
    from tinkex._core.events.types import FutureValidationError as FutureValidationError
    from tinkex._core.events.types import HttpRequest as HttpRequest
    from tinkex._core.events.types import HttpRequestException as HttpRequestException
    from tinkex._core.events.types import HttpRequestStart as HttpRequestStart
    from tinkex._core.events.types import HttpRequestStop as HttpRequestStop
    from tinkex._core.events.types import RegularizerCompute as RegularizerCompute
    from tinkex._core.events.types import RegularizerComputeException as RegularizerComputeException
    from tinkex._core.events.types import RegularizerComputeStart as RegularizerComputeStart
    from tinkex._core.events.types import RegularizerComputeStop as RegularizerComputeStop
    from tinkex._core.events.types import RetryAttempt as RetryAttempt
    from tinkex._core.events.types import RetryAttemptFailed as RetryAttemptFailed
    from tinkex._core.events.types import RetryAttemptRetry as RetryAttemptRetry
    from tinkex._core.events.types import RetryAttemptStart as RetryAttemptStart
    from tinkex._core.events.types import RetryAttemptStop as RetryAttemptStop
    from tinkex._core.events.types import TokensUsed as TokensUsed
    from tinkex._core.queue_state import QueueStateChange as QueueStateChange
    from tinkex.observability.events.log import attach_logger as attach_logger
    from tinkex.observability.events.log import detach as detach

# The modules of names that are loaded on first use.
_ELSEWHERE = {
    "QueueStateChange": "tinkex._core.queue_state",
    "attach_logger": "tinkex.observability.events.log",
    "detach": "tinkex.observability.events.log",
}

__all__ = [
    "CustomLoss",
    "CustomLossException",
    "CustomLossStart",
    "CustomLossStop",
    "Event",
    "FutureApiError",
    "FutureConnectionError",
    "FutureEvent",
    "FutureRequestFailed",
    "FutureStart",
    "FutureStop",
    "FutureTimeout",
    "FutureTrouble",
    "FutureValidationError",
    "HttpRequest",
    "HttpRequestException",
    "HttpRequestStart",
    "HttpRequestStop",
    "QueueStateChange",
    "RegularizerCompute",
    "RegularizerComputeException",
    "RegularizerComputeStart",
    "RegularizerComputeStop",
    "RetryAttempt",
    "RetryAttemptFailed",
    "RetryAttemptRetry",
    "RetryAttemptStart",
    "RetryAttemptStop",
    "Subscription",
    "TokensUsed",
    "attach_logger",
    "detach",
    "emit",
    "has_subscribers",
    "has_subscribers_for",
    "subscribe",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tinkex.observability.events' has no attribute {name!r}")
    value = getattr(
        importlib.import_module(_ELSEWHERE.get(name, "tinkex._core.events.types")), name
    )
    globals()[name] = value
    return value
