"""Tell of a download as of any request, without its URL, which is as good as a key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinkex._base.clock import Clock
from tinkex._core.events.bus import emit, has_subscribers

OPERATION = "download_archive"


@contextlib.contextmanager
def told_download(origin: str, file: Path, clock: Clock, pool: str) -> Iterator[None]:
    """Tell when an attempt to fetch a file begins and how it ends.

    Args:
        origin: Where from: scheme, host and port.
        file: Where to, possibly behind what is there.
        clock: What durations are measured by.
        pool: The name of the client's connections.
    """
    if not has_subscribers():
        yield
        return
    from tinkex._core.events.types import HttpRequestException, HttpRequestStart, HttpRequestStop

    facts: dict[str, Any] = {
        "operation": OPERATION, "method": "GET", "path": "", "base_url": origin,
        "pool": pool,
    }  # fmt: skip
    before, began = _size(file), clock.now()
    emit(HttpRequestStart(**facts))
    try:
        yield
    except BaseException as error:
        status = getattr(error, "status_code", None)
        facts["duration"] = clock.now() - began
        if status is None:
            emit(HttpRequestException(**facts, error_type=type(error).__name__))
        else:
            emit(HttpRequestStop(**facts, status_code=status, result="error"))
        raise
    emit(
        HttpRequestStop(
            **facts,
            status_code=206 if before else 200,
            result="ok",
            duration=clock.now() - began,
            received_bytes=max(0, _size(file) - before),
        )
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
