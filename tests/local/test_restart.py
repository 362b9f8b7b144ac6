"""What outlives a server process, however it ended."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from local.wire import NANO, Model, Wire, prompt, serve_process, served

from tinkex.local.datadir import DATABASE_NAME


def folders(data_dir: Path) -> set[str]:
    return {folder.name for folder in (data_dir / "checkpoints").iterdir()}


def rows(data_dir: Path) -> set[str]:
    with sqlite3.connect(data_dir / DATABASE_NAME) as connection:
        found = {row[0] for row in connection.execute("SELECT folder FROM checkpoints")}
    connection.close()
    return found


def test_training_continues_in_a_new_process_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Saved with the optimizer, loaded in another process: the next losses are equal."""
    with serve_process(tmp_path) as (_, wire):
        model = wire.model(lora_config={"rank": 4, "seed": 11})
        for _ in range(3):
            model.step()
        path = model.call("save_weights", path="half-way")["path"]
        sampler = model.call("save_weights_for_sampler", path="s")["path"]
        expected = [model.step() for _ in range(3)]
    with serve_process(tmp_path) as (_, wire):
        session = wire.session()
        body = {"session_id": session, "model_seq_id": 0, "path": path, "optimizer": True}
        made = wire.result(wire.post("load_weights", **body))
        resumed = Model(wire, made["model_id"], session)
        assert [resumed.step() for _ in range(3)] == expected
        (run,) = [
            run
            for run in wire.get("training_runs")["training_runs"]
            if run["training_run_id"] == model.model_id
        ]
        assert run["last_checkpoint"]["tinker_path"] == path
        assert wire.post("weights_info", tinker_path=path)["lora_rank"] == 4
        sample = {"prompt": prompt(5), "sampling_params": {"max_tokens": 2}}
        assert wire.result(wire.post("asample", model_path=sampler, **sample))["sequences"]
        archive = wire.http.get(
            f"training_runs/{model.model_id}/checkpoints/weights/half-way/archive"
        )
        assert httpx.get(archive.headers["location"]).status_code == 200


def test_kill_loses_no_acknowledged_checkpoint(tmp_path: Path) -> None:
    """kill -9 amid saves: what was acknowledged is whole, what was not leaves nothing."""
    acknowledged = []
    with serve_process(tmp_path) as (process, wire):
        model = wire.model()
        promises = [model.submit("save_weights", path=f"c{index}") for index in range(30)]
        model.submit("save_weights", path="c0", overwrite=True)
        for promise in promises[:7]:
            acknowledged.append(wire.result(promise)["path"])
        process.kill()
        process.wait()
    with serve_process(tmp_path) as (_, wire):
        listed = wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"]
        assert {one["tinker_path"] for one in listed} >= set(acknowledged)
        assert folders(tmp_path) == rows(tmp_path)
        assert len(list((tmp_path / "staging").glob("*.lock"))) == 1
        session = wire.session()
        for number, one in enumerate(listed):
            body = {"session_id": session, "model_seq_id": number, "optimizer": True}
            wire.result(wire.post("load_weights", path=one["tinker_path"], **body))
        assert wire.send("session_heartbeat", session_id=model.session_id).status_code == 410


def test_two_servers_share_a_data_folder(tmp_path: Path) -> None:
    """Both save at once, each sees all checkpoints, and neither clears the other's work."""
    with served(data_dir=tmp_path) as (_, mine), serve_process(tmp_path) as (_, theirs):

        def save(wire: Wire) -> list[str]:
            model = wire.model()
            promises = [model.submit("save_weights", path=f"c{index}") for index in range(10)]
            return [wire.result(promise)["path"] for promise in promises]

        with ThreadPoolExecutor() as pool:
            saved = list(pool.map(save, (mine, theirs)))
        everything = {path for paths in saved for path in paths}
        for wire in (mine, theirs):
            listed = wire.get("checkpoints", limit=100)["checkpoints"]
            assert {one["tinker_path"] for one in listed} == everything
        session = mine.session()
        body = {"session_id": session, "model_seq_id": 0, "optimizer": True}
        mine.result(mine.post("load_weights", path=saved[1][0], **body))
        foreign = theirs.send("session_heartbeat", session_id=session)
        assert foreign.status_code == 410
        assert "another server" in foreign.json()["detail"]
    assert folders(tmp_path) == rows(tmp_path)


def test_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that breaks half-way is reported, and neither file nor name is taken."""
    from tinkex.local.engine import Trainer

    real = Trainer.save

    def breaks(self: Trainer, folder: Path, optimizer: bool) -> None:
        real(self, folder, optimizer)
        raise OSError(28, "No space left on device")

    with served(data_dir=tmp_path) as (_, wire):
        model = wire.model()
        monkeypatch.setattr(Trainer, "save", breaks)
        failed = wire.outcome(model.submit("save_weights", path="a"))
        assert failed["category"] == "server"
        assert "No space left" in failed["error"]
        assert folders(tmp_path) == set()
        assert not list((tmp_path / "staging").glob("*/*"))
        monkeypatch.undo()
        model.call("save_weights", path="a")


def test_data_folder_is_private(tmp_path: Path) -> None:
    """Checkpoints and the database are for their owner alone."""
    with served(data_dir=tmp_path / "new" / "data") as (server, wire):
        assert wire.model(base_model=NANO)
        assert server.data_dir.stat().st_mode & 0o777 == 0o700
        assert (server.data_dir / DATABASE_NAME).stat().st_mode & 0o777 == 0o600


def test_newer_layout_is_refused(tmp_path: Path) -> None:
    """A database of a later tinkex is not touched."""
    from tinkex.local import LocalServer

    with served(data_dir=tmp_path):
        pass
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RuntimeError, match="newer tinkex"):
        LocalServer(data_dir=tmp_path).start()
