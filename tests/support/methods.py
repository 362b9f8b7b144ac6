"""A short run by each training method, on the model that is fast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.nano import NANO

from tinkex import ServiceClient, recipes

WORDS = ["red", "blue", "green", "black", "white", "yellow", "brown", "grey"]
ROWS = [
    {
        "prompt": f"Say {word}.",
        "completion": f" {word}!",
        "answer": word,
    }
    for word in WORDS
]
PAIRS = [
    {"prompt": f"Say {word}.", "chosen": f" {word}!", "rejected": f" not {word}"} for word in WORDS
]


def begins_even(episode: recipes.Episode) -> float:
    """Return 1 for a response whose first token has an even id: half of them, before training."""
    return float(bool(episode.turns[0].tokens) and episode.turns[0].tokens[0] % 2 == 0)


def train_by(method: str, service: ServiceClient, folder: Path, **more: Any) -> recipes.Outcome:
    """Train by a method: 8 steps, saved after every third."""
    settings: dict[str, Any] = {
        "base_model": NANO,
        "rank": 4,
        "steps": 8,
        "batch_size": 4,
        "learning_rate": 5e-3,
        "held_out": 0.25,
        "measure_every": 4,
        "checkpoint_every": 3,
        "folder": folder,
        "service": service,
        **more,
    }
    if method == "sft":
        return recipes.sft(ROWS, **settings)
    if method == "dpo":
        return recipes.dpo(PAIRS, **settings)
    sampling = {"max_tokens": 4, **settings}
    if method == "grpo":
        return recipes.grpo(ROWS, begins_even, kl=0.01, **sampling)
    kinds: dict[str, dict[str, Any]] = {
        "distill": {},
        "distill by reward": {"loss_fn": "importance_sampling"},
        "distill from samples": {"on_policy": False},
    }
    return recipes.distill(ROWS, NANO, **kinds[method], **sampling)
