"""Draw simple pictures as SVG text: on a white background, so that they are readable on dark pages too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

INK, FAINT, PAPER = "#263238", "#90a4ae", "#ffffff"
TEAL, AMBER, ROSE, GREY = "#00897b", "#f9a825", "#d81b60", "#cfd8dc"
FONT = "Helvetica, Arial, sans-serif"
MONO = "Menlo, Consolas, monospace"


class Picture:
    """An SVG file under construction. Lengths are pixels, y grows downwards."""

    def __init__(self, width: int, height: int, title: str) -> None:
        view = f'viewBox="0 0 {width} {height}" role="img" font-family="{FONT}"'
        self._shapes = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {view}>',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
        ]

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "none"
    ) -> None:
        """Draw a rectangle, at least a visible line wide."""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1.2):.1f}" height="{height:.1f}"'
            f' rx="2" fill="{fill}" stroke="{stroke}"/>'
        )

    def line(
        self,
        points: Sequence[tuple[float, float]],
        color: str = INK,
        width: float = 1,
        dashed: bool = False,
    ) -> None:
        """Draw a line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self._shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"{dash}/>'
        )

    def dot(self, x: float, y: float, color: str, radius: float = 3.5) -> None:
        """Draw a filled circle."""
        self._shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{color}"/>')

    def arrow(self, x1: float, x2: float, y: float, color: str = INK, dashed: bool = False) -> None:
        """Draw a level arrow."""
        back = 7 if x2 > x1 else -7
        self.line([(x1, y), (x2, y)], color, 1.3, dashed)
        self._shapes.append(
            f'<path d="M{x2:.1f},{y:.1f} l{-back},-4 l0,8 z" fill="{color}" stroke="none"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 13,
        color: str = INK,
        anchor: str = "start",
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        """Write a line of text whose baseline is at y."""
        style = f' font-family="{MONO}"' if mono else ""
        style += ' font-weight="bold"' if bold else ""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}"'
            f' text-anchor="{anchor}"{style}>{escape(words)}</text>'
        )

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_text("\n".join([*self._shapes, "</svg>"]) + "\n", encoding="utf-8")
        print(f"wrote {path}")
