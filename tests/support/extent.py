"""How much the long tests do: a short form in `make test`, the whole in `make test-all`."""

from __future__ import annotations

import os

ALL = os.environ.get("TINKEX_TESTS") == "all"


def extent(name: str, short: int, whole: int) -> int:
    """Return how many times or seconds a test tries something.

    TINKEX_<name> says so for one test, as in TINKEX_KILLS=50; TINKEX_TESTS=all chooses the whole.
    """
    given = os.environ.get(f"TINKEX_{name}")
    return int(given) if given else whole if ALL else short


def examples(whole: int) -> int:
    """Return how many examples a property is tried with: a quarter in the short form."""
    return whole if ALL else max(whole // 4, 5)
