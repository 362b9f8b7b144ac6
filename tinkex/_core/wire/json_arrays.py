"""Read the number arrays of a JSON answer straight into numpy arrays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tinkex_generated.types import loads

from tinkex._base.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

# Below this an answer holds too few numbers for any of it to pay.
WORTH_IT = 4096

_BLANK = rb"[ \t\r\n]*"
_DATA = re.compile(rb'"data"' + _BLANK + b":" + _BLANK)


def load_with_arrays(content: bytes) -> Any:
    """Decode JSON as `loads` does, but for each "data" array of numbers, which becomes a numpy array.

    The arrays are cut out of the text and read one by one, so that the numbers of a large answer never
    stand in memory as Python objects all at once.

    >>> load_with_arrays(b'{"data": [0.5, -1.25], "shape": [2]}')  # doctest: +SKIP
    {'data': array([ 0.5 , -1.25]), 'shape': [2]}

    Returns:
        What `loads` returns, with float64 [N] arrays for arrays in which a fraction or exponent
        stands, and int64 [N] arrays for those of integers. Arrays that hold anything else, numbers
        that fit neither, and every text that needs a closer look stay lists.

    Raises:
        ValueError: The text is no JSON. What is refused is just what `loads` refuses.
    """
    if len(content) < WORTH_IT:
        return loads(content)
    cut = _cut(content)
    if cut is None:
        return loads(content)
    skeleton, segments = cut
    arrays = []
    for segment in segments:
        # A segment that is no JSON by itself makes no JSON of the whole, or was cut in the wrong
        # place (a bracket inside a string, a list of lists): the whole text tells which.
        try:
            arrays.append(_array(segment))
        except ValueError:
            return loads(content)
    return _filled(loads(skeleton), arrays)


def _cut(content: bytes) -> tuple[bytes, list[bytes]] | None:
    """Return the text with a number in place of each "data" array, and the arrays' texts.

    None stands for a text in which a place that looks like an array may be something else.
    """
    kept: list[bytes] = []
    segments: list[bytes] = []
    position = 0
    for match in _DATA.finditer(content):
        start = match.end()
        end = content.find(b"]", start)
        if content[start : start + 1] != b"[" or end < 0:
            # Some other value: it would look like one of the numbers that stand for arrays.
            return None
        kept += [content[position:start], b"%d" % len(segments)]
        segments.append(content[start : end + 1])
        position = end + 1
    if not segments:
        return None
    skeleton = b"".join([*kept, content[position:]])
    # Without escapes a quote is a quote: no "data" inside of a string, and none written otherwise.
    return None if b"\\" in skeleton else (skeleton, segments)


def _array(segment: bytes) -> Any:
    items: list[Any] = loads(segment)
    # A null, a boolean, a text or an object among them: numpy would take some of these for numbers.
    if any(sign in segment for sign in (b"l", b"u", b'"', b"{")):
        return items
    if any(sign in segment for sign in (b".", b"e", b"E")):
        # Integers among floats are read as the floats that they are equal to.
        return np.array(items, np.float64)
    try:
        return np.array(items, np.int64)
    except OverflowError:
        return items


def _filled(body: Any, arrays: list[Any]) -> Any:
    """Put the arrays where their numbers stand."""
    # Not by recursion: a text may nest deeper than Python calls.
    left = [body]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            for key, item in value.items():
                if key == "data":
                    value[key] = arrays[item]
                else:
                    left.append(item)
    return body
