"""Runs and checkpoints: lists, deletion, publishing, expiry, archives."""

from __future__ import annotations

import io
import tarfile
from datetime import datetime
from typing import Any

import httpx
import pytest
from local.wire import Clock, Model, Wire, served

from tinkex.local.app_state import Options


def route(model: Model, checkpoint_id: str, *more: str) -> str:
    return "/".join((f"training_runs/{model.model_id}/checkpoints/{checkpoint_id}", *more))


def test_checkpoints_are_listed_newest_first_in_pages() -> None:
    """Pages of all checkpoints walk through them without gap; a run's list is whole."""
    with served() as (_, wire):
        model, other = wire.model(), wire.model()
        for name in ("a", "b"):
            model.call("save_weights", path=name)
        other.call("save_weights_for_sampler", path="c", user_metadata={"epoch": "1"})
        pages = [wire.get("checkpoints", limit=2, offset=offset) for offset in (0, 2)]
        assert pages[0]["cursor"] == {"offset": 0, "limit": 2, "total_count": 3}
        listed = [one for page in pages for one in page["checkpoints"]]
        assert [one["checkpoint_id"] for one in listed] == [
            "sampler_weights/c",
            "weights/b",
            "weights/a",
        ]
        assert listed[0]["checkpoint_type"] == "sampler"
        assert listed[0]["user_metadata"] == {"epoch": "1"}
        assert listed[1]["checkpoint_type"] == "training"
        assert listed[1]["size_bytes"] > 0
        own = wire.get(f"training_runs/{model.model_id}/checkpoints")
        assert [one["checkpoint_id"] for one in own["checkpoints"]] == ["weights/b", "weights/a"]
        assert "cursor" not in own
        run = wire.get(f"training_runs/{model.model_id}")
        assert run["last_checkpoint"]["checkpoint_id"] == "weights/b"
        assert "last_sampler_checkpoint" not in run


def test_runs_are_listed_newest_first_in_pages() -> None:
    """Runs have a cursor that counts them all."""
    with served() as (_, wire):
        session = wire.session()
        made = [wire.model(session, number).model_id for number in range(3)]
        pages = [wire.get("training_runs", limit=2, offset=offset) for offset in (0, 2)]
        ids = [run["training_run_id"] for page in pages for run in page["training_runs"]]
        assert ids == made[::-1]
        assert pages[1]["cursor"] == {"offset": 2, "limit": 2, "total_count": 3}
        assert wire.http.get("training_runs/none").status_code == 404
        assert wire.http.get("training_runs/none/checkpoints").status_code == 404


def test_deleted_checkpoint_is_gone_with_its_files(wire: Wire, server: Any) -> None:
    """After a delete nothing finds the checkpoint and its folder is empty space."""
    model = wire.model()
    path = model.call("save_weights", path="a")["path"]
    folder = server._app_state.checkpoints.folder(server._app_state.weights_at(path)[0])
    assert folder.is_dir()
    assert wire.http.delete(route(model, "weights/a")).status_code == 204
    assert not folder.exists()
    assert wire.http.delete(route(model, "weights/a")).status_code == 404
    assert wire.send("weights_info", tinker_path=path).status_code == 404
    model.call("save_weights", path="a")


def test_unknown_kinds_and_unknown_exports_are_told_apart(wire: Wire) -> None:
    """An invented kind is a 422; an export that was never made, a 404."""
    model = wire.model()
    assert wire.http.delete(route(model, "other/a")).status_code == 422
    assert wire.http.delete(route(model, "external_weights/a")).status_code == 404


def test_publishing_twice_is_a_conflict(wire: Wire) -> None:
    """Publish and unpublish change the flag once; repeating them is a conflict."""
    model = wire.model()
    model.call("save_weights", path="a")
    publish = route(model, "weights/a", "publish")
    steps = [wire.http.post, wire.http.post, wire.http.delete, wire.http.delete]
    assert [step(publish).status_code for step in steps] == [204, 400, 204, 400]
    wire.http.post(publish)
    (listed,) = wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"]
    assert listed["public"] is True
    assert wire.http.post(route(model, "weights/b", "publish")).status_code == 404


def test_checkpoints_expire() -> None:
    """A checkpoint with a time to live is there before its end and gone after it."""
    clock = Clock()
    with served(options=Options(now=clock)) as (server, wire):
        model = wire.model()
        model.call("save_weights", path="short", ttl_seconds=3600)
        path = model.call("save_weights", path="kept")["path"]
        run = f"training_runs/{model.model_id}/checkpoints"
        kept, short = wire.get(run)["checkpoints"]
        assert "expires_at" not in kept
        assert datetime.fromisoformat(short["expires_at"]).timestamp() == clock.now + 3600
        clock.now += 3599
        assert len(wire.get(run)["checkpoints"]) == 2
        clock.now += 1
        assert wire.get(run)["checkpoints"] == [kept]
        gone = wire.send("weights_info", tinker_path=short["tinker_path"])
        assert gone.status_code == 404
        assert wire.get("checkpoints")["cursor"]["total_count"] == 1
        assert len(list(server._app_state.data.checkpoints.iterdir())) == 2
        server._app_state.upkeep()
        assert len(list(server._app_state.data.checkpoints.iterdir())) == 1
        model.call("save_weights", path="short")
        assert wire.post("weights_info", tinker_path=path)


def test_expiry_continues_when_other_upkeep_fails(caplog: pytest.LogCaptureFixture) -> None:
    """One part of the upkeep that cannot be done keeps none of the others from being done."""
    clock = Clock()
    with served(options=Options(now=clock, monotonic=clock, session_timeout_s=50)) as (
        server,
        wire,
    ):
        model = wire.model()
        model.call("save_weights", path="a", ttl_seconds=3600)
        clock.now += 3600
        server._app_state.database.execute("DROP TABLE runs")
        server._app_state.upkeep()
        assert "a part of the upkeep failed" in caplog.text
        assert not list(server._app_state.data.checkpoints.iterdir())
        assert wire.send("session_heartbeat", session_id=model.session_id).status_code == 410


def test_the_name_of_an_expired_checkpoint_is_free() -> None:
    """Nobody has to wait for the clean-up."""
    clock = Clock()
    with served(options=Options(now=clock)) as (_, wire):
        model = wire.model()
        model.call("save_weights", path="a", ttl_seconds=3600)
        clock.now += 3600
        model.call("save_weights", path="a")


def test_ttl_can_be_changed_and_removed() -> None:
    """PUT ttl counts from now; null keeps the checkpoint for good."""
    clock = Clock()
    with served(options=Options(now=clock)) as (_, wire):
        model = wire.model()
        model.call("save_weights", path="a")
        ttl = route(model, "weights/a", "ttl")
        clock.now += 10
        assert wire.send(ttl, "PUT", ttl_seconds=7200).status_code == 204
        (listed,) = wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"]
        assert datetime.fromisoformat(listed["expires_at"]).timestamp() == clock.now + 7200
        assert wire.send(ttl, "PUT", ttl_seconds=None).status_code == 204
        clock.now += 10**9
        (listed,) = wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"]
        assert "expires_at" not in listed
        assert wire.send(ttl, "PUT", ttl_seconds=59).status_code == 422
        assert wire.send(ttl, "PUT").status_code == 422


def location(wire: Wire, model: Model, checkpoint_id: str) -> str:
    answer = wire.http.get(route(model, checkpoint_id, "archive"))
    assert answer.status_code == 302
    assert answer.headers["expires"].endswith("GMT")
    return answer.headers["location"]


@pytest.mark.parametrize(
    ("save", "kind", "files"),
    [
        (
            "save_weights",
            "weights",
            [
                "adapter_config.json",
                "adapter_model.safetensors",
                "checkpoint_complete",
                "optimizer.safetensors",
            ],
        ),
        (
            "save_weights_for_sampler",
            "sampler_weights",
            ["adapter_config.json", "adapter_model.safetensors", "checkpoint_complete"],
        ),
    ],
)
def test_archive_holds_the_adapter(wire: Wire, save: str, kind: str, files: list[str]) -> None:
    """The archive is a plain tar of regular files at the top level."""
    model = wire.model()
    model.call(save, path="a")
    # A signed URL needs no key and no client of ours.
    content = httpx.get(location(wire, model, f"{kind}/a")).content
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == files
        assert all(member.isreg() and member.mtime == 0 for member in members)


def test_archive_can_be_resumed_by_ranges(wire: Wire) -> None:
    """Ranges give the parts of the same bytes, as long as the ETag is the same."""
    model = wire.model()
    model.call("save_weights", path="a")
    url = location(wire, model, "weights/a")
    whole = httpx.get(url)
    assert whole.headers["accept-ranges"] == "bytes"
    etag = whole.headers["etag"]
    half = len(whole.content) // 2
    parts = [
        httpx.get(url, headers={"range": text, "if-range": etag})
        for text in (f"bytes=0-{half - 1}", f"bytes={half}-")
    ]
    assert [part.status_code for part in parts] == [206, 206]
    assert (
        parts[1].headers["content-range"]
        == f"bytes {half}-{len(whole.content) - 1}/{len(whole.content)}"
    )
    assert b"".join(part.content for part in parts) == whole.content
    other = httpx.get(url, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert other.status_code == 200
    assert httpx.get(url, headers={"if-none-match": etag}).status_code == 304
    assert httpx.get(url, headers={"range": f"bytes={10**9}-"}).status_code == 416


def test_archive_is_the_same_whenever_it_is_made(wire: Wire, server: Any) -> None:
    """Two builds of one checkpoint give equal bytes; an overwritten one has another ETag."""
    model = wire.model()
    model.call("save_weights", path="a")
    url = location(wire, model, "weights/a")
    first = httpx.get(url)
    for archive in server._app_state.data.archives.iterdir():
        archive.unlink()
    assert httpx.get(url).content == first.content
    model.call("save_weights", path="a", overwrite=True)
    assert httpx.get(url).headers["etag"] != first.headers["etag"]


def test_signed_urls_expire_and_cannot_be_changed() -> None:
    """A URL is good for one checkpoint and one hour."""
    clock = Clock()
    with served(options=Options(now=clock), api_key="tml-secret") as (server, _):
        wire = Wire(server.base_url, **{"x-api-key": "tml-secret"})
        model = wire.model()
        for name in ("a", "b"):
            model.call("save_weights", path=name)
        url = location(wire, model, "weights/a")
        assert httpx.get(url).status_code == 200
        assert httpx.get(url.replace("weights/a/", "weights/b/")).status_code == 403
        assert httpx.get(url.split("?")[0]).status_code == 422
        assert httpx.get(url.replace("expires=1", "expires=2")).status_code == 403
        clock.now += 3600
        assert httpx.get(url).status_code == 403
        assert httpx.get(location(wire, model, "weights/a")).status_code == 200
        wire.http.close()


def test_archive_of_nothing_is_a_404(wire: Wire) -> None:
    """An unknown checkpoint has no archive."""
    model = wire.model()
    assert wire.http.get(route(model, "weights/none", "archive")).status_code == 404


def test_archive_in_the_making_says_when_to_ask_again(wire: Wire, server: Any) -> None:
    """While another request makes the archive for long, 503 and Retry-After are the answer."""
    import threading

    model = wire.model()
    path = model.call("save_weights", path="a")["path"]
    archives = server._app_state.archives
    record, _ = server._app_state.weights_at(path)
    archives._building[record.folder_id] = threading.Event()
    archives.patience_s = 0.01
    try:
        busy = wire.http.get(route(model, "weights/a", "archive"))
        assert busy.status_code == 503
        assert int(busy.headers["retry-after"]) >= 1
    finally:
        del archives._building[record.folder_id]
        archives.patience_s = 5.0
    assert httpx.get(location(wire, model, "weights/a")).status_code == 200
