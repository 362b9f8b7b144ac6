"""Iteration over paginated lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

PAGE = 100


def all_pages(fetch: Callable[[int, int], Any], items: Callable[[Any], list[T]]) -> Iterator[T]:
    """Yield the items of all pages.

    Args:
        fetch: Returns the page for a limit and an offset.
        items: Returns the items of a page.
    """
    offset = 0
    while True:
        page = fetch(PAGE, offset)
        batch = items(page)
        yield from batch
        offset += len(batch)
        total = page.cursor.total_count if page.cursor else offset
        if not batch or offset >= total:
            return
