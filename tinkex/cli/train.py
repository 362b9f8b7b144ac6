"""`tinkex train`: fine-tune on the lines of a file."""

from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command, CommonOption
from tinkex.cli.variables import template_option

_DEFAULT = "  [default: {}]"
# What may stand beside --resume: all else was fixed when the run began.
_WITH_RESUME = {"resume", "file", "plot"}


_EXAMPLE = """\b
Example:
  export TINKER_BASE_URL=local
  tinkex train orders.jsonl --base-model tinkex/tiny-chat --dry-run
  tinkex train orders.jsonl --base-model tinkex/tiny-chat --learning-rate 4e-3 --epochs 4
  tinkex train --resume runs/orders
"""


@click.command("train", cls=Command, epilog=_EXAMPLE)
@click.argument(
    "file",
    required=False,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="[FILE.jsonl]",
)
@click.option("--base-model", metavar="NAME", help="Model to train; see `tinkex model list`.")
@click.option(
    "--from",
    "from_checkpoint",
    metavar="PATH",
    help="Checkpoint to train on from, with a fresh optimizer: tinker://<run>/weights/<name>.",
)
@click.option(
    "--resume",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Go on with the run in this folder where it stopped. Everything else is as it was.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the run keeps its file, its metrics and its plot.  [default: runs/<FILE>]",
)
@click.option(
    "--name", metavar="NAME", help="Name of what is saved at the end." + _DEFAULT.format("final")
)
@click.option("--rank", type=int, help="Rank of the LoRA adapter." + _DEFAULT.format(32))
@click.option(
    "--seed",
    type=int,
    help="Fixes the adapter's first values, the order of the lines and what is held out."
    + _DEFAULT.format(0),
)
@click.option("--epochs", type=int, help="How often each line is trained on." + _DEFAULT.format(1))
@click.option("--steps", type=int, help="How many steps there are, in place of --epochs.")
@click.option("--batch-size", type=int, help="Lines of a step." + _DEFAULT.format(32))
@click.option(
    "--learning-rate", type=float, metavar="RATE", help="The highest one." + _DEFAULT.format("1e-4")
)
@click.option(
    "--schedule",
    type=click.Choice(["linear", "cosine", "constant"]),
    help="How the learning rate falls after the warm-up." + _DEFAULT.format("linear"),
)
@click.option("--warmup-steps", type=int, help="Steps in which it rises." + _DEFAULT.format(0))
@click.option("--weight-decay", type=float, help="Decoupled decay of AdamW." + _DEFAULT.format(0))
@click.option(
    "--grad-clip-norm",
    type=float,
    metavar="NORM",
    help="Largest norm of the gradient, a sum over tokens; 0 does not clip." + _DEFAULT.format(0),
)
@click.option(
    "--loss-on",
    type=click.Choice(["answers", "all"]),
    help="What is learned: completions and what the assistant says, or every token."
    + _DEFAULT.format("answers"),
)
@click.option(
    "--chat-format",
    type=click.Choice(["auto", "template", "plain"]),
    help="How messages are written: by the model's chat template, or as 'User: ...'."
    + _DEFAULT.format("auto"),
)
@click.option(
    "--max-length",
    type=int,
    metavar="TOKENS",
    help="Most tokens of a line.  [default: what the model can read]",
)
@click.option(
    "--too-long",
    type=click.Choice(["error", "skip", "truncate"]),
    help="What becomes of a longer line." + _DEFAULT.format("error"),
)
@click.option(
    "--held-out",
    type=float,
    metavar="SHARE",
    help="Share of the lines that is not trained on, to measure the loss on." + _DEFAULT.format(0),
)
@click.option(
    "--held-out-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.jsonl",
    help="Lines to measure the loss on, in place of --held-out.",
)
@click.option(
    "--measure-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="How often that is done.  [default: once an epoch]",
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="How often the run is saved; what a crash costs at most." + _DEFAULT.format(50),
)
@click.option(
    "--sample",
    "samples",
    multiple=True,
    metavar="PROMPT",
    help="Show what the model answers before and after. May be repeated.",
)
@template_option
@click.option(
    "--tokenizer",
    metavar="NAME",
    help="Name or path of the tokenizer.  [default: the model's own]",
)
@click.option("--plot/--no-plot", default=None, help="Draw the losses.  [default: --plot]")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check every line and show what would be trained; send nothing.",
)
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, /, **options: Any) -> Any:
    """Fine-tune a model on the lines of a file.

    Each line of FILE.jsonl is a JSON object: {"messages": [{"role": "user", "content": "..."},
    {"role": "assistant", "content": "..."}]}, or {"prompt": "...", "completion": "..."}, or
    {"text": "..."}. Ctrl-C stops after the steps under way; --resume goes on there.
    """
    _check(ctx, options)
    from tinkex.cli.training import begin, resume

    given = {name: value for name, value in options.items() if value is not None and value != ()}
    if options["resume"] is not None:
        return resume(
            invocation, options["resume"], options["file"], plot=options["plot"] is not False
        )
    return begin(invocation, given.pop("file"), **given)


def _check(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse what contradicts itself, before anything is loaded or sent."""
    if options["resume"] is not None:
        for option in ctx.command.params:
            name = option.name or ""
            given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
            if given and name not in _WITH_RESUME and not isinstance(option, CommonOption):
                raise click.UsageError(
                    f"{option.opts[0]} does not go with --resume: the run goes on as it was begun"
                )
        return
    if options["file"] is None:
        raise click.UsageError("give a FILE.jsonl to train on, or --resume FOLDER")
    if (options["base_model"] is None) == (options["from_checkpoint"] is None):
        raise click.UsageError("give one of --base-model NAME and --from PATH")
    if options["steps"] is not None and options["epochs"] is not None:
        raise click.UsageError("give one of --steps and --epochs")
