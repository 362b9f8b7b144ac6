"""The event bus: delivers what the SDK does to subscribers in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import ClassVar, Self, TypeVar

from attrs import asdict, frozen

log = logging.getLogger("tinkex.events")


@frozen(kw_only=True)
class Event:
    """Base class of all events; no field holds a secret.

    Attributes:
        name: The event's dotted name, such as ``tinkex.http.request.stop``; unique per class.
    """

    name: ClassVar[str] = "tinkex"

    def fields(self) -> dict[str, object]:
        """Return the event's fields by name, without `name` itself."""
        return asdict(self, recurse=False)


E = TypeVar("E", bound=Event)
Handler = Callable[[E], object]


class Subscription:
    """A subscribed handler; `close` it to unsubscribe, or use it as a context manager."""

    def __init__(self, handler: Callable[[Event], object], wanted: tuple[type[Event], ...]) -> None:
        self.handler = handler
        self.wanted = wanted

    def close(self) -> None:
        """Unsubscribe the handler. The call is idempotent."""
        with _lock:
            _replace(tuple(one for one in _subscriptions if one is not self))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


# Replaced as a whole and read without the lock: readers see the old tuple or the new one.
_subscriptions: tuple[Subscription, ...] = ()
# Whether a class has a handler, for classes that were asked about since the subscriptions were replaced.
_wanted: dict[type[Event], bool] = {}
_lock = threading.Lock()


def _replace(subscriptions: tuple[Subscription, ...]) -> None:
    global _subscriptions, _wanted
    # In this order: who reads the new dictionary reads the new subscriptions.
    _subscriptions = subscriptions
    _wanted = {}


def subscribe(handler: Callable[[E], object], *wanted: type[E]) -> Subscription:
    """Call `handler` with every event of the given classes, on the thread that emits it.

    >>> with subscribe(print, Event):  # every event
    ...     pass

    Args:
        handler: Called with the event. Its exceptions are logged and never reach the emitting call. It
            must be quick: the call waits for it.
        wanted: Event classes, including their subclasses; all events if empty.
    """
    subscription = Subscription(handler, wanted or (Event,))  # type: ignore[arg-type]
    with _lock:
        _replace((*_subscriptions, subscription))
    return subscription


def has_subscribers() -> bool:
    """Return whether any handler is subscribed: the only cost of events to a program without any."""
    return bool(_subscriptions)


def has_subscribers_for(kind: type[Event]) -> bool:
    """Return whether any handler is subscribed to a class; check it before building costly events."""
    known = _wanted
    found = known.get(kind)
    if found is None:
        found = known[kind] = any(issubclass(kind, one.wanted) for one in _subscriptions)
    return found


def emit(event: Event) -> None:
    """Deliver an event to the handlers that are subscribed to its class."""
    for subscription in _subscriptions:
        if isinstance(event, subscription.wanted):
            try:
                subscription.handler(event)
            except Exception:
                log.exception("A handler of %s failed; the call continues", event.name)
