"""Bring checkpoints home."""

from tinkex.checkpoints.bar import progress_bar
from tinkex.checkpoints.download import Download, download
from tinkex.checkpoints.extract import Limits, extract

__all__ = ["Download", "Limits", "download", "extract", "progress_bar"]
