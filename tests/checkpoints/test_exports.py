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
from tinkex.checkpoints import download
from tinkex.errors import NotFoundError, UnsafeArchiveError

PATH = "tinker://S:train:0/external_weights/out"
NAME = "S:train:0_external_weights_out"
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
