"""Modules that load when something of them is first used, so that importing tinkex costs little."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Stand in for a module until one of its names is asked for.

    >>> math = LazyModule("math")
    >>> math.floor(2.5)
    2

    For type checkers the real import stands beside it, under ``if TYPE_CHECKING``.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        # The next look-up finds it here, at the price of any attribute.
        setattr(self, name, value)
        return value
