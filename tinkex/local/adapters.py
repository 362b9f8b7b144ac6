"""The adapters that sampling uses, within a bounded number in memory.

A checkpoint's adapter can be read again at any time. An ephemeral one (saved for one sampling
session, without a name) is written to the server's own staging folder when it has to make room.
"""

import threading
from collections import OrderedDict
from pathlib import Path

from attrs import define, field

from tinkex.local.engine import Adapter, Base
from tinkex.local.problem import Problem

IN_MEMORY = 64


@define(eq=False)
class AdapterShelf:
    """Adapters by key: a checkpoint's folder id, or the id of the sampler they were made for."""

    _spool: Path
    _in_memory: int = IN_MEMORY
    _lock: threading.Lock = field(init=False, factory=threading.Lock)
    _loaded: OrderedDict[str, Adapter] = field(init=False, factory=OrderedDict)
    _ephemeral: set[str] = field(init=False, factory=set)

    def put(self, key: str, adapter: Adapter) -> None:
        """Store an ephemeral adapter until it is dropped."""
        with self._lock:
            self._ephemeral.add(key)
        self._enter(key, adapter)

    def get(self, key: str, folder: Path | None, base: Base) -> Adapter:
        """Return an adapter, from memory, from `folder`, or from where it was spilled."""
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
        source = folder or self._spool / key
        if not source.is_dir():
            raise Problem(404, "the weights of this sampling session are gone: were they deleted?")
        adapter = Adapter.load(source, base)
        self._enter(key, adapter)
        return adapter

    def forget(self, key: str) -> None:
        """Drop an adapter; files of an ephemeral one go with the server's staging folder."""
        with self._lock:
            self._loaded.pop(key, None)
            self._ephemeral.discard(key)

    def _enter(self, key: str, adapter: Adapter) -> None:
        with self._lock:
            self._loaded[key] = adapter
            self._loaded.move_to_end(key)
            crowded = len(self._loaded) > self._in_memory
            oldest = next(iter(self._loaded)) if crowded else None
            evicted = self._loaded[oldest] if oldest is not None else None
            save = oldest in self._ephemeral
        if oldest is None or evicted is None:
            return
        # Written before it leaves the memory, so that it can be found at every moment.
        if save and not (self._spool / oldest).is_dir():
            self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            evicted.save(self._spool / oldest)
        with self._lock:
            self._loaded.pop(oldest, None)
