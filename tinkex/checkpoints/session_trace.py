"""Atomic download of a session's trace."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from tinkex._base.file_names import portable_name
from tinkex._base.secret import Secret
from tinkex._core.checks import checked_id
from tinkex._core.retry import TRACE_PATIENCE
from tinkex.checkpoints.fetch import Source, fetch
from tinkex.checkpoints.partial import Partial
from tinkex.checkpoints.server import CheckpointServer
from tinkex.checkpoints.staging import abandon, discard, staging
from tinkex.errors import CheckpointError, RequestFailedError, ValidationError

# A trace has a few hundred bytes per request.
MOST_BYTES = 16 * 1024**3


def download_session_trace(
    rest: CheckpointServer,
    session_id: str,
    file: str | os.PathLike[str] | None = None,
    force: bool = False,
    patience: float = TRACE_PATIENCE,
) -> Path:
    """Download a session's trace to a file; the write is atomic.

    >>> download_session_trace(rest, "session-1")
    PosixPath('/home/me/session-1.trace.json')

    Open it with https://ui.perfetto.dev or chrome://tracing. Like the download of a checkpoint, it resumes
    an interrupted one, and the host of the file gets no key or cookie.

    Args:
        rest: A `RestClient` of the server.
        session_id: The session.
        file: The target; ``<session id>.trace.json`` in the current folder by default.
        force: Whether to replace an existing file.
        patience: Seconds to wait for the server to create the trace.

    Raises:
        ValidationError: The file exists, or is a folder.
        RequestFailedError: The server failed to create the trace, or timed out.
        CheckpointError: The file cannot be written, or its host refuses.
        DownloadIncompleteError: The trace was incomplete after all attempts.
    """
    name = portable_name(checked_id(session_id, "session_id")) + ".trace.json"
    target = Path(file) if file is not None else Path.cwd() / name
    _check_target(target, force=force)
    signs = _signs(rest, session_id, patience)
    # Requested before anything is written: an unknown session leaves nothing behind.
    signs = itertools.chain([next(signs)], signs)
    label = f"the trace of session {session_id}"
    source = Source(label, signs.__next__, rest.config, rest.clock, MOST_BYTES)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with staging(target.parent, target.name) as folder:
            partial = Partial(folder / "trace.partial")
            try:
                fetch(source, partial, None)
                # Another process may have created the target during the download.
                _check_target(target, force=force)
            except BaseException:
                abandon(folder)
                raise
            partial.finish(target)
            discard(folder)
    except OSError as error:
        raise CheckpointError(
            f"{target} cannot be written ({error.strerror or type(error).__name__}); free some "
            "space, or choose another file"
        ) from error
    return target


def _check_target(target: Path, *, force: bool) -> None:
    if target.is_dir() or (target.exists() and not force):
        raise ValidationError(
            f"{target} exists already; choose another name, or pass force=True to replace a file",
            path="file",
        )


def _signs(rest: CheckpointServer, session_id: str, patience: float) -> Iterator[Secret]:
    """Yield URLs of the trace, each with a new signature."""
    while True:
        url = Secret(rest.export_session_trace(session_id, patience).url or "")
        if not url:
            raise RequestFailedError(
                f"the trace of session {session_id} is ready, but the server returned no URL",
                session_id=session_id,
            )
        yield url
