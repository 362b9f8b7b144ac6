"""Servers without archives are downloaded from file by file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.archive_host import ArchiveHost, archive_host
from support.clock import FakeClock
from support.nano import NANO
from support.scripted import Script, scripted_service

from tinkex import RestClient, ServiceClient
from tinkex.checkpoints import Limits, download
from tinkex.errors import NotFoundError, ServerError, UnsafeArchiveError

PATH = "tinker://S:train:0/external_weights/out"
NAME = "S_train_0_external_weights_out"
BASE = "GET training_runs/S:train:0/checkpoints/external_weights/out"
CONTENT = bytes(range(256)) * 200


@pytest.fixture
def host() -> Iterator[ArchiveHost]:
    with archive_host(CONTENT) as host:
        yield host


@pytest.fixture
def script() -> Script:
    return Script().on(f"{BASE}/archive", (404, {"detail": "no such route"}))


@pytest.fixture
def rest(script: Script) -> Iterator[RestClient]:
    with scripted_service(script, FakeClock()) as service:
        yield service.create_rest_client()


def urls(*names: str, at: str) -> dict[str, Any]:
    return {
        "urls": {name: f"{at}/{number}?signature=secret" for number, name in enumerate(names)},
        "expires": "2027-01-01T00:00:00Z",
    }


@pytest.mark.holds("F34")
def test_an_exports_files_arrive_under_their_names(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """F34: each file is fetched by itself; one that is cut is gone on with, signed anew."""
    host.cuts = [None, 1000]
    script.on(f"{BASE}/external_weights_urls", urls("a.json", "sub/b.bin", at=host.url))
    heard: list[tuple[int, int | None]] = []
    got = download(rest, PATH, tmp_path, progress=lambda *said: heard.append(said))
    assert [file.relative_to(got.folder).as_posix() for file in got.files] == [
        "a.json",
        "sub/b.bin",
    ]
    assert all(file.read_bytes() == CONTENT for file in got.files)
    assert host.headers("range") == [None, None, "bytes=1000-"]
    assert heard[-1] == (2 * len(CONTENT), None)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.holds("F39")
def test_an_interrupted_export_continues_when_it_is_called_again(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """F39: files that were whole are asked for nothing but whether they still are."""
    script.on(f"{BASE}/external_weights_urls", urls("a", "b", "c", at=host.url))

    def interrupt(have: int, total: int | None) -> None:
        # At the end of the second file, however the network cut it.
        if have == 2 * len(CONTENT):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(rest, PATH, tmp_path, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [f".{NAME}.partial"]
    before = len(host.requests)
    host.statuses, host.unsatisfied = [416, 416], f"bytes */{len(CONTENT)}"
    got = download(rest, PATH, tmp_path)
    assert [file.read_bytes() for file in got.files] == [CONTENT] * 3
    there = f"bytes={len(CONTENT)}-"
    assert host.headers("range")[before:] == [there, there, None]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.holds("F40")
@pytest.mark.parametrize("status", [409, 425, 503])
def test_an_export_that_is_being_made_is_waited_for(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path, status: int
) -> None:
    """F40: for five minutes the server says that it is not ready, and progress hears it."""
    busy = [(status, {"detail": "being made"}, {"Retry-After": "60"})] * 5
    script.on(f"{BASE}/external_weights_urls", *busy, urls("a", at=host.url))
    heard: list[tuple[int, int | None]] = []
    got = download(rest, PATH, tmp_path, progress=lambda *said: heard.append(said))
    assert [file.read_bytes() for file in got.files] == [CONTENT]
    assert sum(rest.clock.slept) >= 300
    assert heard[:5] == [(0, None)] * 5


@pytest.mark.holds("F40")
def test_an_export_that_never_comes_says_so(
    rest: RestClient, script: Script, tmp_path: Path
) -> None:
    """F40: after the patience it is not the missing archive that is told."""
    script.on(f"{BASE}/external_weights_urls", (503, {"detail": "made soon"}, {"Retry-After": "9"}))
    with pytest.raises(ServerError, match="made soon"):
        download(rest, PATH, tmp_path, patience=100)
    assert 50 <= sum(rest.clock.slept) <= 100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.holds("S9")
def test_files_that_are_too_large_together_are_refused(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """S9: the limit is one for all files of an export, and nothing of it stays."""
    script.on(f"{BASE}/external_weights_urls", urls("a", "b", at=host.url))
    with pytest.raises(UnsafeArchiveError, match="larger than"):
        download(rest, PATH, tmp_path, limits=Limits(total_bytes=len(CONTENT) + 1))
    with pytest.raises(UnsafeArchiveError, match="more than 1 files"):
        download(rest, PATH, tmp_path, limits=Limits(entries=1))


@pytest.mark.holds("S10")
@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a\0b", "nul.txt", "C:x", "a\\..\\b", "", "x" * 300]
)
def test_a_file_name_that_leaves_the_folder_is_refused(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path, name: str
) -> None:
    """S10: names come from the server and are checked like those of an archive, before a fetch."""
    script.on(f"{BASE}/external_weights_urls", urls("good", name, at=host.url))
    with pytest.raises(UnsafeArchiveError):
        download(rest, PATH, tmp_path)
    assert host.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_with_neither_route_gives_its_first_refusal(
    rest: RestClient, script: Script, tmp_path: Path
) -> None:
    """What the archive's route said comes through if there are no files either."""
    script.on(f"{BASE}/external_weights_urls", (404, {"detail": "other"}))
    with pytest.raises(NotFoundError, match="no such route"):
        download(rest, PATH, tmp_path)


def test_an_export_of_the_local_server_comes_home(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """An exported adapter is downloaded with its files."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    path = training.save_weights_external("out").result().path
    got = nano_service.create_rest_client().download_checkpoint(path, tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {f.name for f in got.files}


RUN = "GET training_runs/R/checkpoints"
STATE = "tinker://R/weights/s"
EXPORT = "tinker://M/external_weights/download"


def without_archives(script: Script) -> None:
    """Let a server have exports, and no archive of its training checkpoints any more."""
    missing = (404, {"detail": "Not Found"})
    script.on(f"{RUN}/weights/s/archive", missing)
    script.on(f"{RUN}/weights/s/external_weights_urls", (400, {"detail": "no export"}))
    script.on("POST weights_info", {"base_model": "B", "is_lora": True, "lora_rank": 4})
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST load_weights", {"path": STATE})
    script.on("POST save_weights_external", {"path": EXPORT})
    script.on("POST unload_model", {"model_id": "M"})
    script.on("DELETE training_runs/M/checkpoints/external_weights/download", (204, b""))


def test_a_training_checkpoint_is_exported_to_be_downloaded(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """A session resumes it, exports it for an hour, and ends; the export is deleted at once."""
    without_archives(script)
    urls_of_export = (
        "GET training_runs/M/checkpoints/external_weights/download/external_weights_urls"
    )
    script.on(urls_of_export, urls("adapter_config.json", at=host.url))
    got = download(rest, STATE, tmp_path)
    assert [file.name for file in got.files] == ["adapter_config.json"]
    assert got.folder.name == "R_weights_s"
    made = script.bodies("save_weights_external")[1]
    assert (made["path"], made["ttl_seconds"]) == ("download", 3600)
    assert script.bodies("load_weights")[0]["path"] == STATE
    assert script.paths()[-2:] == [
        "DELETE training_runs/M/checkpoints/external_weights/download",
        "POST unload_model",
    ]
    assert len(script.sent("sessions/S/finish")) == 1


def test_a_server_without_exports_makes_no_model_for_one(
    rest: RestClient, script: Script, tmp_path: Path
) -> None:
    """Whether it has the route is asked first, and the refusal of the archive is raised."""
    without_archives(script)
    script.on("POST save_weights_external", (404, {"detail": "Not Found"}))
    with pytest.raises(NotFoundError, match="get_checkpoint_archive_url"):
        download(rest, STATE, tmp_path)
    assert script.sent("create_model") == []
