"""Compare the embedded engine with eager PyTorch: training, sampling, memory.

    pip install torch==2.13.0          # for this script only; the engine does not use it
    python bench/engine.py             # --markdown for a table to paste, --json FILE for numbers

Both sides run the same model on the same batch, in turn, in one process, with as many threads;
what is compared is the fastest of several runs. A ratio below 1 says that the engine is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from attrs import asdict, frozen
from safetensors.numpy import load_file
from threadpoolctl import threadpool_info

from tinkex.local.bases import TINY_CHAT, BaseShelf
from tinkex.local.engine import (
    Base,
    Example,
    LoraSpec,
    ModelConfig,
    SampleJob,
    Sampler,
    Trainer,
    save_base,
)
from tinkex.local.engine.pool import default_workers

# Set for programs with an old OpenBLAS, they make a current one choose kernels of an old machine.
BLAS_OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
RANK = 32
PROMPT, NEW = 32, 64
MEDIUM = ModelConfig(
    vocab_size=4096,
    hidden_size=512,
    num_layers=9,
    num_heads=8,
    num_kv_heads=4,
    head_dim=64,
    intermediate_size=1536,
    max_context=2048,
)


@frozen
class Row:
    """One comparison."""

    what: str
    tokens: int
    engine_seconds: float
    torch_seconds: float

    @property
    def ratio(self) -> float:
        """The engine's time over PyTorch's."""
        return self.engine_seconds / self.torch_seconds


def require_torch() -> str:
    """Return PyTorch's version, or leave with the line that installs it."""
    try:
        import torch
    except ImportError:
        sys.exit(
            "bench/engine.py compares the engine with PyTorch, which is not installed here.\n"
            "Run:  python -m pip install torch==2.13.0   (a CPU build is enough)"
        )
    return str(torch.__version__)


def run_without_overrides() -> None:
    """Start again without the variables that choose a BLAS kernel, if they are set."""
    if any(name in os.environ for name in BLAS_OVERRIDES):
        clean = {k: v for k, v in os.environ.items() if k not in BLAS_OVERRIDES}
        os.execve(sys.executable, [sys.executable, *sys.argv], clean)


def fastest(sides: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Run the sides in turn; return each one's fastest time in seconds."""
    best = [float("inf")] * len(sides)
    for run in range(runs + 1):
        for i, side in enumerate(sides):
            begin = time.perf_counter()
            side()
            if run:  # the first round warms up
                best[i] = min(best[i], time.perf_counter() - begin)
    return best


@cache
def base_of(size: str) -> Base:
    """Return the shipped model or a random one of 30M weights."""
    if size == "30M":
        return Base.random(MEDIUM, name="random/30M")
    return BaseShelf.with_shipped().get(TINY_CHAT).base


def pair(base: Base) -> tuple[Trainer, Any]:
    """Return a trainer whose B matrices are not zero, and the same model in PyTorch."""
    from torch_eager import EagerModel

    trainer = Trainer(base, LoraSpec(rank=RANK, seed=0))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, base.config.vocab_size, 64)
    from tinkex.local.engine import AdamSpec

    trainer.forward_backward(
        [Example(tokens, {"target_tokens": np.roll(tokens, -1)})], "cross_entropy"
    )
    trainer.optim_step(AdamSpec(learning_rate=1e-3))
    with tempfile.TemporaryDirectory() as folder:
        save_base(base, Path(folder, "base"))
        trainer.save(Path(folder, "adapter"), optimizer=False)
        weights = load_file(Path(folder, "base", "model.safetensors"))
        adapter = load_file(Path(folder, "adapter", "adapter_model.safetensors"))
    return trainer, EagerModel(base.config, weights, adapter, trainer.lora.scale)


def lengths_of(shape: str, tokens: int) -> list[int]:
    """Return sequence lengths that add up to about `tokens`."""
    if shape != "ragged":
        return [int(shape)] * (tokens // int(shape))
    rng, lengths = np.random.default_rng(1), []
    while sum(lengths) < tokens:
        lengths.append(int(rng.integers(5, 513)))
    return lengths


def train(size: str, shape: str, tokens: int, runs: int) -> tuple[Row, float]:
    """Compare forward_backward; return the largest relative error of a gradient beside."""
    from torch_eager import batch_of

    base = base_of(size)
    trainer, model = pair(base)
    rng = np.random.default_rng(2)
    lengths = lengths_of(shape, tokens)
    ids = [rng.integers(0, base.config.vocab_size, n) for n in lengths]
    targets = [np.roll(x, -1) for x in ids]
    data = [Example(x, {"target_tokens": y}) for x, y in zip(ids, targets, strict=True)]

    def engine() -> None:
        trainer._accumulated = None
        trainer.forward_backward(data, "cross_entropy")

    # PyTorch may choose: one padded batch, or pieces of like length (its best where lengths differ).
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    plans = [[order], [order[i : i + 4] for i in range(0, len(order), 4)]]

    def peer(plan: list[list[int]]) -> Callable[[], object]:
        batches = [batch_of([ids[i] for i in p], [targets[i] for i in p]) for p in plan]

        def run() -> None:
            model.clear()
            model.forward_backward(batches)

        return run

    mine, *theirs = fastest([engine, *map(peer, plans)], runs)
    return Row(
        f"forward_backward {size} L={shape}", sum(lengths), mine, min(theirs)
    ), gradient_error(trainer, model)


def gradient_error(trainer: Trainer, model: Any) -> float:
    """Return the largest difference of the two gradients, relative to each tensor's largest entry."""
    from tinkex.local.engine.adapter import named_tensors

    assert trainer._accumulated is not None
    mine = named_tensors(trainer._layout, trainer._accumulated, prefix="")
    return max(
        float(np.abs(mine[name] - theirs).max() / np.abs(theirs).max())
        for name, theirs in model.gradients().items()
    )


def sample(size: str, sequences: int, runs: int) -> Row:
    """Compare sampling of `sequences` different prompts."""
    base = base_of(size)
    trainer, model = pair(base)
    model.merge()
    adapter, sampler = trainer.snapshot(), Sampler(base, None)
    prompts = np.random.default_rng(3).integers(0, base.config.vocab_size, (sequences, PROMPT))
    jobs = [
        SampleJob(prompt, adapter, max_tokens=NEW, seed=i, stop_tokens=())
        for i, prompt in enumerate(prompts)
    ]
    times = fastest([lambda: sampler.sample(jobs), lambda: model.sample(prompts, NEW)], runs)
    return Row(f"sampling {size} n={sequences}", sequences * NEW, *times)


def memory(size: str, sequences: int) -> float:
    """Return by how many MiB forward_backward raises the peak of a fresh process (on Linux).

    The peak of getrusage would not do: a child begins with that of its parent.
    """
    code = (
        "import re, sys; from pathlib import Path; import numpy as np; sys.path.insert(0, sys.argv[3]);"
        "from engine import base_of; from tinkex.local.engine import *;"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
        " / 1024;"
        "base = base_of(sys.argv[1]); trainer = Trainer(base, LoraSpec(rank=32, seed=0));"
        "run = lambda n: trainer.forward_backward([Example(x, {'target_tokens': x}) for x in"
        " np.zeros((n, 512), int)], 'cross_entropy'); before = peak();"
        "run(int(sys.argv[2])); print(peak() - before)"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, size, str(sequences), here],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)


def machine() -> dict[str, str]:
    """Return what the numbers depend on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    blas = [i for i in threadpool_info() if i["user_api"] == "blas"]
    kernel = ", ".join(f"{i['internal_api']} {i['version']} {i['architecture']}" for i in blas)
    return {
        "machine": f"{model}, {default_workers()} cores, {platform.system()}",
        "versions": f"Python {platform.python_version()}, numpy {np.__version__}, "
        f"torch {require_torch()}",
        "BLAS of numpy": kernel or "unknown",
        "LoRA": f"rank {RANK} on every layer and the head",
    }


TRAIN = (
    ("1.9M", "128", 4096),
    ("1.9M", "512", 4096),
    ("1.9M", "ragged", 4096),
    ("30M", "128", 2048),
    ("30M", "512", 2048),
    ("30M", "ragged", 2048),
)
SAMPLE = tuple((size, n) for size in ("1.9M", "30M") for n in (1, 16, 64))
MEMORY = (("1.9M", 8), ("1.9M", 64), ("30M", 8), ("30M", 64))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> str:
    """Lay out a table, for a terminal or as Markdown."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        (" | " if markdown else "  ").join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    rule = "|".join([":--", *["--:"] * (len(head) - 1)]) if markdown else "-" * len(lines[0])
    lines.insert(1, rule)
    return "\n".join(f"| {line} |" if markdown else line for line in lines)


def report(facts: dict[str, str], rows: list[Row], peaks: dict[str, float], markdown: bool) -> str:
    """Return everything as text."""
    shown = [
        (
            row.what,
            f"{row.tokens / row.engine_seconds:,.0f}",
            f"{row.tokens / row.torch_seconds:,.0f}",
            f"{row.ratio:.2f}",
        )
        for row in rows
    ]
    parts = ["\n".join(f"{'- ' if markdown else ''}{k}: {v}" for k, v in facts.items())]
    head = ("", "engine tok/s", "torch tok/s", "time, engine / torch")
    parts.append(table(head, shown, markdown))
    if peaks:
        grown = [(what, f"{mib:,.0f}") for what, mib in peaks.items()]
        parts.append(table(("forward_backward, L=512", "peak grows by MiB"), grown, markdown))
    return "\n\n".join(parts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("train", "sample", "memory"), help="measure one part")
    parser.add_argument("--size", choices=("1.9M", "30M"), help="measure one size")
    parser.add_argument("--runs", type=int, default=5, help="runs of each side (default 5)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE too")
    options = parser.parse_args()
    require_torch()
    run_without_overrides()
    import torch

    torch.set_num_threads(default_workers())
    facts, rows, peaks = machine(), [], {}
    if options.only in (None, "train"):
        for case in TRAIN:
            if options.size in (None, case[0]):
                row, error = train(*case, options.runs)
                print(row.what, f"{row.ratio:.2f}", f"error {error:.1e}", file=sys.stderr)
                rows.append(row)
    if options.only in (None, "sample"):
        for size, n in SAMPLE:
            if options.size in (None, size):
                rows.append(sample(size, n, options.runs))
                print(rows[-1].what, f"{rows[-1].ratio:.2f}", file=sys.stderr)
    if options.only in (None, "memory"):
        for size, n in MEMORY:
            if options.size in (None, size):
                peaks[f"{size}, {n * 512} tokens"] = memory(size, n)
    print(report(facts, rows, peaks, options.markdown))
    if options.json:
        numbers = [asdict(row) | {"ratio": row.ratio} for row in rows]
        content = {"facts": facts, "rows": numbers, "peak_growth_mib": peaks}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
