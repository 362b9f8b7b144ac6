"""What `tinkex train` does: read the file, train or show what would be trained, show the result."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from tinkex import recipes
from tinkex.cli import preview
from tinkex.cli.context import context_length, known_context_length
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
from tinkex.recipes.folder import METRICS, PLOT, Plan, Source, has_run
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.run import fine_tune
from tinkex.tokenizer import Tokenizer, get_tokenizer

if TYPE_CHECKING:
    from tinkex.service import ServiceClient

_RECIPE = {one.name for one in attrs.fields(Recipe)}
_PLAN = {"checkpoint_every", "measure_every", "name", "samples", "tokenizer"}


def begin(
    invocation: Invocation,
    file: str,
    *,
    output: Path | None = None,
    held_out_file: str | None = None,
    columns: dict[str, str] | None = None,
    split: str | None = None,
    schedule: str | None = None,
    dry_run: bool = False,
    plot: bool = True,
    **given: Any,
) -> Any:
    """Begin a run as the options say, or show what it would train on."""
    if schedule is not None:
        given["schedule_kind"] = schedule
    recipe = Recipe(**{name: value for name, value in given.items() if name in _RECIPE})
    # What can be refused without the file is refused before a large one is read.
    settings = {name: value for name, value in given.items() if name in _PLAN}
    Plan(recipe=recipe, data=Source(path=None, sha256=""), **settings)
    data = recipes.read_examples(file, columns=columns, split=split)
    held_out = None
    if held_out_file is not None:
        held_out = recipes.read_examples(held_out_file, columns=columns)
    plan = Plan(
        recipe=recipe,
        data=Source.of(data),
        held_out=Source.of(held_out) if held_out else None,
        **settings,
    )
    if dry_run:
        return _show_preview(invocation, plan, data, held_out)
    folder = _free_folder(invocation, data.name, output)
    chosen = "learning_rate" in given
    return _train(invocation, plan, folder, data, held_out, plot, chooses_rate=not chosen)


def resume(invocation: Invocation, folder: Path, file: str | None, *, plot: bool = True) -> Any:
    """Continue the run in a folder."""
    plan = Plan.read(folder)
    if plan.result is not None:
        invocation.note(f"the run in {folder} has ended already; this is its result")
        return _show(invocation, plan.result, folder)
    data = plan.data.read(file)
    held_out = plan.held_out.read() if plan.held_out is not None else None
    return _train(invocation, plan, folder, data, held_out, plot)


def _free_folder(invocation: Invocation, data: str, output: Path | None) -> Path:
    """Return the folder of a new run: the one that was named, or one beside those that are there."""
    if output is not None:
        if has_run(output):
            raise click.UsageError(
                f"--output {output} holds a run already. Continue it (--resume {output}), or choose "
                "another folder"
            )
        return output
    base = Path("runs")
    stem = Path(data).name.partition(".")[0].replace(" ", "-") or "data"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 10_000))]
    for name in names:
        if not has_run(base / name):
            return base / name
        with contextlib.suppress(TinkexError):
            if Plan.read(base / name).result is None:
                invocation.note(
                    f"{base / name} holds a run that has not ended; --resume {base / name} continues "
                    "it. This is a new one"
                )
    raise click.UsageError(f"{base} is full of runs; name a folder with --output")


def _train(
    invocation: Invocation,
    plan: Plan,
    folder: Path,
    data: recipes.ExampleFile,
    held_out: recipes.ExampleFile | None,
    plot: bool,
    *,
    chooses_rate: bool = False,
) -> Any:
    with invocation.service() as service:
        model = plan.recipe.base_model or _model_of(service, str(plan.recipe.from_checkpoint))
        if chooses_rate:
            rate = recipes.recommended_learning_rate(model, plan.recipe.rank)
            plan = attrs.evolve(plan, recipe=attrs.evolve(plan.recipe, learning_rate=rate))
        with invocation.progress(f"Reading {data.name}"):
            prepared = recipes.prepare(
                plan.recipe,
                data,
                _tokenizer(service, plan, model),
                held_out_file=held_out,
                context_length=context_length(service, model),
            )
        _say_plan(invocation, prepared, data, folder, model)
        if (page := service.console_url) is not None:
            invocation.note(f"watch it at {page}")
        with (
            _how_to_resume(invocation, folder),
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
def _how_to_resume(invocation: Invocation, folder: Path) -> Iterator[None]:
    """Show the command that continues the run, however it was stopped."""
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
                f"{record.step} steps are saved. Continue with: tinkex train {common}--resume {folder}"
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


def _show_preview(
    invocation: Invocation,
    plan: Plan,
    data: recipes.ExampleFile,
    held_out: recipes.ExampleFile | None,
) -> Any:
    model = plan.recipe.base_model
    if model is None and plan.tokenizer is None:
        raise click.UsageError(
            "--dry-run sends nothing that needs a key, so it cannot know the model of a checkpoint; "
            "name its tokenizer with --tokenizer"
        )
    tokenizer = get_tokenizer(plan.tokenizer or str(model))
    length = known_context_length(invocation, model) if model else None
    prepared = recipes.prepare(
        plan.recipe, data, tokenizer, held_out_file=held_out, context_length=length
    )
    result = preview.record(prepared, data)
    return invocation.show(result, lambda: preview.lines(prepared, data, result))


def _say_plan(
    invocation: Invocation,
    prepared: Prepared,
    data: recipes.ExampleFile,
    folder: Path,
    model: str,
) -> None:
    kept = len(prepared.batches.examples)
    parts = [f"{model}: {kept:,} examples of {data.name}, {prepared.steps:,} steps"]
    parts.append(f"learning rate {prepared.recipe.learning_rate:g}")
    if prepared.held_out:
        parts.append(f"{len(prepared.held_out):,} held out")
    for what, lines in (
        ("too long and skipped", prepared.tokenized.skipped),
        ("truncated", prepared.tokenized.truncated),
    ):
        if lines:
            parts.append(f"{len(lines):,} {what}")
    invocation.note(", ".join(parts) + f"; the run is kept in {folder}")
    for notice in prepared.notices:
        invocation.note(f"note: {notice}")


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
    for failure in result.get("failures", ()):
        invocation.note(f"warning: {failure}")
    if result["sampler_path"] and not result.get("failures"):
        server = invocation.settings.get("base_url")
        common = f"--base-url {server} " if server else ""
        invocation.note(f"Talk to it: tinkex chat {common}--model-path {result['sampler_path']}")
    return shown


def _lines(result: dict[str, Any]) -> Iterator[str]:
    last, held = result["last"], result["held_out_loss"]
    before = result.get("held_out_loss_before")
    pairs = [
        ("folder", result["folder"]),
        ("steps", result["steps"]),
        ("loss", f"{last['loss']:.4f}" if last else None),
        ("validation loss", None if held is None else f"{held:.4f}{_before(before)}"),
        ("to train on", result["state_path"]),
        ("to sample from", result["sampler_path"]),
        ("metrics", result["metrics"]),
        ("plot", result["plot"]),
    ]
    yield from facts([(name, value) for name, value in pairs if value is not None])
    for sample in result["samples"]:
        yield ""
        yield from facts([(name, sample[name]) for name in ("prompt", "before", "after")])


def _before(loss: float | None) -> str:
    return "" if loss is None else f" ({loss:.4f} before training)"
