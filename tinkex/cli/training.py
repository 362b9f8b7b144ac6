"""What `tinkex train` does: read the file, train or show what would be trained, tell the result."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from tinkex import finetune
from tinkex.cli import preview
from tinkex.cli.interrupts import Interrupts
from tinkex.cli.invocation import Invocation
from tinkex.cli.reporting import Reporter
from tinkex.cli.tables import facts
from tinkex.errors import (
    ApiError,
    DivergedError,
    MissingDependencyError,
    TinkexError,
    TokenizerError,
)
from tinkex.finetune.folder import METRICS, PLOT, Plan, Source, has_run
from tinkex.finetune.prepare import Prepared
from tinkex.finetune.recipe import Recipe
from tinkex.finetune.run import fine_tune
from tinkex.tokenizer import Tokenizer, get_tokenizer

if TYPE_CHECKING:
    from tinkex.service import ServiceClient

_RECIPE = {one.name for one in attrs.fields(Recipe)}
_PLAN = {"checkpoint_every", "measure_every", "name", "samples", "tokenizer"}


def begin(
    invocation: Invocation,
    file: Path,
    *,
    output: Path | None = None,
    held_out_file: Path | None = None,
    schedule: str | None = None,
    dry_run: bool = False,
    plot: bool = True,
    **given: Any,
) -> Any:
    """Begin a run as the options say, or show what it would train on."""
    if schedule is not None:
        given["schedule_kind"] = schedule
    recipe = Recipe(**{name: value for name, value in given.items() if name in _RECIPE})
    data = finetune.read_examples(file)
    held_out = finetune.read_examples(held_out_file) if held_out_file else None
    plan = Plan(
        recipe=recipe,
        data=Source.of(data),
        held_out=Source.of(held_out) if held_out else None,
        **{name: value for name, value in given.items() if name in _PLAN},
    )
    if dry_run:
        return _show_preview(invocation, plan, data, held_out)
    folder = _free_folder(invocation, file, output)
    return _train(invocation, plan, folder, data, held_out, plot)


def resume(invocation: Invocation, folder: Path, file: Path | None, *, plot: bool = True) -> Any:
    """Go on with the run in a folder."""
    plan = Plan.read(folder)
    if plan.result is not None:
        invocation.note(f"the run in {folder} has ended already; this is what came of it")
        return _show(invocation, plan.result, folder)
    data = finetune.read_examples(file or plan.data.path)
    plan.data.check(data)
    held_out = None
    if plan.held_out is not None:
        held_out = finetune.read_examples(plan.held_out.path)
        plan.held_out.check(held_out)
    return _train(invocation, plan, folder, data, held_out, plot)


def _free_folder(invocation: Invocation, file: Path, output: Path | None) -> Path:
    """Return the folder of a new run: the one that was named, or one beside those that are there."""
    if output is not None:
        if has_run(output):
            raise click.UsageError(
                f"--output {output} holds a run already. Go on with it (--resume {output}), or choose "
                "another folder"
            )
        return output
    base = Path("runs")
    names = [file.stem, *(f"{file.stem}-{number}" for number in range(2, 10_000))]
    for name in names:
        if not has_run(base / name):
            return base / name
        with contextlib.suppress(TinkexError):
            if Plan.read(base / name).result is None:
                invocation.note(
                    f"{base / name} holds a run that has not ended; --resume {base / name} goes on "
                    "with it. This is a new one"
                )
    raise click.UsageError(f"{base} is full of runs; name a folder with --output")


def _train(
    invocation: Invocation,
    plan: Plan,
    folder: Path,
    data: finetune.ExampleFile,
    held_out: finetune.ExampleFile | None,
    plot: bool,
) -> Any:
    with invocation.service() as service:
        model = plan.recipe.base_model or _model_of(service, str(plan.recipe.from_checkpoint))
        with invocation.progress(f"Reading {data.path.name}"):
            prepared = finetune.prepare(
                plan.recipe,
                data,
                _tokenizer(service, plan, model),
                held_out_file=held_out,
                context_length=_context_length(service, model),
            )
        _tell_plan(invocation, prepared, data, folder, model)
        with (
            _how_to_go_on(invocation, folder),
            Interrupts(invocation.note) as interrupts,
            Reporter(invocation, folder / METRICS, prepared, interrupts) as reporter,
        ):
            outcome = fine_tune(
                service,
                plan,
                prepared,
                folder,
                listener=reporter,
                stop=lambda: interrupts.asked,
            )
            if not outcome.finished:
                raise KeyboardInterrupt
    if plot:
        _plot(invocation, folder)
    return _show(invocation, outcome.to_dict(), folder)


@contextlib.contextmanager
def _how_to_go_on(invocation: Invocation, folder: Path) -> Iterator[None]:
    """Tell the command that goes on with the run, however it was stopped."""
    try:
        yield
    except DivergedError:
        raise
    except BaseException:
        from tinkex.recovery import read_run

        record = None
        with contextlib.suppress(TinkexError):
            record = read_run(folder)
        if record is not None:
            server = invocation.settings.get("base_url")
            common = f"--base-url {server} " if server else ""
            invocation.note(
                f"{record.step} steps are saved. Go on with: tinkex train {common}--resume {folder}"
            )
        raise


def _model_of(service: "ServiceClient", checkpoint: str) -> str:
    return service.create_rest_client().get_weights_info_by_tinker_path(checkpoint).base_model


def _tokenizer(service: "ServiceClient", plan: Plan, model: str) -> Tokenizer:
    if plan.tokenizer is not None:
        return get_tokenizer(plan.tokenizer)
    try:
        # A server may have models whose tokenizer only it knows.
        return service.create_sampling_client(base_model=model).get_tokenizer()
    except ApiError as error:
        try:
            return get_tokenizer(model)
        except TokenizerError:
            # Most likely there is no such model, which the server has said better.
            raise error from None


def _context_length(service: "ServiceClient", model: str) -> int | None:
    for one in service.get_server_capabilities().supported_models:
        if one.model_name == model:
            return one.max_context_length or None
    return None


def _show_preview(
    invocation: Invocation,
    plan: Plan,
    data: finetune.ExampleFile,
    held_out: finetune.ExampleFile | None,
) -> Any:
    if plan.recipe.base_model is None and plan.tokenizer is None:
        raise click.UsageError(
            "--dry-run asks no server, so it cannot know the model of a checkpoint; name its "
            "tokenizer with --tokenizer"
        )
    tokenizer = get_tokenizer(plan.tokenizer or str(plan.recipe.base_model))
    prepared = finetune.prepare(plan.recipe, data, tokenizer, held_out_file=held_out)
    result = preview.record(prepared, data)
    return invocation.show(result, lambda: preview.lines(prepared, data, result))


def _tell_plan(
    invocation: Invocation,
    prepared: Prepared,
    data: finetune.ExampleFile,
    folder: Path,
    model: str,
) -> None:
    kept = len(prepared.batches.examples)
    parts = [f"{model}: {kept:,} examples of {data.path.name}, {prepared.steps:,} steps"]
    if prepared.held_out:
        parts.append(f"{len(prepared.held_out):,} held out")
    for what, lines in (
        ("too long and skipped", prepared.tokenized.skipped),
        ("truncated", prepared.tokenized.truncated),
    ):
        if lines:
            parts.append(f"{len(lines):,} {what}")
    invocation.note(", ".join(parts) + f"; the run is kept in {folder}")


def _plot(invocation: Invocation, folder: Path) -> None:
    from tinkex import training_log

    try:
        training_log.plot(folder / METRICS, folder / PLOT)
    except MissingDependencyError as error:
        invocation.note(f"no picture of the losses: {error}")


def _show(invocation: Invocation, outcome: dict[str, Any], folder: Path) -> Any:
    picture = folder / PLOT
    result = {
        "type": "train",
        "folder": str(folder),
        **outcome,
        "metrics": str(folder / METRICS),
        "plot": str(picture) if picture.exists() else None,
    }
    shown = invocation.show(result, lambda: _lines(result))
    sys.stdout.flush()
    if result["sampler_path"]:
        server = invocation.settings.get("base_url")
        common = f"--base-url {server} " if server else ""
        invocation.note(f"Talk to it: tinkex chat {common}--model-path {result['sampler_path']}")
    return shown


def _lines(result: dict[str, Any]) -> Iterator[str]:
    last, held = result["last"], result["held_out_loss"]
    pairs = [
        ("folder", result["folder"]),
        ("steps", result["steps"]),
        ("loss", f"{last['loss']:.4f}" if last else None),
        ("held-out loss", None if held is None else f"{held:.4f}"),
        ("to train on", result["state_path"]),
        ("to sample from", result["sampler_path"]),
        ("metrics", result["metrics"]),
        ("plot", result["plot"]),
    ]
    yield from facts([(name, value) for name, value in pairs if value is not None])
    for sample in result["samples"]:
        yield ""
        yield from facts([(name, sample[name]) for name in ("prompt", "before", "after")])
