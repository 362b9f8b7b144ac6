"""What `tinkex train` does: read the file, train or show what would be trained, show the result."""

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from tinkex import recipes
from tinkex.cli import preview
from tinkex.cli.context import known_context_length
from tinkex.cli.interrupts import Interrupts
from tinkex.cli.invocation import Invocation
from tinkex.cli.reporting import Reporter, shown
from tinkex.cli.tables import facts
from tinkex.errors import DivergedError, MissingDependencyError, TinkexError
from tinkex.recipes.folder import METRICS, PLOT, Plan, Source, has_run
from tinkex.recipes.methods import free_folder, prepared_for
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import RECIPES, GrpoRecipe
from tinkex.recipes.rewards import weighted
from tinkex.recipes.run import fine_tune
from tinkex.tokenizer import get_tokenizer

_PLAN = {one.name for one in attrs.fields(Plan)} - {"recipe", "data", "held_out", "result"}


def begin(
    invocation: Invocation,
    file: str,
    *,
    method: str = "sft",
    output: Path | None = None,
    held_out_file: str | None = None,
    columns: dict[str, str] | None = None,
    split: str | None = None,
    dry_run: bool = False,
    price: float | None = None,
    sample_price: float | None = None,
    plot: bool = True,
    log_to: tuple[str, ...] = (),
    **given: Any,
) -> Any:
    """Begin a run as the options say, or show what it would train on."""
    kind = RECIPES[method]
    for name in ("rewards", "loss_config"):
        if name in given:
            given[name] = _numbers(given[name])
    fields = {one.name for one in attrs.fields(kind)}
    recipe = kind(**{name: value for name, value in given.items() if name in fields})
    # What can be refused without the file is refused before a large one is read.
    settings = {name: value for name, value in given.items() if name in _PLAN}
    Plan(recipe=recipe, data=Source(path=None, sha256=""), **settings)
    if isinstance(recipe, GrpoRecipe):
        weighted(recipe.rewards)
    data = recipes.read_examples(file, columns=columns, split=split, form=recipe.form)
    held_out = None
    if held_out_file is not None:
        held_out = recipes.read_examples(held_out_file, columns=columns, form=recipe.form)
    plan = Plan(
        recipe=recipe,
        data=Source.of(data),
        held_out=Source.of(held_out) if held_out else None,
        **settings,
    )
    if dry_run:
        return _show_preview(invocation, plan, data, held_out, (price, sample_price))
    folder = _free_folder(invocation, data.name, output)
    chosen = "learning_rate" in given
    return _train(
        invocation, plan, folder, data, held_out, plot, chooses_rate=not chosen, log_to=log_to
    )


def _numbers(texts: Sequence[str]) -> dict[str, float]:
    """Return numbers by name, from NAME=NUMBER; a name alone counts 1."""
    found = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            found[name] = float(number) if number else 1.0
        except ValueError:
            raise click.UsageError(f"{text!r} is not NAME=NUMBER") from None
    return found


def resume(
    invocation: Invocation,
    folder: Path,
    file: str | None,
    *,
    plot: bool = True,
    log_to: tuple[str, ...] = (),
) -> Any:
    """Continue the run in a folder."""
    plan = Plan.read(folder)
    if plan.result is not None:
        invocation.note(f"the run in {folder} has ended already; this is its result")
        return _show(invocation, plan.result, folder)
    form = plan.recipe.form
    data = plan.data.read(file, form)
    held_out = plan.held_out.read(form=form) if plan.held_out is not None else None
    return _train(invocation, plan, folder, data, held_out, plot, log_to=log_to)


def _free_folder(invocation: Invocation, data: str, output: Path | None) -> Path:
    """Return the folder of a new run: the one that was named, or one beside those that are there."""
    if output is not None:
        if has_run(output):
            raise click.UsageError(
                f"--output {output} holds a run already. Continue it (--resume {output}), or choose "
                "another folder"
            )
        return output
    folder = free_folder(data)
    stem = re.sub(r"-\d+$", "", folder.name)
    for other in sorted(folder.parent.glob(f"{stem}*")):
        if not re.fullmatch(rf"{re.escape(stem)}(-\d+)?", other.name):
            continue
        with contextlib.suppress(TinkexError):
            if Plan.read(other).result is None:
                invocation.note(
                    f"{other} holds a run that has not ended; --resume {other} continues it. This is "
                    "a new one"
                )
    return folder


def _train(
    invocation: Invocation,
    plan: Plan,
    folder: Path,
    data: recipes.ExampleFile,
    held_out: recipes.ExampleFile | None,
    plot: bool,
    *,
    chooses_rate: bool = False,
    log_to: tuple[str, ...] = (),
) -> Any:
    with invocation.service() as service:
        with invocation.progress(f"Reading {data.name}"):
            plan, prepared = prepared_for(service, plan, data, held_out, chooses_rate=chooses_rate)
        model = plan.recipe.base_model or str(plan.recipe.from_checkpoint)
        _say_plan(invocation, prepared, data, folder, model)
        if (page := service.console_url) is not None:
            invocation.note(f"watch it at {page}")
        with (
            _how_to_resume(invocation, folder),
            Interrupts(invocation.note) as interrupts,
            Reporter(invocation, folder, prepared, interrupts, log_to) as reporter,
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


def _show_preview(
    invocation: Invocation,
    plan: Plan,
    data: recipes.ExampleFile,
    held_out: recipes.ExampleFile | None,
    prices: tuple[float | None, float | None],
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
    result = preview.record(prepared, data, prices)
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
        invocation.note(f"Talk to it: tinkex chat {common}{folder}")
    return shown


def _lines(result: dict[str, Any]) -> Iterator[str]:
    last, before = result["last"] or {}, result.get("measured_before", {})
    best = result.get("best")
    loss = last.get("loss")
    pairs = [
        ("folder", result["folder"]),
        (
            "steps",
            f"{result['steps']}, stopped early" if result.get("stopped_early") else result["steps"],
        ),
        ("loss", None if loss is None else f"{loss:.4f}"),
        *((shown(name), f"{value:.4f}") for name, value in last.get("metrics", {}).items()),
        *(
            (shown(name), f"{value:.4f}{_before(before.get(name))}")
            for name, value in result.get("measured", {}).items()
        ),
        ("to train on", result["state_path"]),
        ("to sample from", result["sampler_path"]),
        ("best", f"{best['sampler_path']} (step {best['step']})" if best else None),
        ("metrics", result["metrics"]),
        ("plot", result["plot"]),
    ]
    yield from facts([(name, value) for name, value in pairs if value is not None], _colors(result))
    for sample in result["samples"]:
        yield ""
        yield from facts([(name, sample[name]) for name in ("prompt", "before", "after")])


def _colors(result: dict[str, Any]) -> dict[str, str]:
    """Return the colour of each validation loss: green if training lowered it."""
    before = result.get("measured_before", {})
    return {
        shown(name): "green" if value < before[name] else "yellow"
        for name, value in result.get("measured", {}).items()
        if name.endswith("loss") and name in before
    }


def _before(loss: float | None) -> str:
    return "" if loss is None else f" ({loss:.4f} before training)"
