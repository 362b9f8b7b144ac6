# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, list_of, mapping, optional, required, tagged
from ..record import Record
from .model_input import ModelInput
from .prompt_provenance_span import PromptProvenanceSpan
from .sampled_provenance_span import SampledProvenanceSpan
from .tensor_data import TensorData


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Datum(Record):
    """One training example.

    Attributes:
        model_input: What the model reads, N tokens.
        loss_fn_inputs: What the loss needs for each of the N positions.
        model_input_spans: Where the N input tokens come from: spans in order, without gap,
            whose lengths sum to N. Comes together with `loss_fn_input_spans`. The hosted service
            takes spans in the binary form only.
        loss_fn_input_spans: Where the N `target_tokens` come from, likewise; with spans,
            `target_tokens` has one dimension.
    """

    model_input: ModelInput
    loss_fn_inputs: dict[str, TensorData]
    model_input_spans: list[PromptProvenanceSpan | SampledProvenanceSpan] | None = None
    loss_fn_input_spans: list[PromptProvenanceSpan | SampledProvenanceSpan] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "model_input": self.model_input.to_dict(),
            "loss_fn_inputs": {key: item.to_dict() for key, item in self.loss_fn_inputs.items()},
        }
        if self.model_input_spans is not None:
            result["model_input_spans"] = [item.to_dict() for item in self.model_input_spans]
        if self.loss_fn_input_spans is not None:
            result["loss_fn_input_spans"] = [item.to_dict() for item in self.loss_fn_input_spans]
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_input=required(data, "model_input", ModelInput.from_dict),
            loss_fn_inputs=required(data, "loss_fn_inputs", _READ_LOSS_FN_INPUTS),
            model_input_spans=optional(data, "model_input_spans", _READ_MODEL_INPUT_SPANS),
            loss_fn_input_spans=optional(data, "loss_fn_input_spans", _READ_LOSS_FN_INPUT_SPANS),
        )


_READ_LOSS_FN_INPUTS: Reader[dict[str, TensorData]] = dict_of(TensorData.from_dict)
_READ_MODEL_INPUT_SPANS: Reader[list[PromptProvenanceSpan | SampledProvenanceSpan]] = list_of(
    tagged(
        "type",
        {
            "prompt_tokens": PromptProvenanceSpan.from_dict,
            "sampled_tokens": SampledProvenanceSpan.from_dict,
        },
    )
)
_READ_LOSS_FN_INPUT_SPANS: Reader[list[PromptProvenanceSpan | SampledProvenanceSpan]] = list_of(
    tagged(
        "type",
        {
            "prompt_tokens": PromptProvenanceSpan.from_dict,
            "sampled_tokens": SampledProvenanceSpan.from_dict,
        },
    )
)
