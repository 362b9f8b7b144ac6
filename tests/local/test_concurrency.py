"""Several models and samplers at once, through HTTP: what the engine is asked, and in which order."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from local.wire import NANO, Wire, datum, loss_input, prompt, served

from tinkex.local import LocalServer
from tinkex.local.engine import Sampler, Trainer
from tinkex.local.engine_thread import Job
from tinkex.local.futures import Promise


@contextmanager
def engine_held(server: LocalServer) -> Iterator[None]:
    """Keep the engine busy while the block sends its requests, then let it go."""
    begun, go_on = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        assert go_on.wait(60)

    state = server._app_state
    assert state is not None
    # On a busy machine a small job may last longer than a usual turn, and then it needs two.
    state.engine._slice_s = 60.0
    state.engine.put("held", Job(Promise(request_id="held", session_id=None, kept=False), block))
    assert begun.wait(60)
    try:
        yield
    finally:
        go_on.set()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the real engine is asked, in order: trainers by identity, batches by their size."""
    log: list[Any] = []
    train, sample = Trainer.forward_backward, Sampler.sample

    def forward_backward(self: Trainer, *arguments: Any) -> Any:
        log.append(self)
        return train(self, *arguments)

    def sample_batch(self: Sampler, jobs: Any, *arguments: Any) -> Any:
        log.append(len(jobs))
        return sample(self, jobs, *arguments)

    monkeypatch.setattr(Trainer, "forward_backward", forward_backward)
    monkeypatch.setattr(Sampler, "sample", sample_batch)
    return log


def sample_body(seed: int) -> dict[str, Any]:
    return {
        "base_model": NANO,
        "prompt": prompt(1, 2, 3),
        "sampling_params": {"max_tokens": 3, "seed": seed},
    }


def test_a_long_queue_on_one_model_does_not_starve_another(asked: list[Any]) -> None:
    """Two models take turns although one has twenty requests before the other's first."""
    with served() as (server, wire):
        busy, late = wire.model(), wire.model()
        trainers = {id(one.trainer): one.model_id for one in server._app_state.models.all()}
        with engine_held(server):
            queue = [
                busy.submit("forward_backward", forward_backward_input=loss_input())
                for _ in range(20)
            ]
            few = [
                late.submit("forward_backward", forward_backward_input=loss_input())
                for _ in range(3)
            ]
        for promise in (*queue, *few):
            wire.result(promise)
        order = [trainers[id(trainer)] for trainer in asked]
        assert order[:6] == [busy.model_id, late.model_id] * 3
        assert order[6:] == [busy.model_id] * 17


def test_samples_that_arrive_together_are_one_batch(asked: list[Any]) -> None:
    """Sixteen clients at once: the engine samples once, and each gets its own sequence."""
    with served() as (server, wire):
        alone = [wire.result(wire.post("asample", **sample_body(seed))) for seed in range(16)]
        asked.clear()
        with engine_held(server), ThreadPoolExecutor(16) as pool:
            promises = list(
                pool.map(lambda seed: wire.post("asample", **sample_body(seed)), range(16))
            )
        together = [wire.result(promise) for promise in promises]
        assert asked == [16]
        assert [one["sequences"][0]["tokens"] for one in together] == [
            one["sequences"][0]["tokens"] for one in alone
        ]


def test_samples_of_different_weights_share_a_batch(asked: list[Any]) -> None:
    """Checkpoints of one base model are sampled side by side with the base itself."""
    with served() as (server, wire):
        paths = []
        for _ in range(2):
            model = wire.model()
            model.step()
            paths.append(model.call("save_weights_for_sampler", path="s")["path"])
        sources: list[dict[str, str]] = [
            {"base_model": NANO},
            *({"model_path": one} for one in paths),
        ]
        asked.clear()
        with engine_held(server):
            promises = [
                wire.post("asample", **{**sample_body(1), "base_model": None, **source})
                for source in sources
            ]
        for promise in promises:
            wire.result(promise)
        assert asked == [3]


def test_samples_and_training_take_turns(asked: list[Any]) -> None:
    """A queue of steps does not keep samples waiting for its end, nor samples the steps."""
    with served() as (server, wire):
        model = wire.model()
        with engine_held(server):
            steps = [
                model.submit("forward_backward", forward_backward_input=loss_input())
                for _ in range(5)
            ]
            samples = [wire.post("asample", **sample_body(seed)) for seed in range(4)]
        for promise in (*steps, *samples):
            wire.result(promise)
        assert asked.index(4) <= 1
        assert len(asked) == 6


def test_models_of_many_clients_train_side_by_side() -> None:
    """Eight threads train eight models; each ends with the loss that it has alone."""

    def train(wire: Wire) -> list[float]:
        model = wire.model()
        return [model.step() for _ in range(3)]

    with served() as (_, wire):
        alone = train(wire)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: train(wire), range(8))) == [alone] * 8


def test_samples_that_take_long_do_not_hold_up_other_sessions() -> None:
    """Another client trains and samples while a request of hours is under way; then it is ended."""
    with served() as (server, wire):
        hog, other = wire.session(), wire.model()
        sampler, quick = wire.sampler(hog), wire.sampler(other.session_id)
        endless = {"prompt": prompt(1), "sampling_params": {"stop": []}, "num_samples": 1024}
        heavy = [
            wire.post("asample", sampling_session_id=sampler, seq_id=number, **endless)
            for number in range(1, 5)
        ]
        for number in range(1, 4):
            other.step()
            body = {"prompt": prompt(1, 2), "sampling_params": {"max_tokens": 4}}
            made = wire.post("asample", sampling_session_id=quick, seq_id=number, **body)
            assert wire.result(made)["sequences"]
        state = server._app_state
        assert state is not None
        assert not any(state.promises.live(one["request_id"]).done for one in heavy)
        wire.post(f"sessions/{hog}/finish", reason={"type": "success"}, detail=None)
        for one in heavy:
            assert "session of this request has ended" in wire.outcome(one)["error"]
        other.step()


def test_a_large_batch_of_training_does_not_hold_up_other_sessions() -> None:
    """Passes over many examples stop between micro-batches, custom losses between operations."""
    with served() as (server, wire):
        hog, other = wire.model(), wire.model()
        data = loss_input([datum(list(range(1, 200)))] * 80)
        began = time.monotonic()
        hog.call("forward_backward", forward_backward_input=data)
        # Together they take several times as long as the slices that the other session waits for.
        count = math.ceil(4 / (time.monotonic() - began))
        heavy = [hog.submit("forward_backward", forward_backward_input=data) for _ in range(count)]
        for _ in range(3):
            other.step()
        state = server._app_state
        assert state is not None
        assert not state.promises.live(heavy[-1]["request_id"]).done
        losses = [wire.result(one)["metrics"]["loss:sum"] for one in heavy]
        assert losses == [losses[0]] * count
