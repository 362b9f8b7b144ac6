"""Batches go out in the form that the server takes, found out once and without a false step."""

from __future__ import annotations

import sys
from typing import Any

import httpx
import numpy as np
import pytest
import zstandard
from support.clock import FakeClock
from support.messages import fill_map, message
from support.scripted import Script, promises, scripted_service

from tinkex import ServiceClient, TrainingClient
from tinkex._core.batches import _has_zstandard
from tinkex.errors import (
    ApiError,
    BadRequestError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableError,
)
from tinkex.types import Datum, ImageAssetPointerChunk, ModelInput

BATCH, FORWARD = "POST forward_backward", "POST forward"
PROTOBUF = "application/x-protobuf"
# How servers answer that read JSON alone, or protobuf alone.
NO_DICTIONARY = {
    "detail": [
        {"type": "model_attributes_type", "loc": ["body"], "msg": "Input should be a dictionary"}
    ]
}
MISSING = {"detail": [{"type": "missing", "loc": ["body", "forward_backward_input"], "msg": "x"}]}
UNPARSED = {"detail": "There was an error parsing the body"}
UNSUPPORTED = {"detail": "send application/x-protobuf"}
# How servers answer that could read the data, and do not like them.
BAD_DATA = {"detail": [{"loc": ["body", "data", 0, "weights"], "msg": "is of a wrong length"}]}
BAD_TOKEN = {"detail": "token 900000 of datum 0 is not in the vocabulary"}


def datum(token: int = 1) -> Datum:
    return Datum(ModelInput.from_ints([token]), {"target_tokens": [token], "weights": [1.0]})


def pointing() -> Datum:
    chunk = ImageAssetPointerChunk(location="s3://x", format="png", expected_tokens=1)
    return Datum(ModelInput((chunk,)), {"target_tokens": [1], "weights": [1.0]})


def by_form(protobuf: Any, json: Any) -> Any:
    """Answer by the form of the request."""

    def answer(request: httpx.Request) -> Any:
        return protobuf if request.headers["content-type"] == PROTOBUF else json

    return answer


def accepted(name: str = "fb") -> dict[str, str]:
    return {"request_id": name}


def result(kind: str = "json", *logprobs: float) -> httpx.Response:
    """Return a forward_backward result in a form."""
    if kind == "json":
        tensor = {"data": list(logprobs), "dtype": "float32", "shape": [len(logprobs)]}
        outputs = [{"logprobs": tensor}]
        body = {"loss_fn_output_type": "T", "loss_fn_outputs": outputs, "metrics": {"loss:sum": 1}}
        return httpx.Response(200, json=body)
    data = np.array(logprobs, "<f4").tobytes()
    batch = message(
        "BatchedTensor", data=data, offsets=np.array([0, len(data)], "<i8").tobytes(), dtype=1
    )
    record = message("ArrayRecord", num_datums=1)
    fill_map(record.fields, {"logprobs": batch})
    made = message(
        "ForwardBackwardOutput",
        loss_fn_output_type="T",
        loss_fn_outputs=[record],
        metrics={"loss:sum": 1.0},
    )
    headers = {"content-type": PROTOBUF}
    return httpx.Response(200, content=made.SerializeToString(), headers=headers)


@pytest.fixture
def script() -> Script:
    script = Script()
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST retrieve_future", result("json", -0.5))
    script.on("POST optim_step", {"metrics": {}})
    return script


def training(service: ServiceClient) -> TrainingClient:
    return service.create_lora_training_client("B")


def forms(script: Script, path: str = "forward_backward") -> list[str]:
    return [got.headers["content-type"].rpartition("/")[2] for got in script.sent(path)]


def parsed(content: bytes) -> Any:
    request = message("ForwardBackwardRequest")
    request.ParseFromString(content)
    return request


def test_a_batch_goes_out_in_the_binary_form(script: Script) -> None:
    """The message has model, number, data and loss; forward goes the same way, marked as such."""
    script.on(BATCH, accepted())
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([datum(5)], "ppo", {"clip_low_threshold": 0.5}).result()
        client.forward([datum(6)], "cross_entropy").result()
    first, second = (parsed(got.content) for got in script.sent("forward_backward"))
    assert (first.model_id, first.seq_id, first.loss_fn, first.forward_only) == ("M", 1, "ppo", 0)
    assert first.loss_fn_config == {"clip_low_threshold": 0.5}
    assert first.data[0].model_input[0].encoded_text.tokens == b"\5\0\0\0"
    assert (second.seq_id, second.forward_only) == (2, 1)
    assert script.sent("forward") == []


@pytest.mark.parametrize(
    "refusal", [(415, {"detail": "no"}), (422, NO_DICTIONARY), (422, MISSING), (400, UNPARSED)]
)
def test_a_server_that_takes_json_alone_gets_json(script: Script, refusal: Any) -> None:
    """The same call goes again under the same number, and later calls go as JSON at once."""
    script.on(BATCH, by_form(refusal, accepted()))
    script.on(FORWARD, accepted())
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([datum()], "cross_entropy").result()
        client.forward_backward([datum()], "cross_entropy").result()
        client.forward([datum()], "cross_entropy").result()
        training(service).forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "json", "json"]
    sent = script.sent("forward_backward")
    assert parsed(sent[0].content).seq_id == sent[1].json["seq_id"] == 1
    assert [got.json["seq_id"] for got in sent[2:]] == [2, 1]
    assert script.bodies("forward")[0]["seq_id"] == 3


def test_what_a_server_takes_is_remembered_for_other_clients(script: Script) -> None:
    """A second service client of the same process asks nothing again."""
    script.on(BATCH, by_form((415, UNSUPPORTED), accepted()))
    for _ in range(2):
        with scripted_service(script) as service:
            training(service).forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "json"]


@pytest.mark.parametrize("status", [400, 404, 422, 500, 501, 502])
@pytest.mark.parametrize("body", [b"Internal Server Error", b"", b'{"detail": "no"}'])
def test_any_failure_of_the_first_batch_may_be_about_its_form(
    script: Script, clock: FakeClock, status: int, body: bytes
) -> None:
    """Frameworks crash on bytes that are no text: the call goes as JSON at once, under its number."""
    script.on(BATCH, by_form((status, body), accepted()))
    with scripted_service(script, clock) as service:
        client = training(service)
        client.forward_backward([datum()], "cross_entropy").result()
        client.forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "json"]
    assert [got.json["seq_id"] for got in script.sent("forward_backward")[1:]] == [1, 2]
    assert clock.slept == []


@pytest.mark.parametrize("refusal", [(422, BAD_DATA), (400, BAD_TOKEN), (403, "no"), (400, b"")])
def test_bad_data_are_no_question_of_the_form(script: Script, refusal: Any) -> None:
    """Once a form is known, what the server says of the data is raised, and nothing sent twice."""
    script.on(BATCH, accepted(), refusal)
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([datum()], "cross_entropy").result()
        with pytest.raises(ApiError) as caught:
            client.forward_backward([datum()], "cross_entropy")
    assert forms(script) == ["x-protobuf", "x-protobuf"]
    if isinstance(refusal[1], dict):
        said = refusal[1]["detail"]
        assert (said if isinstance(said, str) else said[0]["msg"]) in str(caught.value)


def test_a_refusal_of_the_caller_is_no_question_of_the_form(script: Script) -> None:
    """A key that is not accepted is not accepted in another form."""
    script.on(BATCH, (403, {"detail": "no"}))
    with scripted_service(script) as service, pytest.raises(PermissionDeniedError):
        training(service).forward_backward([datum()], "cross_entropy")
    assert forms(script) == ["x-protobuf"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_for_time_gets_it_before_its_form_is_found_out(
    script: Script, clock: FakeClock, status: int
) -> None:
    """Retry-After says that the same request is welcome later."""
    script.on(BATCH, (status, {}, {"retry-after": "3"}), accepted())
    with scripted_service(script, clock) as service:
        training(service).forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "x-protobuf"]


def test_an_outage_is_waited_out_before_the_form_is_found_out(
    script: Script, clock: FakeClock
) -> None:
    """A server that fails in the same way at both forms is asked again as any other."""
    script.on(BATCH, 503, 503, 503, accepted())
    with scripted_service(script, clock) as service:
        training(service).forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "x-protobuf", "x-protobuf"]


def test_a_batch_that_arrived_before_the_failure_is_applied_once(
    script: Script, clock: FakeClock
) -> None:
    """JSON under the number is a conflict then, and the same bytes again get the promise."""
    with scripted_service(script, clock) as service:
        client = training(service)
        script.on(BATCH, 500, (409, {"detail": "the number is taken"}), accepted(), accepted())
        client.forward_backward([datum()], "cross_entropy").result()
        client.forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "x-protobuf", "x-protobuf"]
    sent = script.sent("forward_backward")
    assert sent[0].content == sent[2].content
    assert parsed(sent[3].content).seq_id == 2


def test_where_both_forms_are_refused_both_answers_are_raised(script: Script) -> None:
    """Nothing tells which of two refusals is about the data, so the user reads both."""
    script.on(BATCH, by_form((400, {"detail": "token 9 is unknown"}), (400, {"detail": "no dict"})))
    with scripted_service(script) as service, pytest.raises(BadRequestError) as caught:
        training(service).forward_backward([datum()], "cross_entropy")
    assert "token 9 is unknown" in str(caught.value)
    assert "no dict" in str(caught.value)


def test_only_before_the_first_success_is_there_a_doubt(script: Script) -> None:
    """Once a batch was accepted, words about parsing are about the data."""
    script.on(BATCH, accepted(), (400, {"detail": "cannot decode the image"}))
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([datum()], "cross_entropy").result()
        with pytest.raises(BadRequestError, match="cannot decode the image"):
            client.forward_backward([datum()], "cross_entropy")
    assert forms(script) == ["x-protobuf", "x-protobuf"]


def test_the_fault_of_the_data_is_told_where_words_mislead(script: Script) -> None:
    """Sent in both forms and refused in both for the same reason, the reason is what is raised."""
    script.on(BATCH, (400, {"detail": "cannot decode the image"}))
    with scripted_service(script) as service:
        client = training(service)
        with pytest.raises(BadRequestError, match="cannot decode the image"):
            client.forward_backward([datum()], "cross_entropy")
        script.on(BATCH, accepted())
        client.forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "x-protobuf"]


def test_the_second_form_cannot_hide_what_was_said_to_the_first(script: Script) -> None:
    """A server of the binary form alone has its word about the data, not its 415 to JSON."""
    script.on(BATCH, by_form((400, {"detail": "cannot decode it"}), (415, UNSUPPORTED)))
    with scripted_service(script) as service, pytest.raises(BadRequestError, match="decode it"):
        training(service).forward_backward([datum()], "cross_entropy")


def test_bad_data_are_told_by_a_server_of_json_alone(script: Script) -> None:
    """The refusal of the first form does not stand in for what is wrong with the data."""
    script.on(BATCH, by_form((422, NO_DICTIONARY), (422, BAD_DATA)))
    with scripted_service(script) as service, pytest.raises(UnprocessableError, match="weights"):
        training(service).forward_backward([datum()], "cross_entropy")


def test_a_server_that_was_replaced_is_followed(script: Script) -> None:
    """A 415 is believed at any time, in either direction."""
    answers = [(415, UNSUPPORTED), accepted(), (415, UNSUPPORTED), accepted(), accepted()]
    script.on(BATCH, *answers)
    with scripted_service(script) as service:
        client = training(service)
        for _ in range(3):
            client.forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["x-protobuf", "json", "json", "x-protobuf", "x-protobuf"]


@pytest.mark.parametrize("missing", [(404, {"detail": "Not Found"}), (404, b""), (405, b"")])
def test_a_server_without_a_forward_route_gets_the_binary_form(
    script: Script, missing: Any
) -> None:
    """forward then goes as a forward_backward without gradients, at once from the second on."""
    script.on(BATCH, by_form((415, UNSUPPORTED), accepted()))
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([datum()], "cross_entropy").result()
        script.on(BATCH, accepted()).on(FORWARD, missing)
        client.forward([datum()], "cross_entropy").result()
        client.forward([datum()], "cross_entropy").result()
    assert len(script.sent("forward")) == 1
    assert [parsed(got.content).forward_only for got in script.sent("forward_backward")[2:]] == [
        True,
        True,
    ]


def test_a_missing_model_is_no_missing_route(script: Script) -> None:
    """Where neither form goes through, the first answer is raised."""
    script.on(BATCH, by_form((415, UNSUPPORTED), accepted()))
    script.on(FORWARD, (404, {"detail": "model 'M' not found"}))
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([datum()], "cross_entropy").result()
        with pytest.raises(NotFoundError, match="model 'M' not found"):
            client.forward([datum()], "cross_entropy")
    # The binary form of the pass was tried, too.
    assert forms(script) == ["x-protobuf", "json", "x-protobuf"]


@pytest.mark.parametrize("choice", ["protobuf", "json"])
def test_a_form_that_was_chosen_is_the_only_one(script: Script, choice: str) -> None:
    """With wire_format the refusal is raised, and forward as JSON has its own route."""
    script.on(BATCH, (415, {"detail": "not this"})).on(FORWARD, accepted())
    with scripted_service(script, wire_format=choice) as service:
        client = training(service)
        with pytest.raises(ApiError, match="not this"):
            client.forward_backward([datum()], "cross_entropy")
        if choice == "json":
            client.forward([datum()], "cross_entropy").result()
    assert forms(script) == ["json" if choice == "json" else "x-protobuf"]
    polls = script.sent("retrieve_future")
    assert all(PROTOBUF not in got.headers["accept"] for got in polls)


def test_a_pointer_to_an_image_goes_as_json(script: Script) -> None:
    """It has no binary form; the next batch without one goes in the binary form again."""
    script.on(BATCH, accepted())
    with scripted_service(script) as service:
        client = training(service)
        client.forward_backward([pointing()], "cross_entropy").result()
        client.forward_backward([datum()], "cross_entropy").result()
    assert forms(script) == ["json", "x-protobuf"]


def test_a_pointer_to_an_image_is_refused_clearly(script: Script) -> None:
    """A server of the binary form alone cannot be given one, and the error says so."""
    script.on(BATCH, (415, UNSUPPORTED))
    with scripted_service(script) as service:
        client = training(service)
        with pytest.raises(ApiError, match="refer to an image, which only JSON supports"):
            client.forward_backward([pointing()], "cross_entropy")
    assert forms(script) == ["json"]


def test_a_batch_of_which_a_part_was_accepted_is_not_sent_again(script: Script) -> None:
    """The first part has its number; a refusal of the second is raised, and says what stands."""
    script.on(BATCH, accepted(), (415, UNSUPPORTED))
    with scripted_service(script) as service:
        client = training(service)
        with pytest.raises(ApiError, match="1 of 2 parts of this batch were accepted"):
            client.forward_backward([datum()] * 1025, "cross_entropy")
    assert forms(script) == ["x-protobuf", "x-protobuf"]


@pytest.mark.parametrize("has_package", [True, False])
def test_batches_are_compressed_when_the_server_asks(
    script: Script, monkeypatch: pytest.MonkeyPatch, has_package: bool
) -> None:
    """The body is then a zstd frame, unless the package is missing, which costs nothing else."""
    _has_zstandard.cache_clear()
    if not has_package:
        monkeypatch.setitem(sys.modules, "zstandard", None)
    script.on("POST client/config", {"proto_compress_fwdbwd": True}).on(BATCH, accepted())
    with scripted_service(script) as service:
        training(service).forward_backward([datum()], "cross_entropy").result()
    _has_zstandard.cache_clear()
    (got,) = script.sent("forward_backward")
    content = got.content
    if has_package:
        assert got.headers["content-encoding"] == "zstd"
        content = zstandard.ZstdDecompressor().decompress(content)
    assert parsed(content).seq_id == 1


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_results_are_read_by_what_they_are(script: Script, form: str) -> None:
    """Polls accept both forms, and the content type of the answer says which it is."""
    script.on(BATCH, accepted())
    with scripted_service(script) as service:
        script.on("POST retrieve_future", result(form, -0.5))
        client = training(service)
        read = client.forward_backward([datum()], "cross_entropy").result()
        script.on("POST retrieve_future", result(form, -0.5, -0.25))
        with pytest.raises(DecodeError, match=r"targets have shape \(1,\)"):
            client.forward_backward([datum()], "cross_entropy").result()
    assert read.loss_fn_outputs[0]["logprobs"].tolist() == [-0.5]
    assert read.metrics == {"loss:sum": 1.0}
    accept = script.sent("retrieve_future")[-1].headers["accept"]
    assert accept == "application/x-protobuf, application/json"


def test_a_binary_result_is_read_though_json_was_asked_for(script: Script) -> None:
    """Some servers send it whatever is asked for."""
    script.on(BATCH, accepted())
    script.on("POST retrieve_future", result("protobuf", -0.5))
    with scripted_service(script, wire_format="json") as service:
        read = training(service).forward_backward([datum()], "cross_entropy").result()
    assert read.loss_fn_outputs[0]["logprobs"].tolist() == [-0.5]
    assert script.sent("retrieve_future")[-1].headers["accept"] == "application/json"


def test_a_binary_answer_that_cannot_be_read_is_told(script: Script) -> None:
    """Broken bytes, and a binary answer where there is none, are DecodeErrors."""
    script.on(BATCH, accepted())
    broken = httpx.Response(200, content=b"\x0a\xff", headers={"content-type": PROTOBUF})
    script.on("POST retrieve_future", broken).on("POST optim_step", accepted())
    with scripted_service(script) as service:
        client = training(service)
        with pytest.raises(DecodeError, match=r"ends .* too early|ends within"):
            client.forward_backward([datum()], "cross_entropy").result()
        with pytest.raises(DecodeError, match="a OptimStep has no binary form"):
            client.optim_step().result()


def test_polls_for_other_results_ask_for_json(script: Script) -> None:
    """Only samples and passes have a binary form."""
    promises(script, "POST optim_step", {"metrics": {}})
    with scripted_service(script) as service:
        training(service).optim_step().result()
    accepts = [got.headers["accept"] for got in script.sent("retrieve_future")]
    assert accepts == ["application/json"]
