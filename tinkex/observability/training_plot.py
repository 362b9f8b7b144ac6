"""Plots of training logs."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.observability.loss_curve import points

# Label and color of each curve, in drawing order.
CURVES = {
    "loss": ("loss", "#1f5fa8"),
    "grad_norm": ("gradient norm", "#b3541e"),
    "learning_rate": ("learning rate", "#3b7d4f"),
}
# Drawn into the loss panel: the validation loss.
HELD_OUT = ("held_out_loss", "#c2410c")
WIDTH = 8.0
PANEL_HEIGHT = 2.3
# From this many points on, a running mean is drawn over the values.
MANY = 60
INK = "#333333"


def draw(records: Sequence[dict[str, Any]], png_path: Path, source: Path) -> Path:
    """Draw a panel for each curve of the records, stacked vertically."""
    curves = {name: points(records, name) for name in CURVES}
    curves = {name: some for name, some in curves.items() if some[0]}
    if not curves:
        raise ValidationError(
            f"{source} has no loss, grad_norm or learning_rate to draw", path="jsonl_path"
        )
    try:
        # Not pyplot, which would choose a display backend for the whole program.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingDependencyError("drawing a training log", "plot") from error
    figure = Figure(
        figsize=(WIDTH, 0.5 + PANEL_HEIGHT * len(curves)), dpi=120, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, some) in zip(axes, curves.items(), strict=True):
        _panel(axis, some, *CURVES[name])
        if name == "loss":
            _held_out(axis, points(records, HELD_OUT[0]))
    axes[-1].set_xlabel("step", color=INK)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    png_path.parent.mkdir(parents=True, exist_ok=True)
    # Atomic: viewers see the old picture or the new one.
    partial = png_path.with_name(f".{png_path.name}.{os.getpid()}")
    try:
        figure.savefig(partial, format="png")
        partial.replace(png_path)
    finally:
        partial.unlink(missing_ok=True)
    return png_path


def _panel(axis: Any, points: tuple[list[int], list[float]], label: str, color: str) -> None:
    steps, values = points
    is_long = len(steps) >= MANY and label != "learning rate"
    marker = "o" if len(steps) <= 30 else None
    axis.plot(
        steps, values, color=color, marker=marker, markersize=3,
        linewidth=0.9 if is_long else 1.6, alpha=0.4 if is_long else 1.0,
    )  # fmt: skip
    if is_long:
        axis.plot(steps, _running_mean(values, len(values) // 20), color=color, linewidth=1.8)
    axis.set_ylabel(label, color=INK)
    axis.grid(visible=True, color="#e3e3e3", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.02)
    if min(values) >= 0 and label == "learning rate":
        # Otherwise a constant rate would be drawn with its rounding errors magnified.
        axis.set_ylim(bottom=0)
    last = max(place for place, value in enumerate(values) if not math.isnan(value))
    axis.annotate(
        f"{values[last]:.4g}", (steps[last], values[last]), xytext=(4, 4), textcoords="offset points",
        color=color, fontsize=9, annotation_clip=False,
    )  # fmt: skip


def _held_out(axis: Any, points: tuple[list[int], list[float]]) -> None:
    if points[0]:
        axis.plot(
            *points, color=HELD_OUT[1], marker="s", markersize=4, linewidth=1.2, linestyle="--",
            label="held out",
        )  # fmt: skip
        axis.legend(frameon=False, fontsize=9, labelcolor=INK)


def _running_mean(values: Sequence[float], width: int) -> list[float]:
    """Return the mean of the last `width` values at each position, without gaps."""
    means = []
    for end in range(1, len(values) + 1):
        window = [value for value in values[max(0, end - width) : end] if not math.isnan(value)]
        means.append(sum(window) / len(window) if window else math.nan)
    return means
