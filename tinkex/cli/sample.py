"""`tinkex sample`: sample a response to every prompt of a file."""

from pathlib import Path
from typing import Any

import click

from tinkex.cli.drawing import prompt_options, response_options
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.runfolder import RunOrPath
from tinkex.cli.train import DataSource, column_options, columns_of

_EXAMPLE = """\b
Example:
  export TINKER_BASE_URL=local
  tinkex sample tinkex/tiny-chat prompts.jsonl -o responses.jsonl
  tinkex sample runs/orders prompts.jsonl -o responses.jsonl --num-samples 4
"""


@click.command("sample", cls=Command, epilog=_EXAMPLE)
@click.argument("model", type=RunOrPath(others=True), metavar="MODEL")
@click.argument("file", type=DataSource(), metavar="FILE")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File of the responses. Prompts whose responses are there already are skipped.",
)
@response_options(temperature=1.0)
@column_options
@prompt_options
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
