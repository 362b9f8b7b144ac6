"""`tinkex chat`: talk to a model."""

from pathlib import Path
from typing import Any

import click

from tinkex.cli.drawing import drawing_options, name_source
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.runfolder import RunOrPath
from tinkex.cli.variables import template_option

_EXAMPLE = """\b
Example:
  tinkex chat --base-url local --base-model tinkex/tiny-chat
  tinkex chat runs/orders
  echo "What is the sky?" | tinkex chat --base-url local tinkex/tiny-chat
"""


@click.command("chat", cls=Command, epilog=_EXAMPLE)
@click.argument("model", required=False, type=RunOrPath(others=True), metavar="[MODEL]")
@click.option("--base-model", metavar="NAME", help="Model to talk to; see `tinkex model list`.")
@click.option(
    "--model-path",
    type=RunOrPath(),
    metavar="PATH",
    help="Saved weights to talk to: tinker://<run>/sampler_weights/<name>, or a run's folder.",
)
@click.option("--system", metavar="TEXT", help="System prompt.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="Maximum number of tokens in a response.",
)
@drawing_options(temperature=0.7)
@click.option("--seed", type=click.IntRange(min=0), help="Seed for reproducible responses.")
@click.option(
    "--chat-format",
    type=click.Choice(["auto", "template", "plain"]),
    default="auto",
    show_default=True,
    help="Format of the conversation: the model's chat template, or 'User: ...'.",
)
@template_option
@click.option(
    "--tokenizer",
    metavar="NAME",
    help="Name or path of the tokenizer.  [default: the model's own]",
)
@click.option(
    "--load",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.jsonl",
    help="Continue the last conversation of a file that /save wrote.",
)
@pass_invocation
def command(invocation: Invocation, /, **options: Any) -> Any:
    """Chat with a model.

    MODEL is a base model, a path of weights, a run's folder, or `latest`, in place of --base-model or
    --model-path.

    Responses are streamed. Ctrl-C stops a response, Ctrl-D leaves; /help lists the commands. If
    the input is not a terminal, each line is a message and only the responses are
    written; with --json the whole conversation is, when it has ended.
    """
    name_source(options)
    from tinkex.cli.talking import talk

    return talk(invocation, **options)
