"""List your checkpoints, and say which of them could go.

    python examples/checkpoints_management.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_RUN_ID. On the embedded server, a
few checkpoints are made first.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

from connection import base_model, connect, human

from tinkex import RestClient, ServiceClient, TinkexError
from tinkex.checkpoints import Deletion, prune
from tinkex.types import Checkpoint

PAGE = 50


def show(checkpoint: Checkpoint) -> None:
    """Print what is listed of a checkpoint."""
    print(f"  {checkpoint.checkpoint_id}")
    print(f"    path     {checkpoint.tinker_path}")
    print(f"    type     {checkpoint.checkpoint_type}, {human(checkpoint.size_bytes)}")
    print(f"    public   {'yes' if checkpoint.public else 'no'}")
    print(f"    created  {checkpoint.time:%Y-%m-%d %H:%M:%S}")
    print(f"    expires  {checkpoint.expires_at or 'never'}")


def page_through(rest: RestClient) -> None:
    """Fetch all checkpoints page by page, as `iter_user_checkpoints` does by itself."""
    seen = 0
    while True:
        page = rest.list_user_checkpoints(limit=PAGE, offset=seen)
        total = page.cursor.total_count if page.cursor else len(page.checkpoints)
        seen += len(page.checkpoints)
        print(f"fetched {seen} ({total})")
        # A page without entries ends it, whatever the total says.
        if seen >= total or not page.checkpoints:
            return


def make_some(service: ServiceClient) -> None:
    """Save a checkpoint to keep, one that goes tomorrow, and one for sampling."""
    training = service.create_lora_training_client(base_model(service), rank=8)
    training.save_state("first").result()
    training.save_state("second", ttl_seconds=86_400).result()
    training.save_weights_for_sampler("sampler").result()


def show_rehearsal(what: str, could: Deletion) -> None:
    """Print what a pruning would delete."""
    paths = ", ".join(could.deleted) or "nothing"
    print(f"Pruning {what} would delete {len(could.deleted)}: {paths}")


def main() -> None:
    """List, page, and rehearse a pruning."""
    with connect() as service:
        rest = service.create_rest_client()
        page = rest.list_user_checkpoints(limit=20)
        if not page.checkpoints and service.config.is_loopback:
            make_some(service)
            page = rest.list_user_checkpoints(limit=20)
        total = page.cursor.total_count if page.cursor else len(page.checkpoints)
        print(f"found {len(page.checkpoints)} of {total}")
        for checkpoint in page.checkpoints:
            show(checkpoint)
        page_through(rest)
        run_id = os.environ.get("TINKER_RUN_ID")
        if run_id:
            print(f"Run {run_id}:")
            for checkpoint in rest.iter_checkpoints(run_id):
                print(f"  {checkpoint.tinker_path}, expires {checkpoint.expires_at or 'never'}")
        last = prune(rest, keep_last=1, dry_run=True)
        show_rehearsal("all but the newest of each run and kind", last)
        old = prune(rest, older_than=timedelta(days=30), dry_run=True)
        show_rehearsal("what is older than 30 days", old)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
