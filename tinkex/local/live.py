"""What lives only as long as the server: models in training and sampling sessions."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import define, field

from tinkex.local.engine import LoraSpec, Trainer
from tinkex.local.futures import Promise, wake
from tinkex.local.meter import Meter
from tinkex.local.problem import Problem
from tinkex.local.sequence_queue import SequenceQueue

CLONE_SPAN = 1_000_000_000

T = TypeVar("T")


@define(eq=False)
class LiveModel:
    """A model in training. `trainer` and `meter` are touched by the engine thread alone."""

    model_id: str
    session_id: str
    base_model: str
    lora: LoraSpec
    turns: SequenceQueue
    optimizer: str = "adamw"
    trainer: Trainer | None = None
    failure: str | None = None
    meter: Meter = field(factory=Meter)
    # Names of checkpoints that are promised but not yet written.
    promised_names: set[str] = field(factory=set)

    def ready(self) -> Trainer:
        """Return the trainer, or raise the problem that kept it from being made."""
        if self.trainer is None:
            reason = self.failure or "it was unloaded"
            raise Problem(400, f"model {self.model_id!r} cannot be used: {reason}")
        return self.trainer


@define(eq=False)
class LiveSampler:
    """A sampling session: a base model and, unless it is the plain base, an adapter."""

    sampler_id: str
    session_id: str
    base_model: str
    model_path: str | None
    adapter_key: str | None
    adapter_folder: Path | None
    closed: bool = False
    _used: dict[int, tuple[bytes, Any]] = field(init=False, factory=dict)
    _completions: list[tuple[int, Promise]] = field(init=False, factory=list)
    _watchers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(
        init=False, factory=list
    )
    _joined: int = field(init=False, default=0)
    _lock: threading.Lock = field(init=False, factory=threading.Lock)

    def once(self, seq_id: int | None, digest: bytes, make: Callable[[], T]) -> T:
        """Return the response of this sample number; create it if the number is new."""
        if seq_id is None:
            return make()
        with self._lock:
            known = self._used.get(seq_id)
            if known is None:
                known = self._used[seq_id] = (digest, make())
        if known[0] != digest:
            raise Problem(409, f"sample number {seq_id} was already used for a different request")
        return known[1]

    def join(self) -> int:
        """Return the number of one more client that shares this session."""
        with self._lock:
            self._joined += 1
            return self._joined

    def completed(self, seq_id: int | None, promise: Promise) -> None:
        """Note that a sample has its result."""
        with self._lock:
            self._completions.append(((seq_id or 0) // CLONE_SPAN, promise))
            watchers = list(self._watchers)
        for loop, event in watchers:
            wake(loop, event)

    @contextmanager
    def watched(self, loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> Iterator[None]:
        """Set the event whenever a sample is completed, as long as the block runs."""
        watcher = (loop, event)
        with self._lock:
            self._watchers.append(watcher)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.remove(watcher)

    def close(self) -> None:
        """Wake all waiters, and let no more wait for completions."""
        with self._lock:
            self.closed = True
            watchers = list(self._watchers)
        for loop, event in watchers:
            wake(loop, event)

    def completions(self, clone: int, after: int) -> tuple[list[Promise], int]:
        """Return the samples completed for one client after a cursor, and the new cursor."""
        with self._lock:
            new = [promise for owner, promise in self._completions[after:] if owner == clone]
            return new, len(self._completions)


class Directory(Generic[T]):
    """Live objects by id and by session; safe to use from any thread."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._lock = threading.Lock()
        self._items: dict[str, tuple[str, T]] = {}

    def add(self, item_id: str, session_id: str, item: T) -> None:
        """Enter an object."""
        with self._lock:
            self._items[item_id] = (session_id, item)

    def get(self, item_id: str) -> T:
        """Return an object, or raise a 404 problem."""
        found = self.find(item_id)
        if found is None:
            raise Problem(
                404,
                f"{self._noun} {item_id!r} is not in this server's memory: it never was, or its"
                " session has ended, or the server was restarted since",
            )
        return found

    def find(self, item_id: str) -> T | None:
        """Return an object, or None."""
        with self._lock:
            found = self._items.get(item_id)
        return None if found is None else found[1]

    def remove(self, item_id: str) -> None:
        """Remove an object if it exists."""
        with self._lock:
            self._items.pop(item_id, None)

    def take_session(self, session_id: str) -> list[tuple[str, T]]:
        """Take out and return a session's objects."""
        with self._lock:
            mine = [
                (key, item) for key, (owner, item) in self._items.items() if owner == session_id
            ]
            for key, _ in mine:
                del self._items[key]
        return mine

    def all(self) -> Iterable[T]:
        """Return every object."""
        with self._lock:
            return [item for _, item in self._items.values()]


class Keyed:
    """Requests that a client numbers itself, outside of a model's order.

    The same key with the same payload returns the first response again; with another payload it is a
    409 problem.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._responses: dict[tuple[str, str, int], tuple[bytes, Any]] = {}

    def once(self, space: str, owner: str, number: int, digest: bytes, make: Callable[[], T]) -> T:
        """Return the response of this key; create it if the key is new."""
        key = (space, owner, number)
        with self._lock:
            known = self._responses.get(key)
            if known is None:
                response = make()
                self._responses[key] = (digest, response)
                return response
        if known[0] != digest:
            raise Problem(409, f"{space} {number} was already used for a different request")
        result: T = known[1]
        return result

    def forget(self, owner: str) -> None:
        """Forget a session's keys."""
        with self._lock:
            for key in [key for key in self._responses if key[1] == owner]:
                del self._responses[key]
