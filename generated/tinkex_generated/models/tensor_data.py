# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import array, enum, mapping, optional, required
from ..record import Record
from .tensor_dtype import TensorDtype


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TensorData(Record):
    """A tensor: flat row-major values, their type, and the shape. With the two sparse fields it is
    a sparse matrix in CSR form: `data` then lists the stored values, and all other cells hold a
    value known from the context (0 for inputs of losses, -1 for `target_prompt_logprobs`).

    Attributes:
        data: The values. Not-a-number and infinities cannot be written in JSON and are refused.
        dtype: Their type.
        shape: Length of each dimension. Null: one dimension. Required for sparse tensors, as
            the full [rows, columns].
        sparse_crow_indices: CSR: where each row starts in `data`, and where the last ends; rows
            + 1 numbers. Goes with `sparse_col_indices`.
        sparse_col_indices: CSR: the column of each stored value.
    """

    data: list[float]
    dtype: TensorDtype
    shape: list[int] | None = None
    sparse_crow_indices: list[int] | None = None
    sparse_col_indices: list[int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"data": self.data, "dtype": self.dtype}
        if self.shape is not None:
            result["shape"] = self.shape
        if self.sparse_crow_indices is not None:
            result["sparse_crow_indices"] = self.sparse_crow_indices
        if self.sparse_col_indices is not None:
            result["sparse_col_indices"] = self.sparse_col_indices
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            data=required(data, "data", array),
            dtype=required(data, "dtype", enum),
            shape=optional(data, "shape", array),
            sparse_crow_indices=optional(data, "sparse_crow_indices", array),
            sparse_col_indices=optional(data, "sparse_col_indices", array),
        )
