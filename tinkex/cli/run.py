"""`tinkex run`: sample from a model; below it the training runs."""

import sys
from pathlib import Path
from typing import Any

import click

from tinkex.cli import runs
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.text import is_terminal

_EXAMPLE = """\b
Example:
  tinkex run --base-url local --base-model tinkex/tiny-chat --prompt "The sky is"
"""


@click.group("run", cls=Group, invoke_without_command=True, epilog=_EXAMPLE)
@click.option("--base-model", metavar="NAME", help="Model to sample from; see `tinkex model list`.")
@click.option("--model-path", metavar="PATH", help="Saved weights to sample from: tinker://...")
@click.option("--prompt", metavar="TEXT", help="What the model reads first.")
@click.option(
    "--prompt-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="A file with the prompt: text, a JSON list of token ids, or"
    ' {"tokens": [...]}. - reads stdin.',
)
@click.option("--max-tokens", type=click.IntRange(min=1), help="Most tokens to draw.")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="0 takes the likeliest token each time.",
)
@click.option("--top-k", type=int, default=-1, show_default=True, help="-1 for all tokens.")
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    help="Draw among the likeliest tokens that together have this probability.",
)
@click.option("--stop", multiple=True, metavar="TEXT", help="Ends a sample. May be repeated.")
@click.option("--seed", type=click.IntRange(min=0), help="Makes the draw repeatable.")
@click.option(
    "--num-samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many continuations.",
)
@click.option("--prompt-logprobs", is_flag=True, help="Ask for the prompt's log probabilities.")
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Write tokens as they come.  [default: for one sample on a terminal]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the samples to this file instead of stdout.",
)
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, /, **options: Any) -> Any:
    """Sample from a model; `run list` and `run info` show training runs."""
    if ctx.invoked_subcommand is not None:
        return None
    _check(options, invocation.as_json)
    from tinkex.cli.sampling import sample

    return sample(invocation, **options)


def _check(options: dict[str, Any], as_json: bool) -> None:
    """Refuse what contradicts itself, before anything is loaded or sent."""
    if (options["base_model"] is None) == (options["model_path"] is None):
        raise click.UsageError("give one of --base-model NAME and --model-path PATH")
    if (options["prompt"] is None) == (options["prompt_file"] is None):
        raise click.UsageError("give one of --prompt TEXT and --prompt-file FILE")
    if options["prompt"] == "":
        raise click.UsageError("--prompt is empty; a model has to read something first")
    plain = not as_json and options["output"] is None and options["num_samples"] == 1
    plain = plain and not options["prompt_logprobs"]
    if options["stream"] and not plain:
        raise click.UsageError(
            "--stream writes one sample as text: it does not go with --json, --output, "
            "--num-samples or --prompt-logprobs"
        )
    if options["stream"] is None:
        options["stream"] = plain and is_terminal(sys.stdout)


command.add_command(runs.list_runs)
command.add_command(runs.show_run)
