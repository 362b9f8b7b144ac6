"""The words in which servers describe states, failures and ends of samples.

Fields that hold such a word are plain strings, because a newer server may send another one. These
enumerations list the known words and read any text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Word(StrEnum):
    """A word that a server sends. Members are strings and compare as such."""

    @classmethod
    def values(cls) -> tuple[Self, ...]:
        """Return all known words."""
        return tuple(cls)

    @classmethod
    def _find(cls, text: object) -> Self | None:
        found = str(text).strip().lower()
        return next((word for word in cls if word == found), None)


class _OpenWord(_Word):
    """A word that may be unknown."""

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a word, in any case; anything else is `UNKNOWN`."""
        return cls._find(text) or cls("unknown")


class QueueState(_OpenWord):
    """The state of the queue that a pending request waits in.

    >>> QueueState.parse("Paused_Capacity").is_paused
    True
    """

    ACTIVE = "active"
    PAUSED_CAPACITY = "paused_capacity"
    PAUSED_RATE_LIMIT = "paused_rate_limit"
    UNKNOWN = "unknown"

    @property
    def is_paused(self) -> bool:
        """Return whether requests wait for something other than their turn."""
        return self in {QueueState.PAUSED_CAPACITY, QueueState.PAUSED_RATE_LIMIT}


class RequestErrorCategory(_OpenWord):
    """The party that can fix a failure; `TinkexError.category` is one of these.

    >>> RequestErrorCategory.parse("USER").retryable
    False
    """

    UNKNOWN = "unknown"
    SERVER = "server"
    USER = "user"

    @property
    def retryable(self) -> bool:
        """Return whether the same request may succeed later. `TinkexError.retryable` knows more."""
        return self is not RequestErrorCategory.USER


class StopReason(_Word):
    """Why a sampled sequence ended.

    >>> StopReason.parse("length") is StopReason.LENGTH
    True
    """

    LENGTH = "length"
    STOP = "stop"

    @classmethod
    def parse(cls, text: object) -> StopReason | None:
        """Read a reason, in any case; None for anything else."""
        return cls._find(text)
