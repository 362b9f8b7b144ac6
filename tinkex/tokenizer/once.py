"""A cache that loads each tokenizer once per process."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from attrs import define, field

from tinkex.tokenizer.tokenizer import Tokenizer

# Cache size; the least recently used tokenizer is dropped first.
MOST = 32


@define(eq=False)
class _Entry:
    tokenizer: Tokenizer | None = None
    lock: threading.Lock = field(factory=threading.Lock)


_entries: OrderedDict[Hashable, _Entry] = OrderedDict()
_lock = threading.Lock()


def once(key: Hashable, load: Callable[[], Tokenizer]) -> Tokenizer:
    """Return the tokenizer of a key, loading it on the first call.

    Concurrent calls for the same key wait; calls for other keys do not. A failed load is retried by the
    next call.
    """
    with _lock:
        entry = _entries.setdefault(key, _Entry())
        _entries.move_to_end(key)
        while len(_entries) > MOST:
            _entries.popitem(last=False)
    with entry.lock:
        if entry.tokenizer is None:
            entry.tokenizer = load()
        return entry.tokenizer


def forget() -> None:
    """Clear the cache."""
    with _lock:
        _entries.clear()


def _unlock() -> None:
    """Reset the locks in a forked child: their holders were threads of the parent."""
    global _lock
    _lock = threading.Lock()
    for entry in _entries.values():
        entry.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
