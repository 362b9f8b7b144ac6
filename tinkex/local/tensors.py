"""From the wire's tokens and tensors to the engine's arrays."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from attrs import evolve
from tinkex_generated.errors import ParseError

from tinkex._base.protobuf.arrays import dense_from_csr
from tinkex.local.problem import misfit

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Loc = tuple[str | int, ...]

# Beyond this a float no longer stands for one integer.
_EXACT = 2.0**53

# Of a sparse tensor written out: 128 MB of int64.
MOST_CELLS = 2**24


def prompt_tokens(
    model_input: Any, loc: Loc, look: Callable[[Any, Loc], "np.ndarray[Any, Any]"]
) -> IntArray:
    """Return the tokens of a ModelInput's chunks, one after the other; `look` reads those of images."""
    parts = []
    for index, chunk in enumerate(model_input.chunks):
        where = (*loc, "chunks", index)
        if is_text(chunk):
            parts.append(integers(chunk.tokens, (*where, "tokens")))
        else:
            parts.append(look(chunk, where))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def is_text(chunk: Any) -> bool:
    """Return whether a chunk holds tokens, and not an image or audio."""
    return getattr(chunk, "tokens", None) is not None


def integers(values: Any, loc: Loc) -> IntArray:
    """Return a JSON list of integers as an int64 array."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise misfit(loc, "must be a flat list of integers") from error
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.dtype.kind == "f" and (np.abs(array) < _EXACT).all():
        # JSON Schema calls 3.0 an integer too.
        whole = array.astype(np.int64)
        array = whole if np.array_equal(whole, array) else array
    if array.dtype != np.int64 or array.ndim != 1:
        raise misfit(loc, "must be a flat list of 64-bit integers")
    return cast("IntArray", array)


def floats(values: Any, loc: Loc) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Return a JSON list of numbers as a float32 array."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise misfit(loc, "must be a flat list of numbers") from error
    if array.ndim != 1:
        raise misfit(loc, "must be a flat list of numbers")
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise misfit(loc, "has a value that float32 cannot hold")
    return narrow


def tensor(data: Any, loc: Loc) -> "np.ndarray[Any, Any]":
    """Return a TensorData as an array of its dtype and shape."""
    if data.shape is not None:
        # JSON Schema calls 3.0 an integer too.
        data = evolve(data, shape=integers(data.shape, (*loc, "shape")).tolist())
    _check_cells(data, loc)
    convert = integers if data.dtype == "int64" else floats
    flat: np.ndarray[Any, Any] = convert(data.data, (*loc, "data"))
    if data.sparse_crow_indices is not None or data.sparse_col_indices is not None:
        return _dense(data, flat, loc)
    if data.shape is None:
        return flat
    shape = tuple(data.shape)
    if min(shape, default=0) < 0 or _product(shape) != flat.size:
        raise misfit((*loc, "shape"), f"is {list(shape)}, but data has {flat.size} values")
    return flat.reshape(shape)


def _check_cells(data: Any, loc: Loc) -> None:
    """Refuse a sparse tensor whose dense form is out of all proportion: a few bytes can claim it."""
    if data.sparse_crow_indices is not None and data.shape is not None:
        cells = _product(tuple(data.shape))
        if cells > MOST_CELLS:
            raise misfit((*loc, "shape"), f"has {cells} cells, more than {MOST_CELLS}")


def _dense(data: Any, values: "np.ndarray[Any, Any]", loc: Loc) -> "np.ndarray[Any, Any]":
    """Return a CSR matrix as a dense array, with zeros in the cells that are not listed."""
    if data.sparse_crow_indices is None or data.sparse_col_indices is None:
        raise misfit(loc, "sparse_crow_indices and sparse_col_indices go together")
    starts = integers(data.sparse_crow_indices, (*loc, "sparse_crow_indices"))
    where = integers(data.sparse_col_indices, (*loc, "sparse_col_indices"))
    try:
        return dense_from_csr(values, starts, where, data.shape, "")
    except ParseError as error:
        raise misfit((*loc, error.path.removeprefix(".")), error.message) from error


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total
