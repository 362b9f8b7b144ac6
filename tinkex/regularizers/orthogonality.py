"""Orthogonality of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from attrs import field, frozen

from tinkex.regularizers.base import FloatArray, Regularizer, one_of

SMALLEST_NORM = 1e-8


@frozen(kw_only=True)
class Orthogonality(Regularizer):
    """A penalty on parallel rows, by their Gram matrix G = M Mᵀ.

    - soft: Σ of squares off the diagonal
    - hard: ‖G − I‖², the soft orthogonality of Bansal et al. 2018
    - spectral: (tr G − n)² + Σ of squares off the diagonal

    A single row, such as the log probabilities [N] of one datum, has no other row to compare with: soft
    is 0. Use [N, K] targets, or your own arrays. For a batch it is the sum over the
    data.

    Attributes:
        mode: "soft", "hard" or "spectral".
        normalize: First scale rows to length 1 (norms are at least 1e-8).
        axis: The definition of a row: "rows" flattens all axes but the last; "sequence" makes one per
            position of [B, S, V] (and uses [S, V] directly); "vocabulary" one per column.
    """

    name: ClassVar[str] = "orthogonality"
    mode: Literal["soft", "hard", "spectral"] = field(
        default="soft", validator=one_of("soft", "hard", "spectral")
    )
    normalize: bool = True
    axis: Literal["rows", "sequence", "vocabulary"] = field(
        default="rows", validator=one_of("rows", "sequence", "vocabulary")
    )

    def _terms(self, x: FloatArray, _: Any) -> FloatArray:
        matrix = self._unit_rows(self._matrix(x))[0]
        gram = matrix @ matrix.T
        diagonal = np.diag(gram)
        off = float((gram**2).sum() - (diagonal**2).sum())
        if self.mode == "hard":
            off += float(((diagonal - 1) ** 2).sum())
        elif self.mode == "spectral":
            off += float((diagonal.sum() - len(diagonal)) ** 2)
        return np.asarray(off)

    def _slope(self, x: FloatArray, _: Any) -> FloatArray:
        matrix = self._matrix(x)
        unit, lengths = self._unit_rows(matrix)
        gram = unit @ unit.T
        diagonal = np.diag(gram)
        by_gram = 2.0 * (gram - np.diag(diagonal))
        if self.mode == "hard":
            by_gram += np.diag(2.0 * (diagonal - 1))
        elif self.mode == "spectral":
            by_gram += 2.0 * (diagonal.sum() - len(diagonal)) * np.eye(len(gram))
        slope = 2.0 * by_gram @ unit
        if self.normalize:
            along = (slope * unit).sum(axis=1, keepdims=True) * unit
            # Where the norm is at its lower bound, a row is only scaled.
            along = np.where(lengths > SMALLEST_NORM, along, 0.0)
            slope = (slope - along) / np.maximum(lengths, SMALLEST_NORM)
        return self._back(slope, x)

    def _metrics(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> dict[str, Any]:
        return {"orthogonality": self._reduced(arrays, references)}

    def _unit_rows(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not self.normalize:
            return matrix, lengths
        return matrix / np.maximum(lengths, SMALLEST_NORM), lengths

    def _matrix(self, x: FloatArray) -> FloatArray:
        if x.ndim < 2:
            return x.reshape(1, -1)
        if self.axis == "sequence" and x.ndim == 3:
            return x.transpose(1, 0, 2).reshape(x.shape[1], -1)
        flat = x.reshape(-1, x.shape[-1])
        return flat.T if self.axis == "vocabulary" else flat

    def _back(self, matrix: FloatArray, x: FloatArray) -> FloatArray:
        """Reverse `_matrix`."""
        if self.axis == "sequence" and x.ndim == 3:
            return matrix.reshape(x.shape[1], x.shape[0], x.shape[2]).transpose(1, 0, 2)
        if self.axis == "vocabulary" and x.ndim >= 2:
            matrix = matrix.T
        return matrix.reshape(x.shape)
