"""What a request carries: bytes, or more than should be in memory at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class StreamedBody(Protocol):
    """A body of a known size that yields its bytes again for each attempt to send it."""

    @property
    def size(self) -> int:
        """Return the bytes in all."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes, from the first one on."""
        ...


Body: TypeAlias = bytes | StreamedBody


def size_of(content: Body | None) -> int:
    """Return how many bytes a body has; none has no bytes."""
    if content is None:
        return 0
    return len(content) if isinstance(content, bytes) else content.size
