"""The generated client alone, on httpx, against the local server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
from tinkex_generated import Client
from tinkex_generated.api.checkpoints import get_checkpoint_archive_url
from tinkex_generated.api.futures import retrieve_future
from tinkex_generated.api.models import create_model
from tinkex_generated.api.runs import get_training_run
from tinkex_generated.api.service import get_server_capabilities, healthz
from tinkex_generated.api.sessions import create_session, session_heartbeat
from tinkex_generated.api.training import forward_backward, optim_step
from tinkex_generated.api.weights import save_weights_for_sampler
from tinkex_generated.errors import UnexpectedStatus
from tinkex_generated.models import (
    AdamParams,
    CreateModelRequest,
    CreateSessionRequest,
    Datum,
    EncodedTextChunk,
    ForwardBackwardInput,
    ForwardBackwardOutput,
    ForwardBackwardRequest,
    FutureRetrieveRequest,
    LoraConfig,
    ModelInput,
    OptimStepRequest,
    SaveWeightsForSamplerRequest,
    SaveWeightsForSamplerResponseInternal,
    SessionHeartbeatRequest,
    TensorData,
    TryAgainResponse,
    UntypedAPIFuture,
)

from tinkex.local import LocalServer

KEY = "tml-a-key-of-the-test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(data_dir=tmp_path_factory.mktemp("data"), api_key=KEY) as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Iterator[Client]:
    with Client(base_url=server.base_url, token=KEY) as opened:
        yield opened


def result_of(client: Client, promise: UntypedAPIFuture) -> object:
    """Poll until the result is there; the server holds each poll."""
    body = FutureRetrieveRequest(request_id=promise.request_id)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        result = retrieve_future.sync(client=client, body=body)
        if not isinstance(result, TryAgainResponse):
            return result
    raise AssertionError("no result came")


def test_a_training_step_takes_nothing_but_the_contract(client: Client) -> None:
    """Session, model, gradients, optimizer step and checkpoint, through the generated modules."""
    assert healthz.sync(client=client).status == "ok"
    names = [
        model.model_name for model in get_server_capabilities.sync(client=client).supported_models
    ]
    assert "tinkex/nano" in names
    session = create_session.sync(
        client=client, body=CreateSessionRequest(tags=["t"], user_metadata=None, sdk_version="1")
    )
    session_heartbeat.sync(
        client=client, body=SessionHeartbeatRequest(session_id=session.session_id)
    )
    created = create_model.sync(
        client=client,
        body=CreateModelRequest(
            session_id=session.session_id,
            model_seq_id=0,
            base_model="tinkex/nano",
            lora_config=LoraConfig(rank=2),
            user_metadata=None,
        ),
    )
    result_of(client, UntypedAPIFuture(request_id=created.request_id))
    datum = Datum(
        model_input=ModelInput(chunks=[EncodedTextChunk(tokens=[1, 2, 3])]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=[2, 3, 4], dtype="int64", shape=[3]),
            "weights": TensorData(data=[1.0, 1.0, 1.0], dtype="float32", shape=[3]),
        },
    )
    gradients = forward_backward.sync(
        client=client,
        body=ForwardBackwardRequest(
            forward_backward_input=ForwardBackwardInput(data=[datum], loss_fn="cross_entropy"),
            model_id=created.model_id,
            seq_id=1,
        ),
    )
    output = result_of(client, gradients)
    assert isinstance(output, ForwardBackwardOutput)
    assert output.metrics["loss:sum"] > 0
    step = optim_step.sync(
        client=client,
        body=OptimStepRequest(
            adam_params=AdamParams(learning_rate=1e-3), model_id=created.model_id, seq_id=2
        ),
    )
    result_of(client, step)
    saved = save_weights_for_sampler.sync(
        client=client,
        body=SaveWeightsForSamplerRequest(model_id=created.model_id, path="a", seq_id=3),
    )
    stored = result_of(client, saved)
    assert isinstance(stored, SaveWeightsForSamplerResponseInternal)
    assert stored.path == f"tinker://{created.model_id}/sampler_weights/a"
    names_of = {
        "training_run_id": created.model_id,
        "checkpoint_kind": "sampler_weights",
        "checkpoint_name": "a",
    }
    redirect = client.send(get_checkpoint_archive_url.build_request(**names_of))
    assert redirect.status_code == 302
    assert httpx.get(redirect.headers["location"]).content.startswith(b"adapter_config.json")


def test_an_error_of_the_server_is_raised_with_its_status_and_body(client: Client) -> None:
    """Documented errors are no results."""
    with pytest.raises(UnexpectedStatus, match="unexpected status 404") as caught:
        get_training_run.sync(client=client, training_run_id="nothing")
    assert b"nothing" in caught.value.content


def test_the_key_is_needed_and_not_shown(server: LocalServer, client: Client) -> None:
    """A wrong key is refused; no repr of client, request or error has the right one."""
    with (
        Client(base_url=server.base_url, token="tml-wrong") as other,
        pytest.raises(UnexpectedStatus) as caught,
    ):
        get_training_run.sync(client=other, training_run_id="nothing")
    assert caught.value.status_code in {401, 403}
    request = get_training_run.build_request(training_run_id="nothing")
    with pytest.raises(UnexpectedStatus) as missing:
        get_training_run.sync(client=client, training_run_id="nothing")
    for shown in (client, request, missing.value):
        assert KEY not in f"{shown!r} {shown}"


def test_a_server_that_does_not_respond_is_given_up() -> None:
    """The timeout is httpx's; without one of the caller's it is finite, too."""

    def stuck(request: httpx.Request) -> httpx.Response:
        waits = request.extensions["timeout"]
        assert all(0 < seconds < 600 for seconds in waits.values())
        raise httpx.ReadTimeout("too slow", request=request)

    with (
        Client(base_url="http://api.example", transport=httpx.MockTransport(stuck)) as client,
        pytest.raises(httpx.TimeoutException),
    ):
        healthz.sync(client=client)
