"""The binary form is the one of the official protobuf package, byte for byte and array for array."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.messages import fill_map, message
from tinkex_generated.errors import ParseError

from tinkex._base.protobuf.fields import Message, Writer
from tinkex._core.wire import binary, decode
from tinkex.errors import ValidationError
from tinkex.types import (
    Datum,
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    PromptProvenanceSpan,
    SampledProvenanceSpan,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
INT64 = st.integers(-(2**63), 2**63 - 1)
TOKENS = st.lists(st.integers(0, 2**31 - 1), max_size=6)
NAMES = st.text(max_size=5)
# None begins with another: the package sorts such pairs in an order of its own.
KEYS = st.text(min_size=3, max_size=3)

CHUNKS = st.one_of(
    st.builds(EncodedTextChunk, TOKENS),
    st.builds(
        ImageChunk,
        data=st.binary(min_size=1, max_size=5),
        format=st.sampled_from(["png", "jpeg"]),
        expected_tokens=st.none() | st.integers(0, 2**31 - 1),
    ),
    # A tensor container: dtype, number of dimensions, dimensions, values.
    st.builds(DmelChunk, st.binary(max_size=5).map(b"\0\1\7".__add__)),
)
TENSORS = st.sampled_from([np.float32, np.int64]).flatmap(
    lambda dtype: arrays.arrays(
        dtype,
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements=FLOATS if dtype is np.float32 else INT64,
    )
)
# Names of our own, which no rule about lengths is for.
INPUTS = st.dictionaries(KEYS, TENSORS, max_size=3)
SPANS = st.lists(
    st.tuples(
        st.sampled_from([PromptProvenanceSpan, SampledProvenanceSpan]),
        st.text(min_size=1, max_size=5),
        st.integers(0, 2**63 - 1),
    ),
    min_size=1,
    max_size=3,
)


def with_spans(datum: Datum, spans: list[tuple[Any, str, int]]) -> Datum:
    """Return the datum with spans of which the last covers the whole input."""
    lengths = [0] * (len(spans) - 1) + [datum.model_input.known_length() or 0]
    made = [
        kind(sequence_id=name, offset=offset, length=length)
        for (kind, name, offset), length in zip(spans, lengths, strict=True)
    ]
    return datum.with_provenance(made, made)


PLAIN_DATA = st.builds(Datum, st.lists(CHUNKS, max_size=3).map(ModelInput), INPUTS)
DATA = st.lists(
    st.one_of(PLAIN_DATA, st.builds(with_spans, PLAIN_DATA, SPANS)), min_size=1, max_size=3
)
CONFIGS = st.none() | st.dictionaries(
    KEYS, st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5), max_size=4
)


def official_request(
    data: list[Datum], loss_fn: str, config: Any, forward_only: bool, model_id: str, seq_id: int
) -> bytes:
    numbers = {name: value for name, value in (config or {}).items() if isinstance(value, float)}
    request = message(
        "ForwardBackwardRequest",
        model_id=model_id,
        seq_id=seq_id,
        data=[official_datum(datum) for datum in data],
        loss_fn=loss_fn,
        loss_fn_config=numbers,
        forward_only=forward_only,
    )
    values = {
        name: message("LossConfigValue", number=value)
        if name in numbers
        else message("LossConfigValue", text=value)
        for name, value in (config or {}).items()
    }
    fill_map(request.loss_fn_config_v2, values)
    return bytes(request.SerializeToString(deterministic=True))


def official_datum(datum: Datum) -> Any:
    made = message(
        "Datum",
        model_input=[official_chunk(c) for c in datum.model_input.chunks],
        model_input_spans=[official_span(span) for span in datum.model_input_spans or ()],
        loss_fn_input_spans=[official_span(span) for span in datum.loss_fn_input_spans or ()],
    )
    tensors = {name: official_tensor(t.numpy()) for name, t in datum.loss_fn_inputs.items()}
    fill_map(made.loss_fn_inputs, tensors)
    return made


def official_span(span: Any) -> Any:
    fields = {"sequence_id": span.sequence_id, "offset": span.offset, "length": span.length}
    if isinstance(span, SampledProvenanceSpan):
        arm = {"sampled_tokens": message("SampledProvenanceSpan", **fields)}
    else:
        arm = {"prompt_tokens": message("PromptProvenanceSpan", **fields)}
    return message("ProvenanceSpan", **arm)


def official_chunk(chunk: Any) -> Any:
    if isinstance(chunk, EncodedTextChunk):
        tokens = np.array(chunk.tokens, "<i4").tobytes()
        return message("Chunk", encoded_text=message("EncodedTextChunk", tokens=tokens))
    if isinstance(chunk, DmelChunk):
        return message("Chunk", dmel=message("DmelChunk", dmel=chunk.dmel))
    optional = {} if chunk.expected_tokens is None else {"expected_tokens": chunk.expected_tokens}
    image = message("ImageChunk", data=chunk.data, format=chunk.format, **optional)
    return message("Chunk", image=image)


def official_tensor(values: np.ndarray[Any, Any]) -> Any:
    dtype = 1 if values.dtype == np.float32 else 2
    return message("Tensor", dense=values.tobytes(), dtype=dtype, shape=values.shape)


@given(
    data=DATA,
    loss_fn=st.text(max_size=8),
    config=CONFIGS,
    forward_only=st.booleans(),
    model_id=st.text(max_size=8),
    seq_id=st.integers(0, 2**31 - 1),
)
def test_requests_are_those_of_the_protobuf_package(
    data: list[Datum], loss_fn: str, config: Any, forward_only: bool, model_id: str, seq_id: int
) -> None:
    """A batch of any chunks, tensors and settings is written byte for byte as the package does."""
    body = binary.forward_backward_body(data, 0, loss_fn, config, forward_only=forward_only)
    ours = binary.forward_backward_request(model_id, seq_id, body)
    assert ours == official_request(data, loss_fn, config, forward_only, model_id, seq_id)


def test_a_pointer_to_an_image_has_no_binary_form() -> None:
    """It is found beforehand, and named if it is written nevertheless."""
    pointer = ImageAssetPointerChunk(location="s3://x", format="png", expected_tokens=2)
    data = [Datum(ModelInput.from_ints([1])), Datum(ModelInput((pointer,)))]
    assert binary.can_hold(data[:1])
    assert not binary.can_hold(data)
    with pytest.raises(ValidationError, match=r"data\[8\].model_input.chunks\[0\]: refers to"):
        binary.forward_backward_body(data, 7, "cross_entropy", None)


def test_what_cannot_be_written_is_named() -> None:
    """A token of more than 31 bits, and a NaN in an array that was changed since."""
    large = Datum(ModelInput.from_ints([1, 2**31]))
    with pytest.raises(ValidationError, match=r"data\[0\].model_input.chunks\[0\].tokens\[1\]: is"):
        binary.forward_backward_body([large], 0, "cross_entropy", None)
    values = np.zeros(2, np.float32)
    datum = Datum(ModelInput.from_ints([1, 2]), {"weights": values})
    values[1] = np.nan
    with pytest.raises(
        ValidationError, match=r"data\[3\].loss_fn_inputs\['weights'\]\[1\]: is nan"
    ):
        binary.forward_backward_body([datum], 3, "cross_entropy", None)


BF16 = 4
WIRE_DTYPES = {1: "<f4", 2: "<i8", 3: "<i4", BF16: "<u2"}


def widened(code: int, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what is to be read of values on the wire, computed in another way than the reader."""
    if code == BF16:
        halves = np.zeros((values.size, 2), "<u2")
        halves[:, 1] = values.reshape(-1)
        return halves.view("<f4").reshape(values.shape)
    return values.astype(np.float32 if code == 1 else np.int64)


@st.composite
def records(draw: st.DrawFn) -> tuple[Any, list[dict[str, np.ndarray[Any, Any]]]]:
    """Return an ArrayRecord and what its outputs are."""
    count = draw(st.integers(1, 3))
    outputs: list[dict[str, np.ndarray[Any, Any]]] = [{} for _ in range(count)]
    batches = {}
    for name in draw(st.sets(NAMES, max_size=2)):
        code = draw(st.sampled_from(list(WIRE_DTYPES)))
        trailing = draw(st.lists(st.integers(1, 3), max_size=2))
        parts = [
            draw(arrays.arrays(WIRE_DTYPES[code], (draw(st.integers(0, 3)), *trailing)))
            for _ in range(count)
        ]
        batches[name] = message(
            "BatchedTensor",
            data=b"".join(part.tobytes() for part in parts),
            offsets=np.cumsum([0] + [part.nbytes for part in parts]).astype("<i8").tobytes(),
            dtype=code,
            trailing_shape=trailing,
        )
        for output, part in zip(outputs, parts, strict=True):
            output[name] = widened(code, part)
    record = message("ArrayRecord", type_tag="T", num_datums=count)
    fill_map(record.fields, batches)
    return record, outputs


def same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Compare to the bit, undefined numbers included."""
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@given(
    made=st.lists(records(), max_size=3),
    kind=st.sampled_from(["", "TorchLossReturn", "pkg.mod:Kind"]),
    metrics=st.dictionaries(NAMES, st.floats(allow_nan=False), max_size=3),
)
def test_outputs_are_read_as_they_were_written(
    made: list[Any], kind: str, metrics: dict[str, float]
) -> None:
    """Records follow one another, ragged, in all dtypes and trailing shapes, to the last bit."""
    output = message(
        "ForwardBackwardOutput",
        loss_fn_output_type=kind,
        loss_fn_outputs=[record for record, _ in made],
        metrics=metrics,
    )
    read = decode.forward_backward_output(output.SerializeToString())
    assert read.loss_fn_output_type == (kind.rpartition(":")[2] or "ArrayRecord")
    assert read.metrics == metrics
    expected = [output for _, outputs in made for output in outputs]
    assert len(read.loss_fn_outputs) == len(expected)
    for ours, theirs in zip(read.loss_fn_outputs, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(same(ours[name].numpy(), theirs[name]) for name in theirs)


def output_of(**batch: Any) -> bytes:
    record = message("ArrayRecord", num_datums=batch.pop("num_datums", 0))
    if batch:
        fill_map(record.fields, {"logprobs": message("BatchedTensor", **batch)})
    made = message("ForwardBackwardOutput", loss_fn_outputs=[record])
    return bytes(made.SerializeToString())


def test_outputs_may_be_counted_by_either_side() -> None:
    """A count without fields gives empty outputs, fields without a count are counted."""
    assert decode.forward_backward_output(output_of(num_datums=2)).loss_fn_outputs == [{}, {}]
    offsets = np.array([0, 4, 4], "<i8").tobytes()
    data = np.array([-0.5], "<f4").tobytes()
    read = decode.forward_backward_output(output_of(data=data, offsets=offsets, dtype=1))
    assert [o["logprobs"].tolist() for o in read.loss_fn_outputs] == [[-0.5], []]


@pytest.mark.parametrize(
    ("batch", "why"),
    [
        ({"num_datums": 2**40}, "claims to hold"),
        ({"num_datums": -1}, "claims to hold"),
        ({"num_datums": 3, "dtype": 1}, r"fields\['logprobs'\] has 0 arrays for 3 outputs"),
        ({"dtype": 9, "data": b"1234"}, "has the unknown dtype 9"),
        ({"dtype": 1, "data": b"123"}, "has 3 bytes, not a multiple of the item size of float32"),
        ({"dtype": 1, "offsets": b"1"}, "has 1 bytes, not a multiple of the item size of int64"),
        ({"dtype": 1, "offsets": np.array([0, 8])}, "offsets"),
        ({"dtype": 1, "data": b"12345678", "offsets": np.array([8, 0])}, "offsets"),
        ({"dtype": 1, "data": b"1234", "offsets": np.array([-4, 4])}, "offsets"),
        ({"dtype": 1, "data": b"1234", "offsets": np.array([0, 2])}, "offsets"),
        ({"dtype": 1, "offsets": np.array([0, 2**63 - 1, -(2**63), 0])}, "offsets"),
        (
            {"dtype": 1, "data": b"1234", "offsets": np.array([0, 4]), "trailing_shape": [2]},
            r"do not fit the trailing shape \[2\]",
        ),
        (
            {"dtype": 1, "data": b"1234", "offsets": np.array([0, 4]), "trailing_shape": [-1]},
            "trailing shape",
        ),
        (
            {"dtype": 1, "data": b"1234", "offsets": np.array([0, 4]), "trailing_shape": [0]},
            "trailing shape",
        ),
    ],
)
def test_outputs_that_do_not_fit_are_refused(batch: dict[str, Any], why: str) -> None:
    """Counts, offsets, dtypes and shapes that contradict the data are named."""
    if isinstance(batch.get("offsets"), np.ndarray):
        batch = {**batch, "offsets": batch["offsets"].astype("<i8").tobytes()}
    with pytest.raises(ParseError, match=why):
        decode.forward_backward_output(output_of(**batch))


@st.composite
def top_tokens(draw: st.DrawFn) -> tuple[Any, Any]:
    """Return a TopkLogprobs and what it means."""
    k, length = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    rows = [
        draw(st.lists(st.tuples(st.integers(1, 2**31 - 1), FLOATS), max_size=k))
        for _ in range(length)
    ]
    padded = [row + [(0, -99999.0)] * (k - len(row)) for row in rows]
    made = message(
        "TopkLogprobs",
        token_ids=np.array([t for row in padded for t, _ in row], "<i4").tobytes(),
        logprobs=np.array([p for row in padded for _, p in row], "<f4").tobytes(),
        k=k,
        length=length,
    )
    return made, [row or None for row in rows] if k and length else None


@st.composite
def sequences(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    tokens = draw(TOKENS)
    logprobs = draw(st.none() | st.lists(FLOATS, max_size=4))
    reason = draw(st.integers(0, 1))
    top = draw(st.none() | top_tokens())
    made = message("SampledSequence", tokens=np.array(tokens, "<i4").tobytes(), stop_reason=reason)
    if logprobs is not None:
        made.logprobs = np.array(logprobs, "<f4").tobytes()
    if top is not None:
        made.topk_sampled_logprobs.CopyFrom(top[0])
    return made, {
        "tokens": tokens,
        "logprobs": logprobs or None,
        "stop_reason": ["stop", "length"][reason],
        "topk_logprobs": None if top is None else top[1],
    }


@given(
    drawn=st.lists(sequences(), max_size=3),
    prompt=st.none() | st.lists(FLOATS | st.just(math.nan), max_size=4),
    top=st.none() | top_tokens(),
    hits=st.integers(0, 2**31 - 1),
)
def test_samples_are_read_as_they_were_written(
    drawn: list[Any], prompt: list[float] | None, top: Any, hits: int
) -> None:
    """Empty log probabilities are none, NaN is None, and cells that only fill a row are left out."""
    made = message(
        "SampleResponse", sequences=[one for one, _ in drawn], prompt_cache_hit_tokens=hits
    )
    if prompt is not None:
        made.prompt_logprobs = np.array(prompt, "<f4").tobytes()
    if top is not None:
        made.topk_prompt_logprobs.CopyFrom(top[0])
    read = decode.sample_response(made.SerializeToString())
    for ours, (_, theirs) in zip(read.sequences, drawn, strict=True):
        assert {name: getattr(ours, name) for name in theirs} == theirs
    undefined = None if prompt is None else [None if math.isnan(p) else p for p in prompt]
    assert read.prompt_logprobs == undefined
    assert read.topk_prompt_logprobs == (None if top is None else top[1])
    assert read.prompt_cache_hit_tokens == hits


def test_what_only_the_binary_form_has_is_read() -> None:
    """Log probabilities of targets, dense or sparse, and alternative tokens are tensors."""
    sparse = message(
        "SparseCsr",
        values=np.array([-0.5, -1.5], "<f4").tobytes(),
        crow_indices=np.array([0, 0, 2], "<i8").tobytes(),
        col_indices=np.array([0, 2], "<i8").tobytes(),
    )
    made = message(
        "SampleResponse",
        target_prompt_logprobs=message("Tensor", sparse_csr=sparse, dtype=1, shape=[2, 3]),
        prompt_alt_tokens=message(
            "PromptAltTokens",
            tokens=message(
                "Tensor", dense=np.array([7, 8], "<i4").tobytes(), dtype=3, shape=[2, 1]
            ),
            logprobs=official_tensor(np.array([[-1], [-2]], np.float32)),
        ),
    )
    read = decode.sample_response(made.SerializeToString())
    assert read.target_prompt_logprobs is not None
    assert read.target_prompt_logprobs.tolist() == [[0, 0, 0], [-0.5, 0, -1.5]]
    assert read.prompt_alt_tokens is not None
    assert (read.prompt_alt_tokens.tokens.dtype, read.prompt_alt_tokens.tokens.tolist()) == (
        "int64",
        [[7], [8]],
    )
    assert read.prompt_alt_tokens.logprobs.tolist() == [[-1.0], [-2.0]]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({"crow_indices": [0, 2]}, "do not fit the values"),
        ({"crow_indices": [0, 2, 1]}, "do not fit the values"),
        ({"col_indices": [0, 3]}, "point outside the shape"),
        ({"col_indices": [-1, 0]}, "point outside the shape"),
        ({"shape": [2**20, 2**20]}, "needs its dense 2-D shape"),
        ({"shape": [6]}, "needs its dense 2-D shape"),
    ],
)
def test_sparse_tensors_that_do_not_fit_are_refused(field: dict[str, Any], why: str) -> None:
    """Indices outside the shape, and shapes that would take all memory, are errors."""
    parts: dict[str, Any] = {"crow_indices": [0, 0, 2], "col_indices": [0, 2], "shape": [2, 3]}
    parts |= field
    shape = parts.pop("shape")
    sparse = message(
        "SparseCsr",
        values=np.array([1, 2], "<f4").tobytes(),
        **{name: np.array(values, "<i8").tobytes() for name, values in parts.items()},
    )
    tensor = message("Tensor", sparse_csr=sparse, dtype=1, shape=shape)
    made = message("SampleResponse", target_prompt_logprobs=tensor)
    with pytest.raises(ParseError, match=why):
        decode.sample_response(made.SerializeToString())


def test_fields_of_newer_servers_are_skipped() -> None:
    """Unknown fields of every wire type, and known ones of another type, change nothing."""
    unknown = Writer().integer(99, 5).double(98, 1.5).blob(97, b"xyz").integer(1, 7).joined()
    unknown += bytes([96 << 3 & 0x7F | 0x80 | 5, 96 << 3 >> 7]) + b"1234"
    plain = message("SampleResponse", sequences=[message("SampledSequence", tokens=b"\1\0\0\0")])
    content = plain.SerializeToString()
    expected = decode.sample_response(content)
    assert decode.sample_response(content + unknown) == expected
    assert decode.sample_response(unknown + content) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"\x0b\x0c",  # a group
        b"\x00\x00",  # field 0
        b"\x0a\x05ab",  # a length beyond the end
        b"\x08",  # a number that is not there
        b"\x08" + b"\xff" * 11,  # a number of more than ten bytes
        b"\x0a\x01\xff",  # a name that is no UTF-8
    ],
)
def test_bytes_that_are_no_message_are_refused(content: bytes) -> None:
    """Groups, impossible numbers and lengths beyond the end are errors, not surprises."""
    with pytest.raises(ParseError):
        decode.forward_backward_output(content)


def test_parts_of_one_message_are_merged() -> None:
    """A message that comes in two parts is both of them, as for every protobuf parser."""
    first = message("TopkLogprobs", token_ids=b"\1\0\0\0", k=1)
    second = message("TopkLogprobs", logprobs=np.array([-1], "<f4").tobytes(), length=1)
    content = b"".join(
        message("SampleResponse", topk_prompt_logprobs=part).SerializeToString()
        for part in (first, second)
    )
    assert decode.sample_response(content).topk_prompt_logprobs == [[(1, -1.0)]]


@given(value=st.integers(-(2**63), 2**63 - 1), narrow=st.integers(-(2**31), 2**31 - 1))
def test_negative_numbers_keep_their_sign(value: int, narrow: int) -> None:
    """Integers of 32 and 64 bits come back as they were written, packed or not."""
    packed = Writer().integer(1, value).integer(2, narrow).integers(3, (value, narrow)).joined()
    read = Message(packed + Writer().integer(3, 5).joined())
    assert (read.integer(1), read.integer(2, bits=32)) == (value, narrow)
    assert sorted(read.integers(3)) == sorted([value, narrow, 5])


@given(data=st.data(), made=st.lists(records(), min_size=1, max_size=2), drawn=sequences())
def test_broken_bytes_are_parse_errors(data: st.DataObject, made: list[Any], drawn: Any) -> None:
    """An answer that was cut or whose bytes were changed is read or refused, and nothing else."""
    output = message("ForwardBackwardOutput", loss_fn_outputs=[record for record, _ in made])
    sample = message("SampleResponse", sequences=[drawn[0]], prompt_logprobs=b"\0\0\0\0")
    for whole, read in (
        (output.SerializeToString(), decode.forward_backward_output),
        (sample.SerializeToString(), decode.sample_response),
    ):
        content = bytearray(whole)
        for _ in range(data.draw(st.integers(0, 3))):
            if content:
                content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
                    st.integers(0, 255)
                )
        del content[data.draw(st.integers(0, len(content))) :]
        with contextlib.suppress(ParseError):
            read(bytes(content))
