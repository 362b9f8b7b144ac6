"""Arrays inside messages: dtypes, dense and sparse tensors, batches of arrays.

All arrays are little-endian. Only float32 and int64 leave this module: bfloat16 and int32 are widened
without loss.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen
from tinkex_generated import protobuf as proto
from tinkex_generated.errors import ParseError

from tinkex._base.lazy import LazyModule
from tinkex._base.protobuf.fields import LENGTH, Message, Writer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

Array: TypeAlias = "npt.NDArray[Any]"

_ON_WIRE = {
    proto.DType.DTYPE_FLOAT32: "<f4",
    proto.DType.DTYPE_INT64: "<i8",
    proto.DType.DTYPE_INT32: "<i4",
    proto.DType.DTYPE_BFLOAT16: "<u2",
}
_CODES = {"f": proto.DType.DTYPE_FLOAT32, "i": proto.DType.DTYPE_INT64}
_ENCODINGS = {proto.Tensor.dense: LENGTH, proto.Tensor.sparse_csr: LENGTH}

# Upper bound for the cells of a sparse tensor, made dense: a small message must not exhaust memory.
MOST_CELLS = 2**28


@frozen(eq=False)
class Tensor:
    """A tensor as its message stores it.

    Attributes:
        values: float32 or int64, flat. For a sparse tensor only the stored values.
        shape: None if the message has none.
        crow_indices: For a sparse tensor (CSR), the index of each row's first value, int64 [rows + 1].
        col_indices: For a sparse tensor, the column of each value, int64.
    """

    values: Array
    shape: tuple[int, ...] | None
    crow_indices: Array | None = None
    col_indices: Array | None = None

    @classmethod
    def read(cls, message: Message) -> Tensor:
        """Read a Tensor.

        Raises:
            ParseError: The dtype is unknown, or the bytes do not fit it.
        """
        code = message.integer(proto.Tensor.dtype, bits=32)
        shape = tuple(message.integers(proto.Tensor.shape)) or None
        if message.which(_ENCODINGS) == proto.Tensor.sparse_csr:
            csr = message.message(proto.Tensor.sparse_csr, "sparse_csr")
            assert csr is not None  # noqa: S101 - the message has no dense values, so it has sparse ones
            return cls(
                _values(csr.blob(proto.SparseCsr.values), code, message.path),
                shape,
                array(csr.blob(proto.SparseCsr.crow_indices), "<i8", message.path),
                array(csr.blob(proto.SparseCsr.col_indices), "<i8", message.path),
            )
        return cls(_values(message.blob(proto.Tensor.dense), code, message.path), shape)

    def dense(self, path: str) -> Array:
        """Return the tensor as one array, with zeros in the cells that are not stored.

        Raises:
            ParseError: Values, indices and shape do not fit each other.
        """
        if self.crow_indices is not None and self.col_indices is not None:
            return dense_from_csr(
                self.values, self.crow_indices, self.col_indices, self.shape, path
            )
        if self.shape is None:
            return self.values
        if min(self.shape) < 0 or math.prod(self.shape) != self.values.size:
            raise ParseError(path, f"has shape {list(self.shape)} and {self.values.size} values")
        return self.values.reshape(self.shape)


def write_tensor(values: Array) -> Writer:
    """Return the Tensor message of a C-contiguous float32 or int64 array."""
    code = _CODES[values.dtype.kind]
    return (
        Writer()
        .blob(proto.Tensor.dense, values.astype(_ON_WIRE[code], copy=False), present=True)
        .integer(proto.Tensor.dtype, code)
        .integers(proto.Tensor.shape, values.shape)
    )


def write_sparse(values: Array, crow: Array, col: Array, shape: Sequence[int]) -> Writer:
    """Return the Tensor message of a sparse matrix (CSR) of float32 or int64 values."""
    code = _CODES[values.dtype.kind]
    listed = (
        Writer()
        .blob(proto.SparseCsr.values, values.astype(_ON_WIRE[code], copy=False))
        .blob(proto.SparseCsr.crow_indices, crow.astype("<i8"))
        .blob(proto.SparseCsr.col_indices, col.astype("<i8"))
    )
    return (
        Writer()
        .message(proto.Tensor.sparse_csr, listed)
        .integer(proto.Tensor.dtype, code)
        .integers(proto.Tensor.shape, tuple(shape))
    )


def dense_from_csr(
    values: Array, crow: Array, col: Array, shape: Sequence[int] | None, path: str
) -> Array:
    """Return a CSR matrix as a dense array, with zeros in the cells that are not stored.

    Raises:
        ParseError: Values, indices and shape do not fit each other.
    """
    if shape is None or len(shape) != 2 or min(shape) < 0 or math.prod(shape) > MOST_CELLS:
        raise ParseError(f"{path}.shape", "a sparse tensor needs its dense 2-D shape")
    rows, columns = shape
    if (
        crow.size != rows + 1
        or crow[0] != 0
        or crow[-1] != values.size
        or col.size != values.size
        or _falls(crow)
    ):
        raise ParseError(f"{path}.sparse_crow_indices", "do not fit the values")
    if col.size and (col.min() < 0 or col.max() >= columns):
        raise ParseError(f"{path}.sparse_col_indices", "point outside the shape")
    dense = np.zeros((rows, columns), values.dtype)
    dense[np.repeat(np.arange(rows), np.diff(crow)), col] = values
    return dense


def read_batch(message: Message) -> list[Array]:
    """Read a BatchedTensor: one array for each datum, all of them views of one.

    Raises:
        ParseError: The offsets or the trailing shape do not fit the data.
    """
    path, code = message.path, message.integer(proto.BatchedTensor.dtype, bits=32)
    values = _values(message.blob(proto.BatchedTensor.data), code, path)
    offsets = array(message.blob(proto.BatchedTensor.offsets), "<i8", path)
    trailing = tuple(message.integers(proto.BatchedTensor.trailing_shape))
    size = np.dtype(_ON_WIRE[code]).itemsize
    if offsets.size == 0:
        offsets = np.zeros(1, np.int64)
    if (
        offsets[0] < 0
        or offsets[-1] > values.size * size
        or _falls(offsets)
        or (offsets % size).any()
    ):
        raise ParseError(path, "has offsets that do not fit its data")
    row = math.prod(trailing)
    bounds = (offsets // size).tolist()
    lengths = np.diff(bounds)
    if min(trailing, default=1) < 0 or (lengths % row if row else lengths).any():
        raise ParseError(path, f"has arrays that do not fit the trailing shape {list(trailing)}")
    pieces = (values[first:end] for first, end in itertools.pairwise(bounds))
    if not trailing:
        return list(pieces)
    return [piece.reshape(piece.size // row if row else 0, *trailing) for piece in pieces]


def write_batch(arrays: Sequence[Array]) -> Writer:
    """Return the BatchedTensor of arrays of one dtype whose shapes differ only in the first dimension."""
    code = _CODES[arrays[0].dtype.kind]
    ends = np.cumsum([one.nbytes for one in arrays], dtype="<i8")
    flat = np.concatenate([one.reshape(-1) for one in arrays])
    return (
        Writer()
        .blob(proto.BatchedTensor.data, flat.astype(_ON_WIRE[code], copy=False))
        .blob(proto.BatchedTensor.offsets, np.concatenate([np.zeros(1, "<i8"), ends]))
        .integer(proto.BatchedTensor.dtype, code)
        .integers(proto.BatchedTensor.trailing_shape, arrays[0].shape[1:])
    )


def array(data: memoryview | None, dtype: str | np.dtype[Any], path: str) -> Array:
    """Return a new array from its bytes, in the byte order of this machine.

    Raises:
        ParseError: The length is not a multiple of the item size.
    """
    kind = np.dtype(dtype)
    data = memoryview(b"") if data is None else data
    if len(data) % kind.itemsize:
        raise ParseError(
            path, f"has {len(data)} bytes, not a multiple of the item size of {kind.name}"
        )
    # A copy: inside a message an array may be unaligned.
    return np.frombuffer(data, kind).astype(kind.type)


def _falls(numbers: Array) -> bool:
    # Not by differences, which overflow for hostile numbers.
    return bool((numbers[1:] < numbers[:-1]).any())


def _values(data: memoryview | None, code: int, path: str) -> Array:
    if code not in _ON_WIRE:
        raise ParseError(path, f"has the unknown dtype {code}")
    values = array(data, _ON_WIRE[code], path)
    if code == proto.DType.DTYPE_BFLOAT16:
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.int64) if code == proto.DType.DTYPE_INT32 else values
