"""Recorded samples: the prompt, tokens and logprobs that `stable_reinforce` looks up later.

They live in memory only, as long as their session does and for a day after the last use, as on the
hosted service.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import define, frozen

from tinkex.local.engine import SampledTokens
from tinkex.local.problem import Problem

RETENTION_S = 86_400.0
# About 200 MB; the least recently used go first.
MOST_TOKENS = 2**24

Array = np.ndarray[Any, Any]


@frozen(eq=False)
class Recording:
    """One sampled sequence: tokens of its prompt (int32), its own tokens (int32) and their logprobs."""

    session_id: str
    prompt: Array
    tokens: Array
    logprobs: Array


@define(eq=False)
class _Entry:
    recording: Recording
    used_at: float

    @property
    def size(self) -> int:
        return len(self.recording.tokens) + len(self.recording.prompt)


class Recordings:
    """The recorded sequences of all sessions, by sequence id; safe to use from any thread."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        retention_s: float = RETENTION_S,
        most_tokens: int = MOST_TOKENS,
    ) -> None:
        self._monotonic = monotonic
        self._retention_s = retention_s
        self._most_tokens = most_tokens
        self._lock = threading.Lock()
        # The least recently used first.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._tokens = 0

    def add(
        self,
        session_id: str,
        sequence_ids: Sequence[str],
        prompt: Array,
        sequences: Sequence[SampledTokens],
    ) -> None:
        """Record the sequences of one sample."""
        narrow = prompt.astype(np.int32)
        with self._lock:
            for sequence_id, sequence in zip(sequence_ids, sequences, strict=True):
                recording = Recording(
                    session_id,
                    narrow,
                    np.array(sequence.tokens, np.int32),
                    np.array(sequence.logprobs, np.float32),
                )
                entry = _Entry(recording, self._monotonic())
                self._entries[sequence_id] = entry
                self._tokens += entry.size
            while self._tokens > self._most_tokens:
                self._drop(next(iter(self._entries)))

    def get(self, session_id: str, sequence_id: str) -> Recording | None:
        """Return a recorded sequence of a session, and keep it for another day; None if there is none."""
        with self._lock:
            self._expire()
            entry = self._entries.get(sequence_id)
            if entry is None or entry.recording.session_id != session_id:
                return None
            entry.used_at = self._monotonic()
            self._entries.move_to_end(sequence_id)
            return entry.recording

    def end_session(self, session_id: str) -> None:
        """Forget a session's sequences."""
        with self._lock:
            for sequence_id, entry in list(self._entries.items()):
                if entry.recording.session_id == session_id:
                    self._drop(sequence_id)

    def expire(self) -> None:
        """Forget what has not been used for too long."""
        with self._lock:
            self._expire()

    def _expire(self) -> None:
        oldest = self._monotonic() - self._retention_s
        while self._entries:
            sequence_id, entry = next(iter(self._entries.items()))
            if entry.used_at >= oldest:
                return
            self._drop(sequence_id)

    def _drop(self, sequence_id: str) -> None:
        self._tokens -= self._entries.pop(sequence_id).size


def not_recorded(sequence_id: str, where: str) -> Problem:
    """Return the problem of a span whose sequence cannot be looked up."""
    return Problem(
        400,
        f"{where}.sequence_id: sequence {sequence_id!r} is not recorded in this session: sample it in"
        " the session that trains, with record_stability_info; recordings are kept for a day after"
        " their last use",
    )
