"""Modules that are loaded on first use, to keep `import tinkex` fast."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """A module that is imported when one of its attributes is first used.

    >>> math = LazyModule("math")
    >>> math.floor(2.5)
    2

    For type checkers, put the real import under ``if TYPE_CHECKING``.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name__), name)
        # Cached: later look-ups are plain attribute access.
        setattr(self, name, value)
        return value
