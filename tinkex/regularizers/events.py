"""The events of a pipeline."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from tinkex._base.clock import Clock
from tinkex._core.events.bus import Event, emit, has_subscribers

Observer = Callable[[str, Mapping[str, Any], Mapping[str, Any]], None]
"""A function of (event, measurements, metadata).

The events: ``custom_loss.start``, ``.stop`` (duration, loss_total, regularizer_total),
``.exception``; and for each regularizer ``regularizer.compute.start``, ``.stop`` (duration, value,
contribution, grad_norm), ``.exception``. Durations are seconds.
"""

log = logging.getLogger("tinkex.regularizers")


@contextlib.contextmanager
def observed(
    observer: Observer | None, name: str, clock: Clock, facts: Mapping[str, Any]
) -> Iterator[dict[str, float | None]]:
    """Emit the start of a computation, and its end or its failure.

    The event of the end includes what the caller puts into the yielded mapping.
    """
    began, measured = clock.now(), dict[str, float | None]()
    _emit(observer, f"{name}.start", {"system_time": time.time()}, facts)
    try:
        yield measured
    except Exception as error:
        about = {**facts, "reason": repr(error), "error_type": type(error).__name__}
        _emit(observer, f"{name}.exception", {"duration": clock.now() - began}, about)
        raise
    _emit(observer, f"{name}.stop", {"duration": clock.now() - began, **measured}, facts)


def _emit(
    observer: Observer | None,
    event: str,
    measurements: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Emit an event on the bus and to an observer; their failures do not stop the training."""
    if has_subscribers():
        emit(_event(event, measurements, metadata))
    if observer is None:
        return
    try:
        observer(event, measurements, metadata)
    except Exception:
        log.warning("the observer of %s failed", event, exc_info=True)


def _event(event: str, measurements: Mapping[str, Any], metadata: Mapping[str, Any]) -> Event:
    from tinkex._core.events import types as kinds

    kind: type[Event] = {
        "custom_loss.start": kinds.CustomLossStart,
        "custom_loss.stop": kinds.CustomLossStop,
        "custom_loss.exception": kinds.CustomLossException,
        "regularizer.compute.start": kinds.RegularizerComputeStart,
        "regularizer.compute.stop": kinds.RegularizerComputeStop,
        "regularizer.compute.exception": kinds.RegularizerComputeException,
    }[event]
    # The observer also gets the time of day and an error's message; a bus event does not.
    wanted = {field.name for field in attrs.fields(kind)}
    facts = {**measurements, **metadata}
    return kind(**{key: fact for key, fact in facts.items() if key in wanted})


def log_events(level: int = logging.INFO) -> Observer:
    """Return an observer that logs a line per event to "tinkex.regularizers".

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
