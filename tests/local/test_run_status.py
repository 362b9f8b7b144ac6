"""Names, labels and states of training runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from local.wire import Clock, Model, Wire, serve_process, served

from tinkex.local.app_state import Options


def described(wire: Wire, model: Model) -> tuple[str, str | None]:
    run = wire.get(f"training_runs/{model.model_id}")
    (listed,) = [
        one
        for one in wire.get("training_runs", limit=100)["training_runs"]
        if one["training_run_id"] == model.model_id
    ]
    assert listed == run
    return run["status"], run.get("display_name")


def test_a_run_has_the_name_of_its_session_and_its_own_labels(wire: Wire) -> None:
    """What the client sent is kept and given back."""
    session = wire.session(display_name="arithmetic", user_metadata={"who": "me"})
    model = wire.model(session, user_metadata={"lr": "1e-3"})
    assert described(wire, model) == ("running", "arithmetic")
    assert wire.get(f"training_runs/{model.model_id}")["user_metadata"] == {"lr": "1e-3"}
    assert described(wire, wire.model()) == ("running", None)


@pytest.mark.parametrize("reason", ["success", "errored", "interrupted"])
def test_a_run_whose_client_finished_has_ended(wire: Wire, reason: str) -> None:
    """However the client says that it went, nothing was lost without its knowledge."""
    model = wire.model()
    finish = {"reason": {"type": reason}, "detail": None}
    assert wire.send(f"sessions/{model.session_id}/finish", **finish).is_success
    assert described(wire, model)[0] == "ended"


def test_an_unloaded_model_has_ended(wire: Wire) -> None:
    """Its session stays active, and so do the session's other runs."""
    session = wire.session()
    gone, other = wire.model(session, 0), wire.model(session, 1)
    wire.result(wire.post("unload_model", model_id=gone.model_id))
    assert [described(wire, one)[0] for one in (gone, other)] == ["ended", "running"]


def test_a_run_whose_client_fell_silent_is_lost() -> None:
    """The session ended for want of a heartbeat; what was not saved is gone."""
    clock = Clock()
    with served(options=Options(monotonic=clock, session_timeout_s=50)) as (server, wire):
        model = wire.model()
        clock.now += 51
        assert server._app_state is not None
        server._app_state.upkeep()
        assert described(wire, model)[0] == "lost"


def test_a_run_whose_server_was_killed_is_lost(tmp_path: Path) -> None:
    """The next server on the folder says so; one that runs beside it says that it is running."""
    with serve_process(tmp_path) as (process, wire):
        model = wire.model()
        with served(data_dir=tmp_path) as (_, beside):
            assert described(beside, model)[0] == "running"
        process.kill()
        process.wait()
    with served(data_dir=tmp_path) as (_, later):
        assert described(later, model)[0] == "lost"
