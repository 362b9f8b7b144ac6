"""The binary form at the server: read requests into the spec's models, write results from them.

Results are kept as JSON, whose floats are written so that they are read back bit for bit; the binary
form is made of it when a client asks for it.
"""

import base64
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import orjson
from tinkex_generated import protobuf as proto
from tinkex_generated.errors import ParseError
from tinkex_generated.models import (
    Datum,
    DmelChunk,
    EncodedTextChunk,
    ForwardBackwardInput,
    ForwardBackwardRequest,
    ForwardRequest,
    ImageChunk,
    ModelInput,
    PromptProvenanceSpan,
    SampledProvenanceSpan,
    TensorData,
)

from tinkex._base.protobuf.arrays import (
    Array,
    Tensor,
    array,
    write_batch,
    write_sparse,
    write_tensor,
)
from tinkex._base.protobuf.fields import FIXED64, LENGTH, VALUE, Message, Writer
from tinkex.local.problem import Problem

_PIECE = 2**20
_STOP_REASONS = {
    "stop": proto.StopReason.STOP_REASON_STOP,
    "length": proto.StopReason.STOP_REASON_LENGTH,
}
# The wire types of the oneofs' members.
_SETTING = {proto.LossConfigValue.number: FIXED64, proto.LossConfigValue.text: LENGTH}
_CHUNKS = dict.fromkeys((proto.Chunk.encoded_text, proto.Chunk.image, proto.Chunk.dmel), LENGTH)
_SPANS = dict.fromkeys(
    (proto.ProvenanceSpan.prompt_tokens, proto.ProvenanceSpan.sampled_tokens), LENGTH
)
# What fills a row that has fewer than k tokens.
_NO_TOKEN, _NO_LOGPROB = 0, -99999.0


def read_request(content: bytes) -> ForwardBackwardRequest | ForwardRequest:
    """Return a ForwardBackwardRequest as its generated model, with arrays in place of lists.

    One that is `forward_only` becomes a ForwardRequest.

    Raises:
        ParseError: The bytes are not such a message, or a value in it is invalid.
    """
    form, message = proto.ForwardBackwardRequest, Message(content)
    data = ForwardBackwardInput(
        data=[_datum(item) for item in message.messages(form.data, "data")],
        loss_fn=cast("Any", message.text(form.loss_fn)),
        loss_fn_config=cast("Any", _config(message)),
    )
    model_id = message.text(form.model_id)
    seq_id = message.integer(form.seq_id, bits=32)
    if not model_id:
        raise ParseError("model_id", "is missing")
    if seq_id < 0:
        raise ParseError("seq_id", f"must be at least 1, not {seq_id}")
    if message.integer(form.forward_only):
        return ForwardRequest(forward_input=data, model_id=model_id, seq_id=seq_id or None)
    return ForwardBackwardRequest(
        forward_backward_input=data, model_id=model_id, seq_id=seq_id or None
    )


def write_result(payload: bytes) -> bytes | None:
    """Return a result's binary form, or None for one that has none.

    Args:
        payload: The result's JSON.
    """
    result = orjson.loads(payload)
    if "loss_fn_outputs" in result:
        return _loss_message(result)
    return _sample_message(result) if result.get("type") == "sample" else None


def decompressed(content: bytes, most_bytes: int) -> bytes:
    """Return what a zstd stream holds, or raise a problem: 422, or 413 if it is too large."""
    try:
        import zstandard
    except ImportError:
        raise Problem(
            415, "zstd needs an extra package at the server: pip install 'tinkex[zstd]'"
        ) from None
    plain = bytearray()
    try:
        # In pieces, since the size that a frame claims is not to be trusted.
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            while piece := reader.read(_PIECE):
                plain += piece
                if len(plain) > most_bytes:
                    raise Problem(413, f"the request body holds more than {most_bytes} bytes")
    except zstandard.ZstdError as error:
        raise Problem(422, f"the request body is no zstd stream: {error}") from error
    return bytes(plain)


def _config(message: Message) -> dict[str, float | str] | None:
    form, setting = proto.ForwardBackwardRequest, proto.LossConfigValue
    settings: dict[str, float | str] = {
        name: entry.double(VALUE)
        for name, entry in message.entries(form.loss_fn_config, "loss_fn_config")
    }
    for name, value in message.values(form.loss_fn_config_v2, "loss_fn_config_v2"):
        is_number = value.which(_SETTING) == setting.number
        settings[name] = value.double(setting.number) if is_number else value.text(setting.text)
    return settings or None


def _datum(message: Message) -> Datum:
    form = proto.Datum
    chunks = message.messages(form.model_input, "model_input.chunks")
    tensors = message.values(form.loss_fn_inputs, "loss_fn_inputs")
    return Datum(
        model_input=ModelInput(chunks=[_chunk(chunk) for chunk in chunks]),
        loss_fn_inputs={name: _tensor(tensor) for name, tensor in tensors},
        model_input_spans=_spans(message, form.model_input_spans, "model_input_spans"),
        loss_fn_input_spans=_spans(message, form.loss_fn_input_spans, "loss_fn_input_spans"),
    )


def _spans(
    message: Message, number: int, name: str
) -> list[PromptProvenanceSpan | SampledProvenanceSpan] | None:
    """Return a list of spans; an empty one and none are the same in this form."""
    return [_span(span) for span in message.messages(number, name)] or None


def _span(message: Message) -> PromptProvenanceSpan | SampledProvenanceSpan:
    arm = message.which(_SPANS)
    found = None if arm is None else message.message(arm, "")
    if found is None:
        raise ParseError(message.path, "is a span of no known kind")
    is_sampled = arm == proto.ProvenanceSpan.sampled_tokens
    kind = SampledProvenanceSpan if is_sampled else PromptProvenanceSpan
    form = proto.PromptProvenanceSpan  # Both messages have the same fields.
    sequence_id = found.text(form.sequence_id)
    offset, length = found.integer(form.offset), found.integer(form.length)
    if not sequence_id:
        raise ParseError(found.at("sequence_id"), "is missing")
    if offset < 0 or length < 0:
        raise ParseError(message.path, f"has offset {offset} and length {length}, below 0")
    return kind(sequence_id=sequence_id, offset=offset, length=length)


def _chunk(message: Message) -> EncodedTextChunk | ImageChunk | DmelChunk:
    kind = message.which(_CHUNKS)
    chunk = None if kind is None else message.message(kind, "")
    if chunk is None:
        raise ParseError(message.path, "is a chunk of no known kind")
    if kind == proto.Chunk.encoded_text:
        tokens = array(chunk.blob(proto.EncodedTextChunk.tokens), "<i4", message.path).astype(
            np.int64
        )
        if tokens.size and tokens.min() < 0:
            raise ParseError(message.path, f"holds the negative token id {tokens.min()}")
        return EncodedTextChunk(tokens=cast("list[int]", tokens))
    if kind == proto.Chunk.image:
        form = proto.ImageChunk
        # An absent count and one of 0 mean the same here, where no image is read.
        return ImageChunk(
            data=_base64(chunk.blob(form.data)),
            format_=cast("Any", chunk.text(form.format)),
            expected_tokens=chunk.integer(form.expected_tokens, bits=32) or None,
        )
    return DmelChunk(dmel=_base64(chunk.blob(proto.DmelChunk.dmel)))


def _base64(data: memoryview | None) -> str:
    return base64.b64encode(data or b"").decode()


def _tensor(message: Message) -> TensorData:
    tensor = Tensor.read(message)
    return TensorData(
        data=cast("list[float]", tensor.values),
        dtype=cast("Any", tensor.values.dtype.name),
        shape=None if tensor.shape is None else list(tensor.shape),
        sparse_crow_indices=cast("list[int] | None", tensor.crow_indices),
        sparse_col_indices=cast("list[int] | None", tensor.col_indices),
    )


def _loss_message(result: Mapping[str, Any]) -> bytes:
    form, record_form = proto.ForwardBackwardOutput, proto.ArrayRecord
    message = Writer().text(form.loss_fn_output_type, result["loss_fn_output_type"])
    outputs = [
        {name: _output(tensor) for name, tensor in sorted(output.items())}
        for output in result["loss_fn_outputs"]
    ]
    # One record holds arrays that differ in their first dimension only.
    for _, run in itertools.groupby(outputs, key=_signature):
        record, alike = Writer(), list(run)
        for name in alike[0]:
            batch = write_batch([output[name] for output in alike])
            record.entry(record_form.fields, name, batch)
        message.message(form.loss_fn_outputs, record.integer(record_form.num_datums, len(alike)))
    for name, value in sorted(result["metrics"].items()):
        message.entry(form.metrics, name, np.nan if value is None else value)
    return message.joined()


def _output(tensor: Mapping[str, Any]) -> Array:
    dtype = np.dtype(tensor["dtype"])
    # null is an undefined number, which numpy reads as NaN where the items are floats.
    values = np.array(tensor["data"], np.float64 if dtype.kind == "f" else dtype).astype(dtype)
    return values.reshape(tensor.get("shape") or -1)


def _signature(output: Mapping[str, Array]) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(name, values.dtype.name, values.shape[1:]) for name, values in output.items()]


def _sample_message(result: Mapping[str, Any]) -> bytes:
    form, message = proto.SampleResponse, Writer()
    for sequence in result["sequences"]:
        part = proto.SampledSequence
        one = Writer().integer(part.stop_reason, _STOP_REASONS[sequence["stop_reason"]])
        one.blob(part.tokens, np.array(sequence["tokens"], "<i4"))
        if sequence.get("logprobs") is not None:
            one.blob(part.logprobs, _floats(sequence["logprobs"]), present=True)
        if sequence.get("topk_logprobs") is not None:
            one.message(part.topk_sampled_logprobs, _topk(sequence["topk_logprobs"]))
        message.message(form.sequences, one)
    if result.get("prompt_logprobs") is not None:
        message.blob(form.prompt_logprobs, _floats(result["prompt_logprobs"]), present=True)
    if result.get("topk_prompt_logprobs") is not None:
        message.message(form.topk_prompt_logprobs, _topk(result["topk_prompt_logprobs"]))
    message.integer(form.prompt_cache_hit_tokens, result.get("prompt_cache_hit_tokens") or 0)
    if result.get("target_prompt_logprobs") is not None:
        tensor = _tensor_message(result["target_prompt_logprobs"])
        message.message(form.target_prompt_logprobs, tensor)
    if result.get("prompt_alt_tokens") is not None:
        found = result["prompt_alt_tokens"]
        alternatives = Writer()
        for name in ("tokens", "logprobs"):
            number = getattr(proto.PromptAltTokens, name)
            alternatives.message(number, _tensor_message(found[name]))
        message.message(form.prompt_alt_tokens, alternatives)
    return message.joined()


def _tensor_message(tensor: Mapping[str, Any]) -> Writer:
    if tensor.get("sparse_crow_indices") is None:
        return write_tensor(_output(tensor))
    values = _output({**tensor, "shape": None})
    crow, columns = tensor["sparse_crow_indices"], tensor["sparse_col_indices"]
    return write_sparse(values, np.array(crow), np.array(columns), tensor["shape"])


def _topk(rows: Sequence[Sequence[tuple[int, float]] | None]) -> Writer:
    width = max((len(row) for row in rows if row), default=0)
    tokens = np.full((len(rows), width), _NO_TOKEN, "<i4")
    logprobs = np.full((len(rows), width), _NO_LOGPROB, "<f4")
    for place, token, logprob in _cells(rows):
        tokens[place], logprobs[place] = token, logprob
    form = proto.TopkLogprobs
    message = Writer().blob(form.token_ids, tokens).blob(form.logprobs, logprobs)
    return message.integer(form.k, width).integer(form.length, len(rows))


def _cells(
    rows: Sequence[Sequence[tuple[int, float]] | None],
) -> Iterator[tuple[tuple[int, int], int, float]]:
    for i, row in enumerate(rows):
        for j, (token, logprob) in enumerate(row or ()):
            yield (i, j), token, logprob


def _floats(values: Sequence[float | None]) -> Array:
    return np.array(values, np.float64).astype("<f4")
