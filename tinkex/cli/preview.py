"""What `tinkex train --dry-run` shows: counts, lengths, and an example with its weights marked."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from tinkex.cli.tables import facts
from tinkex.recipes.estimate import Estimate, estimate
from tinkex.recipes.examples import ExampleFile, count_forms
from tinkex.recipes.prepare import Prepared


def record(
    prepared: Prepared,
    file: ExampleFile,
    prices: tuple[float | None, float | None] = (None, None),
) -> dict[str, Any]:
    """Return what would be trained, as JSON has it."""
    examples = prepared.tokenized.examples
    lengths = np.array([len(one.tokens) for one in examples])
    kept = prepared.batches.examples
    trained = sum(len(kept_one.tokens) for kept_one in kept)
    return {
        "type": "train_preview",
        "file": file.name,
        "unit": file.unit,
        "lines": len(file.examples),
        "forms": count_forms(file.examples),
        "ignored_fields": dict(Counter(file.ignored) + Counter(prepared.tokenized.ignored)),
        "notices": list(prepared.notices),
        "examples": len(examples),
        "trained_on": len(kept),
        "held_out": len(prepared.held_out),
        "skipped_lines": list(prepared.tokenized.skipped),
        "truncated_lines": list(prepared.tokenized.truncated),
        "tokens": {
            "least": int(lengths.min()),
            "median": int(np.median(lengths)),
            "most": int(lengths.max()),
            "longest_line": examples[int(lengths.argmax())].line,
            "total": int(lengths.sum()),
            "learned": int(sum((one.weights[1:] > 0).sum() for one in examples)),
            "per_epoch": trained,
        },
        "chat_format": prepared.chat.name if prepared.has_conversations else None,
        "context_length": prepared.context_length,
        "learning_rate": prepared.recipe.learning_rate,
        "steps_per_epoch": prepared.batches.steps_per_epoch,
        "steps": prepared.steps,
        "estimate": attrs.asdict(estimate(prepared, *prices)),
        "example": [
            {"text": text, "weight": weight}
            for text, weight in examples[0].spans(prepared.tokenizer)
        ],
    }


def lines(prepared: Prepared, file: ExampleFile, result: dict[str, Any]) -> Iterator[str]:
    """Yield the same for people."""
    tokens = result["tokens"]
    unit, first = file.unit, prepared.tokenized.examples[0]
    forms = ", ".join(
        f"{count:,} {form}{'s' if count != 1 else ''}" for form, count in result["forms"].items()
    )
    pairs = [
        ("file", f"{file.name}: {result['lines']:,} {unit}{_s(result['lines'])} ({forms})"),
        ("ignored fields", _counted(result["ignored_fields"], unit)),
        ("trained on", _examples(result["trained_on"])),
        ("held out", _examples(result["held_out"]) if result["held_out"] else None),
        ("too long", _too_long(result)),
        (
            "tokens",
            (
                f"{tokens['least']:,} to {tokens['most']:,} in an example ({unit} "
                f"{tokens['longest_line']}), median {tokens['median']:,}; {tokens['total']:,} in "
                f"all, {tokens['learned']:,} of them learned"
            ),
        ),
        ("context", _context(result["context_length"])),
        ("chat format", result["chat_format"]),
        ("learning rate", f"{result['learning_rate']:g}"),
        (
            "steps",
            (
                f"{result['steps']:,} of {prepared.batches.batch_size:,} examples; "
                f"{result['steps_per_epoch']:,} are an epoch"
            ),
        ),
        *_estimated(Estimate(**result["estimate"])),
    ]
    yield from facts([(name, value) for name, value in pairs if value])
    for notice in result["notices"]:
        yield f"note: {notice}"
    yield ""
    yield f"{unit.capitalize()} {first.line}, with ⟦what is learned⟧ in brackets:"
    yield ""
    yield marked(first.spans(prepared.tokenizer))


def marked(spans: Any) -> str:
    """Return text with the learned parts in brackets, with their weight if it is not 1.

    >>> marked([("2+2=", 0.0), ("4", 1.0)])
    '2+2=⟦4⟧'
    """
    parts = []
    for text, weight in spans:
        head = "" if weight == 1 else f"{weight:g}: "
        parts.append(f"⟦{head}{text}⟧" if weight else text)
    return "".join(parts)


def _estimated(found: Estimate) -> Iterator[tuple[str, str | None]]:
    most = "at most " if found.sampled_tokens else ""
    sampled = f", {most}{found.sampled_tokens:,} sampled" if found.sampled_tokens else ""
    yield "to be trained on", f"{most}{found.trained_tokens:,} tokens{sampled}"
    if found.seconds is not None:
        minutes, seconds = divmod(round(found.seconds), 60)
        yield (
            "time",
            f"about {minutes}:{seconds:02} at the {found.tokens_per_second:,.0f} tokens/s of {found.measured_in}",
        )
    if found.cost is not None:
        yield "cost", f"{most}{found.cost:,.2f}"


def _counted(fields: dict[str, int], unit: str) -> str:
    return ", ".join(f"{name} ({count:,} {unit}{_s(count)})" for name, count in fields.items())


def _examples(count: int) -> str:
    return f"{count:,} example{_s(count)}"


def _context(length: int | None) -> str:
    if length is None:
        return "not known, since no server says it; examples that are too long are not found here"
    return f"{length:,} tokens"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _too_long(result: dict[str, Any]) -> str | None:
    parts = [
        f"{len(result[name]):,} {what}"
        for name, what in (("skipped_lines", "skipped"), ("truncated_lines", "truncated"))
        if result[name]
    ]
    return ", ".join(parts) or None
