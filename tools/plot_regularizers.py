"""Draw each regularizer and its slope into docs/losses/*.svg.

python tools/plot_regularizers.py            (needs matplotlib, for this tool alone)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from tinkex import Datum, ModelInput
from tinkex.regularizers import (
    L1,
    L2,
    Consistency,
    ElasticNet,
    Entropy,
    GradientPenalty,
    KLDivergence,
    Orthogonality,
    Regularizer,
)

mpl.use("svg")
from matplotlib import pyplot as plt

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "losses"
LOGPROBS = np.linspace(-5, -0.01, 300)
CHANCES = np.linspace(0.002, 0.998, 300)
ANGLES = np.linspace(0.0, np.pi, 300)

Curve = tuple[str, Regularizer]


def datum(**fields: Any) -> Datum:
    """Make a datum that holds references."""
    length = len(next(iter(fields.values())))
    return Datum(ModelInput.from_ints(range(length)), fields)


def at(regularizer: Regularizer, point: Any, along: Any, data: Any = ()) -> tuple[float, float]:
    """Return the value at a point, and the slope along a direction."""
    slope = np.asarray(regularizer.gradient(point, data))
    return float(np.sum(regularizer.value(point, data))), float((slope * along).sum())


def draw(
    name: str, label: str, xs: Any, curves: list[Curve], place: Callable[[float], Any], data: Any
) -> None:
    """Draw values and slopes of some curves side by side."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.7), layout="constrained")
    for title, regularizer in curves:
        both = np.array([at(regularizer, *place(x), data) for x in xs])
        left.plot(xs, both[:, 0], label=title)
        right.plot(xs, both[:, 1], label=title)
    left.set(xlabel=label, title="value")
    right.set(xlabel=label, title="slope")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(fontsize=8, frameon=False)
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def of_one(x: float) -> tuple[Any, Any]:
    """Take x as the only log probability."""
    return np.array([x]), np.ones(1)


def of_two(p: float) -> tuple[Any, Any]:
    """Take (p, 1 − p) as a distribution, and the derivative by p."""
    return np.log([p, 1 - p]), np.array([1 / p, -1 / (1 - p)])


def of_angle(angle: float) -> tuple[Any, Any]:
    """Take two rows with an angle between them, and the derivative by it."""
    rows = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    return rows, np.array([[0.0, 0.0], [-np.sin(angle), np.cos(angle)]])


def main() -> None:
    """Draw all."""
    mpl.rcParams.update({"svg.hashsalt": "tinkex", "svg.fonttype": "none", "font.size": 9})
    FOLDER.mkdir(parents=True, exist_ok=True)
    one = "log probability x"
    draw("l1", one, LOGPROBS, [("|x|", L1()), ("target='probs'", L1(target="probs"))], of_one, ())
    centered = [("x²", L2()), ("center=−2", L2(center=-2.0)), ("clip=3", L2(clip=3.0))]
    draw("l2", one, LOGPROBS, centered, of_one, ())
    mixes = [(f"l1_ratio={r}", ElasticNet(l1_ratio=r)) for r in (0.0, 0.5, 1.0)]
    draw("elastic_net", one, LOGPROBS, mixes, of_one, ())
    entropies = [
        ("maximize", Entropy(mode="maximize")),
        ("minimize", Entropy()),
        ("minimize, temperature=0.5", Entropy(temperature=0.5)),
    ]
    two = "p of the row (p, 1 − p)"
    draw("entropy", two, CHANCES, entropies, of_two, ())
    reference = np.log([0.8, 0.2])
    divergences = [
        ("forward", KLDivergence(reference_logprobs=reference)),
        ("reverse", KLDivergence(reference_logprobs=reference, direction="reverse")),
        ("symmetric", KLDivergence(reference_logprobs=reference, symmetric=True)),
    ]
    draw("kl_divergence", f"{two}, reference (0.8, 0.2)", CHANCES, divergences, of_two, ())
    pair = [datum(original_logprobs=np.array([-2.0]))]
    metrics = [(m, Consistency(metric=m)) for m in ("mse", "l1", "kl")]  # type: ignore[arg-type]
    draw("consistency", f"{one}, pair −2", LOGPROBS, metrics, of_one, pair)
    modes = [(m, Orthogonality(mode=m)) for m in ("soft", "hard", "spectral")]  # type: ignore[arg-type]
    draw("orthogonality", "angle between two rows", ANGLES, modes, of_angle, ())
    penalties = [
        (f"target_norm={t:g}", GradientPenalty(loss_fn=lambda x: (x**2).sum(), target_norm=t))
        for t in (1.0, 4.0)
    ]
    draw("gradient_penalty", f"{one}, f(x) = x²", LOGPROBS, penalties, of_one, ())
    print(f"Wrote {len(list(FOLDER.glob('*.svg')))} drawings to {FOLDER.name}/")


if __name__ == "__main__":
    main()
