"""Read flat lists of Python numbers into arrays several times faster than numpy does by itself."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tinkex._base.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")


def flat_array(value: Any, wire_dtype: str | None = None) -> npt.NDArray[Any] | None:
    """Return the array of a flat list or tuple of plain numbers, or None where numpy has to look.

    What it returns is what numpy makes of the value, byte for byte: int64 for integers, float32 for
    floats if those are wanted. Anything else (other types inside, nesting, numbers that do not fit)
    is left to numpy, whose reading the errors speak of; but a Fraction among floats, or an integer beyond
    64 bits, is read as the float nearest to it.

    Args:
        value: Anything.
        wire_dtype: "float32", "int64" or None, as `to_array` takes it.
    """
    # A bool, or a subclass of list with ideas of its own, is numpy's to judge.
    if type(value) not in (list, tuple) or not value:
        return None
    first = type(value[0])
    try:
        # `struct` takes whatever turns itself into a number (Decimal, __index__). The type of the
        # sum tells of such items in a fifth of the time that a look at each would take.
        if first not in (int, float) or type(_sum(value)) is not first:
            return None
        if first is int:
            return np.frombuffer(struct.pack(f"{len(value)}q", *value), np.int64)
        if first is float and wire_dtype != "int64":
            return np.frombuffer(struct.pack(f"{len(value)}f", *value), np.float32)
    except (struct.error, ArithmeticError, TypeError, ValueError):
        return None
    return None


def _sum(value: list[Any] | tuple[Any, ...]) -> Any:
    # A numpy scalar among the numbers would warn of an overflow.
    with np.errstate(all="ignore"):
        return sum(value)
