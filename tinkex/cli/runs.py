"""`tinkex run list` and `tinkex run info`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.paging import collect, heading, list_options, scope_option
from tinkex.cli.records import checkpoint_record
from tinkex.cli.tables import facts, table
from tinkex.cli.text import ago, iso, yes_no

if TYPE_CHECKING:
    from tinkex.types import Checkpoint, TrainingRun

PAGE = 100
_HEADERS = ("Run ID", "Base Model", "Owner", "LoRA", "Status", "Last Update")


def run_record(run: "TrainingRun") -> dict[str, Any]:
    """Return a training run as JSON has it."""
    return {
        "training_run_id": run.training_run_id,
        "base_model": run.base_model,
        "model_owner": run.model_owner,
        "is_lora": run.is_lora,
        "lora_rank": run.lora_rank,
        "corrupted": run.corrupted,
        "last_request_time": iso(run.last_request_time),
        "last_checkpoint": checkpoint_record(run.last_checkpoint),
        "last_sampler_checkpoint": checkpoint_record(run.last_sampler_checkpoint),
        "user_metadata": dict(run.user_metadata or {}),
    }


@click.command("list", cls=Command)
@list_options
@scope_option
@pass_invocation
def list_runs(invocation: Invocation, limit: int, offset: int, access_scope: Any) -> Any:
    """List training runs, newest first."""
    with invocation.rest() as rest:

        def fetch(count: int, start: int) -> "tuple[list[TrainingRun], int | None]":
            page = rest.list_training_runs(count, start, access_scope)
            return page.training_runs, page.cursor.total_count

        runs, total = collect(invocation, "training runs", fetch, limit, offset, PAGE)
    result = {"runs": [run_record(run) for run in runs], "total": total, "shown": len(runs)}

    def lines() -> Iterator[str]:
        yield heading("Training runs", len(runs), total)
        yield from table(_HEADERS, [_row(run) for run in runs])

    return invocation.show(result, lines)


@click.command("info", cls=Command)
@click.argument("training_run_id", metavar="RUN_ID")
@scope_option
@pass_invocation
def show_run(invocation: Invocation, training_run_id: str, access_scope: Any) -> Any:
    """Show a training run and its last checkpoints."""
    with invocation.rest() as rest:
        run = rest.get_training_run(training_run_id, access_scope)
    return invocation.show(run_record(run), lambda: facts(_facts(run)))


def _row(run: "TrainingRun") -> tuple[str, ...]:
    return (
        run.training_run_id,
        run.base_model,
        run.model_owner,
        _lora(run),
        _status(run),
        ago(run.last_request_time),
    )


def _facts(run: "TrainingRun") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [
        ("Run ID", run.training_run_id),
        ("Base model", run.base_model),
        ("Owner", run.model_owner),
        ("LoRA", yes_no(run.is_lora)),
    ]
    if run.lora_rank is not None:
        pairs.append(("LoRA rank", run.lora_rank))
    pairs += [("Status", _status(run)), ("Last update", ago(run.last_request_time))]
    last = (
        ("training", run.last_checkpoint),
        ("sampler", run.last_sampler_checkpoint),
    )
    for name, checkpoint in last:
        pairs += _last(name, checkpoint)
    pairs += [(f"Metadata {name}", text) for name, text in (run.user_metadata or {}).items()]
    return pairs


def _last(name: str, checkpoint: "Checkpoint | None") -> list[tuple[str, Any]]:
    if checkpoint is None:
        return [(f"Last {name} checkpoint", "none")]
    return [
        (f"Last {name} checkpoint", checkpoint.tinker_path),
        ("  saved", ago(checkpoint.time)),
        ("  expires", ago(checkpoint.expires_at, none="Never")),
    ]


def _status(run: "TrainingRun") -> str:
    return "Failed" if run.corrupted else "Active"


def _lora(run: "TrainingRun") -> str:
    if run.is_lora and run.lora_rank is not None:
        return f"Yes (rank {run.lora_rank})"
    return yes_no(run.is_lora)
