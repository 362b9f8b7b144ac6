"""`tinkex sample`: sample a response to every prompt of a file."""

from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.runfolder import RunOrPath
from tinkex.cli.train import DataSource, column_options, columns_of

_EXAMPLE = """\b
Example:
  tinkex sample --base-url local tinkex/tiny-chat prompts.jsonl -o responses.jsonl
  tinkex sample runs/orders prompts.jsonl -o responses.jsonl --num-samples 4
"""


@click.command("sample", cls=Command, epilog=_EXAMPLE)
@click.argument("model", type=RunOrPath(names=True), metavar="MODEL")
@click.argument("file", type=DataSource(), metavar="FILE")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File of the responses. Prompts whose responses are there already are skipped.",
)
@click.option(
    "--num-samples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Responses to each prompt.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Most tokens of a response.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="0 takes the likeliest token each time.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Makes sampling repeatable.")
@column_options
@click.option("--split", metavar="NAME", help="Split of a data set.  [default: train]")
@click.option(
    "--chat-format",
    "chat",
    type=click.Choice(["auto", "template", "plain"]),
    default="auto",
    show_default=True,
    help="How messages are written: by the model's chat template, or as 'User: ...'.",
)
@click.option(
    "--tokenizer",
    metavar="NAME",
    help="Name or path of the tokenizer.  [default: the model's own]",
)
@pass_invocation
def command(invocation: Invocation, /, **options: Any) -> Any:
    """Sample a response to every prompt of a file.

    MODEL is a base model, a path of weights, a run's folder, or `latest`. Each line of the output is
    the prompt's row with its `response`. Called again after an interruption, it continues.
    """
    from tinkex.recipes import sample_file

    model, file, output = (options.pop(name) for name in ("model", "file", "output"))
    columns = columns_of(options)
    with invocation.service() as service, invocation.progress("Sampling") as step:
        count = sample_file(
            service,
            model,
            file,
            output,
            columns=columns,
            progress=step,
            **options,
        )
    result = {"type": "samples", "model": model, "output": str(output), "sampled": count}
    return invocation.show(result, lambda: [f"{count} responses sampled, in {output}"])
