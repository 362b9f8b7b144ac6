"""`tinkex checkpoint`: save weights; below it look at checkpoints and manage them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli import checkpoint_changes, checkpoint_files
from tinkex.cli.drawing import check_source
from tinkex.cli.failures import Failed
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.paging import collect, heading, list_options
from tinkex.cli.records import CHECKPOINT_HEADERS, checkpoint_record, checkpoint_row
from tinkex.cli.runfolder import RunId, RunOrPath
from tinkex.cli.tables import facts, table
from tinkex.cli.text import ago, iso, size, to_json, yes_no

if TYPE_CHECKING:
    from tinkex.rest import RestClient
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient
    from tinkex.types import Checkpoint, CheckpointPath, WeightsInfoResponse

PAGE = 1000
_EXAMPLE = """\b
Example:
  tinkex checkpoint --base-model tinkex/nano --name first --output saved.json
"""


@click.group("checkpoint", cls=Group, invoke_without_command=True, epilog=_EXAMPLE)
@click.option("--base-model", metavar="NAME", help="Base model of a new adapter.")
@click.option(
    "--model-path",
    type=RunOrPath("training"),
    metavar="PATH",
    help="Load this training checkpoint: tinker://..., or a run's folder.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON file for the paths of the saved checkpoint. Required.",
)
@click.option(
    "--name", metavar="NAME", help="Name of the checkpoint.  [default: checkpoint-<model>]"
)
@click.option(
    "--rank",
    type=click.IntRange(min=1),
    metavar="N",
    default=32,
    show_default=True,
    help="LoRA rank.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of the adapter's initial values."
)
@click.option("--train-mlp/--no-train-mlp", default=True, help="Adapt the MLP layers.")
@click.option("--train-attn/--no-train-attn", default=True, help="Adapt the attention layers.")
@click.option("--train-unembed/--no-train-unembed", default=True, help="Adapt the unembedding.")
@click.option(
    "--ttl",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="Time to live: delete the checkpoint after that many seconds.",
)
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, /, **options: Any) -> Any:
    """Save weights to sample from; `checkpoint list` and others manage them."""
    if ctx.invoked_subcommand is not None:
        return None
    check_source(options)
    if options["output"] is None:
        raise click.UsageError("give --output FILE: where to write what was saved")
    return _save(invocation, **options)


def _save(
    invocation: Invocation,
    *,
    base_model: str | None,
    model_path: str | None,
    output: Path,
    name: str | None,
    ttl: int | None,
    **lora: Any,
) -> Any:
    source = base_model or model_path or ""
    model = source.rpartition("://")[2].replace("/", "-").replace(":", "-").lower()
    name = name or f"checkpoint-{model}"
    with (
        invocation.service() as service,
        invocation.progress(f"Saving weights of {source}"),
    ):
        training = _training(service, base_model, model_path, lora)
        base_model = base_model or training.get_info().model_data.model_name
        path = training.save_weights_for_sampler(name, ttl_seconds=ttl).result().path
    from datetime import UTC, datetime

    result = {
        "base_model": base_model,
        "model_id": training.model_id,
        "weights_path": path,
        "saved_at": iso(datetime.now(UTC)),
        "response": {"path": path, "type": "save_weights_for_sampler"},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(to_json(result) + "\n", encoding="utf-8")
    return invocation.show(
        result, lambda: [f"Checkpoint saved to {path}", f"Described in {output}"]
    )


def _training(
    service: "ServiceClient", base_model: str | None, model_path: str | None, lora: dict[str, Any]
) -> "TrainingClient":
    if model_path is not None:
        return service.create_training_client_from_state(model_path)
    return service.create_lora_training_client(base_model or "", **lora)


@command.command("list")
@click.option(
    "--run-id",
    type=RunId(),
    metavar="RUN_ID|RUN",
    help="List all checkpoints of this training run.",
)
@list_options
@pass_invocation
def list_checkpoints(invocation: Invocation, run_id: str | None, limit: int, offset: int) -> Any:
    """List checkpoints, newest first."""
    with invocation.rest() as rest:

        def fetch(count: int, start: int) -> "tuple[list[Checkpoint], int | None]":
            page = rest.list_user_checkpoints(count, start)
            return page.checkpoints, page.cursor.total_count if page.cursor else None

        total: int | None
        if run_id is not None:
            found = rest.list_checkpoints(run_id).checkpoints
            total = len(found)
        else:
            found, total = collect(invocation, "checkpoints", fetch, limit, offset, PAGE)
    result: dict[str, Any] = {
        "checkpoints": [checkpoint_record(one) for one in found],
        "total": total,
        "shown": len(found),
    }
    if run_id is not None:
        result["run_id"] = run_id

    def lines() -> Iterator[str]:
        title = f"Checkpoints for {run_id}" if run_id is not None else "Checkpoints"
        yield heading(title, len(found), total)
        yield from table(CHECKPOINT_HEADERS, [checkpoint_row(one) for one in found])

    return invocation.show(result, lines)


@command.command("info")
@click.argument("path", type=RunOrPath("any"), metavar="PATH|RUN")
@pass_invocation
def show_checkpoint(invocation: Invocation, path: str) -> Any:
    """Show a checkpoint: size, age, base model, adapted layers."""
    from tinkex.types import CheckpointPath

    parsed = CheckpointPath.parse(path)
    with invocation.rest() as rest:
        found = _listed(rest, parsed)
        if found is None:
            raise Failed(
                f"checkpoint not found: {path}. `tinkex checkpoint list --run-id "
                f"{parsed.training_run_id}` lists what it has."
            )
        info = rest.get_weights_info_by_tinker_path(path)
    result = {
        "training_run_id": parsed.training_run_id,
        **(checkpoint_record(found) or {}),
        "base_model": info.base_model,
        "is_lora": info.is_lora,
        "lora_rank": info.lora_rank,
        "train_attn": info.train_attn,
        "train_mlp": info.train_mlp,
        "train_unembed": info.train_unembed,
    }
    return invocation.show(result, lambda: facts(_facts(parsed.training_run_id, found, info)))


def _listed(rest: "RestClient", path: "CheckpointPath") -> "Checkpoint | None":
    """Return a checkpoint as its run's list has it; the API has no other way to get one."""
    from tinkex.errors import NotFoundError
    from tinkex.types import CheckpointPath

    try:
        listed = rest.list_checkpoints(path.training_run_id).checkpoints
    except NotFoundError:
        return None
    return next(
        (one for one in listed if CheckpointPath.parse(one.tinker_path).long == path.long), None
    )


def _facts(
    run_id: str, checkpoint: "Checkpoint", info: "WeightsInfoResponse"
) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [
        ("Checkpoint ID", checkpoint.checkpoint_id),
        ("Training run ID", run_id),
        ("Type", checkpoint.checkpoint_type),
        ("Path", checkpoint.tinker_path),
        ("Size", size(checkpoint.size_bytes)),
        ("Public", yes_no(checkpoint.public)),
        ("Created", ago(checkpoint.time)),
        ("Expires", ago(checkpoint.expires_at, none="Never")),
        ("Base model", info.base_model),
        ("LoRA", yes_no(info.is_lora)),
    ]
    layers = (
        ("LoRA rank", info.lora_rank),
        ("Train attention", info.train_attn),
        ("Train MLP", info.train_mlp),
        ("Train unembed", info.train_unembed),
    )
    pairs += [
        (name, yes_no(value) if isinstance(value, bool) else value)
        for name, value in layers
        if value is not None
    ]
    return pairs


for _module in (checkpoint_files, checkpoint_changes):
    for _command in _module.COMMANDS:
        command.add_command(_command)
