"""Download a checkpoint: the one you name, the newest you have, or one made for the purpose.

    python examples/checkpoint_download.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_CHECKPOINT_PATH,
TINKER_OUTPUT_DIR (a folder tinkex_checkpoints for temporary files), FORCE ("true" replaces an earlier
download), TINKEX_DEBUG (1: say what is asked for).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from connection import base_model, connect, human, setting

from tinkex import AdamParams, Datum, ModelInput, RestClient, ServiceClient, TinkexError
from tinkex.checkpoints import download
from tinkex.errors import ApiError, CheckpointError, NotFoundError

# What a server says of a checkpoint whose archive it cannot make yet, or not at all.
NOT_READY = (400, 403, 404)
DEBUG = os.environ.get("TINKEX_DEBUG", "").lower() in ("1", "true", "yes")


def debug(text: str) -> None:
    """Print a line for those who want to know more."""
    if DEBUG:
        print(f"[debug] {text}")


def show_progress(done: int, total: int | None) -> None:
    """Rewrite one line as bytes come, on a terminal; elsewhere print only the last state."""
    if not sys.stdout.isatty() and done != total:
        return
    share = f"{100 * done / total:5.1f} % of {human(total)}" if total else "size unknown"
    print(f"\r  {human(done)}, {share}", end="", flush=True)


def has_archive(rest: RestClient, path: str, tries: int, pause: float) -> bool:
    """Return whether a checkpoint has an archive; one that was saved just now may take a moment."""
    for number in range(1, tries + 1):
        try:
            rest.get_checkpoint_archive_url(path, patience=10)
        except ApiError as error:
            debug(f"try {number} of {tries} for {path}: HTTP {error.status_code}")
            if error.status_code not in NOT_READY:
                raise
        else:
            debug(f"{path} has an archive")
            return True
        if number < tries:
            time.sleep(pause)  # noqa: TID251 - of a script, not of the package
    return False


def find_checkpoint(rest: RestClient) -> str | None:
    """Return the newest checkpoint of yours that has an archive."""
    for checkpoint in islice(rest.iter_user_checkpoints(), 50):
        if has_archive(rest, checkpoint.tinker_path, tries=3, pause=2.0):
            return checkpoint.tinker_path
    return None


def make_checkpoint(service: ServiceClient, rest: RestClient) -> str:
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
    path = training.save_weights_for_sampler(name).result().path or ""
    if not has_archive(rest, path, tries=6, pause=2.0):
        sys.exit(
            f"error: {path} has no archive yet; set TINKER_CHECKPOINT_PATH to it and try later"
        )
    return path


def main() -> None:
    """Find or make a checkpoint, download it, and list its files."""
    output_dir = setting(
        "TINKER_OUTPUT_DIR", Path(tempfile.gettempdir()) / "tinkex_checkpoints", Path
    )
    with connect() as service:
        rest = service.create_rest_client()
        path = os.environ.get("TINKER_CHECKPOINT_PATH")
        if path:
            has_archive(rest, path, tries=3, pause=1.0)
        else:
            path = find_checkpoint(rest) or make_checkpoint(service, rest)
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
