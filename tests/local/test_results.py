"""Results on disk: across sessions and servers, and until they are evicted."""

from __future__ import annotations

from pathlib import Path

import pytest
from local.wire import Clock, loss_input, prompt, serve_process, served

from tinkex.local.app_state import Options

CLOCKLESS = {"prompt": prompt(5), "sampling_params": {"max_tokens": 2, "seed": 1}}


def test_a_result_survives_kill_and_its_session(tmp_path: Path) -> None:
    """What was computed before a kill -9 can be asked for from the next server."""
    with serve_process(tmp_path) as (process, wire):
        model = wire.model()
        promises = [
            model.submit("forward_backward", forward_backward_input=loss_input()),
            model.submit("optim_step"),
            wire.post("asample", base_model="tinkex/nano", **CLOCKLESS),
        ]
        results = [wire.result(promise) for promise in promises]
        process.kill()
        process.wait()
    with serve_process(tmp_path) as (_, wire):
        assert [wire.result(promise) for promise in promises] == results
        assert wire.poll({"request_id": "req-0"}).status_code == 404


def test_what_was_pending_at_a_crash_is_gone_and_says_so(tmp_path: Path) -> None:
    """A request without a result when its server died is answered 410 by the next, not 404."""
    with serve_process(tmp_path) as (process, wire):
        model = wire.model()
        # Number 1 never comes, so number 2 has no result when the server dies.
        pending = wire.post("optim_step", model_id=model.model_id, seq_id=2)
        process.kill()
        process.wait()
    with serve_process(tmp_path) as (_, wire):
        answer = wire.poll(pending)
        assert answer.status_code == 410
        assert "its server stopped" in answer.json()["detail"]
        assert "last checkpoint" in answer.json()["detail"]
        assert wire.send("cancel_future", request_id=pending["request_id"]).status_code == 410


def test_a_request_of_another_living_server_is_not_called_lost(tmp_path: Path) -> None:
    """Two servers on one folder: what the other still computes is not gone."""
    with served(data_dir=tmp_path) as (_, one), served(data_dir=tmp_path) as (_, other):
        model = one.model()
        pending = one.post("optim_step", model_id=model.model_id, seq_id=2)
        answer = other.poll(pending)
        assert answer.status_code == 404
        assert "another server process" in answer.json()["detail"]


def test_a_loss_curve_that_cannot_be_written_fails_no_step(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The step is taken and answered; the missing point is logged."""
    with served() as (server, wire):
        model = wire.model()
        model.step()
        server._app_state.result_file.execute("DROP TABLE losses")
        assert model.step() > 0
        assert "loss curve" in caplog.text


def test_bookkeeping_that_cannot_be_written_fails_no_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without audit log, usage and journal, training and sampling go on; it is logged."""
    with served() as (server, wire):
        model = wire.model()
        path = model.call("save_weights", path="a")["path"]
        for table in ("audit", "usage"):
            server._app_state.database.execute(f"DROP TABLE {table}")
        server._app_state.result_file.execute("DROP TABLE journal")
        model.call("load_weights", path=path, optimizer=True)
        assert model.step() > 0
        wire.result(wire.post("asample", base_model="tinkex/nano", **CLOCKLESS))
        server._app_state.upkeep()
        for said in ("audit log lacks", "usage cannot be written", "journal are lost"):
            assert said in caplog.text


def test_evicted_results_are_gone_and_unknown_ones_never_were() -> None:
    """After the retention a poll is answered 410, for an unknown id still 404."""
    clock = Clock()
    options = Options(result_retention_s=100.0, now=clock)
    with served(options=options) as (server, wire):
        old = wire.post("asample", base_model="tinkex/nano", **CLOCKLESS)
        wire.result(old)
        clock.now += 60
        new = wire.post("asample", base_model="tinkex/nano", **CLOCKLESS)
        wire.result(new)
        clock.now += 60
        server._app_state.upkeep()
        answer = wire.poll(old)
        assert answer.status_code == 410
        assert "no longer kept" in answer.json()["detail"]
        assert wire.poll(new).status_code == 200
        assert wire.poll({"request_id": "req-never"}).status_code == 404


@pytest.mark.parametrize("room", [1, 10**6])
def test_the_oldest_results_make_room(room: int) -> None:
    """All results together take no more than they may."""
    with served(options=Options(result_bytes=room)) as (server, wire):
        promise = wire.post("asample", base_model="tinkex/nano", **CLOCKLESS)
        wire.result(promise)
        server._app_state.upkeep()
        assert wire.poll(promise).status_code == (410 if room == 1 else 200)
