"""How a model sees: an image becomes patches, each patch a code, each code an embedding.

An image of S x S pixels is cut into patches of P x P; a patch's mean colour is rounded to one of
`levels` steps per channel, which gives its code. Codes continue the vocabulary of tokens, so that
everything that works on token ids works on images. A code's embedding is a projection of its colour
and of the products of its channels.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Array

FEATURES = 8


@frozen
class VisionConfig:
    """The sizes of a model's eyes."""

    image_size: int = 64
    patch_size: int = 8
    levels: int = 6

    @property
    def patches(self) -> int:
        """Number of tokens that an image takes."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def codes(self) -> int:
        """Number of codes that a patch may have."""
        return self.levels**3

    def codes_of(self, pixels: Array) -> Array:
        """Return the code of each patch, row by row, of RGB pixels [S, S, 3] from 0 to 255."""
        count, size = self.image_size // self.patch_size, self.patch_size
        patches = pixels.astype(np.float64).reshape(count, size, count, size, 3)
        steps = np.rint(patches.mean(axis=(1, 3)) / 255.0 * (self.levels - 1)).astype(np.int64)
        weights = np.array([self.levels**2, self.levels, 1])
        codes: Array = (steps @ weights).ravel()
        return codes

    def embeddings(self, projection: Array) -> Array:
        """Return the embedding of each code, from a projection [FEATURES, D]."""
        codes = np.arange(self.codes)
        channels = [
            codes // self.levels**2,
            codes // self.levels % self.levels,
            codes % self.levels,
        ]
        r, g, b = (2.0 * channel / (self.levels - 1) - 1.0 for channel in channels)
        features = np.stack([np.ones(self.codes), r, g, b, r * g, r * b, g * b, r * g * b], axis=1)
        table: Array = (features @ projection).astype(projection.dtype)
        return table
