"""A conflict after a request whose answer was lost: was it this very request that arrived?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.nano import NANO
from support.scripted import Script, promises, scripted_service

import tinkex
from tinkex import AdamParams, TrainingClient
from tinkex.errors import ConflictError
from tinkex.local import LocalServer
from tinkex.testing import Fault

LOST = httpx.ReadTimeout("no answer")
USED = (409, {"detail": "Training request sequence number was reused"})
TAKEN = (409, {"detail": "checkpoint 'kept' exists already"})
NOW = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
LIST = "GET training_runs/M/checkpoints"


@pytest.fixture
def script() -> Script:
    script = Script().on("POST create_model", {"model_id": "M"})
    promises(script, "POST optim_step", {"metrics": {}}, {"metrics": {}})
    return script


@pytest.fixture
def training(script: Script, clock: FakeClock):
    with scripted_service(script, clock) as service:
        yield service.create_lora_training_client("base")


def listed(kind: str, age: float, name: str = "kept") -> Any:
    """Return a list with one checkpoint that was saved so many seconds ago."""
    saved = {
        "checkpoint_id": f"{kind}/{name}",
        "checkpoint_type": "training" if kind == "weights" else "sampler",
        "time": (NOW - timedelta(seconds=age)).isoformat(),
        "tinker_path": f"tinker://M/{kind}/{name}",
    }
    return 200, {"checkpoints": [saved]}, {"date": format_datetime(NOW, usegmt=True)}


def save(training: TrainingClient, kind: str) -> Any:
    call = training.save_state if kind == "weights" else training.save_weights_for_sampler
    return call("kept")


ROUTES = {"weights": "save_weights", "sampler_weights": "save_weights_for_sampler"}


@pytest.mark.holds("F24")
@pytest.mark.parametrize("kind", ROUTES)
def test_a_save_that_arrived_is_looked_up_under_its_name(
    training: TrainingClient, script: Script, kind: str
) -> None:
    """The name is taken because the first attempt took it: that is the result, and the number is used."""
    script.on(f"POST {ROUTES[kind]}", LOST, TAKEN).on(LIST, listed(kind, age=1))
    assert save(training, kind).result().path == f"tinker://M/{kind}/kept"
    training.optim_step().result()
    assert script.bodies("optim_step")[0]["seq_id"] == 2


@pytest.mark.holds("F24")
@pytest.mark.parametrize(
    "found",
    [
        pytest.param(listed("weights", age=3600), id="one of that name is an hour old"),
        pytest.param((403, {}), id="the list is refused"),
    ],
)
def test_a_name_that_another_program_took_stays_a_conflict(
    training: TrainingClient, script: Script, found: Any
) -> None:
    """What is not certainly our own is not called a success, and its number goes to the next call."""
    script.on("POST save_weights", LOST, TAKEN).on(LIST, found)
    with pytest.raises(ConflictError, match="exists already"):
        training.save_state("kept")
    training.optim_step().result()
    assert script.bodies("optim_step")[0]["seq_id"] == 1


@pytest.mark.holds("F24")
@pytest.mark.parametrize(
    "found",
    [
        pytest.param(listed("sampler_weights", age=1), id="another kind has that name"),
        pytest.param(listed("weights", age=1, name="unkept"), id="another name ends alike"),
        pytest.param((200, {"checkpoints": []}), id="there is none"),
    ],
)
def test_a_conflict_over_a_free_name_is_about_the_number(
    training: TrainingClient, script: Script, found: Any
) -> None:
    """The list decides, and no word of the refusal: the save arrived and its number is used."""
    script.on("POST save_weights", LOST, (409, {"detail": "refused"})).on(LIST, found)
    with pytest.raises(ConflictError, match="did arrive and was applied"):
        training.save_state("kept")
    training.optim_step().result()
    assert script.bodies("optim_step")[0]["seq_id"] == 2


@pytest.mark.holds("F24")
def test_a_first_answer_of_conflict_is_believed(training: TrainingClient, script: Script) -> None:
    """Nothing was sent before it, so nothing is looked up."""
    script.on("POST save_weights", TAKEN).on(LIST, listed("weights", age=0))
    with pytest.raises(ConflictError):
        training.save_state("kept")
    assert script.sent("training_runs/M/checkpoints") == []


@pytest.mark.holds("F24")
def test_a_step_that_arrived_and_is_not_known_again_uses_its_number(
    training: TrainingClient, script: Script
) -> None:
    """The error says that it was applied, and the model is not stuck at its number."""
    script.on("POST optim_step", LOST, USED, {"request_id": "optim_step-0"})
    with pytest.raises(ConflictError, match="did arrive and was applied"):
        training.optim_step()
    training.optim_step().result()
    assert [body["seq_id"] for body in script.bodies("optim_step")] == [1, 1, 2]


@pytest.mark.holds("F4", "F24")
@pytest.mark.parametrize("operation", ["optim_step", "save_weights", "save_weights_for_sampler"])
def test_the_local_server_knows_a_repetition_and_applies_it_once(
    tmp_path: Path, operation: str
) -> None:
    """The answer is lost after the work was done; the repetition gets the first one's result."""
    lost = Fault(on=operation, reset=True, applied=True)
    with (
        LocalServer(data_dir=tmp_path, faults=[lost]) as server,
        tinkex.ServiceClient(base_url=server.base_url) as service,
    ):
        training = service.create_lora_training_client(NANO, rank=4, seed=0)
        if operation == "optim_step":
            training.optim_step(AdamParams(learning_rate=1e-3)).result()
        elif operation == "save_weights":
            assert training.save_state("kept").result().path.endswith("/weights/kept")
        else:
            assert training.save_weights_for_sampler("kept").result().path
        assert len(server.faults.played) == 1
        # The next number is the server's next, too: with a gap this would wait for ever.
        assert training.save_state("after").result(60).path.endswith("/after")
        names = {
            one.checkpoint_id
            for one in service.create_rest_client().iter_checkpoints(training.model_id)
        }
        kept = {
            "optim_step": set(),
            "save_weights": {"weights/kept"},
            "save_weights_for_sampler": {"sampler_weights/kept"},
        }
        assert names == kept[operation] | {"weights/after"}
