"""Write requests in the binary form straight from the arrays, and read answers straight into them.

Which field of which message holds what is said by openapi.yaml, under `x-tinkex-protobuf`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
from tinkex._base.protobuf.fields import Message, Writer
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

# The kinds of requests whose results have a binary form, in the server's words.
RESULTS = frozenset({"Sample", "Forward", "ForwardBackward"})

_MOST_TOKEN = 2**31 - 1
# A few bytes must not stand for more outputs than any request has data.
_MOST_DATUMS = 2**17
_STOP_REASONS = {0: "stop", 1: "length"}
# What a server writes into the cells of a row that has fewer than k tokens.
_NO_TOKEN, _NO_LOGPROB = 0, -99999.0


def can_hold(data: Sequence[Datum]) -> bool:
    """Tell whether data have a binary form: one that points to an image elsewhere has none."""
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
    """Return a ForwardBackwardRequest without its model and its number.

    Args:
        data: Data that have a binary form, see `can_hold`.
        first_index: The place of the first of them in the whole batch.
        loss_fn: The loss.
        loss_fn_config: Its settings.
        forward_only: Whether no gradients are wanted.

    Raises:
        ValidationError: A tensor holds NaN or infinity, or a token id is larger than the form can
            hold; the path names the place.
    """
    message = Writer()
    for i, datum in enumerate(data, first_index):
        message.message(3, _datum(datum, f"data[{i}]"))
    message.text(4, loss_fn)
    # Maps are sorted, so that equal requests are equal bytes.
    settings = sorted((loss_fn_config or {}).items(), key=lambda item: item[0].encode())
    for name, value in settings:
        if not isinstance(value, str):
            message.message(5, _entry(name).double(2, value, present=True))
    message.integer(6, forward_only)
    for name, value in settings:
        setting = Writer()
        if isinstance(value, str):
            setting.text(2, value, present=True)
        else:
            setting.double(1, value, present=True)
        message.message(7, _entry(name).message(2, setting))
    return message


def forward_backward_request(model_id: str, seq_id: int, body: Writer) -> bytes:
    """Return the bytes of a ForwardBackwardRequest."""
    return Writer().text(1, model_id).integer(2, seq_id).extend(body).joined()


def _datum(datum: Datum, path: str) -> Writer:
    message = _model_input(datum.model_input, path)
    for name in sorted(datum.loss_fn_inputs, key=str.encode):
        tensor = datum.loss_fn_inputs[name]
        check_finite(
            tensor.csr[0] if tensor.csr else tensor.numpy(), f"{path}.loss_fn_inputs[{name!r}]"
        )
        message.message(2, _entry(name).message(2, _written(tensor)))
    for number, spans in ((3, datum.model_input_spans), (4, datum.loss_fn_input_spans)):
        for span in spans or ():
            message.message(number, _span(span))
    return message


def _written(tensor: TensorData) -> Writer:
    if tensor.csr is None:
        return write_tensor(tensor.numpy())
    return write_sparse(*tensor.csr, tensor.shape)


def _span(span: PromptProvenanceSpan | SampledProvenanceSpan) -> Writer:
    arm = 2 if isinstance(span, SampledProvenanceSpan) else 1
    tokens = Writer().text(1, span.sequence_id).integer(2, span.offset).integer(3, span.length)
    return Writer().message(arm, tokens)


def _model_input(value: ModelInput, path: str) -> Writer:
    message = Writer()
    for i, chunk in enumerate(value.chunks):
        where = f"{path}.model_input.chunks[{i}]"
        if isinstance(chunk, EncodedTextChunk):
            message.message(1, Writer().message(1, Writer().blob(1, _tokens(chunk, where))))
        elif isinstance(chunk, ImageChunk):
            image = Writer().blob(1, chunk.data).text(2, chunk.format)
            if chunk.expected_tokens is not None:
                image.integer(3, chunk.expected_tokens, present=True)
            message.message(1, Writer().message(2, image))
        elif isinstance(chunk, DmelChunk):
            audio = Writer().blob(1, chunk.dmel)
            message.message(1, Writer().message(3, audio))
        else:
            raise ValidationError(
                "points to an image elsewhere, which the binary form cannot: give the image itself "
                "as an ImageChunk, or choose wire_format='json' if the server takes it",
                path=where,
            )
    return message


def _tokens(chunk: EncodedTextChunk, path: str) -> Array:
    tokens = chunk.numpy()
    if tokens.size and tokens.max() > _MOST_TOKEN:
        place = int(tokens.argmax())
        raise ValidationError(
            f"is {tokens[place]}; the binary form holds token ids up to {_MOST_TOKEN}",
            path=f"{path}.tokens[{place}]",
        )
    return tokens.astype("<i4")


def _entry(name: str) -> Writer:
    return Writer().text(1, name, present=True)


def forward_backward_output(content: bytes) -> ForwardBackwardOutput:
    """Read the result of a forward or forward_backward call.

    Raises:
        ParseError: The bytes are no such message, or its parts do not fit each other.
    """
    message = Message(content)
    records = message.messages(2, "loss_fn_outputs")
    kind = message.text(1).rpartition(":")[2]
    return ForwardBackwardOutput(
        loss_fn_output_type=kind or "ArrayRecord",
        loss_fn_outputs=[output for record in records for output in _record(record)],
        metrics={name: entry.double(2) for name, entry in message.entries(3, "metrics")},
    )


def _record(record: Message) -> list[dict[str, TensorData]]:
    fields = {
        name: read_batch(_value(entry, record.path)) for name, entry in record.entries(2, "fields")
    }
    count = record.integer(3) or max(map(len, fields.values()), default=0)
    if not 0 <= count <= _MOST_DATUMS:
        raise ParseError(record.path, f"claims to hold {count} outputs")
    for name, arrays in fields.items():
        if len(arrays) != count:
            raise ParseError(
                f"{record.path}.fields[{name!r}]", f"has {len(arrays)} arrays for {count} outputs"
            )
    return [
        {name: TensorData.from_answer(arrays[i]) for name, arrays in fields.items()}
        for i in range(count)
    ]


def sample_response(content: bytes) -> SampleResponse:
    """Read the result of a sample call.

    Raises:
        ParseError: The bytes are no such message, or its parts do not fit each other.
    """
    message = Message(content)
    prompt_logprobs = message.blob(2)
    targets = message.message(5, "target_prompt_logprobs")
    alternatives = message.message(6, "prompt_alt_tokens")
    return SampleResponse(
        sequences=[_sequence(item) for item in message.messages(1, "sequences")],
        prompt_logprobs=None
        if prompt_logprobs is None
        else [
            None if math.isnan(value) else value
            for value in array(prompt_logprobs, "<f4", "prompt_logprobs").tolist()
        ],
        topk_prompt_logprobs=_topk(message.message(3, "topk_prompt_logprobs")),
        prompt_cache_hit_tokens=message.integer(4, bits=32),
        target_prompt_logprobs=None if targets is None else _tensor(targets),
        prompt_alt_tokens=None if alternatives is None else _alternatives(alternatives),
    )


def _sequence(message: Message) -> SampledSequence:
    logprobs = array(message.blob(3), "<f4", message.at("logprobs")).tolist()
    return SampledSequence(
        tokens=array(message.blob(2), "<i4", message.at("tokens")).tolist(),
        logprobs=logprobs or None,
        stop_reason=_STOP_REASONS.get(message.integer(1, bits=32), "unknown"),
        topk_logprobs=_topk(message.message(4, "topk_sampled_logprobs")),
    )


def _topk(message: Message | None) -> TopTokens | None:
    """Return for each position its (token, log probability) pairs; None for one without any."""
    if message is None or not (k := message.unsigned(3)) or not (length := message.unsigned(4)):
        return None
    tokens = array(message.blob(1), "<i4", message.at("token_ids"))
    logprobs = array(message.blob(2), "<f4", message.at("logprobs"))
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
    tokens, logprobs = message.message(1, "tokens"), message.message(2, "logprobs")
    if tokens is None or logprobs is None:
        raise ParseError(message.path, "lacks its tokens or their log probabilities")
    return PromptAltTokens(_tensor(tokens), _tensor(logprobs))


def _tensor(message: Message) -> TensorData:
    tensor = Tensor.read(message)
    csr = None
    if tensor.crow_indices is not None and tensor.col_indices is not None:
        csr = tensor.values, tensor.crow_indices, tensor.col_indices
    return TensorData.from_answer(tensor.dense(message.path), csr)


def _value(entry: Message, path: str) -> Message:
    value = entry.message(2, "value")
    if value is None:
        raise ParseError(entry.path or path, "has no value")
    value.path = entry.path
    return value
