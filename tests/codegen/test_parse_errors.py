"""What the generated readers say about JSON that does not fit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

TENSOR = {"data": [1.0], "dtype": "float32"}
CHUNK = {"type": "encoded_text", "tokens": [1]}
DATUM = {"model_input": {"chunks": [CHUNK]}, "loss_inputs": {"weights": TENSOR}}
TRAIN = {"data": [DATUM, copy.deepcopy(DATUM)], "loss": "ppo", "model_id": "m"}
RUN = {"run_id": "r", "owner": None}
REMOVE = object()


def changed(data: Any, *steps: Any, to: Any) -> Any:
    """Return a copy of nested JSON with one place changed or removed."""
    result = copy.deepcopy(data)
    place = result
    for step in steps[:-1]:
        place = place[step]
    if to is REMOVE:
        del place[steps[-1]]
    else:
        place[steps[-1]] = to
    return result


@pytest.mark.parametrize(
    ("name", "data", "path", "message"),
    [
        ("Promise", {}, "request_id", "is required but missing"),
        ("Promise", {"request_id": None}, "request_id", "is null, expected a string"),
        ("Promise", {"request_id": 5}, "request_id", "is 5, expected a string"),
        ("Promise", [], "", "is an array, expected an object"),
        ("Promise", None, "", "is null, expected an object"),
        ("Promise", "<html>", "", "is '<html>', expected an object"),
        ("Metadata", {"status": "complete_metadata", "size": True}, "size", "is true, expected an integer"),
        ("Metadata", {"status": "complete_metadata", "size": 1.5}, "size", "is 1.5, expected an integer"),
        ("Metadata", {"status": "else", "size": 1}, "status", "is 'else', expected 'complete_metadata'"),
        ("TryAgain", {"request_id": "r"}, "type", "is required but missing"),
        ("TrainRequest", changed(TRAIN, "data", to={}), "data", "is an object, expected an array"),
        ("TrainRequest", TRAIN | {"dry_run": "yes"}, "dry_run", "is 'yes', expected true or false"),
        ("TrainRequest", TRAIN | {"ratio": "1"}, "ratio", "is '1', expected a number"),
        ("TrainRequest", TRAIN | {"loss": 1}, "loss", "is 1, expected a string"),
        ("TrainRequest", TRAIN | {"loss_config": {"k": True}}, "loss_config.k", "fits no member"),
        ("TrainRequest", changed(TRAIN, "data", 1, "model_input", to=REMOVE), "data[1].model_input", "missing"),
        ("TrainRequest", changed(TRAIN, "data", 1, "model_input", "chunks", 0, "tokens", to=3),
         "data[1].model_input.chunks[0].tokens", "is 3, expected an array"),
        ("TrainRequest", changed(TRAIN, "data", 0, "loss_inputs", "weights", "dtype", to=REMOVE),
         "data[0].loss_inputs.weights.dtype", "missing"),
        ("TrainRequest", changed(TRAIN, "data", 0, "loss_inputs", to="x" * 99),
         "data[0].loss_inputs", "is a string of 99 characters, expected an object"),
        ("Run", RUN | {"last_checkpoint": {"checkpoint_id": "c"}}, "last_checkpoint.time", "missing"),
        ("Run", RUN | {"last_checkpoint": {"checkpoint_id": "c", "time": "soon"}},
         "last_checkpoint.time", "is not a date-time: 'soon'"),
        ("Run", RUN | {"checkpoints": [None, {"checkpoint_id": 1}]}, "checkpoints[1].checkpoint_id", "is 1"),
        ("Run", RUN | {"parent": {"run_id": "p"}}, "parent.owner", "missing"),
        ("Run", RUN | {"owner": {"name": 1}}, "owner.name", "is 1, expected a string"),
        ("Run", RUN | {"owner": 1}, "owner", "fits no member of the union"),
        ("Run", RUN | {"tags": ["a", None]}, "tags[1]", "is null, expected a string"),
    ],
)  # fmt: skip
def test_errors_name_the_path(
    toy: Any, models: Any, name: str, data: Any, path: str, message: str
) -> None:
    """The error says where and what, however deep, also inside nullable models."""
    with pytest.raises(toy("errors").ParseError) as caught:
        getattr(models, name).from_dict(data)
    assert caught.value.path == path
    assert message in caught.value.message
    assert str(caught.value) == f"{path or 'value'} {caught.value.message}"


@pytest.mark.parametrize(
    ("chunk", "kind"),
    [
        ({"type": "image", "data": "", "format": "png"}, "ImageChunk"),
        ({"tokens": [1]}, "EncodedTextChunk"),
        ({"tokens": [1], "type": None}, "EncodedTextChunk"),
        ({"data": "", "format": "png"}, "ImageChunk"),
        ({"location": "", "format": "png"}, "PointerChunk"),
    ],
)
def test_union_members_are_told_by_tag_else_by_keys(models: Any, chunk: Any, kind: str) -> None:
    """Old clients leave the tag out: then the required keys decide."""
    model_input = models.ModelInput.from_dict({"chunks": [chunk]})
    assert type(model_input.chunks[0]).__name__ == kind
    assert model_input.to_dict()["chunks"][0]["type"]


@pytest.mark.parametrize(
    ("chunk", "path", "message"),
    [
        ({"type": "video"}, "chunks[0].type",
         "is 'video', expected 'encoded_text' or 'image' or 'image_asset_pointer'"),
        ({"type": ["image"]}, "chunks[0].type", "is an array, expected"),
        ({"x": 1}, "chunks[0].type", "is missing, and the other keys fit no known kind of object"),
        ({"tokens": [], "data": "", "format": "png"}, "chunks[0].type", "fit several kinds"),
        ({"type": "image", "data": 1, "format": "png"}, "chunks[0].data", "is 1, expected a string"),
        ({"type": "image", "tokens": [1]}, "chunks[0].data", "missing"),
        (7, "chunks[0]", "is 7, expected an object"),
    ],
)  # fmt: skip
def test_a_tagged_union_reports_its_own_member(
    toy: Any, models: Any, chunk: Any, path: str, message: str
) -> None:
    """The tag decides once: errors are those of the member it names."""
    with pytest.raises(toy("errors").ParseError) as caught:
        models.ModelInput.from_dict({"chunks": [chunk]})
    assert caught.value.path == path
    assert message in caught.value.message


def test_a_tag_that_is_required_is_not_guessed(toy: Any, models: Any) -> None:
    """Where the description requires the tag, keys do not stand in for it."""
    sample: dict[str, Any] = {"prompt": {"chunks": []}, "user_metadata": None, "detail": None}
    with pytest.raises(toy("errors").ParseError) as caught:
        models.SampleRequest.from_dict(sample | {"statuses": [{"at": "2026-01-02T03:04:05Z"}]})
    assert caught.value.path == "statuses[0].type"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"try_again","request_id":"r","queue_state":"new"}', "TryAgain"),
        (b'{"status":"complete_metadata","size":3}', "Metadata"),
        (b'{"error":"e","category":"user"}', "Failed"),
        (b'{"outputs":[],"metrics":{}}', "TrainOutput"),
        (b'{"type":"other","request_id":"r"}', "dict"),
        (b"{}", "dict"),
    ],
)
def test_an_untagged_union_goes_by_required_keys_and_constants(
    toy: Any, body: bytes, kind: str
) -> None:
    """The first member in the order of the description whose shape fits is taken."""
    assert type(toy("api.training.poll").parse_response(body)).__name__ == kind


def test_an_untagged_union_hides_no_error_inside_a_fitting_member(toy: Any) -> None:
    """A member whose shape fits is not passed over because something inside it is wrong."""
    with pytest.raises(toy("errors").ParseError) as caught:
        toy("api.training.poll").parse_response(b'{"outputs":[{"a":1}],"metrics":{}}')
    assert caught.value.path == "outputs[0].a"


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", b"", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"request_id": NaN}']
)
def test_bodies_that_are_no_json_object_raise_parse_errors(toy: Any, body: bytes) -> None:
    """A proxy's page, an empty body or another kind of JSON never surfaces as another error."""
    with pytest.raises(toy("errors").ParseError) as caught:
        toy("api.training.train").parse_response(body)
    assert caught.value.path == ""
    assert len(str(caught.value)) < 250


def test_responses_may_be_lists_and_free_objects(toy: Any) -> None:
    """Bodies need not be a model."""
    listed = toy("api.runs.list_names").parse_response(
        b'[{"checkpoint_id":"c","time":"2026-01-02T03:04:05Z"}]'
    )
    assert listed[0].checkpoint_id == "c"
    assert toy("api.runs.get_config").parse_response(b'{"a":[1]}') == {"a": [1]}


def test_parse_errors_survive_pickling(toy: Any) -> None:
    """The errors cross process borders."""
    error = toy("errors").ParseError("data[3]", "is wrong").inside("body")
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.path, copied.message) == ("body.data[3]", "is wrong")
    assert isinstance(error, ValueError)
