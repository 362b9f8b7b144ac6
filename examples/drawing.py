"""Draw curves and bars as SVG, with nothing but the standard library; the examples share it.

    draw("loss.svg", "Fine-tuning", [Panel("loss per token", "step", curves={"training": [3.0, 2.0]})])

For your own figures, matplotlib does more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

# Okabe and Ito 2008: told apart with any kind of colour vision.
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
WIDTH, HEIGHT = 380, 290
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 58, 46

Points = Sequence[float] | Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """A height, and the interval in which it may lie."""

    height: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        y_label: What is drawn upwards.
        x_label: What is drawn to the right.
        curves: By name, the heights at 0, 1, 2, …, or pairs (x, y).
        bars: By name of a bar; all in the first colour.
        log_x: Whether x is drawn on a logarithmic axis.
        dots: Whether each point has a dot.
        y_range: The least and the largest height; else what the data need, and 0.
    """

    y_label: str
    x_label: str = ""
    curves: Mapping[str, Points] = field(default_factory=dict)
    bars: Mapping[str, Bar] = field(default_factory=dict)
    log_x: bool = False
    dots: bool = False
    y_range: tuple[float, float] | None = None


def draw(path: str | Path, title: str, panels: Sequence[Panel]) -> None:
    """Write panels side by side, under a title."""
    width = WIDTH * len(panels)
    body = "".join(
        f'<g transform="translate({WIDTH * place},0)">{_panel(panel)}</g>'
        for place, panel in enumerate(panels)
    )
    Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" '
        f'height="{HEIGHT}" font-family="Helvetica,Arial,sans-serif" font-size="11" fill="#333">'
        f"<title>{escape(title)}</title>"
        f'<rect width="{width}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="14" y="20" font-size="14" font-weight="bold" fill="#111">{escape(title)}</text>'
        f"{body}</svg>\n",
        encoding="utf-8",
    )


@dataclass(frozen=True)
class _Axis:
    """Where numbers lie on the page."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        share = ((math.log(value) if self.log else value) - low) / (high - low)
        return self.begin + share * (self.end - self.begin)


def _panel(panel: Panel) -> str:
    curves = {
        name: [one if isinstance(one, tuple) else (float(at), one) for at, one in enumerate(curve)]
        for name, curve in panel.curves.items()
    }
    xs = [x for curve in curves.values() for x, _ in curve]
    ys = [y for curve in curves.values() for _, y in curve]
    for bar in panel.bars.values():
        ys += [bar.height, *(edge for edge in (bar.low, bar.high) if edge is not None)]
    low, high = panel.y_range or (min([0.0, *ys]), max([0.0, *ys]))
    steps = _steps(low, high)
    if panel.y_range is None:
        low, high = min(low, steps[0]), max(high, steps[-1] + (steps[-1] < high) * _gap(steps))
        steps = _steps(low, high)
    up = _Axis(low, high if high > low else low + 1, HEIGHT - BOTTOM, TOP)
    return _frame(panel, up, steps) + (
        _bars(panel, up) if panel.bars else _curves(panel, curves, xs, up)
    )


def _gap(steps: Sequence[float]) -> float:
    """Return the distance between two marks of an axis."""
    return steps[1] - steps[0] if len(steps) > 1 else 1.0


def _steps(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from low to high."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / about))
    gap = next(g * power for g in (1, 2, 5, 10) if g * power * about >= span * 0.999)
    first = math.ceil(low / gap - 1e-9)
    return [round(n * gap, 10) for n in range(first, math.floor(high / gap + 1e-9) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def _frame(panel: Panel, up: _Axis, steps: Sequence[float]) -> str:
    """Draw marks along y, both labels, and the legend."""
    parts = []
    for step in steps:
        y = up.at(step)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{step:g}", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, panel.x_label))
    parts.append(_text(14, TOP - 22, panel.y_label, "start", 'font-weight="bold"'))
    if len(panel.curves) > 1:
        x = float(LEFT)
        for color, name in zip(COLORS, panel.curves, strict=False):
            parts.append(f'<path d="M{x:.1f} {TOP - 10}h14" stroke="{color}" stroke-width="2.5"/>')
            parts.append(_text(x + 18, TOP - 6, name, "start"))
            x += 30 + 5.8 * len(name)
    return "".join(parts)


def _curves(
    panel: Panel,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    xs: Sequence[float],
    up: _Axis,
) -> str:
    low, high = min(xs, default=0.0), max(xs, default=1.0)
    across = _Axis(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT - 6, panel.log_x)
    marks = sorted(set(xs)) if panel.log_x else _steps(low, across.high)
    parts = [_text(across.at(mark), HEIGHT - BOTTOM + 16, f"{mark:g}") for mark in marks]
    for color, curve in zip(COLORS, curves.values(), strict=False):
        points = [(across.at(x), up.at(min(max(y, up.low), up.high))) for x, y in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )
        if panel.dots:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{color}"/>' for x, y in points
            ]
    return "".join(parts)


def _bars(panel: Panel, up: _Axis) -> str:
    slot = (WIDTH - RIGHT - LEFT) / len(panel.bars)
    parts = []
    for place, (name, bar) in enumerate(panel.bars.items()):
        middle = LEFT + slot * (place + 0.5)
        top, foot = up.at(bar.height), up.at(max(up.low, 0.0))
        half = min(slot * 0.35, 40)
        parts.append(
            f'<rect x="{middle - half:.1f}" y="{min(top, foot):.1f}" width="{2 * half:.1f}" '
            f'height="{abs(foot - top):.1f}" fill="{COLORS[0]}"/>'
        )
        if bar.low is not None and bar.high is not None:
            parts.append(
                f'<path d="M{middle:.1f} {up.at(bar.low):.1f}V{up.at(bar.high):.1f}" '
                'stroke="#111" stroke-width="1.5"/>'
            )
        for row, words in enumerate((name, f"{bar.height:.3g}")):
            parts.append(_text(middle, HEIGHT - BOTTOM + 16 + 13 * row, words))
    return "".join(parts)
