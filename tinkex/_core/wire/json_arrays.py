"""Parsing of number arrays in JSON responses straight into numpy arrays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tinkex_generated.types import loads

from tinkex._base.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

# A shorter response has too few numbers to gain anything.
WORTH_IT = 4096

_BLANK = rb"[ \t\r\n]*"
_DATA = re.compile(rb'"data"' + _BLANK + b":" + _BLANK)


def load_with_arrays(content: bytes) -> Any:
    """Decode JSON like `loads`, with each "data" array of numbers as a numpy array.

    The arrays are cut out of the text and parsed one by one, so that the numbers of a large response are
    never in memory as Python objects all at once.

    >>> load_with_arrays(b'{"data": [0.5, -1.25], "shape": [2]}')  # doctest: +SKIP
    {'data': array([ 0.5 , -1.25]), 'shape': [2]}

    Returns:
        The result of `loads`, with float64 [N] arrays in place of arrays with a fraction or an exponent,
        and int64 [N] arrays in place of integer arrays. Arrays with other elements, numbers out of
        range, and ambiguous texts are left as lists.

    Raises:
        ValueError: The text is not JSON. The accepted texts are exactly those of `loads`.
    """
    if len(content) < WORTH_IT:
        return loads(content)
    cut = _cut(content)
    if cut is None:
        return loads(content)
    skeleton, segments = cut
    arrays = []
    for segment in segments:
        # A segment that is not JSON makes the whole text invalid, or was cut in the wrong place (a
        # bracket inside a string, a list of lists): parsing the whole text decides.
        try:
            arrays.append(_array(segment))
        except ValueError:
            return loads(content)
    return _filled(loads(skeleton), arrays)


def _cut(content: bytes) -> tuple[bytes, list[bytes]] | None:
    """Return the text with a number in place of each "data" array, and the arrays' texts.

    Return None if a match may be something other than an array.
    """
    kept: list[bytes] = []
    segments: list[bytes] = []
    position = 0
    for match in _DATA.finditer(content):
        start = match.end()
        end = content.find(b"]", start)
        if content[start : start + 1] != b"[" or end < 0:
            # A number here would be confused with the numbers that stand for arrays.
            return None
        kept += [content[position:start], b"%d" % len(segments)]
        segments.append(content[start : end + 1])
        position = end + 1
    if not segments:
        return None
    skeleton = b"".join([*kept, content[position:]])
    # Without escapes, every quote delimits a string: "data" cannot be inside one or spelled otherwise.
    return None if b"\\" in skeleton else (skeleton, segments)


def _array(segment: bytes) -> Any:
    items: list[Any] = loads(segment)
    # It has a null, a boolean, a string or an object, which numpy could take for a number.
    if any(sign in segment for sign in (b"l", b"u", b'"', b"{")):
        return items
    if any(sign in segment for sign in (b".", b"e", b"E")):
        # Integers among floats become equal floats.
        return np.array(items, np.float64)
    try:
        return np.array(items, np.int64)
    except OverflowError:
        return items


def _filled(body: Any, arrays: list[Any]) -> Any:
    """Insert the arrays in place of their numbers."""
    # Not recursive: a text may nest deeper than Python's recursion limit.
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
