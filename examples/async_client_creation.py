"""Create several clients side by side, without an event loop.

    python examples/async_client_creation.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_CHECKPOINT_PATHS (comma-separated
tinker:// paths to sample from; without it, a training client is made, saved and restored).
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import Future
from typing import Any

from connection import base_model, connect, setting

from tinkex import SamplingClient, ServiceClient, TinkexError


def main() -> int:
    """Create the clients, and say which of them there are."""
    paths = [path.strip() for path in setting("TINKER_CHECKPOINT_PATHS", "", str).split(",")]
    paths = [path for path in paths if path]
    with connect() as service:
        print("Creating clients side by side")
        return samplers(service, paths) if paths else both_kinds(service)


def samplers(service: ServiceClient, paths: list[str]) -> int:
    """Create a sampling client of each checkpoint at the same time."""
    began = time.monotonic()
    jobs: dict[str, Future[SamplingClient]] = {}
    for path in paths:
        print(f"  starting {path}")
        jobs[path] = service.submit(service.create_sampling_client, path)
    made = [report(path, job) for path, job in jobs.items()]
    print(f"{sum(made)} of {len(made)} clients in {time.monotonic() - began:.2f} s")
    return 0 if all(made) else 1


def both_kinds(service: ServiceClient) -> int:
    """Create a sampler and a training client at the same time, then restore what was trained."""
    model = base_model(service, hosted_default="meta-llama/Llama-3.2-1B")
    began = time.monotonic()
    sampler = service.submit(service.create_sampling_client, base_model=model)
    training = service.submit(service.create_lora_training_client, model, rank=32)
    print(f"  starting a sampling client and a training client of {model}")
    made = [report("sampling client", sampler), report("training client", training)]
    print(f"Both after {time.monotonic() - began:.2f} s")
    if not all(made):
        return 1

    name = f"async-demo-{int(time.time())}"
    saved = training.result().save_state(name, ttl_seconds=3600).result()
    print(f"Saved as {saved.path}")
    # The rank is read from the checkpoint; naming it here makes sure that it is the one we saved.
    restored = service.submit(service.create_training_client_from_state, saved.path, rank=32)
    return 0 if report("restored client", restored) else 1


def report(what: str, job: Future[Any]) -> bool:
    """Wait for a client, and print it or why there is none."""
    try:
        print(f"  ✓ {what}: {job.result(timeout=120)}")
    except (TinkexError, TimeoutError) as error:
        print(f"  ✗ {what}: {error or 'not within 120 s'}")
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TinkexError as error:
        sys.exit(f"error: {error}")
