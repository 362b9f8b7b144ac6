"""Sequence numbers: order, repetition, and what uses one up."""

from __future__ import annotations

from typing import Any

import pytest
from local.wire import NANO, Model, Wire, loss_input, prompt, served

from tinkex.local.app_state import Options
from tinkex.local.engine_thread import Job
from tinkex.local.futures import Promise
from tinkex.local.sequence_queue import SequenceQueue


def send_optim(model: Model, seq_id: int | None, rate: float = 1e-2) -> Any:
    return model.wire.send(
        "optim_step", model_id=model.model_id, seq_id=seq_id, adam_params={"learning_rate": rate}
    )


@pytest.mark.holds("F26")
def test_requests_run_in_the_order_of_their_numbers(wire: Wire) -> None:
    """An optimizer step that arrives before its gradient waits for it."""
    reference, model = wire.model(), wire.model()
    reference.step()
    late = send_optim(model, 2).json()
    early = wire.post(
        "forward_backward", model_id=model.model_id, seq_id=1, forward_backward_input=loss_input()
    )
    assert "metrics" in wire.result(early)
    moved = wire.result(late)["metrics"]["unclipped_grad_l2:mean"]
    assert moved > 0
    after = wire.post("forward", model_id=model.model_id, seq_id=3, forward_input=loss_input())
    assert wire.result(after)["metrics"]["loss:sum"] == reference.loss()


def test_gap_holds_a_request_back_and_says_what_it_waits_for() -> None:
    """A request behind a gap stays pending; the pending answer names the missing number."""
    with served(options=Options(long_poll_s=0.01)) as (_, wire):
        model = wire.model()
        held = send_optim(model, 3).json()
        pending = wire.poll(held)
        assert pending.status_code == 408
        assert pending.json() == {
            "type": "try_again",
            "request_id": held["request_id"],
            "queue_state": "active",
            "queue_state_reason": "waiting for seq_id 1 of this model, which has not arrived",
        }
        send_optim(model, 1)
        assert "seq_id 2" in wire.poll(held).json()["queue_state_reason"]
        send_optim(model, 2)
        wire.result(held)


@pytest.mark.holds("F24")
def test_a_repeated_request_gets_the_same_promise_and_has_one_effect(wire: Wire) -> None:
    """Identical number and payload: one request, however often it is sent and however written."""
    model = wire.model()
    first = send_optim(model, 1).json()
    assert send_optim(model, 1).json() == first
    reordered = wire.send(
        "optim_step",
        adam_params={"learning_rate": 1e-2},
        type="optim_step",
        seq_id=1,
        model_id=model.model_id,
    )
    assert reordered.json() == first
    wire.result(first)
    second = send_optim(model, 2).json()
    assert wire.result(second)["metrics"]
    assert wire.result(first) == wire.result(first)


@pytest.mark.holds("F24")
def test_a_reused_number_is_a_conflict(wire: Wire) -> None:
    """Another payload, or another operation, under a used number is a 409."""
    model = wire.model()
    send_optim(model, 1)
    assert send_optim(model, 1, rate=0.5).status_code == 409
    other = wire.send("forward", model_id=model.model_id, seq_id=1, forward_input=loss_input())
    assert other.status_code == 409
    assert "sequence number 1" in other.json()["detail"]


def test_number_zero_belongs_to_the_creation(wire: Wire) -> None:
    """Number 0 cannot be used by a request to the model."""
    assert send_optim(wire.model(), 0).status_code == 409


@pytest.mark.holds("F25")
def test_a_refused_request_does_not_use_its_number(wire: Wire) -> None:
    """After a 4xx at submit, the next request takes the same number and nothing stalls."""
    model = wire.model()
    wrong_loss = {"data": [], "loss_fn": "custom_made"}
    refused = [
        wire.send("forward_backward", model_id=model.model_id, seq_id=1, forward_backward_input=w)
        for w in (wrong_loss, {"data": 3})
    ]
    refused.append(wire.send("save_weights", model_id=model.model_id, seq_id=1, path="a/b"))
    refused.append(
        wire.send(
            "load_weights",
            model_id=model.model_id,
            seq_id=1,
            path=f"tinker://{model.model_id}/weights/none",
            optimizer=True,
        )
    )
    assert [response.status_code for response in refused] == [422, 422, 422, 404]
    wire.result(send_optim(model, 1).json())


REFUSALS: dict[str, dict[str, Any]] = {
    "checkpoint name": {"name": "save_weights", "path": "a/b"},
    "ttl": {"name": "save_weights_for_sampler", "path": "a", "ttl_seconds": 60},
    "loss": {"name": "forward", "forward_input": {"data": [], "loss_fn": "made_up"}},
    "body": {"name": "forward_backward", "forward_backward_input": {"data": 3}},
    "option": {"name": "save_weights_external", "path": "a", "age_encryption_recipients": ["age1"]},
    "optimizer": {"name": "optim_step", "optimizer_params": {"type": "other"}},
    "checkpoint": {"name": "load_weights", "path": "tinker://x/weights/none", "optimizer": True},
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_request_holds_up_no_later_number(wire: Wire, refused: dict[str, Any]) -> None:
    """After a 4xx at submit, the request under the next number runs (the official client sends it)."""
    model = wire.model()
    assert 400 <= wire.send(model_id=model.model_id, seq_id=1, **refused).status_code < 500
    wire.result(send_optim(model, 2).json())


def test_a_refused_number_skips_only_itself(wire: Wire) -> None:
    """A request before the refused one, still on its way, is waited for."""
    model = wire.model()
    bad_name = {"model_id": model.model_id, "path": "a/b"}
    late = send_optim(model, 4).json()
    for seq_id in (2, 3):
        assert wire.send("save_weights", seq_id=seq_id, **bad_name).status_code == 422
    assert wire.send("cancel_future", request_id=late["request_id"]).status_code == 400
    wire.result(send_optim(model, 1).json())
    wire.result(late)


def test_a_skipped_number_may_still_be_used(wire: Wire) -> None:
    """A client that sends the request again, corrected, after a later one is served as well."""
    model = wire.model()
    assert wire.send("save_weights", model_id=model.model_id, seq_id=1, path="a/b").is_error
    wire.result(send_optim(model, 2).json())
    saved = wire.post("save_weights", model_id=model.model_id, seq_id=1, path="a")
    assert wire.result(saved)["path"].endswith("/weights/a")
    assert wire.post("save_weights", model_id=model.model_id, seq_id=1, path="a") == saved
    wire.result(send_optim(model, 3).json())


def test_numbers_that_never_arrive_are_skipped_in_the_end() -> None:
    """A client that gave a request up without sending it is served again after a while (F62)."""
    now, order = 0.0, list[str]()
    turns = SequenceQueue(lambda job: order.append(job.promise.request_id), lambda: now)

    def submit(seq_id: int) -> None:
        job = Job(Promise(f"r{seq_id}", "s"), lambda: None)
        turns.submit(seq_id, b"", lambda: job)

    submit(2**60)
    submit(3)
    now = 9.0
    turns.skip_gap(10.0)
    assert order == []
    now = 10.0
    turns.skip_gap(10.0)
    assert order == ["r3"]
    # The next gap has a time of its own, and what comes too late still runs.
    now = 19.0
    turns.skip_gap(10.0)
    submit(2)
    assert order == ["r3", "r2"]
    now = 20.0
    turns.skip_gap(10.0)
    assert order == ["r3", "r2", f"r{2**60}"]
    submit(2**60 + 1)
    assert order[-1] == f"r{2**60 + 1}"
    turns.skip_gap(0.0)


def test_the_server_skips_gaps_on_its_own() -> None:
    """Upkeep, which runs every 15 seconds, lets held requests go on."""
    with served(options=Options(gap_timeout_s=0.0)) as (server, wire):
        model = wire.model()
        held = send_optim(model, 3).json()
        assert server._app_state is not None
        server._app_state.upkeep()
        assert wire.result(held)["metrics"]


def test_an_error_while_running_uses_the_number(wire: Wire) -> None:
    """A request that was accepted and then failed is done; the next one runs."""
    model = wire.model()
    body = loss_input()
    body["data"][0]["loss_fn_inputs"]["weights"]["data"] = [1.0]
    body["data"][0]["loss_fn_inputs"]["weights"]["shape"] = [1]
    failed = wire.outcome(model.submit("forward_backward", forward_backward_input=body))
    assert failed["category"] == "user"
    assert "data[0].loss_fn_inputs['weights']" in failed["error"]
    assert model.step() > 0


def test_requests_without_numbers_run_as_they_arrive(wire: Wire) -> None:
    """Clients from before sequence numbers are served."""
    model = wire.model()
    promise = wire.post(
        "forward_backward", model_id=model.model_id, forward_backward_input=loss_input()
    )
    wire.result(promise)
    assert wire.result(send_optim(model, None).json())["metrics"]["unclipped_grad_l2:mean"] > 0


def test_create_model_is_keyed_by_its_number_in_the_session(wire: Wire) -> None:
    """A repeated creation gives the same model, another one under the number a 409."""
    session = wire.session()
    body: dict[str, Any] = {
        "session_id": session,
        "model_seq_id": 3,
        "base_model": NANO,
        "lora_config": {"rank": 4},
    }
    first = wire.post("create_model", **body)
    assert first["model_id"] == f"{session}:train:3"
    assert wire.post("create_model", **body) == first
    body["lora_config"] = {"rank": 5}
    assert wire.send("create_model", **body).status_code == 409
    assert wire.post("create_model", **{**body, "session_id": wire.session()}) != first


def test_sampling_sessions_and_ephemeral_saves_share_their_numbers(wire: Wire) -> None:
    """One counter serves both ways to a sampling session."""
    model = wire.model()
    sampler = wire.sampler(model.session_id, 0)
    assert wire.sampler(model.session_id, 0) == sampler
    clash = wire.send(
        "save_weights_for_sampler", model_id=model.model_id, seq_id=1, sampling_session_seq_id=0
    )
    assert clash.status_code == 409
    made = model.call("save_weights_for_sampler", sampling_session_seq_id=1)
    assert made["sampling_session_id"] != sampler
    assert "path" not in made
    taken = wire.send(
        "create_sampling_session",
        session_id=model.session_id,
        sampling_session_seq_id=1,
        base_model=NANO,
    )
    assert taken.status_code == 409


def test_samples_are_deduplicated_within_their_sampling_session(wire: Wire) -> None:
    """A repeated sample number gives the same promise; samples need no order."""
    one, other = wire.sampler(), wire.sampler()

    def sample(sampler: str, seq_id: int, tokens: int = 2) -> Any:
        return wire.send(
            "asample",
            sampling_session_id=sampler,
            seq_id=seq_id,
            prompt=prompt(1, 2),
            sampling_params={"max_tokens": tokens},
        )

    first = sample(one, 7).json()
    assert sample(one, 7).json() == first
    assert sample(one, 7, tokens=3).status_code == 409
    assert sample(other, 7).json() != first
    assert sample(one, 0).json() != first
    assert len(wire.result(first)["sequences"]) == 1
