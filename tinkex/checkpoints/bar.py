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
    """Draw a bar as long as the block runs; needs ``pip install 'tinkex[progress]'``.

    >>> with progress_bar() as progress:
    ...     download(rest, path, "checkpoints", progress=progress)

    Args:
        label: What stands before the bar.
        file: Where it is drawn in a terminal; standard error if not given.

    Yields:
        The callback, called with (bytes so far, bytes in all or None).

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
            # Less than before after a start from the beginning: the bar goes back as well.
            bar.update(done - bar.n)

        yield progress
