"""The model card of an adapter on the Hugging Face Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tinkex._base.redaction import cut
from tinkex.types import CheckpointPath, WeightsInfoResponse

CARD = "README.md"
LONGEST_TEXT = 200
_MOST_MODULES = 32
# The Hub refuses a card whose base model is not a valid repository name.
_MODEL_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def model_card(
    path: CheckpointPath,
    info: WeightsInfoResponse,
    base_model: str,
    repo_id: str,
    modules: Sequence[str] = (),
) -> str:
    """Return a model card in Markdown: YAML front matter, usage, details.

    Most of its values come from a server or an archive. They are quoted in the front matter and put into
    code spans in the text, which they cannot end, and their length is limited.

    Args:
        path: The checkpoint.
        info: The server's description of it.
        base_model: The model that the adapter belongs to.
        repo_id: The repository of the card.
        modules: The names of the adapted layers.
    """
    front = ["---"]
    if _MODEL_ID.fullmatch(base_model):
        front.append(f"base_model: {_quoted(base_model)}")
    front += ["library_name: peft", "tags:", *(f"- {tag}" for tag in ("tinker", "peft", "lora"))]
    front += [f"tinker_path: {_quoted(str(path))}", "---"]
    trained = [
        name
        for name, is_trained in (
            ("attention", info.train_attn),
            ("MLP", info.train_mlp),
            ("unembedding", info.train_unembed),
        )
        if is_trained is not False  # by the API, null means yes
    ]
    facts = [
        ("Base model", _code(base_model)),
        ("LoRA rank", _code(info.lora_rank if info.lora_rank is not None else "unknown")),
        ("Trained", ", ".join(trained) or "unknown"),
        ("Adapted layers", ", ".join(map(_code, modules[:_MOST_MODULES])) or "unknown"),
        ("Checkpoint", _code(path)),
    ]
    return "\n".join(
        [
            *front,
            "",
            f"# {_code(repo_id.rpartition('/')[2])}",
            "",
            f"A LoRA adapter for {_code(base_model)}, trained with the Tinker API.",
            "",
            "## Usage",
            "",
            *_usage(base_model, repo_id),
            "",
            "## Details",
            "",
            *(f"- {name}: {value}" for name, value in facts),
            "",
        ]
    )


def _usage(base_model: str, repo_id: str) -> list[str]:
    return [
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        f"base = AutoModelForCausalLM.from_pretrained({_quoted(base_model, fence=True)})",
        f"model = PeftModel.from_pretrained(base, {_quoted(repo_id, fence=True)})",
        "```",
    ]


def _bounded(value: object) -> str:
    """Return a text on one line, limited in length, and without unprintable characters."""
    text = "".join(
        letter if letter.isprintable() else " " for letter in str(value)[: 4 * LONGEST_TEXT]
    )
    return cut(" ".join(text.split()), LONGEST_TEXT)


def _quoted(value: object, *, fence: bool = False) -> str:
    """Return a text in double quotes, valid in JSON, YAML and Python."""
    text = _bounded(value)
    # Three backticks in a row could end the surrounding code block.
    return json.dumps(text.replace("`", "'") if fence else text, ensure_ascii=False)


def _code(value: object) -> str:
    """Return a text as a code span, in which Markdown and HTML have no effect."""
    return f"`{_bounded(value).replace('`', chr(39)) or ' '}`"
