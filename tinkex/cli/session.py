"""`tinkex session list`, `info`, `close` and `export-trace`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.paging import collect, heading, list_options, scope_option
from tinkex.cli.tables import facts, table
from tinkex.cli.text import size

PAGE = 500


@click.group("session", cls=Group)
def command() -> None:
    """List sessions, close them, and export their traces."""


@command.command("list")
@list_options
@scope_option
@pass_invocation
def list_sessions(invocation: Invocation, limit: int, offset: int, access_scope: Any) -> Any:
    """List sessions, newest first."""
    with invocation.rest() as rest:
        # This list says nothing of a total.
        found, total = collect(
            invocation,
            "sessions",
            lambda count, start: (rest.list_sessions(count, start, access_scope).sessions, None),
            limit,
            offset,
            PAGE,
        )
    result = {
        "sessions": [{"session_id": one} for one in found],
        "total": total,
        "shown": len(found),
    }

    def lines() -> Iterator[str]:
        yield heading("Sessions", len(found), total)
        yield from table(("Session ID",), [(one,) for one in found])

    return invocation.show(result, lines)


@command.command("info")
@click.argument("session_id", metavar="SESSION_ID")
@scope_option
@pass_invocation
def show_session(invocation: Invocation, session_id: str, access_scope: Any) -> Any:
    """Show what a session made: training runs and samplers."""
    with invocation.rest() as rest:
        found = rest.get_session(session_id, access_scope)
    result = {
        "session_id": session_id,
        "display_name": found.display_name,
        "training_run_ids": list(found.training_run_ids),
        "sampler_ids": list(found.sampler_ids),
        "user_metadata": dict(found.user_metadata or {}),
    }
    pairs: list[tuple[str, Any]] = [("Session ID", session_id)]
    if found.display_name:
        pairs.append(("Name", found.display_name))
    pairs += [("Training run", run) for run in found.training_run_ids] or [
        ("Training runs", "none")
    ]
    pairs += [("Sampler", sampler) for sampler in found.sampler_ids] or [("Samplers", "none")]
    pairs += [(f"Metadata {name}", text) for name, text in (found.user_metadata or {}).items()]
    return invocation.show(result, lambda: facts(pairs))


@command.command("close")
@click.argument("session_id", metavar="SESSION_ID")
@pass_invocation
def close_session(invocation: Invocation, session_id: str) -> Any:
    """End a session that its program left open; its models are unloaded, checkpoints stay."""
    from tinkex._core.checks import checked_id

    checked = checked_id(session_id, "session_id")
    with invocation.rest() as rest:
        # First, because a server may report success for the end of an unknown session.
        rest.get_session(checked)
        body = {"reason": {"type": "success"}, "detail": "closed by `tinkex session close`"}
        rest.request("POST", f"/api/v1/sessions/{checked}/finish", body)
    result = {"command": "session", "action": "close", "session_id": session_id}
    return invocation.show(result, lambda: [f"Closed {session_id}"])


@command.command("export-trace")
@click.argument("session_id", metavar="SESSION_ID")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File for the trace.  [default: SESSION_ID.trace.json in the current folder]",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@pass_invocation
def export_trace(invocation: Invocation, session_id: str, output: Path | None, force: bool) -> Any:
    """Save when each request of a session waited, ran and ended.

    Open the file with https://ui.perfetto.dev or chrome://tracing.
    """
    with invocation.rest() as rest, invocation.progress("Exporting the trace"):
        file = rest.download_session_trace(session_id, output, force)
    written = file.stat().st_size
    result = {
        "command": "session",
        "action": "export_trace",
        "session_id": session_id,
        "destination": str(file),
        "size_bytes": written,
    }
    return invocation.show(result, lambda: [f"Saved the trace to {file} ({size(written)})"])
