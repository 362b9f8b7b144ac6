"""`tinkex train`: fine-tune on the examples of a file or a data set."""

from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command, CommonOption
from tinkex.cli.variables import template_option

_DEFAULT = "  [default: {}]"
# What may stand beside --resume: all else was fixed when the run began.
_WITH_RESUME = {"resume", "file", "plot"}
_COLUMNS = {
    "prompt": "what the model reads; goes with --completion-column",
    "completion": "what it is to write after it",
    "text": "texts that are learned as a whole",
    "messages": "conversations",
    "user": "what the user says; goes with --assistant-column",
    "assistant": "what the assistant answers",
    "system": "what the model is told before everything else",
}


class DataSource(click.Path):
    """A file, a folder, the name of a data set on the hub, or "-" for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value if there is such a file, or it can be a data set's name."""
        if value == "-" or Path(value).exists():
            return value
        from tinkex.recipes.sources import is_hub_name

        if not is_hub_name(value):
            self.fail(f"File {value!r} does not exist.", param, ctx)
        return value


def column_options(command: Any) -> Any:
    """Add the options that say which column of a table is what."""
    for role, what in reversed(_COLUMNS.items()):
        command = click.option(
            f"--{role}-column", f"{role}_column", metavar="COLUMN", help=f"Column with {what}."
        )(command)
    return command


def separated(
    _ctx: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return names that were given one by one, or several with commas between them."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


_EXAMPLE = """\b
Example:
  export TINKER_BASE_URL=local
  tinkex train orders.jsonl --base-model tinkex/tiny-chat --dry-run
  tinkex train orders.jsonl --base-model tinkex/tiny-chat --epochs 4
  tinkex train faq.csv --user-column question --assistant-column answer --base-model Qwen/Qwen3-8B
  tinkex train --resume runs/orders
"""


@click.command("train", cls=Command, epilog=_EXAMPLE)
@click.argument(
    "file",
    required=False,
    type=DataSource(),
    metavar="[FILE]",
)
@click.option("--base-model", metavar="NAME", help="Model to train; see `tinkex model list`.")
@click.option(
    "--from",
    "from_checkpoint",
    metavar="PATH",
    help="Checkpoint to start from, with a fresh optimizer: tinker://<run>/weights/<name>.",
)
@click.option(
    "--resume",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Resume the run in this folder, with its original settings.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for the run's settings, metrics and plot.  [default: runs/<FILE>]",
)
@click.option(
    "--name", metavar="NAME", help="Name of the final checkpoints." + _DEFAULT.format("final")
)
@click.option("--rank", type=int, help="Rank of the LoRA adapter." + _DEFAULT.format(32))
@click.option(
    "--seed",
    type=int,
    help="Seed of the adapter's initial values, the order of the examples and the validation split."
    + _DEFAULT.format(0),
)
@click.option("--epochs", type=int, help="Number of passes over the examples." + _DEFAULT.format(1))
@click.option("--steps", type=int, help="Number of optimizer steps, in place of --epochs.")
@click.option("--batch-size", type=int, help="Examples per optimizer step." + _DEFAULT.format(32))
@click.option(
    "--learning-rate",
    type=float,
    metavar="RATE",
    help="Peak learning rate, reached after warm-up.  [default: depends on the model]",
)
@click.option(
    "--schedule",
    type=click.Choice(["linear", "cosine", "constant"]),
    help="Decay of the learning rate after warm-up." + _DEFAULT.format("linear"),
)
@click.option(
    "--warmup-steps",
    type=int,
    help="Number of steps in which the learning rate rises to its peak." + _DEFAULT.format(0),
)
@click.option(
    "--weight-decay", type=float, help="Decoupled weight decay of AdamW." + _DEFAULT.format(0)
)
@click.option(
    "--grad-clip-norm",
    type=float,
    metavar="NORM",
    help="Maximum norm of the gradient, which is a sum over tokens; 0 disables clipping."
    + _DEFAULT.format(0),
)
@click.option(
    "--loss-on",
    type=click.Choice(["answers", "all"]),
    help="Tokens to learn: completions and assistant turns, or all." + _DEFAULT.format("answers"),
)
@click.option(
    "--chat-format",
    type=click.Choice(["auto", "template", "plain"]),
    help="Format of messages: the model's chat template, or 'User: ...'." + _DEFAULT.format("auto"),
)
@click.option(
    "--max-length",
    type=int,
    metavar="TOKENS",
    help="Maximum number of tokens in an example.  [default: the model's context]",
)
@click.option(
    "--too-long",
    type=click.Choice(["error", "skip", "truncate"]),
    help="What to do with a longer example." + _DEFAULT.format("error"),
)
@click.option(
    "--held-out",
    type=float,
    metavar="SHARE",
    help="Share of the examples held out for the validation loss; 0 trains on all.  [default: 0.1 of 20 or "
    "more, 200 examples at most]",
)
@click.option(
    "--held-out-file",
    type=DataSource(),
    metavar="FILE",
    help="Examples for the validation loss, in place of --held-out.",
)
@click.option(
    "--measure-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Compute the validation loss every N steps.  [default: once per epoch]",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Save a checkpoint every N steps." + _DEFAULT.format(50),
)
@click.option(
    "--sample",
    "samples",
    multiple=True,
    metavar="PROMPT",
    help="Sample this prompt before training, at each checkpoint, and after. May be repeated.",
)
@click.option(
    "--ignore-fields",
    multiple=True,
    callback=separated,
    metavar="NAME",
    help="Message field that the chat template may drop. May be repeated.",
)
@column_options
@click.option(
    "--split",
    metavar="NAME",
    help="Split of a Hugging Face data set.  [default: train]",
)
@template_option
@click.option(
    "--tokenizer",
    metavar="NAME",
    help="Name or path of the tokenizer.  [default: the model's own]",
)
@click.option("--plot/--no-plot", default=None, help="Plot the losses.  [default: --plot]")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check every example and show what would be trained; none of the data is sent.",
)
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, /, **options: Any) -> Any:
    """Fine-tune a model on the examples of a file or a data set.

    FILE is JSON lines, a JSON array, CSV, TSV, Parquet or lines of text, each also as .gz or .zst; a
    folder that Hugging Face's datasets saved; the name of a data set on its hub; or - for standard
    input. An example is {"messages": [{"role": "user", "content": "..."}, {"role": "assistant",
    "content": "..."}]}, or {"prompt": "...", "completion": "..."}, or {"text": "..."}; other usual
    shapes are known, and the options --...-column name the columns of any. Ctrl-C stops after the
    steps under way; --resume continues there.
    """
    _check(ctx, options)
    from tinkex.cli.training import begin, resume

    given = {name: value for name, value in options.items() if value is not None and value != ()}
    if options["resume"] is not None:
        return resume(
            invocation, options["resume"], options["file"], plot=options["plot"] is not False
        )
    columns = {
        role: name for role in _COLUMNS if (name := given.pop(f"{role}_column", None)) is not None
    }
    return begin(invocation, given.pop("file"), columns=columns or None, **given)


def _check(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse what contradicts itself, before anything is loaded or sent."""
    if options["resume"] is not None:
        for option in ctx.command.params:
            name = option.name or ""
            given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
            if given and name not in _WITH_RESUME and not isinstance(option, CommonOption):
                raise click.UsageError(
                    f"{option.opts[0]} does not go with --resume: a run continues as it was begun"
                )
        return
    if options["file"] is None:
        raise click.UsageError("give a FILE to train on, or --resume FOLDER")
    if (options["base_model"] is None) == (options["from_checkpoint"] is None):
        raise click.UsageError("give one of --base-model NAME and --from PATH")
    if options["steps"] is not None and options["epochs"] is not None:
        raise click.UsageError("give one of --steps and --epochs")
