"""Request content: bytes, or a stream that is larger than memory should hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class StreamedContent(Protocol):
    """Content of a known size, which can be iterated again for each attempt."""

    @property
    def size(self) -> int:
        """Return the total number of bytes."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes, from the start."""
        ...


Content: TypeAlias = bytes | StreamedContent


def size_of(content: Content | None) -> int:
    """Return the number of bytes of a content; 0 for None."""
    if content is None:
        return 0
    return len(content) if isinstance(content, bytes) else content.size
