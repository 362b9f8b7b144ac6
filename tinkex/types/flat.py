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
    # bool and subclasses of list are left to numpy.
    if type(value) not in (list, tuple) or not value:
        return None
    first = type(value[0])
    try:
        # `struct` accepts any object that converts to a number (Decimal, __index__). The type of the
        # sum reveals such items in a fifth of the time of checking each.
        if first not in (int, float) or type(_sum(value)) is not first:
            return None
        if first is int:
            return np.frombuffer(struct.pack(f"{len(value)}q", *value), np.int64)
        if first is float and wire_dtype != "int64":
            return np.frombuffer(struct.pack(f"{len(value)}f", *value), np.float32)
    except (struct.error, ArithmeticError, TypeError, ValueError):
        return None
    return None


def flat_ids(value: Any) -> array[int] | None:
    """Return the int64 array of a flat list or tuple of ids, or None if numpy must convert or refuse it.

    It works without numpy, which a program that only samples never loads.
    """
    if type(value) not in (list, tuple) or not value or type(value[0]) is not int:
        return None
    try:
        if type(_sum(value)) is not int:
            return None
        packed = struct.pack(f"{len(value)}q", *value)
    except (struct.error, ArithmeticError, TypeError, ValueError):
        return None
    # The byte with the sign of each id.
    signs = packed[7 if sys.byteorder == "little" else 0 :: 8]
    return array("q", packed) if signs.isascii() else None


def _sum(value: list[Any] | tuple[Any, ...]) -> Any:
    if "numpy" not in sys.modules:
        return sum(value)
    # A numpy scalar among the numbers would warn about an overflow.
    with np.errstate(all="ignore"):
        return sum(value)
