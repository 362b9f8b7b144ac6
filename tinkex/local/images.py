"""Images in requests: decoded, and turned into the tokens that a model sees."""

import base64
import binascii
import io
import warnings
from typing import Any

import numpy as np

from tinkex.local.engine import ModelConfig
from tinkex.local.problem import Problem, dotted, misfit

Array = np.ndarray[Any, Any]
Loc = tuple[str | int, ...]

# A few kilobytes can claim to hold gigabytes of pixels.
MOST_PIXELS = 2**24
_FORMATS = {"png": "PNG", "jpeg": "JPEG"}


def image_tokens(chunk: Any, loc: Loc, config: ModelConfig, name: str) -> Array:
    """Return the tokens of a chunk that is no text, int64, or raise a 400 problem.

    Args:
        chunk: An image; all other kinds of chunks are refused.
        loc: Its place in the request.
        config: The shape of the base model.
        name: The name of the base model.
    """
    vision = config.vision
    if vision is None:
        raise Problem(
            400,
            f"base model {name!r} takes no images or audio: only encoded_text chunks are supported"
            f" (at {dotted(loc)})",
        )
    if getattr(chunk, "type_", None) != "image":
        raise Problem(
            400,
            f"base model {name!r} takes no images that lie elsewhere and no audio: send the image"
            f" itself, as a chunk of type image (at {dotted(loc)})",
        )
    if chunk.expected_tokens not in (None, vision.patches):
        raise misfit(
            (*loc, "expected_tokens"),
            f"is {chunk.expected_tokens}, and an image takes {vision.patches} tokens in {name}",
        )
    pixels = _pixels(chunk, loc, vision.image_size)
    codes: Array = vision.codes_of(pixels) + config.vocab_size
    return codes


def _pixels(chunk: Any, loc: Loc, size: int) -> Array:
    """Return the image in RGB, reduced or enlarged to a square: [size, size, 3] from 0 to 255."""
    try:
        from PIL import Image
    except ImportError:
        raise Problem(
            400, "images need an extra package at the server: pip install 'tinkex[vision]'"
        ) from None
    try:
        data = base64.b64decode(chunk.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise misfit((*loc, "data"), f"is no base64: {error}") from error
    kind = _FORMATS[chunk.format_]
    try:
        # Pillow warns of large images, which are refused here.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=[kind]) as image,
        ):
            if image.width * image.height > MOST_PIXELS:
                raise misfit(
                    (*loc, "data"),
                    f"is an image of {image.width} x {image.height} pixels, more than {MOST_PIXELS}",
                )
            whole = image.convert("RGBA")
    except Problem:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise misfit((*loc, "data"), f"cannot be read as {kind}: {error}") from error
    ground = Image.new("RGBA", whole.size, "white")
    seen = Image.alpha_composite(ground, whole).convert("RGB")
    return np.asarray(seen.resize((size, size), Image.Resampling.BILINEAR))
