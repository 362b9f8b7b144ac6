"""Matrices of which only some cells are listed: compressed sparse rows (CSR)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinkex_generated.errors import ParseError

from tinkex._base.lazy import LazyModule
from tinkex.errors import ValidationError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

# The listed values, the first of each row, and the column of each.
Compressed = tuple["npt.NDArray[Any]", "npt.NDArray[np.int64]", "npt.NDArray[np.int64]"]


def compressed(array: npt.NDArray[Any], pad_value: float = 0) -> Compressed | None:
    """Return the cells of a matrix that differ from `pad_value`.

    None where listing them is not smaller than the matrix itself, or it is no matrix.
    """
    if array.ndim != 2:
        return None
    listed = array != pad_value
    rows, columns = array.shape
    ends = np.cumsum(np.count_nonzero(listed, axis=1))
    count = int(ends[-1]) if rows else 0
    if rows + 1 + 2 * count >= rows * columns:
        return None
    return array[listed], np.concatenate(([0], ends)).astype(np.int64), np.nonzero(listed)[1]


def written_out(
    values: npt.NDArray[Any],
    row_pointers: Sequence[int] | npt.NDArray[Any] | None,
    columns: Sequence[int] | npt.NDArray[Any] | None,
    shape: Sequence[int] | None,
    pad_value: float = 0,
) -> npt.NDArray[Any]:
    """Return a matrix with every cell.

    Raises:
        ValidationError: The parts do not fit each other; the path names one.
    """
    from tinkex._base.protobuf.arrays import dense_from_csr

    if row_pointers is None or columns is None:
        raise ValidationError("sparse_crow_indices and sparse_col_indices go together")
    parts = np.asarray(row_pointers, np.int64), np.asarray(columns, np.int64)
    try:
        dense = dense_from_csr(values.reshape(-1), *parts, shape, "")
        if pad_value:
            is_listed = dense_from_csr(np.ones(values.size, np.int64), *parts, shape, "")
            dense = np.where(is_listed, dense, np.asarray(pad_value, values.dtype))
    except ParseError as error:
        raise ValidationError(str(error).removeprefix(".")) from None
    return dense
