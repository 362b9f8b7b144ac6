"""Bring checkpoints home."""

from tinkex.checkpoints.download import Download, download
from tinkex.checkpoints.extract import Limits, extract

__all__ = ["Download", "Limits", "download", "extract"]
