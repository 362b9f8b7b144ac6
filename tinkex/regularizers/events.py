"""What a pipeline tells an observer while it works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tinkex._core.events.bus import Event, emit, has_subscribers

Observer = Callable[[str, Mapping[str, Any], Mapping[str, Any]], None]
"""A function of (event, measurements, metadata).

The events: ``custom_loss.start``, ``.stop`` (duration, loss_total, regularizer_total),
``.exception``; and for each regularizer ``regularizer.compute.start``, ``.stop`` (duration, value,
contribution, grad_norm), ``.exception``. Durations are seconds.
"""

log = logging.getLogger("tinkex.regularizers")


def tell(
    observer: Observer | None,
    event: str,
    measurements: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Tell an observer, and the event bus; a failure of theirs does not stop the training."""
    if has_subscribers():
        _emit(event, measurements, metadata)
    if observer is None:
        return
    try:
        observer(event, measurements, metadata)
    except Exception:
        log.warning("the observer of %s failed", event, exc_info=True)


def _emit(event: str, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    from tinkex._core.events import types as kinds

    kind: type[Event] = {
        "custom_loss.start": kinds.CustomLossStart,
        "custom_loss.stop": kinds.CustomLossStop,
        "custom_loss.exception": kinds.CustomLossException,
        "regularizer.compute.start": kinds.RegularizerComputeStart,
        "regularizer.compute.stop": kinds.RegularizerComputeStop,
        "regularizer.compute.exception": kinds.RegularizerComputeException,
    }[event]
    # An observer is told the time of day and an error's message as well; an event is not.
    wanted = {field.name for field in attrs.fields(kind)}
    emit(kind(**{key: fact for key, fact in {**measurements, **metadata}.items() if key in wanted}))


def log_events(level: int = logging.INFO) -> Observer:
    """Make an observer that writes a line for each event to the log "tinkex.regularizers".

    >>> pipeline = Pipeline([RegularizerSpec(L1(), 0.01)], observer=log_events())
    """

    def observe(event: str, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        numbers = " ".join(
            f"{name}={value:.4f}" if isinstance(value, float) else f"{name}={value}"
            for name, value in measurements.items()
            if value is not None
        )
        name = metadata.get("regularizer_name", "")
        reason = metadata.get("reason", "")
        log.log(level, "%s", " ".join(str(part) for part in (event, name, numbers, reason) if part))

    return observe
