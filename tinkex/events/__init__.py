"""What the SDK does, told as typed events to whoever listens in this process.

>>> from tinkex import events
>>> with events.subscribe(print, events.HttpRequestStop):
...     sampler.sample(prompt).result()

Nothing is told, and nothing is paid for it, while nobody listens. The classes and their fields
stand in `tinkex.events.kinds`; a queue's changes are `tinkex.types.QueueStateChange`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinkex.events.bus import Event, Subscription, emit, is_heard, listened_to, subscribe

if TYPE_CHECKING:
    from tinkex.events.kinds import CustomLoss as CustomLoss
    from tinkex.events.kinds import CustomLossException as CustomLossException
    from tinkex.events.kinds import CustomLossStart as CustomLossStart
    from tinkex.events.kinds import CustomLossStop as CustomLossStop
    from tinkex.events.kinds import FutureApiError as FutureApiError
    from tinkex.events.kinds import FutureConnectionError as FutureConnectionError
    from tinkex.events.kinds import FutureEvent as FutureEvent
    from tinkex.events.kinds import FutureRequestFailed as FutureRequestFailed
    from tinkex.events.kinds import FutureStart as FutureStart
    from tinkex.events.kinds import FutureStop as FutureStop
    from tinkex.events.kinds import FutureTimeout as FutureTimeout
    from tinkex.events.kinds import FutureTrouble as FutureTrouble
    from tinkex.events.kinds import FutureValidationError as FutureValidationError
    from tinkex.events.kinds import HttpRequest as HttpRequest
    from tinkex.events.kinds import HttpRequestException as HttpRequestException
    from tinkex.events.kinds import HttpRequestStart as HttpRequestStart
    from tinkex.events.kinds import HttpRequestStop as HttpRequestStop
    from tinkex.events.kinds import RegularizerCompute as RegularizerCompute
    from tinkex.events.kinds import RegularizerComputeException as RegularizerComputeException
    from tinkex.events.kinds import RegularizerComputeStart as RegularizerComputeStart
    from tinkex.events.kinds import RegularizerComputeStop as RegularizerComputeStop
    from tinkex.events.kinds import RetryAttempt as RetryAttempt
    from tinkex.events.kinds import RetryAttemptFailed as RetryAttemptFailed
    from tinkex.events.kinds import RetryAttemptRetry as RetryAttemptRetry
    from tinkex.events.kinds import RetryAttemptStart as RetryAttemptStart
    from tinkex.events.kinds import RetryAttemptStop as RetryAttemptStop
    from tinkex.events.kinds import TokensUsed as TokensUsed
    from tinkex.events.lines import attach_logger as attach_logger
    from tinkex.events.lines import detach as detach
    from tinkex.queue_state import QueueStateChange as QueueStateChange

# Where the names are that load when they are first used.
_ELSEWHERE = {
    "QueueStateChange": "tinkex.queue_state",
    "attach_logger": "tinkex.events.lines",
    "detach": "tinkex.events.lines",
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
    "is_heard",
    "listened_to",
    "subscribe",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tinkex.events' has no attribute {name!r}")
    value = getattr(importlib.import_module(_ELSEWHERE.get(name, "tinkex.events.kinds")), name)
    globals()[name] = value
    return value
