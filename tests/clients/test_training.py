"""The training client, against a scripted server."""

from __future__ import annotations

import pickle
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.scripted import Script, promises, scripted_service

from tinkex import ServiceClient, TrainingClient
from tinkex.errors import (
    BadRequestError,
    ClientClosedError,
    ConflictError,
    DecodeError,
    NotFoundError,
    RequestFailedError,
    TinkexError,
    ValidationError,
)
from tinkex.types import AdamParams, Datum, LoraConfig, ModelInput

INFO = {"base_model": "B", "is_lora": True, "lora_rank": 8}
STATE = "tinker://R:train:0/weights/a"


def output(loss: float, *logprobs: float) -> dict[str, Any]:
    return {
        "loss_fn_output_type": "T",
        "loss_fn_outputs": [{"logprobs": {"data": [v], "dtype": "float32"}} for v in logprobs],
        "metrics": {"loss:sum": loss, "loss:mean": loss},
    }


def datum(token: int = 1) -> Datum:
    return Datum(ModelInput.from_ints([token]), {"target_tokens": [token], "weights": [1.0]})


@pytest.fixture
def script() -> Script:
    script = Script()
    promises(script, "POST create_model", *[{"model_id": f"M{i}"} for i in range(3)])
    return script


def training(service: ServiceClient) -> TrainingClient:
    return service.create_lora_training_client("B")


def test_a_promised_model_is_awaited(script: Script) -> None:
    """The client is handed out when the model is there, under the id of the result."""
    script.on("POST create_model", {"request_id": "create_model-0", "model_id": "early"})
    with scripted_service(script) as service:
        assert training(service).model_id == "M0"
    assert script.paths() == ["POST create_model", "POST retrieve_future"]
    assert script.sent("retrieve_future")[0].headers["X-Tinker-Request-Type"] == "CreateModel"


def test_a_model_that_is_there_at_once_is_not_polled(script: Script) -> None:
    """An answer without a request id is the result itself."""
    script.on("POST create_model", {"model_id": "M", "type": "create_model"})
    with scripted_service(script) as service:
        assert training(service).model_id == "M"
    assert script.paths() == ["POST create_model"]


def test_the_mean_loss_is_per_weighted_token(script: Script) -> None:
    """Prompt tokens of weight 0 do not count, and targets without weights count 1 each."""
    promises(script, "POST forward_backward", output(6.0, -1.0, -1.0), output(6.0, -1.0, -1.0))
    prompt, targets = ModelInput.from_ints([1]), {"target_tokens": [2]}
    weighted = [Datum(prompt, {**targets, "weights": [weight]}) for weight in (0.0, 0.5)]
    sampled = [Datum(prompt, {**targets, "advantages": [1.0]})] * 2
    with scripted_service(script) as service:
        client = training(service)
        assert client.forward_backward(weighted, "cross_entropy").result().mean_loss == 12.0
        assert client.forward_backward(sampled, "importance_sampling").result().mean_loss == 3.0


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"type": "create_model"}'])
def test_an_answer_that_names_no_model_is_an_error_of_the_server(
    script: Script, body: bytes
) -> None:
    """No parser's own error comes out of a broken answer."""
    script.on("POST create_model", (200, body))
    with scripted_service(script) as service, pytest.raises(DecodeError, match="create_model"):
        training(service)


def test_models_are_numbered_in_their_session(script: Script) -> None:
    """Two models are 0 and 1; arguments that cannot be right take no number."""
    with scripted_service(script) as service:
        first = training(service)
        with pytest.raises(ValidationError):
            service.create_lora_training_client(
                "B", train_mlp=False, train_attn=False, train_unembed=False
            )
        second = training(service)
    assert (first.model_id, second.model_id) == ("M0", "M1")
    assert [body["model_seq_id"] for body in script.bodies("create_model")] == [0, 1]


def test_a_large_batch_goes_in_parts_and_comes_back_whole(script: Script) -> None:
    """1,025 data are two requests under the next two numbers and one combined result."""
    promises(
        script,
        "POST forward_backward",
        output(1.0, *[-1.0] * 1024),
        output(3.0, -2.0),
    )
    promises(script, "POST optim_step", {"metrics": {}})
    with scripted_service(script, wire_format="json") as service:
        client = training(service)
        batch, step = client.train_step([datum()] * 1025, "cross_entropy", AdamParams())
        result = batch.result()
        step.result()
    sent = script.bodies("forward_backward")
    assert [body["seq_id"] for body in sent] == [1, 2]
    assert [len(body["forward_backward_input"]["data"]) for body in sent] == [1024, 1]
    assert script.bodies("optim_step")[0]["seq_id"] == 3
    assert len(result.loss_fn_outputs) == 1025
    assert result.loss_fn_outputs[-1]["logprobs"].tolist() == [-2.0]
    assert result.metrics["loss:sum"] == result.loss == 4.0
    assert result.mean_loss == pytest.approx(4.0 / 1025)
    assert result.metrics["loss:mean"] == pytest.approx((1024 * 1.0 + 3.0) / 1025)


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda c: c.forward_backward([], "cross_entropy"), "data"),
        (lambda c: c.forward_backward(datum(), "cross_entropy"), "data"),
        (lambda c: c.forward_backward([datum(), {}], "cross_entropy"), "data[1]"),
        (lambda c: c.forward_backward([datum()], ""), "loss_fn"),
        (lambda c: c.forward([datum()], "ppo", {"x": "nope"}), "loss_fn_config['x']"),
        (lambda c: c.optim_step({"learning_rate": 1}), "adam_params"),
        (lambda c: c.optim_step(AdamParams(learning_rate=-1)), "learning_rate"),
        (lambda c: c.save_state("a", ttl_seconds=0), "ttl_seconds"),
        (lambda c: c.save_state("a", ttl_seconds="3600"), "ttl_seconds"),
        (lambda c: c.save_state("a/b"), "name"),
        (lambda c: c.save_state(""), "name"),
        (lambda c: c.save_weights_for_sampler("a b"), "name"),
        (lambda c: c.save_weights_for_sampler("a", ttl_seconds=True), "ttl_seconds"),
        (lambda c: c.load_state("tinker://R/sampler_weights/a"), "path"),
        (lambda c: c.load_state("nowhere"), None),
        (lambda c: c.create_sampling_client("nowhere"), None),
    ],
)
def test_arguments_that_cannot_be_right_send_nothing(
    script: Script, call: Any, path: str | None
) -> None:
    """Wrong data, losses, settings, names and paths are refused here, and cost no number."""
    promises(script, "POST optim_step", {"metrics": {}})
    with scripted_service(script) as service:
        client = training(service)
        before = len(script.received)
        with pytest.raises(ValidationError) as caught:
            call(client)
        assert len(script.received) == before
        client.optim_step().result()
    assert caught.value.path == path
    assert script.bodies("optim_step")[0]["seq_id"] == 1


def test_saves_and_loads_may_answer_at_once(script: Script) -> None:
    """A path in the first answer is the result; nothing is polled."""
    script.on("POST save_weights", {"path": STATE, "type": "save_weights"})
    script.on("POST load_weights", {"path": STATE, "type": "load_weights"})
    with scripted_service(script) as service:
        client = training(service)
        assert client.save_state("a", ttl_seconds=3600).result().path == STATE
        assert client.load_state_with_optimizer(STATE).result().path == STATE
        assert client.load_state(STATE).result().path == STATE
    assert script.bodies("save_weights")[0]["ttl_seconds"] == 3600
    assert [body["optimizer"] for body in script.bodies("load_weights")] == [True, False]
    assert script.paths().count("POST retrieve_future") == 1  # create_model's


def test_a_taken_name_is_an_error_at_once(script: Script) -> None:
    """409 is not repeated for minutes; it is the user's to choose another name."""
    script.on("POST save_weights", (409, {"detail": "exists"}))
    with scripted_service(script) as service, pytest.raises(ConflictError, match="exists"):
        training(service).save_state("a")
    assert len(script.sent("save_weights")) == 1


def test_a_failed_job_is_told_with_whose_fault_it_is(script: Script) -> None:
    """The future raises what the server said, with its category and the request's id."""
    promises(script, "POST forward_backward", {"error": "bad token id", "category": "user"})
    with scripted_service(script) as service:
        client = training(service)
        future = client.forward_backward([datum()], "cross_entropy")
        with pytest.raises(RequestFailedError, match="bad token id") as caught:
            future.result()
    assert caught.value.category == "user"
    assert caught.value.request_id == "forward_backward-0"


def test_an_ephemeral_save_becomes_a_sampler_without_another_request(script: Script) -> None:
    """A sampling session in the answer is used as it is; each save takes the next number."""
    promises(
        script,
        "POST save_weights_for_sampler",
        {"sampling_session_id": "SS0", "path": None},
        {"sampling_session_id": "SS1"},
    )
    with scripted_service(script) as service:
        client = training(service)
        samplers = [client.save_weights_and_get_sampling_client() for _ in range(2)]
    assert [sampler.sampling_session_id for sampler in samplers] == ["SS0", "SS1"]
    assert samplers[0].model_path is None
    assert samplers[0].get_base_model() == "B"
    numbers = [b["sampling_session_seq_id"] for b in script.bodies("save_weights_for_sampler")]
    assert numbers == [0, 1]
    assert "POST create_sampling_session" not in script.paths()


def test_a_named_save_becomes_a_sampler_of_its_path(script: Script) -> None:
    """With a path in the answer, a sampling session is opened on that path."""
    path = "tinker://M0/sampler_weights/final"
    promises(script, "POST save_weights_for_sampler", {"path": path})
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    with scripted_service(script) as service:
        sampler = training(service).save_weights_and_get_sampling_client("final")
    assert sampler.model_path == path
    assert script.bodies("create_sampling_session")[0]["model_path"] == path


def test_a_save_without_path_and_session_is_an_error_of_the_server(script: Script) -> None:
    """There is nothing to sample from, and the error says what was missing."""
    promises(script, "POST save_weights_for_sampler", {"type": "save_weights_for_sampler"})
    with (
        scripted_service(script) as service,
        pytest.raises(DecodeError, match="neither a path nor a sampling session"),
    ):
        training(service).save_weights_and_get_sampling_client()


@pytest.mark.parametrize(
    ("info", "lora"),
    [
        (
            {**INFO, "train_mlp": False, "train_attn": True, "train_unembed": False},
            LoraConfig(8, None, False, True, False),
        ),
        ({**INFO, "lora_rank": None, "train_mlp": None}, LoraConfig(32)),
        ({"base_model": "B", "is_lora": True}, LoraConfig(32)),
    ],
)
def test_a_restored_client_has_the_checkpoints_adapter(
    script: Script, info: dict[str, Any], lora: LoraConfig
) -> None:
    """Rank and layers come from the checkpoint; what is null or missing is the default."""
    script.on("POST weights_info", info)
    promises(script, "POST load_weights", {"path": STATE}, {"path": STATE})
    with scripted_service(script) as service:
        client = service.create_training_client_from_state(STATE, {"k": "v"})
        service.create_training_client_from_state_with_optimizer(STATE)
    created = script.bodies("create_model")[0]
    assert created["base_model"] == client.base_model == "B"
    assert created["user_metadata"] == {"k": "v"}
    assert created["lora_config"] == {
        "rank": lora.rank,
        "train_mlp": lora.train_mlp,
        "train_attn": lora.train_attn,
        "train_unembed": lora.train_unembed,
    }
    loads = script.bodies("load_weights")
    assert [(b["model_id"], b["seq_id"], b["optimizer"]) for b in loads] == [
        ("M0", 1, False),
        ("M1", 1, True),
    ]


@pytest.mark.parametrize("failure", ["refused", "failed", "interrupted"])
def test_a_failed_restore_unloads_the_model_it_had_made(script: Script, failure: str) -> None:
    """Whichever way loading ends, the new model does not stay behind on the server."""
    script.on("POST weights_info", INFO)
    promises(script, "POST load_weights", {"error": "corrupt", "category": "server"})
    script.on("POST unload_model", {"request_id": "u"})
    expected: type[BaseException] = RequestFailedError
    if failure == "refused":
        script.on("POST load_weights", (404, {"detail": "no such checkpoint"}))
        expected = NotFoundError
    if failure == "interrupted":

        def interrupt(request: httpx.Request) -> Any:
            raise KeyboardInterrupt

        script.on("POST load_weights", interrupt)
        expected = KeyboardInterrupt
    with scripted_service(script) as service, pytest.raises(expected):
        service.create_training_client_from_state(STATE)
    assert script.bodies("unload_model") == [{"model_id": "M0", "type": "unload_model"}]


def test_a_failed_restore_keeps_its_own_error_when_unloading_fails(script: Script) -> None:
    """The user sees why the restore failed, not that a server cannot unload models."""
    script.on("POST weights_info", INFO)
    script.on("POST load_weights", (400, {"detail": "malformed path"}))
    script.on("POST unload_model", 404)
    with scripted_service(script) as service, pytest.raises(BadRequestError, match="malformed"):
        service.create_training_client_from_state(STATE)


def test_unloading_what_a_failed_restore_made_is_tried_once(script: Script) -> None:
    """A server that is down does not keep the user from the error for minutes."""
    script.on("POST weights_info", INFO)
    script.on("POST load_weights", (400, {"detail": "malformed path"}))
    script.on("POST unload_model", 503)
    clock = FakeClock()
    with scripted_service(script, clock) as service, pytest.raises(BadRequestError):
        service.create_training_client_from_state(STATE)
    assert len(script.bodies("unload_model")) == 1
    assert clock.slept == []


@pytest.mark.parametrize("path", ["tinker://R/sampler_weights/a", "nonsense"])
def test_a_restore_from_a_wrong_path_sends_nothing(script: Script, path: str) -> None:
    """Only a training checkpoint can be trained on; no model is made to find that out."""
    with scripted_service(script) as service, pytest.raises(ValidationError):
        service.create_training_client_from_state(path)
    assert script.paths() == []


def test_an_unloaded_model_takes_no_more_work(script: Script) -> None:
    """After unload_model, calls say so instead of sending."""
    promises(script, "POST unload_model", {"model_id": "M0"})
    with scripted_service(script) as service:
        client = training(service)
        assert client.unload_model().result().model_id == "M0"
        with pytest.raises(ClientClosedError, match="unloaded"):
            client.optim_step()
    assert script.paths().count("POST optim_step") == 0


def test_a_server_without_unload_says_so(script: Script) -> None:
    """The route is missing on newer servers; the error names it."""
    script.on("POST unload_model", 404)
    with scripted_service(script) as service, pytest.raises(NotFoundError, match="unload_model"):
        training(service).unload_model()


def test_clients_are_not_pickled_and_print_who_they_are(script: Script) -> None:
    """A copy of a numbered client would break the numbering, so pickling is refused."""
    with scripted_service(script) as service:
        client = training(service)
        assert "M0" in repr(client)
        for one in (client, service):
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(one)


def test_a_closed_service_takes_no_more_work(script: Script) -> None:
    """After close, the service and its clients raise ClientClosedError."""
    with scripted_service(script) as service:
        client = training(service)
    with pytest.raises(TinkexError):
        client.optim_step()
    with pytest.raises(ClientClosedError):
        training(service)


@pytest.mark.holds("F58")
def test_log_probabilities_of_others_are_refused_by_the_datum(script: Script) -> None:
    """A result with too many for one of the targets is an error, which names datum and request."""
    answer = output(1.0, -0.5, -0.5)
    answer["loss_fn_outputs"][1]["logprobs"]["data"] = [-0.5, -0.25]
    promises(script, "POST forward_backward", answer)
    with scripted_service(script) as service:
        gradients = training(service).forward_backward([datum(), datum()], "cross_entropy")
        with pytest.raises(DecodeError, match=r"data\[1\]: the targets have shape") as caught:
            gradients.result()
    assert caught.value.request_id == "forward_backward-0"
