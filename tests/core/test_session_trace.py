"""A session's trace, brought to the disk from the local server and from hosts that break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.archive_host import ArchiveHost, archive_host
from support.clock import FakeClock
from support.nano import nano_service
from support.scripted import Script, scripted_service

from tinkex import RestClient, ServiceClient
from tinkex.checkpoints import session_trace
from tinkex.errors import (
    CheckpointError,
    DownloadIncompleteError,
    NotFoundError,
    RequestFailedError,
    ValidationError,
)
from tinkex.types import AdamParams, Datum, ModelInput

__all__ = ["nano_service"]

TRACE = b'{"traceEvents": [' + b" " * 400_000 + b"]}"
EXPORT = "GET sessions/S/trace_export"


@pytest.fixture
def host() -> Iterator[ArchiveHost]:
    with archive_host(TRACE) as host:
        yield host


@pytest.fixture
def rest(host: ArchiveHost) -> Iterator[RestClient]:
    script = Script().on(EXPORT, {"status": "ready", "url": f"{host.url}/t?signature=secret"})
    with scripted_service(script, FakeClock(), api_key="tml-secret-key") as service:
        yield service.create_rest_client()


def test_the_trace_of_the_local_server_names_its_requests(
    nano_service: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name the file is called after the session."""
    monkeypatch.chdir(tmp_path)
    training = nano_service.create_lora_training_client("tinkex/nano", rank=2)
    data = [Datum(ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3]})]
    training.train_step(data, "cross_entropy", AdamParams())
    session_id = nano_service.session.id
    file = nano_service.create_rest_client().download_session_trace(session_id)
    assert file == tmp_path / f"{session_id}.trace.json"
    names = {event["name"] for event in json.loads(file.read_text())["traceEvents"]}
    assert {"forward_backward", "optim_step"} <= names
    assert list(tmp_path.iterdir()) == [file]


def test_a_trace_that_is_cut_continues_where_it_broke(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """The file is whole, and its host never sees the key."""
    host.cuts = [100_000, 100_000]
    file = rest.download_session_trace("S", tmp_path / "deep" / "trace.json")
    assert file.read_bytes() == TRACE
    assert host.headers("range") == [None, "bytes=100000-", "bytes=200000-"]
    assert host.headers("x-api-key") == [None] * 3


def test_a_file_that_is_there_is_replaced_only_when_asked(rest: RestClient, tmp_path: Path) -> None:
    """It is named, and stays as it is."""
    file = tmp_path / "trace.json"
    file.write_text("mine")
    with pytest.raises(ValidationError, match=r"^file: .*trace\.json exists already"):
        rest.download_session_trace("S", file)
    assert file.read_text() == "mine"
    with pytest.raises(ValidationError, match="exists already"):
        rest.download_session_trace("S", tmp_path, force=True)
    assert rest.download_session_trace("S", file, force=True).read_bytes() == TRACE


def test_a_session_that_is_not_there_leaves_nothing(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Neither the file nor its folder is made."""
    with pytest.raises(NotFoundError):
        nano_service.create_rest_client().download_session_trace("nobody", tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_download_leaves_nothing_and_a_cut_one_what_it_has(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """Beside the target stands only what the next call can go on with."""
    host.statuses = [404]
    with pytest.raises(CheckpointError, match="HTTP 404"):
        rest.download_session_trace("S", tmp_path / "t")
    assert list(tmp_path.iterdir()) == []
    host.cuts = [100_000, 10, 10, 10, 10]
    with pytest.raises(DownloadIncompleteError, match="broke 5 times"):
        rest.download_session_trace("S", tmp_path / "t")
    assert [path.name for path in tmp_path.iterdir()] == [".t.partial"]
    assert rest.download_session_trace("S", tmp_path / "t").read_bytes() == TRACE
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_a_file_that_another_program_makes_meanwhile_stays(
    rest: RestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for again when the trace is there, as for a checkpoint."""
    file = tmp_path / "t"
    fetched = session_trace.fetch

    def slow(*arguments: Any) -> None:
        fetched(*arguments)
        file.write_text("mine")

    monkeypatch.setattr(session_trace, "fetch", slow)
    with pytest.raises(ValidationError, match="exists already"):
        rest.download_session_trace("S", file)
    assert file.read_text() == "mine"


def test_an_id_chooses_no_folder(
    host: ArchiveHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no file name should have is not in the name."""
    monkeypatch.chdir(tmp_path)
    script = Script().on("GET sessions/..%2FS/trace_export", {"status": "ready", "url": host.url})
    with scripted_service(script, FakeClock()) as service:
        file = service.create_rest_client().download_session_trace("../S")
    assert file == tmp_path / ".._S.trace.json"


def test_what_cannot_be_had_or_written_says_so(tmp_path: Path) -> None:
    """A server without a place of it, and a folder that is a file."""
    script = Script().on(
        EXPORT, {"status": "ready"}, {"status": "ready", "url": "http://127.0.0.1:9/t"}
    )
    (tmp_path / "file").write_text("")
    with scripted_service(script, FakeClock()) as service:
        rest = service.create_rest_client()
        with pytest.raises(RequestFailedError, match="returned no URL"):
            rest.download_session_trace("S", tmp_path / "t")
        with pytest.raises(CheckpointError, match="cannot be written"):
            rest.download_session_trace("S", tmp_path / "file" / "t")
