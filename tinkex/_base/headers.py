"""Syntax of HTTP headers."""

from __future__ import annotations

import re

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def is_header_name(name: str) -> bool:
    """Return whether a text is a valid header name, which is a token of RFC 9110 (5.6.2)."""
    return _NAME.fullmatch(name) is not None
