"""Sample a response to every prompt of a file, and continue where an earlier process stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinkex._base.atomic_file import atomic_write
from tinkex.errors import ValidationError
from tinkex.recipes.evaluation import written_for
from tinkex.recipes.formats import ChatKind
from tinkex.recipes.prepare import TokenizedPrompt
from tinkex.recipes.reading import read_examples
from tinkex.recipes.rewards import Episode
from tinkex.recipes.rollouts import Rollouts, SamplingSettings, sampler_of
from tinkex.recipes.sources import Data

if TYPE_CHECKING:
    from tinkex.service import ServiceClient

# Prompts between two writes: what a crash costs at most.
_AT_ONCE = 64


def sample_file(
    service: ServiceClient,
    model: str,
    data: Data,
    output: str | os.PathLike[str],
    *,
    num_samples: int = 1,
    max_tokens: int = 256,
    temperature: float = 1.0,
    seed: int = 0,
    columns: dict[str, str] | None = None,
    split: str | None = None,
    chat: ChatKind = "auto",
    tokenizer: str | None = None,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> int:
    """Write a model's responses to the prompts of a file, and return how many were sampled now.

    >>> from tinkex import recipes
    >>> recipes.sample_file(service, "Qwen/Qwen3-8B", "prompts.jsonl", "responses.jsonl")
    2

    Each line of the output is the prompt's row, with its `line` and the `response` (with several
    samples, one line each, numbered by `sample`). Called again, it samples only what is not there.

    Args:
        service: The way to the server.
        model: A base model, the path of weights to sample from, or a run's folder; see
            `checkpoint_path`.
        data: The prompts; whatever `read_examples` takes.
        output: The file; JSON lines are added to it.
        num_samples: Responses to each prompt.
        max_tokens: Most tokens of a response.
        temperature: 0 takes the likeliest token each time.
        seed: Makes sampling repeatable, as far as the server does.
        columns: Which column is what; see `read_examples`.
        split: The split of a data set.
        chat: "auto", "template" or "plain"; see `chat_format`.
        tokenizer: Name or path of the tokenizer, if it is not the model's own.
        progress: Called with the number of prompts that are done, and of all.

    Raises:
        ValidationError: An argument or a row is invalid, or the output is a file of something else.
        TinkexError: The server refused.
    """
    path = Path(output)
    done = _done(path, num_samples)
    file = read_examples(data, columns=columns, split=split, form="prompts")
    sampler = sampler_of(service, model)
    prepared = written_for(service, sampler, file, chat=chat, tokenizer=tokenizer)
    settings = SamplingSettings(
        group_size=num_samples, max_tokens=max_tokens, temperature=temperature
    )
    prompts: Sequence[TokenizedPrompt] = prepared.batches.examples
    left = [one for one in prompts if one.line not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [left[at : at + _AT_ONCE] for at in range(0, len(left), _AT_ONCE)]
    # The next part is sampled while the last one is written.
    under_way = [Rollouts(sampler, prepared, parts[0], settings, f"{seed}/sample")] if parts else []
    finished = len(prompts) - len(left)
    progress(finished, len(prompts))
    for index, part in enumerate(parts):
        if index + 1 < len(parts):
            under_way.append(
                Rollouts(sampler, prepared, parts[index + 1], settings, f"{seed}/sample")
            )
        _write(path, under_way[index].result(), num_samples)
        finished += len(part)
        progress(finished, len(prompts))
    return len(left) * num_samples


def _write(path: Path, episodes: Sequence[Episode], num_samples: int) -> None:
    lines = []
    for index, one in enumerate(episodes):
        numbered = {"sample": index % num_samples} if num_samples > 1 else {}
        record = {**one.row, "line": one.prompt.line, **numbered, "response": one.text}
        if one.stop_reason != "stop":
            record["stop_reason"] = one.stop_reason
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    with path.open("ab") as opened:
        # A process that is killed leaves whole parts behind, except for the last line.
        opened.write("".join(lines).encode())


def _done(path: Path, num_samples: int) -> set[int]:
    """Return the lines whose responses are all written; what a crash left of others is dropped."""
    if not path.exists():
        return set()
    content = path.read_bytes()
    found: dict[int, list[bytes]] = {}
    for number, text in enumerate(content[: content.rfind(b"\n") + 1].splitlines(True), 1):
        try:
            record = json.loads(text)
            line = int(record["line"])
            record["response"]
        except (ValueError, KeyError, TypeError):
            raise ValidationError(
                f"line {number} is no response: the file holds something else. Choose another name",
                path=str(path),
            ) from None
        found.setdefault(line, []).append(text)
    whole = {line: texts for line, texts in found.items() if len(texts) >= num_samples}
    kept = b"".join(text for texts in whole.values() for text in texts)
    if len(kept) < len(content):
        atomic_write(path, kept)
    return set(whole)
