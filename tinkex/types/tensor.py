"""Tensors of the API: a numpy array with a wire dtype."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import attrs
from attrs import field, frozen

from tinkex._base.lazy import LazyModule
from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.types.flat import flat_array
from tinkex.types.sparse import Compressed, compressed, written_out

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
else:
    np = LazyModule("numpy")

TensorDtype = Literal["float32", "int64"]

_DTYPES = get_args(TensorDtype)
_LARGEST_INT64 = 2**63 - 1
_JSON_NAMES = ("data", "dtype", "shape", "sparse_crow_indices", "sparse_col_indices")


@functools.cache
def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(name)


@functools.cache
def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, which numpy would build again each time."""
    return dtype.name


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    # Responses have NaN where a number is undefined; equal positions of NaN are equal.
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@frozen(repr=False, init=False, hash=False)
class TensorData:
    """A float32 or int64 array, the only dtypes of the API.

    >>> TensorData(data=[0.0, 1.0, 1.0], dtype="float32")
    TensorData(float32, shape=(3,), [0.0, 1.0, 1.0])
    >>> TensorData.from_numpy(np.arange(4).reshape(2, 2)).shape
    (2, 2)

    Lists, numpy arrays, and torch and jax tensors are converted on construction: floats of any width to
    float32, integers to int64.

    Args:
        data: The values; nested lists determine the shape.
        dtype: "float32" or "int64"; inferred from the values by default.
        shape: The shape of flat row-major values.
        sparse_crow_indices: Of a matrix of which only some cells are listed (CSR) the place in
            `data` where each row begins, and the number of values.
        sparse_col_indices: The column of each value. It is sent in this form; `numpy` has zeros in
            the other cells.

    Raises:
        ValidationError: The values are ragged, boolean, not finite, too large, or do not fill the
            shape.
    """

    _array: npt.NDArray[Any] = field(eq=attrs.cmp_using(eq=_same))
    _csr: Compressed | None = field(default=None, eq=False)

    def __init__(
        self,
        data: Any,
        dtype: TensorDtype | None = None,
        shape: Sequence[int] | None = None,
        sparse_crow_indices: Sequence[int] | None = None,
        sparse_col_indices: Sequence[int] | None = None,
    ) -> None:
        array = to_array(data, dtype)
        if sparse_crow_indices is not None or sparse_col_indices is not None:
            dense = written_out(array, sparse_crow_indices, sparse_col_indices, shape)
            parts = (
                np.asarray(sparse_crow_indices, np.int64),
                np.asarray(sparse_col_indices, np.int64),
            )
            self.__attrs_init__(_read_only(dense), (array, *parts))
            return
        if shape is not None:
            try:
                array = array.reshape(tuple(shape))
            except (ValueError, TypeError):
                raise ValidationError(
                    f"{array.size} values do not fill the shape {shape!r}", path="shape"
                ) from None
        self.__attrs_init__(_read_only(array))

    @classmethod
    def from_numpy(cls, array: npt.NDArray[Any]) -> TensorData:
        """Wrap a numpy array; float32 and int64 arrays are not copied."""
        return cls(array)

    @classmethod
    def from_torch(cls, tensor: torch.Tensor) -> TensorData:
        """Wrap a torch tensor of any float or integer dtype, detached and on the CPU."""
        return cls(tensor)

    @classmethod
    def from_torch_sparse(cls, tensor: torch.Tensor) -> TensorData:
        """Wrap a torch matrix so that only its cells other than 0 are sent, if that is smaller."""
        dense = cls(tensor)
        return cls._of(dense._array, compressed(dense._array))

    @classmethod
    def from_response(cls, array: npt.NDArray[Any], csr: Compressed | None = None) -> TensorData:
        """Wrap a float32 or int64 array from the server, in which NaN means undefined.

        Args:
            array: All cells.
            csr: Those that the server listed, if it did.
        """
        return cls._of(array, csr)

    @classmethod
    def _of(cls, array: npt.NDArray[Any], csr: Compressed | None = None) -> TensorData:
        """Wrap a float32 or int64 array without checks."""
        tensor = cls.__new__(cls)
        tensor.__attrs_init__(_read_only(array), csr)
        return tensor

    @classmethod
    def convert(cls, value: Any, dtype: TensorDtype | None, path: str) -> TensorData:
        """Wrap any array-like value; `path` names it in errors.

        Raises:
            ValidationError: The value is not a rectangular array of finite numbers.
        """
        if isinstance(value, TensorData):
            return value if dtype in (None, value.dtype) else cls._of(to_array(value, dtype, path))
        if getattr(value, "sparse_crow_indices", None) is not None:
            return cls(
                value.data,
                value.dtype,
                value.shape,
                value.sparse_crow_indices,
                value.sparse_col_indices,
            )
        array = getattr(value, "_numpy", None)
        if type(array) is np.ndarray and _travels(array, dtype):
            # Another package's tensor, that is one of ours but for its class. What is not finite is
            # refused when it is written.
            return cls._of(array)
        return cls._of(to_array(value, dtype, path))

    @property
    def dtype(self) -> TensorDtype:
        """Return "float32" or "int64"."""
        return cast("TensorDtype", dtype_name(self._array.dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape."""
        return self._array.shape

    @property
    def data(self) -> list[float] | list[int]:
        """Return the values as a flat list, in row-major order; of a sparse matrix those listed."""
        values = self._array if self._csr is None else self._csr[0]
        return cast("list[float] | list[int]", values.reshape(-1).tolist())

    @property
    def csr(self) -> Compressed | None:
        """Return the listed values, row pointers and columns of a sparse matrix, else None."""
        return self._csr

    @property
    def sparse_crow_indices(self) -> list[int] | None:
        """Return where in `data` each row of a sparse matrix begins, else None."""
        return None if self._csr is None else self._csr[1].tolist()

    @property
    def sparse_col_indices(self) -> list[int] | None:
        """Return the column of each of a sparse matrix's `data`, else None."""
        return None if self._csr is None else self._csr[2].tolist()

    def to_dict(self) -> dict[str, Any]:
        """Return the tensor as JSON has it.

        >>> TensorData([1, 2], "int64").to_dict()
        {'data': [1, 2], 'dtype': 'int64', 'shape': [2]}
        """
        parts = {
            "data": self.data,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "sparse_crow_indices": self.sparse_crow_indices,
            "sparse_col_indices": self.sparse_col_indices,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TensorData:
        """Read what `to_dict` returns.

        Raises:
            ValidationError: It is no tensor.
        """
        if not isinstance(data, Mapping) or not {*data} <= {*_JSON_NAMES} or "data" not in data:
            raise ValidationError(f"must be a dict of {', '.join(_JSON_NAMES)}")
        return cls(**data)

    def numpy(self) -> npt.NDArray[Any]:
        """Return the underlying array, read-only, of dtype float32 or int64."""
        return self._array

    to_numpy = numpy

    def to_torch(self) -> torch.Tensor:
        """Return a torch tensor that owns its memory.

        Raises:
            MissingDependencyError: torch is not installed.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError("TensorData.to_torch", "torch") from error

        return torch.from_numpy(self._array.copy())

    def tolist(self) -> list[Any]:
        """Return the values as nested lists."""
        return cast("list[Any]", self._array.tolist())

    def __len__(self) -> int:
        return len(self._array)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy:
            return np.array(self._array, dtype=dtype)
        return np.asarray(self._array, dtype=dtype)

    def __hash__(self) -> int:
        # Equal values may differ in their bytes: -0.0 and 0.0, and the many representations of NaN.
        values = self._array + 0
        if values.dtype.kind == "f":
            values = np.nan_to_num(values, nan=0.0)
        return hash((self.dtype, self.shape, values.tobytes()))

    def __repr__(self) -> str:
        flat = self._array.reshape(-1)
        shown = ", ".join(str(value) for value in flat[:4].tolist())
        more = ", …" if flat.size > 4 else ""
        return f"TensorData({self.dtype}, shape={self.shape}, [{shown}{more}])"


def _travels(array: npt.NDArray[Any], dtype: TensorDtype | None) -> bool:
    """Return whether an array can be sent as it is, as one of a dtype if that is given."""
    name = dtype_name(array.dtype)
    return name in _DTYPES and dtype in (None, name) and array.flags.c_contiguous


def to_array(value: Any, dtype: TensorDtype | None = None, path: str = "data") -> npt.NDArray[Any]:
    """Return a C-contiguous float32 or int64 array of any array-like value.

    Raises:
        ValidationError: The value is not a rectangular array of finite numbers; `path` names it.
    """
    if isinstance(value, TensorData):
        return to_array(value.numpy(), dtype, path)
    if dtype is not None and dtype not in _DTYPES:
        raise ValidationError(f"must be 'float32' or 'int64', not {dtype!r}", path="dtype")
    flat = flat_array(value, dtype)
    if flat is None:
        check_mask(value, path)
    try:
        array = np.asarray(on_the_host(value)) if flat is None else flat
    except (ValueError, TypeError, OverflowError) as error:
        raise ValidationError(f"not a rectangular array of numbers: {error}", path=path) from None
    target = _dtype(dtype or _wire_dtype(array, path))
    converted = _converted(array, target, path)
    if converted.flags.c_contiguous:
        return converted
    return np.ascontiguousarray(converted).reshape(array.shape)


def check_mask(value: Any, path: str) -> None:
    """Refuse a numpy masked array, or a list of them, of which numpy would take the masked cells too.

    Raises:
        ValidationError: A cell is masked.
    """
    items = value if isinstance(value, list | tuple) else (value,)
    if any(type(item).__name__ == "MaskedArray" and np.ma.is_masked(item) for item in items):
        raise ValidationError(
            "is a masked array, whose mask would be lost: fill it (array.filled(0)), or leave the "
            "cells out",
            path=path,
        )


def on_the_host(value: Any) -> Any:
    """Return a torch tensor, or another package's `TensorData`, as a numpy array; anything else unchanged."""
    if not hasattr(value, "detach"):
        if hasattr(value, "__array__") or not hasattr(value, "to_numpy"):
            return value
        return value.to_numpy()
    tensor = value.detach().cpu()
    # numpy has no bfloat16.
    return tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()


def check_finite(array: npt.NDArray[Any], path: str) -> None:
    """Refuse NaN and infinity, which JSON does not support; the error names the first one.

    Raises:
        ValidationError: With a path such as ``data[3].loss_fn_inputs['weights'][17]``.
    """
    if array.dtype.kind != "f":
        return
    # A finite sum of squares, the cheapest test, has finite terms only. Squares of large numbers overflow.
    if array.dtype.char in "fd" and math.isfinite(np.vdot(array, array)):
        return
    if np.isfinite(array).all():
        return
    place, value = _first(array, ~np.isfinite(array))
    raise ValidationError(f"is {value}; only finite numbers can be sent", path=f"{path}{place}")


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _first(array: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> tuple[str, Any]:
    index = tuple(np.argwhere(where)[0].tolist())
    return "".join(f"[{i}]" for i in index), array[index]


def _wire_dtype(array: npt.NDArray[Any], path: str) -> TensorDtype:
    if array.dtype.kind == "f":
        return "float32"
    if array.dtype.kind in "iu":
        return "int64"
    raise ValidationError(
        f"values of dtype {array.dtype} cannot be sent; convert them to float32 or int64", path=path
    )


def _converted(array: npt.NDArray[Any], target: np.dtype[Any], path: str) -> npt.NDArray[Any]:
    if array.dtype == target:
        check_finite(array, path)
        return array
    if array.dtype.kind not in "fiu":
        raise ValidationError(
            f"values of dtype {array.dtype} cannot be sent; convert them to {target}", path=path
        )
    if target.kind == "i":
        _check_fits_int64(array, path)
        return array.astype(target, copy=False)
    with np.errstate(over="ignore"):
        converted = array.astype(target, copy=False)
    check_finite(converted, path)
    return converted


def _check_fits_int64(array: npt.NDArray[Any], path: str) -> None:
    if array.dtype.kind == "i":
        return
    check_finite(array, path)
    if array.dtype.kind == "f" and not bool((array == np.trunc(array)).all()):
        place, value = _first(array, array != np.trunc(array))
        raise ValidationError(f"is {value}, but int64 was requested", path=f"{path}{place}")
    # As a float, the largest int64 is rounded up to 2**63, which is out of range.
    beyond = array > _LARGEST_INT64 if array.dtype.kind == "u" else np.abs(array) >= 2.0**63
    if bool(beyond.any()):
        place, value = _first(array, beyond)
        raise ValidationError(f"is {value}, which is out of range for int64", path=f"{path}{place}")
