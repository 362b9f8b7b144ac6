"""Addresses of pages in the service's console."""

from __future__ import annotations

from urllib.parse import quote

_CONSOLE = "https://tinker.thinkingmachines.ai"


def sessions_console_url() -> str:
    """Return the address of the list of sessions."""
    return f"{_CONSOLE}/sessions"


def session_console_url(session_id: str) -> str:
    """Return the address of a session."""
    return f"{_CONSOLE}/sessions/{session_id}"


def training_run_console_url(training_run_id: str) -> str:
    """Return the address of a training run."""
    return f"{_CONSOLE}/training_runs/{training_run_id}"


def checkpoint_console_url(training_run_id: str, checkpoint_id: str) -> str:
    """Return the address of a checkpoint."""
    run, checkpoint = (quote(part, safe="") for part in (training_run_id, checkpoint_id))
    return f"{_CONSOLE}/checkpoints/{run}/{checkpoint}"


def checkpoint_playground_url(tinker_path: str) -> str:
    """Return the address of a page that samples from a checkpoint."""
    return f"{_CONSOLE}/playground?mode=checkpoint&checkpoint={quote(tinker_path, safe='')}"
