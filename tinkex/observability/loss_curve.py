"""A training log's loss curve as SVG, for notebooks; it needs no drawing library."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

_WIDTH, _HEIGHT = 560, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 12, 12, 24
_COLOR, _VALIDATION_COLOR = "#1f77b4", "#d9822b"
# More points than pixels are of no use, and a long run is redrawn often.
_POINTS = 400
_REDRAW_SECONDS = 0.5

Points = tuple[list[int], list[float]]


class LiveCurve:
    """A curve in the output of a notebook's cell that grows with a run.

    Args:
        records: Returns the records so far.

    Attributes:
        is_open: Whether there is a notebook to draw in.
    """

    def __init__(self, records: Callable[[], Sequence[dict[str, Any]]]) -> None:
        from tinkex._base.notebook import Display

        self._records = records
        self._display = Display()
        self._drawn_at = 0.0
        self.is_open = self._display.is_open

    def grown(self) -> None:
        """Draw, unless that was done a moment ago."""
        if time.monotonic() - self._drawn_at >= _REDRAW_SECONDS:
            self.draw()

    def draw(self) -> None:
        """Draw in place of what was drawn before."""
        self._drawn_at = time.monotonic()
        records = self._records()
        self._display.show(curve(records), f"<loss curve of {len(records)} steps>")


def points(records: Sequence[dict[str, Any]], name: str) -> Points:
    """Return the steps and values of a metric; values that are not finite are gaps."""
    found = [(record["step"], record[name]) for record in records if name in record]
    numbers = [(step, math.nan if value is None else value) for step, value in found]
    numbers = [
        (step, float(value))
        for step, value in numbers
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if all(math.isnan(value) for _, value in numbers):
        return [], []
    return [step for step, _ in numbers], [value for _, value in numbers]


def curve(records: Sequence[dict[str, Any]]) -> str:
    """Return HTML with the loss over the steps, the validation loss, and their newest values."""
    loss, validation = (_thinned(points(records, name)) for name in ("loss", "held_out_loss"))
    drawn = [
        (label, color, *one)
        for label, color, one in (
            ("loss", _COLOR, loss),
            ("validation loss", _VALIDATION_COLOR, validation),
        )
        if one[0]
    ]
    if not drawn:
        return "<p>no loss has been logged yet</p>"
    steps = [step for _, _, some, _ in drawn for step in some]
    values = [value for *_, some in drawn for value in some if not math.isnan(value)]
    (first, last), (low, high) = (min(steps), max(steps)), (min(values), max(values))
    across = (_WIDTH - _LEFT - _RIGHT) / max(last - first, 1)
    up = (_HEIGHT - _TOP - _BOTTOM) / ((high - low) or 1)

    def place(step: int, value: float) -> str:
        return f"{_LEFT + (step - first) * across:.1f},{_HEIGHT - _BOTTOM - (value - low) * up:.1f}"

    lines = [
        f'<polyline points="{" ".join(place(*point) for point in part)}" fill="none" '
        f'stroke="{color}" stroke-width="1.6"/>'
        for _, color, some, their in drawn
        for part in _parts(some, their)
    ]
    base = _HEIGHT - _BOTTOM
    texts = [
        (_LEFT - 6, _TOP + 8, "end", f"{high:.4g}"),
        (_LEFT - 6, base, "end", f"{low:.4g}"),
        (_LEFT, _HEIGHT - 8, "start", f"step {first}"),
        (_WIDTH - _RIGHT, _HEIGHT - 8, "end", f"step {last}"),
    ]
    written = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
        for x, y, anchor, text in texts
    )
    newest = ", ".join(
        f'<span style="color:{color}">{label} {their[-1]:.4g}</span>'
        for label, color, _, their in drawn
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" style="max-width:100%" '
        'fill="currentColor" font-size="11" font-family="sans-serif">'
        f'<path d="M{_LEFT},{_TOP}V{base}H{_WIDTH - _RIGHT}" fill="none" stroke="currentColor" '
        f'opacity="0.4"/>{"".join(lines)}{written}</svg><p>step {last}: {newest}</p>'
    )


def _thinned(curve: Points) -> Points:
    """Return every n-th point, and the last one."""
    every = math.ceil(len(curve[0]) / _POINTS) or 1
    steps, values = (list(reversed(some[::-1][::every])) for some in curve)
    return steps, values  # type: ignore[return-value]


def _parts(steps: list[int], values: list[float]) -> list[list[tuple[int, float]]]:
    """Return the runs of points between gaps; a point alone is drawn as a short line."""
    parts: list[list[tuple[int, float]]] = [[]]
    for step, value in zip(steps, values, strict=True):
        if math.isnan(value):
            parts.append([])
        else:
            parts[-1].append((step, value))
    return [part if len(part) > 1 else part * 2 for part in parts if part]
