"""Run the recipes of tinker-cookbook, unchanged, on this client: `make interop-cookbook`.

The cookbook, the official client and tinkex go into a virtual environment of their own; each recipe
runs in a process of its own against one `tinkex serve`. Those whose order does not depend on time run
through the official client as well, and must have measured the same numbers, to the last bit.

    python tests/interop/cookbook.py [--python PYTHON] [RECIPE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from run import HERE, SERVE, VENVS, environment, environment_in, served

COOKBOOK = os.environ.get("COOKBOOK", "tinker-cookbook")
# What its reinforcement learning recipes need beside what it installs by itself.
NEEDS = ("torch", "sympy", "pylatexenc", "math-verify")
ROOT = HERE.parents[1]
# Which samples come together in a batch depends on time, and a sum's last bits on the batch. So each
# request is a batch of its own; without that, the official client differs from itself.
ONE_BY_ONE = f"import tinkex.local.engine_thread as e; e.MOST_SEQUENCES = 1; {SERVE}"
PATIENCE_S = 600

# Whether two runs do the same in the same order.
RECIPES = {
    "sl_loop": True,
    "rl_loop": True,
    "rl_loop_importance_sampling": True,
    "supervised": True,
    "rl_sync": True,
    "rl_async": False,
    "rl_stream": False,
    "dpo": True,
    "on_policy_distillation": True,
    "prompt_distillation": True,
}
# Times, and what is named after a session.
NOT_NUMBERS = ("time", "duration", "span", "elapsed", "memory")


def environment_with_cookbook() -> Path:
    """Return the interpreter of an environment that holds the cookbook and both clients."""
    # torch first: the cookbook's own requirement would take whatever is newest.
    installs = (NEEDS[:1], (COOKBOOK, *NEEDS[1:]), ("--editable", str(ROOT)))
    return environment_in(VENVS / "cookbook", *installs)


def versions(python: Path) -> str:
    """Return what is compared; pip takes the newest cookbook that it can install."""
    code = "import sys; from importlib.metadata import version as v; print(*(f'{p} {v(p)}' for p in sys.argv[1:]), sep=', ')"
    return subprocess.check_output([python, "-c", code, "tinker-cookbook", "tinker"], text=True)


def run(python: Path, url: str, client: str, recipe: str, folder: Path) -> list[dict[str, Any]]:
    """Run a recipe, and return what it measured at each step.

    Raises:
        RuntimeError: It failed, or measured nothing.
    """
    out = folder / f"{client}-{recipe}"
    done = subprocess.run(
        [python, "-W", "ignore", HERE / "cookbook_recipes.py", client, recipe, out],
        env={
            **environment(url),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'generated'}",
            "TINKER_TELEMETRY": "0",
            # The cookbook adds numbers up in the order of a set.
            "PYTHONHASHSEED": "0",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    metrics = out / "metrics.jsonl"
    if done.returncode or not metrics.exists():
        raise RuntimeError("\n".join(f"{done.stdout}\n{done.stderr}".splitlines()[-30:]))
    return [json.loads(line) for line in metrics.read_text().splitlines()]


def compared(ours: list[dict[str, Any]], official: list[dict[str, Any]]) -> list[str]:
    """Return the numbers that differ, by step and name."""
    if len(ours) != len(official):
        return [f"{len(ours)} steps, and {len(official)} with the official client"]
    return [
        f"step {step}: {name} is {mine.get(name)!r}, and {theirs.get(name)!r} with the official client"
        for step, (mine, theirs) in enumerate(zip(ours, official, strict=True))
        for name in sorted({*mine, *theirs})
        if not any(part in name for part in NOT_NUMBERS)
        and not _same(mine.get(name), theirs.get(name))
    ]


def _same(one: Any, other: Any) -> bool:
    # NaN is NaN.
    return one == other or (one != one and other != other)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, help="an interpreter that has the cookbook already")
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="all, if none is given")
    given = parser.parse_args(arguments)
    python = given.python or environment_with_cookbook()
    print(versions(python), end="", flush=True)
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="tinkex-cookbook-") as folder,
        served(ONE_BY_ONE) as url,
    ):
        for recipe in given.recipes or RECIPES:
            began = time.monotonic()
            try:
                ours = run(python, url, "tinkex", recipe, Path(folder))
                text = f"{len(ours)} steps"
                if RECIPES[recipe]:
                    differing = compared(ours, run(python, url, "official", recipe, Path(folder)))
                    text += ", the official client's numbers" if not differing else "\n    "
                    text += "\n    ".join(differing)
                    failed += bool(differing)
                    outcome = "DIFFERS" if differing else "ok"
                else:
                    outcome = "ok"
            except (RuntimeError, subprocess.SubprocessError) as error:
                failed, outcome, text = failed + 1, "FAILED", str(error)
            print(
                f"  {outcome:8} {recipe:28} {time.monotonic() - began:5.0f} s  {text}", flush=True
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
