"""Questions as users ask them find their page in the search of the site."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

QUESTIONS = {
    "install": "getting-started",
    "quickstart": "getting-started",
    "windows": "getting-started",
    "train on your data": "finetuning",
    "jsonl": "finetuning",
    "resume a run": "finetuning",
    "resume after a crash": "recovery",
    "validation split": "finetuning",
    "validation loss": "finetuning",
    "choose hyperparameters": "finetuning",
    "learning rate": "finetuning",
    "batch size": "finetuning",
    "tools": "finetuning",
    "multi-turn": "finetuning",
    "dpo": "training-methods",
    "grpo": "training-methods",
    "ppo": "training-methods",
    "distillation": "training-methods",
    "evaluate a model": "training-methods",
    "images": "training-methods",
    "gradient accumulation": "concepts",
    "custom loss": "losses",
    "use your own model": "local-server",
    "deployment": "local-server",
    "use your adapter": "adapters",
    "peft": "adapters",
    "vllm": "adapters",
    "llama.cpp": "adapters",
    "ollama": "adapters",
    "download a checkpoint": "checkpoints",
    "delete checkpoints": "checkpoints",
    "wandb": "observability",
    "tensorboard": "observability",
    "costs": "observability",
    "rate limits": "clients",
    "proxy": "configuration",
    "api key": "configuration",
    "chat template": "tokenizers",
    "asyncio": "notebooks",
    "notebook": "notebooks",
    "streaming": "faq",
    "faq": "faq",
}
FIRST = 3


@pytest.fixture(scope="module")
def hits(built_site: Path) -> dict[str, list[str]]:
    """Type every question into the search of the built site, in the engine that runs there."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the site's search is JavaScript, and node is not installed")
    [worker] = (built_site / "assets" / "javascripts" / "workers").glob("search.*.js")
    done = subprocess.run(
        [node, Path(__file__).with_name("site_search.mjs"), worker, built_site / "search.json"],
        input=json.dumps(list(QUESTIONS)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("question", "page"), QUESTIONS.items())
def test_a_question_finds_its_page(question: str, page: str, hits: dict[str, list[str]]) -> None:
    """Among the first three hits is a section of the page that explains it."""
    first = [location.partition("#")[0] for location in hits[question][:FIRST]]
    assert f"{page}.html" in first, hits[question][:10]
