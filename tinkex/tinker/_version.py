"""The release of the official package whose names and forms these are."""

from __future__ import annotations

__title__ = "tinker"
__version__ = "0.38.0"
