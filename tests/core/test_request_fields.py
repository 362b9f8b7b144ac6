"""A request says what differs from the default, and no field that its server refuses by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest
import tinkex_generated.models as models
from support.scripted import Script, promises, scripted_service

from tinkex import ModelInput, SamplingParams, ServiceClient
from tinkex._core.request_fields import DEFAULTS
from tinkex.errors import ConflictError, UnprocessableError

PROMPT = ModelInput.from_ints([1, 2])
SAMPLE = {"sequences": [{"tokens": [1], "stop_reason": "length"}]}
SAVED = {"path": "tinker://M/weights/a"}
BODIES = {
    "asample": models.SampleRequest,
    "create_model": models.CreateModelRequest,
    "retrieve_future": models.FutureRetrieveRequest,
    "retrieve_future_binary": models.FutureRetrieveRequest,
    "save_weights": models.SaveWeightsRequest,
    "save_weights_for_sampler": models.SaveWeightsForSamplerRequest,
}


def forbidding(answer: Callable[[], Any], *fields: str) -> Callable[[httpx.Request], Any]:
    """Answer as a server that refuses some fields by name, as validators do."""

    def respond(request: httpx.Request) -> Any:
        body = json.loads(request.content)
        unknown = [
            {"type": "extra_forbidden", "loc": ["body", *path], "msg": "not permitted"}
            for path in (field.split(".") for field in fields)
            if path[-1] in (body if len(path) == 1 else body[path[0]])
        ]
        return (422, {"detail": unknown}) if unknown else answer()

    return respond


@pytest.fixture
def script() -> Script:
    script = Script()
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST save_weights", SAVED)
    script.on("POST asample", SAMPLE)
    return script


def saved(service: ServiceClient, **settings: Any) -> Any:
    return service.create_lora_training_client("B").save_state("a", **settings).result()


@pytest.mark.parametrize("operation", DEFAULTS)
def test_what_is_left_out_is_the_default_of_the_api_description(operation: str) -> None:
    """So a server that reads the description reads the same request."""
    defaults = {field.name: field.default for field in attrs.fields(BODIES[operation])}
    for name, value in DEFAULTS[operation].items():
        default = defaults[name]
        if isinstance(value, dict):
            assert default is None
        else:
            assert default == value or (default is None and value is False)


def test_a_plain_sample_holds_nothing_that_an_old_server_does_not_know(script: Script) -> None:
    """Prompt, settings, session and number say it all."""
    with scripted_service(script) as service:
        service.create_sampling_client(base_model="B").sample(PROMPT).result()
    known = {"prompt", "sampling_params", "sampling_session_id", "seq_id", "type"}
    assert set(script.bodies("asample")[0]) == known


def test_what_is_asked_for_is_sent(script: Script) -> None:
    """Only what equals its default is left out."""
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        sampler.sample(PROMPT, 3, include_prompt_logprobs=True, topk_sample_logprobs=2).result()
        saved(service, overwrite=True)
    asked = script.bodies("asample")[0]
    assert (asked["num_samples"], asked["prompt_logprobs"]) == (3, True)
    assert asked["topk_sample_logprobs"] == 2
    assert script.bodies("save_weights")[0]["overwrite"] is True


def test_labels_that_a_server_refuses_are_left_out_and_that_is_remembered(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """The save goes through, a warning says what is missing, and the next one asks nothing."""
    script.on("POST save_weights", forbidding(lambda: SAVED, "user_metadata"))
    for _ in range(2):
        with scripted_service(script) as service, caplog.at_level(logging.WARNING, "tinkex"):
            assert saved(service, user_metadata={"step": "1"}).path == SAVED["path"]
    sent = script.bodies("save_weights")
    assert ["user_metadata" in body for body in sent] == [True, False, False]
    assert [body["seq_id"] for body in sent] == [1, 1, 1]
    assert [record.message for record in caplog.records] == [
        "this server does not accept user_metadata of save_weights; omitting it from now on"
    ]


def test_a_server_that_cannot_replace_a_checkpoint_still_saves_one(script: Script) -> None:
    """Leaving out `overwrite` does no harm: a name that is taken is a conflict there."""
    script.on("POST save_weights", forbidding(lambda: SAVED, "overwrite"))
    with scripted_service(script) as service:
        training = service.create_lora_training_client("B")
        assert training.save_state("a", overwrite=True).result().path == SAVED["path"]
        script.on("POST save_weights", forbidding(lambda: (409, {"detail": "taken"}), "overwrite"))
        with pytest.raises(ConflictError, match="taken"):
            training.save_state("a", overwrite=True).result()
    assert ["overwrite" in body for body in script.bodies("save_weights")] == [True, False, False]


def test_a_setting_that_says_nothing_is_left_out_where_it_is_refused(script: Script) -> None:
    """Fields below the first level count, too."""
    script.on("POST create_model", forbidding(lambda: {"model_id": "M"}, "lora_config.train_mlp"))
    with scripted_service(script) as service:
        service.create_lora_training_client("B")
        with pytest.raises(UnprocessableError):
            service.create_lora_training_client("B", train_mlp=False)
    first, second, third = [body["lora_config"] for body in script.bodies("create_model")]
    assert ("train_mlp" in first, "train_mlp" in second) == (True, False)
    assert third["train_mlp"] is False


def test_what_the_user_depends_on_is_not_left_out(script: Script) -> None:
    """A checkpoint that was to expire, and would not, is an error."""
    script.on("POST save_weights", forbidding(lambda: SAVED, "ttl_seconds", "user_metadata"))
    with scripted_service(script) as service, pytest.raises(UnprocessableError, match="ttl_secon"):
        saved(service, ttl_seconds=3600, user_metadata={"a": "b"})
    assert len(script.sent("save_weights")) == 1


def test_samples_that_are_refused_side_by_side_all_go_again(script: Script) -> None:
    """One of them teaches what the others need, too; each keeps its number."""
    promises(script, "POST asample", *[SAMPLE] * 20)
    numbered = iter(range(20))
    accept = forbidding(lambda: {"request_id": f"asample-{next(numbered)}"}, "type")
    script.results = {f"asample-{number}": SAMPLE for number in range(20)}
    script.on("POST asample", accept)
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        for future in [sampler.sample(PROMPT) for _ in range(20)]:
            assert future.result().sequences
    taken = [body["seq_id"] for body in script.bodies("asample") if "type" not in body]
    assert sorted(taken) == list(range(20))


def test_a_server_that_refuses_what_was_not_sent_is_not_asked_indefinitely(script: Script) -> None:
    """Its refusal is the user's to read."""
    fault = {"type": "extra_forbidden", "loc": ["body", "user_metadata"], "msg": "no"}
    script.on("POST save_weights", (422, {"detail": [fault]}))
    with scripted_service(script) as service, pytest.raises(UnprocessableError):
        saved(service, user_metadata={"a": "b"})
    assert len(script.sent("save_weights")) == 2


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"detail": "no"}', b'{"detail": [7]}'])
def test_any_other_refusal_is_raised_as_it_is(script: Script, answer: bytes) -> None:
    """Only a list of fields by name is a reason to leave some out."""
    script.on("POST save_weights", (422, answer))
    with scripted_service(script) as service, pytest.raises(UnprocessableError):
        saved(service, user_metadata={"a": "b"})
    assert len(script.sent("save_weights")) == 1


def test_a_bare_stop_string_goes_out_as_a_list(script: Script) -> None:
    """Servers read one string as a list of one, or read a list alone."""
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        sampler.sample(PROMPT, 1, SamplingParams(max_tokens=1, stop="x")).result()
        sampler.sample(PROMPT, 1, SamplingParams(max_tokens=1, stop=[7])).result()
    assert [b["sampling_params"]["stop"] for b in script.bodies("asample")] == [["x"], [7]]
