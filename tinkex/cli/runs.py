"""`tinkex run`: sample from a model; its subcommands list training runs."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.drawing import check_source, drawing_options
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.paging import collect, heading, list_options, scope_option
from tinkex.cli.records import checkpoint_record
from tinkex.cli.runfolder import RunId, RunOrPath
from tinkex.cli.tables import facts, table
from tinkex.cli.text import ago, is_terminal, iso, yes_no

if TYPE_CHECKING:
    from tinkex.recipes.folder import RunSummary
    from tinkex.types import Checkpoint, TrainingRun

PAGE = 100
_HEADERS = (
    "Run ID",
    "Name",
    "Method",
    "Step",
    "Loss",
    "Base Model",
    "Owner",
    "LoRA",
    "Status",
    "Last Update",
)


_EXAMPLE = """\b
Example:
  export TINKER_BASE_URL=local
  tinkex run --base-model tinkex/tiny-chat --prompt "The sky is"
"""


@click.group("run", cls=Group, invoke_without_command=True, epilog=_EXAMPLE)
@click.option("--base-model", metavar="NAME", help="Model to sample from; see `tinkex model list`.")
@click.option(
    "--model-path",
    type=RunOrPath(),
    metavar="PATH",
    help="Saved weights to sample from: tinker://..., or a run's folder.",
)
@click.option("--prompt", metavar="TEXT", help="Text to continue.")
@click.option(
    "--prompt-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="File with the prompt: text, a JSON list of token ids, or"
    ' {"tokens": [...]}; - reads stdin.',
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Maximum number of tokens to sample.",
)
@drawing_options(temperature=1.0)
@click.option(
    "--stop", multiple=True, metavar="TEXT", help="Text that ends a sample. May be repeated."
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed for reproducible samples."
)
@click.option(
    "--num-samples",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of samples.",
)
@click.option(
    "--prompt-logprobs", is_flag=True, help="Compute the log probabilities of the prompt."
)
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Write tokens as they are sampled.  [default: for one sample on a terminal]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File for the samples, in place of stdout.",
)
@click.option(
    "--http-pool",
    metavar="NAME",
    help="Name of the connections in log lines; see --debug.  [env: TINKEX_HTTP_POOL]",
)
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, /, **options: Any) -> Any:
    """Sample from a model; `run list` and `run info` show training runs."""
    if ctx.invoked_subcommand is not None:
        return None
    _check(options, invocation.as_json)
    invocation.remember("http_pool", options.pop("http_pool"))
    from tinkex.cli.sampling import sample

    return sample(invocation, **options)


def _check(options: dict[str, Any], as_json: bool) -> None:
    """Refuse contradictory options, before anything is loaded or sent."""
    check_source(options)
    if (options["prompt"] is None) == (options["prompt_file"] is None):
        raise click.UsageError("give one of --prompt TEXT and --prompt-file FILE")
    if options["prompt"] == "":
        raise click.UsageError("--prompt is empty; give at least one character")
    plain = not as_json and options["output"] is None and options["num_samples"] == 1
    plain = plain and not options["prompt_logprobs"]
    if options["stream"] and not plain:
        raise click.UsageError(
            "--stream writes one sample as text: it cannot be combined with --json, "
            "--output, --num-samples or --prompt-logprobs"
        )
    if options["stream"] is None:
        options["stream"] = plain and is_terminal(sys.stdout)


def summary_of(run: "TrainingRun") -> "RunSummary | None":
    """Return what the run's folder on this machine says, if it is there and trains this run."""
    from tinkex.errors import TinkexError
    from tinkex.recipes.folder import summary

    folder = (run.user_metadata or {}).get("folder")
    if folder is None:
        return None
    try:
        return summary(Path(folder))
    except (TinkexError, OSError):
        return None


def run_record(run: "TrainingRun") -> dict[str, Any]:
    """Return a training run as JSON has it."""
    metadata, known = run.user_metadata or {}, summary_of(run)
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
        "display_name": run.display_name,
        "status": _state(run, known),
        "name": metadata.get("name"),
        "method": metadata.get("method"),
        "step": known.step if known else _step(run),
        "loss": known.loss if known else None,
        "folder": known.folder if known else None,
    }


@command.command("list")
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
        yield from table(
            _HEADERS,
            [_row(run) for run in runs],
            optional=("Owner", "LoRA", "Method", "Step", "Loss", "Status"),
            elastic="Base Model",
        )

    return invocation.show(result, lines)


@command.command("info")
@click.argument("training_run_id", type=RunId(), metavar="RUN_ID|RUN")
@scope_option
@pass_invocation
def show_run(invocation: Invocation, training_run_id: str, access_scope: Any) -> Any:
    """Show a training run and its last checkpoints."""
    with invocation.rest() as rest:
        run = rest.get_training_run(training_run_id, access_scope)
    return invocation.show(run_record(run), lambda: facts(_facts(run)))


def _row(run: "TrainingRun") -> tuple[str, ...]:
    record = run_record(run)
    return (
        run.training_run_id,
        record["name"] or run.display_name or "",
        record["method"] or "",
        "" if record["step"] is None else str(record["step"]),
        "" if record["loss"] is None else f"{record['loss']:.4f}",
        run.base_model,
        run.model_owner,
        _lora(run),
        str(record["status"]).capitalize(),
        ago(run.last_request_time),
    )


def _step(run: "TrainingRun") -> int | None:
    """Return the step of the newest checkpoint that `tinkex train` saved on the way."""
    path = run.last_checkpoint.tinker_path if run.last_checkpoint else ""
    _, _, step = path.rpartition("/step-")
    return int(step) if step.isdigit() else None


def _facts(run: "TrainingRun") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [
        ("Run ID", run.training_run_id),
        ("Base model", run.base_model),
        ("Owner", run.model_owner),
        ("LoRA", yes_no(run.is_lora)),
    ]
    if run.display_name:
        pairs.insert(1, ("Name", run.display_name))
    if run.lora_rank is not None:
        pairs.append(("LoRA rank", run.lora_rank))
    pairs += [
        ("Status", _state(run, summary_of(run)).capitalize()),
        ("Last update", ago(run.last_request_time)),
    ]
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


def _state(run: "TrainingRun", known: "RunSummary | None") -> str:
    # A run that was resumed is several on the server; of these the last is the folder's.
    if run.corrupted:
        return "failed"
    # Servers other than the local one say only whether a run broke.
    return known.state if known else (run.status or "active")


def _lora(run: "TrainingRun") -> str:
    if run.is_lora and run.lora_rank is not None:
        return f"Yes (rank {run.lora_rank})"
    return yes_no(run.is_lora)
