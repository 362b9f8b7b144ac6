"""Draw a coloured shape on a plain ground: what the shipped vision model has learnt to tell apart.

python tools/draw_shapes.py "red circle" OUT.png
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

SIZE = 64
# Drawn so many times larger and then reduced, so that edges are smooth.
FINENESS = 4
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (240, 210, 50),
    "purple": (150, 60, 190),
    "orange": (240, 140, 30),
}
SHAPES = ("circle", "square", "triangle", "cross")
GROUNDS = ((255, 255, 255), (225, 225, 225), (30, 30, 30), (0, 0, 0))


def draw(colour: str, shape: str, random: Random) -> Image.Image:
    """Return a picture of 64 x 64 pixels; place, size, ground and shade are drawn from `random`."""
    size = SIZE * FINENESS
    image = Image.new("RGB", (size, size), random.choice(GROUNDS))
    pen = ImageDraw.Draw(image)
    shade = tuple(min(255, max(0, c + random.randint(-15, 15))) for c in COLOURS[colour])
    radius = random.uniform(0.28, 0.44) * size
    x, y = (random.uniform(radius, size - radius) for _ in range(2))
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle":
        pen.ellipse(box, fill=shade)
    elif shape == "square":
        pen.rectangle(box, fill=shade)
    elif shape == "triangle":
        pen.polygon([(x, box[1]), (box[0], box[3]), (box[2], box[3])], fill=shade)
    elif shape == "cross":
        arm = radius / 3
        pen.rectangle((x - arm, box[1], x + arm, box[3]), fill=shade)
        pen.rectangle((box[0], y - arm, box[2], y + arm), fill=shade)
    else:
        raise ValueError(f"no shape is called {shape!r}; there are {', '.join(SHAPES)}")
    return image.resize((SIZE, SIZE), Image.Resampling.BOX)


def png(image: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def main(words: str, out: str) -> None:
    """Draw what two words say, such as "red circle"."""
    colour, shape = words.split()
    Path(out).write_bytes(png(draw(colour, shape, Random(0))))


if __name__ == "__main__":
    main(*sys.argv[1:3])
