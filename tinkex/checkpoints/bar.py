"""A progress bar for terminals and notebooks, drawn by tqdm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import IO

from tinkex.errors import MissingDependencyError

INTERVAL = 0.1


@contextlib.contextmanager
def progress_bar(
    label: str = "download", file: IO[str] | None = None
) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar while the block runs; needs ``pip install 'tinkex[progress]'``.

    >>> with progress_bar() as progress:
    ...     download(rest, path, "checkpoints", progress=progress)

    Args:
        label: The text before the bar.
        file: The stream for the bar in a terminal; standard error by default.

    Yields:
        The callback, which takes (bytes so far, total bytes or None).

    Raises:
        MissingDependencyError: tqdm is not installed.
    """
    try:
        if file is None:
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        raise MissingDependencyError("a progress bar", "progress") from None
    with tqdm(
        desc=label, unit="B", unit_scale=True, unit_divisor=1024, file=file, mininterval=INTERVAL
    ) as bar:

        def progress(done: int, total: int | None) -> None:
            if total is not None and bar.total != total:
                bar.total = total
                bar.refresh()
            # After a restart the count falls: the bar goes back as well.
            bar.update(done - bar.n)

        yield progress
