"""Behaviour of the generated models, executed on the toy API."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
import sys
from array import array
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest

DATUM = {
    "model_input": {"chunks": [{"tokens": [1, 2], "type": "encoded_text"}]},
    "loss_inputs": {"weights": {"data": [0.5, 1.0], "dtype": "float32", "shape": [2]}},
}
DEFAULTS = {"retries": 3, "ratio": 1.0, "dry_run": False, "mode": 'a "b"'}
TRAIN = {"data": [DATUM], "loss": "ppo", "model_id": "m", "seq_id": 7} | DEFAULTS
SAMPLE = {
    "type": "sample",
    "prompt": {"chunks": []},
    "user_metadata": {"a": "b"},
    "detail": "d",
    "stop": [1, 2],
    "target": {"data": [1], "dtype": "int64"},
    "statuses": [
        {"type": "active"},
        {"type": "finished", "at": "2026-01-02T03:04:05+00:00"},
    ],
}
RUN = {
    "run_id": "r",
    "owner": {"name": "n"},
    "last_checkpoint": {
        "checkpoint_id": "c",
        "time": "2026-01-02T03:04:05.600000+02:00",
        "public": True,
    },
    "checkpoints": [None],
    "by_name": {"x": {"checkpoint_id": "c", "time": "2026-01-02T03:04:05+00:00", "public": False}},
    "history": ["2026-01-02T03:04:05+00:00"],
    "anything": [1, {"a": None}],
    "tags": ["t"],
    "parent": {"run_id": "p", "owner": None},
}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("TrainRequest", TRAIN),
        ("TrainRequest", TRAIN | {"loss_config": {"a": 1, "b": "x"}}),
        ("TrainRequest", TRAIN | {"optimizer": {"type": "new", "more": [1]}}),
        ("SampleRequest", SAMPLE),
        ("SampleRequest", SAMPLE | {"stop": "x", "user_metadata": None, "detail": None}),
        ("SampleRequest", SAMPLE | {"stop": ["x", "y"]}),
        ("Run", RUN),
        ("Run", {"run_id": "r", "owner": "someone"}),
        ("TrainOutput", {"outputs": [{}, DATUM["loss_inputs"]], "metrics": {"loss:sum": 1.5}}),
        ("ReservedWords", {"class": "c", "from": 1, "list": ["x"], "data": "d", "_hidden": "h"}),
        ("ReservedWords", {"class": "", "from": 0, "list": [], "data": "", "some-thing": "s"}),
    ],
)
def test_models_give_back_the_json_they_read(models: Any, name: str, data: Any) -> None:
    """from_dict and to_dict are inverse on what the API sends and takes."""
    original = copy.deepcopy(data)
    assert getattr(models, name).from_dict(data).to_dict() == original
    assert data == original


def test_optional_fields_are_none_when_absent_or_null(models: Any) -> None:
    """Absent and null are the same for an optional field, and neither is written."""
    for data in ({"request_id": "r"}, {"request_id": "r", "model_id": None}):
        promise = models.Promise.from_dict(data)
        assert promise.model_id is None
        assert promise.to_dict() == {"request_id": "r"}
    assert models.Promise(request_id="r") == models.Promise.from_dict({"request_id": "r"})


def test_required_nullable_fields_are_written_as_null(models: Any) -> None:
    """A key that must be there is there, even without value; the constructor asks for it."""
    request = models.SampleRequest(
        prompt=models.ModelInput(chunks=[]), user_metadata=None, detail=None
    )
    assert request.to_dict() == {
        "type": "sample",
        "prompt": {"chunks": []},
        "user_metadata": None,
        "detail": None,
    }
    with pytest.raises(TypeError, match="user_metadata"):
        models.SampleRequest(prompt=models.ModelInput(chunks=[]), detail=None)


def test_scalar_defaults_stand_for_absent_and_null(models: Any) -> None:
    """Defaults come from the description, quotes and all, and are sent."""
    bare = {"data": [], "loss": "ppo", "model_id": "m"}
    for data in (bare, bare | dict.fromkeys(DEFAULTS)):
        assert models.TrainRequest.from_dict(data).to_dict() == bare | DEFAULTS
    assert models.TrainRequest(**bare).to_dict() == bare | DEFAULTS
    without = models.TrainRequest(**bare, retries=None).to_dict()
    assert without.keys() == (bare | DEFAULTS).keys() - {"retries"}


def test_constants_need_no_argument_and_are_always_written(models: Any) -> None:
    """The tag of a chunk is never left to the caller."""
    assert models.EncodedTextChunk(tokens=[1]).to_dict() == {"type": "encoded_text", "tokens": [1]}
    assert models.TryAgain(request_id="r").to_dict() == {"type": "try_again", "request_id": "r"}
    assert models.EncodedTextChunk.from_dict({"tokens": [1]}).type_ == "encoded_text"


def test_unknown_keys_are_ignored_unless_the_object_is_open(models: Any) -> None:
    """Answers of newer servers are read; open objects keep what they hold."""
    assert models.Promise.from_dict({"request_id": "r", "new": 1}).to_dict() == {"request_id": "r"}
    config = models.OptimizerConfig.from_dict({"type": "t", "damping": 0.5})
    assert config.additional_properties == {"damping": 0.5}
    assert config.to_dict() == {"type": "t", "damping": 0.5}


def test_models_are_frozen_and_slotted_and_keyword_only(models: Any) -> None:
    """Models are values: nothing changes them, and argument order means nothing."""
    promise = models.Promise(request_id="r")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        promise.request_id = "s"
    assert not hasattr(promise, "__dict__")
    with pytest.raises(TypeError):
        models.Promise("r")
    assert attrs.evolve(promise, model_id="m").model_id == "m"


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_copies_are_equal_and_write_the_same(models: Any, duplicate: Callable[[Any], Any]) -> None:
    """Deep copies and pickles lose and add nothing; no sentinel leaks into the output."""
    for name, data in (("TrainRequest", TRAIN), ("SampleRequest", SAMPLE), ("Run", RUN)):
        model = getattr(models, name).from_dict(data)
        other = duplicate(model)
        assert other == model
        assert json.dumps(other.to_dict()) == json.dumps(model.to_dict())


def test_enumerations_let_unknown_values_through(models: Any) -> None:
    """A value that a newer server adds does not lose the whole answer."""
    sequence = models.Sequence.from_dict({"tokens": [1], "stop_reason": "cancelled"})
    assert sequence.stop_reason == "cancelled"
    assert sequence.to_dict()["stop_reason"] == "cancelled"


def test_date_times_are_aware(models: Any) -> None:
    """A time without zone is read as UTC, and never written."""
    for text in ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"):
        time = models.Checkpoint.from_dict({"checkpoint_id": "c", "time": text}).time
        assert time == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    naive = dt.datetime(2026, 1, 2)  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        models.Checkpoint(checkpoint_id="c", time=naive).to_dict()


def test_numeric_arrays_pass_by_reference_both_ways(models: Any) -> None:
    """No item of a numeric array is touched: lists and numpy arrays stay the objects they are."""
    for values in ([1, 2], np.array([1, 2]), np.zeros((0,), dtype=np.float32)):
        data = {"tokens": values, "logprobs": values, "stop_reason": "stop"}
        sequence = models.Sequence.from_dict(data)
        assert sequence.tokens is values
        assert sequence.to_dict()["logprobs"] is values
    nullable = [None, -0.5]
    nested = [None, [[7, -0.5]]]
    answer = models.SampleResponse.from_dict(
        {"sequences": [], "prompt_logprobs": nullable, "topk": nested}
    )
    assert answer.prompt_logprobs is nullable
    assert answer.topk is nested


def test_arrays_are_written_as_the_lists_they_hold(
    toy: Any, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wire cannot tell an array from its list, whatever the layout, and with numpy or without."""
    types = toy("types")
    plain = np.array([[1.5, -2.25], [0.1, 1e-9]])
    for value in (
        plain,
        plain.T,
        plain[:, ::-1],
        np.array([1, -(2**62)]),
        np.array([1, 2], dtype=np.float32)[::-1],
        np.array([0.5], dtype=np.float16),
        np.array(3.5),
        np.array([True]),
        np.float32(0.5),
        np.int64(-1),
        array("q", [1, -(2**62)]),
        array("f", [0.5]),
    ):
        assert types.dumps({"a": value}) == types.dumps({"a": value.tolist()})
    monkeypatch.delitem(sys.modules, "numpy")
    assert types.dumps({"a": array("q", [1, 2])}) == b'{"a":[1,2]}'
    monkeypatch.undo()
    tensor = models.TensorData(data=plain, dtype="float32")
    listed = models.TensorData(data=plain.tolist(), dtype="float32")
    assert types.dumps(tensor.to_dict()) == types.dumps(listed.to_dict())
    for refused in (object(), plain.astype(plain.dtype.newbyteorder())):
        with pytest.raises(TypeError):
            types.dumps({"a": refused})


def test_equality_compares_the_values_of_arrays(models: Any) -> None:
    """Arrays compare by value, with lists too; models of other classes are never equal."""

    def datum(data: Any) -> Any:
        tensor = models.TensorData(data=data, dtype="float32")
        return models.Datum(model_input=models.ModelInput(chunks=[]), loss_inputs={"w": tensor})

    assert datum(np.array([1.0, 2.0])) == datum([1.0, 2.0])
    assert datum(np.array([1.0, 2.0])) != datum([1.0, 3.0])
    assert models.Owner(name="n") != models.Promise(request_id="n")
    assert models.Owner(name="n") != "n"


def test_models_of_scalars_are_hashable(models: Any) -> None:
    """Equal models are one key; a model that holds a list is none, like a tuple."""
    assert len({models.Owner(name="n"), models.Owner(name="n"), models.Owner(name="m")}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(models.EncodedTextChunk(tokens=[1]))


def test_repr_is_short_and_keeps_secrets(models: Any) -> None:
    """Long arrays are counted, numpy arrays described, and fields of format password left out."""
    chunk = models.EncodedTextChunk(tokens=list(range(5000)))
    assert repr(chunk) == (
        "EncodedTextChunk(tokens=[0, 1, 2, 3, 4, 5, 6, 7, ... 5000 items], type_='encoded_text')"
    )
    assert "int64 array of shape (5000,)" in repr(
        models.EncodedTextChunk(tokens=np.zeros(5000, dtype=np.int64))
    )
    assert len(repr(models.Owner(name="x" * 10_000))) < 300
    words = models.ReservedWords(class_="c", from_=1, list_=[], data="s3cret", self_="s3cret")
    assert "s3cret" not in repr(words)


def test_docstrings_carry_the_descriptions(models: Any) -> None:
    """The description's words, quotes and backslashes arrive in the docs."""
    doc = models.TrainRequest.__doc__
    assert doc.startswith('A batch to train on: "quoted", with a \\ backslash and """three"""')
    assert "seq_id: Order of the call." in doc
    assert "model_input: What the model sees." in models.Datum.__doc__
    assert "loss_inputs: Tensors by name." in models.Datum.__doc__


def test_every_listed_name_resolves(models: Any) -> None:
    """The lazy table of classes is complete, and other names fail as usual."""
    assert set(models.__all__) <= set(dir(models))
    assert all(getattr(models, name) is not None for name in models.__all__)
    assert models.Metrics == dict[str, float]
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = models.Nonsense
