"""Download a checkpoint: the one you name, the newest you have, or one made for the purpose.

    python examples/checkpoint_download.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_CHECKPOINT_PATH,
TINKER_OUTPUT_DIR (a folder tinkex_checkpoints for temporary files), FORCE ("true" replaces an earlier
download), TINKEX_DEBUG (1 shows every request on stderr).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from connection import base_model, connect, human, setting

import tinkex
from tinkex import AdamParams, Datum, ModelInput, RestClient, ServiceClient, TinkexError
from tinkex.checkpoints import download
from tinkex.errors import ApiError, CheckpointError, NotFoundError

NOT_READY = (400, 403, 404)


def show_progress(done: int, total: int | None) -> None:
    """Rewrite one line as bytes come, on a terminal; elsewhere print only the last state."""
    if not sys.stdout.isatty() and done != total:
        return
    share = f"{100 * done / total:5.1f} % of {human(total)}" if total else "size unknown"
    print(f"\r  {human(done)}, {share}", end="", flush=True)


def find_checkpoint(rest: RestClient) -> str | None:
    """Return the newest checkpoint of yours that has an archive."""
    for checkpoint in islice(rest.iter_user_checkpoints(), 50):
        try:
            rest.get_checkpoint_archive_url(checkpoint.tinker_path, patience=10)
        except ApiError as error:
            if error.status_code not in NOT_READY:
                raise
        else:
            return checkpoint.tinker_path
    return None


def make_checkpoint(service: ServiceClient) -> str:
    """Train one step on a phrase and save the weights."""
    print("No checkpoint to download yet: training one step to make one.")
    training = service.create_lora_training_client(base_model(service), rank=8)
    tokens = training.get_tokenizer().encode("Checkpoints are made to be kept.")
    datum = Datum(
        ModelInput.from_ints(tokens[:-1]),
        {"target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)},
    )
    training.train_step([datum], "cross_entropy", AdamParams())
    name = f"checkpoint-download-example-{int(time.time())}"
    return training.save_weights_for_sampler(name).result().path or ""


def main() -> None:
    """Find or make a checkpoint, download it, and list its files."""
    output_dir = setting(
        "TINKER_OUTPUT_DIR", Path(tempfile.gettempdir()) / "tinkex_checkpoints", Path
    )
    if os.environ.get("TINKEX_DEBUG", "").lower() in ("1", "true", "yes"):
        tinkex.enable_logging("debug")
    with connect() as service:
        rest = service.create_rest_client()
        path = os.environ.get("TINKER_CHECKPOINT_PATH")
        if not path:
            path = find_checkpoint(rest) or make_checkpoint(service)
            print("TINKER_CHECKPOINT_PATH is not set: chose one.")
        print(f"Checkpoint: {path}\nInto:       {output_dir}")
        try:
            got = download(
                rest,
                path,
                output_dir,
                force=os.environ.get("FORCE") == "true",
                progress=show_progress,
            )
        except NotFoundError as error:
            sys.exit(f"error: {error}\nSet TINKER_CHECKPOINT_PATH to a checkpoint that exists.")
        except CheckpointError as error:
            sys.exit(f"error: {error}\nFORCE=true replaces an earlier download.")
        print(f"\nComplete: {got.folder}")
        for file in got.files:
            print(f"  {file.name:30} {human(file.stat().st_size)}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
