"""Retrieving results: long polls, failures, metadata, cancelling."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from local.wire import NANO, Model, Wire, loss_input, prompt, served

from tinkex.local.app_state import Options


def held(model: Model) -> Any:
    """Submit number 2, which waits for number 1."""
    return model.wire.post("optim_step", model_id=model.model_id, seq_id=2)


def release(model: Model) -> None:
    model.wire.post("optim_step", model_id=model.model_id, seq_id=1)


def test_a_poll_is_held_until_the_result_is_there(wire: Wire) -> None:
    """The long poll that was open when the job ended answers with its result."""
    model = wire.model()
    promise = held(model)
    with ThreadPoolExecutor() as pool:
        polls = [pool.submit(wire.poll, promise) for _ in range(3)]
        release(model)
        answers = [poll.result() for poll in polls]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all("metrics" in answer.json() for answer in answers)


def test_unknown_promise_is_a_404(wire: Wire) -> None:
    """An id that was never given out is told apart from a pending one."""
    response = wire.poll({"request_id": "req-unknown"})
    assert response.status_code == 404
    assert "req-unknown" in response.json()["detail"]


def test_large_results_can_be_announced_first() -> None:
    """With allow_metadata_only a large result is first given by its size."""
    with served(options=Options(inline_bytes=200)) as (_, wire):
        model = wire.model()
        promise = model.submit("forward", forward_input=loss_input())
        whole = wire.result(promise)
        announced = wire.poll(promise, allow_metadata_only=True).json()
        exact = len(wire.poll(promise, allow_metadata_only=False).content)
        assert announced == {"status": "complete_metadata", "response_payload_size": exact}
        assert whole["loss_fn_outputs"]
        small = model.submit("optim_step")
        wire.result(small)
        assert "metrics" in wire.poll(small, allow_metadata_only=True).json()


def test_results_outlive_their_session(wire: Wire) -> None:
    """A result can be read twice, also when its session has ended."""
    model = wire.model()
    promise = model.submit("optim_step")
    result = wire.result(promise)
    assert wire.result(promise) == result
    wire.post(f"sessions/{model.session_id}/finish", reason={"type": "success"}, detail=None)
    assert wire.result(promise) == result


def test_results_over_the_memory_budget_wait_on_disk(tmp_path: Any) -> None:
    """A long run does not fill the memory: older results are read back from the disk."""
    with served(data_dir=tmp_path) as (server, wire):
        server._app_state.promises._memory_bytes = 2000
        model = wire.model()
        promises = [model.submit("forward", forward_input=loss_input()) for _ in range(8)]
        results = [wire.result(promise) for promise in promises]
        assert [wire.result(promise) for promise in promises] == results
        assert server._app_state.promises._used_bytes <= 2000


def test_pending_requests_of_an_ended_session_fail(wire: Wire) -> None:
    """Nobody waits for ever on a session that was closed."""
    model = wire.model()
    promise = held(model)
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(wire.poll, promise)
        # Ending the session must wake the poll, whether it came before or after.
        wire.post(f"sessions/{model.session_id}/finish", reason={"type": "errored"}, detail="x")
        answer = poll.result()
    assert answer.status_code == 200
    assert "has ended" in answer.json()["error"]


@pytest.mark.holds("F21")
def test_errors_of_a_job_come_with_their_category(wire: Wire) -> None:
    """The user's mistakes are category user and name the field."""
    promise = wire.post(
        "asample", base_model=NANO, prompt=prompt(1, 99_999), sampling_params={"max_tokens": 1}
    )
    failed = wire.outcome(promise)
    assert failed["category"] == "user"
    assert "prompt[1] is 99999" in failed["error"]


def test_one_bad_sample_does_not_fail_its_neighbours(wire: Wire) -> None:
    """Samples that were batched together fail on their own."""
    sampler = wire.sampler()

    def sample(seq_id: int) -> Any:
        tokens = (1, 99_999) if seq_id == 3 else (1, 2)
        return wire.post(
            "asample",
            sampling_session_id=sampler,
            seq_id=seq_id,
            prompt=prompt(*tokens),
            sampling_params={"max_tokens": 2},
        )

    with ThreadPoolExecutor() as pool:
        outcomes = [wire.outcome(promise) for promise in pool.map(sample, range(8))]
    assert ["error" in outcome for outcome in outcomes] == [i == 3 for i in range(8)]


def test_bugs_of_the_server_are_category_server(wire: Wire, monkeypatch: Any, caplog: Any) -> None:
    """What is not the user's fault says so, and is logged."""
    from tinkex.local.engine import Trainer

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("no good")

    model = wire.model()
    monkeypatch.setattr(Trainer, "optim_step", broken)
    failed = wire.outcome(model.submit("optim_step"))
    assert failed["category"] == "server"
    assert "ZeroDivisionError" in failed["error"]
    assert "a job failed" in caplog.text


def test_a_queued_sample_can_be_cancelled(wire: Wire, monkeypatch: Any) -> None:
    """A cancelled sample ends at once as failed and cannot be retrieved as done."""
    from tinkex.local.engine import Trainer

    entered, go_on = threading.Event(), threading.Event()
    real = Trainer.optim_step

    def slow(self: Trainer, adam: Any) -> Any:
        entered.set()
        assert go_on.wait(30)
        return real(self, adam)

    monkeypatch.setattr(Trainer, "optim_step", slow)
    model = wire.model()
    training = model.submit("optim_step")
    assert entered.wait(30)
    sample = wire.post(
        "asample", base_model=NANO, prompt=prompt(1), sampling_params={"max_tokens": 4}
    )
    assert wire.send("cancel_future", request_id=sample["request_id"]).is_success
    assert "cancelled" in wire.outcome(sample)["error"]
    assert wire.send("cancel_future", request_id=training["request_id"]).status_code == 400
    go_on.set()
    wire.result(training)


def test_a_running_sample_is_cut_short_when_it_is_cancelled(monkeypatch: Any) -> None:
    """The engine stops in the middle; whoever waits is told at once."""
    from tinkex.local.engine import Sampler

    entered, go_on = threading.Event(), threading.Event()
    real = Sampler.sample

    def slow(self: Sampler, jobs: Any, *more: Any) -> Any:
        entered.set()
        assert go_on.wait(30)
        return real(self, jobs, *more)

    monkeypatch.setattr(Sampler, "sample", slow)
    with served() as (server, wire):
        params = {"max_tokens": 100, "stop": []}
        sample = wire.post(
            "asample", base_model=NANO, prompt=prompt(1), sampling_params=params, num_samples=8
        )
        assert entered.wait(30)
        assert wire.send("cancel_future", request_id=sample["request_id"]).is_success
        assert "cancelled" in wire.outcome(sample)["error"]
        go_on.set()
        # The next sample is done only after the engine has let go of the first.
        wire.result(wire.post("asample", base_model=NANO, prompt=prompt(1), sampling_params=params))
        assert server._app_state.usage.totals()["sampling_sample"] < 8 * 100 + 100


def test_completions_of_a_sampling_session_come_by_cursor(wire: Wire) -> None:
    """retrieve_futures reports each completion once per client, good or failed."""
    sampler = wire.sampler()
    clone = 2_000_000_000

    def sample(seq_id: int, token: int = 1) -> Any:
        return wire.post(
            "asample",
            sampling_session_id=sampler,
            seq_id=seq_id,
            prompt=prompt(token),
            sampling_params={"max_tokens": 1},
        )["request_id"]

    def completions(cursor: int, clone_id: int = 0, timeout: float | None = None) -> Any:
        target = {"type": "sampling_session", "sampling_session_id": sampler}
        target["cloned_sampler_id"] = clone_id
        return wire.post("retrieve_futures", target=target, prev_cursor=cursor, timeout=timeout)

    assert completions(0, timeout=0) == {"completions": [], "cursor": 0}
    good = sample(0)
    first = completions(0)
    assert [(one["state"], one["request_id"]) for one in first["completions"]] == [
        ("finished", good)
    ]
    assert first["completions"][0]["response_payload_uncompressed_size"] > 0
    bad, foreign = sample(1, token=99_999), sample(clone)
    second = completions(first["cursor"])
    assert [(one["state"], one["request_id"]) for one in second["completions"]] == [("failed", bad)]
    theirs = completions(0, clone_id=2)
    assert [one["request_id"] for one in theirs["completions"]] == [foreign]
