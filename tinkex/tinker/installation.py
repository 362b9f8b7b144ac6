"""Let ``import tinker`` mean this package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Self

__all__ = ["Installation", "install"]

_OFFICIAL = "tinker"
_OURS = "tinkex.tinker"
_lock = threading.Lock()


class Installation:
    """What `install` did; `undo`, or the end of a ``with`` block, takes it back."""

    def __init__(self, finder: _Finder) -> None:
        self._finder = finder

    def undo(self) -> None:
        """Resolve ``import tinker`` to the official package again.

        What was imported before keeps what it has.
        """
        with _lock:
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
                for name in [*sys.modules]:
                    if _is_below(name, _OFFICIAL):
                        del sys.modules[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.undo()


def install() -> Installation:
    """Resolve ``import tinker`` to this package, in all modules that are imported from now on.

    >>> import tinkex.tinker
    >>> with tinkex.tinker.install():
    ...     import tinker
    >>> tinker.ModelInput.from_ints([1, 2]).length
    2

    Call it before anything that imports ``tinker``. Without ``with`` it holds until the process ends.

    Raises:
        RuntimeError: The official package was imported before, or it is installed this way already.
    """
    with _lock:
        if any(isinstance(finder, _Finder) for finder in sys.meta_path):
            raise RuntimeError(
                "tinkex.tinker is installed as 'tinker' already: call install() once, at the start"
            )
        if _OFFICIAL in sys.modules:
            raise RuntimeError(
                "the official package 'tinker' was imported before, and what imported it would keep "
                "it: call tinkex.tinker.install() before all other imports"
            )
        finder = _Finder()
        # Before those that would find the official package.
        sys.meta_path.insert(0, finder)
    return Installation(finder)


class _Finder:
    """Finds our module for each name of the official package that we have."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        del path, target
        if not _is_below(fullname, _OFFICIAL):
            return None
        ours = _OURS + fullname.removeprefix(_OFFICIAL)
        try:
            is_there = ours in sys.modules or importlib.util.find_spec(ours) is not None
        except ModuleNotFoundError:
            is_there = False
        if not is_there:
            raise ModuleNotFoundError(
                f"tinkex.tinker, which is installed as 'tinker', has no {fullname!r}", name=fullname
            )
        return ModuleSpec(fullname, _Loader(ours), is_package=True)


class _Loader(Loader):
    def __init__(self, ours: str) -> None:
        self._ours = ours
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        module = importlib.import_module(self._ours)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It has run under its own name, whose spec the import system has just replaced.
        module.__spec__ = self._spec


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
