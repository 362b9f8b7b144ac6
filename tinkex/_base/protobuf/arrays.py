"""Arrays inside of messages: their dtypes, dense and sparse tensors, and batches of arrays.

All arrays are little-endian. Only float32 and int64 leave this module: the narrow bfloat16 and int32
are widened, which loses nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen
from tinkex_generated.errors import ParseError

from tinkex._base.lazy import LazyModule
from tinkex._base.protobuf.fields import LENGTH, Message, Writer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

Array: TypeAlias = "npt.NDArray[Any]"

FLOAT32, INT64, INT32, BFLOAT16 = 1, 2, 3, 4
_ON_WIRE = {FLOAT32: "<f4", INT64: "<i8", INT32: "<i4", BFLOAT16: "<u2"}
_CODES = {"f": FLOAT32, "i": INT64}
# Dense bytes, or a SparseCsr.
_ENCODINGS = {1: LENGTH, 2: LENGTH}

# Cells of a sparse tensor, written out; a few bytes must not ask for all memory there is.
MOST_CELLS = 2**28


@frozen(eq=False)
class Tensor:
    """Hold a tensor as its message does.

    Attributes:
        values: float32 or int64; flat. Of a sparse tensor those that are listed.
        shape: None if the message names none.
        crow_indices: Of a sparse tensor (CSR) the first value of each row, int64 [rows + 1].
        col_indices: Of a sparse tensor the column of each value, int64.
    """

    values: Array
    shape: tuple[int, ...] | None
    crow_indices: Array | None = None
    col_indices: Array | None = None

    @classmethod
    def read(cls, message: Message) -> Tensor:
        """Read a Tensor.

        Raises:
            ParseError: It has no dtype that there is, or bytes that are no array of it.
        """
        code = message.integer(3, bits=32)
        shape = tuple(message.integers(4)) or None
        if message.which(_ENCODINGS) == 2:
            csr = message.message(2, "sparse_csr")
            assert csr is not None  # noqa: S101 - it is there
            return cls(
                _values(csr.blob(1), code, message.path),
                shape,
                array(csr.blob(2), "<i8", message.path),
                array(csr.blob(3), "<i8", message.path),
            )
        return cls(_values(message.blob(1), code, message.path), shape)

    def dense(self, path: str) -> Array:
        """Return the tensor as one array, with zeros in the cells that are not listed.

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
        .blob(1, values.astype(_ON_WIRE[code], copy=False), present=True)
        .integer(3, code)
        .integers(4, values.shape)
    )


def write_sparse(values: Array, crow: Array, col: Array, shape: Sequence[int]) -> Writer:
    """Return the Tensor message of a sparse matrix (CSR) of float32 or int64 values."""
    code = _CODES[values.dtype.kind]
    listed = (
        Writer()
        .blob(1, values.astype(_ON_WIRE[code], copy=False))
        .blob(2, crow.astype("<i8"))
        .blob(3, col.astype("<i8"))
    )
    return Writer().message(2, listed).integer(3, code).integers(4, tuple(shape))


def dense_from_csr(
    values: Array, crow: Array, col: Array, shape: Sequence[int] | None, path: str
) -> Array:
    """Return a CSR matrix as a dense array, with zeros in the cells that are not listed.

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
    path, code = message.path, message.integer(3, bits=32)
    values = _values(message.blob(1), code, path)
    offsets = array(message.blob(2), "<i8", path)
    trailing = tuple(message.integers(4))
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
    """Return the BatchedTensor of arrays of one dtype whose shapes differ in the first place only."""
    code = _CODES[arrays[0].dtype.kind]
    ends = np.cumsum([one.nbytes for one in arrays], dtype="<i8")
    flat = np.concatenate([one.reshape(-1) for one in arrays])
    return (
        Writer()
        .blob(1, flat.astype(_ON_WIRE[code], copy=False))
        .blob(2, np.concatenate([np.zeros(1, "<i8"), ends]))
        .integer(3, code)
        .integers(4, arrays[0].shape[1:])
    )


def array(data: memoryview | None, dtype: str | np.dtype[Any], path: str) -> Array:
    """Return an array of its own from its bytes, in the byte order of this machine.

    Raises:
        ParseError: They are no whole number of items.
    """
    kind = np.dtype(dtype)
    data = memoryview(b"") if data is None else data
    if len(data) % kind.itemsize:
        raise ParseError(path, f"has {len(data)} bytes, which is no array of {kind.name}")
    # A copy: inside of a message an array may begin at any byte.
    return np.frombuffer(data, kind).astype(kind.newbyteorder("="))


def _falls(numbers: Array) -> bool:
    # Not by differences: those of hostile numbers overflow.
    return bool((numbers[1:] < numbers[:-1]).any())


def _values(data: memoryview | None, code: int, path: str) -> Array:
    if code not in _ON_WIRE:
        raise ParseError(path, f"has the unknown dtype {code}")
    values = array(data, _ON_WIRE[code], path)
    if code == BFLOAT16:
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values.astype(np.int64) if code == INT32 else values
