"""Bring checkpoints home."""

from tinkex.checkpoints.download import download
from tinkex.checkpoints.extract import Limits, extract

__all__ = ["Limits", "download", "extract"]
