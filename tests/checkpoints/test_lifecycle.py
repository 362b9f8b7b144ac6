"""Deleting takes what was named, and pruning takes nothing that is still wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.nano import NANO
from support.scripted import Script, scripted_service

from tinkex import RestClient, ServiceClient
from tinkex.checkpoints import delete, prune
from tinkex.errors import NotFoundError, ValidationError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BASE = "tinker://S:train:0"


def listed(kind: str, name: str, days: int, *, run: str = "S:train:0", public: bool = False) -> Any:
    return {
        "checkpoint_id": f"{kind}/{name}",
        "checkpoint_type": "training" if kind == "weights" else "sampler",
        "time": (NOW - timedelta(days=days)).isoformat(),
        "tinker_path": f"tinker://{run}/{kind}/{name}",
        "public": public,
    }


ALL = [
    listed("weights", "a", 40),
    listed("weights", "c", 1),
    listed("weights", "b", 20),
    listed("weights", "shown", 50, public=True),
    listed("sampler_weights", "a", 40),
    listed("weights", "a", 60, run="R:train:0"),
]


@pytest.fixture
def script() -> Script:
    page = {"checkpoints": ALL, "cursor": {"offset": 0, "limit": 100, "total_count": len(ALL)}}
    script = Script().on("GET checkpoints", page)
    for entry in ALL:
        run, kind, name = entry["tinker_path"].removeprefix("tinker://").split("/")
        script.on(f"DELETE training_runs/{run}/checkpoints/{kind}/{name}", (204, b""))
    return script


@pytest.fixture
def rest(script: Script) -> Iterator[RestClient]:
    with scripted_service(script, FakeClock()) as service:
        yield service.create_rest_client()


def deletions(script: Script) -> int:
    return sum(request.route.startswith("DELETE") for request in script.received)


@pytest.mark.parametrize(
    ("conditions", "going"),
    [
        ({"older_than": timedelta(days=30)}, ["sampler_weights/a", "weights/a", "R"]),
        ({"older_than": timedelta(days=10)}, ["sampler_weights/a", "weights/a", "weights/b", "R"]),
        ({"keep_last": 1}, ["weights/a", "weights/b"]),
        ({"keep_last": 0}, ["sampler_weights/a", "weights/a", "weights/b", "weights/c", "R"]),
        ({"older_than": timedelta(days=30), "keep_last": 1}, ["weights/a"]),
        ({"keep_last": 3, "include_public": True}, ["weights/shown"]),
    ],
    ids=str,
)
def test_prune_takes_what_meets_all_conditions(
    rest: RestClient, script: Script, conditions: dict[str, Any], going: list[str]
) -> None:
    """The last are counted by run and kind; a dry run says the same paths and deletes none."""
    expected = {
        "tinker://R:train:0/weights/a" if name == "R" else f"{BASE}/{name}" for name in going
    }
    said = prune(rest, **conditions, dry_run=True, now=NOW)
    assert said.dry_run
    assert set(said.deleted) == expected
    assert deletions(script) == 0
    done = prune(rest, **conditions, now=NOW)
    assert set(done.deleted) == expected
    assert deletions(script) == len(going)


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"keep_last": -1},
        {"keep_last": True},
        {"older_than": timedelta(days=-1)},
        {"keep_last": 1, "now": datetime(2026, 1, 1)},  # noqa: DTZ001
    ],
    ids=str,
)
def test_prune_without_a_condition_that_can_be_meant_does_nothing(
    rest: RestClient, script: Script, conditions: dict[str, Any]
) -> None:
    """Nothing is sent; the error names the argument."""
    with pytest.raises(ValidationError):
        prune(rest, **conditions)
    assert script.received == []


def test_many_are_deleted_after_one_confirmation(rest: RestClient, script: Script) -> None:
    """All paths are shown at once; a path that is there twice is deleted once."""
    asked: list[Sequence[str]] = []
    paths = [f"{BASE}/weights/a", f"{BASE}/weights/b", f"{BASE}/weights/a"]
    done = delete(rest, paths, confirm=lambda shown: not asked.append(shown))
    assert asked == [paths[:2]]
    assert done.deleted == tuple(paths[:2])
    assert deletions(script) == 2


def test_without_the_confirmation_nothing_is_deleted(rest: RestClient, script: Script) -> None:
    """No means no, for one as for many."""
    done = delete(rest, f"{BASE}/weights/a", confirm=lambda _: False)
    assert (done.deleted, done.failures) == ((), ())
    assert deletions(script) == 0


def test_one_that_fails_does_not_keep_the_others(rest: RestClient, script: Script) -> None:
    """The failure comes back with its path and its error."""
    script.on("DELETE training_runs/S:train:0/checkpoints/weights/a", (404, {"detail": "gone"}))
    done = delete(rest, [f"{BASE}/weights/a", f"{BASE}/weights/b"])
    assert done.deleted == (f"{BASE}/weights/b",)
    [(path, error)] = done.failures
    assert path == f"{BASE}/weights/a"
    assert isinstance(error, NotFoundError)


def test_a_wrong_path_among_many_deletes_none(rest: RestClient, script: Script) -> None:
    """All are checked before the first goes."""
    with pytest.raises(ValidationError):
        delete(rest, [f"{BASE}/weights/a", "https://elsewhere/x"])
    assert script.received == []


def test_a_checkpoint_of_the_local_server_is_kept_shown_and_copied(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Expiry, publication and a copy are what the list says of it afterwards; the files are the same."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    path = training.save_weights_for_sampler("s").result().path or ""
    rest = nano_service.create_rest_client()

    def now(run: str = training.model_id) -> Any:
        [found] = rest.list_checkpoints(run).checkpoints
        return found

    assert now().expires_at is None
    rest.set_checkpoint_ttl(path, 86_400)
    assert now().expires_at is not None
    rest.set_checkpoint_ttl(path, None)
    assert now().expires_at is None
    assert not now().public
    rest.publish_checkpoint(path)
    assert now().public
    rest.unpublish_checkpoint(path)
    assert not now().public

    copied = rest.copy_weights(path, destination_project_id="archive").tinker_path
    assert copied != path
    assert delete(rest, path).deleted == (path,)
    got = rest.download_checkpoint(copied, tmp_path)
    assert {file.name for file in got.files} >= {"adapter_model.safetensors"}
    assert delete(rest, copied).deleted == (copied,)


def test_the_local_servers_checkpoints_are_pruned(nano_service: ServiceClient) -> None:
    """Of three of a run the newest stays."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    paths = [training.save_state(f"s{number}").result().path for number in range(3)]
    rest = nano_service.create_rest_client()
    done = prune(rest, keep_last=1, training_run_id=training.model_id)
    assert set(done.deleted) == set(paths[:2])
    assert [one.tinker_path for one in rest.iter_checkpoints(training.model_id)] == paths[2:]
