"""Glob patterns of file names, in which ``*`` stays within a folder and ``**`` does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WILD = re.compile(r"\*\*/|\*\*|\*|\?")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path with ``/``, or its last part alone, matches one of the patterns.

    >>> matches("sub/model.bin", ["*.bin"]), matches("sub/model.bin", ["other/**"])
    (True, False)
    """
    name = path.rpartition("/")[2]
    return any(regex.fullmatch(path) or regex.fullmatch(name) for regex in map(_regex, patterns))


def _regex(pattern: str) -> re.Pattern[str]:
    parts, end = [], 0
    for wild in _WILD.finditer(pattern):
        parts += [re.escape(pattern[end : wild.start()]), _MEANING[wild[0]]]
        end = wild.end()
    return re.compile("".join([*parts, re.escape(pattern[end:])]), re.DOTALL)
