"""The audit log and the usage: what really happened, and how much of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from local.wire import NANO, Clock, Wire, datum, loss_input, prompt, served

from tinkex.local.app_state import Options

HOUR = 3600


def at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def usage(wire: Wire, start: float, hours: int = 1) -> list[tuple[str, int]]:
    answer = wire.get(
        "billing/usage/events", starting_on=at(start), ending_before=at(start + hours * HOUR)
    )
    return [
        (one["event_info"]["type"], one["event_info"].get("token_count", one["event_info"].get("count")))
        for one in answer["data"]
    ]  # fmt: skip


def test_usage_counts_the_tokens_that_were_used_by_the_hour() -> None:
    """Trained, read, sampled and saved, in the hour it happened, with session and project."""
    clock = Clock(1_800_000_000.0 // HOUR * HOUR + 10)
    start = clock.now - 10
    with served(options=Options(now=clock)) as (server, wire):
        session = wire.session(project_id="p", user_metadata={"who": "me"})
        model = wire.model(session)
        model.step([datum([1, 2, 3]), datum([4, 5])])
        model.call("forward", forward_input=loss_input([datum([1, 2])]))
        model.call("save_weights", path="a")
        body = {"prompt": prompt(1, 2, 3), "sampling_params": {"max_tokens": 4, "stop": []}}
        wire.result(wire.post("asample", base_model=NANO, num_samples=2, **body))
        clock.now += HOUR
        server._app_state.upkeep()
        model.step([datum([1, 2, 3])])
        assert sorted(usage(wire, start)) == [
            ("checkpoint", 1),
            ("sampling_prefill", 3),
            ("sampling_sample", 8),
            ("training", 7),
        ]
        assert usage(wire, start + HOUR) == [("training", 3)]
        answer = wire.get(
            "billing/usage/events", starting_on=at(start), ending_before=at(start + 2 * HOUR)
        )
        (trained,) = [one for one in answer["data"] if one["event_info"].get("token_count") == 7]
        assert trained == {
            "bucket_start": at(start),
            "bucket_end": at(start + HOUR),
            "event_info": {"type": "training", "token_count": 7},
            "base_model": NANO,
            "session_id": session,
            "project_id": "p",
        }
        assert answer["sessions"] == {session: {"user_metadata": {"who": "me"}}}
        assert usage(wire, start - HOUR) == []


def test_usage_survives_a_stop_and_adds_up_over_servers(tmp_path: Path) -> None:
    """Two servers on one folder count into the same hour."""
    clock = Clock(1_800_000_000.0 // HOUR * HOUR)
    for _ in range(2):
        with served(data_dir=tmp_path, options=Options(now=clock)) as (_, wire):
            body = {"prompt": prompt(1, 2, 3), "sampling_params": {"max_tokens": 2, "stop": []}}
            wire.result(wire.post("asample", base_model=NANO, **body))
    with served(data_dir=tmp_path, options=Options(now=clock)) as (_, wire):
        assert usage(wire, clock.now) == [("sampling_prefill", 6), ("sampling_sample", 4)]


@pytest.mark.parametrize(
    ("start", "hours", "says"),
    [(0.5, 1, "full hour"), (-1, 0, "come after"), (-1, 14 * 24 + 1, "14 days"), (1, 1, "future")],
)
def test_windows_that_cannot_be_are_refused(start: float, hours: int, says: str) -> None:
    """The 400 says which rule the window breaks."""
    clock = Clock(1_800_000_000.0 // HOUR * HOUR)
    with served(options=Options(now=clock)) as (_, wire):
        begin = clock.now + start * HOUR
        query = {"starting_on": at(begin), "ending_before": at(begin + hours * HOUR)}
        answer = wire.http.get("billing/usage/events", params=query)
        assert answer.status_code == 400
        assert says in answer.json()["detail"]
        query["starting_on"] = "yesterday"
        assert wire.http.get("billing/usage/events", params=query).status_code == 422


def test_audit_log_has_what_happened_to_a_checkpoint() -> None:
    """Every change and every reading, in order, with its path and its purpose."""
    clock = Clock()
    with served(options=Options(now=clock)) as (server, wire):
        model = wire.model()
        path = model.call("save_weights", path="a")["path"]
        route = f"training_runs/{model.model_id}/checkpoints/weights/a"
        wire.http.post(f"{route}/publish")
        wire.http.post(f"{route}/publish")
        wire.http.delete(f"{route}/publish")
        wire.send(f"{route}/ttl", "PUT", ttl_seconds=HOUR)
        model.call("load_weights", path=path, optimizer=True)
        wire.sampler(model_path=path)
        wire.http.get(wire.http.get(f"{route}/archive").headers["location"])
        model.call("save_weights", path="a", overwrite=True, ttl_seconds=HOUR)
        model.call("save_weights", path="b")
        wire.http.delete(f"training_runs/{model.model_id}/checkpoints/weights/b")
        wire.http.delete(f"training_runs/{model.model_id}/checkpoints/weights/b")
        clock.now += HOUR
        server._app_state.upkeep()
        entries = wire.get("audit")["entries"]
        told = [(one["event"], one.get("purpose"), one["tinker_path"][-1]) for one in entries]
        assert told == [
            ("checkpoint_create", None, "a"),
            ("checkpoint_publish", None, "a"),
            ("checkpoint_unpublish", None, "a"),
            ("checkpoint_set_ttl", None, "a"),
            ("checkpoint_read", "training", "a"),
            ("checkpoint_read", "sampling", "a"),
            ("checkpoint_read", "download", "a"),
            ("checkpoint_create", None, "a"),
            ("checkpoint_create", None, "b"),
            ("checkpoint_delete", None, "b"),
            ("checkpoint_expire", None, "a"),
        ]
        assert entries[0]["model_id"] == model.model_id
        assert entries[0]["event_details"]["size_bytes"] > 0
        assert entries[7]["event_details"]["overwritten"] is True


def test_audit_log_is_asked_by_day_and_kind() -> None:
    """A day goes from midnight to midnight UTC; project events are kept apart from checkpoints'."""
    clock = Clock(datetime(2027, 1, 15, 23, 0, tzinfo=UTC).timestamp())

    def events(**query: str) -> list[str]:
        entries: list[dict[str, Any]] = wire.get("audit", **query)["entries"]
        return [one["event"] for one in entries]

    with served(options=Options(now=clock)) as (_, wire):
        model = wire.model()
        model.call("save_weights", path="a")
        clock.now += timedelta(hours=2).total_seconds()
        wire.send(f"sessions/{model.session_id}/project", "PUT", project_id="p")
        assert events() == ["project_assign"]
        assert events(day="2027-01-15") == ["checkpoint_create"]
        assert events(day="2027-01-16", event_type="checkpoints") == []
        assert events(day="2027-01-16", event_type="projects") == ["project_assign"]
        assert events(event_type="teams") == events(day="2026-01-01") == []
        assert wire.http.get("audit", params={"day": "20270115"}).status_code == 422
