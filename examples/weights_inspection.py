"""List training runs and checkpoints, and inspect an adapter.

    python examples/weights_inspection.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_RUN_ID, TINKER_CHECKPOINT_PATH,
TINKER_SAMPLER_ID, TINKER_EXPECTED_RANK. Without a checkpoint, one is made.
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import islice

from connection import base_model, connect

from tinkex import RestClient, ServiceClient, TinkexError
from tinkex.checkpoints import inspect

RANK = 8
SHOWN_LINES = 24


def show_runs(rest: RestClient) -> str | None:
    """Print the newest runs, and one of them in full; return its id."""
    runs = rest.list_training_runs(limit=10, access_scope="accessible").training_runs
    print(f"Training runs: {len(runs)}")
    for run in runs:
        last = run.last_checkpoint.tinker_path if run.last_checkpoint else "none"
        kind = f"LoRA rank {run.lora_rank}" if run.is_lora else "full"
        state = ", corrupted" if run.corrupted else ""
        print(f"  {run.training_run_id}: {run.base_model}, {kind}{state}")
        print(f"    last checkpoint {last}; owner {run.model_owner}")
    chosen = os.environ.get("TINKER_RUN_ID") or (runs[0].training_run_id if runs else None)
    if chosen is None:
        return None
    run = rest.get_training_run(chosen, access_scope="accessible")
    sampler = run.last_sampler_checkpoint
    print(f"Run {chosen}: last used {run.last_request_time:%Y-%m-%d %H:%M}")
    print(f"  last sampler checkpoint {sampler.tinker_path if sampler else 'none'}")
    return chosen


def show_checkpoints(rest: RestClient, run_id: str | None) -> None:
    """Print your newest checkpoints, and those of a run."""
    print("Checkpoints:")
    for one in islice(rest.iter_user_checkpoints(), 10):
        size = "unknown size" if one.size_bytes is None else f"{one.size_bytes / 1e6:.2f} MB"
        print(f"  {one.checkpoint_type} {one.tinker_path}: {size}, saved {one.time:%Y-%m-%d %H:%M}")
        print(f"    expires {one.expires_at or 'never'}")
    if run_id:
        paths = [one.tinker_path for one in rest.iter_checkpoints(run_id)]
        print(f"Of run {run_id}: {', '.join(paths) or 'none'}")


def show_weights(rest: RestClient, path: str) -> None:
    """Print what the server knows of a checkpoint, and what its files say."""
    info = rest.get_weights_info_by_tinker_path(path)
    print(f"Checkpoint {path}")
    print(f"  base model {info.base_model}, LoRA {info.is_lora}, rank {info.lora_rank}")
    print(
        f"  trains unembedding {info.train_unembed}, MLP {info.train_mlp}, "
        f"attention {info.train_attn}"
    )
    print(f"  of run {rest.get_training_run_by_tinker_path(path).training_run_id}")
    expected = os.environ.get("TINKER_EXPECTED_RANK")
    if expected:
        same = expected == str(info.lora_rank)
        print(f"  rank {'matches' if same else 'does not match'} the expected {expected}")
    # The URL itself is a secret for as long as it is good.
    print(f"  archive URL good until {rest.get_checkpoint_archive_url(path).expires:%H:%M:%S}")
    with tempfile.TemporaryDirectory() as folder:
        lines = inspect(rest.download_checkpoint(path, folder).folder).table().splitlines()
    print("\n".join(lines[:SHOWN_LINES]))
    if len(lines) > SHOWN_LINES:
        print(f"... and {len(lines) - SHOWN_LINES} more tensors")


def checkpoint_path(service: ServiceClient, rest: RestClient) -> str:
    """Return the checkpoint named in the environment, or the newest, or a new one."""
    newest = (one.tinker_path for one in rest.iter_user_checkpoints())
    path = os.environ.get("TINKER_CHECKPOINT_PATH") or next(newest, None)
    if path is None:
        print("No checkpoint yet: saving one.")
        training = service.create_lora_training_client(base_model(service), rank=RANK)
        path = training.save_weights_for_sampler("inspection").result().path
    return path or ""


def main() -> None:
    """Show runs, checkpoints, and one of them from inside."""
    with connect() as service:
        rest = service.create_rest_client()
        path = checkpoint_path(service, rest)
        show_checkpoints(rest, show_runs(rest))
        show_weights(rest, path)
        sampler_id = os.environ.get("TINKER_SAMPLER_ID")
        if sampler_id:
            sampler = rest.get_sampler(sampler_id)
            print(f"Sampler {sampler_id}: {sampler.base_model}, {sampler.model_path or 'base'}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
