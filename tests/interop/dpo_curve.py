"""Run the same DPO with tinker-cookbook and with `recipes.dpo`: `make interop-dpo`.

Both train on examples/data/preferences.jsonl on one local server, all pairs in each step, with several
seeds of the adapter: the cookbook's loop by the official client, and the recipe by tinkex. The table of
their losses goes into docs/recipes.md.

    python tests/interop/dpo_curve.py [--python PYTHON]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from cookbook import ROOT, environment_with_cookbook, run
from run import served

import tinkex
from tinkex import recipes

SEEDS = (0, 1, 2)
STEPS = 12
PAGE = ROOT / "docs" / "recipes.md"
BEGIN, END = "<!-- made by make interop-dpo -->\n", "<!-- end -->\n"
# What the sum over a batch may differ by, whose order differs.
ROUNDING = 1e-3

Curve = list[float]


def by_cookbook(python: Path, url: str, seed: int, folder: Path) -> Curve:
    """Return the loss of each step of the cookbook's run."""
    metrics = run(python, url, "official", f"dpo_preferences-{seed}", folder)
    return [one["dpo_loss"] for one in metrics]


def by_recipe(url: str, seed: int, folder: Path) -> Curve:
    """Return the loss of each step of `recipes.dpo`."""
    losses: Curve = []

    class Losses(recipes.Listener):
        def reported(self, report: recipes.StepReport) -> None:
            losses.append(float("nan") if report.loss is None else report.loss)

    data = ROOT / "examples/data/preferences.jsonl"
    with tinkex.ServiceClient(base_url=url, api_key="tml-local") as service:
        recipes.dpo(
            data,
            base_model="tinkex/tiny-chat",
            rank=16,
            seed=seed,
            steps=STEPS,
            batch_size=len(data.read_text("utf-8").splitlines()),
            learning_rate=1e-3,
            beta=0.1,
            held_out=0.0,
            folder=folder / f"recipe-{seed}",
            service=service,
            listener=Losses(),
        )
    return losses


def table(cookbook: list[Curve], recipe: list[Curve]) -> str:
    """Return the curves as a table of Markdown."""
    rows = ["| step | tinker-cookbook | `recipes.dpo` |", "|---|---|---|"]
    for step in range(STEPS):
        theirs, ours = ([curve[step] for curve in curves] for curves in (cookbook, recipe))
        rows.append(f"| {step + 1} | {_span(theirs)} | {_span(ours)} |")
    return "\n".join(rows) + "\n"


def _span(losses: list[float]) -> str:
    return f"{min(losses):.4f} to {max(losses):.4f}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, help="an interpreter that has the cookbook already")
    python = parser.parse_args(arguments).python or environment_with_cookbook()
    with tempfile.TemporaryDirectory(prefix="tinkex-dpo-") as name, served() as url:
        folder = Path(name)
        cookbook = [by_cookbook(python, url, seed, folder) for seed in SEEDS]
        recipe = [by_recipe(url, seed, folder) for seed in SEEDS]
    off = max(
        abs(one - other)
        for theirs, ours in zip(cookbook, recipe, strict=True)
        for one, other in zip(theirs, ours, strict=True)
    )
    text = f"{table(cookbook, recipe)}\nAt the same seed the losses differ by {off:.0e} at most.\n"
    print(text)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")
    return int(not off < ROUNDING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
