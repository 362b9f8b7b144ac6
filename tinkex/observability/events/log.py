"""Logging of events, one line each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from itertools import count

from tinkex._core.events.bus import Event, Subscription, subscribe
from tinkex._core.events.types import (
    HttpRequest,
    HttpRequestException,
    HttpRequestStart,
    HttpRequestStop,
)
from tinkex._core.queue_state import QueueStateChange
from tinkex.errors import ValidationError

log = logging.getLogger("tinkex.events")

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_attached: dict[str, Subscription] = {}
_lock = threading.Lock()
_numbers = count(1)


def attach_logger(
    level: str = "info",
    events: Iterable[type[Event]] | None = None,
    handler_id: str | None = None,
) -> str:
    """Log each event to "tinkex.observability.events", and return an id for `detach`.

    >>> tinkex.enable_logging("info")
    >>> reading = attach_logger()
    >>> detach(reading)

    Args:
        level: "debug", "info", "warning" or "error"; requests without a response are always errors.
        events: Event classes, including their subclasses; by default requests (start, stop and
            exception) and queue state changes.
        handler_id: A custom id for `detach`.

    Raises:
        ValidationError: The level or an event class is invalid, or the id is in use.
    """
    if level not in _LEVELS:
        raise ValidationError(f"must be one of {', '.join(_LEVELS)}, not {level!r}", path="level")
    default = (HttpRequestStart, HttpRequestStop, HttpRequestException, QueueStateChange)
    wanted = default if events is None else tuple(events)
    for index, kind in enumerate(wanted):
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise ValidationError(
                f"must be a class of tinkex.events, not {kind!r}", path=f"events[{index}]"
            )
    name = handler_id or f"tinkex-logger-{next(_numbers)}"
    with _lock:
        if name in _attached:
            raise ValidationError(f"{name!r} is attached already; detach it", path="handler_id")
        _attached[name] = subscribe(_writer(_LEVELS[level]), *wanted)
    return name


def detach(handler_id: str) -> bool:
    """Stop logging events for an id; return whether it was attached."""
    with _lock:
        subscription = _attached.pop(handler_id, None)
    if subscription is None:
        return False
    subscription.close()
    return True


def _writer(level: int) -> Callable[[Event], None]:
    def write(event: Event) -> None:
        is_failure = isinstance(event, HttpRequestException)
        log.log(logging.ERROR if is_failure else level, "%s", line(event))

    return write


def _server(event: HttpRequest) -> str:
    return f"{event.base_url} pool={event.pool}"


def line(event: Event) -> str:
    """Return a one-line description of an event."""
    match event:
        case HttpRequestStart():
            return f"HTTP {event.method} {event.path} start ({event.operation}, {_server(event)})"
        case HttpRequestStop():
            return (
                f"HTTP {event.method} {event.path} {event.result} {event.status_code} in "
                f"{event.duration * 1000:.0f} ms, retries={event.retries} ({_server(event)})"
            )
        case HttpRequestException():
            return (
                f"HTTP {event.method} {event.path} {event.error_type} after "
                f"{event.duration * 1000:.0f} ms, retries={event.retries} ({_server(event)})"
            )
        case QueueStateChange():
            why = f" ({event.reason})" if event.reason else ""
            return f"Queue state {event.state}{why} for {event.request_id or event.subject}"
    return f"{event.name} " + " ".join(
        f"{name}={value}" for name, value in event.fields().items() if value is not None
    )
