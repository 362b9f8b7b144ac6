"""`tinkex report`: what to send along with a question or a bug."""

from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command


@click.command("report", cls=Command)
@click.option("--base-model", metavar="NAME", help="Model to sample from.  [default: the first]")
@click.option("--sample/--no-sample", default=True, help="Sample one token at the end.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the report.  [default: stdout]",
)
@pass_invocation
def command(
    invocation: Invocation, base_model: str | None, sample: bool, output: Path | None
) -> Any:
    """Collect what a maintainer needs to help you, without secrets.

    Versions, every setting with its source (secrets masked), and what `tinkex doctor` finds, as JSON.
    Read it before you send it: URLs and names of models and sessions are in it.
    """
    from datetime import UTC, datetime

    from tinkex.cli.config import described
    from tinkex.cli.doctor import examine
    from tinkex.cli.text import to_json
    from tinkex.cli.version import versions
    from tinkex.errors import TinkexError

    # Before the doctor, who makes some of the settings impatient.
    settings = described(dict(invocation.settings))
    try:
        found, _ = examine(invocation, base_model, sample, says=False)
    except TinkexError:
        # The settings' problems say why nothing could be tried.
        found = {"base_url": None, "ok": False, "layers": []}
    result = {
        "made_at": invocation.iso(datetime.now(UTC)),
        "versions": versions(deps=True),
        **settings,
        "doctor": found,
    }
    if output is None:
        click.echo(to_json(result))
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(to_json(result) + "\n", encoding="utf-8")
        invocation.note(f"Written to {output}: read it before you send it")
    return result
