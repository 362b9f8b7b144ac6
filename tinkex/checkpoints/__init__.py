"""Bring checkpoints home, and say what they are."""

from tinkex.checkpoints.bar import progress_bar
from tinkex.checkpoints.download import Download, download
from tinkex.checkpoints.extract import Limits, extract
from tinkex.checkpoints.inspection import Inspection, inspect
from tinkex.checkpoints.safetensors_header import StoredTensor

__all__ = [
    "Download",
    "Inspection",
    "Limits",
    "StoredTensor",
    "download",
    "extract",
    "inspect",
    "progress_bar",
]
