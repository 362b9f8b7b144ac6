"""Scratch memory that a worker keeps between micro-batches.

Allocating a fresh array for every intermediate value costs page faults that take as long as the
arithmetic; an arena hands out the same memory under the same name instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Elements of one operand that stay in a core's second-level cache through a few passes.
CACHE_ELEMENTS = 1 << 15


class Arena:
    """Named arrays that are reused; at most one thread uses an arena at a time.

    Example:
        >>> arena = Arena()
        >>> arena.take("scores", (2, 3), np.dtype("float32")).shape
        (2, 3)

    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, np.dtype[Any]], Array] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the array called `name` in this shape; its content is undefined."""
        size = math.prod(shape)
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = np.empty(size, dtype)
            self._buffers[name, dtype] = buffer
        return buffer[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(buffer.nbytes for buffer in self._buffers.values())


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Cut `rows` rows of `width` elements into blocks that fit the cache."""
    step = max(1, CACHE_ELEMENTS // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
