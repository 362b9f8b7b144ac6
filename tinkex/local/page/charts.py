"""Drawings of the overview as inline SVG: a loss curve, and bars by the hour."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from tinkex.local.page.words import short

# Room for the labels left of and below the plot, and above and right of it.
_LEFT, _BOTTOM, _TOP, _RIGHT = 40, 22, 8, 8
_SMOOTHING = 12
_BARS_HEIGHT = 130


def curve(losses: Sequence[tuple[int, float]], width: int = 340, height: int = 160) -> str:
    """Return the loss by step: each step's faintly, and their moving average.

    The average is exponential, over about a twelfth of the steps. Nothing for fewer than two steps.
    """
    if len(losses) < 2:
        return ""
    values = [value for _, value in losses]
    ticks = nice_ticks(min(values), max(values))
    low, high = min(*values, ticks[0]), max(*values, ticks[-1])
    first, last = losses[0][0], losses[-1][0]
    bottom = height - _BOTTOM

    def x(step: float) -> float:
        return _LEFT + (step - first) / (last - first) * (width - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / ((high - low) or 1.0) * (bottom - _TOP)

    def points(series: Sequence[float]) -> str:
        pairs = zip(losses, series, strict=True)
        return " ".join(f"{x(step):.1f},{y(value):.1f}" for (step, _), value in pairs)

    grid = "".join(
        f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{width - _RIGHT}"/>'
        f'<text x="{_LEFT - 5}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    )
    smooth = points(_smoothed(values))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="loss per token from step {first} to {last}: {values[0]:.4g} to'
        f' {values[-1]:.4g}">{grid}'
        f'<polygon class="area" points="{_LEFT},{bottom} {smooth} {width - _RIGHT},{bottom}"/>'
        f'<polyline class="raw" points="{points(values)}"/>'
        f'<polyline class="smooth" points="{smooth}"/>'
        f'<text x="{_LEFT}" y="{height - 6}">step {first}</text>'
        f'<text x="{width - _RIGHT}" y="{height - 6}" text-anchor="end">{last}</text></svg>'
    )


def hourly_bars(
    hours: Sequence[tuple[str, Mapping[str, int]]], kinds: Sequence[str], width: int = 1080
) -> str:
    """Return stacked bars: for each hour its label and a count for each kind, in that order."""
    most = max((sum(counts.values()) for _, counts in hours), default=0)
    if not most:
        return ""
    top = nice_ticks(0, most)[-1]
    room = _BARS_HEIGHT - _BOTTOM - _TOP
    slot = (width - _LEFT - _RIGHT) / len(hours)
    parts = []
    for number, (label, counts) in enumerate(hours):
        left, base = _LEFT + number * slot, float(_BARS_HEIGHT - _BOTTOM)
        told = ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in kinds)
        bars = []
        for place, kind in enumerate(kinds):
            tall = counts.get(kind, 0) / top * room
            base -= tall
            bars.append(
                f'<rect class="bar{place}" x="{left + slot * 0.12:.1f}" y="{base:.1f}"'
                f' width="{slot * 0.76:.1f}" height="{tall:.1f}"/>'
            )
        parts.append(f"<g><title>{escape(label)}: {told}</title>{''.join(bars)}</g>")
        if (len(hours) - 1 - number) % 6 == 0:
            parts.append(
                f'<text x="{left + slot / 2:.1f}" y="{_BARS_HEIGHT - 6}"'
                f' text-anchor="middle">{escape(label)}</text>'
            )
    line = f'<path class="grid" d="M{_LEFT} {_TOP}H{width - _RIGHT}M{_LEFT} {room + _TOP}H{width - _RIGHT}"/>'
    return (
        f'<svg viewBox="0 0 {width} {_BARS_HEIGHT}" role="img" aria-label="tokens by the hour">{line}'
        f'<text x="{_LEFT - 5}" y="{_TOP + 4}" text-anchor="end">{short(top)}</text>'
        f'<text x="{_LEFT - 5}" y="{room + _TOP + 4}" text-anchor="end">0</text>{"".join(parts)}</svg>'
    )


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from about `low` to about `high`, both within them.

    Steps are 1, 2 or 5 times a power of ten (Heckbert, "Nice numbers for graph labels", 1990).
    """
    span = (high - low) or abs(high) or 1.0
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _smoothed(values: Sequence[float]) -> list[float]:
    weight = 2.0 / (max(1.0, len(values) / _SMOOTHING) + 1.0)
    average, found = values[0], []
    for value in values:
        average += weight * (value - average)
        found.append(average)
    return found
