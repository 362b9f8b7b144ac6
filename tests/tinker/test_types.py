"""The official package's records."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pydantic
import pytest

from tinkex import types as native
from tinkex.tinker import types
from tinkex.tinker._translation import sample_response
from tinkex.tinker.types.inputs import TopkLogprobs
from tinkex.types.foreign import model_input_of

PROMPT = types.ModelInput.from_ints([1, 2, 3])
# The two forms of one matrix.
DENSE = [[0, 5, 0, 0, 0, 0], [0, 0, 0, 0, 7, 0]]
SPARSE = types.TensorData(
    data=[5, 7],
    dtype="int64",
    shape=[2, 6],
    sparse_crow_indices=[0, 1, 2],
    sparse_col_indices=[1, 4],
)


def test_records_are_pydantic_models() -> None:
    """They dump, copy and validate, refuse unknown fields where callers build them, and are frozen."""
    dumped = PROMPT.model_dump()
    assert dumped == {"chunks": [{"tokens": [1, 2, 3], "type": "encoded_text"}]}
    assert types.ModelInput.model_validate(dumped) == PROMPT
    assert types.ModelInput.model_validate_json(PROMPT.model_dump_json()) == PROMPT
    hot = types.SamplingParams(temperature=2.0).model_copy(update={"max_tokens": 4})
    assert (hot.temperature, hot.max_tokens, hot.top_k) == (2.0, 4, -1)
    with pytest.raises(pydantic.ValidationError):
        types.AdamParams(lerning_rate=1.0)
    with pytest.raises(pydantic.ValidationError):
        PROMPT.chunks = []
    assert pickle.loads(pickle.dumps(PROMPT)) == PROMPT


def test_token_ids_are_a_list_to_everyone() -> None:
    """However they are kept: read, written to, compared, copied, dumped, shown."""
    mine = [1, 2, 3]
    chunk = types.EncodedTextChunk(tokens=mine)
    mine.append(4)
    read = types.EncodedTextChunk(tokens=[1, 2, 3])
    assert (type(read.tokens), read.tokens, read.length) == (list, [1, 2, 3], 3)
    assert chunk == read
    assert chunk != types.EncodedTextChunk(tokens=[1, 2])
    assert chunk.model_copy(update={"tokens": [9]}).tokens == [9]
    assert copy.deepcopy(chunk) == chunk.model_copy() == chunk
    fresh = types.EncodedTextChunk(tokens=[1, 2, 3])
    assert repr(fresh) == "EncodedTextChunk(tokens=[1, 2, 3], type='encoded_text')"
    assert dict(types.EncodedTextChunk(tokens=[1])) == {"tokens": [1], "type": "encoded_text"}
    assert types.EncodedTextChunk(tokens=[1]).model_dump_json() == (
        '{"tokens":[1],"type":"encoded_text"}'
    )
    assert types.EncodedTextChunk(tokens=(1, 2)).model_dump()["tokens"] == (1, 2)
    read.tokens.append(7)  # type: ignore[attr-defined]
    sent = model_input_of(types.ModelInput(chunks=[read, fresh]), "prompt")
    assert sent.to_ints() == [1, 2, 3, 7, 1, 2, 3]
    assert types.ModelInput(chunks=[read, fresh]).to_ints() == [1, 2, 3, 7, 1, 2, 3]
    with pytest.raises(pydantic.ValidationError):
        types.EncodedTextChunk(tokens=["a"])
    with pytest.raises(pydantic.ValidationError):
        fresh.tokens = [1]


def test_records_of_records_are_read_by_their_type() -> None:
    """Unions with a discriminator, and what servers add is left out."""
    summary = {
        "session_id": "s", "created_at": "2026-01-01T00:00:00Z", "owner": "o", "project_id": "p",
        "checkpoints_count": 1, "later": True,
        "status": {"type": "client_finished", "reason": {"type": "errored"}},
    }  # fmt: skip
    read = types.SessionSearchResponse.model_validate({"sessions": [summary]}).sessions[0]
    assert isinstance(read.status, types.ClientSessionFinished)
    assert isinstance(read.status.reason, types.ClientSessionFinishErrored)
    image = types.ImageChunk(data=b"abc", format="png", expected_tokens=4)
    mixed = PROMPT.append(image).append_int(9)
    assert types.ModelInput.model_validate(mixed.model_dump()) == mixed
    assert mixed.length == 8
    assert image.model_dump(mode="json")["data"] == "YWJj"


def test_a_datum_converts_what_people_have() -> None:
    """Lists by the name's dtype, arrays by their own; `dataclasses.replace` works."""
    datum = types.Datum(
        PROMPT, {"target_tokens": [2, 3, 4], "weights": [0, 1, 1], "mine": np.ones(3)}
    )
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in datum.loss_fn_inputs.items()}
    assert found == {
        "target_tokens": ("int64", [3]), "weights": ("float32", [3]), "mine": ("float32", [3]),
    }  # fmt: skip
    changed = dataclasses.replace(datum, loss_fn_inputs={"weights": [1.0, 0.0, 0.0]})
    assert changed.loss_fn_inputs["weights"].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="rectangular"):
        types.Datum(PROMPT, {"target_tokens": [[1], [2, 3]]})
    with pytest.raises(ValueError, match="dtype is unknown"):
        types.Datum(PROMPT, {"mine": [1.0]})


def test_provenance_must_cover_each_token_once() -> None:
    """A miscounted partition fails where it was written."""
    datum = types.Datum(PROMPT, {"target_tokens": [2, 3, 4]})
    span = types.PromptProvenanceSpan(sequence_id="s", length=3)
    with_it = datum.with_provenance(
        [span], [types.SampledProvenanceSpan(sequence_id="s", length=3)]
    )
    assert with_it.model_input_spans == [span]
    with pytest.raises(ValueError, match="cover 2 tokens of 3"):
        datum.with_provenance([dataclasses.replace(span, length=2)], [span])
    with pytest.raises(ValueError, match="go together"):
        dataclasses.replace(datum, model_input_spans=[span])


def test_a_tensor_may_be_written_to() -> None:
    """What came from the server is read-only inside, and given out as a copy."""
    tensor = types.TensorData._of(np.frombuffer(b"\0" * 8, np.float32))
    array = tensor.to_numpy()
    array += 1
    assert tensor.tolist() == [1.0, 1.0]


def test_a_sparse_tensor_is_written_out_with_its_pad_value() -> None:
    """Cells that are not listed are 0, or what the caller says."""
    assert SPARSE.tolist() == DENSE
    assert SPARSE.tolist(pad_value=-1)[0] == [-1, 5, -1, -1, -1, -1]
    assert SPARSE.data == [5, 7]
    with pytest.raises(TypeError, match="integer"):
        SPARSE.to_numpy(pad_value=0.5)


def test_a_sparse_tensor_travels_as_one() -> None:
    """Our own type keeps the listed cells beside the matrix."""
    ours = native.TensorData.convert(SPARSE, None, "x")
    assert ours.tolist() == DENSE
    assert ours.to_dict() == {
        "data": [5, 7], "dtype": "int64", "shape": [2, 6],
        "sparse_crow_indices": [0, 1, 2], "sparse_col_indices": [1, 4],
    }  # fmt: skip
    assert native.TensorData.from_dict(ours.to_dict()) == ours


def test_a_sample_has_arrays_and_lists() -> None:
    """Top tokens as matrices and as pairs; undefined prompt log probabilities as NaN and None."""
    response = sample_response(
        native.SampleResponse(
            [native.SampledSequence([4, 5], [-0.5, -1.0], "stop", "id", [[(4, -0.5)], None])],
            prompt_logprobs=[None, -2.0],
            topk_prompt_logprobs=[None, [(1, -1.0), (2, -3.0)]],
        )
    )
    sequence = response.sequences[0]
    assert sequence.topk_logprobs == [[(4, -0.5)], None]
    assert sequence.topk_logprobs_np is not None
    assert sequence.topk_logprobs_np.token_ids.tolist() == [[4], [0]]
    assert response.prompt_logprobs == [None, -2.0]
    assert response.prompt_logprobs_np is not None
    assert np.isnan(response.prompt_logprobs_np[0])
    again = dataclasses.replace(
        response, _topk_prompt_logprobs_list=None, _prompt_logprobs_list=None
    )
    assert again.topk_prompt_logprobs == [None, [(1, -1.0), (2, -3.0)]]
    assert again.prompt_logprobs == [None, -2.0]
    assert isinstance(again.topk_prompt_logprobs_np, TopkLogprobs)


def test_paths_have_their_parts() -> None:
    """And a path of another form is a ValueError."""
    parsed = types.ParsedCheckpointTinkerPath.from_tinker_path("tinker://r:train:0/weights/a")
    assert parsed.model_dump() == {
        "tinker_path": "tinker://r:train:0/weights/a", "training_run_id": "r:train:0",
        "checkpoint_type": "training", "checkpoint_id": "weights/a",
    }  # fmt: skip
    with pytest.raises(ValueError, match="tinker://"):
        types.ParsedCheckpointTinkerPath.from_tinker_path("s3://a/b/c")
