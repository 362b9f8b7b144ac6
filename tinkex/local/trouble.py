"""The newest errors and refused requests, for the page."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from attrs import frozen

from tinkex.local.changes import Changes

MOST_ENTRIES = 50
LONGEST_TEXT = 1000


@frozen
class Trouble:
    """A failed or refused request: its operation, reason, last time and count."""

    what: str
    reason: str
    at: float
    count: int = 1


class TroubleLog:
    """The newest troubles; one that comes again is counted, so that it displaces no other."""

    def __init__(self, now: Callable[[], float], changes: Changes) -> None:
        self._now = now
        self._changes = changes
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], Trouble] = OrderedDict()

    def add(self, what: str, reason: str, *, by_reason: bool = True) -> None:
        """Note what failed, and why; without `by_reason` other reasons count as the same trouble."""
        what, reason = what[:LONGEST_TEXT], reason[:LONGEST_TEXT]
        key = (what, reason if by_reason else "")
        with self._lock:
            before = self._entries.pop(key, None)
            count = 1 if before is None else before.count + 1
            self._entries[key] = Trouble(what, reason, self._now(), count)
            while len(self._entries) > MOST_ENTRIES:
                self._entries.popitem(last=False)
        self._changes.note()

    def newest(self) -> list[Trouble]:
        """Return the entries, newest first."""
        with self._lock:
            return list(reversed(self._entries.values()))
