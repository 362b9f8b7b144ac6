"""Load each tokenizer once per process, whichever thread asks first."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from attrs import define, field

from tinkex.tokenizer.tokenizer import Tokenizer

# The most that are kept; the one that was not asked for the longest goes first.
MOST = 32


@define(eq=False)
class _Entry:
    tokenizer: Tokenizer | None = None
    lock: threading.Lock = field(factory=threading.Lock)


_entries: OrderedDict[Hashable, _Entry] = OrderedDict()
_lock = threading.Lock()


def once(key: Hashable, load: Callable[[], Tokenizer]) -> Tokenizer:
    """Return what is loaded under a key, loading it if this is the first call.

    Others who ask for the same meanwhile wait; those who ask for something else do not. What failed
    is tried again by the next call.
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
    """Load everything anew from now on."""
    with _lock:
        _entries.clear()


def _unlock() -> None:
    """Let a forked child go on: whoever held a lock was a thread of its parent."""
    global _lock
    _lock = threading.Lock()
    for entry in _entries.values():
        entry.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
