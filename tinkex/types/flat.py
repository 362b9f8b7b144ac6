"""Fast conversion of flat lists of Python numbers into arrays."""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, Any

from tinkex._base.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")


def flat_array(value: Any, wire_dtype: str | None = None) -> npt.NDArray[Any] | None:
    """Return the array of a flat list or tuple of plain numbers, or None if numpy must convert it.

    The result is identical to numpy's: int64 for integers, float32 for floats if requested. Anything
    else (other element types, nesting, numbers out of range) is left to numpy, on which the error messages
    are based. There is one exception: a Fraction, or an integer beyond 64 bits, among floats becomes the
    nearest float.

    Args:
        value: Anything.
        wire_dtype: "float32", "int64" or None, as in `to_array`.
    """
    if (packed := _packed(value, int, "q")) is not None:
        return np.frombuffer(packed, np.int64)
    if wire_dtype != "int64" and (packed := _packed(value, float, "f")) is not None:
        return np.frombuffer(packed, np.float32)
    return None


def flat_ids(value: Any) -> array[int] | None:
    """Return the array of a flat list or tuple of ids, or None if numpy must convert or refuse it.

    It is of int32, or of int64 if an id needs that, and is made without numpy, which a program that only
    samples never loads.
    """
    for code, size in (("i", 4), ("q", 8)):
        packed = _packed(value, int, code)
        if packed is not None:
            # The byte with the sign of each id.
            signs = slice(size - 1 if sys.byteorder == "little" else 0, None, size)
            return array(code, packed) if packed[signs].isascii() else None
    return None


def _packed(value: Any, kind: type, code: str) -> bytes | None:
    # bool and subclasses of list are left to numpy.
    if type(value) not in (list, tuple) or not value or type(value[0]) is not kind:
        return None
    try:
        # `struct` accepts any object that converts to a number (Decimal, __index__). The type of the
        # sum reveals such items in a fifth of the time of checking each.
        if type(_sum(value)) is not kind:
            return None
        return struct.pack(f"{len(value)}{code}", *value)
    except (struct.error, ArithmeticError, TypeError, ValueError):
        return None


def _sum(value: list[Any] | tuple[Any, ...]) -> Any:
    if "numpy" not in sys.modules:
        return sum(value)
    # A numpy scalar among the numbers would warn about an overflow.
    with np.errstate(all="ignore"):
        return sum(value)
