"""Save two checkpoints and delete both at once, through the command line.

    python examples/checkpoint_multi_delete.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path

from connection import base_model, connect

from tinkex import TinkexError, cli

try:
    import click
except ModuleNotFoundError:
    sys.exit(f"error: {cli.INSTALL_HINT}")

DEFAULT_PATH = Path("tmp/checkpoints/default.path")


def main() -> None:
    """Save, note the first path, delete, and print the results."""
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

        # The key, if there is one, is in the environment; "local" is this process's own server.
        arguments = ["checkpoint", "delete", *paths, "--yes", "--base-url", service.config.base_url]
        print(f"Running: {shlex.join(['tinkex', *arguments])}")
        # Raises if one of them could not be deleted.
        print(f"Returned: {json.dumps(cli.run(arguments), indent=2)}")


if __name__ == "__main__":
    try:
        main()
    except (TinkexError, click.ClickException) as error:
        sys.exit(f"error: {error}")
