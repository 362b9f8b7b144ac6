"""Marks what may change in any release of the official package."""

from __future__ import annotations

from tinkex.tinker._twins import ExperimentalWarning

__all__ = ["ExperimentalWarning"]
