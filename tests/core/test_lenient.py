"""Lists of servers that write them a little differently."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from support.scripted import Script, scripted_service

CHECKPOINT = {
    "checkpoint_id": "weights/a", "checkpoint_type": "training",
    "time": "2026-01-02T00:00:00Z", "tinker_path": "tinker://r:train:0/weights/a",
}  # fmt: skip


def test_models_may_be_named_alone() -> None:
    """As strings, with nulls between them."""
    script = Script().on(
        "GET get_server_capabilities", {"supported_models": ["a", None, {"model_name": "b"}]}
    )
    with scripted_service(script) as service:
        found = [
            service.get_server_capabilities(),
            service.create_rest_client().get_server_capabilities(),
        ]
    assert [[model.model_name for model in one.supported_models] for one in found] == [
        ["a", "b"]
    ] * 2


@pytest.mark.parametrize(
    ("time", "read"),
    [
        (1767312000, datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02 00:00:00", datetime(2026, 1, 2, tzinfo=UTC)),
        ("yesterday", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates_in_other_forms_do_not_hide_a_list(time: Any, read: datetime) -> None:
    """Seconds are read; what is no date is taken as 1970, and logged."""
    page = {
        "checkpoints": [{**CHECKPOINT, "time": time}],
        "cursor": {"offset": "0", "limit": "20", "total_count": None},
    }
    script = Script().on("GET training_runs/r/checkpoints", page)
    with scripted_service(script) as service:
        found = service.create_rest_client().list_checkpoints("r")
    assert found.checkpoints[0].time == read
    assert found.cursor is not None
    assert (found.cursor.limit, found.cursor.total_count) == (20, 0)


def test_a_checkpoint_names_its_run() -> None:
    """Out of its path, where the server does not."""
    script = Script().on(
        "GET training_runs/r/checkpoints",
        {"checkpoints": [CHECKPOINT, {**CHECKPOINT, "training_run_id": "x"}]},
    )
    with scripted_service(script) as service:
        found = service.create_rest_client().list_checkpoints("r").checkpoints
    assert [checkpoint.training_run_id for checkpoint in found] == ["r:train:0", "x"]


def test_the_newest_checkpoints_of_a_run_name_it_too() -> None:
    """In a list of runs and in a single one."""
    run = {
        "training_run_id": "r:train:0", "base_model": "b", "model_owner": "o", "is_lora": True,
        "last_request_time": "2026-01-02T00:00:00Z", "last_checkpoint": CHECKPOINT,
    }  # fmt: skip
    page = {"training_runs": [run], "cursor": {"offset": 0, "limit": 20, "total_count": 1}}
    script = Script().on("GET training_runs/r", run).on("GET training_runs", page)
    with scripted_service(script) as service:
        rest = service.create_rest_client()
        found = [rest.get_training_run("r"), *rest.list_training_runs().training_runs]
    for one in found:
        assert one.last_checkpoint is not None
        assert one.last_checkpoint.training_run_id == "r:train:0"
        assert one.last_sampler_checkpoint is None
