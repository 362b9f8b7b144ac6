"""Provenance of the tokens of a training example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.types.json_form import JsonForm
from tinkex.types.params import plain_int

# Positions and lengths are int64 on the wire.
_MOST = 2**63 - 1


def _count(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValidationError(
            f"must be an integer of at least 0, not {value!r}", path=attribute.name
        )


def _name(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValidationError(
            f"must be the sequence_id of a SampledSequence, not {value!r}", path=attribute.name
        )


@frozen(kw_only=True)
class PromptProvenanceSpan(JsonForm):
    """Consecutive tokens from the prompt of a sampled sequence.

    >>> PromptProvenanceSpan(sequence_id="s-1", length=3).offset
    0

    Attributes:
        sequence_id: The `SampledSequence.sequence_id` of the sequence.
        offset: Position of the first token in the prompt.
        length: Number of tokens.
    """

    sequence_id: str = field(validator=_name)
    offset: int = field(default=0, converter=plain_int, validator=_count)
    length: int = field(converter=plain_int, validator=_count)

    def to_dict(self) -> dict[str, Any]:
        """Return the span as JSON has it."""
        return {"type": "prompt_tokens", **JsonForm.to_dict(self)}


@frozen(kw_only=True)
class SampledProvenanceSpan(JsonForm):
    """Consecutive tokens that were sampled.

    >>> SampledProvenanceSpan(sequence_id="s-1", offset=2, length=5).length
    5

    Attributes:
        sequence_id: The `SampledSequence.sequence_id` of the sequence.
        offset: Position of the first token among the sampled tokens.
        length: Number of tokens.
    """

    sequence_id: str = field(validator=_name)
    offset: int = field(default=0, converter=plain_int, validator=_count)
    length: int = field(converter=plain_int, validator=_count)

    def to_dict(self) -> dict[str, Any]:
        """Return the span as JSON has it."""
        return {"type": "sampled_tokens", **JsonForm.to_dict(self)}


ProvenanceSpans: TypeAlias = Sequence[PromptProvenanceSpan | SampledProvenanceSpan]


def span_from_dict(data: Mapping[str, Any]) -> PromptProvenanceSpan | SampledProvenanceSpan:
    """Read what `to_dict` of a span returns."""
    kinds: dict[str, type[PromptProvenanceSpan | SampledProvenanceSpan]] = {
        "prompt_tokens": PromptProvenanceSpan,
        "sampled_tokens": SampledProvenanceSpan,
    }
    fields = dict(data)
    kind = kinds.get(fields.pop("type", ""))
    if kind is None:
        raise ValidationError(f"must be one of {', '.join(kinds)}", path="type")
    return kind.from_dict(fields)


def spans_of(value: Any) -> tuple[PromptProvenanceSpan | SampledProvenanceSpan, ...] | None:
    """Return spans as a tuple, or None for None.

    Raises:
        ValidationError: The value is not a sequence of spans.
    """
    if value is None:
        return None
    spans = tuple(value) if isinstance(value, Sequence) else (value,)
    for index, span in enumerate(spans):
        if not isinstance(span, PromptProvenanceSpan | SampledProvenanceSpan):
            raise ValidationError(
                "must be a PromptProvenanceSpan or a SampledProvenanceSpan, not a "
                f"{type(span).__name__}",
                path=f"[{index}]",
            )
    return spans


def check_tiling(spans: ProvenanceSpans, length: int, what: str, path: str) -> None:
    """Raise a ValidationError unless the lengths of the spans sum to the number of tokens."""
    covered = sum(span.length for span in spans)
    if covered != length:
        raise ValidationError(
            f"covers {covered} tokens, but {what} has {length}; the spans must cover each of them "
            "once, in order",
            path=path,
        )
