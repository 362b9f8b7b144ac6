"""Training examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from attrs import evolve, field, frozen

from tinkex.errors import ValidationError
from tinkex.types.json_form import JsonForm, Readers, by_name, listed
from tinkex.types.model_input import ModelInput
from tinkex.types.provenance import (
    PromptProvenanceSpan,
    ProvenanceSpans,
    SampledProvenanceSpan,
    check_tiling,
    span_from_dict,
    spans_of,
)
from tinkex.types.tensor import TensorData, TensorDtype

# The dtype that servers expect under each name of a built-in loss; the last three are SkyRL's.
INPUT_DTYPES: Mapping[str, TensorDtype] = {
    "target_tokens": "int64",
    "weights": "float32",
    "advantages": "float32",
    "logprobs": "float32",
    "sequence_ratio_mask": "float32",
    "clip_low_threshold": "float32",
    "clip_high_threshold": "float32",
    "values": "float32",
    "returns": "float32",
    "rollout_logprobs": "float32",
}

# These have one value (or one row) per position of the input.
_PER_POSITION = frozenset(
    {"target_tokens", "weights", "advantages", "logprobs", "sequence_ratio_mask"}
)


def _inputs(value: Mapping[str, Any]) -> dict[str, TensorData]:
    if not isinstance(value, Mapping):
        raise ValidationError("must be a dict of tensors", path="loss_fn_inputs")
    return {_name(name): _tensor(name, item) for name, item in value.items()}


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ValidationError(f"the names must be strings, not {name!r}", path="loss_fn_inputs")
    return name


def _tensor(name: str, value: Any) -> TensorData:
    path = f"loss_fn_inputs[{name!r}]"
    dtype = INPUT_DTYPES.get(name)
    if dtype is None and isinstance(value, list | tuple):
        raise ValidationError(
            "is a list under a custom name, so its dtype is unknown: pass an array or a TensorData",
            path=path,
        )
    return TensorData.convert(value, dtype, path)


@frozen
class Datum(JsonForm):
    """A training example: the model's input, and the tensors that its loss needs.

    >>> datum = Datum(
    ...     model_input=ModelInput.from_ints([5, 6, 7]),
    ...     loss_fn_inputs={"target_tokens": [6, 7, 8], "weights": [0.0, 1.0, 1.0]},
    ... )
    >>> datum.loss_fn_inputs["weights"].dtype
    'float32'

    The caller shifts the targets: position i of `target_tokens` is the token that should follow
    position i of the input.

    Attributes:
        model_input: The N input tokens.
        loss_fn_inputs: Tensors by name, each of shape [N] (`cross_entropy` also takes [N, K]):
            lists, numpy arrays, torch or jax tensors, or `TensorData`. `target_tokens` is int64;
            `weights`, `advantages` and `logprobs` are float32.
        model_input_spans: The provenance of the tokens of `model_input`, see `with_provenance`.
        loss_fn_input_spans: The provenance of the `target_tokens`.

    Raises:
        ValidationError: A tensor is ragged, not finite, of the wrong type, or of a different length
            than the input; the path names it.
    """

    model_input: ModelInput
    loss_fn_inputs: dict[str, TensorData] = field(converter=_inputs, factory=dict)
    model_input_spans: tuple[PromptProvenanceSpan | SampledProvenanceSpan, ...] | None = field(
        default=None, converter=spans_of, kw_only=True
    )
    loss_fn_input_spans: tuple[PromptProvenanceSpan | SampledProvenanceSpan, ...] | None = field(
        default=None, converter=spans_of, kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.model_input, ModelInput):
            raise ValidationError(
                f"must be a ModelInput, not a {type(self.model_input).__name__}; "
                "for token ids use ModelInput.from_ints",
                path="model_input",
            )
        length = self.model_input.known_length()
        for name in _PER_POSITION & self.loss_fn_inputs.keys():
            shape = self.loss_fn_inputs[name].shape
            if length is not None and (not shape or shape[0] != length):
                raise ValidationError(
                    f"has shape {shape}, but the input has {length} tokens; the first dimension "
                    "must be the same",
                    path=f"loss_fn_inputs[{name!r}]",
                )
        self._check_spans(length)

    _readers: ClassVar[Readers] = {
        "model_input": ModelInput.from_dict,
        "loss_fn_inputs": by_name(TensorData.from_dict),
        "model_input_spans": listed(span_from_dict),
        "loss_fn_input_spans": listed(span_from_dict),
    }

    def with_provenance(
        self, model_input: ProvenanceSpans, loss_fn_inputs: ProvenanceSpans
    ) -> Self:
        """Return a copy with the sampled sequences that its tokens come from.

        >>> datum = Datum(ModelInput.from_ints([5, 6, 7]), {"target_tokens": [6, 7, 8]})
        >>> datum = datum.with_provenance(
        ...     model_input=[
        ...         PromptProvenanceSpan(sequence_id="s-1", length=2),
        ...         SampledProvenanceSpan(sequence_id="s-1", length=1),
        ...     ],
        ...     loss_fn_inputs=[
        ...         PromptProvenanceSpan(sequence_id="s-1", offset=1, length=1),
        ...         SampledProvenanceSpan(sequence_id="s-1", length=2),
        ...     ],
        ... )

        `stable_reinforce` requires it; `losses.stable_reinforce_datum` builds such a datum from one
        prompt and one sequence.

        Args:
            model_input: Spans in order whose lengths sum to the number of input tokens.
            loss_fn_inputs: Spans in order whose lengths sum to the number of `target_tokens`.

        Raises:
            ValidationError: The spans do not cover the tokens exactly.
        """
        return evolve(self, model_input_spans=model_input, loss_fn_input_spans=loss_fn_inputs)

    def _check_spans(self, length: int | None) -> None:
        read, targets = self.model_input_spans, self.loss_fn_input_spans
        if (read is None) != (targets is None):
            raise ValidationError(
                "needs model_input_spans and loss_fn_input_spans together: use with_provenance",
                path="loss_fn_input_spans" if targets is None else "model_input_spans",
            )
        if read is not None and length is not None:
            check_tiling(read, length, "model_input", "model_input_spans")
        tensor = self.loss_fn_inputs.get("target_tokens")
        if targets is not None and tensor is not None and len(tensor.shape) == 1:
            check_tiling(targets, tensor.shape[0], "target_tokens", "loss_fn_input_spans")

    def __hash__(self) -> int:
        return hash(
            (
                self.model_input,
                tuple(sorted(self.loss_fn_inputs.items(), key=lambda i: i[0])),
                self.model_input_spans,
                self.loss_fn_input_spans,
            )
        )
