"""Save two checkpoints and delete both at once.

    python examples/checkpoint_multi_delete.py

The command line does it, called from Python (pip install "tinkex[cli]").
Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from connection import base_model, connect

from tinkex import TinkexError
from tinkex.cli import run
from tinkex.cli.failures import Failed

DEFAULT_PATH = Path("tmp/checkpoints/default.path")


def main() -> None:
    """Save, note the first path, delete, and print what became of them."""
    with connect() as service:
        training = service.create_lora_training_client(base_model(service), rank=8)
        stem = f"multi-delete-{int(time.time())}"
        saves = [training.save_state(f"{stem}-{letter}") for letter in "ab"]
        paths = [save.result().path or "" for save in saves]
        for path in paths:
            print(f"Saved {path}")
        DEFAULT_PATH.parent.mkdir(parents=True, exist_ok=True)
        DEFAULT_PATH.write_text(paths[0], encoding="utf-8")
        print(f"Wrote the first path to {DEFAULT_PATH}")

        # The same as `tinkex checkpoint delete PATH PATH --yes` in a shell; its output stands above
        # the result, which programs get as it is.
        arguments = ["checkpoint", "delete", *paths, "--yes", "--base-url", service.config.base_url]
        print(json.dumps(run(arguments), indent=2))


if __name__ == "__main__":
    try:
        main()
    except (TinkexError, Failed) as error:
        sys.exit(f"error: {error}")
