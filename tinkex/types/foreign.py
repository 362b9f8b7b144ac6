"""Take objects of other packages by their attributes.

The official `tinker` package's examples, inputs, tensors and settings have the same attributes as
ours, so callers need not convert such an object.
"""

from __future__ import annotations

from array import array
from typing import Any, TypeVar

import attrs

from tinkex.errors import ValidationError
from tinkex.types.datum import Datum
from tinkex.types.model_input import (
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
)
from tinkex.types.provenance import PromptProvenanceSpan, SampledProvenanceSpan

T = TypeVar("T")

_CHUNKS: dict[str, type[ModelInputChunk]] = {
    "encoded_text": EncodedTextChunk,
    "image": ImageChunk,
    "image_asset_pointer": ImageAssetPointerChunk,
    "dmel": DmelChunk,
}


def datum_of(value: Any, path: str) -> Datum:
    """Return an example as ours.

    Raises:
        ValidationError: It has not the attributes of one.
    """
    if isinstance(value, Datum):
        return value
    if not hasattr(value, "model_input") or not hasattr(value, "loss_fn_inputs"):
        raise ValidationError(f"is a {type(value).__name__}, not a Datum", path=path)
    return Datum(
        model_input_of(value.model_input, f"{path}.model_input"),
        value.loss_fn_inputs,
        model_input_spans=_spans(getattr(value, "model_input_spans", None)),
        loss_fn_input_spans=_spans(getattr(value, "loss_fn_input_spans", None)),
    )


def model_input_of(value: Any, path: str) -> ModelInput:
    """Return what a model reads as ours.

    Raises:
        ValidationError: It has not the attributes of an input.
    """
    if isinstance(value, ModelInput):
        return value
    if not hasattr(value, "chunks"):
        raise ValidationError(
            f"must be a ModelInput, not a {type(value).__name__}; for token ids use "
            "ModelInput.from_ints, for text encode it with get_tokenizer()",
            path=path,
        )
    return ModelInput(
        tuple(_chunk(chunk, f"{path}.chunks[{index}]") for index, chunk in enumerate(value.chunks))
    )


def settings_of(value: Any, kind: type[T], path: str) -> T:
    """Return settings as an object of one of our classes.

    Raises:
        ValidationError: They lack an attribute of it.
    """
    if isinstance(value, kind):
        return value
    names = [field.name for field in attrs.fields(kind)]  # type: ignore[arg-type]
    if not names or not all(hasattr(value, name) for name in names):
        raise ValidationError(
            f"must be {kind.__name__}(...), not a {type(value).__name__}", path=path
        )
    return kind(**{name: getattr(value, name) for name in names})


def _chunk(value: Any, path: str) -> ModelInputChunk:
    if isinstance(value, ModelInputChunk):
        return value
    kind = _CHUNKS.get(getattr(value, "type", ""))
    if kind is None:
        raise ValidationError(f"is a {type(value).__name__}, not a chunk", path=path)
    if kind is EncodedTextChunk:
        # Those of tinkex.tinker bring their array along.
        ids: Any = getattr(value, "_ids", None)
        is_array = isinstance(ids, array)
        return EncodedTextChunk.of_ids(ids) if is_array else EncodedTextChunk(value.tokens)
    given = {
        field.name: getattr(value, field.name)
        for field in attrs.fields(kind)
        if field.init and field.name != "type" and not field.name.startswith("_")
    }
    return kind(**given)


def _spans(value: Any) -> Any:
    """Return spans as ours; their classes have the same names, and what is none stays as it is."""
    if value is None:
        return None
    kinds = {kind.__name__: kind for kind in (PromptProvenanceSpan, SampledProvenanceSpan)}
    return [
        settings_of(span, kinds[type(span).__name__], "spans")
        if type(span).__name__ in kinds
        else span
        for span in value
    ]
