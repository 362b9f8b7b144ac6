"""Marks what may change in any release of the official package."""

from __future__ import annotations


class ExperimentalWarning(FutureWarning):
    """A call of something that may change in any release."""
