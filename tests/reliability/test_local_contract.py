"""The client and the embedded server together, while something goes wrong between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extent import ALL
from support.nano import NANO

import tinkex
from tinkex import AdamParams, Datum, ModelInput, SamplingParams, ServiceClient
from tinkex.errors import ApiError, RequestFailedError, TinkexError
from tinkex.local import LocalServer
from tinkex.testing import Fault


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(data_dir=tmp_path_factory.mktemp("contract")) as server:
        yield server


@pytest.fixture
def service(server: LocalServer) -> Iterator[ServiceClient]:
    server.faults.clear()
    with ServiceClient(base_url=server.base_url, chunk_len=2, wire_format="protobuf") as service:
        yield service


def datum(*tokens: int) -> Datum:
    return Datum(
        model_input=ModelInput.from_ints(list(tokens[:-1])),
        loss_fn_inputs={"target_tokens": list(tokens[1:]), "weights": [1.0] * (len(tokens) - 1)},
    )


GOOD = [datum(number, number + 1, number + 2) for number in range(1, 6)]


def assert_no_gap(training: tinkex.TrainingClient) -> None:
    """The server waits for a missing number, so a result shows that none is missing."""
    assert training.optim_step(AdamParams(learning_rate=0.0)).result(60) is not None


@pytest.mark.holds("F25")
@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_part_that_is_refused_leaves_no_gap(
    server: LocalServer, service: ServiceClient, status: int, refused: int
) -> None:
    """Whichever part of a batch it is, the numbers go on from the last one that was taken."""
    training = service.create_lora_training_client(NANO, rank=2, seed=0)
    server.faults.add(
        Fault(on="forward_backward", nth=refused, status=status, body={"detail": "no"})
    )
    with pytest.raises(ApiError, match="no"):
        training.forward_backward(GOOD, "cross_entropy")
    assert_no_gap(training)
    assert training.forward_backward(GOOD, "cross_entropy").result(60).loss > 0


@pytest.mark.holds("F21", "F26")
@pytest.mark.parametrize("bad", [0, 2, 4])
def test_the_error_of_a_batch_names_the_part_that_failed(service: ServiceClient, bad: int) -> None:
    """The job of one part fails after it was taken; the model goes on with the next call."""
    training = service.create_lora_training_client(NANO, rank=2, seed=0)
    data = list(GOOD)
    data[bad] = datum(1, 999_999, 2)
    with pytest.raises(RequestFailedError, match=f"part {bad // 2 + 1} of 3") as caught:
        training.forward_backward(data, "cross_entropy").result(60)
    assert caught.value.request_id
    assert caught.value.category == "user"
    assert_no_gap(training)


@pytest.mark.holds("F26")
@settings(max_examples=6 if ALL else 3)
@given(order=st.permutations(range(3)), losses=st.lists(st.sampled_from([0, 1, 2]), max_size=3))
def test_a_batch_is_put_together_in_order_whatever_is_answered_first(
    server: LocalServer, service: ServiceClient, order: list[int], losses: list[int]
) -> None:
    """Parts whose answers are late, doubled or lost give the batch's one result."""
    server.faults.clear()
    whole = service.create_lora_training_client(NANO, rank=2, seed=0)
    calm = whole.forward_backward(GOOD, "cross_entropy").result(60)
    for place, wait in enumerate(order):
        server.faults.add(Fault(on="retrieve_future", nth=place + 1, hold=0.01 + 0.02 * wait))
    for part in losses:
        server.faults.add(Fault(on="forward_backward", nth=part + 1, reset=True))
    again = service.create_lora_training_client(NANO, rank=2, seed=0)
    stormy = again.forward_backward(GOOD, "cross_entropy").result(60)
    assert stormy.loss == calm.loss
    assert len(stormy.loss_fn_outputs) == len(GOOD)
    for one, other in zip(stormy.loss_fn_outputs, calm.loss_fn_outputs, strict=True):
        assert one["logprobs"].tolist() == other["logprobs"].tolist()


@pytest.mark.holds("F31")
def test_threads_share_a_model_without_gap_or_deadlock(service: ServiceClient) -> None:
    """Every step of every thread is applied, and the next number is the one after all of them."""
    training = service.create_lora_training_client(NANO, rank=2, seed=0)
    results: list[Any] = []

    def train() -> None:
        for _ in range(5):
            gradients, step = training.train_step(
                GOOD[:2], "cross_entropy", AdamParams(learning_rate=1e-3)
            )
            results.append((gradients.result(60).loss, step.result(60)))

    threads = [threading.Thread(target=train) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert len(results) == 30
    assert training._queue.next_number == 61
    assert_no_gap(training)


OPTIONAL = [
    "client_config", "client_dynamic_config", "finish_session", "cancel_future", "get_info",
    "unload_model", "send_telemetry",
]  # fmt: skip


@pytest.mark.holds("F32")
@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_the_optional_routes_trains_and_samples(
    tmp_path: Path, status: int
) -> None:
    """Nothing that can be done without is asked for in vain twice, or missed."""
    missing = [
        Fault(on=operation, status=status, times=None, body={"detail": "Not Found"})
        for operation in OPTIONAL
    ]
    with (
        LocalServer(data_dir=tmp_path, faults=missing) as server,
        ServiceClient(base_url=server.base_url, telemetry=True) as service,
    ):
        training = service.create_lora_training_client(NANO, rank=2, seed=0)
        training.train_step(GOOD, "cross_entropy", AdamParams(learning_rate=1e-3))[1].result(60)
        sampler = training.save_weights_and_get_sampling_client("kept")
        params = SamplingParams(max_tokens=2, seed=1)
        assert sampler.sample(ModelInput.from_ints([1, 2]), 1, params).result(60).sequences
        for optional in (training.get_info, training.unload_model):
            with pytest.raises(TinkexError, match=r"whether this server has|does not offer"):
                optional()
        asked = [played.operation for played in server.faults.played]
    assert asked.count("client_config") == 1
