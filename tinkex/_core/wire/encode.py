"""Conversion of public types into the generated models.

Arrays are passed through: the JSON writer reads them from memory.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import tinkex_generated.models as wire
from attrs import asdict

from tinkex.errors import ValidationError
from tinkex.types.datum import Datum
from tinkex.types.model_input import (
    DmelChunk,
    EncodedTextChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
)
from tinkex.types.params import AdamParams, DimuonParams, LoraConfig, SamplingParams
from tinkex.types.provenance import ProvenanceSpans, SampledProvenanceSpan
from tinkex.types.tensor import TensorData, check_finite

# The id of an uploaded loss is the only setting that is not a number.
_TEXT_SETTINGS = frozenset({"loss_id"})


def model_input(value: ModelInput) -> wire.ModelInput:
    """Return the wire format of an input."""
    return wire.ModelInput(chunks=[_chunk(chunk) for chunk in value.chunks])


def datum(value: Datum, path: str) -> wire.Datum:
    """Return the wire format of a datum; `path` names it in errors.

    Raises:
        ValidationError: A tensor holds NaN or infinity.
    """
    return wire.Datum(
        model_input=model_input(value.model_input),
        loss_fn_inputs={
            name: tensor_data(tensor, f"{path}.loss_fn_inputs[{name!r}]")
            for name, tensor in value.loss_fn_inputs.items()
        },
        model_input_spans=_spans(value.model_input_spans),
        loss_fn_input_spans=_spans(value.loss_fn_input_spans),
    )


def _spans(
    value: ProvenanceSpans | None,
) -> list[wire.PromptProvenanceSpan | wire.SampledProvenanceSpan] | None:
    if value is None:
        return None
    kinds = {True: wire.SampledProvenanceSpan, False: wire.PromptProvenanceSpan}
    return [kinds[isinstance(span, SampledProvenanceSpan)](**asdict(span)) for span in value]


def forward_backward_input(
    data: Sequence[Datum],
    first_index: int,
    loss_fn: str,
    loss_fn_config: Mapping[str, float | str] | None,
) -> wire.ForwardBackwardInput:
    """Return the wire format of a chunk of data; `first_index` is its index in the whole batch."""
    return wire.ForwardBackwardInput(
        data=[datum(item, f"data[{first_index + i}]") for i, item in enumerate(data)],
        loss_fn=cast("Any", loss_fn),
        loss_fn_config=cast("Any", loss_fn_config),
    )


# Their fields have the names of the contract, so that a new one is written in two places: there, and
# in `tinkex.types.params`.


def adam_params(value: AdamParams) -> wire.AdamParams:
    """Return the wire format of optimizer settings."""
    return wire.AdamParams(**asdict(value))


def dimuon_params(value: DimuonParams) -> wire.DimuonParams:
    """Return the wire format of Dimuon's settings."""
    return wire.DimuonParams(**asdict(value))


def lora_config(value: LoraConfig) -> wire.LoraConfig:
    """Return the wire format of an adapter's settings."""
    return wire.LoraConfig(**asdict(value))


def sampling_params(value: SamplingParams) -> wire.SamplingParams:
    """Return the wire format of sampling settings."""
    stop: Any = value.stop
    if stop is not None:
        # Not every server takes a string by itself.
        stop = [stop] if isinstance(stop, str) else list(stop)
    return wire.SamplingParams(**{**asdict(value), "stop": stop})


def check_loss(
    loss_fn: str, loss_fn_config: Mapping[str, Any] | None
) -> dict[str, float | str] | None:
    """Check a loss and its settings, and return the settings to send.

    Which losses there are, the server knows.

    Raises:
        ValidationError: The loss has no name, or a setting is not a number.
    """
    if not isinstance(loss_fn, str) or not loss_fn:
        raise ValidationError(
            f"must be the name of a loss such as 'cross_entropy', not {loss_fn!r}", path="loss_fn"
        )
    if loss_fn_config is None:
        return None
    if not isinstance(loss_fn_config, Mapping):
        raise ValidationError("must be a dict of numbers", path="loss_fn_config")
    return {
        str(name): str(value) if name in _TEXT_SETTINGS else _setting(name, value)
        for name, value in loss_fn_config.items()
    }


def _setting(name: object, value: Any) -> float:
    path = f"loss_fn_config[{name!r}]"
    try:
        if isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - handled with the errors below
        number = float(value)
    except (TypeError, ValueError):
        raise ValidationError(f"must be a number, not {value!r}", path=path) from None
    if not math.isfinite(number):
        raise ValidationError(f"is {number}; only finite numbers can be sent", path=path)
    return number


def _chunk(
    chunk: ModelInputChunk,
) -> wire.EncodedTextChunk | wire.ImageChunk | wire.ImageAssetPointerChunk | wire.DmelChunk:
    if isinstance(chunk, EncodedTextChunk):
        return wire.EncodedTextChunk(tokens=cast("Any", chunk.buffer))
    if isinstance(chunk, ImageChunk):
        return wire.ImageChunk(
            data=base64.b64encode(chunk.data).decode("ascii"),
            format_=chunk.format,
            expected_tokens=chunk.expected_tokens,
        )
    if isinstance(chunk, DmelChunk):
        return wire.DmelChunk(dmel=base64.b64encode(chunk.dmel).decode("ascii"))
    return wire.ImageAssetPointerChunk(
        location=chunk.location,
        format_=chunk.format,
        expected_tokens=chunk.expected_tokens,
    )


def tensor_data(tensor: TensorData, path: str) -> wire.TensorData:
    """Return the wire format of a tensor; `path` names it in errors.

    Raises:
        ValidationError: It holds NaN or infinity.
    """
    array, crow, columns = tensor.csr or (tensor.numpy(), None, None)
    check_finite(array, path)
    return wire.TensorData(
        data=cast("Any", array.reshape(-1)),
        dtype=tensor.dtype,
        shape=list(tensor.shape),
        sparse_crow_indices=cast("Any", crow),
        sparse_col_indices=cast("Any", columns),
    )
