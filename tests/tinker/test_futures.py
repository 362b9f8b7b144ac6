"""The official package's futures."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import weakref
from typing import Any

import pytest
from support.scripted import Script, promises, scripted_service

import tinkex
from tinkex.tinker import APIFuture, types
from tinkex.tinker._calls import Calls
from tinkex.tinker._futures import AwaitableConcurrentFuture, Result
from tinkex.tinker._translation import sample_response
from tinkex.tinker.lib.public_interfaces.backcompat_training_client_future import (
    BackcompatTrainingClientFuture,
)
from tinkex.tinker.lib.public_interfaces.sampling_client import SamplingClient
from tinkex.tinker.lib.public_interfaces.training_client import TrainingClient

PROMPT = types.ModelInput.from_ints([1, 2, 3])
PARAMS = types.SamplingParams(max_tokens=4)
SAMPLE = {
    "type": "sample",
    "sequences": [{"tokens": [5, 6], "logprobs": [-0.5, -0.25], "stop_reason": "stop"}],
}
DATUM = types.Datum(PROMPT, {"target_tokens": [2, 3, 4], "weights": [1, 1, 1]})
ADAM = types.AdamParams()


@pytest.fixture
def script() -> Script:
    script = Script()
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST create_model", {"model_id": "M"})
    promises(script, "POST asample", *[SAMPLE] * 20)
    promises(script, "POST forward_backward", *[{"loss_fn_outputs": [], "metrics": {}}] * 9)
    promises(script, "POST optim_step", *[{"metrics": None}] * 9)
    return script


def test_a_sample_can_be_had_in_every_way(script: Script) -> None:
    """Blocking, as a standard future, awaited, as a coroutine; it is one result."""
    with scripted_service(script) as service:
        future = SamplingClient(service.create_sampling_client(base_model="B")).sample(
            PROMPT, 1, PARAMS
        )
        assert isinstance(future, APIFuture)
        response = future.result(timeout=5)
        assert concurrent.futures.wait([future.future()]).done == {future.future()}

        async def awaited() -> list[Any]:
            task = asyncio.create_task(future.coroutine())
            return [await future, await future.result_async(5), await task]

        assert all(one is response for one in asyncio.run(awaited()))
    sequence = response.sequences[0]
    assert (sequence.tokens, sequence.logprobs) == ([5, 6], [-0.5, -0.25])
    assert sequence.tokens_np is not None
    assert sequence.tokens_np.tolist() == [5, 6]


def test_training_requests_go_out_in_the_order_of_the_calls(script: Script) -> None:
    """Whoever calls does not wait for the server, and the numbers follow the calls."""
    with scripted_service(script, wire_format="json") as service:
        client = TrainingClient(service.create_lora_training_client("B"))
        futures = []
        for _ in range(3):
            futures += [
                client.forward_backward([DATUM], "cross_entropy"),
                client.optim_step(ADAM),
            ]
        for future in futures:
            future.result(timeout=10)
    bodies = script.bodies("forward_backward"), script.bodies("optim_step")
    assert [[body["seq_id"] for body in each] for each in bodies] == [[1, 3, 5], [2, 4, 6]]


def test_a_twin_calls_what_its_method_has_become(script: Script) -> None:
    """A library that replaces or overrides a method gets its own from the deprecated twin too."""

    class Mine(SamplingClient):
        def sample(self, *args: Any, **kwargs: Any) -> Any:
            return super().sample(*args[:1], 1, *args[2:], **kwargs)

        def get_base_model(self) -> str:
            return "mine"

    with scripted_service(script, wire_format="json") as service:
        client = Mine(service.create_sampling_client(base_model="B"))
        with pytest.warns(FutureWarning):
            asyncio.run(client.sample_async(PROMPT, 5, PARAMS))
        with pytest.warns(FutureWarning):
            assert asyncio.run(client.get_base_model_async()) == "mine"
    assert script.bodies("asample")[0].get("num_samples", 1) == 1


def test_what_is_refused_is_raised_by_the_result(script: Script) -> None:
    """Not by the call, as in the official package; the next request goes on."""
    script.on("POST optim_step", (400, {"detail": "no"}), {"request_id": "optim_step-0"})
    with scripted_service(script, wire_format="json") as service:
        client = TrainingClient(service.create_lora_training_client("B"))
        refused, taken = client.optim_step(ADAM), client.forward_backward([DATUM], "cross_entropy")
        with pytest.raises(Exception, match="no"):
            refused.result(timeout=10)
        assert taken.result(timeout=10).metrics == {}


def test_a_wait_that_is_over_leaves_the_future_valid(script: Script) -> None:
    """A TimeoutError, with a message."""
    held = threading.Event()

    def answer(_: Any) -> Any:
        held.wait(10)
        return {"request_id": "asample-0"}

    script.on("POST asample", answer)
    script.results["asample-0"] = SAMPLE
    with scripted_service(script) as service:
        future = SamplingClient(service.create_sampling_client(base_model="B")).sample(
            PROMPT, 1, PARAMS
        )
        with pytest.raises(TimeoutError, match="still valid"):
            future.result(timeout=0.01)
        with pytest.raises(TimeoutError):
            asyncio.run(future.result_async(timeout=0.01))
        held.set()


def test_a_result_is_kept_in_one_form(script: Script) -> None:
    """Our own future and its result are let go, so that a program's results are not held twice."""
    with scripted_service(script) as service:
        native = service.create_sampling_client(base_model="B")
        future = native.sample(tinkex.ModelInput.from_ints([1, 2, 3]))
        kept = weakref.ref(future)
        result = Result(sample_response).follow(future)
        assert result.result(5).sequences[0].tokens == [5, 6]
        assert not result.cancel()
        del future
        gc.collect()
        assert kept() is None


def test_callbacks_may_block(script: Script) -> None:
    """They run in the thread of callbacks, with the future that they were given to."""
    seen: concurrent.futures.Future[Any] = concurrent.futures.Future()
    with scripted_service(script) as service:
        client = SamplingClient(service.create_sampling_client(base_model="B"))
        future = client.sample(PROMPT, 1, PARAMS)
        future.future().add_done_callback(
            lambda done: seen.set_result((done, client.sample(PROMPT, 1, PARAMS).result(5)))
        )
        done, response = seen.result(timeout=10)
    assert done is future.future()
    assert len(response.sequences) == 1


def test_the_future_of_a_client_can_be_used_as_the_client(script: Script) -> None:
    """With a FutureWarning; attributes and twins as well."""
    with scripted_service(script, wire_format="json") as service:
        pending: concurrent.futures.Future[TrainingClient] = concurrent.futures.Future()
        future = BackcompatTrainingClientFuture(AwaitableConcurrentFuture(pending))
        assert repr(future) == "<BackcompatTrainingClientFuture: 'pending'>"
        pending.set_result(TrainingClient(service.create_lora_training_client("B")))
        with pytest.warns(FutureWarning, match=r"\.result\(\)"):
            assert future.optim_step(ADAM).result(5) is not None
        with pytest.warns(FutureWarning):
            assert future.model_id == "M"

        async def twin() -> Any:
            return await (await future.optim_step_async(ADAM))

        with pytest.warns(FutureWarning):
            assert asyncio.run(twin()).metrics is None
        assert isinstance(future, TrainingClient)
        assert isinstance(future, APIFuture)


def test_calls_keep_their_order_and_outlive_mistakes() -> None:
    """One thread for all; what one raises is its own."""
    calls = Calls()
    order: list[int] = []
    futures = [calls.submit(order.append, number) for number in range(50)]
    failed = calls.submit(int, "x")
    futures.append(calls.submit(order.append, 50))
    for future in futures:
        future.result(5)
    assert order == list(range(51))
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result(5)


def test_calls_run_side_by_side_up_to_their_number() -> None:
    """Each of four waits for the others."""
    calls = Calls(4)
    together = threading.Barrier(4)
    for future in [calls.submit(together.wait, 5) for _ in range(8)]:
        future.result(10)
