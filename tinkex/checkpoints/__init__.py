"""Checkpoint management: download, inspection, merging, upload to the Hugging Face Hub, deletion."""

from tinkex.checkpoints.bar import progress_bar
from tinkex.checkpoints.download import Download, download
from tinkex.checkpoints.extract import Limits, extract
from tinkex.checkpoints.hub import HubUpload, push_to_hub
from tinkex.checkpoints.inspection import Inspection, StoredTensor, inspect
from tinkex.checkpoints.lifecycle import Deletion, delete, prune
from tinkex.checkpoints.merge import merge

__all__ = [
    "Deletion",
    "Download",
    "HubUpload",
    "Inspection",
    "Limits",
    "StoredTensor",
    "delete",
    "download",
    "extract",
    "inspect",
    "merge",
    "progress_bar",
    "prune",
    "push_to_hub",
]
