"""The binary format: requests written from arrays, responses read into arrays.

The message fields are defined in openapi.yaml, under `x-tinkex-protobuf`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinkex_generated import protobuf as proto
from tinkex_generated.errors import ParseError

from tinkex._base.lazy import LazyModule
from tinkex._base.protobuf.arrays import (
    Array,
    Tensor,
    array,
    read_batch,
    write_sparse,
    write_tensor,
)
from tinkex._base.protobuf.fields import VALUE, Message, Writer, numbers
from tinkex.errors import ValidationError
from tinkex.types.datum import Datum
from tinkex.types.model_input import (
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
)
from tinkex.types.outputs import (
    ForwardBackwardOutput,
    PromptAltTokens,
    SampledSequence,
    SampleResponse,
    TopTokens,
)
from tinkex.types.provenance import PromptProvenanceSpan, SampledProvenanceSpan
from tinkex.types.tensor import TensorData, check_finite

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

# Request types whose results have a binary format, in the server's terms.
RESULTS = frozenset({"Sample", "Forward", "ForwardBackward"})

_MOST_TOKEN = 2**31 - 1
# Upper bound for the outputs of a message: a small message must not exhaust memory.
_MOST_DATUMS = 2**17
_STOP_REASONS = {
    proto.StopReason.STOP_REASON_STOP: "stop",
    proto.StopReason.STOP_REASON_LENGTH: "length",
}
# Fills the rows that have fewer than k tokens.
_NO_TOKEN, _NO_LOGPROB = 0, -99999.0


def can_hold(data: Sequence[Datum]) -> bool:
    """Return whether data can be sent in the binary format; references to images cannot."""
    return not any(
        isinstance(chunk, ImageAssetPointerChunk)
        for datum in data
        for chunk in datum.model_input.chunks
    )


def forward_backward_body(
    data: Sequence[Datum],
    first_index: int,
    loss_fn: str,
    loss_fn_config: Mapping[str, float | str] | None,
    *,
    forward_only: bool = False,
) -> Writer:
    """Return a ForwardBackwardRequest without its model and sequence number.

    Args:
        data: Data that the binary format supports, see `can_hold`.
        first_index: The index of the first datum in the whole batch.
        loss_fn: The loss.
        loss_fn_config: Its settings.
        forward_only: Whether to skip the gradients.

    Raises:
        ValidationError: A tensor holds NaN or infinity, or a token id exceeds the format's range; the path
            names the location.
    """
    form, message = proto.ForwardBackwardRequest, Writer()
    for i, datum in enumerate(data, first_index):
        message.message(form.data, _datum(datum, f"data[{i}]"))
    message.text(form.loss_fn, loss_fn)
    # Maps are sorted, so that equal requests have equal bytes.
    settings = sorted((loss_fn_config or {}).items(), key=lambda item: item[0].encode())
    for name, value in settings:
        if not isinstance(value, str):
            message.entry(form.loss_fn_config, name, value)
    message.integer(form.forward_only, forward_only)
    for name, value in settings:
        setting = Writer()
        if isinstance(value, str):
            setting.text(proto.LossConfigValue.text, value, present=True)
        else:
            setting.double(proto.LossConfigValue.number, value, present=True)
        message.entry(form.loss_fn_config_v2, name, setting)
    return message


def forward_backward_request(model_id: str, seq_id: int, body: Writer) -> bytes:
    """Return the bytes of a ForwardBackwardRequest."""
    form = proto.ForwardBackwardRequest
    return Writer().text(form.model_id, model_id).integer(form.seq_id, seq_id).extend(body).joined()


def _datum(datum: Datum, path: str) -> Writer:
    message = _model_input(datum.model_input, path)
    for name in sorted(datum.loss_fn_inputs, key=str.encode):
        tensor = datum.loss_fn_inputs[name]
        values = tensor.csr[0] if tensor.csr else tensor.numpy()
        check_finite(values, f"{path}.loss_fn_inputs[{name!r}]")
        message.entry(proto.Datum.loss_fn_inputs, name, _written(tensor))
    for number, spans in (
        (proto.Datum.model_input_spans, datum.model_input_spans),
        (proto.Datum.loss_fn_input_spans, datum.loss_fn_input_spans),
    ):
        for span in spans or ():
            message.message(number, _span(span))
    return message


def _written(tensor: TensorData) -> Writer:
    if tensor.csr is None:
        return write_tensor(tensor.numpy())
    return write_sparse(*tensor.csr, tensor.shape)


def _span(span: PromptProvenanceSpan | SampledProvenanceSpan) -> Writer:
    # Both messages have the same fields.
    form, arm = proto.PromptProvenanceSpan, proto.ProvenanceSpan.prompt_tokens
    if isinstance(span, SampledProvenanceSpan):
        arm = proto.ProvenanceSpan.sampled_tokens
    tokens = Writer().text(form.sequence_id, span.sequence_id)
    tokens.integer(form.offset, span.offset).integer(form.length, span.length)
    return Writer().message(arm, tokens)


def _model_input(value: ModelInput, path: str) -> Writer:
    message = Writer()
    for i, chunk in enumerate(value.chunks):
        where = f"{path}.model_input.chunks[{i}]"
        if isinstance(chunk, EncodedTextChunk):
            text = Writer().blob(proto.EncodedTextChunk.tokens, _tokens(chunk, where))
            one = Writer().message(proto.Chunk.encoded_text, text)
        elif isinstance(chunk, ImageChunk):
            form = proto.ImageChunk
            image = Writer().blob(form.data, chunk.data).text(form.format, chunk.format)
            if chunk.expected_tokens is not None:
                image.integer(form.expected_tokens, chunk.expected_tokens, present=True)
            one = Writer().message(proto.Chunk.image, image)
        elif isinstance(chunk, DmelChunk):
            audio = Writer().blob(proto.DmelChunk.dmel, chunk.dmel)
            one = Writer().message(proto.Chunk.dmel, audio)
        else:
            raise ValidationError(
                "refers to an image, which the binary format does not support: pass the image itself as an "
                "ImageChunk, or set wire_format='json' if the server accepts it",
                path=where,
            )
        message.message(proto.Datum.model_input, one)
    return message


def _tokens(chunk: EncodedTextChunk, path: str) -> Array:
    tokens = np.asarray(chunk.buffer)
    if tokens.itemsize > 4 and tokens.max() > _MOST_TOKEN:
        place = int(tokens.argmax())
        raise ValidationError(
            f"is {tokens[place]}; the binary format supports token ids up to {_MOST_TOKEN}",
            path=f"{path}.tokens[{place}]",
        )
    return tokens.astype("<i4", copy=False)


def forward_backward_output(content: bytes) -> ForwardBackwardOutput:
    """Parse the result of a forward or forward_backward call.

    Raises:
        ParseError: The bytes are not such a message, or its parts are inconsistent.
    """
    form, message = proto.ForwardBackwardOutput, Message(content)
    records = message.messages(form.loss_fn_outputs, "loss_fn_outputs")
    kind = message.text(form.loss_fn_output_type).rpartition(":")[2]
    return ForwardBackwardOutput(
        loss_fn_output_type=kind or "ArrayRecord",
        loss_fn_outputs=[output for record in records for output in _record(record)],
        metrics={
            name: entry.double(VALUE) for name, entry in message.entries(form.metrics, "metrics")
        },
    )


def _record(record: Message) -> list[dict[str, TensorData]]:
    fields = {
        name: read_batch(batch) for name, batch in record.values(proto.ArrayRecord.fields, "fields")
    }
    count = record.integer(proto.ArrayRecord.num_datums) or max(
        map(len, fields.values()), default=0
    )
    if not 0 <= count <= _MOST_DATUMS:
        raise ParseError(record.path, f"claims to hold {count} outputs")
    for name, arrays in fields.items():
        if len(arrays) != count:
            raise ParseError(
                f"{record.path}.fields[{name!r}]", f"has {len(arrays)} arrays for {count} outputs"
            )
    return [
        {name: TensorData.from_response(arrays[i]) for name, arrays in fields.items()}
        for i in range(count)
    ]


def sequence_names(sequence_ids: Any, count: int) -> list[str | None]:
    """Return the ids of a response's sequences; None for each if they do not fit."""
    if not isinstance(sequence_ids, list) or len(sequence_ids) != count:
        return [None] * count
    return [str(name) for name in sequence_ids]


def sample_response(content: bytes, sequence_ids: Any) -> SampleResponse:
    """Parse the result of a sample call; `sequence_ids` names its sequences, if it fits.

    Raises:
        ParseError: The bytes are not such a message, or its parts are inconsistent.
    """
    form, message = proto.SampleResponse, Message(content)
    prompt_logprobs = message.blob(form.prompt_logprobs)
    targets = message.message(form.target_prompt_logprobs, "target_prompt_logprobs")
    alternatives = message.message(form.prompt_alt_tokens, "prompt_alt_tokens")
    sequences = message.messages(form.sequences, "sequences")
    names = sequence_names(sequence_ids, len(sequences))
    return SampleResponse(
        sequences=[_sequence(one, name) for one, name in zip(sequences, names, strict=True)],
        prompt_logprobs=None
        if prompt_logprobs is None
        else [
            None if math.isnan(value) else value
            for value in numbers(prompt_logprobs, "f", "prompt_logprobs")
        ],
        topk_prompt_logprobs=_topk(
            message.message(form.topk_prompt_logprobs, "topk_prompt_logprobs")
        ),
        prompt_cache_hit_tokens=message.integer(form.prompt_cache_hit_tokens, bits=32),
        target_prompt_logprobs=None if targets is None else _tensor(targets),
        prompt_alt_tokens=None if alternatives is None else _alternatives(alternatives),
    )


def _sequence(message: Message, name: str | None) -> SampledSequence:
    form = proto.SampledSequence
    logprobs = numbers(message.blob(form.logprobs), "f", message.at("logprobs"))
    return SampledSequence(
        tokens=numbers(message.blob(form.tokens), "i", message.at("tokens")),
        logprobs=logprobs or None,
        stop_reason=_STOP_REASONS.get(message.integer(form.stop_reason, bits=32), "unknown"),
        sequence_id=name,
        topk_logprobs=_topk(message.message(form.topk_sampled_logprobs, "topk_sampled_logprobs")),
    )


def _topk(message: Message | None) -> TopTokens | None:
    """Return for each position its (token, log probability) pairs; None for positions without any."""
    form = proto.TopkLogprobs
    if (
        message is None
        or not (k := message.unsigned(form.k))
        or not (length := message.unsigned(form.length))
    ):
        return None
    tokens = array(message.blob(form.token_ids), "<i4", message.at("token_ids"))
    logprobs = array(message.blob(form.logprobs), "<f4", message.at("logprobs"))
    if not tokens.size == logprobs.size == k * length:
        raise ParseError(
            message.path,
            f"has {tokens.size} tokens and {logprobs.size} log probabilities for {length} rows of {k}",
        )
    is_there = (tokens != _NO_TOKEN) | (logprobs != np.float32(_NO_LOGPROB))
    rows = zip(
        tokens.reshape(length, k).tolist(),
        logprobs.reshape(length, k).tolist(),
        is_there.reshape(length, k).tolist(),
        strict=True,
    )
    return [
        [pair for pair, there in zip(zip(ids, values, strict=True), wanted, strict=True) if there]
        or None
        for ids, values, wanted in rows
    ]


def _alternatives(message: Message) -> PromptAltTokens:
    tokens = message.message(proto.PromptAltTokens.tokens, "tokens")
    logprobs = message.message(proto.PromptAltTokens.logprobs, "logprobs")
    if tokens is None or logprobs is None:
        raise ParseError(message.path, "lacks its tokens or their log probabilities")
    return PromptAltTokens(_tensor(tokens), _tensor(logprobs))


def _tensor(message: Message) -> TensorData:
    tensor = Tensor.read(message)
    csr = None
    if tensor.crow_indices is not None and tensor.col_indices is not None:
        csr = tensor.values, tensor.crow_indices, tensor.col_indices
    return TensorData.from_response(tensor.dense(message.path), csr)
