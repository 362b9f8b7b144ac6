"""Tell whoever listens in this process what the SDK is doing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import ClassVar, Self, TypeVar

from attrs import asdict, frozen

log = logging.getLogger("tinkex.events")


@frozen(kw_only=True)
class Event:
    """Be the base of all events: what happened, in fields that hold no secret.

    Attributes:
        name: What happened, dotted, such as ``tinkex.http.request.stop``. One for each class.
    """

    name: ClassVar[str] = "tinkex"

    def fields(self) -> dict[str, object]:
        """Return the event's fields by name, its own name not among them."""
        return asdict(self, recurse=False)


E = TypeVar("E", bound=Event)
Handler = Callable[[E], object]


class Subscription:
    """Be a handler that listens until it is closed; also a context manager."""

    def __init__(self, handler: Callable[[Event], object], wanted: tuple[type[Event], ...]) -> None:
        self.handler = handler
        self.wanted = wanted

    def close(self) -> None:
        """Stop listening. Closing twice is fine."""
        global _subscriptions
        with _lock:
            _subscriptions = tuple(one for one in _subscriptions if one is not self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


# Read without the lock: a tuple is replaced as a whole, so a reader sees the old one or the new one.
_subscriptions: tuple[Subscription, ...] = ()
_lock = threading.Lock()


def subscribe(handler: Callable[[E], object], *wanted: type[E]) -> Subscription:
    """Call `handler` with every event of the given classes, in the thread where it happens.

    >>> with subscribe(print, Event):  # every event there is
    ...     pass

    Args:
        handler: Called with the event. What it raises is logged and goes no further: a handler that
            fails never hurts a call. It should be quick, since the call waits for it.
        wanted: Event classes; their subclasses count too. None stands for all events.
    """
    global _subscriptions
    subscription = Subscription(handler, wanted or (Event,))  # type: ignore[arg-type]
    with _lock:
        _subscriptions = (*_subscriptions, subscription)
    return subscription


def has_subscribers() -> bool:
    """Return whether anybody listens to anything: the one question that a quiet program pays for."""
    return bool(_subscriptions)


def listened_to(kind: type[Event]) -> bool:
    """Return whether anybody listens to events of this class; ask before building a costly one."""
    return bool(_subscriptions) and any(issubclass(kind, one.wanted) for one in _subscriptions)


def emit(event: Event) -> None:
    """Hand an event to everyone who listens to its class."""
    for subscription in _subscriptions:
        if isinstance(event, subscription.wanted):
            try:
                subscription.handler(event)
            except Exception:
                log.exception("A handler of %s failed; the call goes on", event.name)
