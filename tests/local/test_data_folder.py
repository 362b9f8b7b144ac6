"""Starting the server deletes nothing but its own unfinished leftovers (F59)."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from local.wire import NANO, Clock, Model, Wire, served

from tinkex.local import LocalServer
from tinkex.local.app_state import Options
from tinkex.local.datadir import (
    DATABASE_NAME,
    MARK_NAME,
    RESULTS_NAME,
    ForeignFolderError,
    UnusableFolderError,
)
from tinkex.local.manifest import MANIFEST_NAME, read_manifest


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def set_aside(data_dir: Path) -> dict[str, bytes]:
    """Return what was set aside, by its path below the folder named by the time."""
    return {
        path.split("/", 1)[1]: content
        for path, content in files_below(data_dir / "set-aside").items()
    }


def saved(wire: Wire, *names: str, **more: Any) -> Model:
    model = wire.model(user_metadata={"what": "a test"}, **more)
    for name in names:
        model.step()
        model.call("save_weights", path=name)
    return model


def listed(wire: Wire) -> set[str]:
    return {one["tinker_path"] for one in wire.get("checkpoints", limit=100)["checkpoints"]}


def resumed(wire: Wire, path: str) -> float:
    """Train on from a checkpoint with its optimizer state; return the loss of the first step."""
    session = wire.session()
    body = {"session_id": session, "model_seq_id": 0, "path": path, "optimizer": True}
    made = wire.result(wire.post("load_weights", **body))
    return Model(wire, made["model_id"], session).step()


def change_rows(data_dir: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def lose_database(data_dir: Path) -> None:
    for file in (*data_dir.glob(f"{DATABASE_NAME}*"), *data_dir.glob(f"{RESULTS_NAME}*")):
        file.unlink()


def lose_plain_files(data_dir: Path) -> None:
    """Do what `rm *` does, and lose the hidden mark as well."""
    for path in data_dir.iterdir():
        if path.is_file():
            path.unlink()


def truncate_database(data_dir: Path) -> None:
    lose_database(data_dir)
    (data_dir / DATABASE_NAME).touch()


def empty_tables(data_dir: Path) -> None:
    change_rows(data_dir, "DELETE FROM checkpoints", "DELETE FROM runs", "DELETE FROM sessions")


def empty_runs(data_dir: Path) -> None:
    change_rows(data_dir, "DELETE FROM runs")


@pytest.mark.holds("F59")
@pytest.mark.parametrize(
    "lose", [lose_database, lose_plain_files, truncate_database, empty_tables, empty_runs]
)
def test_checkpoints_outlive_their_database(
    tmp_path: Path, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Lost or emptied in whatever way, the next start offers all that was saved."""
    with served(data_dir=tmp_path) as (_, wire):
        model = saved(wire, "a", "b")
        model.call("save_weights_for_sampler", path="s")
        model.call("save_weights_external", path="e")
        wire.http.put(
            f"training_runs/{model.model_id}/checkpoints/weights/b/ttl",
            json={"ttl_seconds": 86_400},
        ).raise_for_status()
        wire.http.post(
            f"training_runs/{model.model_id}/checkpoints/weights/a/publish"
        ).raise_for_status()
        paths, expected = listed(wire), resumed(wire, f"tinker://{model.model_id}/weights/b")
        route = f"training_runs/{model.model_id}/checkpoints"
        before = wire.get(route)["checkpoints"]
    content = files_below(tmp_path / "checkpoints")
    lose(tmp_path)
    with caplog.at_level(logging.WARNING), served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == paths
        assert len(paths) == 4
        assert wire.get(route)["checkpoints"] == before
        assert resumed(wire, f"tinker://{model.model_id}/weights/b") == expected
        run = wire.get(f"training_runs/{model.model_id}")
        assert (run["base_model"], run["lora_rank"]) == (NANO, 4)
        assert run["user_metadata"] == {"what": "a test"}
    assert files_below(tmp_path / "checkpoints") == content
    assert not (tmp_path / "set-aside").exists()
    if lose is not empty_runs:
        assert "found 4 checkpoints that the database did not know" in caplog.text


@pytest.mark.holds("F59")
def test_an_older_backup_of_the_database_loses_nothing(tmp_path: Path) -> None:
    """What was saved, overwritten, deleted or given more time since then stays so."""
    data, backup, clock = tmp_path / "data", tmp_path / "backup", Clock()
    with served(data_dir=data, options=Options(now=clock)) as (_, wire):
        model = saved(wire, "overwritten", "deleted")
        model.call("save_weights", path="kept", ttl_seconds=3_600)
    backup.mkdir()
    for file in data.glob("*.sqlite3*"):
        shutil.copy(file, backup)
    with served(data_dir=data, options=Options(now=clock)) as (_, wire):
        again = saved(wire, "new")
        route = f"training_runs/{model.model_id}/checkpoints/weights"
        assert wire.http.delete(f"{route}/deleted").status_code == 204
        wire.http.put(f"{route}/kept/ttl", json={"ttl_seconds": None}).raise_for_status()
        paths = listed(wire)
    # An overwriting needs the model in memory; this one is as the server leaves it.
    folder = folder_of(data, "overwritten")
    newer = data / "checkpoints" / ("0" * 32)
    shutil.move(folder, newer)
    for file in data.glob("*.sqlite3*"):
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, data)
    clock.now += 7_200
    with served(data_dir=data, options=Options(now=clock)) as (_, wire):
        assert listed(wire) == paths
        assert {path.rpartition("/")[2] for path in paths} == {"overwritten", "kept", "new"}
        for path in paths:
            resumed(wire, path)
        assert again.model_id != model.model_id


def folder_of(data_dir: Path, name: str) -> Path:
    """Return the folder of the checkpoint with this name."""
    (found,) = [
        folder
        for folder in (data_dir / "checkpoints").iterdir()
        if (manifest := read_manifest(folder)) and manifest.path.name == name
    ]
    return found


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Path]:
    """A folder of somebody's own, with the names that the server uses; it must stay as it is."""
    folder = tmp_path / "project"
    for path in ("checkpoints/run-1/model.bin", "archives/2026.tar", "staging/x/y", "notes.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    (folder / "staging" / "x.lock").touch()
    before = files_below(folder)
    yield folder
    assert files_below(folder) == before


@pytest.mark.holds("F59")
def test_a_folder_of_something_else_is_refused(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By --data-dir and by TINKEX_LOCAL_DIR; the message names the folder and what to do."""
    with pytest.raises(ForeignFolderError, match=r"neither empty nor .*'archives'.*--data-dir"):
        LocalServer(data_dir=foreign).start()
    monkeypatch.setenv("TINKEX_LOCAL_DIR", str(foreign))
    from tinkex.local.datadir import default_data_dir

    with pytest.raises(ForeignFolderError, match="project"):
        LocalServer(data_dir=default_data_dir()).start()


@pytest.mark.holds("F59")
def test_a_link_is_not_followed(tmp_path: Path, foreign: Path) -> None:
    """What a link called `checkpoints` points to is left alone, and the link is refused."""
    data = tmp_path / "data"
    with served(data_dir=data) as (_, wire):
        saved(wire, "a")
    for name in ("checkpoints", "archives", "staging"):
        (data / name).rename(tmp_path / name)
        (data / name).symlink_to(foreign / name, target_is_directory=True)
        with pytest.raises(ForeignFolderError, match=rf"{name} is a symbolic link"):
            LocalServer(data_dir=data).start()
        (data / name).unlink()
        (tmp_path / name).rename(data / name)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "checkpoints").symlink_to(foreign / "checkpoints")
    with pytest.raises(ForeignFolderError):
        LocalServer(data_dir=empty).start()


def test_a_linked_data_folder_is_as_good_as_any(tmp_path: Path) -> None:
    """The folder itself may be a link, for example to a larger disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk", target_is_directory=True)
    with served(data_dir=tmp_path / "data") as (_, wire):
        saved(wire, "a")
    with served(data_dir=tmp_path / "disk") as (_, wire):
        assert len(listed(wire)) == 1


@pytest.mark.holds("F59")
def test_foreign_files_in_a_data_folder_are_set_aside(
    tmp_path: Path, foreign: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved out of the server's folders, unchanged, with a line that says where; nothing else."""
    with served(data_dir=tmp_path / "data") as (_, wire):
        saved(wire, "a")
    data = tmp_path / "data"
    shutil.copytree(foreign, data, dirs_exist_ok=True)
    half = data / "checkpoints" / "deadbeef"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    (data / "archives" / f"{'0' * 32}.tar").write_bytes(b"an archive of what?")
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "precious").write_text("!")
    (data / "checkpoints" / "link").symlink_to(target, target_is_directory=True)
    with caplog.at_level(logging.WARNING), served(data_dir=data) as (_, wire):
        assert len(listed(wire)) == 1
        assert len(list((data / "checkpoints").iterdir())) == 1
        assert not list((data / "archives").iterdir())
    assert (data / "notes.txt").read_text() == "notes.txt"
    assert (target / "precious").read_text() == "!"
    assert set_aside(data) == {
        "checkpoints/run-1/model.bin": b"checkpoints/run-1/model.bin",
        "checkpoints/deadbeef/adapter_model.safetensors": b"half",
        "archives/2026.tar": b"archives/2026.tar",
        f"archives/{'0' * 32}.tar": b"an archive of what?",
        "staging/x/y": b"staging/x/y",
        "staging/x.lock": b"",
    }
    for name in ("run-1", "deadbeef", "2026.tar", "link"):
        assert f"{name} is not the server's: moved to" in caplog.text
    with served(data_dir=data):
        assert len(set_aside(data)) == 6


def test_a_dead_servers_staging_folder_is_cleared(tmp_path: Path) -> None:
    """Its lock file says that it was ours, and no process holds it."""
    with served(data_dir=tmp_path) as (server, _):
        text = next((tmp_path / "staging").glob("*.lock")).read_bytes()
        del server
    assert not list((tmp_path / "staging").iterdir())
    (tmp_path / "staging" / "dead" / "half").mkdir(parents=True)
    (tmp_path / "staging" / "dead.lock").write_bytes(text)
    (tmp_path / "staging" / "scarcely-born.lock").touch()
    with served(data_dir=tmp_path):
        assert len(list((tmp_path / "staging").glob("*.lock"))) == 1
        assert not (tmp_path / "staging" / "dead").exists()
    assert not list((tmp_path / "staging").iterdir())
    assert not (tmp_path / "set-aside").exists()


def test_a_server_killed_between_folder_and_row_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    """In place, but in no row: the next start offers it."""
    with served(data_dir=tmp_path) as (_, wire):
        path = saved(wire, "a").model_id
    change_rows(tmp_path, "DELETE FROM checkpoints")
    with served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == {f"tinker://{path}/weights/a"}


@pytest.mark.parametrize("committed", [False, True])
def test_a_server_killed_while_it_overwrites_leaves_one_checkpoint(
    tmp_path: Path, committed: bool
) -> None:
    """Whichever of the two has the row, the newer one names the older one, which goes."""
    data, kept = tmp_path / "data", tmp_path / "kept"
    with served(data_dir=data) as (_, wire):
        model = saved(wire, "a")
        shutil.copytree(data / "checkpoints", kept)
        model.step()
        model.call("save_weights", path="a", overwrite=True)
        expected = resumed(wire, f"tinker://{model.model_id}/weights/a")
    (newer,) = (folder.name for folder in (data / "checkpoints").iterdir())
    (older,) = (folder.name for folder in kept.iterdir())
    shutil.copytree(kept, data / "checkpoints", dirs_exist_ok=True)
    if not committed:
        change_rows(data, f"UPDATE checkpoints SET folder = '{older}'")
    with served(data_dir=data) as (_, wire):
        assert resumed(wire, f"tinker://{model.model_id}/weights/a") == expected
    assert [folder.name for folder in (data / "checkpoints").iterdir()] == [newer]
    assert not (data / "set-aside").exists()


def test_a_copied_checkpoint_does_not_take_the_name_of_the_first(tmp_path: Path) -> None:
    """Two folders that claim one name, neither saved over the other: the second is set aside."""
    with served(data_dir=tmp_path) as (_, wire):
        saved(wire, "a")
    (folder,) = (tmp_path / "checkpoints").iterdir()
    shutil.copytree(folder, tmp_path / "checkpoints" / "copy")
    with served(data_dir=tmp_path) as (_, wire):
        assert len(listed(wire)) == 1
    assert {name.split("/")[1] for name in set_aside(tmp_path)} == {"copy"}


def test_a_damaged_checkpoint_is_not_offered_again(tmp_path: Path) -> None:
    """A folder that lacks a part of a file is set aside when no row knows it, and never deleted."""
    with served(data_dir=tmp_path) as (_, wire):
        saved(wire, "a")
    (folder,) = (tmp_path / "checkpoints").iterdir()
    (folder / "adapter_model.safetensors").write_bytes(b"short")
    change_rows(tmp_path, "DELETE FROM checkpoints")
    with served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == set()
    assert any(name.endswith("adapter_model.safetensors") for name in set_aside(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"format": "tinkex local checkpoint", "version": 1, "checkpoint": {}}',
        (
            b'{"format": "tinkex local checkpoint", "version": 1, "replaces": null, "run": {},'
            b' "files": {}, "checkpoint": {"run_id": "../x", "kind": "weights", "name": "/etc"}}'
        ),
    ],
)
def test_a_manifest_that_makes_no_sense_is_none(tmp_path: Path, content: bytes) -> None:
    """It neither stops the start nor makes a row."""
    with served(data_dir=tmp_path):
        pass
    (tmp_path / "checkpoints" / "x").mkdir()
    (tmp_path / "checkpoints" / "x" / MANIFEST_NAME).write_bytes(content)
    with served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == set()
    assert list(set_aside(tmp_path).values()) == [content]


def test_a_folder_of_an_earlier_build_gets_mark_and_manifests(tmp_path: Path) -> None:
    """It had a database and neither; from now on it can lose the database too."""
    with served(data_dir=tmp_path) as (_, wire):
        saved(wire, "a")
        paths = listed(wire)
    (tmp_path / MARK_NAME).unlink()
    for manifest in (tmp_path / "checkpoints").glob(f"*/{MANIFEST_NAME}"):
        manifest.unlink()
    with served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == paths
    lose_database(tmp_path)
    with served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == paths


def test_rows_without_a_folder_go_and_their_names_are_free(tmp_path: Path) -> None:
    """A checkpoint whose files were deleted by hand is not offered."""
    with served(data_dir=tmp_path) as (_, wire):
        saved(wire, "a", "b")
    shutil.rmtree(folder_of(tmp_path, "a"))
    with served(data_dir=tmp_path) as (_, wire):
        assert {path[-1] for path in listed(wire)} == {"b"}


def test_the_description_is_not_given_out(tmp_path: Path) -> None:
    """Neither the archive nor the files of an export have it; a copy gets one of its own."""
    with served(data_dir=tmp_path) as (_, wire):
        model = saved(wire, "a")
        model.call("save_weights_external", path="e")
        urls = wire.get(
            f"training_runs/{model.model_id}/checkpoints/external_weights/e/external_weights_urls"
        )["urls"]
        assert set(urls) == {"adapter_config.json", "adapter_model.safetensors"}
        url = urls["adapter_config.json"].replace("adapter_config.json", MANIFEST_NAME)
        assert wire.http.get(url).status_code in (403, 404)
        source = f"tinker://{model.model_id}/weights/a"
        wire.post("copy_weights", source_path=source, destination_project_id="p")
        paths = listed(wire)
    lose_database(tmp_path)
    with served(data_dir=tmp_path) as (_, wire):
        assert listed(wire) == paths
        assert len(paths) == 3


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    """The server does not start, says which file it is and what to do, and changes nothing."""
    with served(data_dir=tmp_path) as (_, wire):
        saved(wire, "a")
    for file in tmp_path.glob(f"{DATABASE_NAME}*"):
        file.unlink()
    (tmp_path / DATABASE_NAME).write_bytes(b"no database" * 1_000)
    with pytest.raises(RuntimeError, match=r"tinkex\.sqlite3 is damaged.*move it away"):
        LocalServer(data_dir=tmp_path).start()
    (tmp_path / DATABASE_NAME).unlink()
    with served(data_dir=tmp_path) as (_, wire):
        assert len(listed(wire)) == 1


@pytest.mark.parametrize("failing", ["save", "delete"])
def test_a_failed_commit_leaves_folders_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """A full disk at the commit: the folder of a save goes, that of a deletion comes back."""
    with served(data_dir=tmp_path) as (server, wire):
        model = saved(wire, "a")
        before, state = files_below(tmp_path / "checkpoints"), server._app_state
        assert state is not None

        def full(*_: Any, **__: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        # Within the transaction, after the folders were moved.
        monkeypatch.setattr(type(state.audit), "add_within", full)
        if failing == "save":
            assert wire.outcome(model.submit("save_weights", path="b"))["category"] == "server"
        else:
            route = f"training_runs/{model.model_id}/checkpoints/weights/a"
            assert wire.http.delete(route).status_code == 500
        monkeypatch.undo()
        assert files_below(tmp_path / "checkpoints") == before
        assert len(listed(wire)) == 1
        model.call("save_weights", path="b")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With what to do; a file stands in its way here."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnusableFolderError, match=r"file/data cannot be made .*--data-dir"):
        LocalServer(data_dir=tmp_path / "file" / "data").start()
