"""Save a training run, restore it with its optimizer, and continue in a new client.

    python examples/training_persistence.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import sys
import time

from connection import base_model, connect

from tinkex import TinkexError

TTL_SECONDS = 86_400


def main() -> None:
    """Save, load, and restore."""
    with connect() as service:
        training = service.create_lora_training_client(base_model(service), rank=8)
        print(f"Training {training.model_id}")
        name = f"demo-checkpoint-{int(time.time())}"
        path = training.save_state(name, ttl_seconds=TTL_SECONDS).result().path or ""
        print(f"Saved for {TTL_SECONDS} s as {path}")
        training.load_state_with_optimizer(path).result()
        print("Loaded back with its optimizer")
        restored = service.create_training_client_from_state_with_optimizer(path)
        print(f"Restored as {restored.model_id}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
