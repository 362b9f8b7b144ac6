"""Events of downloads, without their URLs, which are secret."""

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
    """Emit the start and the end of an attempt to fetch a file.

    Args:
        origin: The source's scheme, host and port.
        file: The target file, which may have earlier bytes.
        clock: The clock of the durations.
        pool: The name of the client's connection pool.
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
