"""`tinkex evaluate`: score models on the prompts of a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinkex.cli.drawing import prompt_options, response_options
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.runfolder import RunOrPath
from tinkex.cli.tables import table
from tinkex.cli.train import DataSource, column_options, columns_of

_EXAMPLE = """\b
Example:
  export TINKER_BASE_URL=local
  tinkex evaluate tinkex/tiny-chat questions.jsonl
  tinkex evaluate Qwen/Qwen3-8B runs/orders orders.jsonl --metric json
"""


@click.command("evaluate", cls=Command, epilog=_EXAMPLE)
@click.argument(
    "models", nargs=-1, required=True, type=RunOrPath(others=True), metavar="MODEL [MODEL...]"
)
@click.argument("file", type=DataSource(), metavar="FILE")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="exact, contains, regex or json, which compare with the reference answer; loglikelihood of the "
    "reference answer, in nats a token; or module:function. May be repeated.  [default: exact]",
)
@response_options(temperature=0.0)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Evaluate on N prompts, drawn at random.  [default: all]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every response and its scores to this file, as JSON lines.",
)
@column_options
@prompt_options
@pass_invocation
def command(invocation: Invocation, /, **options: Any) -> Any:
    """Score models on the prompts of a file.

    MODEL is a base model, a path of weights, a run's folder, or `latest`; of several each has a
    column. FILE is what `tinkex train` takes: the last response of a row is the reference answer, or
    its field `answer`. The scores are means with their 95% intervals.
    """
    from tinkex.recipes import evaluate

    models, file = options.pop("models"), options.pop("file")
    metrics, output = options.pop("metrics") or ("exact",), options.pop("output")
    columns = columns_of(options)
    with invocation.service() as service, invocation.progress("Evaluating") as step:
        results = []
        for number, model in enumerate(models):
            step(number, len(models))
            results += evaluate(service, model, file, metrics, columns=columns, **options)
    if output is not None:
        _write(output, results)
        invocation.note(f"Responses written to {output}")
    record = {
        "type": "evaluation",
        "file": file,
        "models": [
            {
                "model": one.model,
                "responses": one.count,
                "scores": {
                    score.name: {"mean": score.mean, "low": score.low, "high": score.high}
                    for score in one.scores
                },
            }
            for one in results
        ],
    }
    return invocation.show(record, lambda: _lines(results))


def _lines(results: list[Any]) -> Iterator[str]:
    heads = ("Metric", *(one.model for one in results))
    rows = []
    for index, score in enumerate(results[0].scores):
        cells = [one.scores[index] for one in results]
        rows.append(
            (score.name, *(f"{it.mean:.3f} ({it.low:.3f} to {it.high:.3f})" for it in cells))
        )
    rows.append(("responses", *(str(one.count) for one in results)))
    yield from table(heads, rows)


def _write(output: Path, results: list[Any]) -> None:
    import json

    output.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"model": one.model, **row}, ensure_ascii=False)
        for one in results
        for row in one.responses
    ]
    output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
